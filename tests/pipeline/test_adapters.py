#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adapters in a graph: one from elsewhere on a model, merged, exported, and kept without a second copy of the base.

usage: test_adapters.py PROGRAM LORA_PROBE (tests/parity/lora_probe.c writes the adapter)
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, PROBE = map(os.path.abspath, sys.argv[1:3])
FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures")
TEXT = json.dumps({"text": "the river and the mill"})
GRAPH = """
local tm = require "tidemill"
local base = tm.model { "whole" }
local tuned = tm.adapter { base, path = "peft" }
local merged = tm.merge { tuned }
return tm.graph { base = base, tuned = tuned, merged = merged, hf = tm.export { tuned, format = "hf", to = "hf" },
                  gguf = tm.export { tuned, format = "gguf", dtype = "f32", to = "gguf" } }
"""


def inode(*path):
    return os.stat(os.path.join(*path)).st_ino


class Adapters(unittest.TestCase):
    def setUp(self):
        self.holder = tempfile.TemporaryDirectory()
        self.folder = self.holder.name
        shutil.copytree(os.path.join(FIXTURES, "models", "whole"), os.path.join(self.folder, "whole"))
        subprocess.run([PROBE, "fresh", "whole", "peft"], cwd=self.folder, check=True)
        shutil.rmtree(os.path.join(self.folder, "peft", "base"))  # a PEFT folder has the adapter alone
        self.write("graph.lua", GRAPH)

    def tearDown(self):
        self.holder.cleanup()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def tidemill(self, *args, text=None):
        done = subprocess.run([PROGRAM, *args], cwd=self.folder, input=text, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def scores(self, model):
        return json.loads(self.tidemill("score", model, text=TEXT))["log_probs"][1:]

    def states(self):
        nodes = json.loads(self.tidemill("plan", "graph.lua", "--json"))["nodes"]
        return {name: node["state"] for name, node in nodes.items()}

    def assert_close(self, a, b):
        self.assertEqual(len(a), len(b))
        for x, y in zip(a, b):
            self.assertAlmostEqual(x, y, delta=1e-4)

    def test_an_adapter_changes_the_model_until_and_after_it_is_merged(self):
        self.tidemill("run", "graph.lua", "-q")
        base, tuned = self.scores("base"), self.scores("tuned")
        self.assertGreater(max(abs(a - b) for a, b in zip(base, tuned)), 0.1)
        for other in ("merged", "hf", "gguf/" + os.listdir(os.path.join(self.folder, "gguf"))[0]):
            self.assert_close(self.scores(other), tuned)
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "hf"))),
                         ["adapter_config.json", "adapter_model.safetensors", "base", "tokenizer.json",
                          "tokenizer_config.json"])

    def test_another_adapter_redoes_what_depends_on_it_and_keeps_one_copy_of_the_base(self):
        self.tidemill("run", "graph.lua", "-q")
        self.assertEqual(set(self.states().values()), {"cached"})
        config = os.path.join(self.folder, "peft", "adapter_config.json")
        with open(config, encoding="utf-8") as file:
            changed = json.load(file) | {"lora_alpha": 5}
        self.write("peft/adapter_config.json", json.dumps(changed))
        before = self.scores("merged")
        self.assertEqual({n for n, s in self.states().items() if s == "cached"}, {"base"})
        self.tidemill("run", "graph.lua", "-q")
        self.assertGreater(max(abs(a - b) for a, b in zip(before, self.scores("merged"))), 0.01)
        weights = {inode(top, name) for top, _, names in os.walk(os.path.join(self.folder, ".tidemill", "trees"))
                   for name in names if top.endswith("/base") and name == "model.safetensors"}
        self.assertEqual(len(weights), 1)

    def test_an_adapter_of_another_model_is_refused(self):
        shutil.copy(os.path.join(FIXTURES, "lora", "adapter_model.safetensors"), os.path.join(self.folder, "peft"))
        done = subprocess.run([PROGRAM, "run", "graph.lua", "tuned"], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("of the adapter", done.stderr)


if __name__ == "__main__":
    sys.argv[1:] = sys.argv[3:]
    unittest.main()
