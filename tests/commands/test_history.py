#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a store knows of its runs: runs, tag, diff, why and their kin, over the runs of one small graph.

usage: test_history.py PROGRAM [unittest arguments]
"""
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import time
import unittest

from screen import Terminal, open_terminal
from workplace import PROGRAM, WithWorkplace, document


class AfterFourRuns(WithWorkplace):
    """r1 is the baseline; r2 has another lr; r3 one document more, one less and one changed, and a new line in the graph;
    r4 failed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()

        def run(code, *flags):
            got, out, err = cls.place.tidemill("run", "graph.lua", "--quiet", *flags)
            assert got == code, out + err

        run(0, "--note", "as it began", "--tag", "baseline", "--tag", "paper/1")
        run(0, "--set", "lr=2e-3")
        cls.place.write("corpus/70.txt", document(70))
        cls.place.write("corpus/05.txt", document(71))
        os.remove(cls.place.path("corpus/06.txt"))
        graph = cls.place.read("graph.lua")
        cls.place.write("graph.lua", graph.replace("checkpoint_every = 10 }", "checkpoint_every = 10,\n"
                                                   "                            seed = 7 }"))
        run(0, "--set", "steps=30")
        cls.place.write("graph.lua", graph.replace("{ base, format", '{ tm.gate { base, on = base, '
                                                   'require = "valid.loss < 0" }, format'))
        run(1)

    # ---- runs ----

    def lines(self, *args):
        return self.ok("runs", *args).splitlines()

    def names(self, *args):
        return [run["run"] for run in self.json("runs", *args)["runs"]]

    def test_runs_tells_graphs_of_one_name_apart_and_has_no_column_for_a_point_of_a_sweep(self):
        for folder in ("small", "large"):
            self.place.write(f"{folder}/graph.lua", """local tm = require "tidemill"
local docs  = tm.split { tm.read { "../corpus/*.txt" }, valid = 0.1 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local trials = tm.sweep({ lr = { 3e-4, 1e-2 } }, function(v)
  return tm.pretrain { tm.llama { layers = 1, width = 16, heads = 2, length = 64 }, tokenizer = vocab, data = docs.train,
                       valid = docs.valid, steps = 2, batch = 256, length = 64, lr = v.lr }
end)
return tm.graph { trials = trials, all = tm.compare { trials, by = { "valid.loss" } } }
""")
            self.ok("run", f"{folder}/graph.lua", "--quiet", store="folders")
        lines = self.ok("runs", store="folders").splitlines()
        self.assertNotIn("lr=", lines[0])
        self.assertIn("small/graph.lua", lines[1].split())
        self.assertIn("large/graph.lua", lines[2].split())
        self.assertIn("trials/lr=0.01.valid.loss", self.ok("runs", "--csv", store="folders").splitlines()[0])

    def test_runs_is_a_table_with_parameters_metrics_tags_and_notes(self):
        lines = self.lines()
        for heading in ("run", "status", "took", "cached", "lr", "steps", "valid.loss", "tags", "note"):
            self.assertIn(heading, lines[0].split())
        self.assertEqual([line.split()[0] for line in lines[1:]], ["r1", "r2", "r3", "r4"])
        self.assertRegex(lines[1], r"^r1 .* done .* 20 +.*graph\.lua +baseline paper/1 +as it began$")
        self.assertIn("failed", lines[4])
        self.assertEqual([line.split()[0] for line in self.lines("-n", "2")], ["run", "r3", "r4"])

    def test_runs_are_sorted_by_the_same_names_in_compare_as_in_runs(self):
        for sort in ("valid.loss", "-base.valid.loss", "took", "-seconds", "lr"):
            rows = [row["name"] for row in self.json("compare", "r1", "r2", "r3", "r4", "--sort", sort)["rows"]]
            self.assertEqual(rows, [run["run"] for run in self.json("runs", "--sort", sort, "--where", "run <= r4")["runs"]])
        self.assertIn("did you mean steps?", self.fails(2, "compare", "r1", "r2", "--sort", "stesp"))

    def test_where_chooses_by_metrics_parameters_status_and_tags(self):
        runs = {run["run"]: run for run in self.json("runs")["runs"]}
        losses = {name: run["metrics"]["base"]["valid.loss"]["value"] for name, run in runs.items()}
        limit = sorted(losses.values())[1]
        self.assertEqual(self.names("--where", f"valid.loss <= {limit * (1 + 1e-9):.17g}"),
                         [name for name in runs if losses[name] <= limit])
        for condition, expected in (
                ("lr == 2e-3", "r2"), ("lr < 0.003 or steps = 30", "r2 r3"), ("not (status == done)", "r4"),
                ("status != done and valid.loss", "r4"), ("tag == baseline", "r1"), ("tag", "r1"), ("! tag && lr<1", "r2 r3 r4"),
                ("note ~ began", "r1"), ("graph == graph.lua and base.valid.loss > 0", "r1 r2 r3 r4"),
                ("base.train.loss < base.valid.loss or base.train.loss >= base.valid.loss", "r1 r2 r3 r4"),
                ("age < 1d and when >= yesterday and when > 2001-01-01", "r1 r2 r3 r4"), ("when < 2001-01-01T12:00", ""),
                ("'text.loss' > 0 and seconds < 1h", "r1 r2 r3 r4"), ("run == r3 or run == 'r2'", "r2 r3")):
            with self.subTest(condition):
                self.assertEqual(self.names("--where", condition), expected.split())

    def test_a_wrong_condition_is_shown_with_a_caret_and_the_nearest_name(self):
        err = self.fails(2, "runs", "--where", "status == done and vaild.loss < 2")
        self.assertIn("\n  status == done and vaild.loss < 2\n                     ^^^^^^^^^^\n", err)
        self.assertIn("did you mean valid.loss?", err)
        for condition, what, at in (("valid.loss <", "a value is due", 12), ("(lr > 1", "a ) is missing", 7),
                                    ("lr > 1 lr", "`and`, `or` or the end", 7), ("", "a name is due", 0),
                                    ("lr > 'x", "a quote is not closed", 5), ("(" * 60 + "lr", "nested too deep", 41)):
            with self.subTest(condition):
                err = self.fails(2, "runs", "--where", condition)
                self.assertIn(what, err)
                self.assertEqual(err.splitlines()[2].index("^") - 2, at)
        code, out, _ = self.place.tidemill("runs", "--where", "lrr > 1", "--json")
        self.assertEqual(code, 2)
        self.assertIn("did you mean lr?", out)

    def test_a_condition_that_no_run_can_meet_is_called_so(self):
        err = self.fails(2, "runs", "--where", "lr < 1 and steps > abc")
        self.assertIn('steps is a number in every run that has it, and "abc" is none', err)
        self.assertIn("\n  lr < 1 and steps > abc\n                     ^^^\n", err)
        self.assertEqual(self.names("--where", "smoke == true"), [])
        self.assertEqual(self.names("--where", "smoke == false"), ["r1", "r2", "r3", "r4"])
        self.assertEqual(self.names("--where", "steps > '20'"), ["r3"])

    def test_runs_says_how_many_columns_a_narrow_terminal_leaves_out(self):
        terminal = Terminal([PROGRAM, "runs", "--store", self.place.path("store")], self.place.folder, size=(60, 24))
        self.addCleanup(terminal.close)
        self.assertRegex(terminal.finish()[1], r"\d+ more columns? in a wider terminal, or with --csv")
        self.assertNotIn("more column", self.ok("runs"))

    def test_sort_orders_by_any_name_and_runs_without_it_come_last(self):
        self.assertEqual(self.names("--sort", "lr", "-n", "2", "--where", "lr != 1"), ["r3", "r4"])
        self.assertEqual(self.names("--sort", "lr")[0], "r2")
        self.assertEqual(self.names("--sort", "-steps")[0], "r3")
        self.assertEqual(self.names("--sort", "-tag"), ["r1", "r2", "r3", "r4"])
        losses = [run["metrics"]["base"]["valid.loss"]["value"]
                  for run in self.json("runs", "--sort", "-valid.loss")["runs"]]
        self.assertEqual(losses, sorted(losses, reverse=True))
        self.assertIn("did you mean steps?", self.fails(2, "runs", "--sort", "stesp"))

    def test_csv_has_every_parameter_and_metric(self):
        rows = list(csv.DictReader(io.StringIO(self.ok("runs", "--csv"))))
        self.assertEqual([row["run"] for row in rows], ["r1", "r2", "r3", "r4"])
        self.assertEqual(rows[0]["note"], "as it began")
        self.assertEqual([float(row["lr"]) for row in rows], [0.003, 0.002, 0.003, 0.003])
        exact = self.json("inspect", "r1:base.metrics")["records"]
        last = [row["value"] for row in exact if row["name"] == "valid.loss"][-1]
        self.assertAlmostEqual(float(rows[0]["base.valid.loss"]), last, places=8)
        self.assertIn("curve.text.bits_per_byte", rows[0])

    # ---- tags and notes ----

    def test_tags_and_notes_are_given_and_taken_afterwards(self):
        self.assertEqual(self.ok("tag", "baseline"), 'r1: baseline paper/1, "as it began"\n')
        self.assertEqual(self.json("tag", "r2", "+slow", "keep", "-m", 'of "lr"'),
                         {"run": "r2", "tags": ["keep", "slow"], "note": 'of "lr"'})
        self.assertEqual(self.names("--where", "tag == slow and note"), ["r2"])
        self.assertEqual(self.json("tag", "slow", "--drop", "keep", "--drop", "slow", "--note", ""),
                         {"run": "r2", "tags": [], "note": None})
        self.assertEqual(self.ok("tag", "r2"), "r2: no tags and no note\n")
        self.assertEqual(self.ok("tag", "latest"), "r4: no tags and no note\n")

    def test_names_of_runs_are_no_tags(self):
        for name in "r3", "+r12", "latest":
            self.assertIn("is no tag: it is how a run is named", self.fails(2, "tag", "r2", name))
            if name[0] != "+":
                self.assertIn("how a run is named", self.fails(3, "run", "graph.lua", "--tag", name))
        self.assertEqual(self.ok("tag", "r2", "r"), "r2: r\n")
        self.ok("tag", "r2", "--drop", "r")

    def test_a_tag_stands_for_its_run_in_addresses_and_wherever_a_run_is_named(self):
        for args in (("inspect", "{}:base"), ("why", "{}:curve"), ("status", "{}"), ("logs", "{}:base"), ("logs", "{}")):
            tagged, named = (self.ok(*(arg.format(name) for arg in args)) for name in ("baseline", "r1"))
            self.assertEqual(tagged, named)
        self.assertIn('no node "bas"', self.fails(2, "logs", "baseline:bas"))
        self.assertIn("did you mean baseline?", self.fails(2, "status", "baselin"))

    def test_wrong_tags_and_runs_are_refused_by_name(self):
        self.assertIn("did you mean baseline?", self.fails(2, "tag", "basline"))
        self.assertIn("`tidemill runs` lists", self.fails(2, "tag", "r99"))
        self.assertIn('"a b" is no tag', self.fails(2, "tag", "r2", "a b"))
        self.assertIn('r2 has no tag "x"', self.fails(2, "tag", "r2", "--drop", "x"))
        self.assertIn('"-x" is no tag', self.fails(3, "run", "graph.lua", "--tag=-x"))

    # ---- diff ----

    def test_diff_names_parameters_code_inputs_nodes_and_metrics(self):
        out = self.ok("diff", "baseline", "r3")
        for line in (r' +r1 "as it began" +r3', r"params +steps +20 +30",
                     r"code +graph\.lua +\w{6} +\w{6} +\+2 -1 lines, at 9",
                     r"inputs +read +1 file added \(70\.txt\), 1 file removed \(06\.txt\), 1 file changed \(05\.txt\)",
                     r" +base seed +1 +7", r" +base\.valid\.loss|metrics +base\.valid\.loss +\d.* @20 +\d.* @30 +-?\d",
                     r" +curve\.text\.bits_per_byte .*(within|beyond) error \(\+-0\.\d+, \+-0\.\d+\)",
                     r"time +\d.* s +\d.* s", r"disk +\d+ KB +\d+ KB", r" +10 \+ +seed = 7 \}"):
            self.assertRegex(out, "(?m)^" + line)
        self.assertNotRegex(out, "(?m) $")

    def test_diff_in_json_has_the_exact_values(self):
        diff = self.json("diff", "r1", "r2")
        self.assertEqual(diff["params"], {"lr": [0.003, 0.002]})
        self.assertEqual([one["text"] for one in diff["nodes"]["changed"]["base"]], ["lr 0.003 -> 0.002"])
        self.assertEqual((diff["code"], diff["inputs"], diff["records"]), ({}, {}, {}))
        loss = diff["metrics"]["base.valid.loss"]
        for run, side in (("r1", "before"), ("r2", "after")):
            rows = [row for row in self.json("inspect", run + ":base.metrics")["records"] if row["name"] == "valid.loss"]
            self.assertEqual((loss[side]["value"], loss[side]["step"]), (rows[-1]["value"], rows[-1]["step"]))
        self.assertAlmostEqual(loss["difference"], loss["after"]["value"] - loss["before"]["value"])
        self.assertNotIn("base.train.loss", diff["metrics"])
        self.assertIn("base.train.loss", self.json("diff", "r1", "r2", "--full")["metrics"])
        same = self.json("diff", "r1", "r1")
        self.assertEqual((same["params"], same["metrics"], same["nodes"]["changed"]), ({}, {}, {}))
        self.assertGreater(same["same_metrics"], 3)
        self.assertEqual(self.json("diff", "r3", "r4")["nodes"]["added"], ["gate"])
        self.assertIn("did you mean baseline?", self.fails(2, "diff", "r1", "baselin"))

    def test_diff_of_two_results_counts_records_by_id_and_shows_some(self):
        out = self.ok("diff", "r1:clean", "r3:clean")
        self.assertIn("r1:clean -> r3:clean  documents: 2 removed, 2 added, 0 changed, 58 the same\n", out)
        self.assertRegex(out, r"\n\+ \w{32}  70\.txt\nAt who may")
        diff = self.json("diff", "baseline", "r3", "clean")
        self.assertEqual((diff["rows"], diff["added"], diff["removed"]), ([60, 60], 2, 2))
        for kind, other in (("added", ("r3:clean", "r1:clean")), ("removed", ("r1:clean", "r3:clean"))):
            expected = {record["id"] for record in self.records(other[0], "--not-in", other[1])}
            self.assertEqual({record["id"] for record in diff["examples"][kind]}, expected)
        same = self.json("diff", "r1:clean", "r2:clean")
        self.assertEqual((same["added"], same["removed"], same["changed"], same["same"]), (0, 0, 0, 60))
        self.assertIn("model.safetensors", self.json("diff", "r1", "r2", "base")["files"])
        self.assertEqual(self.json("diff", "r2:base@10", "r2:base@10")["files"], {})
        self.assertIn("gives documents and", self.fails(2, "diff", "clean", "base"))
        self.assertIn("metrics have no ids", self.fails(2, "diff", "r1:curve", "r3:curve"))

    def test_diff_of_two_results_shows_changed_documents_word_by_word(self):
        self.place.write("say.lua", 'local tm = require "tidemill"\nlocal p = tm.params { word = tm.string { "wet" } }\n'
                         'local say = tm.stage { name = "say", options = { word = tm.string { "" } },\n'
                         '  each = function(doc, o, emit) emit { text = doc.text:gsub("dry", o.word), id = doc.id } end }\n'
                         'return tm.graph { said = say { tm.read { "say/*.txt" }, word = p.word } }\n')
        self.place.write("say/a.txt", "The dry wheel turns.\n")
        self.place.write("say/b.txt", "The river runs.\n")
        for word in ("wet", "old"):
            self.assertEqual(self.place.tidemill("run", "say.lua", "--quiet", "--set", "word=" + word, store="said")[0], 0)
        out = self.ok("diff", "r1:said", "r2:said", store="said")
        self.assertRegex(out, r"0 removed, 0 added, 1 changed, 1 the same\n~ \w+.*  a\.txt\nThe \[-wet -\]\{\+old \+\}wheel")

    # ---- why ----

    def test_why_follows_a_change_upstream_to_the_files(self):
        out = self.ok("why", "r3:vocab")
        self.assertRegex(out, r"^vocab reran in r3 \(\d.*; cached in r2\)\n"
                         r" because  main input is docs\.train, (\d+ -> \d+ records \([+-]\d+\), )?"
                         r"made anew, by way of clean, clean/gopher,.*\n"
                         r"   because  read 1 file added \(70\.txt\), 1 file removed \(06\.txt\), 1 file changed \(05\.txt\)\n"
                         r" same     size ")
        self.assertRegex(out, r"\n then ran: base\.data .*base curve model")
        why = self.json("why", "r3:base")
        self.assertEqual([cause["text"] for cause in why["because"] if cause["depth"] == 0][:3],
                         ["steps 20 -> 30", "lr 0.002 -> 0.003", "seed 1 -> 7"])
        self.assertEqual(sum(cause["field"] == "files" for cause in why["because"]), 1)
        self.assertTrue(any(cause.get("above") for cause in why["because"]))
        self.assertEqual((why["then"]["curve"], why["was"]), ("done", "done"))

    def test_why_answers_for_cached_new_and_failed_nodes_and_other_runs(self):
        self.assertRegex(self.ok("why", "r4:gate"), r"^gate failed in r4\n plan +run, not run before\n because +no earlier run")
        self.assertIn(" then not run: model\n", self.ok("why", "gate"))
        self.assertIn("lr 0.003 -> 0.002", self.ok("why", "r2:base", "--than", "baseline"))
        base = self.json("why", "r3:base", "--than", "r1")
        self.assertEqual([cause["text"] for cause in base["because"]][:2], ["steps 20 -> 30", "seed 1 -> 7"])
        self.assertIn("same     all of it is as in r4\n", self.ok("why", "r4:curve", "--than", "r4"))
        self.assertIn('no run has a node "bsae"', self.fails(2, "why", "bsae"))
        self.assertIn("there is no run r9", self.fails(2, "why", "r9:base"))

    # ---- inspect ----

    def test_why_of_a_copied_graph_compares_with_the_run_that_is_most_alike_and_names_it(self):
        graph = self.place.read("graph.lua")
        for name, text in (("one.lua", graph), ("far.lua", graph.replace("width = 32", "width = 16")),
                           ("mine.lua", graph.replace("size = 400", "size = 390"))):
            self.place.write(name, text)
            self.ok("run", name, "--quiet", "--set", "steps=2", "base", store="copies")
        lines = self.ok("why", "base", store="copies").splitlines()
        self.assertRegex(lines[0], r"^base reran in r3 ")
        self.assertEqual(lines[1], " than     r1 of one.lua: no earlier run of this graph has it")
        self.assertIn("vocab size 400 -> 390", "\n".join(lines))
        why = self.json("why", "base", store="copies")
        self.assertEqual((why["before"], why["of"]), ("r1", "one.lua"))
        self.place.write("again.lua", graph)
        self.ok("run", "again.lua", "--quiet", "--set", "steps=2", "base", store="copies")
        out = self.ok("why", "base", store="copies")
        self.assertIn("base was cached in r4", out)
        self.assertIn("all of it is as in r1", out)
        self.assertNotIn("then", out)

    def records(self, *args):
        return self.json("inspect", *args, "-n", "100")["records"]

    def test_inspect_finds_records_by_text_and_id_and_those_another_result_lacks(self):
        everything = self.records("r3:clean")
        with_mill = [record["id"] for record in self.records("r3:clean", "--full") if "wheel." in record["text"]]
        self.assertTrue(0 < len(with_mill) < len(everything))
        self.assertEqual([record["id"] for record in self.records("r3:clean", "--grep", "wheel.")], with_mill)
        one = everything[7]
        self.assertEqual([record["id"] for record in self.records("r3:clean", "--id", one["id"][:12])], [one["id"]])
        new = {record["source"] for record in self.records("r3:clean", "--not-in", "r1:clean")}
        self.assertEqual(new, {"05.txt", "70.txt"})
        gone = {record["source"] for record in self.records("r1:clean", "--not-in", "r3:clean")}
        self.assertEqual(gone, {"05.txt", "06.txt"})
        self.assertEqual(self.records("r1:read", "--not-in", "r1:clean", "--grep", "short")[0]["source"], "short0.txt")
        removed = {record["id"] for record in self.records("clean.removed")}
        self.assertEqual({record["id"] for record in self.records("read", "--not-in", "clean")}, removed)
        heads = re.findall(r"(?m)^r\d+:(\S+)  ", self.ok("inspect", "clean.removed"))
        self.assertEqual(heads, ["clean/gopher.removed", "clean/exact_dedup.removed", "clean.removed"])
        rows = [self.json("inspect", head)["rows"] for head in heads]
        self.assertEqual((rows[0] + rows[1], len(removed)), (rows[2], rows[2]))
        self.assertIn('did you mean "clean/gopher.removed"?', self.fails(2, "inspect", "clean/gophr.removed"))
        self.assertIn("metrics have no ids", self.fails(2, "inspect", "base.metrics", "--id", "x"))
        self.assertIn("did you mean", self.fails(2, "inspect", "clean", "--not-in", "claen"))

    def test_inspect_says_what_it_cuts_and_that_nothing_fits(self):
        record, whole = (self.records("r3:clean", *more)[0] for more in ([], ["--full"]))
        self.assertEqual((record["cut"], "cut" in whole), (True, False))
        more = record["bytes"] - len(record["text"].encode())
        self.assertIn(f"{record['text']} ... ({more} bytes more, see --full)\n", self.ok("inspect", "r3:clean"))
        self.assertNotIn(" ... (", self.ok("inspect", "r3:clean", "--full"))
        for flags in ["--grep", "xyzzy"], ["--id", "zz"], ["--not-in", "r3:clean"]:
            self.assertRegex(self.ok("inspect", "r3:clean", *flags), r"\nnone of \d+ records\n$")

    def test_samples_are_drawn_by_seed_from_what_fits(self):
        first = [record["id"] for record in self.records("clean", "--sample", "9")]
        self.assertEqual([record["id"] for record in self.records("clean", "--sample", "9", "--seed", "1")], first)
        other = [record["id"] for record in self.records("clean", "--sample", "9", "--seed", "2")]
        self.assertNotEqual(first, other)
        order = [record["id"] for record in self.records("clean")]
        self.assertEqual(sorted(first, key=order.index), first)
        self.assertEqual((len(set(first)), len(self.records("clean", "--sample", "500"))), (9, len(order)))
        for record in self.records("clean", "--full", "--grep", "river", "--sample", "4"):
            self.assertIn("river", record["text"])
        drawn = {record["id"] for seed in range(40) for record in self.records("clean", "--sample", "9", "--seed", str(seed))}
        self.assertGreater(len(drawn), 50)

    def test_before_shows_what_a_stage_did_to_a_document_word_by_word(self):
        self.place.write("mend.lua", 'local tm = require "tidemill"\n'
                         'local docs = tm.read { "mend/*.txt" }\n'
                         'local clean = tm.curate { docs, tm.stage { name = "mend", takes = "documents", gives = "documents",\n'
                         '  each = function(doc, o, emit) emit { text = doc.text:gsub("old", "new"), id = doc.id } end } {},\n'
                         '  tm.exact_dedup {} }\nreturn tm.graph { docs = docs, mended = clean }\n')
        self.place.write("mend/a.txt", "The old mill " + "turns and " * 40 + "the old wheel stands.\n")
        self.place.write("mend/b.txt", "Nothing to mend here.\n")
        code, _, err = self.place.tidemill("run", "mend.lua", "--quiet", store="mended")
        self.assertEqual(code, 0, err)
        out = self.ok("inspect", "mended", "--before", store="mended")
        self.assertRegex(out, r"a\.txt  changed since r1:docs\nThe \[-old -\]\{\+new \+\}mill .* \.\. .*"
                         r"the \[-old -\]\{\+new \+\}wheel stands\.")
        self.assertRegex(out, r"b\.txt  as in r1:docs\nNothing to mend here\.")
        shown = self.json("inspect", "mended", "--before", store="mended")
        record = [record for record in shown["records"] if record["source"] == "a.txt"][0]
        self.assertEqual("".join(text for kind, text in record["edits"] if kind != "in"), record["before"])
        self.assertEqual("".join(text for kind, text in record["edits"] if kind != "out"), record["text"])
        self.assertEqual(shown["input"], "r1:docs")
        self.assertIn("--before is for documents", self.fails(2, "inspect", "base.data", "--before"))

    # ---- shell ----

    def test_shell_lays_the_inputs_of_a_failed_node_out_and_starts_a_program_beside_them(self):
        def started(*program):
            return subprocess.run([PROGRAM, "shell", "gate", "--store", self.place.path("store"), "--", *program],
                                  check=False, capture_output=True, text=True,
                                  env={**os.environ, "TMPDIR": self.place.path("tmp")})

        os.mkdir(self.place.path("tmp"))

        done = started("sh", "-c", 'cat error.txt node.json; ls input; sh -n rerun.sh; pwd; '
                       'echo "$TIDEMILL_RUN $TIDEMILL_NODE"; echo "$TIDEMILL_RERUN"')
        out = done.stdout
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("valid.loss < 0", out)
        self.assertIn('"stage": "gate"', out)
        self.assertIn("model.safetensors", out)
        self.assertIn("\nr4 gate\ntidemill run " + self.place.path("graph.lua") + " gate --store ", out)
        folder = [line for line in out.splitlines() if line.startswith("/") and "tidemill-gate-" in line][0]
        self.assertFalse(os.path.exists(folder))
        self.assertEqual(started("sh", "-c", "exit 7").returncode, 7)
        self.assertIn("cannot start no-such-program", started("no-such-program").stderr)
        self.assertEqual(os.listdir(self.place.path("tmp")), [])

    def test_shell_writes_records_as_lines_and_gives_copies_that_cannot_harm_the_store(self):
        laid = self.json("shell", "r2:base", "--to", self.place.path("laid"))
        self.assertEqual({one["port"]: one["path"] for one in laid["inputs"]},
                         {"data": "data.jsonl", "tokenizer": "tokenizer", "valid": "valid.jsonl"})
        rows = self.json("inspect", "r2:base.data")["rows"]
        lines = [json.loads(line) for line in self.place.read("laid/data.jsonl").splitlines()]
        self.assertEqual((len(lines), len(lines[0]["ids"]) > 0), (rows, True))
        self.assertIn("--set lr=2e-3", laid["rerun"])
        with open(self.place.path("laid/tokenizer/tokenizer.json"), "r+", encoding="utf-8") as file:
            file.write("spoilt")
        self.ok("verify")
        self.assertIn("is not empty", self.fails(1, "shell", "base", "--to", self.place.path("laid")))
        inner = self.json("shell", "r1:clean/gopher", "--to", self.place.path("inner"))["inputs"][0]
        self.assertEqual((inner["path"], inner["from"], inner["rows"]), ("input.jsonl", "clean/fix_unicode", 66))
        missing = self.json("shell", "model", "--to", self.place.path("missing"))["inputs"][0]
        self.assertEqual((missing.get("path"), missing["note"]), (None, "it was not made to its end"))

    def test_shell_gives_what_a_stage_of_the_graph_made_and_says_what_is_missing(self):
        self.place.write("words.lua", 'local tm = require "tidemill"\n'
                         'local mark = tm.stage { name = "mark", takes = "documents", gives = "documents",\n'
                         '  each = function(doc, o, emit) emit { text = doc.text .. "!", id = doc.id } end }\n'
                         'local marked = mark { tm.read { "corpus/0*.txt" } }\n'
                         'local same = tm.exec { marked, program = { "cat" } }\n'
                         'local broken = tm.exec { same, program = { "sh", "-c", "cat >&2; echo no wheel >&2; exit 3" } }\n'
                         'return tm.graph { marked = marked, same = same, broken = broken }\n')
        self.assertEqual(self.place.tidemill("run", "words.lua", "--quiet", store="words")[0], 1)
        for node, given in (("same", "marked"), ("broken", "same")):
            out = self.ok("shell", node, "--print", "--to", self.place.path("words-" + node), store="words")
            rows = self.json("inspect", given, store="words")["rows"]
            self.assertRegex(out, rf"(?m)^  input\.jsonl +{given}, documents, {rows} records, \d")
            self.assertEqual(len(self.place.read(f"words-{node}/input.jsonl").splitlines()), rows)
        self.assertRegex(self.place.read("words-broken/error.txt"), r"^sh ended with exit status 3\n(.*\n)*.*no wheel\n$")
        self.assertRegex(self.ok("report", "--out", "-", store="words"), r"sh ended with exit status 3[^§]*?no wheel")
        shutil.rmtree(self.place.path("words/objects"))
        os.mkdir(self.place.path("words/objects"))
        code, _, err = self.place.plain("shell", "broken", "--store", self.place.path("words"), "--", "true")
        self.assertEqual((code, err), (0, "input is missing, from same: its bytes are not in the store any more\n"))

    def test_shell_is_a_shell_on_a_terminal(self):
        self.place.write("myshell", "#!/bin/sh\npwd > $HERE/where\necho $TIDEMILL_NODE >> $HERE/where\nexit 3\n")
        os.chmod(self.place.path("myshell"), 0o755)
        leader, follower = open_terminal()
        done = subprocess.run([PROGRAM, "shell", "gate", "--store", self.place.path("store")], stdin=follower, check=False,
                              capture_output=True, text=True, env={**os.environ, "SHELL": self.place.path("myshell"),
                                                                   "HERE": self.place.folder, "TMPDIR": self.place.folder})
        os.close(leader)
        os.close(follower)
        where = self.place.read("where").split()
        self.assertEqual((done.returncode, where[1]), (3, "gate"))
        self.assertIn("the files stay in " + where[0], done.stderr)
        self.assertTrue(os.path.exists(os.path.join(where[0], "error.txt")))

    # ---- logs ----

    def test_logs_follow_a_live_run_to_its_end(self):
        self.place.write("slow.lua", 'local tm = require "tidemill"\nreturn tm.graph { a = tm.exec { '
                         'tm.read { "corpus/0*.txt" }, program = { "sh", "-c", "sleep 1; cat" } } }\n')
        run = self.place.start("run", "slow.lua", "--quiet", store="slow")
        while not os.path.exists(self.place.path("slow/runs/r1/journal")):
            time.sleep(0.01)
        follower = self.place.start("logs", "-f", "r1:a", store="slow")
        whole = self.place.start("logs", "-f", "--json", store="slow")
        out, err = follower.communicate(timeout=60)
        last = json.loads(whole.communicate(timeout=60)[0].splitlines()[-1])
        run.communicate(timeout=60)
        self.assertEqual((run.returncode, follower.returncode, err), (0, 0, ""))
        self.assertRegex(out, r"start +a .*\n(.*\n)*.* sealed +a ")
        self.assertNotIn(" read ", out)
        self.assertEqual((last["event"], last["status"]), ("end", "done"))


SWEEP = """local tm = require "tidemill"
local docs = tm.split { tm.read { "corpus/*.txt" }, valid = 0.1 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local trials = tm.sweep({ lr = { 1e-3, 0.003 }, decay = { "none", "cosine" } }, function(v)
  local model = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4, length = 64 }, tokenizer = vocab,
    data = docs.train, valid = docs.valid, steps = 8, batch = 256, length = 64, lr = v.lr,
    schedule = v.decay == "cosine" and tm.cosine { warmup = 2 } or tm.wsd { warmup = 2 } }
  return { model = model, exam = tm.evaluate { model, tasks = { text = tm.perplexity { docs.valid, length = 64 } } } }
end)
return tm.graph { trials = trials }
"""


class AfterASweep(WithWorkplace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place.write("sweep.lua", SWEEP)
        for flags in (("--tag", "tried"), ("--tag", "tried"), ("train_tokenizer",)):
            code, out, err = cls.place.tidemill("run", "sweep.lua", "--quiet", *flags)
            assert code == 0, out + err

    def test_compare_is_a_row_for_each_point_with_what_differs_and_what_came_of_it(self):
        head, *lines = self.ok("compare", "r1:trials").splitlines()
        self.assertEqual(head, "r1:trials of sweep.lua")
        points = [["cosine", "1e-3"], ["cosine", "3e-3"], ["none", "1e-3"], ["none", "3e-3"]]
        self.assertEqual(lines[0].split()[:4], ["decay", "lr", "valid.loss", "text.bits_per_byte"])
        self.assertEqual([line.split()[:2] for line in lines[1:5] + lines[7:11]], points * 2)
        self.assertRegex(lines[1], r" \d\.\d+ \+-0\.\d+ ")
        self.assertRegex(lines[6], r"^ decay +lr  .*text\.perplexity +took$")  # all are done, and bzip2 says the same of all
        self.assertRegex(lines[7], r" [\d.]+ \+-\d+(\.\d+)? +[\d.]+ s$")
        self.assertEqual(lines[11:], ["1 measure the same in all (--full)"])
        self.assertLessEqual(max(map(len, lines)), 80)
        rows = self.json("compare", "tried", "--full")["rows"]
        self.assertEqual(rows[3]["params"], {"decay": "none", "lr": 0.003})
        metrics = self.json("inspect", "trials/decay=none,lr=3e-3.model.metrics", "-n", "99")["records"]
        for name in ("lr=0.003", "lr=30e-4"):
            self.assertEqual(self.json("inspect", f"trials/decay=none,{name}.model.metrics", "-n", "99")["records"], metrics)
        self.fails(2, "inspect", "trials/decay=none,lr=0.0031.model.metrics")
        for name in ("valid.loss", "train.loss"):
            last = [row["value"] for row in metrics if row["name"] == name][-1]
            self.assertEqual(rows[3]["metrics"][name]["value"], last)
        self.assertEqual({row["state"] for row in self.json("compare", "r2:trials")["rows"]}, {"cached"})

    def test_the_metric_of_a_sweep_is_that_of_its_best_point_in_columns_conditions_and_order(self):
        rows = self.json("compare", "r1:trials")["rows"]
        losses = sorted(row["metrics"]["valid.loss"]["value"] for row in rows)
        between = (losses[0] + losses[1]) / 2
        found = self.json("runs", "--where", f"valid.loss < {between:.9g}")["runs"]
        self.assertEqual([run["run"] for run in found], ["r1", "r2"])
        self.assertEqual(self.json("runs", "--where", f"valid.loss < {losses[0] - 1e-6:.9g}")["runs"], [])
        lines = self.ok("runs", "--sort", "valid.loss", "--last", "2").splitlines()
        self.assertIn("valid.loss", lines[0].split())
        self.assertIn(f"{losses[0]:.5g}", lines[1].split())

    def test_the_losses_of_two_trainers_are_columns_of_their_own_and_a_bare_name_is_that_of_the_last(self):
        graph = self.place.read("graph.lua").replace("return tm.graph {", """local chats = tm.stage {
  name = "chats", gives = "chat", each = function(doc, o, emit)
    emit { messages = { { role = "user", content = "Go on." }, { role = "assistant", content = doc.text:sub(1, 40) } } }
  end }
local tuned = tm.sft { base, data = chats { docs.train }, valid = chats { docs.valid }, steps = 2, batch = 256, length = 64 }
return tm.graph { tuned = tuned,""")
        self.place.write("two.lua", graph)
        self.ok("run", "two.lua", "--quiet", "--set", "steps=2", "tuned", store="two")
        heading = self.ok("runs", store="two").splitlines()[0].split()
        self.assertIn("base.valid.loss", heading)
        self.assertIn("tuned.valid.loss", heading)
        self.assertNotIn("valid.loss", heading)
        metrics = self.json("runs", store="two")["runs"][0]["metrics"]
        code, out, err = self.place.tidemill("runs", "--sort", "valid.loss", store="two")
        self.assertEqual(code, 0, err)
        self.assertIn("valid.loss is tuned.valid.loss in r1, the last stage that has it", err)
        self.assertIn(f"{metrics['tuned']['valid.loss']['value']:.5g}", out)

    def test_compare_says_of_which_run_the_points_are_and_takes_a_smoke_run_only_by_its_name(self):
        self.ok("run", "sweep.lua", "--quiet", "--smoke", store="smoked")
        err = self.fails(2, "compare", "trials", store="smoked")
        self.assertIn('only a smoke run has "trials" so far', err)
        self.assertIn("tidemill compare r1:trials", err)
        self.assertEqual(self.ok("compare", "r1:trials", store="smoked").splitlines()[0], "r1:trials of sweep.lua, a smoke run")
        self.assertEqual(self.json("compare", "r1:trials", store="smoked")["run"], "r1")
        self.assertEqual(self.ok("compare", "trials").splitlines()[0], "r2:trials of sweep.lua")

    def test_a_bare_name_that_two_graphs_have_says_on_stderr_which_one_it_means(self):
        self.ok("run", "graph.lua", "--quiet", "clean", store="both")
        self.ok("run", "sweep.lua", "--quiet", "train_tokenizer", store="both")
        graph = self.place.read("graph.lua")
        self.place.write("later.lua", graph.replace("tm.exact_dedup {}", "tm.exact_dedup {}, tm.gopher {}"))
        self.assertEqual(self.place.tidemill("inspect", "clean", store="both")[2], "")
        self.ok("run", "later.lua", "--quiet", "clean", store="both")
        code, out, err = self.place.tidemill("inspect", "clean", store="both")
        self.assertEqual((code, err), (0, "clean: of r3, graph later.lua; that of graph.lua is r1:clean\n"))
        self.assertIn("r3:clean", out)
        self.assertEqual(self.place.tidemill("inspect", "r3:clean", store="both")[2], "")

    def test_a_result_that_gc_freed_is_called_so_with_the_command_that_makes_it_again(self):
        self.ok("run", "graph.lua", "--quiet", "vocab", store="gone")
        for at, _, names in os.walk(self.place.path("gone/objects")):  # gc removes nothing younger than an hour
            for name in names:
                os.utime(os.path.join(at, name), (1, 1))
        self.ok("gc", "--keep-days", "0", store="gone")
        self.place.write("other.lua", self.place.read("graph.lua").replace("size = 400", "size = 390"))
        self.ok("run", "graph.lua", "--quiet", "clean", store="gone")
        self.assertIn(" because  its result of r1 was not in the store any more\n", self.ok("why", "clean", store="gone"))
        self.ok("run", "other.lua", "--quiet", "vocab", store="gone")  # of another graph: no substitute
        err = self.fails(2, "inspect", "r1:vocab", store="gone")
        self.assertIn("error[TM0509] the result of vocab of run r1 is not in the store any more", err)
        again = shlex.split(re.search("make it again: tidemill (.*)", err).group(1))
        self.assertEqual(again[1:3], [os.path.realpath(self.place.path("graph.lua")), "vocab"])
        self.assertEqual(self.place.plain(*again)[0], 0)
        self.ok("inspect", "r1:vocab", store="gone")

    def test_a_store_one_folder_below_is_named_where_there_is_none(self):
        self.place.write("apart/graphs/few.lua", """local tm = require "tidemill"
return tm.graph { texts = tm.read { "*.txt" } }""")
        self.place.write("apart/graphs/one.txt", "One.")
        apart = dict(cwd=self.place.path("apart"), capture_output=True, text=True, timeout=60)
        self.assertIn("run a graph first", subprocess.run([PROGRAM, "runs"], **apart).stderr)
        self.assertEqual(subprocess.run([PROGRAM, "run", "graphs/few.lua", "--quiet"], **apart).returncode, 0)
        done = subprocess.run([PROGRAM, "inspect", "texts"], **apart)
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is one in a folder here: add --store graphs/.tidemill", done.stderr)
        done = subprocess.run([PROGRAM, "inspect", "texts", "--store", "graphs/.tidemill"], **apart)
        self.assertIn("One.", done.stdout)

    def test_points_stand_in_order_of_their_values_spelled_as_in_their_addresses(self):
        self.place.write("order.lua", """local tm = require "tidemill"
local docs = tm.read { "corpus/*.txt" }
local trials = tm.sweep({ lr = { 3e-3, 0.01, 0.03, 1e-3 } }, function(v)
  return tm.train_tokenizer { docs, size = 300 + v.lr * 1000 // 1 | 0 } end)
return tm.graph { trials = trials }""")
        self.ok("run", "order.lua", "--quiet", store="order")
        names = [row["name"] for row in self.json("compare", "trials", store="order")["rows"]]
        self.assertEqual([float(name.split("=")[1]) for name in names], [1e-3, 3e-3, 1e-2, 3e-2])
        shown = [line.split()[0] for line in self.ok("compare", "trials", store="order").splitlines()[2:]]
        self.assertEqual(["lr=" + one for one in shown], names)

    def test_a_graph_is_one_however_its_path_was_typed(self):
        source = 'local tm = require "tidemill"\nreturn tm.graph { docs = tm.read { "%s*.txt" } }'
        self.place.write("one.lua", source % "corpus/")
        for typed in ("one.lua", "corpus/../one.lua", self.place.path("one.lua")):
            self.ok("run", typed, "--quiet", store="typed")
        shown = self.ok("runs", store="typed").splitlines()
        self.assertEqual([line.split()[-1] for line in shown[1:]], ["one.lua"] * 3)
        self.assertNotIn("one.lua", self.ok("diff", "r1", "r2", store="typed"))
        self.place.write("else/one.lua", source % "../corpus/")
        self.ok("run", "else/one.lua", "--quiet", store="typed")
        whole = self.place.path("one.lua")
        for name, count in (("one.lua", 4), ("else/one.lua", 1), ("./one.lua", 3), (whole, 3), ("ne.lua", 0)):
            found = self.json("runs", "--where", f"graph == '{name}'", store="typed")["runs"]
            self.assertEqual(len(found), count, name)
            other = self.json("runs", "--where", f"graph != '{name}'", store="typed")["runs"]
            self.assertEqual(len(other), 4 - count, name)
        folder = os.path.basename(self.place.folder)
        self.assertRegex(self.ok("diff", "r1", "r4", store="typed"), rf"graph +{folder}/one\.lua +else/one\.lua")
        rows = list(csv.DictReader(io.StringIO(self.ok("runs", "--csv", store="typed"))))
        self.assertEqual([row["graph"] for row in rows], [f"{folder}/one.lua"] * 3 + ["else/one.lua"])

    def test_points_are_sorted_by_what_a_column_is_called_and_by_a_bare_name_that_is_unique(self):
        took = [row["seconds"] for row in self.json("compare", "trials", "--sort", "-took")["rows"]]
        self.assertEqual(took, sorted(took, reverse=True))
        bare = [row["name"] for row in self.json("compare", "trials", "--sort", "bits_per_byte")["rows"]]
        self.assertEqual(bare, [row["name"] for row in self.json("compare", "trials", "--sort", "text.bits_per_byte")["rows"]])
        self.assertRegex(self.fails(2, "compare", "trials", "--sort", "loss"), "which one is meant: .*text.loss")

    def test_compare_sorts_and_writes_csv(self):
        for sort, down in (("text.loss", False), ("-valid.loss", True)):
            rows = list(csv.DictReader(io.StringIO(self.ok("compare", "trials", "--csv", "--sort", sort))))
            values = [float(row[sort.lstrip("-")]) for row in rows]
            self.assertEqual((values, len(rows)), (sorted(values, reverse=down), 4))
        rows = self.json("compare", "trials", "--sort", "lr")["rows"]
        self.assertEqual([row["name"] for row in rows], ["decay=cosine,lr=1e-3", "decay=none,lr=1e-3",
                                                         "decay=cosine,lr=3e-3", "decay=none,lr=3e-3"])
        self.assertIn("did you mean valid.loss?", self.fails(2, "compare", "trials", "--sort", "valid.los"))

    def test_metrics_of_a_run_stay_when_its_results_go_also_of_cached_nodes(self):
        def known(store):
            return [self.json(*args, store=store) for args in
                    (("runs",), ("compare", "r1:trials", "--full"), ("compare", "r1", "tried", "--full"))]

        shutil.copytree(self.place.path("store"), self.place.path("freed"))
        for at, _, names in os.walk(self.place.path("freed/objects")):  # gc removes nothing younger than an hour
            for name in names:
                os.utime(os.path.join(at, name), (1, 1))
        before = known("freed")
        cached = before[2]["rows"][1]["metrics"]
        self.assertTrue(any("error" in metric for metric in cached.values()), cached)
        self.ok("gc", "--keep-days", "0", store="freed")
        self.assertEqual(self.json("verify", store="freed")["records"], 0)
        self.assertEqual(known("freed"), before)
        names = [run["run"] for run in self.json("runs", "--where", "'trials/decay=none,lr=3e-3.model.valid.loss' > 0",
                                                 store="freed")["runs"]]
        self.assertEqual(names, ["r1", "r2"])
        self.place.write("freed/runs/r2/metrics", "no JSON")
        runs = self.json("runs", store="freed")["runs"]
        self.assertEqual((runs[0], runs[1]["metrics"]), (before[0]["runs"][0], {}))

    def test_logs_of_a_node_are_those_of_the_latest_run_that_has_it(self):
        node = "trials/decay=none,lr=3e-3.model"
        self.assertNotIn(node, self.json("status", "r3")["nodes"])
        self.assertEqual(self.ok("logs", node), self.ok("logs", "r2:" + node))

    def test_runs_are_compared_with_one_another_and_wrong_names_are_helped(self):
        rows = self.json("compare", "r1", "tried")["rows"]
        self.assertEqual([row["name"] for row in rows], ["r1", "r2"])
        self.assertEqual(rows[0]["metrics"], rows[1]["metrics"])
        self.assertRegex(self.ok("compare", "r1", "r2"), r"^run +took\nr1 +[\d.]+ s\nr2 +[\d.]+ s\n20 measures the same in all")
        self.assertIn("did you mean trials?", self.fails(2, "compare", "r1:trails"))
        self.assertIn("did you mean trials?", self.fails(2, "compare", "trails"))
        self.assertIn("there is no run r7", self.fails(2, "compare", "r1", "r7"))


if __name__ == "__main__":
    unittest.main()
