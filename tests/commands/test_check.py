#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check as editors call it: ranges, texts that are not saved, characters of all widths, colours on a terminal.

usage: test_check.py PROGRAM [unittest arguments]
"""
import json
import os
import subprocess
import unittest

from screen import open_terminal
from workplace import GRAPH, PROGRAM, WithWorkplace

WRONG = GRAPH.replace("valid = 0.1 }", "vaild = 0.1 }").replace("size = 400", "size = 4")
WIDE = """local tm = require "tidemill"
local s = "日本語 e\u0301" local docs = tm.split { tm.read { "corpus" }, vaild = 0.1 }
\tlocal t = tm.read { "corpus", frmat = "x" }
return tm.graph { docs = docs, t = t }
"""


class Check(WithWorkplace):
    def check(self, *args, text=None, env=()):
        done = subprocess.run([PROGRAM, "check", *args], cwd=self.place.folder, input=text, capture_output=True, text=True,
                              timeout=60, env={**os.environ, **dict(env)})
        return done.returncode, done.stdout, done.stderr

    def ranges(self, *args, text=None):
        code, out, err = self.check(*args, "--json", text=text)
        self.assertEqual((code, err), (2, ""))
        return json.loads(out)["errors"]

    def under_caret(self, error, text):
        self.assertEqual(error["line"], error["end_line"])
        return text.split("\n")[error["line"] - 1][error["column"] - 1:error["end_column"] - 1]

    def test_all_errors_are_given_with_their_ranges(self):
        self.place.write("wrong.lua", WRONG)
        errors = self.ranges("wrong.lua")
        self.assertEqual([(error["severity"], error["file"], self.under_caret(error, WRONG)) for error in errors],
                         [("error", "wrong.lua", "vaild"), ("error", "wrong.lua", "size")])
        self.assertEqual(errors[0]["fix"], 'did you mean "valid"?')

    def test_independent_mistakes_of_all_kinds_are_told_at_once_in_the_order_of_the_file(self):
        text = GRAPH.replace("tm.gopher { without", "tm.gopher { wihtout").replace("valid = 0.1", "valid = 1.5") \
                    .replace("docs.train, size", "docs.tran, size").replace("tokenizer = vocab", "tokenizer = docs.train") \
                    .replace("lr = p.lr", 'lr = "fast"').replace("tm.perplexity", "tm.perplexty")
        self.place.write("many.lua", text)
        errors = self.ranges("many.lua")
        self.assertEqual([(error["code"], self.under_caret(error, text)) for error in errors],
                         [("TM0201", "wihtout"), ("TM0201", "valid"), ("TM0106", "tran"), ("TM0201", "lr"),
                          ("TM0211", "tokenizer"), ("TM0105", "perplexty")])
        self.assertIn("\n1 more error\n", self.check("many.lua")[2])

    def test_what_follows_from_a_mistake_is_not_told(self):
        for text, expected in [
                ("local a = docs.tran:best 'x' local b = a.metrics return tm.graph { b = tm.split { b.train } }", ["tran"]),
                ("local n = docs.tran + 1 return tm.graph { docs = docs }", ["tran"]),
                ("return tm.graph { c = tm.curate { docs.valid, tm.gofer {}, tm.exact_dedup {} } }", ["gofer"]),
                ("local m = tm.lama {} return tm.graph { m = tm.pretrain { m, tokenizer = docs.tok, data = docs.train } }",
                 ["lama", "tok"]),
                ("local a = tm.lama {} local b = missing return tm.graph { docs = docs }", ["lama", "missing"])]:
            text = 'local tm = require "tidemill"\nlocal docs = tm.split { tm.read { "corpus/*.txt" } }\n' + text + "\n"
            self.assertEqual([self.under_caret(error, text) for error in self.ranges("-", text=text)], expected)

    def test_a_text_on_stdin_is_checked_in_the_place_of_the_file(self):
        errors = self.ranges("-", "--name", "graph.lua", text="-- not on the disk\n" + WRONG)
        self.assertEqual([self.under_caret(error, "-- not on the disk\n" + WRONG) for error in errors], ["vaild", "size"])
        self.assertEqual({error["file"] for error in errors}, {"graph.lua"})
        self.assertEqual(self.check("graph.lua"), (0, "graph.lua: 11 nodes, no errors\n", ""))

    def test_a_text_of_a_file_that_is_not_there_yet_is_checked_beside_what_it_names(self):
        self.place.write("folder/pages.txt", "A page.")
        text = 'local tm = require "tidemill"\nreturn tm.graph { pages = tm.read { "pages.txt" } }\n'
        self.assertEqual(self.check("-", "--name", "folder/new.lua", text=text)[0], 0)
        self.assertFalse(os.path.exists(self.place.path("folder/new.lua")))
        self.assertEqual(self.ranges("-", text=text)[0]["code"], "TM0301")

    def test_a_glob_that_matches_only_inside_an_archive_is_right(self):
        self.place.write("packed/page.txt", "A page.")
        subprocess.run(["tar", "-cf", "page.tar", "page.txt"], cwd=self.place.path("packed"), check=True)
        os.remove(self.place.path("packed/page.txt"))
        text = 'local tm = require "tidemill"\nreturn tm.graph { pages = tm.read { "packed/**/*.%s" } }\n'
        self.assertEqual(self.check("-", text=text % "txt"), (0, "stdin.lua: 1 node, no errors\n", ""))
        self.assertEqual(self.ranges("-", text=text % "html")[0]["what"], 'tm.read: no file matches "packed/**/*.html"')

    def test_the_number_of_nodes_is_the_same_everywhere(self):
        """Of nodes that are the same work one counts, and the conversions that are put between nodes do."""
        text = ('local tm = require "tidemill"\nlocal texts = tm.read { "corpus/*.txt" }\n'
                'local one, two = tm.exact_dedup { texts }, tm.exact_dedup { texts }\n'
                'local vocab = tm.train_tokenizer { one, size = 300 }\n'
                'local base = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4 }, tokenizer = vocab, data = two, '
                'steps = 2, batch = 64, length = 64 }\nreturn tm.graph { one = one, two = two, base = base }\n')
        self.place.write("twice.lua", text)
        self.assertEqual(self.check("twice.lua"), (0, "twice.lua: 5 nodes, no errors\n", ""))
        self.assertEqual(self.json("check", "twice.lua")["nodes"], 5)
        planned = self.ok("plan", "twice.lua")
        self.assertRegex(planned, "(?m)^5 nodes: 0 cached, 5 to run, 0 maybe$")
        self.assertRegex(planned, "(?m)^(one +same as two|two +same as one)$")
        self.assertEqual(self.json("plan", "twice.lua")["count"], 5)
        self.assertIn("5 nodes run, 0 cached", self.ok("run", "twice.lua", "-q"))
        run, runs = self.json("run", "twice.lua"), self.json("runs")["runs"]
        self.assertEqual((run["done"], run["cached"], run["failed"], run["not_run"]), (0, 5, 0, 0))
        self.assertEqual(sorted((one["done"], one["cached"]) for one in runs), [(0, 5), (5, 0)])
        self.assertIn('tidemill_nodes{state="cached"} 5\n', self.ok("metrics"))
        self.assertIn("<dt>nodes</dt><dd>5 run, 0 cached</dd>", self.place.read("store/runs/r1/report.html"))

    def test_what_cannot_be_a_text_is_told(self):
        self.assertIn("error[TM0100] the text on stdin has a byte 0", self.check("-", text="return\0")[2])
        self.assertIn("error[TM0101]", self.check("-", text="retrun 1")[2])
        self.assertIn("error[TM0113]", self.check("-", text="")[2])
        code, _, err = self.check("graph.lua", "--name", "other.lua")
        self.assertEqual((code, err.split(" ")[0]), (3, "error[TM0004]"))

    def test_carets_stand_under_wide_and_combining_characters_and_tabs(self):
        self.place.write("wide.lua", WIDE)
        code, _, err = self.check("wide.lua")
        lines = err.split("\n")
        first, second = (i for i, line in enumerate(lines) if " | " in line and "^" not in line and not line.startswith(" "))
        # Three characters take two cells each, one none.
        self.assertEqual(lines[first + 1].index("^"), lines[first].index("vaild") + 3 - 1)
        self.assertEqual(lines[second + 1].index("^"), lines[second].index("frmat"))
        self.assertNotIn("\t", err)
        self.assertEqual([self.under_caret(error, WIDE) for error in self.ranges("wide.lua")], ["vaild", "frmat"])

    def test_a_long_line_is_shown_around_its_caret(self):
        text = 'local tm = require "tidemill" local a = "' + "x" * 3000 + '" return tm.graph { d = tm.raed { "corpus" } }'
        text += " " * 500
        _, _, err = self.check("-", text=text)
        source, caret = err.split("\n")[2:4]
        self.assertLess(len(source), 200)
        self.assertEqual(source[caret.index("^"):caret.rindex("^") + 1], "raed")

    def test_control_characters_of_a_file_do_not_reach_the_terminal(self):
        _, _, err = self.check("-", text='local tm = require "tidemill" local a = "\x1b[2J" return tm.graph { d = tm.raed {} }\n')
        self.assertNotIn("\x1b", err)

    def on_terminal(self, **env):
        ours, theirs = open_terminal()
        process = subprocess.Popen([PROGRAM, "check", "wrong.lua"], cwd=self.place.folder, stderr=theirs,
                                   stdout=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm", **env})
        process.wait(60)
        os.close(theirs)
        said = os.read(ours, 65536).decode()
        os.close(ours)
        return said

    def test_errors_have_colours_on_a_terminal_unless_they_are_not_wanted(self):
        self.place.write("wrong.lua", WRONG)
        plain = self.on_terminal(NO_COLOR="1")
        self.assertNotIn("\x1b", plain)
        self.assertNotIn("\x1b", self.on_terminal(TERM="dumb", NO_COLOR=""))
        coloured = self.on_terminal(NO_COLOR="")
        self.assertIn("\x1b[1;31merror[TM0201]\x1b[0m", coloured)
        self.assertIn("\x1b[1;31m^^^^^\x1b[0m", coloured)


if __name__ == "__main__":
    unittest.main()
