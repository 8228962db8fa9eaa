#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The folders of examples/: every command that the comment of one names runs, and its results are what it says.

usage: test_numbered_examples.py PROGRAM [unittest arguments]
"""
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
NAMES = sorted(os.path.basename(os.path.dirname(path)) for path in glob.glob(f"{ROOT}/examples/*/graph.lua"))


def commands(text):
    """[(arguments, what stands behind them)] of lines like `--   tidemill run graph.lua    all is cached`."""
    found = []
    for line in re.findall(r"^--   tidemill (.*)$", text, re.M):
        command, _, said = line.partition("  ")
        if not re.search(r"\b(PATH|YOURS)\b", command):
            found.append((shlex.split(command), said.strip()))
    return found


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="tidemill-test-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        shutil.copytree(f"{ROOT}/examples", f"{cls.root}/examples", ignore=shutil.ignore_patterns("dist", ".tidemill"))
        os.mkdir(f"{cls.root}/docs")
        for page in glob.glob(f"{ROOT}/docs/*.md"):
            shutil.copy(page, f"{cls.root}/docs")
        with open(f"{cls.root}/docs/none.md", "w", encoding="utf-8") as file:
            file.write("A page without a section.\n")

    def begin(self, name):
        self.folder = f"{self.root}/examples/{name}"

    def tidemill(self, *args, code=0, text=None):
        done = subprocess.run([PROGRAM, *args, "--store", f"{self.folder}/.tidemill"], cwd=self.folder, capture_output=True,
                              text=True, input=text, timeout=60)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *args):
        return json.loads(self.tidemill(*args, "--json"))

    def run_graph(self, *args):
        return self.json("run", "graph.lua", *args)

    def states(self, *args):
        return {name: node["state"] for name, node in self.json("plan", "graph.lua", *args)["nodes"].items()}

    def records(self, node):
        return self.json("inspect", node, "-n", "200")["records"]

    def metrics(self, node):
        """{(name, step): value}"""
        return {(row["name"], row["step"]): row["value"] for row in self.records(node)}

    def last(self, node):
        return {name: value for (name, _), value in sorted(self.metrics(node).items(), key=lambda item: item[0][1])}

    def test_there_are_ten_and_the_page_names_them_all(self):
        with open(f"{ROOT}/examples/README.md", encoding="utf-8") as page:
            named = re.findall(r"\]\((\d\d-[\w-]+)/graph\.lua\)", page.read())
        self.assertEqual(named, NAMES)
        self.assertEqual([name[:2] for name in NAMES], [f"{i:02}" for i in range(1, 11)])

    def every_command_runs(self, name):
        self.begin(name)
        with open(f"{self.folder}/graph.lua", encoding="utf-8") as file:
            found = commands(file.read())
        self.assertGreater(len(found), 1)
        for args, said in found:
            self.tidemill(*args, code=1 if "fails" in said else 0, text="What is a mill?\n" if args[0] == "chat" else None)
        return found

    def test_01_the_model_learns(self):
        self.every_command_runs("01-first-graph")
        losses = sorted((step, value) for (name, step), value in self.metrics("base.metrics").items() if name == "valid.loss")
        self.assertLess(losses[-1][1], losses[0][1] - 0.1)
        self.assertLess(self.last("exam")["text.bits_per_byte"], 4)

    def test_02_only_what_a_change_reaches_runs_again(self):
        self.every_command_runs("02-parameters-and-cache")
        self.assertEqual(self.run_graph("--set", "steps=60")["done"], 0)
        self.assertEqual(set(self.states("--set", "steps=60").values()), {"cached"})
        self.assertEqual(self.states("--set", "steps=80")["base"], "resume from 45")
        fewer = self.states("--set", "least=600")
        self.assertEqual((fewer["read"], fewer["docs"], fewer["base"]), ("cached", "run", "maybe"))
        with open(f"{self.folder}/graph.lua", encoding="utf-8") as file:
            text = file.read()
        with open(f"{self.folder}/graph.lua", "w", encoding="utf-8") as file:
            file.write("-- Another comment.\n" + re.sub(r"\bvocab\b(?! =.*vocab }$)", "words", text))
        self.assertEqual(set(self.states("--set", "steps=60").values()), {"cached"})

    def test_03_sections_are_cut_and_compared(self):
        self.every_command_runs("03-lua-stage")
        sections = self.records("sections")
        self.assertTrue(all("\n## " not in section["text"] and section["bytes"] >= 300 for section in sections))
        self.assertIn("Bounds, errors, logs", {section["meta"]["heading"] for section in sections})
        longest = self.records("longest")
        self.assertEqual(max(section["bytes"] for section in sections), max(section["bytes"] for section in longest))
        self.assertIn(("none.md", "sections.no_section"),
                      [(record["source"], record["meta"]["removed"]) for record in self.records("sections.removed")])

    def test_04_programs_count_and_sort(self):
        self.every_command_runs("04-any-program")
        self.assertEqual({record["id"]: record["meta"]["words"] for record in self.records("counted")},
                         {"tide": 5, "mill": 10, "stone": 7, "grain": 9, "moon": 5})
        self.assertEqual([record["id"] for record in self.records("sorted")], ["grain", "mill", "moon", "stone", "tide"])
        self.tidemill("get", "words", f"{self.folder}/got")
        with open(f"{self.folder}/got/words.txt", encoding="utf-8") as file:
            self.assertEqual(file.read(), "5 2\n7 1\n9 1\n10 1\n")
        with open(f"{self.folder}/count.py", "a", encoding="utf-8") as file:
            file.write("\n# changed\n")
        self.assertEqual(self.states()["counted"], "run")

    def test_05_copies_go_and_say_of_what(self):
        self.every_command_runs("05-duplicates")
        self.assertEqual({record["id"]: record["meta"].get("of") for record in self.records("clean.removed")},
                         {"tide-copy": None, "stone-copy": None, "wind-mirror": "wind"})
        self.run_graph("--set", "threshold=0.7")
        self.assertEqual([record["id"] for record in self.records("clean")], ["tide", "wind", "stone", "bread", "tide-short"])

    def test_06_answers_get_likelier_and_the_model_stays(self):
        self.every_command_runs("06-sft-with-lora")
        exam = self.last("exam")
        self.assertLess(exam["after.answers.loss"], exam["before.answers.loss"] - 2)
        self.assertIn("adapter_model.safetensors", os.listdir(f"{self.folder}/my-adapter"))

    def test_07_preferences_are_learned_and_the_reference_is_kept(self):
        self.every_command_runs("07-preferences")
        exam = self.last("exam")
        self.assertGreater(exam["after.pref.accuracy"], exam["before.pref.accuracy"] + 0.5)
        states = self.states("--set", "beta=0.7")
        self.assertEqual({name for name, state in states.items() if state != "cached"}, {"aligned", "exam"})

    def test_08_the_best_snapshot_is_chosen_and_passes_or_not(self):
        self.every_command_runs("08-best-checkpoint")
        losses = {step: value for (name, step), value in self.metrics("base.metrics").items() if name == "valid.loss"}
        self.assertEqual({step for _, step in self.metrics("exam")}, {min(losses, key=losses.get)})
        self.assertLess(min(losses.values()), losses[max(losses)] - 0.1)
        self.assertEqual(len({step for _, step in self.metrics("curve")}), len(losses))
        self.assertTrue(os.path.exists(f"{self.folder}/dist/best/model.safetensors"))

    def test_09_the_best_point_of_a_sweep_wins(self):
        self.every_command_runs("09-sweep")
        means = {name: value for name, value in self.last("table").items() if name.endswith("valid.loss")}
        self.assertEqual(len(means), 4)
        rate, width = re.match(r"lr=([^,]+),width=(\d+)", min(means, key=means.get)).groups()
        self.assertEqual(rate, "0.01")
        self.tidemill("get", "winner", f"{self.folder}/got")
        with open(f"{self.folder}/got/config.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["hidden_size"], int(width))
        states = self.states("--set", "rates=three")
        self.assertEqual(sum(state == "run" for state in states.values()), 4)

    def test_10_a_model_from_elsewhere_gets_smaller_and_stays_as_good(self):
        self.every_command_runs("10-model-from-elsewhere")
        exam = self.last("exam")
        self.assertAlmostEqual(exam["int8.text.loss"], exam["given.text.loss"], delta=0.02)
        self.assertLess(exam["int4.text.loss"], exam["given.text.loss"] + 0.3)
        size = {name: os.path.getsize(f"{self.folder}/dist/{name}") for name in
                ("downloaded/model.safetensors", "int8/model.safetensors", "gguf/model.gguf")}
        self.assertLess(size["int8/model.safetensors"], size["downloaded/model.safetensors"] / 3)
        given = self.metrics("exam")
        again = self.run_graph("--set", "model=dist/gguf/model.gguf")
        self.assertEqual(again["status"], "done")
        for (name, step), value in self.metrics("exam").items():
            if name == "given.text.loss":
                self.assertAlmostEqual(value, given[name, step], delta=0.05)


if __name__ == "__main__":
    unittest.main(verbosity=2)
