#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""doctor: says what is there, and what is not as it should be.

usage: test_doctor.py PROGRAM [unittest arguments]
"""
import fcntl
import json
import os
import resource
import struct
import subprocess
import termios
import unittest

from screen import open_terminal
from workplace import PROGRAM, WithWorkplace

CHECKS = ["processor", "cores", "memory", "gpu", "limits", "clock", "store", "disk", "files", "program", "libraries",
          "confinement", "graphs", "git", "terminal"]


class Doctor(WithWorkplace):
    def look(self, *args, before=None, **env):
        """(exit status, checks by name)"""
        done = subprocess.run([PROGRAM, "doctor", "--json", *args], cwd=self.place.folder, capture_output=True, text=True,
                              env={**os.environ, **env}, preexec_fn=before, timeout=60)
        self.assertEqual(done.stderr, "")
        said = json.loads(done.stdout)
        counted = {state: sum(row["state"] == state for row in said["checks"])
                   for state in ("ok", "warning", "missing", "damaged")}
        self.assertEqual(counted, {state: said[state] for state in counted})
        self.assertEqual([row["name"] for row in said["checks"]], CHECKS)
        for row in said["checks"]:
            self.assertTrue(row["found"], row["name"])
            self.assertEqual(row["state"] != "ok", "why" in row and "fix" in row, row)
        return done.returncode, {row["name"]: row for row in said["checks"]}

    def test_it_says_what_is_there_and_leaves_nothing_behind(self):
        before = self.place.files("")
        _, found = self.look("--store", self.place.path("new"))
        self.assertEqual(self.place.files(""), before)
        self.assertIn("not there yet", found["store"]["found"])
        self.assertRegex(found["disk"]["found"], r"^[\d.]+ \w+ of [\d.]+ \w+ are free, \S")
        self.assertRegex(found["libraries"]["found"], r"libc \d.*Lua 5\.4.*zstd 1\..*seccomp 2")
        self.assertRegex(found["program"]["found"], r"^tidemill \d+\.\d+\.\d+, /")
        for name in ("files", "confinement", "graphs", "program", "libraries"):
            self.assertEqual(found[name]["state"], "ok", found[name])

    def test_text_and_json_say_the_same(self):
        code, found = self.look()
        done = subprocess.run([PROGRAM, "doctor"], cwd=self.place.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code)
        for name in set(CHECKS) - {"memory", "clock", "graphs", "disk"}:
            self.assertRegex(done.stdout, rf"(?m)^{found[name]['state']} +{name} +")
            self.assertIn(found[name]["found"], done.stdout)

    def test_what_could_be_better_is_a_warning(self):
        def few_files():
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        code, found = self.look("--store", self.place.path("new"), before=few_files, TM_CPU="base", PATH=self.place.folder)
        self.assertEqual({name: found[name]["state"] for name in ("limits", "processor", "git")},
                         dict.fromkeys(("limits", "processor", "git"), "warning"))
        self.assertEqual(found["limits"]["fix"], "ulimit -n 1024")
        self.assertEqual(found["processor"]["fix"], "unset TM_CPU")
        self.assertEqual(code, 5 if any(row["state"] == "missing" for row in found.values()) else 0)

    def test_a_store_where_nothing_can_be_written_is_missing_something(self):
        code, found = self.look("--store", "/proc/store")
        self.assertEqual((code, found["files"]["state"]), (5, "missing"))

    def test_where_no_graph_can_be_evaluated_the_cause_alone_is_named(self):
        code, found = self.look("--store", self.place.path("new"), TMPDIR=self.place.path("nowhere"))
        self.assertEqual((code, found["graphs"]["state"], found["graphs"]["fix"]),
                         (5, "missing", "make TMPDIR (or /tmp) writable"))

    def test_another_store_or_none_is_missing_something(self):
        self.place.write("other/format", "tidemill store 9\n")
        code, found = self.look("--store", self.place.path("other"))
        self.assertEqual((code, found["store"]["state"]), (5, "missing"))
        self.assertIn("tidemill store 9", found["store"]["why"])

    def test_a_damaged_store_is_told_with_its_own_exit_status(self):
        self.ok("run", "graph.lua", "clean", "--quiet")
        code, found = self.look("--store", self.place.path("store"))
        self.assertIn("1 run", found["store"]["found"])
        self.assertNotEqual(code, 4)
        journal = self.place.path("store/runs/r1/journal")
        with open(journal, "rb") as file:
            lines = file.read().split(b"\n")
        lines[1] = lines[1].replace(b'"event"', b'"evens"')
        with open(journal, "wb") as file:
            file.write(b"\n".join(lines))
        code, found = self.look("--store", self.place.path("store"))
        self.assertEqual((code, found["store"]["state"]), (4, "damaged"))
        self.assertIn("1 damaged line", found["store"]["found"])

    def test_a_narrow_terminal_without_utf8_is_told(self):
        master, slave = open_terminal()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        done = subprocess.run([PROGRAM, "doctor", "--json"], cwd=self.place.folder, stdout=subprocess.PIPE, stderr=slave,
                              env={**os.environ, "LC_ALL": "C", "TERM": "vt100"}, text=True, timeout=60)
        os.close(slave)
        terminal = json.loads(done.stdout)["checks"][-1]
        self.assertEqual((terminal["state"], terminal["fix"]), ("warning", "export LC_ALL=C.UTF-8"))
        self.assertIn("vt100, 40 columns", terminal["found"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
