#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands as people type them, over the runs of one small graph.

usage: test_commands.py PROGRAM [unittest arguments]
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
import unittest

from workplace import GRAPH, PROGRAM, WithWorkplace, Workplace

HERE = os.path.dirname(os.path.abspath(__file__))
COMMANDS = sorted(name[:-2] for name in os.listdir(os.path.join(HERE, "../../lua/commands")) if name.endswith(".c"))


class AfterThreeRuns(WithWorkplace):
    """r1 made everything, r2 found all of it, r3 had another learning rate."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for flags in ((), (), ("--set", "lr=2e-3")):
            code, out, err = cls.place.tidemill("run", "graph.lua", "--quiet", *flags)
            assert code == 0, out + err

    def test_inspect_shows_documents_with_what_was_removed_from_them(self):
        out = self.ok("inspect", "clean", "-n", "2")
        self.assertIn("r3:clean  documents: 1 chunk, 60 records,", out)
        self.assertEqual(out.count("--- "), 2)
        shown = self.json("inspect", "r1:clean", "--count", "3", "--skip", "58")
        self.assertEqual((shown["rows"], len(shown["records"])), (60, 2))
        self.assertEqual(shown["counts"], {"removed.seen_before": 3})

    def test_inspect_of_removed_is_the_union_over_the_steps_of_a_curate_chain(self):
        removed = self.json("inspect", "clean.removed")
        self.assertEqual([(part["node"], part["rows"]) for part in removed["parts"]], [("clean/gopher", 3), ("clean", 3)])
        self.assertEqual(sorted(record["source"] for record in removed["records"]),
                         ["copy0.txt", "copy1.txt", "copy2.txt", "short0.txt", "short1.txt", "short2.txt"])
        self.ok("get", "clean.removed", "removed.jsonl")
        lines = [json.loads(line) for line in self.place.read("removed.jsonl").splitlines()]
        self.assertEqual([line["meta"] for line in lines], [record["meta"] for record in removed["records"]])
        gopher = self.json("inspect", "clean/gopher.removed")
        self.assertEqual({record["meta"]["removed"] for record in gopher["records"]}, {"gopher.word_count"})
        self.assertIn("Too short 0.", self.ok("inspect", "clean.removed"))

    def test_inspect_lists_the_files_of_a_snapshot(self):
        self.assertRegex(self.ok("inspect", "base"), r"model: 3 snapshots, \d+ KB\n(.*\n)*.* model\.safetensors\n")
        tensors = {tensor["name"]: tensor for tensor in self.json("inspect", "base")["tensors"]}
        self.assertEqual(tensors["model.embed_tokens.weight"]["shape"], [400, 32])
        self.assertIn("[400,32]         model.embed_tokens.weight\n", self.ok("inspect", "base", "--full"))
        self.assertEqual(self.json("inspect", "base@10")["attributes"], {"step": 10})
        self.assertEqual(self.json("inspect", "base")["attributes"], {"step": 20})
        best = self.json("inspect", "base@best")["attributes"]["step"]
        losses = {row["step"]: row["value"] for row in self.json("inspect", "base.metrics")["records"]
                  if row["name"] == "valid.loss"}
        self.assertEqual(best, min(losses, key=losses.get))

    def test_a_snapshot_may_be_named_in_every_way_that_comes_to_mind(self):
        for words in (["base@10"], ["base", "--step", "10"], ["base@step10"], ["base@step=10"], ["base:10"], ["base:at(10)"],
                      ["r2:base:at(10)"]):
            self.assertEqual(self.json("inspect", *words)["attributes"], {"step": 10}, words)
        for word in "base@last", "base@final", "base:latest", "base":
            self.assertEqual(self.json("inspect", word)["attributes"], {"step": 20}, word)
        self.assertEqual(self.json("inspect", 'base:best "valid.loss"'), self.json("inspect", "base@best"))
        self.assertIn("  the one of step 16, number 2 of 3\n", self.ok("inspect", "base@16"))
        self.assertIn("did you mean base@best?", self.fails(2, "inspect", "base@besst"))

    def test_metrics_of_one_step_can_be_named_and_other_results_have_no_snapshots(self):
        for words in ["curve@16"], ["curve", "--step", "16"]:
            self.assertEqual({row["step"] for row in self.json("inspect", *words)["records"]}, {16})
        self.assertIn("none of", self.ok("inspect", "curve@7"))
        self.assertIn("clean gives documents", self.fails(2, "inspect", "clean@10"))
        self.assertIn("name a step", self.fails(2, "inspect", "curve@best"))
        self.assertIn("all of curve", self.fails(2, "get", "curve@16", "part.jsonl"))

    def test_what_the_launcher_is_called_stands_in_commands_to_go_on_with(self):
        _, _, err = self.place.tidemill("run", "nothing.lua", env={"MILL_NAME": "./mill"})
        self.assertIn("\nlook   ./mill explain ", err)
        self.assertIn("`./mill init`", err)
        code, out, _ = self.place.tidemill("run", "nothing.lua", "--json", env={"MILL_NAME": "./mill"})
        self.assertNotIn("./mill", out)  # programs read the same everywhere
        _, _, err = self.place.tidemill("run", "nothing.lua", env={"MILL_NAME": "\x1b[2J"})
        self.assertIn("\nlook   tidemill explain ", err)

    def test_inspect_shows_metrics_as_a_table(self):
        self.assertRegex(self.ok("inspect", "curve"), r"\n +20  text\.bits_per_byte +\d\.\d+  \(\+-")
        steps = {row["step"] for row in self.json("inspect", "curve")["records"]}
        self.assertEqual(steps, {10, 16, 20})

    def test_an_address_of_a_past_run_gives_the_result_of_that_run(self):
        self.assertEqual(self.json("inspect", "r1:base")["artifact"], self.json("inspect", "r2:base")["artifact"])
        self.assertNotEqual(self.json("inspect", "r1:base")["artifact"], self.json("inspect", "r3:base")["artifact"])

    def test_a_misspelt_address_names_the_nearest(self):
        self.assertIn('did you mean "base"?', self.fails(2, "inspect", "bsae"))
        self.assertIn("did you mean docs.train?", self.fails(2, "inspect", "docs.tarin"))
        self.assertIn('its ports are "train", "valid"', self.fails(2, "inspect", "docs"))
        self.assertRegex(self.fails(2, "inspect", "base@11"), "no snapshot of step 11\n.*of step 10, 16, 20")
        self.assertIn("`tidemill runs` lists", self.fails(2, "inspect", "r9:base"))

    def test_get_writes_a_folder_or_lines_and_replaces_nothing(self):
        self.ok("get", "base@best", "mine/model")
        self.assertIn("model.safetensors", os.listdir(self.place.path("mine/model")))
        self.ok("get", "docs.valid", "valid.jsonl")
        lines = [json.loads(line) for line in self.place.read("valid.jsonl").splitlines()]
        self.assertEqual(len(lines), self.json("inspect", "docs.valid")["rows"])
        self.place.write("mine/notes.txt", "precious")
        for path in ("mine", "mine/model", "valid.jsonl"):
            self.assertIn("--force", self.fails(1, "get", "base" if path != "valid.jsonl" else "docs.valid", path))
        self.assertEqual(self.place.read("mine/notes.txt"), "precious")
        self.ok("get", "docs.train", "valid.jsonl", "--force")
        self.assertEqual(self.ok("get", "docs.train", "-"), self.place.read("valid.jsonl"))
        self.assertIn("folder", self.fails(2, "get", "base", "-"))
        self.assertEqual(self.ok("get", "r1:docs.valid", "again.jsonl"), "r1:docs.valid: again.jsonl\n")
        self.assertGreater(len(self.place.read("valid.jsonl").splitlines()), len(lines))

    def test_conversations_and_preferences_leave_as_they_are_read(self):
        place = Workplace()
        self.addCleanup(place.remove)
        call = {"type": "function", "function": {"name": "tide", "arguments": {"at": 0.30000001192092896, "of": 1.5}}}
        chats = [{"id": f"c{i}", "topic": "tides", "conversations": [{"from": "human", "value": f"When, {i}?\n"},
                 {"from": "gpt", "value": "At noon.", "tool_calls": [call]}], "tools": [{"name": "tide"}]} for i in range(9)]
        pairs = [{"prompt": f"{i} \u00e4?", "chosen": "yes", "rejected": "no", "score": 0.1} for i in range(9)]
        text = ['{"messages":[{"role":"user","content":"hello"}]}', "plain \"text\"\n"]
        texts = [{"id": f"t{k}", "text": one} for k, one in enumerate(text)]
        for name, rows in (("chats", chats), ("pairs", pairs), ("texts", texts)):
            place.write(f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

        def got(ending):
            place.write("graph.lua", 'local tm = require "tidemill"\n'
                        f'local pairs = tm.split {{ tm.read {{ "pairs{ending}", format = "preference" }}, valid = 0.5 }}\n'
                        f'return tm.graph {{ texts = tm.read {{ "texts{ending}", format = "jsonl" }}, pairs = pairs,\n'
                        f'  chats = tm.curate {{ tm.read {{ "chats{ending}", format = "chat" }}, tm.exact_dedup {{}} }} }}\n')
            self.assertEqual(place.tidemill("run", "graph.lua", "-q")[0], 0)
            for name in ("chats", "pairs.train", "pairs.valid", "texts"):
                code, out, err = place.tidemill("get", name, f"{name}.got", "--force")
                self.assertEqual(code, 0, out + err)
            return {name: [json.loads(line) for line in place.read(f"{name}.got").splitlines()]
                    for name in ("chats", "pairs.train", "pairs.valid", "texts")}
        first = got(".jsonl")
        self.assertEqual(first["chats"][0], {
            "id": "c0", "source": first["chats"][0]["source"], "messages": [
                {"role": "user", "content": "When, 0?\n"}, {"role": "assistant", "content": "At noon.", "tool_calls": [call]}],
            "tools": [{"name": "tide"}], "meta": {"topic": "tides"}})
        some = (first["pairs.train"] + first["pairs.valid"])
        self.assertEqual(sorted(row["prompt"][0]["content"] for row in some), [f"{i} \u00e4?" for i in range(9)])
        self.assertEqual(set(some[0]), {"id", "source", "prompt", "chosen", "rejected", "meta"})
        self.assertEqual([(row["id"], row["text"], row["meta"]) for row in first["texts"]],
                         [("t0", text[0], {}), ("t1", text[1], {})])
        before = {name: place.read(f"{name}.got") for name in first}
        for name in ("chats", "pairs", "texts"):
            place.write(f"{name}.again", "".join(before[one] for one in before if one.startswith(name)))
        again = got(".again")
        self.assertEqual(again["chats"], first["chats"])
        self.assertEqual(again["texts"], first["texts"])
        key = lambda row: row["id"]
        self.assertEqual(sorted(again["pairs.train"] + again["pairs.valid"], key=key), sorted(some, key=key))

    def test_a_folder_that_is_not_ours_is_never_replaced_by_to(self):
        place = Workplace()
        self.addCleanup(place.remove)
        place.write("graph.lua", 'local tm = require "tidemill"\nlocal v = tm.train_tokenizer { tm.read { "corpus/*.txt" }, '
                    'size = 300 }\nlocal m = tm.export { tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4 }, '
                    'tokenizer = v, data = tm.read { "corpus/*.txt" }, steps = 1, batch = 64, length = 64 }, '
                    'format = "hf", to = "out" }\nreturn tm.graph { m = m }\n')
        place.write("out/thesis.txt", "precious")
        code, out, err = place.tidemill("run", "graph.lua", "--quiet")
        self.assertEqual(code, 1, out + err)
        self.assertIn("was not put there by this store", err)
        self.assertEqual(place.tidemill("runs", "--json")[1], '{"runs":[]}\n')  # before any work
        self.assertIn("a run would be refused: m: ", place.tidemill("plan", "graph.lua")[2])
        self.assertEqual(json.loads(place.tidemill("plan", "graph.lua", "--json")[1])["refused"][0]["code"], "TM0306")
        self.assertEqual(place.tidemill("run", "graph.lua", "--smoke", "--quiet")[0], 0)
        self.assertIn("choose another place", json.loads(place.tidemill("run", "graph.lua", "--json")[1])["error"]["fix"])
        self.assertEqual(place.read("out/thesis.txt"), "precious")
        os.remove(place.path("out/thesis.txt"))
        for _ in range(2):  # an empty folder is taken, and what was placed is exchanged
            code, out, err = place.tidemill("run", "graph.lua", "--quiet")
            self.assertEqual(code, 0, out + err)
        self.assertNotIn("refused", json.loads(place.tidemill("plan", "graph.lua", "--json")[1]))
        self.assertIn("model.safetensors", os.listdir(place.path("out")))
        place.write("out/thesis.txt", "precious")  # beside what was placed
        place.write("graph.lua", place.read("graph.lua").replace("steps = 1", "steps = 2"))
        before = len(json.loads(place.tidemill("runs", "--json")[1])["runs"])
        code, out, err = place.tidemill("run", "graph.lua", "--quiet")
        self.assertEqual(code, 1, out + err)
        self.assertIn("out/thesis.txt was not put there by this store", err)
        self.assertEqual(len(json.loads(place.tidemill("runs", "--json")[1])["runs"]), before)  # before any work
        self.assertIn("out/thesis.txt was not put there", place.tidemill("plan", "graph.lua")[2])
        self.assertEqual(place.read("out/thesis.txt"), "precious")

    def test_a_run_whose_result_could_not_be_placed_has_failed(self):
        place = Workplace()
        self.addCleanup(place.remove)
        place.write("late.sh", "#!/bin/sh\nmkdir -p " + place.path("out") + "\ntouch " + place.path("out/late.txt") + "\ncat\n")
        os.chmod(place.path("late.sh"), 0o755)
        place.write("graph.lua", 'local tm = require "tidemill"\nlocal d = tm.exec { tm.read { "corpus/*.txt" }, program = '
                    '{ "late.sh" } }\nlocal v = tm.train_tokenizer { d, size = 300 }\nlocal m = tm.export { tm.pretrain { '
                    'tm.llama { layers = 1, width = 32, heads = 4, length = 32 }, tokenizer = v, data = d, steps = 1, '
                    'batch = 64 }, format = "hf", to = "out" }\nreturn tm.graph { m = m }\n')
        code, out, err = place.tidemill("run", "graph.lua", "--json")
        self.assertEqual(code, 1, out + err)
        said = json.loads(out)
        self.assertEqual((said["status"], said["placed"], said["error"]["code"]), ("failed", [], "TM0306"))
        self.assertEqual(json.loads(place.tidemill("runs", "--json")[1])["runs"][0]["status"], "failed")
        self.assertIn("something that is there already", " ".join(place.tidemill("status")[1].split()))
        os.remove(place.path("out/late.txt"))
        self.assertEqual(place.tidemill("run", "graph.lua", "--quiet")[0], 0)
        self.assertEqual(json.loads(place.tidemill("runs", "--json")[1])["runs"][-1]["status"], "done")

    def test_generate_takes_numbers_for_its_numbers(self):
        for flag, value in (("--tokens", "many"), ("--top-k", "-1"), ("--temperature", "warm"), ("--cores", "0")):
            self.assertIn(f'{flag} takes a number from', self.fails(3, "generate", "base", "--prompt", "The", flag, value))
        self.assertTrue(self.ok("generate", "base", "--prompt", "The", "--tokens", "2").startswith("The"))

    def test_why_names_the_field_with_both_values_also_for_past_runs(self):
        self.assertIn("because  base lr 0.003 -> 0.002", self.ok("why", "base"))
        self.assertRegex(self.ok("why", "curve"), r"is base, made anew\n +because  base lr 0\.003 -> 0\.002")
        self.assertIn("as in r2", self.ok("why", "clean"))
        self.assertIn("as in r1", self.ok("why", "base", "--run", "r2"))
        self.assertIn("no earlier run", self.ok("why", "base", "-r", "r1"))
        why = self.json("why", "curve")
        self.assertEqual([step["node"] for step in why["because"]], ["curve", "base"])
        self.assertEqual((why["run"], why["before"]), ("r3", "r2"))
        self.assertIn('did you mean "curve"?', self.fails(2, "why", "cruve"))

    def test_runs_and_status_tell_what_was_run_and_found(self):
        runs = self.json("runs")["runs"]
        self.assertEqual([(run["run"], run["status"], run["done"]) for run in runs],
                         [("r1", "done", 11), ("r2", "done", 0), ("r3", "done", 3)])
        self.assertEqual(len(self.ok("runs", "-n1").splitlines()), 2)
        self.assertRegex(self.ok("status", "r1"), r"\nbase +done +[\d.]+ s")
        self.assertRegex(self.ok("status"), r"\nclean +cached")
        self.assertEqual(self.json("status", "r2")["nodes"]["base"]["state"], "cached")
        self.assertIn("`tidemill runs`", self.fails(2, "status", "r77"))

    def test_logs_tell_of_one_node_or_all(self):
        self.assertIn("valid.loss", self.ok("logs", "base"))
        self.assertNotIn("train_tokenizer", self.ok("logs", "r1:base"))
        self.assertIn("400 entries", self.ok("logs", "r1"))
        events = [json.loads(line)["event"] for line in self.ok("logs", "r1:base", "--json").splitlines()]
        self.assertEqual((events[0], events[-1]), ("start", "sealed"))
        self.assertIn('did you mean "base"?', self.fails(2, "logs", "bsae"))
        self.ok("logs", "r1", "-f")  # a run that has ended is not waited for

    def test_graph_draws_nodes_and_links(self):
        self.assertIn("    <- docs.train  (documents)", self.ok("graph", "graph.lua"))
        self.assertIn('"clean" -> "docs"', self.ok("graph", "graph.lua", "--dot"))
        self.assertTrue(self.ok("graph", "graph.lua", "--mermaid").startswith("flowchart LR\n"))
        nodes = {node["name"]: node for node in self.json("graph", "graph.lua")["nodes"]}
        self.assertEqual(nodes["base"]["options"]["steps"], 20)

    def test_plan_says_what_a_change_would_run(self):
        plan = self.ok("plan", "graph.lua", "--set", "steps=30")
        self.assertRegex(plan, r"\nbase +resume from 16 +(~ .* s +)?options steps 20 -> 30")
        self.assertRegex(plan, r"\nvocab +cached")

    def test_verify_finds_nothing_wrong(self):
        self.assertIn(" 0 corrupt; ", self.ok("verify"))
        self.assertIn(" 0 without their bytes", self.ok("verify"))
        self.assertEqual(self.json("verify")["corrupt"], 0)

    def test_a_dry_gc_removes_nothing(self):
        before = self.json("verify")["objects"]
        said = self.ok("gc", "--dry-run", "--keep-days", "0")
        self.assertRegex(said, r"would free 0 B .*\nbytes that were written within the last hour stay: ")
        self.assertNotIn("stay", self.ok("gc", "--dry-run"))
        self.assertEqual(self.json("verify")["objects"], before)


class Elsewhere(WithWorkplace):
    """Results of numeric stages that another kind of processor made: TM_CPU plays it."""

    def states(self, *flags, cpu):
        code, out, err = self.place.tidemill("plan", "graph.lua", "--json", *flags, env={"TM_CPU": cpu})
        self.assertEqual(code, 0, err)
        return {name: (node["state"], node["reason"]) for name, node in json.loads(out)["nodes"].items()}

    def run_on(self, cpu, *flags):
        code, out, err = self.place.tidemill("run", "graph.lua", "--json", *flags, env={"TM_CPU": cpu})
        self.assertEqual(code, 0, out + err)
        return json.loads(out)

    def test_reuse_same_makes_numeric_results_again_and_says_why(self):
        self.run_on("base")
        here = self.json("inspect", "base")["cpu"]
        self.assertEqual(here, "base")
        self.assertNotIn("cpu", self.json("inspect", "clean"))
        self.assertEqual(self.states("--reuse=same", cpu="base")["base"], ("cached", ""))
        other = self.states(cpu="avx2")  # where there is no AVX2 this is the same processor
        if other["base"] == ("cached", ""):
            self.skipTest("this processor has one instruction set alone")
        self.assertEqual(other["base"], ("cached", "made on another kind of processor: base, this one is avx2"))
        self.assertEqual(other["clean"], ("cached", ""))
        strict = self.states("--reuse=same", cpu="avx2")
        self.assertEqual(strict["base"][0], "run")
        self.assertTrue(strict["base"][1].startswith("--reuse=same: its result was made on base, this is avx2"))
        self.assertEqual(strict["vocab"], ("cached", ""))
        self.assertEqual(self.run_on("avx2")["done"], 0)
        self.assertIn("made on another kind of processor", self.ok("why", "base"))
        again = self.run_on("avx2", "--reuse=same")
        self.assertGreaterEqual(again["done"], 2)
        self.assertIn("--reuse=same: its result was made on base", self.ok("why", "base"))
        self.assertEqual(self.run_on("avx2", "--reuse=same")["done"], 0)
        self.assertEqual(self.json("inspect", "base")["cpu"], "avx2")
        self.assertEqual(self.run_on("base")["done"], 0)

    def test_reuse_takes_two_words(self):
        self.assertIn("any or same", self.fails(3, "plan", "graph.lua", "--reuse", "all"))


class Hollow(WithWorkplace):
    def test_snapshots_that_were_not_kept_are_told_and_made_again_when_they_are_needed(self):
        graph = self.place.read("graph.lua")
        self.place.write("graph.lua", graph.replace("checkpoint_every = 10", "checkpoint_every = 10, keep = { best = 0 }"))
        self.ok("run", "graph.lua", "--quiet")
        for at, _, names in os.walk(self.place.path("store")):  # gc removes nothing younger than an hour
            for name in names:
                os.utime(os.path.join(at, name), (1, 1), follow_symlinks=False)
        self.assertGreater(self.json("gc")["objects_removed"], 0)
        self.assertEqual(self.json("inspect", "base")["hollow"], [10])
        self.assertIn("their bytes were not kept: [10]", self.ok("inspect", "base"))
        self.assertIn("not in the store any more", self.fails(2, "get", "base@10", "ten"))
        self.assertIn(" 0 without their bytes", self.ok("verify"))
        self.assertIn(" 0 to run, 0 maybe", self.ok("plan", "graph.lua"))
        self.place.write("graph.lua", self.place.read("graph.lua").replace("base:each {}", "base:at(10)"))
        self.assertRegex(self.ok("plan", "graph.lua"), r"base +recompute \(bytes gone\) +(~ .* s +)?curve needs its bytes")
        self.ok("run", "graph.lua", "--quiet")
        self.assertNotIn("hollow", self.json("inspect", "base"))


class Files(WithWorkplace):
    def test_a_changed_document_is_noticed_although_its_neighbours_are_remembered(self):
        for name in os.listdir(self.place.path("corpus")):
            os.utime(self.place.path("corpus/" + name), (1, 1))
        time.sleep(2.6)  # what changed a moment ago is not remembered
        self.ok("run", "graph.lua", "clean", "--quiet")
        self.assertGreater(os.path.getsize(self.place.path("store/files")), 60 * 40)
        self.assertIn(" 0 to run", self.ok("plan", "graph.lua", "clean"))
        text = self.place.read("corpus/07.txt")
        self.place.write("corpus/07.txt", text.replace("a", "e", 1))
        os.utime(self.place.path("corpus/07.txt"), (1, 1))
        self.assertRegex(self.ok("plan", "graph.lua", "clean"), r"run +(~ .* s +)?files .*07\.txt")


class Alias(WithWorkplace):
    def test_a_result_is_found_also_when_its_inputs_were_made_in_another_way(self):
        self.ok("run", "graph.lua", "--quiet")
        graph = self.place.read("graph.lua").replace('tm.read { "corpus/*.txt" }', 'tm.read { "corpus/[0-9a-z]*.txt" }')
        self.place.write("graph.lua", graph)
        self.assertLess(self.json("run", "graph.lua")["done"], 4)
        self.assertEqual(self.json("inspect", "base")["run"], "r2")


class Removed(WithWorkplace):
    def test_removed_of_a_chain_whose_last_step_removes_nothing_is_that_of_the_others(self):
        self.place.write("other.lua", """local tm = require "tidemill"
local clean = tm.curate { tm.read { "corpus/*.txt" }, tm.gopher { without = { "punctuation" } }, tm.exact_dedup {},
                          tm.fix_unicode {} }
return tm.graph { clean = clean }
""")
        self.ok("run", "other.lua", "--quiet")
        parts = self.json("inspect", "clean.removed")["parts"]
        self.assertEqual([part["node"] for part in parts], ["clean/gopher", "clean/exact_dedup"])
        self.assertIn("clean/gopher", self.json("inspect", "clean/gopher.removed")["node"])


class OnlyRead(WithWorkplace):
    """A store in a folder that may not be written to."""

    def test_what_only_reads_works_where_nothing_may_be_written(self):
        self.ok("run", "graph.lua", "--quiet")
        for at, folders, _ in os.walk(self.place.path("store")):
            os.chmod(at, 0o555)
        self.addCleanup(lambda: [os.chmod(at, 0o755) for at, _, _ in os.walk(self.place.path("store"))])
        # Root may write anywhere unless it gives that up.
        give_up = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        before = self.place.files("store")
        for command in (("plan", "graph.lua"), ("inspect", "base"), ("inspect", "clean"), ("get", "base", "mine"),
                        ("why", "base"), ("verify",), ("runs",), ("status",), ("logs",),
                        ("generate", "base", "-p", "the river", "-n", "2")):
            done = subprocess.run([*give_up, PROGRAM, *command, "--store", self.place.path("store")], text=True,
                                  cwd=self.place.folder, capture_output=True)
            self.assertEqual(done.returncode, 0, (command, done.stdout, done.stderr))
        done = subprocess.run([*give_up, PROGRAM, "gc", "--store", self.place.path("store")], text=True,
                              cwd=self.place.folder, capture_output=True)
        self.assertIn("reading only", done.stderr)
        self.assertEqual(self.place.files("store"), before)


class ClosedPlace(WithWorkplace):
    def test_a_place_that_may_not_be_written_is_told_before_any_work(self):
        os.makedirs(self.place.path("closed"))
        os.chmod(self.place.path("closed"), 0o555)
        self.place.write("closed.lua", GRAPH.replace("out/model", "closed/deep/model"))
        give_up = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        done = subprocess.run([*give_up, PROGRAM, "run", "closed.lua", "--store", self.place.path("store")], text=True,
                              cwd=self.place.folder, capture_output=True)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"\Aerror\[TM0421\] model: cannot write into \S+/closed: Permission denied\nfix ")
        self.assertEqual(self.json("runs")["runs"], [])


class Garbage(WithWorkplace):
    def test_gc_removes_what_nobody_keeps_and_the_next_run_makes_it_anew(self):
        self.ok("run", "graph.lua", "clean", "--quiet")
        self.ok("run", "graph.lua", "docs", "--quiet")
        for at, _, names in os.walk(self.place.path("store")):  # gc removes nothing younger than an hour
            for name in names:
                os.utime(os.path.join(at, name), (1, 1), follow_symlinks=False)
        before = self.json("verify")
        report = self.json("gc", "--keep-days", "0")
        after = self.json("verify")
        self.assertGreater(report["objects_removed"], 3)
        self.assertGreater(report["bytes_removed"], 10000)
        self.assertEqual(report["records_kept"], 0)
        self.assertEqual(before["objects"] - after["objects"], report["objects_removed"])
        self.assertEqual((after["objects"], after["corrupt"], after["records"]), (0, 0, 0))
        self.assertIn("0 cached", self.ok("plan", "graph.lua", "clean"))
        self.ok("run", "graph.lua", "clean", "--quiet")
        self.assertEqual(self.json("inspect", "clean")["rows"], 60)


class Damage(WithWorkplace):
    def test_verify_of_much_damage_names_ten_and_counts_the_rest(self):
        self.ok("run", "graph.lua", "--quiet", store="much")
        objects = [os.path.join(at, name) for at, _, names in os.walk(self.place.path("much/objects")) for name in names]
        for path in objects:
            os.chmod(path, 0o644)
            with open(path, "wb") as file:
                file.write(b"x")
        code, _, err = self.place.tidemill("verify", store="much")
        corrupt = err.split("incomplete")[0].splitlines()
        self.assertEqual((code, len(corrupt), corrupt[-1]), (4, 11, f"and {len(objects) - 10} more"), err)

    def test_verify_says_whose_the_damaged_bytes_are_and_each_result_once(self):
        self.ok("run", "graph.lua", "base", "--quiet", store="whose")
        for at, _, names in os.walk(self.place.path("whose/objects")):
            for path in (os.path.join(at, name) for name in names):
                if os.path.getsize(path) > 60000:  # snapshots, and what a run could go on from
                    os.chmod(path, 0o644)
                    with open(path, "r+b") as file:
                        file.write(b"no such bytes")
        code, out, err = self.place.tidemill("verify", store="whose")
        self.assertEqual(code, 4, out)
        self.assertRegex(err, r"corrupt r1:base \(\d+ bytes, ")
        self.assertEqual(len(re.findall(r"(?m)^incomplete r1:base$", err)), 1, err)
        if ", of no result that can be read\n" in err:
            self.assertIn("of no result that can be read: ", out)

    def test_verify_sets_damaged_bytes_aside_and_the_next_run_makes_them_anew(self):
        self.ok("run", "graph.lua", "clean", "--quiet")
        objects = [os.path.join(at, name) for at, _, names in os.walk(self.place.path("store/objects")) for name in names]
        largest = max(objects, key=os.path.getsize)
        os.chmod(largest, 0o644)
        with open(largest, "r+b") as file:
            file.seek(os.path.getsize(largest) // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1]))
        code, out, err = self.place.tidemill("verify")
        self.assertEqual(code, 4, out + err)
        self.assertRegex(err, r"corrupt r1:(read|clean)\S* \(\d+ bytes, [0-9a-f]{32}\)\n")
        self.assertRegex(err, r"\nincomplete r1:(read|clean)")
        self.assertIn("\nincomplete: the store knows of the result", out)
        self.assertEqual({one["what"] for one in self.json("verify")["damaged"]}, {"incomplete"})
        self.ok("run", "graph.lua", "clean", "--quiet")
        self.assertIn(" 0 corrupt; ", self.ok("verify"))
        self.assertEqual(self.json("inspect", "clean")["rows"], 60)

    def objects(self, store):
        return sorted(os.path.join(at, name) for at, _, names in os.walk(self.place.path(store + "/objects"))
                      for name in names)

    def flip(self, path):
        os.chmod(path, 0o644)
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([byte[0] ^ 255]))

    FIRST = "run", "free.lua", "--set", "steps=4"
    CHANGED = *FIRST, "--set", "lr=1e-2"

    def setUp(self):
        self.place.write("free.lua", self.place.read("graph.lua").replace(', to = "out/model"', ""))

    def results(self, store):
        nodes = "clean", "vocab", "base", "curve", "model"
        return {node: self.json("inspect", node, store=store)["artifact"] for node in nodes}

    def test_one_run_makes_again_all_that_it_meets_damaged(self):
        self.ok(*self.FIRST, store="whole")
        for store in "told", "json":
            shutil.copytree(self.place.path("whole"), self.place.path(store))
            for path in self.objects(store):
                self.flip(path)
        self.ok(*self.CHANGED, store="whole")
        code, out, err = self.place.tidemill(*self.CHANGED, store="told")
        self.assertEqual(code, 0, out + err)
        self.assertRegex(err, r"note   r2 met damaged bytes of the store at \S+; they are set aside, and a new run makes")
        self.assertEqual(self.results("told"), self.results("whole"))
        self.assertIn(" 0 corrupt; ", self.ok("verify", store="told"))
        result = self.json(*self.CHANGED, store="json")
        self.assertEqual((result["status"], result["damage_in"][0]), ("done", "r2"))
        self.assertEqual(result["run"], f"r{2 + len(result['damage_in'])}")

    def test_one_run_copes_with_any_objects_damaged_and_any_gone(self):
        self.ok(*self.FIRST, store="sound")
        shutil.copytree(self.place.path("sound"), self.place.path("first"))
        self.ok(*self.CHANGED, store="sound")
        expected = self.results("sound")
        for seed in range(4):
            draw, store = random.Random(seed), f"hurt{seed}"
            shutil.copytree(self.place.path("first"), self.place.path(store))
            for path in self.objects(store):
                what = draw.choice(["keep", "keep", "flip", "remove"])
                if what == "flip":
                    self.flip(path)
                if what == "remove":
                    os.remove(path)
            self.ok(*self.CHANGED, store=store)
            self.assertEqual(self.results(store), expected, seed)

    def test_a_result_that_is_only_put_in_its_place_is_made_again_too(self):
        self.place.write("put.lua", self.place.read("graph.lua").replace("out/model", "out/put"))
        self.ok("run", "put.lua", "--set", "steps=4", store="put")
        shutil.rmtree(self.place.path("out/put"))
        for path in self.objects("put"):
            self.flip(path)
        self.ok("run", "put.lua", "--set", "steps=4", store="put")
        self.assertTrue(os.path.exists(self.place.path("out/put/model.safetensors")))

    def test_what_goes_missing_while_a_run_needs_it_is_made_again(self):
        self.place.write("lose.py", "import glob, os, sys\nsys.stdout.write(sys.stdin.read().replace('.', '!'))\n"
                         "if not os.path.exists('lost'):\n    open('lost', 'w').close()\n"
                         "    for path in glob.glob(sys.argv[1] + '/objects/*/*'):\n        os.remove(path)\n")
        self.place.write("lose.lua", '''local tm = require "tidemill"
            local docs = tm.read { "corpus/*.txt" }
            local same = tm.exec { docs, program = { "python3", "lose.py", "%s" }, io = "jsonl" }
            return tm.graph { out = tm.tokenize { docs, tokenizer = tm.train_tokenizer { same, size = 300 } } }
            ''' % self.place.path("lossy"))
        code, out, err = self.place.tidemill("run", "lose.lua", store="lossy")
        self.assertEqual(code, 0, out + err)
        self.assertEqual(err.count("note   r1 met damaged bytes"), 1, err)
        self.assertIn("r2: done", out)

    def test_where_bytes_are_damaged_again_and_again_the_runs_come_to_an_end(self):
        self.place.write("hurt.lua", '''local tm = require "tidemill"
            return tm.graph { out = tm.exact_dedup { tm.read { "corpus/0*.txt" } } }''')
        faulty = os.path.join(os.path.dirname(PROGRAM), "tests/commands/tidemill_with_faults")
        done = subprocess.run([faulty, "run", "hurt.lua", "--store", "again"], cwd=self.place.folder, capture_output=True,
                              text=True, timeout=120, env={**os.environ, "TIDEMILL_TEST_FAULT": "spoil - objects/"})
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        self.assertEqual((done.stderr.count("note   r"), done.stderr.count("error[TM0502]")), (3, 1), done.stderr)
        self.assertIn("`tidemill verify` finds what else is damaged", done.stderr)


class WhileRunning(WithWorkplace):
    def wait_for(self, what):
        for _ in range(600):
            if what():
                return
            time.sleep(0.05)
        self.fail("this did not come")

    def test_status_and_logs_follow_a_run_that_is_stopped_and_goes_on(self):
        run = self.place.start("run", "graph.lua", "--set", "steps=1000000")
        self.addCleanup(run.kill)
        self.wait_for(lambda: os.path.isdir(self.place.path("store/runs/r1")))
        logs = self.place.start("logs", "r1:base", "-f")
        self.addCleanup(logs.kill)
        self.wait_for(lambda: "step" in json.loads(self.place.tidemill("status", "--json")[1] or "{}")
                      .get("nodes", {}).get("base", {}))
        self.assertRegex(self.ok("status"), r"\nbase +running .* step \d+")
        self.assertRegex(self.ok("status"), r"r1: running\n$")
        self.assertEqual(self.json("runs")["runs"][0]["status"], "running")
        self.assertIsNone(logs.poll())
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, out + err)
        self.assertIn("run it again to go on", out)
        counts = re.search(r"r1: stopped in .*; (.*)", out).group(1)
        self.assertRegex(counts, r"\d+ nodes? run, 0 cached, \d+ stopped")
        self.assertEqual(sum(map(int, re.findall(r"\d+", counts))), 11, out)
        said, _ = logs.communicate(timeout=20)
        self.assertEqual(logs.returncode, 0)
        self.assertIn("valid.loss", said)
        self.assertEqual(self.json("runs")["runs"][0]["status"], "stopped")
        self.assertRegex(self.ok("status"), r"\nbase +stopped .* step \d+")
        self.assertRegex(self.ok("why", "base"), r"^base was stopped in r1\n")

    def test_plan_and_addresses_say_what_was_stopped_where_and_a_run_of_other_nodes_hides_nothing(self):
        place = Workplace()
        self.addCleanup(place.remove)
        same = "graph.lua", "--until", "base", "--set", "steps=4000"
        run = place.start("run", *same)
        self.addCleanup(run.kill)
        self.wait_for(lambda: place.tidemill("logs", "r1:base", "--json")[1].count('"entry"') >= 2)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        step = json.loads(place.tidemill("status", "r1", "--json")[1])["nodes"]["base"]["step"]
        base = json.loads(place.tidemill("plan", *same, "--json")[1])["nodes"]["base"]
        self.assertEqual((base["state"], base["reason"]),
                         (f"resume from {step}", f"stopped in r1 at step {step}"))
        other = json.loads(place.tidemill("plan", *same[:-1], "steps=5000", "--json")[1])["nodes"]["base"]
        self.assertEqual(other["reason"], "options steps 4000 -> 5000; cannot go on from what was stopped in r1 at "
                         f"step {step}: only the same options and inputs do")
        self.assertEqual(place.tidemill("run", *same)[0], 0)
        self.assertEqual(place.tidemill("inspect", "r1:base")[2],
                         f"base: stopped in r1 at step {step}; this is the result of the same work, by r2\n")
        self.assertEqual(place.tidemill("inspect", "r2:base")[2], "")
        self.assertEqual(place.tidemill("run", "graph.lua", "clean")[0], 0)
        plan = json.loads(place.tidemill("plan", *same[:-1], "steps=5000", "--json")[1])["nodes"]["base"]
        self.assertTrue(plan["reason"].startswith("options steps 4000 -> 5000"), plan)
        self.assertEqual((plan["estimate"]["sure"], plan["estimate"]["runs"]), ("node", 1))

    def test_a_run_that_was_stopped_at_once_hides_no_result_of_an_earlier_one(self):
        place = Workplace()
        self.addCleanup(place.remove)
        self.assertEqual(place.tidemill("run", "graph.lua", "--quiet")[0], 0)
        run = place.start("run", "graph.lua", "--set", "steps=1000000")
        self.addCleanup(run.kill)
        self.wait_for(lambda: place.tidemill("logs", "r2:base", "--json")[1].count('"entry"') >= 10)
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGTERM)
        out, err = run.communicate(timeout=60)
        self.assertIn(run.returncode, (130, 143), out + err)
        self.assertEqual(place.tidemill("logs", "r2", "--json")[1].count('"stopping"'), 2)
        self.assertNotIn("died", out + err + place.tidemill("logs", "r2")[1])
        code, out, err = place.tidemill("inspect", "curve")
        self.assertEqual((code, err), (0, "curve: from r1, as r2 has none\n"))
        self.assertTrue(out.startswith("r1:curve"), out)
        self.assertEqual(place.tidemill("inspect", "clean")[2], "")
        for address in "base@20", "base@best", "base@latest", "r2:base":
            code, out, err = place.tidemill("inspect", address)
            self.assertEqual(code, 0, err)
            self.assertRegex(err, r"^base: run r2 has no result, only \d+ snapshots so far\n$")
            self.assertRegex(out, r"^r2:base  model: \d+ snapshots, .*\n(.*\n)* .* model\.safetensors\n")
        self.assertEqual(place.tidemill("get", "r2:base@20", "early")[0], 0)
        self.assertTrue(os.path.isfile(place.path("early/model.safetensors")))
        code, out, err = place.tidemill("inspect", "base")
        self.assertEqual((code, err, out[:8]), (0, "base: from r1, as r2 has none\n", "r1:base "))
        code, out, err = place.tidemill("inspect", "r2:curve")
        self.assertEqual((code, err.splitlines()[:2]), (2, ["error[TM0509] curve of run r2 has no result",
                                                            "fix    run r1 has one: r1:curve"]))

    def test_the_nearest_name_of_a_node_is_sought_in_all_runs(self):
        place = Workplace()
        self.addCleanup(place.remove)
        place.tidemill("run", "graph.lua", "--quiet", "clean")
        place.write("other.lua", 'local tm = require "tidemill"\nreturn tm.graph { text = tm.read { "corpus/*.txt" } }\n')
        place.tidemill("run", "other.lua", "--quiet")
        self.assertIn('did you mean "clean.removed"?', place.tidemill("inspect", "clen.removed")[2])
        for command in "inspect", "why", "logs":
            err = place.tidemill(command, "clen")[2]
            self.assertEqual(err.splitlines()[:2], ['error[TM0506] no run has a node "clen"',
                                                    'fix    did you mean "clean"?'])

    def test_logs_of_a_run_that_was_killed_end(self):
        place = Workplace()
        self.addCleanup(place.remove)
        run = place.start("run", "graph.lua", "--set", "steps=1000000")
        self.wait_for(lambda: '"start"' in place.tidemill("logs", "--json")[1])
        logs = place.start("logs", "-f")
        self.addCleanup(logs.kill)
        time.sleep(0.3)
        run.kill()
        run.communicate(timeout=60)
        logs.communicate(timeout=20)
        self.assertEqual(logs.returncode, 0)
        self.assertIn("r1: interrupted", place.tidemill("status")[1])


class Usage(WithWorkplace):
    def test_every_command_explains_itself(self):
        self.assertGreater(len(COMMANDS), 20)
        for command in COMMANDS:
            text = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True, check=True).stdout
            self.assertTrue(text.startswith(f"tidemill {command} "), text)
            self.assertIn("--json", text)
            self.assertRegex(text, "\nexample: .*tidemill ")

    def test_wrong_usage_is_3_and_names_the_nearest(self):
        done = subprocess.run([PROGRAM, "inspct", "x"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 3)
        self.assertIn("did you mean `tidemill inspect`?", done.stderr)
        self.assertIn("did you mean --dry-run?", self.fails(3, "gc", "--dryrun"))
        self.assertIn("an argument is missing: tidemill get ADDRESS PATH", self.fails(3, "get", "base"))
        self.assertIn('"b" is one argument too many: tidemill verify\n', self.fails(3, "verify", "b"))
        self.assertIn("--keep-days takes a number from 0", self.fails(3, "gc", "--keep-days", "week"))
        self.assertIn("--cores takes a number from 1", self.fails(3, "run", "graph.lua", "-j", "0"))
        self.assertIn("--to takes a size", self.fails(3, "gc", "--to", "20X"))
        self.assertIn("NAME=VALUE", self.fails(3, "check", "graph.lua", "--set", "steps"))
        code, out, err = self.place.tidemill("gc", "--dryrun", "--json")
        self.assertEqual((code, err), (3, ""))
        self.assertIn("did you mean --dry-run?", json.loads(out)["error"]["fix"])

    def test_without_a_store_the_way_to_one_is_shown(self):
        for command in (("status",), ("runs",), ("inspect", "x"), ("logs",), ("verify",), ("gc",), ("why", "x"), ("chat", "x")):
            self.assertIn("run a graph first", self.fails(2, *command, store="nowhere"))
            code, out, _ = self.place.tidemill(*command, "--json", store="nowhere")
            self.assertEqual((code, "run a graph first" in json.loads(out)["error"]["fix"]), (2, True))
        self.assertFalse(os.path.exists(self.place.path("nowhere")))

    def test_the_version_is_told_by_all_the_names_that_are_typed_for_it(self):
        for word in "--version", "-V", "-v":
            code, told, _ = self.place.plain(word)
            self.assertEqual(code, 0)
            self.assertRegex(told, r"^tidemill \d+\.\d+\.\d+\n$")

    def test_a_check_and_a_plan_write_nothing(self):
        self.assertEqual(self.ok("check", "graph.lua"), "graph.lua: 11 nodes, no errors\n")
        self.assertIn("0 cached, 11 to run, 0 maybe", self.ok("plan", "graph.lua", "--from", "vocab"))
        self.assertEqual(sorted(os.listdir(self.place.folder)), ["corpus", "graph.lua"])

    def test_describe_lists_what_a_graph_takes_and_has_also_without_its_inputs(self):
        self.place.write("away.lua", self.place.read("graph.lua").replace("corpus/*.txt", "nowhere/*.txt"))
        self.assertRegex(self.ok("describe", "away.lua"),
                         r"parameters .*\n +lr +tm\.number, default 0\.003\n +steps +tm\.int, default 20, min 1\n"
                         r"|steps +tm\.int, default 20, min 1\n +lr +tm\.number, default 0\.003\n")
        told = self.json("describe", "away.lua", "--set", "steps=7")
        self.assertEqual({p["name"]: p["value"] for p in told["parameters"]}, {"steps": 7, "lr": 0.003})
        self.assertLessEqual({"clean", "clean/gopher", "docs", "vocab", "base"}, {node["name"] for node in told["nodes"]})
        for word in ("base", "base@best", "base@300", "r1:base", "base.metrics", "base:at(300)"):
            node = self.json("describe", "away.lua", word)
            self.assertEqual((node["name"], node["options"]["batch"], node["inputs"]["data"]), ("base", 256, "base.data"))
        text = self.ok("describe", "away.lua", "base")
        self.assertRegex(text, r"\(main\) +tm\.llama \{ layers = 1, width = 32, heads = 4, length = 64 \}\n")
        self.assertRegex(text, r"\n  batch +256\n(.*\n)*  clip +1\.0 \(default\)\n")
        self.assertIn('did you mean "vocab"?', self.fails(2, "describe", "away.lua", "vocap"))
        self.assertIn("is not there", self.fails(2, "check", "away.lua"))

    def test_describe_lists_the_members_of_a_family(self):
        self.assertRegex(self.ok("describe", "schedule"), r"(?s)^schedule \(a family of values\)\n.*  tm\.cosine .*  tm\.wsd ")
        self.assertIn("llama", [one["name"] for one in self.json("describe", "architecture")["values"]])
        self.assertIn("evaluate", [one["name"] for one in self.json("describe", "judge")["stages"]])

    def test_describe_tells_all_of_a_row(self):
        for name in [row["name"] for row in self.json("stages")["stages"] + self.json("stages")["values"]]:
            self.assertTrue(self.ok("describe", name).startswith(f"tm.{name} ("))
            self.assertEqual(self.json("describe", "tm." + name)["name"], name)
        self.assertIn("every combination of values", self.ok("describe", "sweep"))
        self.assertEqual(self.json("describe", "tm.params")["name"], "params")
        self.assertRegex(self.ok("describe", "documents"), r"columns\n  id +text\n(.*\n)+given by\n(.*\n)*  tm\.split\.train\n")
        self.assertIn("train_tokenizer", self.json("describe", "tokenizer")["given_by"])
        self.assertIn("default 0.8", self.ok("describe", "fuzzy_dedup"))
        self.assertIn('did you mean "tokenize"?', self.fails(2, "describe", "tokenise"))

    def test_what_a_graph_prints_is_seen_also_when_it_fails(self):
        self.place.write("print.lua", 'print("so far")\nlocal function f(t) return t.x.y end\nf({})\n')
        err = self.fails(2, "check", "print.lua")
        self.assertTrue(err.startswith("so far\nerror[TM0102]"), err)
        self.assertIn("from   print.lua:3", err)
        os.remove(self.place.path("print.lua"))


if __name__ == "__main__":
    unittest.main()
