#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/stages.md is what the rows of stages and values say of themselves. Compares the page with the program, or writes it.

usage: stages_page.py PROGRAM [--update]
"""
import difflib
import json
import os
import subprocess
import sys

PROGRAM = os.path.abspath(sys.argv[1])
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/stages.md")

HEAD = """# Stages

This page is made from the rows of the stages (`tests/commands/stages_page.py PROGRAM --update`); `tidemill describe NAME` says
the same. Every example is run by a test.
"""


def say(*args):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, check=True).stdout


def page():
    rows = json.loads(say("stages", "--json"))
    text = HEAD
    for title, kind in (("Stages", "stages"), ("Values", "values")):
        text += f"\n## {title}\n"
        for family in dict.fromkeys(row["family"] for row in rows[kind]):
            text += f"\n### {family}\n"
            for row in rows[kind]:
                if row["family"] == family:
                    head, rest = say("describe", row["name"]).split("\n", 1)
                    text += f"\n#### tm.{row['name']}\n\n```\n{head}\n{rest.rstrip()}\n```\n"
    return text


if "--update" in sys.argv:
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page())
with open(PAGE, encoding="utf-8") as file:
    difference = list(difflib.unified_diff(file.read().splitlines(), page().splitlines(), "docs/stages.md", "the program",
                                           lineterm=""))
print("\n".join(difference))
sys.exit(bool(difference))
