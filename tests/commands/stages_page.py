#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/stages.md is what the rows of stages and values say of themselves. Compares the page with the program, or writes it.

usage: stages_page.py PROGRAM [--update]
"""
import json
import os
import subprocess
import sys

from page import keep

PROGRAM = os.path.abspath(sys.argv[1])

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


keep("stages.md", page())
