#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning and preference training end to end: going on after kills, epochs, early stopping, adapters.

usage: test_trainers.py PROGRAM [unittest arguments]
"""
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))

WORDS = ("the of and a to in is was for on that with as by it at from his her which be this are not or an had but one "
         "river mill tide water stone wheel grain flour miller moon sea harbour boat night morning light").split()

BASE = """
local tm = require "tidemill"
local p = tm.params {
  epochs = tm.int { 2, min = 1 }, every = tm.int { 7, min = 1 }, adapter = tm.bool { true }, batch = tm.int { 512, min = 8 },
  schedule = tm.choice { "wsd", choices = { "wsd", "cosine" } },
  loss = tm.choice { "sigmoid", choices = { "sigmoid", "ipo" } },
}
local docs  = tm.split { tm.read { "corpus/*.txt" }, valid = 0.15 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local base  = tm.pretrain { tm.llama { layers = 2, width = 32, heads = 4, length = 96 }, tokenizer = vocab,
                            data = docs.train, steps = 10, batch = 256, length = 64, lr = 3e-3 }
local lora  = p.adapter and tm.lora { rank = 4, alpha = 8, dropout = 0.1 } or nil
local function cut(text)
  local middle = text:find(" ", #text // 2, true)
  return text:sub(1, middle - 1), text:sub(middle + 1, -2)
end
local halves = tm.stage { name = "halves", gives = "chat", each = function(doc, o, emit)
  local asked, answer = cut(doc.text)
  emit { messages = { { role = "user", content = asked }, { role = "assistant", content = answer } } }
end }
local twins = tm.stage { name = "twins", gives = "preference", each = function(doc, o, emit)
  local asked, answer = cut(doc.text)
  emit { prompt = asked, chosen = answer, rejected = answer:reverse() }
end }
local sched = p.schedule == "wsd" and tm.wsd { warmup = 3, decay = 0.3 } or tm.cosine { warmup = 0 }
"""
SFT = BASE + """
local tuned = tm.sft { base, data = halves { docs.train }, valid = halves { docs.valid },
                       epochs = p.epochs, batch = p.batch, length = 96, lr = 3e-3, adapter = lora, schedule = sched,
                       checkpoint_every = p.every STOP }
return tm.graph { docs = docs, base = base, tuned = tuned }
"""
DPO = BASE + """
local tuned = tm.sft { base, data = halves { docs.train }, steps = 5, batch = 512, length = 96, lr = 1e-3,
                       adapter = lora, schedule = tm.constant { warmup = 0 } }
local first = tm.dpo { tuned, data = twins { docs.train }, valid = twins { docs.valid },
                       steps = 1, batch = 1024, length = 96, lr = 1e-4, loss = p.loss }
local dpo   = tm.dpo { tuned, data = twins { docs.train }, valid = twins { docs.valid },
                       epochs = p.epochs, batch = p.batch, length = 96, lr = 1e-3, schedule = sched, loss = p.loss,
                       checkpoint_every = p.every }
return tm.graph { docs = docs, base = base, tuned = tuned, first = first, dpo = dpo }
"""

CHAIN = BASE + """
local chat  = tm.split { tm.read { "chat.jsonl", format = "chat" }, valid = 0.1 }
local prefs = tm.split { tm.read { "pairs.jsonl", format = "preference" }, valid = 0.1 }
local tuned = tm.sft { base, data = chat.train, valid = chat.valid, epochs = 1, length = 96, batch = 512, lr = 3e-3,
                       adapter = tm.lora { rank = 4 } }
local dpo   = tm.dpo { tuned, data = prefs.train, valid = prefs.valid, epochs = 1, length = 96, batch = 1024, lr = 1e-3,
                       beta = BETA }
return tm.graph { tuned = tuned, dpo = dpo, final = tm.merge { dpo } }
"""


def document(seed):
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(6, 24))) + "\n"


class Trainers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidemill-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.mkdir(self.path("corpus"))
        for i in range(160):
            self.write(f"corpus/{i:04}.txt", document(i))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def graph(self, text, stop=""):
        self.write("graph.lua", text.replace("STOP", stop))

    def tidemill(self, *args, store="store", code=0):
        done = subprocess.run([PROGRAM, *args, "--store", self.path(store)], cwd=self.folder, capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def run_graph(self, *args, store="store", code=0):
        return json.loads(self.tidemill("run", "graph.lua", "--json", *args, store=store, code=code))

    def artifact(self, address, store="store"):
        return json.loads(self.tidemill("inspect", address, "--json", store=store))["artifact"]

    def state(self, node, *args, store="store"):
        plan = json.loads(self.tidemill("plan", "graph.lua", "--json", *args, store=store))["nodes"]
        return plan[node]["state"], plan[node]["reason"]

    def metrics(self, node, store="store"):
        rows = json.loads(self.tidemill("inspect", f"{node}.metrics", "--json", "-n", "1000", store=store))["records"]
        return {(row["name"], row["step"]): row["value"] for row in rows}

    def last_model(self, node, store="store"):
        """Bytes of what training made: the adapter if there is one, else the weights."""
        place = self.path(f"got-{store}-{node}")
        shutil.rmtree(place, ignore_errors=True)
        self.tidemill("get", node, place, store=store)
        names = [n for n in ("adapter_model.safetensors", "model.safetensors") if os.path.exists(os.path.join(place, n))]
        with open(os.path.join(place, names[0]), "rb") as file:
            return file.read()

    def stop_while_training(self, node, how, store, *args):
        """Start a run, send a signal once the node has made three snapshots, and wait for its end."""
        process = subprocess.Popen([PROGRAM, "run", "graph.lua", node, *args, "--store", self.path(store)], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seen = 0
        for line in process.stderr:
            seen += node in line and "valid.loss" in line
            if seen >= 3:
                process.send_signal(how)
                break
        process.stderr.read()
        process.stderr.close()
        return process.wait(timeout=60)

    def interrupted_goes_on_bit_for_bit(self, node, *args):
        self.run_graph(node, *args, store="whole")
        for how, expected in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
            for attempt in range(5):  # on a busy machine the end may come before the signal, or that before the disk
                store = how.name + str(attempt)
                code = self.stop_while_training(node, how, store, *args)
                state = self.state(node, *args, store=store)[0]
                if code and state.startswith("resume"):
                    break
            self.assertEqual(code, expected)
            self.assertRegex(state, "resume from [1-9]")
            again = self.run_graph(node, *args, store=store)
            self.assertLess(again["done"], 4, "what was done before is done again")
            for address in (node, f"{node}.metrics"):
                self.assertEqual(self.artifact(address, store), self.artifact(address, "whole"),
                                 f"{address} after {how.name}")

    def test_fine_tuning_that_was_interrupted_goes_on_bit_for_bit(self):
        self.graph(SFT)
        self.interrupted_goes_on_bit_for_bit("tuned", "--set", "epochs=20", "--set", "every=15", "--set", "adapter=false")

    def test_fine_tuning_of_an_adapter_with_dropout_goes_on_bit_for_bit(self):
        self.graph(SFT)
        self.interrupted_goes_on_bit_for_bit("tuned", "--set", "epochs=20", "--set", "every=15")

    def test_preference_training_that_was_interrupted_goes_on_bit_for_bit(self):
        self.graph(DPO)
        self.interrupted_goes_on_bit_for_bit("dpo", "--set", "epochs=12", "--set", "every=9")

    def stop_in_the_second_step(self, seconds):
        """Ctrl-C so long after the first of two steps; False if the run came to its end before that."""
        shutil.rmtree(self.path("store"), ignore_errors=True)
        process = subprocess.Popen([PROGRAM, "run", "graph.lua", "--store", self.path("store")], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "running   1 of" in line:
                time.sleep(seconds)
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        process.stderr.close()
        code = process.wait(timeout=60)
        self.assertIn(code, (0, 130), rest)
        return code == 130

    def test_a_point_kept_where_the_data_ends_gets_its_snapshot(self):
        self.write("graph.lua", BASE + """
local long = tm.pretrain { tm.llama { layers = 6, width = 240, heads = 6, length = 96 }, tokenizer = vocab, data = docs.train,
                           valid = docs.valid, epochs = 1, steps = 50, batch = 3600, length = 64 }
return tm.graph { long = long }""")
        for attempt in range(5):
            if self.stop_in_the_second_step(0.2 / 4 ** attempt):
                break
        self.assertRegex(self.state("long")[0], "resume from [12]")  # 1 on a machine that was busy elsewhere
        self.run_graph()
        self.run_graph(store="whole")
        self.assertEqual(self.artifact("long"), self.artifact("long", "whole"))
        self.assertEqual(self.metrics("long"), self.metrics("long", "whole"))

    def test_the_number_of_cores_changes_no_bit(self):
        self.graph(DPO)
        self.run_graph("--cores", "1", store="one")
        self.run_graph("--cores", "2", store="two")
        for address in ("tuned", "dpo", "dpo.metrics"):
            self.assertEqual(self.artifact(address, "one"), self.artifact(address, "two"), address)

    def test_a_second_run_is_all_cache(self):
        self.graph(DPO)
        self.run_graph()
        again = self.run_graph()
        self.assertEqual((again["done"], again["failed"]), (0, 0))

    def test_more_epochs_go_on_from_the_end_of_the_stable_part(self):
        self.graph(SFT)
        self.run_graph("--set", "epochs=2")
        state, reason = self.state("tuned", "--set", "epochs=5")
        self.assertRegex(state, "resume from [1-9]", reason)
        self.gives_what_an_empty_store_gives("tuned", "--set", "epochs=5")

    def gives_what_an_empty_store_gives(self, node, *args):
        """Weights, the list of snapshots, and measures."""
        self.run_graph(node, *args)
        self.run_graph(node, *args, store="fresh")
        for address in (node, f"{node}.metrics"):
            self.assertEqual(self.artifact(address), self.artifact(address, "fresh"), address)

    def test_more_epochs_of_preference_training_go_on_too(self):
        self.graph(DPO)
        self.run_graph("dpo", "--set", "epochs=2")
        state, reason = self.state("dpo", "--set", "epochs=5")
        self.assertRegex(state, "resume from [1-9]", reason)
        self.gives_what_an_empty_store_gives("dpo", "--set", "epochs=5")

    def test_patience_is_remembered_where_more_epochs_go_on(self):
        self.graph(SFT, ", valid_every = 4, stop = { patience = 9 }")
        args = ("--set", "adapter=false", "--set", "every=9")
        self.run_graph("tuned", *args, "--set", "epochs=4")
        state, reason = self.state("tuned", *args, "--set", "epochs=9")
        self.assertRegex(state, "resume from [1-9]", reason)
        self.gives_what_an_empty_store_gives("tuned", *args, "--set", "epochs=9")

    def test_epochs_that_end_a_training_early_can_be_raised(self):
        self.write("graph.lua", BASE + """
local long = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4, length = 96 }, tokenizer = vocab, data = docs.train,
                           epochs = p.epochs, steps = 60, batch = 700, length = 64, checkpoint_every = 2,
                           schedule = tm.wsd { warmup = 3, decay = 0.2 } }
return tm.graph { long = long }""")
        self.run_graph("--set", "epochs=1")
        state, reason = self.state("long", "--set", "epochs=3")
        self.assertRegex(state, "resume from [1-9]", reason)
        self.gives_what_an_empty_store_gives("long", "--set", "epochs=3")

    def test_steps_can_take_the_place_of_epochs(self):
        self.graph(SFT)
        self.run_graph("--set", "epochs=2")
        self.graph(SFT.replace("epochs = p.epochs", "steps = 60"))
        self.assertRegex(self.state("tuned")[0], "resume from [1-9]")
        self.gives_what_an_empty_store_gives("tuned")

    def test_fewer_epochs_start_over_and_the_plan_says_why(self):
        self.graph(SFT)
        self.run_graph("--set", "epochs=3")
        state, reason = self.state("tuned", "--set", "epochs=2")
        self.assertEqual(state, "run")
        self.assertIn("epochs", reason)

    def test_more_epochs_of_a_cosine_start_over(self):
        self.graph(SFT)
        self.run_graph("--set", "schedule=cosine")
        state, reason = self.state("tuned", "--set", "schedule=cosine", "--set", "epochs=4")
        self.assertEqual(state, "run", reason)

    def test_the_loss_falls_and_the_best_snapshot_is_there(self):
        self.graph(SFT)
        self.run_graph("--set", "epochs=6")
        metrics = sorted(self.metrics("tuned").items(), key=lambda item: item[0][1])
        values = [value for (name, _), value in metrics if name == "valid.loss"]
        self.assertLess(values[-1], values[0])
        best = 'best = tm.sft { tuned:best "valid.loss", data = halves { docs.train }, steps = 1, batch = 512, length = 96 }'
        self.graph(SFT.replace("tuned = tuned", "tuned = tuned, " + best))
        self.assertEqual(self.run_graph("--set", "epochs=6")["status"], "done")

    def test_training_stops_when_a_measure_gets_no_better(self):
        self.graph(SFT, ", valid_every = 3, stop = { patience = 2 }")
        args = ("--set", "epochs=40", "--set", "adapter=false", "--set", "batch=1024")
        self.run_graph(*args)
        losses = sorted((step, value) for (name, step), value in self.metrics("tuned").items() if name == "valid.loss")
        self.assertIn("stopped: valid.loss", self.tidemill("logs", "tuned"))
        compared = [(step, value) for step, value in losses if step % 3 == 0]
        best = min(compared, key=lambda pair: pair[1])
        self.assertEqual(compared[-1][0], best[0] + 6, losses)

    def test_patience_is_remembered_over_an_interruption(self):
        self.graph(SFT, ", valid_every = 4, stop = { patience = 4 }")
        self.interrupted_goes_on_bit_for_bit("tuned", "--set", "epochs=60", "--set", "adapter=false", "--set", "every=9")

    def test_the_first_loss_is_ln_2_with_the_adapter_in_the_reference(self):
        self.graph(DPO)
        self.run_graph("first")
        self.assertAlmostEqual(self.metrics("first")["train.loss", 1], math.log(2), delta=1e-6)
        self.assertAlmostEqual(self.metrics("first")["train.rewards.margins", 1], 0, delta=1e-5)
        reference = json.loads(self.tidemill("inspect", "first.data", "--json", "-n", "3"))["records"]
        self.assertLess(reference[0]["ref_chosen"], 0)

    def test_the_first_loss_of_ipo_is_that_of_no_margin(self):
        self.graph(DPO)
        self.run_graph("first", "--set", "loss=ipo")
        self.assertAlmostEqual(self.metrics("first")["train.loss", 1], (1 / (2 * 0.1)) ** 2, delta=1e-4)

    def test_preferences_are_learned(self):
        self.graph(DPO)
        self.run_graph("--set", "epochs=6")
        metrics = self.metrics("dpo")
        last = max(step for name, step in metrics if name == "valid.rewards.accuracies")
        self.assertGreater(metrics["valid.rewards.accuracies", last], 0.8)
        self.assertGreater(metrics["valid.rewards.margins", last], 0.05)
        self.assertLess(metrics["valid.loss", last], math.log(2))

    def test_conversations_and_preferences_go_through_the_whole_chain(self):
        draw = random.Random(8)
        said = [" ".join(draw.choice(WORDS) for _ in range(5)) for _ in range(80)]
        self.write("chat.jsonl", "".join(json.dumps({"messages": [
            {"role": "user", "content": "say " + s}, {"role": "assistant", "content": s}]}) + "\n" for s in said))
        self.write("pairs.jsonl", "".join(json.dumps({"prompt": "say " + s, "chosen": s, "rejected": s[::-1]}) + "\n"
                                          for s in said))
        self.graph(CHAIN.replace("BETA", "0.1"))
        self.run_graph()
        self.assertIn(("valid.rewards.margins", 1), {(name, min(step, 1)) for name, step in self.metrics("dpo")})
        self.assertTrue(self.last_model("final"))
        self.graph(CHAIN.replace("BETA", "0.2"))
        plan = json.loads(self.tidemill("plan", "graph.lua", "--json"))["nodes"]
        self.assertEqual({name for name, node in plan.items() if node["state"] != "cached"}, {"dpo", "final"})

    def test_held_out_data_of_which_there_are_none_are_an_error_that_says_so(self):
        none = "tm.stage { name = 'none', gives = 'chat', each = function() return 'none' end }"
        self.graph(SFT.replace("local tuned", f"local none = {none}\nlocal tuned").replace("valid = halves", "valid = none"))
        err = json.loads(self.tidemill("run", "graph.lua", "--json", code=1))["error"]
        self.assertIn("valid has nothing to measure on", err["what"])
        self.assertRegex(err["why"], r"none of \d+ records came out \(none \d+\)")
        self.assertRegex(err["fix"], r"`tidemill inspect r\d+:\S+\.removed` shows")

    def test_a_length_that_leaves_nothing_is_an_error_that_says_so(self):
        self.graph(SFT.replace("length = 96, lr = 3e-3, adapter", "length = 2, lr = 3e-3, adapter"))
        done = subprocess.run([PROGRAM, "run", "graph.lua", "--store", self.path("store")], cwd=self.folder, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing to train on", done.stderr)
        self.assertIn("length", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
