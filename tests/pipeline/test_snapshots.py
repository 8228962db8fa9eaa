#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""transformers opens every snapshot as it lies, and goes on from a prompt as `tidemill generate` does.

Greedy texts are compared up to the first step where the two likeliest tokens are closer than 1e-3; from there on a
difference is no error, and the logits were close by then.

usage: test_snapshots.py PROGRAM, with a Python that has torch and transformers
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.argv, PROGRAM = sys.argv[:1], os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.argv.append(PROGRAM)
import test_pipeline  # noqa: E402  (takes the program's name from the arguments)

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

PROMPTS = ["The river", "the mill of the", "moon and", "After the night", "It was", "stone wheel"]
NEW_TOKENS = 24


class Snapshots(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.folder = cls.holder.name
        os.mkdir(os.path.join(cls.folder, "corpus"))
        for i in range(150):
            with open(os.path.join(cls.folder, "corpus", f"{i:04}.txt"), "w", encoding="utf-8") as file:
                file.write(test_pipeline.document(i))
        with open(os.path.join(cls.folder, "graph.lua"), "w", encoding="utf-8") as file:
            file.write(test_pipeline.GRAPH)
        cls.tidemill("run", "graph.lua", "-q", "--set", "steps=120", "--set", "every=40")

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    @classmethod
    def tidemill(cls, *args):
        done = subprocess.run([PROGRAM, *args], cwd=cls.folder, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        return done.stdout

    def steps(self):
        return json.loads(self.tidemill("inspect", "base", "--json"))["steps"]

    def compare(self, tokenizer, model, step, prompt):
        ours = json.loads(self.tidemill("generate", f"base@{step}", "--prompt", prompt, "-n", str(NEW_TOKENS), "--json"))
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        self.assertEqual(ids.shape[1], ours["prompt_tokens"])
        text = []
        for _ in range(NEW_TOKENS):
            with torch.no_grad():
                top = model(ids).logits[0, -1].topk(2)
            if top.values[0] - top.values[1] < 1e-3:
                break  # from here on either choice is right
            if top.indices[0] == tokenizer.eos_token_id:
                break
            text.append(int(top.indices[0]))
            ids = torch.cat([ids, top.indices[None, :1]], dim=1)
        theirs = tokenizer.decode(text, skip_special_tokens=True)
        self.assertTrue(text, "nothing was compared")
        self.assertTrue(ours["text"].startswith(theirs.rstrip("\ufffd")), f"{prompt!r}@{step}: {ours['text']!r} and {theirs!r}")

    def test_transformers_opens_every_snapshot_and_goes_on_alike(self):
        steps = self.steps()
        self.assertEqual(steps, [40, 60, 80, 120])
        for step in steps:
            folder = os.path.join(self.folder, f"snapshot-{step}")
            self.tidemill("get", f"base@{step}", folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
            for prompt in PROMPTS:
                with self.subTest(step=step, prompt=prompt):
                    self.compare(tokenizer, model, step, prompt)

    def test_the_tokenizer_of_a_snapshot_gives_transformers_the_ids_we_train_on(self):
        folder = os.path.join(self.folder, "snapshot-ids")
        self.tidemill("get", "base", folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        documents = json.loads(self.tidemill("inspect", "docs.valid", "--json", "--full", "-n", "10"))["records"]
        tokens = json.loads(self.tidemill("inspect", "base.valid", "--json", "--full", "-n", "10"))["records"]
        for document, row in zip(documents, tokens):
            self.assertEqual(tokenizer(document["text"]).input_ids, [tokenizer.eos_token_id] + row["ids"])


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv[:1])
