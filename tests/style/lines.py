# SPDX-License-Identifier: Apache-2.0
"""Every line of every file: licence in the head of sources, width, blanks at the end, no place but our own named."""

import re
import sys

import source_files

WIDTH = 120
SOURCES = (".c", ".h", ".cc", ".cu", ".py", ".sh", ".awk")
SCRIPTS = ("mill", ".ci/run")
DATA = ("tests/fixtures/", "tests/attacks/", "tests/fuzz/corpus", "LICENSE")  # may have any bytes in them
# Hosts of package registries, and folders of one particular machine.
PLACES = re.compile(r"""pypi\.org|pythonhosted|(deb|archive|ports|security|snapshot)\.(debian|ubuntu)|npmjs
    |crates\.io|proxy\.golang|(?<![\w.])/(work|root)/|(?<![\w.])/home/[a-z]+/|/tmp/(peers|build-)""", re.X)


def is_source(path):
    return path.suffix in SOURCES or path.as_posix() in SCRIPTS


def faults_of(path):
    lines, name = source_files.text(path), path.as_posix()
    if lines is None or (name.startswith(DATA) and not is_source(path)):
        return
    if is_source(path) and not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
        yield f"{name}:1: no SPDX line"
    for number, line in enumerate(lines, 1):
        if len(line) > WIDTH and (is_source(path) or path.suffix in (".lua", ".build")):
            yield f"{name}:{number}: {len(line)} columns, {WIDTH} are the limit"
        if line != line.rstrip():
            yield f"{name}:{number}: blanks at the end"
        if PLACES.search(line) and path.name != "lines.py":
            yield f"{name}:{number}: names a machine or a registry: {PLACES.search(line)[0]}"


def main():
    return source_files.report("lines", [fault for path in source_files.walk() for fault in faults_of(path)])


if __name__ == "__main__":
    sys.exit(main())
