#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Graph files with a mistake, and what `tidemill check` says of each: bad/NAME.lua and bad/NAME.expect.

usage: test_bad.py PROGRAM [--update] [unittest arguments]

--update writes what the program says now; read the difference before committing it.
"""
import functools
import json
import os
import subprocess
import sys
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bad")
UPDATE = "--update" in sys.argv
NAMES = sorted(name[:-4] for name in os.listdir(FOLDER) if name.endswith(".lua"))


@functools.lru_cache(maxsize=None)
def check(name, *flags):
    done = subprocess.run([PROGRAM, "check", name + ".lua", *flags], cwd=FOLDER, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr.replace(FOLDER, "FOLDER")


def expected(name):
    with open(os.path.join(FOLDER, name + ".expect"), encoding="utf-8") as file:
        return file.read()


class BadGraphs(unittest.TestCase):
    maxDiff = None

    def says_what_is_expected(self, name):
        code, out, err = check(name)
        self.assertEqual((code, out), (2, ""), err)
        if UPDATE:
            with open(os.path.join(FOLDER, name + ".expect"), "w", encoding="utf-8") as file:
                file.write(err)
        self.assertEqual(err, expected(name))

    def points_at_a_place_and_says_how_to_go_on(self, name):
        for message in check(name)[2].split("\n\n"):
            self.assertRegex(message, r"^error\[TM\d{4}\] .+\n  --> [\w/]+\.lua:\d+:\d+\n\d+ \| .+\n +\| +\^+\n")
            self.assertIn("\nfix ", message)

    def says_the_same_as_json(self, name):
        code, out, err = check(name, "--json")
        self.assertEqual((code, err), (2, ""))
        answer = json.loads(out)
        errors = answer["errors"]
        self.assertEqual(answer["error"], errors[0])
        texts = check(name)[2].split("\n\n")
        once = {}
        for error in errors:
            once.setdefault(tuple(error[key] for key in ("code", "what", "file", "line", "column")), error)
        self.assertEqual(len(once), len(texts))
        errors = list(once.values())
        for error, text in zip(errors, texts):
            self.assertTrue(text.startswith(f"error[{error['code']}] {error['what'].replace(FOLDER, 'FOLDER')}\n"
                                            f"  --> {error['file']}:{error['line']}:{error['column']}\n"), text)
            carets = text.split("\n")[3]
            self.assertEqual(error["end_column"] - error["column"], carets.count("^"))


def add(name):
    for check_of in ("says_what_is_expected", "points_at_a_place_and_says_how_to_go_on", "says_the_same_as_json"):
        test = lambda self, method=check_of: getattr(self, method)(name)
        setattr(BadGraphs, f"test_{name}_{check_of}", test)


for graph in NAMES:
    add(graph)

if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--update"])
