# SPDX-License-Identifier: Apache-2.0
"""Lets clang-format break the lines that lines.py finds too wide, and leaves all others as they are.

usage: narrow.py [PATH...]: only files whose path begins so
"""

import subprocess
import sys

import lines
import source_files

# As .clang-format, but for what would look worse than a wide line.
BESIDES = "BreakStringLiterals: false,PenaltyBreakAssignment: 60,PenaltyReturnTypeOnItsOwnLine: 1000"


def wide(path):
    return [number for number, line in enumerate(source_files.text(path), 1) if len(line) > lines.limit(path, line)]


def narrow(path, style):
    for _ in range(3):  # a line that was broken may have to be broken again
        ranges = [f"--lines={number}:{number}" for number in wide(path)]
        if ranges:
            subprocess.run(["clang-format", "-i", f"--style={style}", *ranges, source_files.ROOT / path], check=True)


def main(only):
    rows = (source_files.ROOT / ".clang-format").read_text().splitlines()
    style = "{" + ",".join([row for row in rows if row] + [BESIDES]) + "}"
    for path in source_files.walk():
        if path.suffix in lines.C and path.as_posix().startswith(only):
            narrow(path, style)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or "")
