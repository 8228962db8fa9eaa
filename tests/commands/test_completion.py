#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Completion: the words that may stand at the end of a line, and what bash, zsh and fish make of them.

usage: test_completion.py PROGRAM [unittest arguments]
"""
import json
import os
import shutil
import subprocess
import unittest

from workplace import PROGRAM, WithWorkplace

CHOOSING = """local tm = require "tidemill"
local p = tm.params { size = tm.choice { "small", choices = { "small", "large" } }, fast = tm.bool { false, doc = "at once" } }
return tm.graph { docs = tm.read { "corpus/*.txt" } }
"""


class AfterARun(WithWorkplace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place.write("choosing.lua", CHOOSING)
        cls.place.write("broken.lua", "return nothing.at.all")
        cls.place.write("two words.lua", CHOOSING)
        code, out, err = cls.place.tidemill("run", "graph.lua", "--quiet", "--tag", "tried", store=".tidemill")
        assert code == 0, out + err
        os.symlink(PROGRAM, cls.place.path("tidemill"))

    def run_in(self, *command, **env):
        path = self.place.folder + ":" + os.environ["PATH"]
        return subprocess.run(command, cwd=self.place.folder, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, env={**os.environ, "HOME": self.place.folder, "PATH": path, **env})

    def words(self, *line):
        done = self.run_in("tidemill", "completion", "words", "--json", "--", "tidemill", *line)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        said = json.loads(done.stdout)
        return [row["word"] for row in said["words"]], said["files"]


class Words(AfterARun):
    def test_commands_and_flags_come_from_their_rows(self):
        overview = self.run_in("tidemill", "--help").stdout
        commands = self.words("")[0]
        self.assertGreater(len(commands), 20)
        for command in commands:
            self.assertIn(f"\n  {command} ", overview)
        self.assertEqual(self.words("insp"), (["inspect"], ""))
        self.assertEqual(self.words("help", "insp"), (["inspect"], ""))
        self.assertEqual(self.words("plan", "--re"), (["--reuse"], ""))
        self.assertEqual(self.words("plan", "--js"), (["--json"], ""))

    def test_the_choices_of_a_flag_are_words(self):
        self.assertEqual(self.words("plan", "graph.lua", "--reuse", "")[0], ["any", "same"])
        self.assertEqual(self.words("plan", "graph.lua", "--reuse=s")[0], ["--reuse=same"])

    def test_sweeps_tags_and_facts_of_runs_are_offered_where_they_are_meant(self):
        self.place.write("sweep.lua", """local tm = require "tidemill"
local docs = tm.read { "corpus/*.txt" }
local trials = tm.sweep({ size = { 300, 400 } }, function(v) return tm.train_tokenizer { docs, size = v.size } end)
return tm.graph { trials = trials }""")
        code, out, err = self.place.tidemill("run", "sweep.lua", "--quiet", store="swept/.tidemill")
        self.assertEqual(code, 0, out + err)
        store = ("--store", self.place.path("swept/.tidemill"))
        self.assertEqual(self.words("compare", *store, "tri")[0], ["trials"])
        self.assertEqual(self.words("compare", *store, "r1:tri")[0], ["r1:trials"])
        self.assertEqual(self.words("diff", "tri")[0], ["tried"])
        self.assertEqual(self.words("runs", "--sort", "ste")[0], ["steps"])
        self.assertEqual(self.words("runs", "--where", "valid.l")[0], ["valid.loss"])

    def test_files_are_left_to_the_shell(self):
        self.assertEqual(self.words("run", ""), ([], "graphs"))
        self.assertEqual(self.words("get", "base", ""), ([], "files"))
        self.assertEqual(self.words("gc", "--store", ""), ([], "folders"))

    def test_nodes_come_from_the_graph_on_the_line(self):
        self.assertEqual(self.words("run", "graph.lua", "c")[0], ["clean", "curve"])
        self.assertEqual(self.words("run", "graph.lua", "clean", "v")[0], ["vocab"])
        self.assertEqual(self.words("run", "choosing.lua", "--only", ""), (["docs"], ""))

    def test_parameters_come_from_the_graph_and_their_values_too(self):
        self.assertEqual(self.words("run", "graph.lua", "--set", "")[0], ["steps=", "lr="])
        self.assertEqual(self.words("plan", "-s", "steps=30", "graph.lua", "-s", "l")[0], ["lr="])
        self.assertEqual(self.words("run", "choosing.lua", "--set", "size=")[0], ["size=small", "size=large"])
        self.assertEqual(self.words("run", "choosing.lua", "--set=fast=t")[0], ["--set=fast=true"])

    def test_addresses_come_from_the_latest_run_or_the_one_that_is_named(self):
        self.assertIn("clean/gopher", self.words("inspect", "clean")[0])
        self.assertEqual(self.words("inspect", "docs.")[0], ["docs.train", "docs.valid"])
        self.assertEqual(self.words("inspect", "r1:cur")[0], ["r1:curve"])
        self.assertEqual(self.words("inspect", "r1:docs.t")[0], ["r1:docs.train"])
        self.assertEqual(self.words("inspect", "base@b")[0], ["base@best"])
        self.assertEqual(self.words("status", ""), (["r1", "tried"], ""))
        self.assertEqual(self.words("why", "ba")[0], ["base.data", "base.valid", "base"])

    def test_a_model_is_one_that_was_made_or_a_file(self):
        self.assertEqual(self.words("generate", ""), (["base"], "files"))

    def test_stages_and_starters_are_known(self):
        self.assertEqual(self.words("describe", "fuzzy")[0], ["fuzzy_dedup"])
        self.assertEqual(self.words("describe", "choosing.lua", "fuzzy")[0], ["fuzzy_dedup"])
        self.assertEqual(self.words("init", "")[0], ["lua", "text", "tune"])

    def test_kinds_of_other_commands_are_known(self):
        self.assertEqual(self.words("explain", "TM0100")[0], ["TM0100"])
        self.assertIn("tensorboard", self.words("send", "--to", "")[0])
        self.assertEqual(self.words("tag", "r1", "")[0], ["tried"])
        self.assertEqual(self.words("compare", "r1", "r")[0], ["r1"])
        self.assertEqual(self.words("man", "insp")[0], ["inspect"])
        self.assertEqual(self.words("runs", "--sort", "fu")[0], [])

    def test_what_is_not_there_completes_nothing_and_says_nothing(self):
        for line in (("run", "broken.lua", "--set", ""), ("run", "nowhere.lua", "-s", ""), ("inspect", "r9:"), ("nonsense", ""),
                     ("inspect", "--store", "/nowhere", ""), ("gc", "--to", ""), ("completion", "bash", "more", "")):
            self.assertEqual(self.words(*line)[0], [], line)

    def test_another_shell_is_wrong_usage(self):
        done = self.run_in("tidemill", "completion", "tcsh")
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn("bash, zsh or fish", done.stderr)


class Shells(AfterARun):
    def bash(self, line):
        """COMPREPLY after Tab at the end of the line."""
        done = self.run_in("bash", "--norc", "-c", """
            compopt() { :; }
            eval "$(tidemill completion bash)"
            COMP_LINE=$1 COMP_POINT=${#1}
            _tidemill
            printf '%s\\n' "${COMPREPLY[@]}"
            complete -p tidemill >&2""", "bash", line)
        self.assertEqual(done.stderr, "complete -F _tidemill tidemill\n")
        return done.stdout.split("\n")[:-1]

    def test_bash(self):
        self.assertEqual(self.bash("tidemill insp"), ["inspect"])
        self.assertEqual(self.bash("tidemill run graph.lua c"), ["clean", "curve"])
        self.assertEqual(self.bash("tidemill run gr"), ["graph.lua"])
        self.assertEqual(sorted(self.bash("tidemill run ")), [".tidemill", "broken.lua", "choosing.lua", "corpus", "graph.lua",
                                                             "out", "two words.lua"])
        self.assertEqual(self.bash("tidemill run two\\ words.lua --set "), ["size=", "fast="])
        self.assertEqual(self.bash("tidemill gc --store co"), ["corpus"])

    def test_bash_replaces_what_stands_behind_a_break_of_words(self):
        self.assertEqual(self.bash("tidemill inspect r1:cl")[-1], "clean")
        self.assertEqual(self.bash("tidemill inspect base@b"), ["@best"])  # the @ is replaced too
        self.assertEqual(self.bash("tidemill run choosing.lua --set size="), ["small", "large"])

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh")
    def test_zsh(self):
        def zsh(*words):
            done = self.run_in("zsh", "-f", "-c", """
                compdef() { :; }
                _files() { print -r -- "files $*"; }
                compadd() { print -r -- "${(P@)@[-1]}" ${(M)@:#-S}; }
                eval "$(tidemill completion zsh)"
                words=("$@") CURRENT=$#
                _tidemill""", "zsh", *words)
            self.assertEqual(done.stderr, "")
            return done.stdout.split("\n")[:-1]
        self.assertEqual(zsh("tidemill", "insp"), ["inspect"])
        self.assertEqual(zsh("tidemill", "run", "graph.lua", "c"), ["clean curve"])
        self.assertEqual(zsh("tidemill", "run", "graph.lua", "--set", ""), ["steps= lr= -S"])
        self.assertEqual(zsh("tidemill", "run", ""), ["files -g *.lua(-.)"])
        self.assertEqual(zsh("tidemill", "inspect", "r1:docs.t"), ["r1:docs.train"])

    @unittest.skipUnless(shutil.which("fish"), "there is no fish")
    def test_fish(self):
        def fish(line):
            done = self.run_in("fish", "-N", "-c", f"tidemill completion fish | source; complete -C '{line}'")
            self.assertEqual(done.stderr, "")
            return [row.split("\t")[0] for row in done.stdout.split("\n")[:-1]]
        self.assertEqual(fish("tidemill insp"), ["inspect"])
        self.assertEqual(fish("tidemill run graph.lua c"), ["clean", "curve"])
        self.assertEqual(fish("tidemill run graph.lua --set "), ["lr=", "steps="])
        self.assertEqual(fish("tidemill run gr"), ["graph.lua"])
        self.assertEqual(fish("tidemill inspect r1:docs.t"), ["r1:docs.train"])
        self.assertEqual(fish("tidemill plan graph.lua --reuse "), ["any", "same"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
