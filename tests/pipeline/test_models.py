#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models from elsewhere in a graph: every form is the same model, is cached until one of its files changes, and goes on.

usage: test_models.py PROGRAM
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

PROGRAM = os.path.abspath(sys.argv[1])
MODELS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures", "models")
GRAPH = """
local tm = require "tidemill"
local docs = tm.read { "text/*.txt" }
local base = tm.model { "tiny.gguf" }
local forms = { gguf = base, shards = tm.model { "shards" }, old = tm.model { "old" },
                wheel = tm.model { "models.zip", match = "whole/*" } }
local tuned = tm.pretrain { base, tokenizer = base.tokenizer, data = docs, steps = 2, batch = 64, length = 32 }
return tm.graph {
  base = base, tokenizer = base.tokenizer, tuned = tuned,
  ids = tm.tokenize { docs, tokenizer = base.tokenizer },
  exam = tm.evaluate { forms, tasks = { text = tm.perplexity { docs } } },
  gguf = tm.export { tuned, format = "gguf", dtype = "f32", to = "dist/gguf" },
}
"""
AGAIN = """
local tm = require "tidemill"
local docs = tm.read { "text/*.txt" }
local both = { before = tm.model { "hf" }, after = tm.model { "dist/gguf" } }
return tm.graph { exam = tm.evaluate { both, tasks = { text = tm.perplexity { docs } } } }
"""


class Models(unittest.TestCase):
    def setUp(self):
        self.holder = tempfile.TemporaryDirectory()
        self.folder = self.holder.name
        for name in os.listdir(MODELS):
            path = os.path.join(MODELS, name)
            (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, os.path.join(self.folder, name))
        with zipfile.ZipFile(os.path.join(self.folder, "models.zip"), "w") as archive:
            for name in ("whole", "old"):
                for file in os.listdir(os.path.join(MODELS, name)):
                    archive.write(os.path.join(MODELS, name, file), f"{name}/{file}")
        for i in range(3):
            self.write(f"text/{i}.txt", f"The moon drives the tide, the tide drives the mill, {i} times a day.")
        self.write("graph.lua", GRAPH)

    def tearDown(self):
        self.holder.cleanup()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def tidemill(self, *args, code=0):
        done = subprocess.run([PROGRAM, *args], cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def states(self):
        nodes = json.loads(self.tidemill("plan", "graph.lua", "--json"))["nodes"]
        return {name for name, node in nodes.items() if node["state"] != "cached"}

    def losses(self, graph="graph.lua"):
        self.tidemill("run", graph)
        records = json.loads(self.tidemill("inspect", "exam", "--json", "-n", "100"))["records"]
        return {row["name"]: row["value"] for row in records if row["name"].endswith("text.loss")}

    def test_every_form_is_the_same_model(self):
        losses = self.losses()
        self.assertEqual(len(losses), 4)
        self.assertEqual(len(set(losses.values())), 1, losses)

    def test_what_is_exported_to_gguf_is_the_model_that_was_trained(self):
        self.losses()
        self.tidemill("get", "tuned", "hf")
        self.write("graph.lua", AGAIN)
        losses = self.losses()
        self.assertEqual(losses["before.text.loss"], losses["after.text.loss"])

    def test_a_model_is_read_again_when_one_of_its_files_changed(self):
        self.tidemill("run", "graph.lua")
        self.assertEqual(self.states(), set())
        self.write("shards/notes.txt", "not one of the model's files")
        self.assertEqual(self.states(), set())
        with open(os.path.join(self.folder, "tiny.gguf"), "ab") as file:
            file.write(b"\0" * 32)
        self.assertIn("base", self.states())

    def test_what_is_no_model_is_told_before_anything_runs(self):
        for path, text in (("hf:owner/name", "download the files and name their folder"), ("text", "holds no config.json"),
                           ("nothing", "is not there")):
            self.write("graph.lua", f'local tm = require "tidemill"\nreturn tm.graph {{ m = tm.model {{ "{path}" }} }}\n')
            self.assertIn(text, self.tidemill("check", "graph.lua", code=2))

    def test_a_zip_with_two_models_asks_which(self):
        self.write("graph.lua", 'local tm = require "tidemill"\nreturn tm.graph { m = tm.model { "models.zip" } }\n')
        told = self.tidemill("run", "graph.lua", code=1)
        self.assertIn("holds 2 models", told)
        self.assertIn('match = "', told)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
