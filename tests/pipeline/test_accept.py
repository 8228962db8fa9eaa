#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stage gets a new version, and its results are kept because somebody says that the change is harmless.

usage: test_accept.py PROGRAM PROGRAM_WITH_THE_NEXT_VERSION
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

OLD, NEW = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))
GRAPH = """
local tm = require "tidemill"
local p = tm.params { min = tm.int { 4 } }
local kept = tm.curate { tm.read { "*.txt" }, tm.long_enough { min = p.min } }
return tm.graph { kept = kept, more = tm.curate { kept, tm.long_enough { min = 5 } } }
"""


class Accept(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        for name, text in (("a.txt", "four words are enough"), ("b.txt", "three are not"), ("c.txt", "one two three four five"),
                           ("graph.lua", GRAPH)):
            with open(os.path.join(self.place.name, name), "w", encoding="utf-8") as file:
                file.write(text)

    def call(self, program, *args, code=0):
        done = subprocess.run([program, *args], cwd=self.place.name, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def states(self, program=NEW, *flags):
        nodes = json.loads(self.call(program, "plan", "graph.lua", "--json", *flags))["nodes"]
        return {name: node["state"] for name, node in nodes.items()}

    def test_what_is_accepted_is_not_made_again_and_says_so(self):
        self.call(OLD, "run", "graph.lua", "-q", "--set", "min=3")
        before = json.loads(self.call(OLD, "inspect", "kept", "--json"))["artifact"]
        self.assertEqual(self.states(NEW, "--set", "min=3")["kept"], "run")
        self.assertIn("kept: accepted, version 1 -> 2", self.call(NEW, "accept", "kept", "more"))
        self.assertEqual(set(self.states(NEW, "--set", "min=3").values()), {"cached"})
        self.assertIn("accepted: version 1 -> 2", self.call(NEW, "plan", "graph.lua", "--set", "min=3"))
        result = json.loads(self.call(NEW, "run", "graph.lua", "--set", "min=3", "--json"))
        self.assertEqual((result["done"], result["failed"]), (0, 0))
        shown = json.loads(self.call(NEW, "inspect", "kept", "--json"))
        self.assertEqual(shown["artifact"], before)
        self.assertEqual(shown["accepted"]["what"], "version 1 -> 2")
        self.assertIn("accepted: version 1 -> 2", self.call(NEW, "inspect", "kept"))
        self.assertIn("accepted: version 1 -> 2", self.call(NEW, "why", "kept"))
        self.assertIn("nothing to accept", self.call(NEW, "accept", "kept"))
        self.call(NEW, "inspect", "more")
        self.assertIn(" 0 corrupt; ", self.call(NEW, "verify"))

    def test_only_the_version_can_be_accepted(self):
        self.call(OLD, "run", "graph.lua", "-q")
        said = self.call(NEW, "accept", "kept", "--set", "min=3", code=2)
        self.assertIn("no result of kept differs in nothing but the version of long_enough", said)
        self.assertIn("min 4 -> 3", said)
        self.assertIn("accept that one first", self.call(NEW, "accept", "more", code=2))
        self.assertIn("kpet", self.call(NEW, "accept", "kpet", code=2))
        self.assertEqual(self.states(NEW)["kept"], "run")

    def test_the_old_program_still_finds_its_result(self):
        self.call(OLD, "run", "graph.lua", "-q")
        self.call(NEW, "accept", "kept")
        self.assertEqual(set(self.states(OLD).values()), {"cached"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
