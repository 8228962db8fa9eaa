#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The example of every stage and value is run: in a graph that has what examples speak of, with small data.

A number that makes an example slow is made small; nothing else of it is changed.

usage: test_examples.py PROGRAM [unittest arguments]
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
WORDS = "the river and a mill by moon water tide stone wheel grain flour sea boat night wind town of to in is it".split()

PRELUDE = """
local tm = require "tidemill"
local pages = tm.read { "corpus/*.html", format = "html" }
local clean = tm.curate { pages, tm.html_text {}, tm.fix_unicode {} }
local docs  = tm.split { clean, valid = 0.2 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local function model(seed)
  return tm.pretrain { tm.llama { layers = 1, width = 32, heads = 2, length = 512 }, tokenizer = vocab, data = docs.train,
                       valid = docs.valid, steps = 2, batch = 128, length = 64, seed = seed }
end
local base  = model(1)
local chat  = tm.split { tm.read { "chat.jsonl", format = "chat" }, valid = 0.3 }
local prefs = tm.split { tm.read { "pairs.jsonl", format = "preference" }, valid = 0.3 }
local problems = tm.split { tm.read { "problems.jsonl", format = "instruction" }, valid = 0.3 }
local questions = tm.read { "questions.jsonl", format = "jsonl" }
local tuned = tm.sft { base, data = chat.train, steps = 2, batch = 256, length = 128, adapter = tm.lora { rank = 2 } }
local dpo   = tm.dpo { tuned, data = prefs.train, steps = 2, batch = 512, length = 128 }
local final = tm.merge { dpo }
local exam  = tm.evaluate { { base = base, dpo = final },
                            tasks = { pref = tm.preference { prefs.valid }, text = tm.perplexity { docs.valid } } }
local trials = tm.sweep({ { seed = 1 }, { seed = 2 } }, function(v) return model(v.seed) end)
"""
TINY = "layers = 1, width = 32, heads = 2"
SMALL = [("steps = 500", "steps = 2"), ("size = 8192", "size = 300"), ("layers = 4, width = 192, heads = 6", TINY),
         ("layers = 6, width = 384, heads = 6", TINY), ("tokens = 200", "tokens = 4"),
         ("dpo.pref.accuracy > base.pref.accuracy", "dpo.pref.accuracy >= 0")]
TRAINER = "tm.pretrain {{ {}, tokenizer = vocab, data = docs.train, valid = docs.valid, steps = 2, batch = 128, length = 64 {}}}"


def rows():
    said = json.loads(subprocess.run([PROGRAM, "stages", "--json"], capture_output=True, text=True, check=True).stdout)
    for row in said["stages"] + said["values"]:
        about = subprocess.run([PROGRAM, "describe", row["name"], "--json"], capture_output=True, text=True, check=True).stdout
        yield row["name"], row["family"], json.loads(about)["example"]


def graph(name, family, example):
    """The text of a graph in which the example is one of the results."""
    for old, new in SMALL:
        example = example.replace(old, new)
    text = PRELUDE
    if example.startswith("local "):
        wanted = re.match(r"local (\w+) = ", example)[1]
        text += example.replace(f"local {wanted} = ", "local example = ", 1) + "\n"
        if name == "stage":
            text += "local made = example\nexample = made { clean }\n"
    elif family == "task":
        text += f"local example = tm.evaluate {{ final, {example} }}\n"
    elif family == "architecture":
        text += f"local example = {TRAINER.format(example, '')}\n"
    elif family in ("schedule", "adapter", "keep", "stop"):
        model = "base" if family == "adapter" else "tm.llama { layers = 1, width = 32, heads = 2 }"
        more = ", valid_every = 1" if family == "stop" else ""
        text += f"local example = {TRAINER.format(model, ', ' + example + more)}\n"
    elif family == "curate" and name != "exec":
        text += f"local example = tm.curate {{ clean, {example} }}\n"
    else:
        text += f"local example = {example.replace('{ docs,', '{ clean,')}\n"
    return text + "return tm.graph { example = example, tuned = tuned, base = base }\n"


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tidemill-test-")
        draw = random.Random(1)
        sentence = lambda n: " ".join(draw.choice(WORDS) for _ in range(n)).capitalize() + "."
        for i in range(60):
            cls.write(f"corpus/{i:03}.html", f"<html><body><p>{sentence(90)}</p><p>{sentence(60)}</p></body></html>")
            cls.write(f"books/a/{i % 3}.txt", sentence(80))
        cls.write("book.txt", "\n\n".join(sentence(60) for _ in range(30)))
        lines = lambda make: "\n".join(json.dumps(make(i)) for i in range(24)) + "\n"
        cls.write("chat.jsonl", lines(lambda i: {"messages": [{"role": "user", "content": sentence(5)},
                                                              {"role": "assistant", "content": sentence(6)}]}))
        cls.write("pairs.jsonl", lines(lambda i: {"prompt": sentence(5), "chosen": sentence(5), "rejected": sentence(6)}))
        cls.write("problems.jsonl", lines(lambda i: {"question": sentence(5), "answer": f"{i} + 1 = {i + 1}. #### {i + 1}"}))
        cls.write("questions.jsonl", lines(lambda i: {"text": f"{i}", "question": sentence(5),
                                                      "choices": ["a mill", "a boat"], "answer": i % 2}))
        cls.write("tag.py", "import sys\nfor line in sys.stdin:\n    sys.stdout.write(line)\n    sys.stdout.flush()\n")
        cls.write("first.lua", PRELUDE + "return tm.graph { base = base, tuned = tuned }\n")
        cls.tidemill("run", "first.lua", "-q")
        cls.tidemill("get", "base", "SmolLM2-135M-Instruct")
        cls.tidemill("get", "tuned", "my-adapter")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def write(cls, name, text):
        path = os.path.join(cls.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    @classmethod
    def tidemill(cls, *args):
        done = subprocess.run([PROGRAM, *args], cwd=cls.folder, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError(f"{args}\n{done.stdout}{done.stderr}")
        return done.stdout

    def test_every_example_runs(self):
        seen = 0
        for name, family, example in rows():
            with self.subTest(name):
                self.assertTrue(example, "there is no example")
                self.write(f"{name}.lua", graph(name, family, example))
                self.tidemill("run", f"{name}.lua", "example", "-q")
                seen += 1
        self.assertGreater(seen, 40)


if __name__ == "__main__":
    unittest.main(verbosity=2)
