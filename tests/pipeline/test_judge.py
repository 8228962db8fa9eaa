#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tasks of tm.evaluate against what transformers measured (tests/fixtures/make_judge.py).

usage: test_judge.py PROGRAM [unittest arguments]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"


class Judge(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tidemill-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copytree(FIXTURES / "judge", self.folder, dirs_exist_ok=True)
        shutil.copytree(FIXTURES / "models/whole", self.folder / "model")

    def tidemill(self, *args, store="store", code=0):
        done = subprocess.run([PROGRAM, *args, "--store", store], cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr if code else done.stdout

    def measured(self, *args, store="store"):
        self.tidemill("run", "graph.lua", *args, store=store)
        out = json.loads(self.tidemill("inspect", "exam", "--json", store=store))
        return {row["name"]: [row["value"], row.get("error"), row["count"]] for row in out["records"]}, out["artifact"]

    def test_measures_errors_and_counts_are_those_of_transformers(self):
        found, _ = self.measured()
        expect = json.loads((self.folder / "expect.json").read_text())
        self.assertEqual(set(found), set(expect))
        for name, (value, error, count) in expect.items():
            self.assertAlmostEqual(found[name][0], value, delta=2e-5 * max(1, abs(value)), msg=name)
            self.assertAlmostEqual(found[name][1], error, delta=2e-5 * max(1, abs(error)), msg=name)
            self.assertEqual(found[name][2], count, name)

    def test_the_number_of_cores_changes_no_bit(self):
        one, two = (self.measured("--cores", cores, store=cores)[1] for cores in ("1", "2"))
        self.assertEqual(one, two)

    def test_records_that_cannot_be_used_are_told_of_and_left_out(self):
        before, _ = self.measured()
        bad = [{"id": "no_choices", "text": "x", "answer": 0}, {"id": "beyond", "text": "x", "choices": ["a"], "answer": 1},
               {"id": "nobody", "text": "x", "choices": ["a", "b"], "answer": "c"}]
        with open(self.folder / "choices.jsonl", "a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in bad)
        with open(self.folder / "problems.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"id": "unanswered", "text": "x", "number": "none"}) + "\n")
        after, _ = self.measured()
        self.assertEqual(before, after)
        log = self.tidemill("logs", "exam")
        for name, why in (("no_choices", "it has no choices"), ("beyond", "its answer is beyond its 1 choices"),
                          ("nobody", 'its answer "c" is none of the choices'), ("unanswered", "it has no field answer"),
                          ("unanswered", "its right answer has no last_number: none")):
            self.assertIn(f"{name} is left out: {why}", log)

    def test_a_text_longer_than_the_positions_loses_its_beginning(self):
        rows = [{"id": f"q{i}", "text": "river " * n + "the mill", "choices": ["stone", "water", "tide"], "answer": 1}
                for i, n in enumerate((400, 401))]
        (self.folder / "choices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.measured()
        self.assertIn("6 texts are longer than the model's positions: cut at the front", self.tidemill("logs", "exam"))

    def test_documents_of_another_shape_are_refused_before_anything_runs(self):
        graph = (self.folder / "graph.lua").read_text()
        for task, documents, why in (("preference", "chats", "its documents are conversations, not preferences"),
                                     ("answers", "pairs_", "its documents are preferences, not conversations"),
                                     ("multiple_choice", "chats", "its documents are conversations, not text"),
                                     ("preference", "choices", "its documents are plain text, not preferences")):
            task_graph = graph[:graph.index("local exam")] + (f"local exam = tm.evaluate {{ model, tasks = {{ t = tm.{task} "
                                                              f"{{ {documents} }} }} }}\nreturn tm.graph {{ exam = exam }}")
            (self.folder / "graph.lua").write_text(task_graph)
            out = self.tidemill("check", "graph.lua", code=2)
            self.assertIn(f"tm.evaluate: tm.{task}: {why}", out)


if __name__ == "__main__":
    unittest.main()
