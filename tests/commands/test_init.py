#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""init: starters that run as they are, and definitions that an editor's language server understands.

usage: test_init.py PROGRAM [unittest arguments]

lua-language-server is taken from TM_LUALS or the path; where there is none its tests are skipped.
"""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
GRAPHS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../graphs")
EXAMPLES = os.path.join(GRAPHS, "../examples")
SERVER = os.environ.get("TM_LUALS") or shutil.which("lua-language-server")

IGNORED = ".tidemill/\ndist/\nmlruns/\nwandb/\ntensorboard/\n*.trace.json\n"

BAD = """local tm = require "tidemill"
local docs = tm.split { tm.read { "a", format = "htm" }, valid = "0.1" }
local vocab = tm.train_tokenizer { docs.tran }
local base = tm.pretrain { docs.train, data = docs.train, steps = 0.5 }
local best = base:bset "valid.loss"
local clean = tm.curate { docs.train, tm.gopher }
return tm.graph { best = best, clean = clean, more = tm.gohper { docs.train } }
"""


class InFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tidemill-test-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def read(self, *names):
        with open(self.path(*names), encoding="utf-8") as file:
            return file.read()

    def write(self, text, *names):
        os.makedirs(os.path.dirname(self.path(*names)), exist_ok=True)
        with open(self.path(*names), "w", encoding="utf-8") as file:
            file.write(text)

    def tidemill(self, *args, at=""):
        done = subprocess.run([PROGRAM, *args], cwd=self.path(at), capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def ok(self, *args, at=""):
        code, out, err = self.tidemill(*args, at=at)
        self.assertEqual(code, 0, out + err)
        return out


class Starters(InFolder):
    def do_what_comes_next(self, out, at, **places):
        """Runs every command that `init` names, with PATH and the like replaced."""
        commands = re.findall(r"^  (tidemill .*?)(?:   .*)?$", out, re.M)
        self.assertGreater(len(commands), 2)
        for command in commands:
            for name, path in places.items():
                command = command.replace(name, path)
            self.ok(*shlex.split(command)[1:], at=at)

    def test_a_text_starter_runs_at_once_and_its_model_can_be_tuned_by_the_other(self):
        out = self.ok("init", "text", "texts")
        for i in range(20):
            self.write(f"Text {i} of my own is about the tide and the mill, and it has {i * i} words of which I am proud.\n" * 4,
                       "mine", f"{i}.txt")
        self.do_what_comes_next(out, "texts", PATH="../mine")
        removed = json.loads(self.ok("inspect", "r1:clean.removed", "--json", at="texts"))["records"]
        self.assertEqual({record["source"] for record in removed} & {"note.txt", "prices.txt"}, {"note.txt", "prices.txt"})
        out = self.ok("init", "tune", "tuned")
        self.do_what_comes_next(out, "tuned", PATH="../texts/dist/model", MINE="chat")
        exam = json.loads(self.ok("inspect", "r1:exam", "--json", at="tuned"))["records"]
        loss = {record["name"]: record["value"] for record in exam if record["name"].endswith(".loss")}
        self.assertLess(loss["after.answers.loss"], loss["before.answers.loss"])

    def test_a_lua_starter_runs_at_once(self):
        self.do_what_comes_next(self.ok("init", "lua", "."), "")
        lines = [json.loads(line)["text"] for line in self.read("lines.jsonl").splitlines()]
        self.assertIn("We lost two sacks of meal and the cat is angry.", lines)
        self.assertFalse([line for line in lines if "harbour.example" in line or "apples" in line])

    def test_every_starter_is_listed_with_what_it_is_for(self):
        listed = json.loads(self.ok("init", "--list", "--json"))["starters"]
        self.assertEqual([row["name"] for row in listed], ["lua", "text", "tune"])
        shown = self.ok("init", "--list")
        for row in listed:
            self.assertGreater(len(row["brief"]), 20)
            self.assertIn(row["brief"], shown)

    def test_nothing_is_overwritten_and_nothing_half_written(self):
        self.write("my own", "samples", "tide.txt")
        code, _, err = self.tidemill("init", "text")
        self.assertEqual(code, 1)
        self.assertIn("samples/tide.txt is there already; nothing was written", err)
        self.assertEqual(os.listdir(self.folder), ["samples"])
        self.assertEqual(self.read("samples", "tide.txt"), "my own")

    def test_all_that_is_in_the_way_is_counted(self):
        self.ok("init", "text")
        code, _, err = self.tidemill("init", "lua")
        self.assertEqual(code, 1)
        self.assertIn("./graph.lua is there already", err)
        self.assertIn("./graph.lua and 18 more files are there already", self.tidemill("init", "text")[2])

    def test_the_store_is_ignored_where_it_will_be(self):
        os.makedirs(self.path(".git"))
        self.ok("init", "lua", "models/first")
        self.assertEqual(self.read(".gitignore"), IGNORED)
        self.assertFalse(os.path.exists(self.path("models/first/.gitignore")))
        self.ok("run", "graph.lua", "--quiet", at="models/first")
        self.assertTrue(os.path.isdir(self.path(".tidemill")))

    def test_files_of_the_project_are_kept(self):
        self.write("{}", ".luarc.json")
        self.write("dist", ".gitignore")
        out = self.ok("init", "lua")
        self.assertIn('kept .luarc.json\nadd to .luarc.json: "workspace.library": [".luals"]\n', out)
        self.assertEqual(self.read(".luarc.json"), "{}")
        self.assertEqual(self.read(".gitignore"), "dist\n" + IGNORED.replace("dist/\n", ""))
        self.ok("init", "tune", "other")
        self.write(IGNORED.replace(".tidemill/", ".tidemill"), "third", ".gitignore")
        self.assertIn("kept .gitignore", self.ok("init", "lua", "third"))
        self.assertEqual(self.read("third", ".gitignore"), IGNORED.replace(".tidemill/", ".tidemill"))

    def test_a_misspelt_starter_names_the_nearest(self):
        code, _, err = self.tidemill("init", "txet")
        self.assertEqual((code, "did you mean `tidemill init text`?" in err), (2, True), err)
        code, _, err = self.tidemill("init", "my-folder")
        self.assertIn("tidemill init text my-folder", err)

    def test_definitions_can_be_written_anew(self):
        self.ok("init", "lua")
        self.write("old", ".luals", "tidemill.lua")
        self.write("mine", "graph.lua")
        self.assertEqual(json.loads(self.ok("init", "--definitions", "--json"))["kept"], [".luarc.json"])
        self.assertTrue(self.read(".luals", "tidemill.lua").startswith("---@meta tidemill\n"))
        self.assertNotIn("add to", self.ok("init", "--definitions"))
        self.assertEqual(self.read("graph.lua"), "mine")


class Page(InFolder):
    """What docs/editor.md tells editors to make of `tidemill check`."""

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("graphs"))
        self.write('local tm = require "tidemill"\nreturn tm.graph { docs = tm.red { "a" } }\n', "graphs", "bad.lua")
        with open(os.path.join(GRAPHS, "../docs/editor.md"), encoding="utf-8") as file:
            self.page = file.read()

    def test_the_patterns_for_vs_code_find_the_line(self):
        task = json.loads(re.search(r"```json\n(.*?)```", self.page, re.S)[1])["tasks"][0]
        said = self.tidemill(*task["command"].replace("${relativeFile}", "graphs/bad.lua").split()[1:])[2].split("\n")
        first, second = (re.match(one["regexp"], line) for one, line in zip(task["problemMatcher"]["pattern"], said))
        self.assertEqual((first[1], first[2], "red" in first[3]), ("error", "TM0105", True))
        self.assertEqual(second.groups(), ("graphs/bad.lua", "2", "29"))

    @unittest.skipUnless(shutil.which("vim"), "there is no vim")
    def test_the_lines_for_vim_find_the_line(self):
        lines = re.search(r"```text\n(set makeprg.*?)```", self.page, re.S)[1].replace("=tidemill", "=" + PROGRAM)
        found = "map(getqflist(), 'bufname(v:val.bufnr).\":\".v:val.lnum')"
        self.write(lines + f"silent make!\ncall writefile({found}, 'found')\nqa!\n", "make.vim")
        subprocess.run(["vim", "-es", "-u", "NONE", "-N", "graphs/bad.lua", "-S", "make.vim"], cwd=self.folder, timeout=60,
                       stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual(self.read("found"), "graphs/bad.lua:2\n")


class Definitions(InFolder):
    def setUp(self):
        super().setUp()
        self.ok("init", "--definitions")
        self.text = self.read(".luals", "tidemill.lua")

    def describe(self, name):
        return json.loads(self.ok("describe", name, "--json"))

    def fields(self, of):
        """Name -> type of the fields of a class; a name without its question mark."""
        body = re.search(rf"^---@class (?:\(exact\) )?{re.escape(of)}\b[^\n]*\n((?:---[^\n]*\n)*)", self.text, re.M)
        self.assertTrue(body, of)
        return {name.rstrip("?"): (kind, name) for name, kind in re.findall(r"^---@field (\S+) (.*)$", body[1], re.M)}

    def test_everything_that_a_graph_can_name_is_defined(self):
        self.write('for name in pairs(require "tidemill") do print(name) end', "names.lua")
        names = self.tidemill("check", "names.lua")[2].split("error")[0].split()
        self.assertGreater(len(names), 50)
        for name in names:
            self.assertEqual(self.text.count(f"function tm.{name}("), 1, name)

    def test_every_option_port_and_choice_is_a_field(self):
        rows = json.loads(self.ok("stages", "--json"))
        seen = 0
        for row in rows["stages"] + rows["values"]:
            about = self.describe(row["name"])
            if row["name"] == "stage":
                continue
            arguments = self.fields("tidemill.args." + row["name"])
            ports = {port["name"] for port in about["inputs"]}
            for port in about["inputs"]:
                kind, _ = arguments[port["name"] or "[1]"]
                self.assertIn("tidemill." + (port["type"] or "value." + port["value"]), kind)
            for option in about["options"]:
                first = option["name"] == "path" and about["family"] == "read" and "" not in ports
                if option["name"] in ports:
                    continue
                kind, written = arguments["[1]" if first else option["name"]]
                self.assertEqual(written.endswith("?"), not option["required"], option["name"])
                for choice in option.get("choices", "").split() if option["kind"] == "one of" else ():
                    self.assertIn(f'"{choice}"', kind)
                seen += 1
            for port in about.get("outputs", ()):
                if port["name"]:
                    self.assertEqual(self.fields("tidemill.node." + row["name"])[port["name"]][0], "tidemill." + port["type"])
        self.assertGreater(seen, 100)

    @unittest.skipUnless(SERVER, "there is no lua-language-server")
    def test_the_language_server_has_nothing_to_say_of_good_graphs(self):
        for name in os.listdir(GRAPHS):
            if name.endswith(".lua"):
                shutil.copy(os.path.join(GRAPHS, name), self.folder)
        for name in os.listdir(EXAMPLES):
            if name[0].isdigit():
                shutil.copy(os.path.join(EXAMPLES, name, "graph.lua"), self.path(name + ".lua"))
        shutil.copytree(os.path.join(GRAPHS, "../examples"), self.path("examples"))
        for starter in ("text", "tune", "lua"):
            self.ok("init", starter, "of_" + starter)
            shutil.rmtree(self.path("of_" + starter, ".luals"))
        self.assertEqual(self.judged("Information"), {})

    @unittest.skipUnless(SERVER, "there is no lua-language-server")
    def test_the_language_server_warns_of_bad_graphs(self):
        self.write(BAD, "bad.lua")
        found = [(one["range"]["start"]["line"] + 1, one["code"])
                 for all_of_file in self.judged("Warning").values() for one in all_of_file]
        for wanted in ((2, "assign-type-mismatch"), (3, "undefined-field"), (4, "missing-fields"), (4, "assign-type-mismatch"),
                       (5, "undefined-field"), (6, "assign-type-mismatch"), (7, "undefined-field")):
            self.assertIn(wanted, found)

    def judged(self, level):
        log = tempfile.mkdtemp(prefix="tidemill-test-")
        self.addCleanup(shutil.rmtree, log, True)
        subprocess.run([SERVER, "--check", self.folder, "--checklevel=" + level, "--check_format=json", "--logpath", log,
                        "--metapath", log], stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        with open(os.path.join(log, "check.json"), encoding="utf-8") as file:
            return json.load(file) or {}


if __name__ == "__main__":
    unittest.main(verbosity=2)
