#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real stages end to end, on a small made-up corpus: caching, resuming, growth, order.

usage: test_pipeline.py PROGRAM [unittest arguments]
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))

WORDS = ("the of and a to in is was for on that with as by it at from his her which be this are not or an had "
         "but one all their have been were there would when who will more no if out so up said what its about "
         "time than into could them these some then two may only other new after before river mill tide water "
         "stone wheel grain flour miller moon sea harbour boat night morning light wind town people work house").split()

GRAPH = """
local tm = require "tidemill"
local p = tm.params { steps = tm.int { 40, min = 1 }, every = tm.int { 10, min = 1 },
                      schedule = tm.choice { "wsd", choices = { "wsd", "cosine", "constant" } } }
local schedules = { wsd = tm.wsd { warmup = 5, decay = 0.5 }, cosine = tm.cosine { warmup = 0 },
                    constant = tm.constant { warmup = 5 } }
local clean = tm.curate { tm.read { "corpus/*.txt" }, tm.fix_unicode {}, tm.gopher { without = { "punctuation" } },
                          tm.exact_dedup {}, tm.fuzzy_dedup {} }
local docs  = tm.split { clean, valid = 0.1 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local base  = tm.pretrain { tm.llama { layers = 2, width = 32, heads = 4, length = 64 }, tokenizer = vocab,
                            data = docs.train, valid = docs.valid, steps = p.steps, batch = 256, length = 64, lr = 3e-3,
                            schedule = schedules[p.schedule], checkpoint_every = p.every }
local curve = tm.evaluate { base:each {}, tasks = { text = tm.perplexity { docs.valid, length = 64 } } }
return tm.graph { clean = clean, docs = docs, vocab = vocab, base = base, curve = curve }
"""


def document(seed, n_words=160):
    draw = random.Random(seed)
    words = [draw.choice(WORDS) for _ in range(n_words)]
    for i in range(9, n_words, 10):
        words[i] += "."
    return " ".join(words).capitalize() + "\n"


class Pipeline(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidemill-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.mkdir(self.path("corpus"))
        for i in range(150):
            self.write(f"corpus/{i:04}.txt", document(i))
        self.write("graph.lua", GRAPH)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def command(self, *args, store="store"):
        return [PROGRAM, args[0], *args[1:], "--store", self.path(store)]

    def tidemill(self, *args, store="store", code=0):
        done = subprocess.run(self.command(*args, store=store), cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def run_graph(self, *args, store="store", code=0):
        return json.loads(self.tidemill("run", "graph.lua", "--json", *args, store=store, code=code))

    def artifact(self, address, store="store"):
        return json.loads(self.tidemill("inspect", address, "--json", store=store))["artifact"]

    def states(self, *args, store="store"):
        plan = json.loads(self.tidemill("plan", "graph.lua", "--json", *args, store=store))
        return {name: (node["state"], node["reason"]) for name, node in plan["nodes"].items()}

    def stop_while_training(self, how, store, *args):
        """Start a run, send a signal once there are three snapshots, and wait for its end."""
        process = subprocess.Popen(self.command("run", "graph.lua", *args, store=store), cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seen = 0
        for line in process.stderr:
            seen += "valid.loss" in line
            if seen >= 3:
                process.send_signal(how)
                break
        process.stderr.read()
        process.stderr.close()
        return process.wait(timeout=60)

    def test_a_second_run_is_all_cache_and_gives_the_same_plan(self):
        first = self.run_graph()
        self.assertEqual(first["status"], "done")
        self.assertGreater(first["done"], 8)
        second = self.run_graph()
        self.assertEqual((second["done"], second["failed"]), (0, 0))
        self.assertEqual({state for state, _ in self.states().values()}, {"cached"})

    def test_the_number_of_cores_changes_no_bit(self):
        self.run_graph("--cores", "1", store="one")
        self.run_graph("--cores", "2", store="two")
        for address in ("clean", "docs.train", "vocab", "base", "base.metrics", "curve"):
            self.assertEqual(self.artifact(address, "one"), self.artifact(address, "two"), address)

    def test_an_interrupted_training_goes_on_bit_for_bit(self):
        self.run_graph("--set", "steps=300", "--set", "every=30", store="whole")
        for how, expected in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
            for attempt in range(5):  # on a busy machine the end may come before the signal, or that before the disk
                store = how.name + str(attempt)
                code = self.stop_while_training(how, store, "--set", "steps=300", "--set", "every=30")
                state = self.states("--set", "steps=300", "--set", "every=30", store=store)["base"][0]
                if code and state.startswith("resume"):
                    break
            self.assertEqual(code, expected)
            self.assertRegex(state, "resume from [1-9]")
            again = self.run_graph("--set", "steps=300", "--set", "every=30", store=store)
            self.assertLess(again["done"], 8, "what was done before is done again")
            for address in ("base", "base.metrics", "curve"):
                self.assertEqual(self.artifact(address, store), self.artifact(address, "whole"), f"{address} after {how.name}")

    def test_a_longer_training_goes_on_from_the_end_of_the_stable_part(self):
        self.run_graph("--set", "steps=40")
        state, _ = self.states("--set", "steps=80")["base"]
        self.assertEqual(state, "resume from 20")
        self.gives_what_an_empty_store_gives("--set", "steps=80")

    def gives_what_an_empty_store_gives(self, *args):
        """Weights, the list of snapshots, measures, and what was evaluated of every snapshot."""
        self.run_graph(*args)
        shutil.rmtree(self.path("whole"), ignore_errors=True)
        self.run_graph(*args, store="whole")
        for address in ("base", "base.metrics", "curve"):
            self.assertEqual(self.artifact(address), self.artifact(address, "whole"), (address, args))

    def test_a_longer_training_has_no_snapshot_or_measure_where_a_shorter_one_had_its_phases(self):
        every = ("--set", "every=15")
        for schedule, runs in (("wsd", ((46, 0), (84, 23), (150, 42))), ("constant", ((44, 0), (75, 44), (93, 75)))):
            for steps, start in runs:  # 15 and 75 have a snapshot in any of them, the other ends in one
                args = every + ("--set", f"schedule={schedule}", "--set", f"steps={steps}")
                if start:
                    self.assertEqual(self.states(*args)["base"][0], f"resume from {start}")
                self.gives_what_an_empty_store_gives(*args)

    def test_a_step_more_or_less_goes_on_only_where_the_stable_part_lasts(self):
        self.run_graph("--set", "steps=60", "--set", "every=15")
        self.assertEqual(self.states("--set", "steps=59", "--set", "every=15")["base"][0], "run")  # decays from 29 on
        self.assertEqual(self.states("--set", "steps=61", "--set", "every=15")["base"][0], "resume from 30")
        self.gives_what_an_empty_store_gives("--set", "steps=61", "--set", "every=15")

    def test_a_schedule_that_depends_on_steps_is_said_to_start_over(self):
        self.run_graph("--set", "steps=40", "--set", "schedule=cosine")
        state, reason = self.states("--set", "steps=80", "--set", "schedule=cosine")["base"]
        self.assertEqual(state, "run")
        self.assertIn("cosine depends on the number of steps", reason)

    def test_snapshots_elsewhere_are_another_result_and_the_plan_says_why(self):
        self.run_graph()
        state, reason = self.states("--set", "every=7")["base"]
        self.assertEqual(state, "run")
        self.assertIn("checkpoint_every 10 -> 7", reason)
        self.assertIn("it made snapshots every 10 steps, not every 7", reason)
        self.gives_what_an_empty_store_gives("--set", "every=7")
        self.assertEqual({state for state, _ in self.states().values()}, {"cached"})

    def test_snapshots_elsewhere_cost_nothing_where_there_were_none_before(self):
        self.run_graph("--set", "every=100")
        self.assertEqual(self.states("--set", "every=25")["base"][0], "resume from 20")
        self.gives_what_an_empty_store_gives("--set", "every=25")
        self.gives_what_an_empty_store_gives("--set", "every=20")

    def test_a_touched_file_reruns_nothing_and_a_new_one_reruns_what_it_reaches(self):
        self.run_graph()
        os.utime(self.path("corpus/0003.txt"))
        self.assertEqual({state for state, _ in self.states().values()}, {"cached"})
        self.write("corpus/0003b.txt", document(1003))
        states = self.states()
        self.assertEqual(states["read"][0], "run")
        self.assertIn("0003b.txt", states["read"][1])
        self.run_graph()
        self.run_graph(store="fresh")
        self.assertEqual(self.artifact("clean"), self.artifact("clean", "fresh"))

    def test_a_document_that_is_removed_again_upstream_stops_there(self):
        self.run_graph()
        self.write("corpus/9999.txt", document(5))  # the text of corpus/0005.txt: exact_dedup takes it out
        done = self.run_graph()
        self.assertEqual(done["status"], "done")
        states = json.loads(self.tidemill("status", "--json"))["nodes"]
        self.assertEqual(states["clean/exact_dedup"]["state"], "done")
        self.assertEqual(states["base"]["state"], "cached")

    def test_a_document_longer_than_a_micro_batch_is_trained_on_whole(self):
        self.write("corpus/0000.txt", document(0, 9000))
        more = GRAPH.replace("length = 64 }, tokenizer", "length = 10000 }, tokenizer")
        self.write("graph.lua", more.replace("batch = 256, length = 64", "batch = 10000, length = 10000"))
        self.run_graph("base", "--set", "steps=1")
        self.assertIn("10000 tokens an update", self.tidemill("logs"))

    def test_a_near_duplicate_names_the_one_that_is_kept(self):
        text = document(7, 300)
        rows = [{"id": "one", "text": text}, {"id": "x" * 50, "text": text.replace("mill", "mills", 1)},
                {"id": "three", "text": document(8, 300)}]
        self.write("docs.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        self.write("graph.lua", 'local tm = require "tidemill"\n'
                   'return tm.graph { kept = tm.curate { tm.read { "docs.jsonl", format = "jsonl" }, tm.fuzzy_dedup {} } }')
        self.run_graph()
        removed = json.loads(self.tidemill("inspect", "kept.removed", "--json"))["records"]
        self.assertEqual([(row["id"], row["meta"]["of"]) for row in removed], [("x" * 50, "one")])

    def test_hidden_files_are_neither_read_nor_part_of_a_key(self):
        self.write("graph.lua", GRAPH.replace("corpus/*.txt", "corpus"))
        self.run_graph("clean", store="corpus/.tidemill")
        self.write("corpus/.notes.txt", document(99999))
        self.assertEqual(self.run_graph("clean", store="corpus/.tidemill")["done"], 0)
        self.run_graph("clean")
        self.assertEqual(self.artifact("clean"), self.artifact("clean", "corpus/.tidemill"))

    def test_files_that_change_while_they_are_read_bind_nothing(self):
        big = "".join(document(2000 + i) for i in range(3000))
        for i in range(12):
            self.write(f"corpus/big{i}.txt", big + str(i))
        for attempt in range(5):  # on a busy machine they may have been read before they change
            process = subprocess.Popen(self.command("run", "graph.lua", "docs"), cwd=self.folder, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            for line in process.stderr:
                if "read" in line and "start" in line:
                    self.write("corpus/0000.txt", document(4242 + 2 * attempt))
                    self.write("corpus/zz.txt", document(4243 + 2 * attempt))
                    break
            out, err = process.communicate(timeout=60)
            if process.returncode:
                break
        self.assertEqual(process.returncode, 1, out + err)
        self.assertIn("changed while they were read", err)
        self.run_graph("docs")
        self.run_graph("docs", store="fresh")
        self.assertEqual(self.artifact("docs.train"), self.artifact("docs.train", "fresh"))

    def test_an_empty_corpus_is_an_error_that_names_the_remedy(self):
        for name in os.listdir(self.path("corpus")):
            os.remove(os.path.join(self.folder, "corpus", name))
        done = subprocess.run(self.command("run", "graph.lua"), cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("corpus/*.txt", done.stderr)
        self.assertIn("graph.lua:", done.stderr)

    def test_documents_that_are_all_removed_end_in_an_error_that_says_so(self):
        self.write("graph.lua", GRAPH.replace('without = { "punctuation" }', 'bounds = { "word_count=100000.." }'))
        done = subprocess.run(self.command("run", "graph.lua"), cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("no documents to learn from", done.stderr)

    def test_a_store_is_whole_after_runs_and_kills(self):
        self.stop_while_training(signal.SIGKILL, "store")
        self.run_graph()
        report = json.loads(self.tidemill("verify", "--json"))
        self.assertEqual(report["corrupt"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
