# SPDX-License-Identifier: Apache-2.0
"""Writes the C code blocks of a Markdown page to a file: code_of_page.py PAGE FILE."""
import re
import sys

with open(sys.argv[1], encoding="utf-8") as page:
    blocks = re.findall(r"^```c\n(.*?)^```$", page.read(), re.M | re.S)
with open(sys.argv[2], "w", encoding="utf-8") as file:
    file.write("\n".join(blocks))
