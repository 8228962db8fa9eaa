#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every block of Lua on docs/stages-in-lua.md runs: as it is if it is a whole graph, else with `docs` before it and
`out` named behind it.

usage: test_lua_page.py PROGRAM
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/stages-in-lua.md")
HEAD = 'local tm = require "tidemill"\nlocal docs = tm.read { "docs/*.txt" }\n'
TAIL = "\nreturn tm.graph { out = out }\n"

with open(PAGE, encoding="utf-8") as page:
    TEXT = page.read()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


class Page(unittest.TestCase):
    def run_in(self, folder, *args):
        done = subprocess.run([PROGRAM, *args], cwd=folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_every_example_runs_and_gives_records(self):
        self.assertGreaterEqual(len(blocks("lua")), 7)
        for number, block in enumerate(blocks("lua")):
            with self.subTest(block=number), tempfile.TemporaryDirectory(prefix="tidemill-test-") as folder:
                os.mkdir(os.path.join(folder, "docs"))
                for i in range(6):
                    with open(f"{folder}/docs/{i}.txt", "w", encoding="utf-8") as file:
                        file.write(f"The moon drives the tide {i}. The tide  drives the mill\u00e9.\n")
                with open(f"{folder}/count.py", "w", encoding="utf-8") as file:
                    file.write(blocks("python")[0])
                head = "" if "require \"tidemill\"" in block else HEAD
                tail = "" if "return tm.graph" in block else TAIL
                with open(f"{folder}/graph.lua", "w", encoding="utf-8") as file:
                    file.write(head + block + tail)
                self.run_in(folder, "run", "graph.lua", "-q")
                name = "loud" if "loud =" in block else "out"
                records = json.loads(self.run_in(folder, "inspect", name, "--json", "-n", "100"))["records"]
                self.assertGreater(len(records), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
