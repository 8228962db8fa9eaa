#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chat and preference data end to end: read, tokenized by conversions that the graph puts in, learned from.

usage: test_chat.py PROGRAM [unittest arguments]
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
GRAPH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chat.lua")
WORDS = "the of and a to in is was for on that with as by it at from this river mill tide water stone".split()


def words(draw, n):
    return " ".join(draw.choices(WORDS, k=n))


def chat_line(draw, i):
    turns = [words(draw, 5) for _ in range(4 if i % 3 == 0 else 2)]
    if i % 2:
        return {"question": turns[0], "answer": turns[1]}
    return {"id": f"c{i}", "conversations": [{"from": "gpt" if k % 2 else "human", "value": t} for k, t in enumerate(turns)]}


class Chat(unittest.TestCase):
    def setUp(self):
        draw = random.Random(7)
        self.folder = tempfile.mkdtemp(prefix="tidemill-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copy(GRAPH, self.path("graph.lua"))
        self.write("text.txt", words(draw, 2000))
        lines = [json.dumps(chat_line(draw, i)) for i in range(40)] + ['{"text": "no chat"}', "no json"]
        self.write("chat.jsonl", "\n".join(lines) + "\n")
        self.write("prefs.jsonl", "".join(json.dumps({"prompt": words(draw, 5), "chosen": words(draw, 6),
                                                      "rejected": words(draw, 7)}) + "\n" for _ in range(40)))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def tidemill(self, *args):
        done = subprocess.run([PROGRAM, *args], cwd=self.folder, capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def run_graph(self):
        return json.loads(self.tidemill("run", "graph.lua", "--json", "--store", self.path("store")))

    def test_the_chain_runs_once_and_bad_lines_are_counted(self):
        plan = json.loads(self.tidemill("plan", "graph.lua", "--json", "--store", self.path("store")))["nodes"]
        for inserted in ("tuned.valid", "final.data", "final.data.pairs"):
            self.assertIn(inserted, plan)
        self.run_graph()
        logs = self.tidemill("logs", "lines", "--store", self.path("store"))
        self.assertIn("chat.jsonl:41: there is no prompt", logs)
        self.assertIn("chat.jsonl:42: no JSON object", logs)
        plan = json.loads(self.tidemill("plan", "graph.lua", "--json", "--store", self.path("store")))["nodes"]
        self.assertEqual({node["state"] for node in plan.values()}, {"cached"})

    def test_a_port_that_stands_for_another_is_told_so(self):
        self.run_graph()
        done = subprocess.run([PROGRAM, "inspect", "tuned.tokenizer", "--store", self.path("store")], cwd=self.folder,
                              capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("tuned.tokenizer is that of the main input of tuned", done.stderr)
        self.assertIn("tokenizer: 1 snapshot", self.tidemill("inspect", "vocab", "--store", self.path("store")))

    def test_a_line_added_leaves_the_base_model_as_it_is(self):
        self.run_graph()
        with open(self.path("chat.jsonl"), "a", encoding="utf-8") as file:
            file.write('{"input": "a", "output": "b"}\n')
        plan = json.loads(self.tidemill("plan", "graph.lua", "--json", "--store", self.path("store")))["nodes"]
        self.assertEqual(plan["base"]["state"], "cached")
        self.assertEqual(plan["final.data.pairs"]["state"], "cached")
        self.assertEqual(plan["lines"]["state"], "run")
        self.assertNotEqual(plan["tuned"]["state"], "cached")


if __name__ == "__main__":
    unittest.main()
