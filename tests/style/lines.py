# SPDX-License-Identifier: Apache-2.0
"""Every line of every file: licence in the head of sources, width, blanks at the end, no place but our own named."""

import re
import sys

import source_files

WIDTH = 110
WIDER = 130  # of scripts, and of lines that begin with a piece of text
SOURCES = (".c", ".h", ".cc", ".cu", ".py", ".sh", ".awk")
SCRIPTS = ("mill", ".ci/run")
C = (".c", ".h", ".cc", ".cu")
# May have any bytes in them.
DATA = ("tests/fixtures/", "tests/attacks/", "tests/graphs/", "tests/fuzz/corpus", "LICENSE")
# Hosts of package registries, and folders of one particular machine.
PLACES = re.compile(r"""pypi\.org|pythonhosted|(deb|archive|ports|security|snapshot)\.(debian|ubuntu)|npmjs
    |crates\.io|proxy\.golang|(?<![\w.])/(work|root)/|(?<![\w.])/home/[a-z]+/|/tmp/(peers|build-)""", re.X)


def is_source(path):
    return path.suffix in SOURCES or path.as_posix() in SCRIPTS


def limit(path, line):
    return WIDTH if path.suffix in C and not line.lstrip().startswith('"') else WIDER


def faults_of(path):
    lines, name = source_files.text(path), path.as_posix()
    if lines is None or (name.startswith(DATA) and not is_source(path)):
        return
    if is_source(path) and not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
        yield f"{name}:1: no SPDX line"
    for number, line in enumerate(lines, 1):
        if len(line) > limit(path, line) and (is_source(path) or path.suffix in (".lua", ".build")):
            yield f"{name}:{number}: {len(line)} columns, {limit(path, line)} are the limit"
        if line != line.rstrip():
            yield f"{name}:{number}: blanks at the end"
        if PLACES.search(line) and path.name != "lines.py":
            yield f"{name}:{number}: names a machine or a registry: {PLACES.search(line)[0]}"


def main():
    return source_files.report("lines", [fault for path in source_files.walk() for fault in faults_of(path)])


if __name__ == "__main__":
    sys.exit(main())
