#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The release folder: nothing but the C library is taken from the machine, and the archive is the same every time.

usage: test_package.py PROGRAM [unittest arguments]
"""
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
SYSTEM = r"(linux-vdso|.*/ld-linux\S*|lib(c|m|mvec|dl|rt|pthread|resolv))\.so"


def package(into):
    return subprocess.run([os.path.join(SOURCE, "lua/package.sh"), SOURCE, os.path.dirname(PROGRAM), into],
                          capture_output=True, text=True, timeout=120)


@unittest.skipUnless(shutil.which("objdump"), "there is no objdump")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tidemill-test-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.said = package(cls.folder)
        assert cls.said.returncode == 0, cls.said.stderr
        cls.made = re.match(r"(.*): ", cls.said.stdout)[1]
        cls.archive = re.search(r"^(.*\.tar\.\w+): ", cls.said.stdout, re.M)[1]

    def in_release(self, *names):
        return os.path.join(self.made, *names)

    def read(self, *names):
        with open(self.in_release(*names), encoding="utf-8") as file:
            return file.read()

    def test_all_libraries_but_the_c_library_lie_in_the_folder_with_their_terms(self):
        loaded = subprocess.run(["ldd", self.in_release("bin/tidemill")], capture_output=True, text=True, check=True).stdout
        listed = self.read("LIBRARIES.txt")
        inside = 0
        for name, path in re.findall(r"^\s*(\S+)(?: => (\S+))?", loaded, re.M):
            if re.match(SYSTEM, name):
                continue
            self.assertEqual(os.path.realpath(path), os.path.realpath(self.in_release("lib", name)))
            owner = re.search(rf"^{re.escape(name)} +(\S+) +\S", listed, re.M)
            if shutil.which("dpkg-query"):
                self.assertTrue(os.path.getsize(self.in_release("licences", owner[1])))
            inside += 1
        self.assertEqual(inside, len(os.listdir(self.in_release("lib"))))
        self.assertGreater(inside, 8)

    def test_the_archive_is_the_same_every_time_and_holds_the_folder(self):
        with tempfile.TemporaryDirectory(prefix="tidemill-test-") as again:
            self.assertEqual(package(again).returncode, 0)
            other = os.path.join(again, os.path.basename(self.archive))
            self.assertTrue(filecmp.cmp(self.archive, other, shallow=False), "the archives differ")
        names = subprocess.run(["tar", "-tf", self.archive], capture_output=True, text=True, check=True).stdout.split("\n")
        name = os.path.basename(self.made)
        for one in ("bin/tidemill", "README.md", "LICENSE", "START.txt", "docs/graphs.md", "graphs/quickstart.lua",
                    "share/man/man1/tidemill-run.1", "share/fish/vendor_completions.d/tidemill.fish"):
            self.assertIn(f"{name}/{one}", names)

    def test_it_runs_where_it_is_moved_to_with_an_empty_environment(self):
        with tempfile.TemporaryDirectory(prefix="tidemill-test-") as place:
            moved = shutil.copytree(self.made, os.path.join(place, "moved here"))
            program = os.path.join(place, "linked")
            os.symlink(os.path.join(moved, "bin/tidemill"), program)
            for line in (("init", "lua"), ("run", "graph.lua", "--quiet"), ("get", "lines", "lines.jsonl")):
                done = subprocess.run([program, *line], cwd=place, env={}, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(os.path.getsize(os.path.join(place, "lines.jsonl")))

    def test_it_says_which_c_library_it_needs(self):
        needed = re.search(r"needs glibc (2\.\d+) or newer", self.said.stdout)[1]
        self.assertIn(f"glibc {needed} or newer", self.read("START.txt"))
        here = subprocess.run(["ldd", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0].split()[-1]
        self.assertLessEqual([int(n) for n in needed.split(".")], [int(n) for n in here.split(".")])

    def test_a_folder_that_is_no_release_is_left_alone(self):
        with tempfile.TemporaryDirectory(prefix="tidemill-test-") as place:
            mine = os.path.join(place, os.path.basename(self.made), "mine")
            os.makedirs(mine)
            done = package(place)
            self.assertEqual(done.returncode, 5)
            self.assertIn("is no release", done.stderr)
            self.assertTrue(os.path.isdir(mine))


if __name__ == "__main__":
    unittest.main(verbosity=2)
