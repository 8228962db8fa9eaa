# SPDX-License-Identifier: Apache-2.0
"""Links between the pages lead to files that are there, and so do the paths that pages about the code name."""

import re
import sys

import source_files

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
NAMED = re.compile(r"`((?:engine|stages|kernels|lua|tests|docs|graphs|examples)/[\w./-]+\.(?:c|h|cc|py|lua|md|sh|awk|build))`")


def faults_of(path):
    for number, line in enumerate(source_files.text(path), 1):
        for target in LINK.findall(line):
            if not target.startswith(("http:", "https:", "mailto:")) \
                    and not (source_files.ROOT / path.parent / target).exists():
                yield f"{path}:{number}: the link leads nowhere: {target}"
        for target in NAMED.findall(line) if path.name == "architecture.md" or "internals" in path.parts else ():
            if not (source_files.ROOT / target).exists():
                yield f"{path}:{number}: there is no {target}"


def main():
    pages = [path for path in source_files.walk() if path.suffix == ".md"]
    return source_files.report("links", [fault for page in pages for fault in faults_of(page)])


if __name__ == "__main__":
    sys.exit(main())
