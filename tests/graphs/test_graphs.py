#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""graphs/math.lua and graphs/adapt.lua run as they are, made small by their parameters: from scratch, on problems from a
file, from a given model; a second run is all cache.

usage: test_graphs.py PROGRAM
"""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
GRAPHS = pathlib.Path(__file__).resolve().parents[2] / "graphs"
WORDS = ("the of and a to in is was for on that with as by it at from his her which be this are not or an had but one all "
         "river mill tide water stone wheel grain harbour moon flour miller sack").split()
SMALL = {"count": 200, "steps": 10, "epochs": 1, "judged": 10}
ADAPTED = {"model": "../base", "corpus": "../pages", "guard": "../guard/*.md", "chats": 20, "pairs": 10, "judged": 8}


def sentence(draw, first):
    return " ".join([first, *(draw.choice(WORDS) for _ in range(draw.randrange(10, 20)))]) + "."


def page(seed):
    """HTML with headings, each before a sentence that answers, and sentences that lean on one before them."""
    draw, parts = random.Random(seed), [f"<h1>Chapter {seed}</h1>"]
    for k in range(6):
        said = [sentence(draw, "Every"), sentence(draw, "This"), sentence(draw, "These")]
        parts.append(f"<h2>{draw.choice(WORDS).title()} and {draw.choice(WORDS)} {seed}{'abcdef'[k]}</h2><p>{' '.join(said)}</p>")
    return f"<html><head><title>{seed}</title></head><body>{''.join(parts)}</body></html>"


class Graphs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="tidemill-test-")
        cls.addClassCleanup(cls.holder.cleanup)
        cls.folder = pathlib.Path(cls.holder.name)
        shutil.copytree(GRAPHS, cls.folder / "graphs")
        for name in ("pages", "guard"):
            (cls.folder / name).mkdir()
        for i in range(40):
            (cls.folder / f"pages/{i:02}.html").write_text(page(i))
        for i in range(4):
            (cls.folder / f"guard/{i}.md").write_text(sentence(random.Random(i), "The") * 5)
        cls.run_graph("math.lua", SMALL)
        cls.tidemill("get", "base", "../base")

    @classmethod
    def tidemill(cls, *args, store="store"):
        done = subprocess.run([PROGRAM, *args, "--store", cls.folder / store], cwd=cls.folder / "graphs", capture_output=True,
                              text=True, timeout=300)
        if done.returncode:
            raise AssertionError(f"{args}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    @classmethod
    def run_graph(cls, graph, values, *nodes, store="store"):
        given = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        return json.loads(cls.tidemill("run", graph, *nodes, "--json", *given, store=store))

    def measures(self, store="store"):
        rows = json.loads(self.tidemill("inspect", "exam", "--json", "-n", "100", store=store))["records"]
        return {row["name"] for row in rows}

    def test_math_from_scratch_is_judged_and_then_all_cache(self):
        self.assertLessEqual({f"{model}.{what}" for model in ("base", "sft", "dpo")
                              for what in ("right.exact_match", "pref.accuracy")}, self.measures())
        again = self.run_graph("math.lua", SMALL)
        self.assertEqual((again["done"], again["failed"]), (0, 0))

    def test_math_takes_problems_from_a_file_and_a_given_model(self):
        draw = random.Random(1)
        rows = [{"question": f"{a} stones and {b} more?", "answer": f"{a}+{b} = <<{a}+{b}={a + b}>>{a + b}.\n#### {a + b}"}
                for a, b in ((draw.randrange(2000), draw.randrange(99)) for _ in range(200))]
        (self.folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.run_graph("math.lua", {**SMALL, "problems": "../problems.jsonl", "model": "../base"}, store="given")
        self.assertIn("dpo.right.exact_match", self.measures("given"))
        pairs = json.loads(self.tidemill("inspect", "prefs.train", "--json", "-n", "300", "--full", store="given"))["records"]
        held = json.loads(self.tidemill("inspect", "problems.valid", "--json", "-n", "300", "--full", store="given"))["records"]
        asked = lambda row: (json.loads(row["text"]).get("prompt") or json.loads(row["text"])["messages"])[0]["content"]
        self.assertTrue(pairs and held)
        self.assertFalse({asked(row) for row in held} & {asked(row) for row in pairs}, "held-out problems are learned from")
        for row in pairs:
            made = json.loads(row["text"])
            self.assertNotEqual(made["chosen"][0]["content"].split("####")[1], made["rejected"][0]["content"].split("####")[1])

    def test_adapt_is_judged_before_and_after_and_then_all_cache(self):
        self.run_graph("adapt.lua", ADAPTED, "exam", store="adapt")
        self.assertLessEqual({f"{model}.{what}" for model in ("before", "after")
                              for what in ("answers.loss", "pref.accuracy", "text.perplexity")}, self.measures("adapt"))
        again = self.run_graph("adapt.lua", ADAPTED, "exam", store="adapt")
        self.assertEqual((again["done"], again["failed"]), (0, 0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
