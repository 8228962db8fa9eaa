#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every block of code in README.md and docs/ holds: graphs are checked, commands are run, what is shown of their output
is what they say, but for numbers.

  ```lua       a graph file, or a part of one: checked behind what such parts speak of (COMMON)
  ```sh        commands, one a line
  ```console   commands behind `$ `, and what they print; `...` stands for anything
  ```json      parses
  ```c         a stage, which tests/pipeline builds and runs
  ```text      anything else: is not looked at. A fence without a word is an error.

Commands run in a copy of a small project (see `Project`), in which graph.lua and graphs/quickstart.lua have been run and
the runs r1 to r12 are there. What cannot be run in a test is in ELSEWHERE, with the reason.

usage: test_docs.py PROGRAM [unittest arguments]
"""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import zipfile

from workplace import PROGRAM, document

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
MADE = ("docs/commands.md", "docs/stages.md")  # made by the program, and compared with it by tests of their own
PAGES = [os.path.relpath(path, ROOT) for path in
         [os.path.join(ROOT, "README.md"), *sorted(glob.glob(os.path.join(ROOT, "docs/*.md"))),
          *sorted(glob.glob(os.path.join(ROOT, "docs/internals/*.md")))]]

# What cannot run here: how it begins, and why.
ELSEWHERE = (
    ("./mill test", "runs this test"),
    ("./mill run graphs/adapt.lua", "needs a model of 145 MB"),
    ("tensorboard ", "waits for a browser"),
)

COMMON = """local tm = require "tidemill"
local questions = require "questions"
local pages = tm.read { "corpus/*.html", format = "html" }
local clean = tm.curate { pages, tm.html_text {}, tm.fix_unicode {} }
local docs  = tm.split { clean, valid = 0.2 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local shape = tm.llama { layers = 1, width = 32, heads = 2, length = 128 }
local base  = tm.pretrain { shape, tokenizer = vocab, data = docs.train, valid = docs.valid, steps = 20, batch = 256,
                            length = 64, checkpoint_every = 10 }
local model = base
local chat  = tm.split { tm.read { "chat.jsonl", format = "chat" }, valid = 0.3 }
local prefs = tm.split { tm.read { "pairs.jsonl", format = "preference" }, valid = 0.3 }
local tuned = tm.sft { base, data = chat.train, valid = chat.valid, steps = 2, batch = 256, length = 128,
                       adapter = tm.lora { rank = 2 } }
local dpo   = tm.dpo { tuned, data = prefs.train, steps = 2, batch = 512, length = 128 }
local exam  = tm.evaluate { { base = base, tuned = tuned }, tasks = { text = tm.perplexity { docs.valid } } }
"""

GRAPH = COMMON.replace("""local clean = tm.curate { pages, tm.html_text {}, tm.fix_unicode {} }
""", """local p = tm.params { steps = tm.int { 20, min = 1 }, lr = tm.number { 3e-3 } }
local clean = tm.curate { pages, tm.html_text {}, tm.gopher { without = { "punctuation" } }, tm.exact_dedup {} }
""").replace("steps = 20", "steps = p.steps, lr = p.lr") + """
return tm.graph { clean = clean, docs = docs, vocab = vocab, base = base, tuned = tuned, dpo = dpo, exam = exam }
"""
# The main job, made small.
QUICK = [("tm.int { 1600, min = 10", "tm.int { 10, min = 10"), ("{ 2048, min = 300", "{ 300, min = 300"),
         ("layers = tm.int { 4", "layers = tm.int { 1"), ("width  = tm.int { 192", "width  = tm.int { 36"),
         ("epochs = 2", "steps = 2"), ("valid = 0.03", "valid = 0.1")]


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class Block:
    def __init__(self, page, line, word, text):
        self.page, self.line, self.word, self.text = page, line, word, text

    def __str__(self):
        return f"{self.page}:{self.line} ({self.word})"


def blocks(page):
    """Those of a page; of one that is indented, as in a list, the indentation is taken off."""
    word = None
    for number, line in enumerate(text_of(page).splitlines(), 1):
        fence = re.match(r"^( *)```(.*)$", line)
        if fence and word is None:
            indent, word, start, lines = fence[1], fence[2].strip(), number, []
        elif fence:
            yield Block(page, start, word, "\n".join(lines) + "\n")
            word = None
        elif word is not None:
            lines.append(line.removeprefix(indent))


def commands(block):
    """(command, the lines shown behind it) of a block of sh or console; long commands go on behind a backslash."""
    text = block.text.replace("\\\n", "")
    if block.word == "sh":
        return [(line, []) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def masked(line):
    """A line without what changes from run to run: numbers, sizes, and how much space is between words."""
    line = re.sub(r"\b[0-9a-f]{7,}\b|\d[\d,.]*(e[-+]?\d+)?", "0", line)
    return " ".join(re.sub(r"\b0 (B|KB|MB|GB|ms|s|min)\b", "0 unit", line).split())


def missing(shown, said):
    """The first of the lines shown that the output does not have behind those before it; or None."""
    rest = [masked(line) for line in said.splitlines()]
    for line in shown:
        parts = [re.escape(part) for part in masked(line).split("...")]
        pattern = re.compile(".*".join(parts) + "$")
        if not masked(line).strip(" ."):
            continue
        while rest and not pattern.match(rest[0]):
            rest.pop(0)
        if not rest:
            return line
        rest.pop(0)
    return None


def manual_page(i):
    """A page with headings, of which graphs/questions.lua makes questions."""
    sentence = lambda k: document(i * 10 + k, 11).strip().rstrip(".").lower() + "."
    text = f"<h1>Chapter of {document(i, 2).strip()}</h1>\n"
    for k in range(3):
        text += (f"<h2>{document(i * 7 + k, 3).strip()}</h2>\n<p>Water and {sentence(k)} This is {sentence(k + 3)} "
                 f"Then {sentence(k + 6)}</p>\n<p>{document(i + 100 * k, 60)}</p>\n")
    return f"<html><body>{text}</body></html>"


class Project:
    """A folder in which the commands of the pages make sense."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="tidemill-test-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.folder = self.path("project")
        for name in ("tidemill", "mill"):
            self.write(f"bin/{name}", f'#!/bin/sh\nexec "{PROGRAM}" "$@"\n', 0o755)
        self.write("project/mill", f'#!/bin/sh\nexec "{PROGRAM}" "$@"\n', 0o755)
        self.inputs("project")
        for i in range(1, 13):
            self.run_ok("tidemill run graph.lua -q" + (f" --set lr={i}e-3 -k" if i in (3, 11) else ""))
        self.main_job()

    def main_job(self):
        text = text_of("graphs/quickstart.lua")
        for old, new in QUICK:
            assert old in text, old
            text = text.replace(old, new)
        self.write("job/graphs/quickstart.lua", text)
        self.write("job/graphs/questions.lua", text_of("graphs/questions.lua"))
        self.write("job/mill", f'#!/bin/sh\nexec "{PROGRAM}" "$@"\n', 0o755)
        os.makedirs(self.path("job/build/docs"))
        with zipfile.ZipFile(self.path("job/build/docs/postgresql-doc.deb"), "w") as archive:
            for name in glob.glob(self.folder + "/corpus/*.html"):
                archive.write(name, os.path.basename(name))
        self.run_ok("git init -q . && ./mill run graphs/quickstart.lua -q", self.path("job"))

    def inputs(self, folder):
        for i in range(60):
            self.write(f"{folder}/corpus/{i:03}.html", manual_page(i))
            self.write(f"{folder}/docs/{i:03}.txt", document(i))
        lines = lambda make: "".join(json.dumps(make(i)) + "\n" for i in range(24))
        chat = lambda i: {"messages": [{"role": "user", "content": document(i, 5)},
                                       {"role": "assistant", "content": document(i + 50, 6)}]}
        self.write(f"{folder}/chat.jsonl", lines(chat))
        self.write(f"{folder}/pairs.jsonl", lines(lambda i: {"prompt": document(i, 5), "chosen": document(i + 50, 5),
                                                             "rejected": document(i + 90, 5)}))
        self.write(f"{folder}/graph.lua", GRAPH)
        self.write(f"{folder}/questions.lua", text_of("graphs/questions.lua"))

    def path(self, name):
        return os.path.join(self.home, name)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def run(self, command, folder=None):
        env = {**os.environ, "PATH": self.path("bin") + ":" + os.environ["PATH"], "COLUMNS": "100"}
        return subprocess.run(["bash", "-c", command], cwd=folder or self.folder, env=env, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run_ok(self, command, folder=None):
        done = self.run(command, folder)
        if done.returncode:
            raise AssertionError(f"$ {command}\n{done.stdout}")
        return done.stdout

    def copy(self):
        at = tempfile.mkdtemp(dir=self.home)
        shutil.copytree(self.folder, at, dirs_exist_ok=True, symlinks=True)
        return at

    def remove(self):
        shutil.rmtree(self.home, ignore_errors=True)


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.project = Project()
        cls.addClassCleanup(cls.project.remove)

    def test_every_fence_says_what_is_in_it(self):
        known = {"lua", "sh", "console", "json", "c", "text", "python", "yaml"}
        for page in PAGES:
            for block in blocks(page):
                if page not in MADE:
                    self.assertIn(block.word, known, block)


if __name__ == "__main__":
    unittest.main(verbosity=2)
