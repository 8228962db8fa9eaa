# SPDX-License-Identifier: Apache-2.0
"""Lists functions by length, longest first (a report: long ones are for a reader to judge)."""

import sys

import source_files

LONG = 80
NOTABLE = 40


def functions(lines):
    """(name, first line, length) of each function of a C file in the house style: its braces are in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            head = next((l for l in reversed(lines[:start - 1]) if "(" in l and not l.startswith(" ")), "")
            if line == "}" and head:
                yield head.split("(")[0].split()[-1].lstrip("*"), start, number - start + 1
            start = None


def main():
    found = []
    for path in source_files.walk():
        if path.suffix in (".c", ".cc", ".cu"):
            found += [(length, f"{path}:{line}", name) for name, line, length in functions(source_files.text(path))]
    found.sort(reverse=True)
    middle = found[len(found) // 2][0] if found else 0
    over = sum(length > NOTABLE for length, _, _ in found)
    print(f"{len(found)} functions, half of them under {middle + 1} lines, {over} over {NOTABLE}")
    for length, place, name in found:
        if length > LONG:
            print(f"{length} lines: {name} ({place})")


if __name__ == "__main__":
    sys.exit(main())
