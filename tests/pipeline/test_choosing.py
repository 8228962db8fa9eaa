#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sweeps, comparing, picking the best, and gates, on models of a few thousand parameters.

usage: test_choosing.py PROGRAM [unittest arguments]
"""
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
WORDS = "the river mill and tide water stone of a wheel grain in flour moon to sea was harbour boat night".split()

GRAPH = """
local tm = require "tidemill"
local p = tm.params { need = tm.string { "'lr=1e-3,seed=1'.text.loss > 0" } }
local docs  = tm.split { tm.read { "corpus/*.txt" }, valid = 0.2 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local trials = tm.sweep({ lr = { 1e-3, 1e-2 }, seed = { 1, 2 } }, function(v)
  return tm.pretrain { tm.llama { layers = 1, width = 16, heads = 2, length = 32 }, tokenizer = vocab, data = docs.train,
                       valid = docs.valid, steps = 8, batch = 128, length = 32, lr = v.lr, seed = v.seed }
end)
local exam  = tm.evaluate { trials, tasks = { text = tm.perplexity { docs.valid, length = 32 } } }
local seeds = tm.compare { trials, by = { "valid.loss" }, over = "seed" }
local all   = tm.compare { { training = trials, exam = exam } }
local base  = tm.best { trials, by = "valid.loss", over = "seed" }
local same  = tm.best { trials, on = exam, by = "text.loss" }
local worst = tm.best { trials, on = exam, by = "text.loss", want = "most" }
local good  = tm.gate { base, on = exam, require = p.need }
local text  = tm.gate { docs.valid, on = { a = exam, b = trials["lr=1e-3,seed=1"] },
                        require = "a.'lr=1e-3,seed=1'.text.loss < b.valid.loss * 2" }
local again = tm.evaluate { good, tasks = { text = tm.perplexity { text } } }
return tm.graph { trials = trials, exam = exam, seeds = seeds, all = all, base = base, same = same, worst = worst, good = good,
                  text = text, docs = docs, vocab = good.tokenizer, again = again }
"""

TABLES = """
local tm = require "tidemill"
local docs  = tm.split { tm.read { "corpus/*.txt" }, valid = 0.2 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local trials = tm.sweep({ { lr = 1e-3 }, { lr = 1e-2 } }, function(v)
  local model = tm.pretrain { tm.llama { layers = 1, width = 16, heads = 2, length = 32 }, tokenizer = vocab,
                              data = docs.train, steps = 8, batch = 128, length = 32, lr = v.lr }
  return { model = model, exam = tm.evaluate { model, tasks = { text = tm.perplexity { docs.valid, length = 32 } } } }
end)
return tm.graph { trials = trials, base = tm.best { trials, by = "text.bits_per_byte" } }
"""


class Choosing(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidemill-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.mkdir(os.path.join(self.folder, "corpus"))
        draw = random.Random(7)
        for i in range(40):
            self.write(f"corpus/{i:02}.txt", " ".join(draw.choice(WORDS) for _ in range(60)))
        self.write("graph.lua", GRAPH)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def tidemill(self, *args, code=0):
        done = subprocess.run([PROGRAM, *args, "--store", "store"], cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def metrics(self, address):
        """The last value, error and count of each metric."""
        return {row["name"]: (row["value"], row.get("error"), row["count"])
                for row in json.loads(self.tidemill("inspect", address, "--json"))["records"]}

    def artifact(self, address):
        return json.loads(self.tidemill("inspect", address, "--json"))["artifact"]

    def weights(self, address):
        place = os.path.join(self.folder, "got")
        shutil.rmtree(place, ignore_errors=True)
        self.tidemill("get", address, place)
        with open(os.path.join(place, "model.safetensors"), "rb") as file:
            return file.read()

    def states(self, *args):
        return {name: node["state"] for name, node in
                json.loads(self.tidemill("plan", "graph.lua", "--json", *args))["nodes"].items()}

    def test_points_of_a_sweep_are_compared_and_the_best_comes_out(self):
        out = self.tidemill("run", "graph.lua")
        points = {(lr, seed): self.metrics(f"trials/lr={lr},seed={seed}.metrics")["valid.loss"][0]
                  for lr in ("1e-3", "0.01") for seed in (1, 2)}
        means = {lr: statistics.mean([points[lr, 1], points[lr, 2]]) for lr in ("1e-3", "0.01")}
        seeds = self.metrics("seeds")
        self.assertEqual(set(seeds), {"lr=1e-3.valid.loss", "lr=0.01.valid.loss"})
        for lr, mean in means.items():
            value, error, count = seeds[f"lr={lr}.valid.loss"]
            self.assertAlmostEqual(value, mean, places=9)
            self.assertAlmostEqual(error, abs(points[lr, 1] - points[lr, 2]) / 2, places=9)
            self.assertEqual(count, 2)
        self.assertIn("lr=0.01", next(line for line in out.splitlines() if line.startswith("seeds ")))
        best = min(means, key=means.get)
        seed = min((1, 2), key=lambda s: points[best, s])
        self.assertEqual(self.weights("base"), self.weights(f"trials/lr={best},seed={seed}"))
        self.assertEqual(self.metrics("base.metrics"), seeds)
        self.assertEqual(self.artifact("good"), self.artifact("base"))
        self.assertEqual(self.artifact("text"), self.artifact("docs.valid"))
        self.assertEqual(len(self.metrics("all")), 4 * 2 + 4 * 4)

    def test_a_metric_of_an_evaluation_decides_either_way(self):
        self.tidemill("run", "graph.lua", "same", "worst", "exam")
        losses = {name[:-len(".text.loss")]: row[0] for name, row in self.metrics("exam").items() if name.endswith(".text.loss")}
        self.assertEqual(self.weights("same"), self.weights("trials/" + min(losses, key=losses.get)))
        self.assertEqual(self.weights("worst"), self.weights("trials/" + max(losses, key=losses.get)))

    def test_a_gate_that_does_not_hold_fails_with_the_values_and_stops_what_depends_on_it(self):
        self.tidemill("run", "graph.lua", "base", "exam")
        self.assertEqual((self.states()["good"], self.states()["again"]), ("run", "run"))
        need = "need='lr=1e-3,seed=1'.text.loss < 1"
        out = self.tidemill("run", "graph.lua", "again", "--set", need, code=1)
        loss, error, _ = self.metrics("exam")["lr=1e-3,seed=1.text.loss"]
        self.assertIn(f"does not hold: 'lr=1e-3,seed=1'.text.loss < 1\n", out)
        self.assertIn(f"why    lr=1e-3,seed=1.text.loss = {loss:.6g} +- {error:.2g}\n", out)
        self.assertIn("1 failed, 1 not run", out)
        self.assertEqual(json.loads(self.tidemill("run", "graph.lua", "again", "--json"))["failed"], 0)

    def test_a_second_run_is_all_cache_and_a_gate_waits_for_the_bytes_of_what_it_lets_pass(self):
        self.tidemill("run", "graph.lua")
        self.assertEqual(set(self.states().values()), {"cached"})
        self.assertEqual(json.loads(self.tidemill("run", "graph.lua", "--json"))["done"], 0)
        self.write("corpus/00b.txt", "the mill")
        states = self.states()
        self.assertEqual(states["read"], "run")
        self.assertEqual({states[name] for name in ("good", "base", "seeds", "text")}, {"maybe"})
        # Other gates before the same bytes: nothing behind them is done again.
        os.remove(os.path.join(self.folder, "corpus/00b.txt"))
        done = json.loads(self.tidemill("run", "graph.lua", "--json", "--set", "need='lr=1e-3,seed=1'.text.loss < 100"))
        self.assertEqual((done["done"], done["failed"]), (1, 0))

    def test_a_point_may_be_a_table_of_a_model_and_what_judges_gave(self):
        self.write("graph.lua", TABLES)
        self.tidemill("run", "graph.lua")
        bits = {lr: self.metrics(f"trials/lr={lr}.exam")["text.bits_per_byte"][0] for lr in ("1e-3", "0.01")}
        self.assertEqual(self.weights("base"), self.weights(f"trials/lr={min(bits, key=bits.get)}.model"))


if __name__ == "__main__":
    unittest.main()
