#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/commands.md is what the program says of itself. Compares the page with the program, or writes it.

usage: commands_page.py PROGRAM [--update]
"""
import os
import re
import subprocess
import sys

from page import keep

PROGRAM = os.path.abspath(sys.argv[1])

HEAD = """# Commands

This page is made from the rows of the commands (`tests/commands/commands_page.py PROGRAM --update`).

Results go to stdout, everything else to stderr. With `--json` a command gives its result, or its errors, as one JSON
object on stdout (`logs` one per line). Results are named by addresses:

```
[RUN:]NODE[/STEP][.PORT][@best|@latest|@STEP]

clean                  what the node `clean` gave in the latest run in which it has a result
r12:clean/gopher       a step of a curate chain, in run 12
clean.removed          what any step of the chain removed, with the reason in `meta`
base@300  base@best    a snapshot of a trainer: of step 300, or with the lowest valid.loss; `base:at(300)` is as good
base.metrics@300       what was measured of it
```

"""


def say(*args):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, check=True).stdout


def page():
    overview = say("--help")
    text = HEAD + "| exit status | |\n| --- | --- |\n"
    for code, meaning in re.findall(r"^ +(\d+(?:\+n)?)  (.+)$", overview.split("Exit status:")[1], re.M):
        text += f"| {code} | {meaning} |\n"
    for command in re.findall(r"^  (\w+) ", overview.split("Exit status:")[0], re.M):
        usage, brief, rest = say(command, "--help").split("\n\n", 2)
        text += f"\n## {command}\n\n{brief}\n\n```\n{usage.rstrip()}\n\n{rest.rstrip()}\n```\n"
    return text


keep("commands.md", page())
