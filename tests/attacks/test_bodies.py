#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every hostile body in bodies/ ends soon, within bounds, with an error that names its file and a line of the body.

usage: test_bodies.py PROGRAM

The first line of a file is `-- WORDS`: what the error must say. The folder of the run must hold nothing new after it.
"""
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bodies")
NAMES = sorted(name for name in os.listdir(FOLDER) if name.endswith(".lua"))
MAX_SECONDS = 50  # a few, where the machine is not busy
MAX_RSS_KIB = 600 << 10  # of any one process


class HostileBodies(unittest.TestCase):
    def ends_as_it_must(self, name):
        with tempfile.TemporaryDirectory(prefix="tidemill-test-") as folder:
            shutil.copy(os.path.join(FOLDER, name), folder)
            with open(os.path.join(folder, "record.txt"), "w", encoding="utf-8") as file:
                file.write("A record like any other.\n")
            with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
                text = file.read()
            begin = time.monotonic()
            done = subprocess.run([PROGRAM, "run", name, "-q", "--store", "store"], cwd=folder, capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(text.split("\n")[0][3:], done.stderr)
            place = re.search(rf"--> {re.escape(name)}:(\d+):", done.stderr)
            self.assertIsNotNone(place, done.stderr)
            self.assertIn(int(place[1]), range(5, text.count("\n") - 1))
            self.assertRegex(done.stderr, r"it was given (record |\d+ records(, the first 3)?: )")
            self.assertLess(len(done.stderr), 4000)
            self.assertLess(time.monotonic() - begin, MAX_SECONDS)
            self.assertEqual(sorted(os.listdir(folder)), sorted([name, "record.txt", "store"]))

    def test_there_are_enough_and_none_was_big(self):
        self.assertGreaterEqual(len(NAMES), 25)
        with open(PROGRAM, "rb") as file:
            sanitized = b"__asan_init" in file.read()
        if not sanitized:
            self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, MAX_RSS_KIB)


for attack in NAMES:
    setattr(HostileBodies, f"test_{attack[:-4]}", lambda self, name=attack: self.ends_as_it_must(name))

if __name__ == "__main__":
    unittest.main(verbosity=2)
