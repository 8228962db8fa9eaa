#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stages written in Lua: what they give, when they rerun and what is said of it, and how they fail.

usage: test_lua_stages.py PROGRAM
"""
import json
import time
import unittest

from workplace import WithWorkplace

HEAD = 'local tm = require "tidemill"\nlocal docs = tm.read { "corpus/0*.txt" }\n'
SHOUT = HEAD + """local limit = 3
local function clean(text)
  return (text:gsub("%s+", " "))
end
local shout = tm.stage {
  name = "shout",
  options = { suffix = tm.string { "!" } },
  each = function(doc, o, emit)
    if doc.source == "00.txt" then return "too short" end
    emit { text = clean(doc.text):upper():sub(1, limit) .. o.suffix }
  end,
}
return tm.graph { loud = shout { docs } }
"""


BATCH = """local tm = require "tidemill"
local docs = tm.read { "many/*.txt" }
local shout = tm.stage {
  name = "shout",
  batch_size = 3,
  doc = "Says how many came along.",
  batch = function(docs, o, emit)
    local why = {}
    for _, doc in ipairs(docs) do
      if doc.source == "07.txt" then why[doc] = "unlucky" else
        emit({ text = doc.text, meta = { of = #docs } }, doc)
      end
    end
    return why
  end,
}
return tm.graph { loud = shout { docs } }
"""


class LuaStages(WithWorkplace):
    def graph(self, text, name="shout.lua"):
        self.place.write(name, text)
        return name

    def state(self, text, node="loud"):
        """(kind, reason) that the plan gives for a node of this graph."""
        row = self.json("plan", self.graph(text))["nodes"][node]
        return row["state"], row["reason"]

    def records(self, node):
        return self.json("inspect", node, "-n", "100")["records"]

    def test_records_go_through_and_those_left_out_are_removed(self):
        self.ok("run", self.graph(SHOUT), "-q")
        kept, removed = self.records("loud"), self.records("loud.removed")
        self.assertEqual([record["source"] for record in kept], [f"0{i}.txt" for i in range(1, 10)])
        self.assertTrue(all(record["text"].isupper() and len(record["text"]) == 4 for record in kept))
        self.assertEqual([record["meta"]["removed"] for record in removed], ["shout.too_short"])

    def test_only_what_counts_of_a_body_reruns_it(self):
        self.ok("run", self.graph(SHOUT), "-q")
        same = [SHOUT, SHOUT.replace("local limit", "-- a comment\nlocal   limit"), SHOUT.replace('"shout"', '"cry"'),
                SHOUT.replace("loud = shout { docs }", 'loud = shout { docs, suffix = "!" }'),
                SHOUT.replace("  name =", "  seconds = 5, name =")]
        for text in same:
            self.assertEqual(self.state(text)[0], "cached", text)
        changed = {
            "each changed, line 12 of shout.lua: upper ( ) -> lower ( )": SHOUT.replace("upper", "lower"),
            "clean changed, line 5 of shout.lua: \"%s+\" , \" \" -> \"%s\" , \" \"": SHOUT.replace('"%s+"', '"%s"'),
            "each uses limit: 3 -> 4": SHOUT.replace("limit = 3", "limit = 4"),
            'suffix "!" -> "?"': SHOUT.replace("shout { docs }", 'shout { docs, suffix = "?" }'),
            "seed 0 -> 1": SHOUT.replace("shout { docs }", "shout { docs, seed = 1 }"),
        }
        for reason, text in changed.items():
            state, said = self.state(text)
            self.assertEqual(state, "run", said)
            self.assertIn(reason, said)

    def test_why_names_the_change_of_a_body_later(self):
        self.ok("run", self.graph(SHOUT), "-q", store="why")
        self.ok("run", self.graph("-- a line more\n" + SHOUT.replace("upper", "lower")), "-q", store="why")
        said = self.json("why", "loud", store="why")["because"]
        self.assertEqual([(cause["node"], cause["field"], cause["text"]) for cause in said],
                         [("loud", "each", "each changed, line 13 of shout.lua: upper ( ) -> lower ( )")])

    def test_a_document_added_redoes_its_chunk_alone(self):
        for i in range(40):
            self.place.write(f"many/{i:02}.txt", f"{i} " + "word " * 30000)
        self.ok("run", self.graph(SHOUT.replace("corpus/0*.txt", "many/*.txt"), "many.lua"), "-q")
        self.place.write("many/99.txt", "99 " + "word " * 30000)
        self.ok("run", "many.lua", "-q")
        events = [json.loads(line) for line in self.ok("logs", "loud", "--json").splitlines()]
        entries = [event for event in events if event.get("event") == "entry"]
        self.assertGreater(len(entries), 5)
        self.assertLessEqual(sum(not entry["remembered"] for entry in entries), 2)

    def test_helpers_of_required_files_count(self):
        self.place.write("lib/words.lua", "local M = {}\nfunction M.last(text)\n  return text:match('%w+%W*$')\nend\nreturn M\n")
        text = HEAD + """local last = require("lib.words").last
local take = tm.stage { name = "take_last", each = function(doc, o, emit) emit { text = last(doc.text) } end }
return tm.graph { loud = take { docs } }
"""
        self.ok("run", self.graph(text, "helpers.lua"), "-q")
        self.assertEqual(self.json("plan", "helpers.lua")["nodes"]["loud"]["state"], "cached")
        self.place.write("lib/words.lua", self.place.read("lib/words.lua").replace("%W*$", "%s*$"))
        self.assertIn("last changed, line 3 of lib/words.lua", self.json("plan", "helpers.lua")["nodes"]["loud"]["reason"])

    def test_functions_that_call_each_other_and_the_library_work(self):
        text = HEAD + """local floor, huge, str = math.floor, math.huge, string
local odd
local function even(n) if n == 0 then return true end return odd(n - 1) end
odd = function(n) if n == 0 then return false end return even(n - 1) end
local s = tm.stage { name = "parity", each = function(doc, o, emit)
  emit { text = tostring(even(floor(7.9))) .. str.rep("x", 2) .. tostring(1 < huge) }
end }
return tm.graph { loud = s { docs } }
"""
        self.ok("run", self.graph(text, "calls.lua"), "-q")
        self.assertEqual({record["text"] for record in self.records("loud")}, {"falsexxtrue"})

    def test_names_that_a_body_binds_itself_are_no_globals_and_parts_that_are_asked_for_first_may_lack(self):
        text = HEAD + """local os = "outer"
local s = tm.stage { name = "names", each = function(doc, o, emit)
  local unpack, io = table.unpack or unpack, { read = function(_, load) return load end }
  local function debug(...) for package, require in ipairs { ... } do return package + require end end
  goto warn
  ::warn::
  local trim = string.trim and string.trim(doc.text) or "none"
  function string.twice(text) return text .. text end
  local t = { collectgarbage = unpack { 7 }, [1] = io:read(4).. string.twice "z", ["dofile"] = debug(2) }
  emit { text = os .. t.collectgarbage .. t[1] .. t.dofile .. trim }
end }
return tm.graph { loud = s { docs } }
"""
        self.ok("run", self.graph(text, "names.lua"), "-q")
        self.assertEqual({record["text"] for record in self.records("loud")}, {"outer74zz3none"})

    def test_a_name_that_no_body_has_is_told_before_anything_runs(self):
        name = self.graph(SHOUT.replace("limit) ..", "limit) .. os.date() .."), "date.lua")
        before = self.place.plain("runs", "--store", "store")
        for command in ("check", "plan", "run"):
            code, _, err = self.place.tidemill(command, name)
            self.assertEqual(code, 2)
            self.assertRegex(err, r"\Aerror\[TM0115\] the body of a stage has no 'os'\n  --> date.lua:12:")
        self.assertEqual(self.place.plain("runs", "--store", "store"), before)

    def test_chat_and_preference_are_made_and_taken(self):
        text = HEAD + """local ask = tm.stage { name = "ask", gives = "chat", each = function(doc, o, emit)
  emit { messages = { { role = "user", content = doc.source }, { role = "assistant", content = "yes" } } }
end }
local pair = tm.stage { name = "pair", takes = "chat", gives = "preference", each = function(doc, o, emit)
  emit { prompt = doc.messages[1].content, chosen = doc.messages[2].content, rejected = "no" }
end }
local split = tm.split { ask { docs }, valid = 0.5 }
return tm.graph { pairs = tm.curate { ask { docs }, pair {} }, halves = split, some = pair { split.train } }
"""
        self.ok("run", self.graph(text, "chat.lua"), "-q")
        self.assertEqual(json.loads(self.records("pairs")[0]["text"]),
                         {"prompt": [{"role": "user", "content": "00.txt"}],
                          "chosen": [{"role": "assistant", "content": "yes"}],
                          "rejected": [{"role": "assistant", "content": "no"}]})
        self.assertLess(len(self.records("some")), 10)

    def test_a_batch_gets_up_to_its_size_and_ends_with_the_chunk(self):
        for i in range(40):
            self.place.write(f"many/{i:02}.txt", f"{i:02} " + "word " * 12000)
        self.ok("run", self.graph(BATCH, "batch.lua"), "-q", store="batch")
        rows = self.json("inspect", "loud", "-n", "100", store="batch")["records"]
        self.assertEqual([row["source"] for row in rows], [f"{i:02}.txt" for i in range(40) if i != 7])
        sizes = {row["meta"]["of"] for row in rows}
        self.assertTrue(3 in sizes and len(sizes) > 1 and sizes <= {1, 2, 3}, sizes)
        gone = self.json("inspect", "loud.removed", "-n", "100", store="batch")["records"]
        self.assertEqual([(row["source"], row["meta"]["removed"]) for row in gone], [("07.txt", "shout.unlucky")])
        self.place.write("many/99.txt", "99 " + "word " * 12000)
        self.ok("run", "batch.lua", "-q", store="batch")
        events = [json.loads(line) for line in self.ok("logs", "loud", "--json", store="batch").splitlines()]
        entries = [event for event in events if event.get("event") == "entry"]
        self.assertLessEqual(sum(not entry["remembered"] for entry in entries), 2)

    def test_a_batch_reruns_for_its_tokens_and_its_size_alone(self):
        small = BATCH.replace("many/", "corpus/0")
        self.ok("run", self.graph(small), "-q")
        self.assertEqual(self.state(small.replace("local why", "-- a comment\n    local   why"))[0], "cached")
        self.assertIn("batch_size 3 -> 4", self.state(small.replace("batch_size = 3", "batch_size = 4"))[1])
        self.assertIn('batch changed, line 10 of shout.lua: "unlucky" else emit -> "late" else emit',
                      self.state(small.replace('"unlucky"', '"late"'))[1])

    def test_an_error_of_a_batch_names_line_and_records(self):
        small = BATCH.replace("many/", "corpus/0").replace("#docs }", "#docs.x }")
        err = self.fails(1, "run", self.graph(small, "batch.lua"), "-q", store="broken")
        self.assertRegex(err, r"attempt to get length of a nil value.*\n  --> batch.lua:11:.*\n(.*\n){2}"
                         r"why    it was given 3 records: \w+, from 00.txt; \w+, from 01.txt; \w+, from 02.txt\n")
        larger = small.replace("batch_size = 3", "batch_size = 8")
        self.assertRegex(self.fails(1, "run", self.graph(larger, "batch.lua"), "-q", store="broken"),
                         r"why    it was given 8 records, the first 3: \w+, from 00.txt; \w+, from 01.txt; \w+, from 02.txt\n")

    def test_an_error_in_a_body_names_line_and_record_and_the_log_has_a_traceback(self):
        text = SHOUT.replace("return (text:gsub", "local n = nil\n  return n.x, (text:gsub")
        err = self.fails(1, "run", self.graph(text, "broken.lua"), "-q", store="broken")
        self.assertIn("attempt to index a nil value (local 'n')\n  --> broken.lua:6:", err)
        self.assertRegex(err, r"why    it was given record \w+, from 01.txt")
        log = self.ok("logs", "loud", store="broken")
        self.assertIn("broken.lua:6: in ", log)
        self.assertIn("broken.lua:13: in ", log)

    def test_a_body_without_end_is_stopped_at_its_line(self):
        text = SHOUT.replace("emit {", "while true do end\n    emit {").replace("  name =", "  seconds = 0.5, name =")
        begin = time.monotonic()
        err = self.fails(1, "run", self.graph(text, "loop.lua"), "-q", store="loop")
        self.assertIn("a chunk needs more than 0.5 seconds of processor time\n  --> loop.lua:12:", err)
        self.assertIn("look for a loop without end here, or give the stage more: seconds = ...\n", err)
        self.assertLess(time.monotonic() - begin, 20)

    def test_the_worker_of_a_body_is_used_once_and_shared_with_its_neighbours(self):
        text = SHOUT.replace("loud = shout { docs }", "loud = tm.curate { docs, shout {}, tm.fix_unicode {}, shout {} }")
        plan = self.json("plan", self.graph(text, "group.lua"))["nodes"]
        self.assertEqual(len({plan[name]["group"] for name in plan if name.startswith("loud")}), 1)
        self.ok("run", "group.lua", "-q")
        self.assertEqual(len(self.records("loud.removed")), 1)

    def test_what_a_body_prints_goes_to_the_nodes_log(self):
        text = SHOUT.replace("emit {", "print('at', doc.source)\n    emit {")
        self.ok("run", self.graph(text, "print.lua"), "-q", store="print")
        self.assertIn("at 03.txt", self.ok("logs", "loud", store="print"))

    def test_the_commands_know_them(self):
        self.assertIn("tm.stage", self.ok("stages"))
        self.assertIn("called once per record", self.ok("describe", "stage"))
        self.assertIn("called with a list of records", self.ok("describe", "stage"))
        self.assertEqual(self.json("check", self.graph(SHOUT))["errors"], [])
        self.assertIn("shout", self.ok("graph", "shout.lua"))

    def test_a_stage_of_a_graph_is_described(self):
        text = SHOUT.replace('tm.string { "!" }', 'tm.string { "!", doc = "what comes behind" }, n = tm.int { 3, min = 1 }')
        self.graph(text.replace("  name =", "  doc = \"Cries.\", name ="), "help.lua")
        said = self.ok("describe", "help.lua", "shout")
        for part in ("shout (a stage of help.lua, line 10)", "Cries.", "takes documents, gives documents",
                     'tm.string, default "!"', "what comes behind", "tm.int, default 3, min 1"):
            self.assertIn(part, said)
        self.assertEqual(self.json("describe", "help.lua", "shout")["options"]["n"]["min"], 1)
        self.assertIn("gives documents; up to 3 records a call",
                      self.ok("describe", self.graph(BATCH.replace("many/", "corpus/0"), "batch.lua"), "shout"))
        self.assertIn('did you mean "shout"?', self.fails(2, "describe", "help.lua", "shuot"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
