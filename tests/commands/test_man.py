#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Manual pages: everything that --help says, in a form that mandoc and groff find nothing wrong with.

usage: test_man.py PROGRAM [unittest arguments]
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))


def say(*args):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, check=True).stdout


def plain(page):
    """Roff without its escapes and with blanks for line ends."""
    text = re.sub(r"\\f[BIR]|\\&", "", page)
    for escape, sign in (("\\(ga", "`"), ("\\(aq", "'"), ("\\(ha", "^"), ("\\(ti", "~"), ("\\-", "-"), (" \\\n", " "),
                         ("\\e", "\\")):
        text = text.replace(escape, sign)
    return re.sub(r"\s+", " ", text)


class Man(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.commands = re.findall(r"^  (\w+) ", say("--help"), re.M)
        cls.pages = {name: say("man", name) for name in cls.commands}
        cls.pages[""] = say("man")

    def test_a_page_has_the_sentence_the_flags_and_the_example_of_its_command(self):
        self.assertGreater(len(self.commands), 20)
        for name in self.commands:
            text = plain(self.pages[name])
            usage, brief, rest = say(name, "--help").split("\n\n", 2)
            self.assertIn(" ".join(brief.split()), text)
            for flag, about in re.findall(r"^ +(?:-\w, )?(--[\w-]+)(?: \S+)? {2,}(\S.*)$", rest, re.M):
                self.assertIn(flag + " ", text)
                self.assertIn(" ".join(about.split()), text)
            example = re.search(r"^example: (.*)$", rest, re.M)
            self.assertIn(" ".join(example[1].split()), text)

    def test_the_first_page_names_every_command(self):
        for name in self.commands:
            self.assertIn(f"tidemill-{name} (1)", plain(self.pages[""]))
            self.assertIn(f"tidemill {name} ", plain(self.pages[""]))

    def test_json_holds_the_page_and_a_misspelt_command_its_nearest(self):
        self.assertEqual(json.loads(say("man", "run", "--json"))["page"], self.pages["run"])
        done = subprocess.run([PROGRAM, "man", "inspct"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("did you mean `tidemill man inspect`?", done.stderr)

    def linted(self, *command):
        """What a program says of all pages."""
        with tempfile.TemporaryDirectory(prefix="tidemill-test-") as folder:
            said = ""
            for name, page in self.pages.items():
                path = os.path.join(folder, f"tidemill-{name}.1")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(page)
                done = subprocess.run([*command, path], capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
                said += done.stderr.decode() + (done.stdout.decode() if command[0] == "mandoc" else "")
                self.assertEqual(done.returncode, 0, (name, said))
        return said

    @unittest.skipUnless(shutil.which("mandoc"), "there is no mandoc")
    def test_mandoc_finds_nothing(self):
        self.assertEqual(self.linted("mandoc", "-T", "lint"), "")

    @unittest.skipUnless(shutil.which("man") and shutil.which("groff"), "there is no groff")
    def test_groff_finds_nothing(self):
        self.assertEqual(self.linted("man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"), "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
