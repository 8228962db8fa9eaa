#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/errors: a page for each code of an error, made from lua/cli/errors.md with what the program says of the examples.

usage: errors_page.py PROGRAM [--update]

Compares the pages, or writes them. Every "Wrong:" must fail with its code, every "Right:" must work, and the codes in the
sources must be those that are explained.
"""
import concurrent.futures
import difflib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
PAGES = os.path.join(ROOT, "docs/errors")
FILES = os.path.join(ROOT, "tests/graphs/bad")  # what the examples read
RUN_FROM = "TM0303"  # graphs from here on fail when they run

# What commands in examples speak of: a graph that was run.
GRAPH = """local tm = require "tidemill"
local docs  = tm.split { tm.read { "pages" }, valid = 0.3 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local base  = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4, length = 32 }, tokenizer = vocab,
                            data = docs.train, steps = 300, batch = 64, length = 32, checkpoint_every = 300 }
return tm.graph { docs = docs, base = base }
"""

INDEX = """# Errors

Every error of the program has a code, and every code has a page; `tidemill explain CODE` shows the same in a terminal.
This page and those of the codes are made from `lua/cli/errors.md` (`tests/commands/errors_page.py PROGRAM --update`).

An error says what is wrong, where (the file, the line and a caret), `why` with the actual values, what of a failed run is
`kept`, how to `fix` it, and where to `look` further. With `--json` it is on stdout, for every command in one form:

```
{"error": {"code": "TM0106", "severity": "error", "what": "split has no port 'tarin'",
           "file": "graph.lua", "line": 4, "column": 41, "end_line": 4, "end_column": 46,
           "why": "", "kept": "", "fix": "did you mean .train?", "look": "tidemill explain TM0106"},
 "errors": [...]}
```

All fields are always there. Lines and columns count from 1, columns in characters, and `end_column` is behind the last; an
error without a place has `file` "" and zeros. `errors` has all that were found, and `error` is its first.

"""


def blocks(text, title):
    """The indented block behind `title`, without its indentation, or None."""
    found = re.search(rf"^{title}:\n\n((?:    .*\n|\n)+)", text + "\n", re.M)
    return re.sub(r"^    ", "", found[1].rstrip() + "\n", flags=re.M) if found else None


class Place:
    """A folder with the files of the examples and a run."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tidemill-errors-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        for name in ("pages.txt", "chat.jsonl"):
            shutil.copy(os.path.join(FILES, name), self.folder)
        os.mkdir(os.path.join(self.folder, "pages"))
        for i in range(12):
            self.write(f"pages/{i}.txt", f"Page {i} tells of the tide, of mills and of {i} stones that lie in the river.\n")
        self.write("graph.lua", GRAPH)
        self.call("run", "graph.lua", "-q")

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def call(self, *args):
        done = subprocess.run([PROGRAM, *args], cwd=self.folder, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr.replace(self.folder, "/data")

    def example(self, code, text, kind):
        if text.startswith("$ tidemill "):
            return self.call(*text[len("$ tidemill "):].split())
        name = f"{code}_{kind}.lua"
        self.write(name, text)
        how = ("run", name, "-q", "--store", f"{code}_{kind}.store") if code >= RUN_FROM else ("check", name)
        status, err = self.call(*how)
        return status, err.replace(name, "graph.lua")


def look_at(place, row):
    """(its page, what is wrong with it)"""
    code, text, faults = row["code"], row["text"], []
    page = f"# {code}: {row['title']}\n\n{text}\n"
    wrong, right = blocks(text, "Wrong"), blocks(text, "Right")
    if (wrong is None) != (right is None):
        faults.append(f"{code}: one example without the other")
    if wrong is None or right is None:
        return page, faults
    status, said = place.example(code, wrong, "wrong")
    if not said.startswith(f"error[{code}] ") or status == 0:
        faults.append(f"{code}: the wrong example says\n{said}")
    page = page.replace("\nRight:\n", f"\n```\n{said.rstrip()}\n```\n\nRight:\n", 1)
    status, said = place.example(code, right, "right")
    if status != 0:
        faults.append(f"{code}: the right example says\n{said}")
    return page, faults


def sources():
    """Every code that the sources name."""
    found = set()
    for folder in ("lua", "engine", "stages"):
        for end in ("c", "h", "lua"):
            for path in glob.glob(os.path.join(ROOT, folder, "**", "*." + end), recursive=True):
                with open(path, encoding="utf-8") as file:
                    found |= set(re.findall(r'"(TM\d{4})"', file.read()))
    return found


def compare(pages):
    faults = []
    if "--update" in sys.argv:
        shutil.rmtree(PAGES, ignore_errors=True)
        os.makedirs(PAGES)
        for name, text in pages.items():
            with open(os.path.join(PAGES, name), "w", encoding="utf-8") as file:
                file.write(text)
    there = set(os.listdir(PAGES)) if os.path.isdir(PAGES) else set()
    faults += [f"docs/errors/{name} is of no code" for name in sorted(there - set(pages))]
    for name, text in pages.items():
        path, old = os.path.join(PAGES, name), ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                old = file.read()
        faults += difflib.unified_diff(old.splitlines(), text.splitlines(), "docs/errors/" + name, "the program", lineterm="")
    return faults


def main():
    done = subprocess.run([PROGRAM, "explain", "--json"], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["codes"]
    codes = {row["code"] for row in rows}
    faults = [f"{code} is in the sources and not in lua/cli/errors.md" for code in sorted(sources() - codes)]
    faults += [f"{code} is in lua/cli/errors.md and not in the sources" for code in sorted(codes - sources())]
    place = Place()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        looked = list(pool.map(lambda row: look_at(place, row), rows))
    shutil.rmtree(place.folder, ignore_errors=True)
    pages = {row["code"] + ".md": page for row, (page, _) in zip(rows, looked)}
    for _, found in looked:
        faults += found
    pages["README.md"] = INDEX + "".join(f"- [{row['code']}]({row['code']}.md): {row['title']}\n" for row in rows)
    faults += compare(pages)
    print("\n".join(faults))
    sys.exit(bool(faults))


main()
