#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stage of docs/writing-a-stage.md works as the page says, having been added as one file.

usage: test_example_stage.py PROGRAM_WITH_THE_STAGE
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
GRAPH = """
local tm = require "tidemill"
return tm.graph { kept = tm.curate { tm.read { "*.txt" }, tm.long_enough { min = 4 } } }
"""


class ExampleStage(unittest.TestCase):
    def run_in(self, folder, *args):
        return subprocess.run([PROGRAM, *args], cwd=folder, capture_output=True, text=True, timeout=60)

    def test_it_is_listed_described_checked_and_run(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.txt", "four words are enough"), ("b.txt", "three are not"), ("graph.lua", GRAPH)):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            self.assertIn("tm.long_enough", self.run_in(folder, "stages").stdout)
            self.assertIn("least number of words", self.run_in(folder, "describe", "long_enough").stdout)
            done = self.run_in(folder, "run", "graph.lua", "-q")
            self.assertEqual(done.returncode, 0, done.stderr)
            kept = json.loads(self.run_in(folder, "inspect", "kept", "--json").stdout)
            self.assertEqual([record["source"] for record in kept["records"]], ["a.txt"])
            removed = json.loads(self.run_in(folder, "inspect", "kept.removed", "--json").stdout)
            self.assertEqual(removed["records"][0]["meta"]["removed"], "long_enough.short")
            with open(os.path.join(folder, "graph.lua"), "w", encoding="utf-8") as file:
                file.write(GRAPH.replace("min = 4", "mim = 4"))
            wrong = self.run_in(folder, "check", "graph.lua")
            self.assertEqual(wrong.returncode, 2)
            self.assertIn('did you mean "min"?', wrong.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
