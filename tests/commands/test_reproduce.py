# SPDX-License-Identifier: Apache-2.0
"""What is needed to make a result again: what a run records of its surroundings."""
import json
import os
import shutil
import socket
import subprocess
import unittest

from workplace import WithWorkplace


class Git(WithWorkplace):
    """One run each: tests need only its record."""

    def setUp(self):
        shutil.rmtree(self.place.path(".git"), ignore_errors=True)

    def git(self, *args):
        return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *args], cwd=self.place.folder,
                              check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, *files):
        self.git("init", "-q", "-b", "trunk", ".")
        self.git("add", *files)
        self.git("commit", "-qm", "one")
        return self.git("rev-parse", "HEAD")

    def state(self, env=()):
        """What a new run says of git: its record, and its line."""
        code, _, err = self.place.tidemill("run", "graph.lua", "clean", env=env)
        self.assertEqual(code, 0, err)
        lines = [line for line in err.splitlines() if line.startswith("git ")]
        return self.json("status").get("git"), lines

    def test_a_clean_tree_is_its_commit_and_no_line(self):
        commit = self.commit("graph.lua", "corpus")
        self.assertEqual(self.state(), ({"commit": commit, "branch": "trunk", "changed": 0, "files": [], "graph": []}, []))
        self.assertIn(f"{commit[:7]}  ", self.ok("runs"))

    def test_changed_files_are_named_and_shown_by_run_runs_and_status(self):
        commit = self.commit("graph.lua", "corpus")
        text, page = self.place.read("graph.lua"), self.place.read("corpus/09.txt")
        self.place.write("graph.lua", text + "-- changed\n")
        self.place.write("corpus/09.txt", page + " ")
        state, lines = self.state()
        self.place.write("graph.lua", text)
        self.place.write("corpus/09.txt", page)
        self.assertEqual((state["changed"], state["files"], state["graph"]),
                         (2, ["corpus/09.txt", "graph.lua"], ["graph.lua"]))
        said = f"commit {commit[:7]} and 2 changed files; graph.lua is not as committed"
        self.assertEqual(lines, ["git   " + said])
        self.assertIn(f"{commit[:7]}+ ", self.ok("runs"))
        self.assertIn(said, self.ok("status"))

    def test_a_graph_that_git_does_not_follow_is_not_as_committed(self):
        self.commit("corpus/01.txt")
        state, lines = self.state()
        self.assertEqual((state["changed"], state["graph"]), (0, ["graph.lua"]))
        self.assertEqual(len(lines), 1)

    def test_without_the_program_the_commit_alone_is_read(self):
        commit = self.commit("graph.lua")
        alone = {"commit": commit, "branch": "trunk"}
        self.assertEqual(self.state({"PATH": "/nowhere"}), (alone, []))
        self.git("pack-refs", "--all")
        self.assertEqual(self.state({"PATH": "/nowhere"}), (alone, []))
        self.git("checkout", "-q", "--detach")
        self.assertEqual(self.state({"PATH": "/nowhere"}), ({"commit": commit}, []))

    def test_hooks_and_helpers_of_the_repository_are_not_started(self):
        self.commit("graph.lua")
        self.place.write("trap.sh", "#!/bin/sh\ntouch " + self.place.path("trapped") + "\n")
        os.chmod(self.place.path("trap.sh"), 0o755)
        self.git("config", "core.fsmonitor", self.place.path("trap.sh"))
        shutil.copy(self.place.path("trap.sh"), self.place.path(".git/hooks/post-index-change"))
        os.utime(self.place.path("graph.lua"))
        self.assertEqual(self.state()[0]["changed"], 0)
        self.assertFalse(os.path.exists(self.place.path("trapped")))

    def test_no_git_is_no_fault(self):
        self.assertEqual(self.state(), (None, []))
        self.place.write(".git/HEAD", "ref: refs/heads/none\n")
        self.assertEqual(self.state(), (None, []))

    def test_the_environment_is_recorded_without_host_or_user(self):
        self.place.tidemill("run", "graph.lua", "clean", env={"TM_CPU": "base", "TZ": "Asia/Tokyo"})
        with open(self.place.path(f"store/runs/{self.json('status')['run']}/journal"), encoding="utf-8",
                  errors="replace") as file:
            line = next(line for line in file if '"environment"' in line)
        record = json.loads(line[line.index("{"):line.rindex("}") + 1])["environment"]
        self.assertEqual((record["switches"], record["zone"], record["cpu"]["kind"]),
                         ({"TM_CPU": "base"}, "Asia/Tokyo", "base"))
        self.assertLessEqual({"libc", "gumbo", "cld2", "libarchive"}, set(record["libraries"]))
        self.assertEqual(len(record["program"]["hash"]), 32)
        self.assertNotIn(socket.gethostname(), json.dumps(record))


if __name__ == "__main__":
    unittest.main()
