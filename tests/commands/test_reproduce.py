# SPDX-License-Identifier: Apache-2.0
"""What is needed to make a result again: what a run records of its surroundings."""
import json
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

from workplace import WithWorkplace


class Git(WithWorkplace):
    """One run each: tests need only its record."""

    def setUp(self):
        shutil.rmtree(self.place.path(".git"), ignore_errors=True)

    def git(self, *args):
        return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *args], cwd=self.place.folder,
                              check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, *files):
        self.git("init", "-q", "-b", "trunk", ".")
        self.git("add", *files)
        self.git("commit", "-qm", "one")
        return self.git("rev-parse", "HEAD")

    def state(self, env=()):
        """What a new run says of git: its record, and its line."""
        code, _, err = self.place.tidemill("run", "graph.lua", "clean", env=env)
        self.assertEqual(code, 0, err)
        lines = [line for line in err.splitlines() if line.startswith("git ")]
        return self.json("status").get("git"), lines

    def test_a_clean_tree_is_its_commit_and_no_line(self):
        commit = self.commit("graph.lua", "corpus")
        self.assertEqual(self.state(), ({"commit": commit, "branch": "trunk", "changed": 0, "files": [], "graph": []}, []))
        self.assertRegex(self.ok("runs"), rf"(?m){commit[:7]}$")

    def test_changed_files_are_named_and_shown_by_run_runs_and_status(self):
        commit = self.commit("graph.lua", "corpus")
        text, page = self.place.read("graph.lua"), self.place.read("corpus/09.txt")
        self.place.write("graph.lua", text + "-- changed\n")
        self.place.write("corpus/09.txt", page + " ")
        state, lines = self.state()
        self.place.write("graph.lua", text)
        self.place.write("corpus/09.txt", page)
        self.assertEqual((state["changed"], state["files"], state["graph"]),
                         (2, ["corpus/09.txt", "graph.lua"], ["graph.lua"]))
        said = f"commit {commit[:7]} and 2 changed files; graph.lua is not as committed"
        self.assertEqual(lines, ["git   " + said])
        self.assertRegex(self.ok("runs"), rf"(?m){commit[:7]}\+$")
        self.assertIn(said, self.ok("status"))

    def test_a_graph_that_git_does_not_follow_is_not_as_committed(self):
        self.commit("corpus/01.txt")
        state, lines = self.state()
        self.assertEqual((state["changed"], state["graph"]), (0, ["graph.lua"]))
        self.assertEqual(len(lines), 1)

    def test_without_the_program_the_commit_alone_is_read(self):
        commit = self.commit("graph.lua")
        alone = {"commit": commit, "branch": "trunk"}
        self.assertEqual(self.state({"PATH": "/nowhere"}), (alone, []))
        self.git("pack-refs", "--all")
        self.assertEqual(self.state({"PATH": "/nowhere"}), (alone, []))
        self.git("checkout", "-q", "--detach")
        self.assertEqual(self.state({"PATH": "/nowhere"}), ({"commit": commit}, []))

    def test_hooks_and_helpers_of_the_repository_are_not_started(self):
        self.commit("graph.lua")
        self.place.write("trap.sh", "#!/bin/sh\ntouch " + self.place.path("trapped") + "\n")
        os.chmod(self.place.path("trap.sh"), 0o755)
        self.git("config", "core.fsmonitor", self.place.path("trap.sh"))
        shutil.copy(self.place.path("trap.sh"), self.place.path(".git/hooks/post-index-change"))
        os.utime(self.place.path("graph.lua"))
        self.assertEqual(self.state()[0]["changed"], 0)
        self.assertFalse(os.path.exists(self.place.path("trapped")))

    def test_no_git_is_no_fault(self):
        self.assertEqual(self.state(), (None, []))
        self.place.write(".git/HEAD", "ref: refs/heads/none\n")
        self.assertEqual(self.state(), (None, []))

    def test_the_environment_is_recorded_without_host_or_user(self):
        self.place.tidemill("run", "graph.lua", "clean", env={"TM_CPU": "base", "TZ": "Asia/Tokyo"})
        with open(self.place.path(f"store/runs/{self.json('status')['run']}/journal"), encoding="utf-8",
                  errors="replace") as file:
            line = next(line for line in file if '"environment"' in line)
        record = json.loads(line[line.index("{"):line.rindex("}") + 1])["environment"]
        self.assertEqual((record["switches"], record["zone"], record["cpu"]["kind"]),
                         ({"TM_CPU": "base"}, "Asia/Tokyo", "base"))
        self.assertLessEqual({"libc", "gumbo", "cld2", "libarchive"}, set(record["libraries"]))
        self.assertEqual(len(record["program"]["hash"]), 32)
        self.assertNotIn(socket.gethostname(), json.dumps(record))


class Lock(WithWorkplace):
    """tidemill.lock of one short run; every test begins with it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        code, _, err = cls.place.tidemill("run", "graph.lua", "--set", "steps=4")
        assert code == 0, err
        code, cls.said, err = cls.place.tidemill("pin")
        assert code == 0, err
        cls.lock = cls.place.read("tidemill.lock")

    def setUp(self):
        self.place.write("tidemill.lock", self.lock)

    def differences(self, *args):
        code, out, err = self.place.tidemill(*args, "--json")
        self.assertEqual(code, 8, out + err)
        return [(one["what"], one["name"]) for one in json.loads(out)["differences"]]

    def edit(self, change):
        lock = json.loads(self.lock)
        change(lock["graphs"]["graph.lua"])
        self.place.write("tidemill.lock", json.dumps(lock))

    def test_pin_says_what_it_wrote_and_writes_the_same_again(self):
        self.assertRegex(self.said, r"tidemill.lock: r1 of graph.lua: 11 nodes, 66 input files, 1 file of the graph, "
                                    r"2 parameters")
        self.ok("pin", "r1")
        self.assertEqual(self.place.read("tidemill.lock"), self.lock)

    def test_the_lock_is_one_sorted_fact_a_line(self):
        section = json.loads(self.lock)["graphs"]["graph.lua"]
        self.assertEqual((section["params"], section["set"]), ({"lr": 0.003, "steps": 4}, {"steps": "4"}))
        self.assertEqual(section["stages"]["pretrain"], 2)
        self.assertEqual(section["libraries"].keys(), {"libarchive", "numerics"})
        self.assertEqual(section["inputs"]["corpus/short1.txt"]["bytes"], 13)
        self.assertIn("base.metrics", section["results"])
        self.assertEqual(section["nodes"]["vocab"]["inputs"], {"": "docs.train"})
        lines = [line.strip() for line in self.lock.splitlines() if line.strip().startswith('"corpus/')]
        self.assertEqual(len(lines), 66)
        self.assertEqual(lines, sorted(lines))

    def test_locked_takes_the_pinned_parameters_and_finds_everything_as_it_was(self):
        result = self.json("run", "graph.lua", "--locked")
        self.assertEqual((result["done"], result["locked"]),
                         (0, {"same": 11, "behind": 0, "differences": [], "environment": []}))
        self.assertIn("results of 11 nodes as in its run r1", self.ok("run", "graph.lua", "--locked"))

    def test_made_anew_in_another_store_the_results_are_the_same(self):
        result = self.json("run", "graph.lua", "base", "curve", "--locked", store="other")
        self.assertEqual((result["done"], result["locked"]["same"], result["locked"]["differences"]), (10, 10, []))

    def test_another_parameter_is_refused_by_run_plan_and_check(self):
        for command in "run", "plan", "check":
            self.assertEqual(self.differences(command, "graph.lua", "--locked", "--set", "lr=1e-3"),
                             [("param", "lr"), ("node", "base")])
        err = self.fails(8, "run", "graph.lua", "--locked", "--set", "lr=1e-3")
        self.assertRegex(err, r"param +lr +pinned 0.003, is 0.001\n +node +base +lr 0.003 -> 0.001\n")
        self.assertIn("`tidemill run graph.lua --set steps=4 --set lr=1e-3`, then `tidemill pin`", err)

    def test_changed_new_and_lost_inputs_are_named(self):
        page = self.place.read("corpus/07.txt")
        self.place.write("corpus/07.txt", page + "x")
        self.place.write("corpus/new.txt", page)
        os.rename(self.place.path("corpus/08.txt"), self.place.path("kept"))
        try:
            self.assertEqual(self.differences("run", "graph.lua", "--locked"),
                             [("input", "corpus/07.txt"), ("input", "corpus/08.txt"), ("input", "corpus/new.txt")])
        finally:
            os.rename(self.place.path("kept"), self.place.path("corpus/08.txt"))
            self.place.write("corpus/07.txt", page)
            os.remove(self.place.path("corpus/new.txt"))

    def with_graph(self, *changes):
        """The graph with some text in the place of other."""
        text = kept = self.place.read("graph.lua")
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.place.write("graph.lua", text)
        self.addCleanup(self.place.write, "graph.lua", kept)

    def test_a_text_that_means_the_same_graph_is_as_good(self):
        self.with_graph(("local docs ", "-- held out\n\nlocal texts"), ("docs.", "texts."), ("docs = docs", "docs = texts"),
                        ("tm.params {", "tm.params { unused = tm.int { 1 },"))
        self.assertIn("results of 11 nodes as in its run r1", self.ok("run", "graph.lua", "--locked"))
        self.assertIn("graph.lua was edited since r1", self.place.tidemill("pin", "r1")[2])

    def test_a_changed_graph_is_told_by_node_option_and_input_all_of_it(self):
        self.with_graph(("valid = 0.1", "valid = 0.2"), ("docs.train, size", "clean, size"),
                        ("tm.fix_unicode {}, ", ""), ("local model", "local few = tm.exact_dedup { docs.valid }\nlocal model"),
                        ("model = model", "model = model, few = few"))
        out = json.loads(self.place.tidemill("run", "graph.lua", "--locked", "--json")[1])
        self.assertEqual([(one["name"], one.get("field"), one["text"]) for one in out["differences"]], [
            ("clean/gopher", "input", 'input "clean/fix_unicode" -> "read"'),
            ("docs", "valid", "valid 0.1 -> 0.2"),
            ("vocab", "input", 'input "docs.train" -> "clean"'),
            ("few", None, "is new in the graph"),
            ("clean/fix_unicode", None, "is not in the graph any more")])
        self.assertEqual((out["differences"][1]["pinned"], out["differences"][1]["now"]), (0.1, 0.2))
        err = self.fails(8, "run", "graph.lua", "--locked")
        self.assertRegex(err, r"(?m)^  node +docs +valid 0.1 -> 0.2$")
        self.assertIn("of its run r1: 5 differences\n", err)

    def test_a_set_parameter_that_the_graph_lost_is_named(self):
        self.with_graph(("steps = tm.int { 20, min = 1 }, ", ""), ("p.steps", "6"))
        err = self.fails(8, "run", "graph.lua", "--locked")
        self.assertRegex(err, r"param +steps +pinned 4, is nothing\n +node +base +steps 4 -> 6\n")
        self.assertIn("`tidemill run graph.lua`, then", err)

    def test_a_changed_function_is_told_by_its_line_and_a_moved_one_is_the_same(self):
        body = """local tm = require "tidemill"
local loud = tm.stage { name = "loud", each = function(doc, o, emit) emit { text = doc.text:upper() } end }
return tm.graph { out = loud { tm.read { "corpus/0*.txt" } } }
"""
        self.place.write("own.lua", body)
        self.ok("run", "own.lua")
        self.ok("pin", "--output", "own.lock")
        self.place.write("own.lua", body.replace("local loud", "\n-- moved\nlocal loud"))
        self.ok("run", "own.lua", "--lock", "own.lock")
        self.place.write("own.lua", body.replace("upper", "lower"))
        self.assertRegex(self.fails(8, "run", "own.lua", "--lock", "own.lock"),
                         r"why +node out: each changed, line 2 of own.lua: upper \( \) -> lower \( \)")

    def test_other_versions_are_refused(self):
        self.edit(lambda s: s["stages"].update(gopher=99))
        self.assertEqual(self.differences("plan", "graph.lua", "--locked"), [("version", "gopher")])
        self.edit(lambda s: s["libraries"].update(libarchive="1.0"))
        self.assertEqual(self.differences("plan", "graph.lua", "--locked"), [("library", "libarchive")])

    def test_a_result_that_differs_is_named_once_and_what_is_made_of_it_counted(self):
        def change(section):
            for node in "vocab", "base", "model":
                section["results"][node] = "0" * 32
        self.edit(change)
        code, out, err = self.place.tidemill("run", "graph.lua", "--locked")
        self.assertEqual(code, 8, out + err)
        self.assertIn("results of 8 nodes as in its run r1; 1 differs, and 2 made of them", out)
        self.assertRegex(out, r"result +vocab +pinned 00000000, is ")

    def test_numbers_of_another_kind_of_processor_are_told_and_accepted(self):
        def change(section):
            section["environment"]["cpu"]["kind"] = "other"
            section["results"]["base"] = "0" * 32
        self.edit(change)
        code, out, err = self.place.tidemill("run", "graph.lua", "--locked")
        self.assertEqual(code, 0, out + err)
        self.assertIn("another kind of processor", out)
        told = self.json("run", "graph.lua", "--locked")["locked"]["environment"]
        self.assertEqual([(one["name"], one["pinned"]) for one in told], [("processor", "other")])
        self.assertIn("pinned other, is", err)

    def test_another_lock_is_called_by_its_name_and_the_remedy_writes_that_one(self):
        self.ok("pin", "r1", "--output", "other.lock")
        self.place.write("tidemill.lock", "not touched")
        err = self.fails(8, "run", "graph.lua", "--lock", self.place.path("other.lock"), "--set", "lr=1e-3")
        name = self.place.path("other.lock")
        self.assertIn(f"is not what {name} pins, of its run r1", err)
        self.assertIn(f"then `tidemill pin --output {name}`", err)
        self.assertNotIn("tidemill.lock", err)
        self.assertIn(f"{name}: results of 11 nodes as in its run r1", self.ok("run", "graph.lua", "--lock", name))
        self.assertIn("then `tidemill pin --output none`", self.fails(2, "run", "graph.lua", "--lock", "none"))

    def test_nodes_that_are_the_same_work_count_once_as_everywhere(self):
        self.place.write("twins.lua", 'local tm = require "tidemill"\nreturn tm.graph { '
                                      'a = tm.read { "corpus/*.txt" }, b = tm.read { "corpus/*.txt" } }')
        self.ok("run", "twins.lua", store="twins")
        self.assertIn(": 1 node, ", self.ok("pin", "--output", "twins.lock", store="twins"))

    def test_pin_stays_with_the_graph_that_ran_last(self):
        self.place.write("late.lua", 'local tm = require "tidemill"\nlocal a = tm.read { "corpus/*.txt" }\n'
                                     'return tm.graph { a = a, b = a:take(2) }')
        self.ok("run", "graph.lua", "clean", store="late")
        self.ok("run", "late.lua", store="late")
        self.ok("run", "graph.lua", "clean", store="late")
        self.assertIn("was not of the whole graph, but of clean", self.fails(2, "pin", store="late"))
        self.assertEqual(self.place.read("tidemill.lock"), self.lock)
        self.ok("run", "late.lua", "a", store="late")
        self.assertIn("r2 of late.lua", self.ok("pin", "--output", "late.lock", store="late"))

    def test_no_lock_a_damaged_one_and_an_unfinished_run(self):
        self.assertIn("tidemill pin", self.fails(2, "run", "graph.lua", "--lock", "none"))
        self.place.write("tidemill.lock", self.lock[:-9])
        self.assertIn("tidemill.lock:", self.fails(2, "run", "graph.lua", "--locked"))
        self.place.write("tidemill.lock", "{}")
        self.assertIn("no lock of this version", self.fails(2, "pin"))
        self.place.write("bad.lua", 'local tm = require "tidemill"\nlocal p = tm.params { n = tm.int { 1 }, m = tm.int { 1 } }\n'
                                    'return tm.graph { a = tm.exec { tm.read { '
                                    '"corpus/*.txt" }, program = { "false" }, io = "jsonl" } }')
        said = self.place.tidemill("run", "bad.lua", "--set", "n=2", "-s", "m=3", store="bad")[2]
        self.assertIn("then `tidemill run bad.lua --set n=2 --set m=3` again", said)
        self.assertIn("did not come to its end (failed)", self.place.tidemill("pin", store="bad")[2])

    def test_graphs_of_a_folder_share_the_lock(self):
        self.place.write("second.lua", self.place.read("graph.lua"))
        for part in ["vocab"], ["--until", "vocab"]:
            self.ok("run", "second.lua", *part)
            self.assertIn("was not of the whole graph, but of vocab", self.fails(2, "pin", "latest"))
        self.ok("run", "graph.lua", "vocab", "--smoke")
        _, out, err = self.place.tidemill("pin", "--output", "other.lock")
        self.assertRegex(out, "r[0-9]+ of graph.lua: 11 nodes")
        self.assertRegex(err, "note   r[0-9]+ was a smoke run: nothing of it is a result; taken instead: r[0-9]+\n")
        self.place.write("second.lua", self.place.read("graph.lua").replace("out/model", "out/second"))
        self.ok("run", "second.lua")
        self.ok("pin")
        graphs = json.loads(self.place.read("tidemill.lock"))["graphs"]
        self.assertEqual(graphs["graph.lua"], json.loads(self.lock)["graphs"]["graph.lua"])
        self.assertIn("vocab", graphs["second.lua"]["results"])


class Needs(WithWorkplace):
    """What a plan says of time, memory and disk, from one recorded run."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        code, _, err = cls.place.tidemill("run", "graph.lua", "--set", "steps=8")
        assert code == 0, err

    def estimates(self, *args):
        plan = self.json("plan", "graph.lua", *args)
        return plan["needs"], {name: node["estimate"] for name, node in plan["nodes"].items() if "estimate" in node}

    def test_without_runs_nothing_is_known_and_that_is_said(self):
        plan = self.json("plan", "graph.lua", store="none")
        self.assertEqual((plan["needs"]["known"], plan["needs"]["seconds"]), (0, 0))
        self.assertIn("time    not known: nothing like it was run here\n", self.ok("plan", "graph.lua", store="none"))

    def test_what_is_cached_needs_nothing(self):
        needs, nodes = self.estimates("--set", "steps=8")
        self.assertEqual((needs["seconds"], needs["seconds_most"], needs["disk"], nodes), (0, 0, 0, {}))

    def test_the_same_work_once_more_takes_what_it_took(self):
        took = self.json("status", "r1")["nodes"]
        needs, nodes = self.estimates("--set", "steps=8", "--from", "docs")
        for name in "docs", "vocab", "base":
            self.assertEqual((nodes[name]["sure"], nodes[name]["runs"]), ("same", 1))
        self.assertAlmostEqual(nodes["vocab"]["seconds"], took["vocab"]["seconds"], places=3)
        self.assertGreater(needs["memory"], 4e6)
        self.assertGreater(needs["disk_free"], needs["disk"])
        self.assertGreaterEqual(needs["disk"], sum(nodes[name]["bytes"] for name in ("vocab", "base", "model")))

    def test_a_trainer_is_scaled_by_its_steps(self):
        took = self.json("status", "r1")["nodes"]["base"]["seconds"]
        _, nodes = self.estimates("--set", "steps=800", "--set", "lr=1e-2")
        self.assertEqual(nodes["base"]["sure"], "node")
        self.assertAlmostEqual(nodes["base"]["seconds"] / took, 100, delta=1)
        text = self.ok("plan", "graph.lua", "--set", "steps=800", "--set", "lr=1e-2")
        self.assertRegex(text, r"base +run +~ ")
        self.assertRegex(text, r"time +\d.* s.*, in part from runs with other options")
        self.assertRegex(text, r"memory +\d+ MB in the biggest worker")

    def test_the_room_of_a_trainer_grows_with_its_snapshots_and_the_shape_of_its_model(self):
        graph = self.place.read("graph.lua")
        self.addCleanup(self.place.write, "graph.lua", graph)
        one = self.estimates("--set", "steps=8", "--from", "docs")[1]["base"]["bytes"]
        self.assertEqual(self.estimates("--set", "steps=80")[1]["base"]["bytes"], 8 * one)
        self.place.write("graph.lua", graph.replace("layers = 1", "layers = 3"))
        self.assertEqual(self.estimates("--set", "steps=8")[1]["base"]["bytes"], 3 * one)
        self.place.write("graph.lua", graph.replace("width = 32", "width = 64").replace("heads = 4", "heads = 8"))
        self.ok("run", "graph.lua", "base", "--set", "steps=80", store="wide")
        there = self.json("status", store="wide")["nodes"]["base"]["bytes"]
        told = self.estimates("--set", "steps=80")[1]["base"]["bytes"]
        self.assertTrue(there <= told <= 5 * there, (there, told))

    def test_work_on_the_first_records_is_scaled_by_their_number(self):
        self.place.write("take.lua", 'local tm = require "tidemill"\nlocal p = tm.params { n = tm.int { 40 } }\n'
                         'local all = tm.read { "corpus/[0-9]*.txt" }\n'
                         'return tm.graph { vocab = tm.train_tokenizer { all:take(p.n), size = 300 } }\n')
        self.ok("run", "take.lua", store="take")
        took = self.json("status", "r1", store="take")["nodes"]
        took["take"] = self.json("plan", "take.lua", "--force", "take", store="take")["nodes"]["take"]["estimate"]
        for n, share in (10, 1 / 4), (20, 1 / 2), (400, 10):
            nodes = self.json("plan", "take.lua", "--set", f"n={n}", store="take")["nodes"]
            for name, scaled in ("take", "bytes"), ("vocab", "seconds"):
                self.assertAlmostEqual(nodes[name]["estimate"][scaled] / took[name][scaled], share, delta=0.05 * share)

    def test_a_model_of_another_size_tells_nothing(self):
        text = self.place.read("graph.lua")
        arch = re.search(r"layers = (\d+), width = (\d+)", text)
        self.place.write("wide.lua", text.replace(arch[0], f"layers = {arch[1]}, width = {4 * int(arch[2])}"))
        plan = self.json("plan", "wide.lua", "--set", "steps=8")
        self.assertEqual(plan["nodes"]["base"]["estimate"]["sure"], "unknown")
        self.assertGreater(plan["needs"]["unknown"], 0)

    def test_the_whole_takes_no_less_than_its_longest_node_and_no_more_than_all(self):
        needs, nodes = self.estimates("--set", "steps=8", "--from", "read")
        times = [one["seconds"] for one in nodes.values()]
        self.assertLessEqual(needs["seconds_most"], sum(times) + 0.1)
        self.assertGreaterEqual(needs["seconds_most"], max(times))
        self.assertGreaterEqual(needs["seconds_most"], needs["seconds"])


class Room(WithWorkplace):
    """gc --to, on a store with a changed run, a smoke run and a lock."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for args in (["run", "graph.lua", "--set", "steps=4"], ["run", "graph.lua", "--smoke"],
                     ["run", "graph.lua", "--set", "steps=8", "--set", "lr=1e-2"]):
            code, _, err = cls.place.tidemill(*args)
            assert code == 0, err

    def copy(self, name):
        """A store whose objects are not of this minute."""
        shutil.copytree(self.place.path("store"), self.place.path(name))
        for at, _, names in os.walk(self.place.path(name + "/objects")):
            for one in names:
                os.utime(os.path.join(at, one), (time.time() - 100, time.time() - 100))
        return name

    def bytes(self, store):
        return sum(os.lstat(os.path.join(at, one)).st_size
                   for at, _, names in os.walk(self.place.path(store + "/objects")) for one in names)

    def test_the_cheapest_goes_first_and_a_dry_run_changes_nothing(self):
        store = self.copy("dry")
        before, size = self.place.files(store + "/objects"), self.bytes(store)
        report = self.json("gc", "--to", str(size // 2), "--dry-run", store=store)
        self.assertEqual(self.place.files(store + "/objects"), before)
        ranks = [one["rank"] for one in report["results"]]
        self.assertEqual(ranks, sorted(ranks, key=["smoke", "plain", "latest", "pinned"].index))
        self.assertIn("smoke", ranks)
        self.assertLessEqual(sum(one["bytes"] for one in report["results"]), report["bytes_removed"])
        self.assertLessEqual(report["bytes_kept"], size // 2)
        text = self.ok("gc", "--to", str(size // 2), "--dry-run", store=store)
        self.assertRegex(text, r"(?m)^base +r1 +\d.* KB  rebuild \d.* s$")
        self.assertRegex(text, r"rebuild \d.* s  of a smoke run")
        self.assertIn("would free", text)

    def test_sizes_are_thousands_with_a_b_and_1024s_without_and_are_told_as_they_were_given(self):
        store = self.copy("units")
        size = self.bytes(store)
        for to, limit in (("20KB", 20000), ("20K", 20480), ("20kib", 20480), ("20 kb", 20000)):
            self.assertGreater(size, limit)
            kept = self.json("gc", "--to", to, "--dry-run", store=store)["bytes_kept"]
            self.assertEqual(kept, self.json("gc", "--to", str(limit), "--dry-run", store=store)["bytes_kept"], to)
        for path in self.place.files(store + "/objects"):
            os.utime(path)
        said = self.fails(5, "gc", "--to", "1.5KiB", store=store)
        self.assertIn("error[TM0423] the store cannot get to 1.5KiB: ", said)
        self.assertIn("stopped runs", said)
        self.assertIn("--to takes a size", self.fails(3, "gc", "--to", "20KX", store=store))

    def test_hardly_more_goes_than_is_needed_and_a_dry_run_says_what(self):
        store = self.copy("fit")
        size = self.bytes(store)
        for share in 0.98, 0.9, 0.7, 0.4:
            limit = int(size * share)
            report = self.json("gc", "--to", str(limit), "--dry-run", store=store)
            spare = limit - report["bytes_kept"]
            going = [one["bytes"] for one in report["results"]]
            self.assertGreaterEqual(spare, 0)
            if going:  # what nobody refers to may be enough; results may share bytes with the last
                self.assertGreater(going[-1], spare, (share, going))
        self.assertTrue(going)
        real = self.json("gc", "--to", str(limit), store=store)
        self.assertEqual(real["results"], report["results"])
        self.assertEqual(real["bytes_kept"], self.bytes(store))

    def test_what_was_freed_is_made_again_and_nothing_else(self):
        store = self.copy("real")
        size = self.bytes(store)
        report = self.json("gc", "--to", str(int(size * 0.8)), store=store)
        self.assertLessEqual(self.bytes(store), int(size * 0.8))
        self.assertEqual(report["bytes_kept"], self.bytes(store))
        gone = {one["node"] for one in report["results"] if one["rank"] == "latest"}
        states = self.json("plan", "graph.lua", "--set", "steps=8", "--set", "lr=1e-2", store=store)["nodes"]
        for name in "base", "vocab", "model":
            self.assertEqual(states[name]["state"] != "cached", name in gone, (name, gone))

    def test_latest_results_go_late_and_pinned_ones_last_and_both_are_named(self):
        store = self.copy("late")
        self.ok("pin", "r1", store=store)
        try:
            report = self.json("gc", "--to", "1", "--dry-run", store=store)
            ranks = [one["rank"] for one in report["results"]]
            self.assertEqual(ranks, sorted(ranks, key=["smoke", "plain", "latest", "pinned"].index))
            self.assertEqual(ranks.count("pinned"), 11)
            text = self.ok("gc", "--to", "1", "--dry-run", store=store)
            self.assertRegex(text, r"base +r3 .*LATEST result of graph.lua")
            self.assertRegex(text, r"base +r1 .*PINNED in tidemill.lock of graph.lua")
        finally:
            os.remove(self.place.path("tidemill.lock"))

    def test_what_cannot_be_reached_is_refused_and_nothing_goes(self):
        before = self.place.files("store/objects")
        err = self.fails(5, "gc", "--to", "1000")
        self.assertRegex(err, r"the store cannot get to 1000 B: .* have to stay, and nothing was freed")
        self.assertEqual(self.place.files("store/objects"), before)


if __name__ == "__main__":
    unittest.main()
