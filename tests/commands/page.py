# SPDX-License-Identifier: Apache-2.0
"""A page of docs/ that the program's own words make: compared with them, or written."""
import difflib
import os
import sys

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs")


def keep(name, text):
    """Exits with 0 if docs/NAME is `text`, else shows the difference; with --update writes it first."""
    path = os.path.join(DOCS, name)
    if "--update" in sys.argv:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        difference = list(difflib.unified_diff(file.read().splitlines(), text.splitlines(), "docs/" + name, "the program",
                                               lineterm=""))
    print("\n".join(difference))
    sys.exit(bool(difference))
