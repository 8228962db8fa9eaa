# SPDX-License-Identifier: Apache-2.0
"""A folder with a small made-up corpus and a graph over it, and the program run in it."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))

WORDS = ("the of and a to in is was for on that with as by it at from his her which be this are not or an had but one "
         "all their have been were there would when who will more no if out so up said what its about time than into "
         "could them these some then two may only other new after before river mill tide water stone wheel grain").split()

GRAPH = """local tm = require "tidemill"
local p = tm.params { steps = tm.int { 20, min = 1 }, lr = tm.number { 3e-3 } }
local clean = tm.curate { tm.read { "corpus/*.txt" }, tm.fix_unicode {}, tm.gopher { without = { "punctuation" } },
                          tm.exact_dedup {} }
local docs  = tm.split { clean, valid = 0.1 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local base  = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4, length = 64 }, tokenizer = vocab,
                            data = docs.train, valid = docs.valid, steps = p.steps, batch = 256, length = 64,
                            lr = p.lr, checkpoint_every = 10 }
local curve = tm.evaluate { base:each {}, tasks = { text = tm.perplexity { docs.valid, length = 64 } } }
local model = tm.export { base, format = "hf", to = "out/model" }
return tm.graph { clean = clean, docs = docs, vocab = vocab, base = base, curve = curve, model = model }
"""


def document(seed, n_words=160):
    draw = random.Random(seed)
    words = [draw.choice(WORDS) for _ in range(n_words)]
    for i in range(9, n_words, 10):
        words[i] += "."
    return " ".join(words).capitalize() + "\n"


class Workplace:
    """`store` is a name in the folder."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tidemill-test-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.write("graph.lua", GRAPH)
        for i in range(60):
            self.write(f"corpus/{i:02}.txt", document(i))
        for i in range(3):
            self.write(f"corpus/copy{i}.txt", document(i))
            self.write(f"corpus/short{i}.txt", f"Too short {i}.\n")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb" if isinstance(text, bytes) else "w") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def files(self, name):
        """Names and times of everything in a folder."""
        return {os.path.join(at, one): os.lstat(os.path.join(at, one)).st_mtime_ns
                for at, _, names in os.walk(self.path(name)) for one in names}

    def start(self, *args, store="store", env=()):
        return subprocess.Popen([PROGRAM, *args, "--store", self.path(store)], cwd=self.folder, text=True,
                                env={**os.environ, **dict(env)},
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def plain(self, *args):
        """The same without a store being named."""
        done = subprocess.run([PROGRAM, *args], cwd=self.folder, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def tidemill(self, *args, store="store", env=()):
        """(exit status, stdout, stderr)"""
        process = self.start(*args, store=store, env=env)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


class WithWorkplace(unittest.TestCase):
    """One workplace for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.place = Workplace()
        cls.addClassCleanup(cls.place.remove)

    def ok(self, *args, store="store"):
        code, out, err = self.place.tidemill(*args, store=store)
        self.assertEqual(code, 0, out + err)
        return out

    def json(self, *args, store="store"):
        return json.loads(self.ok(*args, "--json", store=store))

    def fails(self, code, *args, store="store"):
        """What is said on stderr; with --json the same must be on stdout."""
        got, out, err = self.place.tidemill(*args, store=store)
        self.assertEqual(got, code, out + err)
        return err
