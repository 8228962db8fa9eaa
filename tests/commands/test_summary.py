# SPDX-License-Identifier: Apache-2.0
"""The end of a run: what can be pasted from it; and what is on record for those who watch."""
import json
import re
import sys
import unittest

from screen import Terminal
from workplace import PROGRAM, WithWorkplace

QUESTIONS = [{"text": f"Which word comes after {word}?", "answer": word} for word in ("mill", "tide", "water")]

HEAD = """local tm = require "tidemill"
local docs  = tm.split { tm.read { "corpus/*.txt" }, valid = 0.1 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local shape = tm.llama { layers = 1, width = 32, heads = 4, length = 64 }
local function train(seed)
  return tm.pretrain { shape, tokenizer = vocab, data = docs.train, valid = docs.valid, steps = 4, batch = 256,
                       length = 64, seed = seed }
end
"""

SWEEP = HEAD + """local trials = tm.sweep({ seed = { 1, 2, 3, 4, 5, 6 } }, function(v) return train(v.seed) end)
return tm.graph { trials = trials, all = tm.compare { trials, by = { "valid.loss" } } }
"""

# Every point has an exam of its own; one table has them all.
CHOICE = HEAD + """local trials = tm.sweep({ lr = { 3e-4, 1e-2 } }, function(v)
  local model = tm.pretrain { shape, tokenizer = vocab, data = docs.train, steps = 4, batch = 256, length = 64, lr = v.lr }
  return { model = model, exam = tm.evaluate { model, tasks = { text = tm.perplexity { docs.valid } } } }
end)
return tm.graph { trials = trials, all = tm.compare { trials, by = { "text.loss" } },
                  winner = tm.best { trials, by = "text.loss" } }
"""

CHAT = HEAD + """local spell = tm.stage { name = "spell", gives = "chat", each = function(doc, o, emit)
  emit { messages = { { role = "user", content = "spell" }, { role = "assistant", content = doc.text:sub(1, 20) } } }
end }
local base  = train(1)
local tuned = tm.sft { base, data = spell { docs.train }, epochs = 1, batch = 256, length = 64 }
local small = tm.quantize { tuned, to = "int8" }
local asked = tm.read { "questions.jsonl", format = "jsonl" }
local exam  = tm.evaluate { base, tasks = { next = tm.exact_match { asked, prompt = "{text}", tokens = 4 } } }
return tm.graph { base = base, tuned = tuned, small = small, spelled = spell { docs.valid }, exam = exam }
"""


class Failures(WithWorkplace):
    def test_each_failed_node_says_why_when_the_others_go_on(self):
        self.place.write("bad.jsonl", "no JSON\n")
        self.place.write("bad.lua", """local tm = require "tidemill"
return tm.graph {
  one = tm.read { "bad.jsonl", format = "jsonl" },
  two = tm.read { "bad.jsonl", format = "jsonl", id = "key" },
  sound = tm.read { "corpus/*.txt" },
}
""")
        code, out, err = self.place.tidemill("run", "bad.lua", "-k", "--store", "failures")
        self.assertEqual(code, 1)
        for name, line in ("one", 3), ("two", 4):
            self.assertIn(f"error[TM0303] {name}: no documents in \"bad.jsonl\"\n  --> bad.lua:{line}:", err)
            self.assertIn(f"look   tidemill logs r1:{name}\n", err)
        self.assertEqual(err.count("why    1 of 1 line was bad, the first at bad.jsonl:1: no JSON object"), 2)
        self.assertIn("kept   1 of 3 nodes done\n", err)
        self.assertIn("r1: failed in ", out)
        self.assertIn("1 node run, 0 cached, 2 failed", out)

    def test_how_many_did_not_run_is_one_number(self):
        self.place.write("bad.jsonl", "no JSON\n")
        self.place.write("none.lua", HEAD.replace('"corpus/*.txt"', '"bad.jsonl", format = "jsonl"')
                         + "return tm.graph { docs = docs, vocab = vocab, base = train(1) }\n")
        code, out, err = self.place.tidemill("run", "none.lua", "--store", "none")
        self.assertEqual(code, 1)
        not_run = int(re.search(r", (\d+) not run", out).group(1))
        names, more = re.search(r"; not run: (.*?)(?: and (\d+) more)?\n", err).groups()
        self.assertEqual(names, "docs, vocab, base")
        self.assertEqual(3 + int(more or 0), not_run)
        self.assertGreater(not_run, 3)  # what is put in before the trainer counts


class Summary(WithWorkplace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place.write("questions.jsonl", "".join(json.dumps(q) + "\n" for q in QUESTIONS))
        cls.place.write("sweep.lua", SWEEP)
        cls.place.write("choice.lua", CHOICE)
        cls.place.write("chat.lua", CHAT)

    def test_of_many_models_each_has_a_row(self):
        out = self.ok("run", "sweep.lua")
        self.assertRegex(out, r"(?m)^all +valid\.loss$")
        for seed in range(1, 7):
            self.assertRegex(out, rf"(?m)^  seed={seed} +\d\.\d{{3}}$")

    def test_the_best_of_a_sweep_is_named_also_where_nothing_was_run(self):
        out = self.ok("run", "choice.lua", store="choice")
        titles, losses = re.search(r"(?m)^all +(.*)\n  text\.loss +(.*)$", out).groups()
        table = dict(zip(re.findall(r"(lr=\S+)\.exam", titles), re.findall(r"(\d\.\d+) \+-", losses)))
        self.assertEqual(set(table), {"lr=0.01", "lr=3e-4"})
        lr = min(table, key=lambda point: float(table[point]))
        line = f"\nbest: {lr} (text.loss {table[lr]} +- "
        self.assertIn(line, out)
        self.assertIn("), called winner\n", out)
        self.assertNotIn("text.perplexity", out)  # of the exams of the points
        self.assertIn(line, self.ok("run", "choice.lua", store="choice"))
        with self.subTest("a table too wide for the window becomes blocks, and no number is cut"):
            terminal = Terminal([PROGRAM, "run", "choice.lua", "-q", "--store", self.place.path("choice")],
                                self.place.folder, size=(40, 24))
            self.addCleanup(terminal.close)
            code, text = terminal.finish()
            self.assertEqual(code, 0, text)
            blocks = re.findall(r"(?m)^all +(lr=\S+)\.exam\n  text\.loss +(\d\.\d+) \+- \d\.\d+$", text)
            self.assertEqual(dict(blocks), table)

    def test_what_was_made_can_be_talked_to_and_looked_at(self):
        out = self.ok("run", "chat.lua", store="chat")
        self.assertRegex(out, r"(?m)^try: tidemill chat tuned( |$)")  # it learned answers, base did not; small is a copy
        with self.subTest("a stage of the graph's own goes by the name that the graph gives it"):
            nodes = self.json("plan", "chat.lua", store="chat")["nodes"]
            self.assertEqual((nodes["spelled"]["stage"], nodes["spelled"]["own"]["stage"]), ("spell", "stage"))
            self.assertEqual(self.json("inspect", "spelled", store="chat")["type"], "documents")
            self.assertRegex(self.ok("status", store="chat"), r"(?m)^spelled +done .*\d+ records")
        with self.subTest("what a model answers is on record"):
            events = [json.loads(line) for line in self.ok("logs", "exam", "--json", store="chat").splitlines()]
            sample = next(event for event in events if event["event"] == "sample")
            self.assertEqual(sample["asked"], QUESTIONS[0]["text"])
            self.assertEqual(sample["verdict"], "right" if sample["made"].strip() == "mill" else "wrong")
            self.assertRegex(self.ok("logs", "exam", store="chat"), r" sample +exam +(right|wrong): ")

    def test_what_went_wrong_is_said_again_at_the_end(self):
        self.place.write("broken.jsonl", '{"text": "a line"}\n{"no text": 1}\n' + '{"text": "another"}\n' * 3)
        self.place.write("broken.lua", 'local tm = require "tidemill"\n'
                         'return tm.graph { lines = tm.read { "broken.jsonl", format = "jsonl" } }\n')
        out = self.ok("run", "broken.lua", store="broken")
        self.assertIn("warning: lines: 1 line could not be used, the first at broken.jsonl:2 (tidemill logs lines)\n", out)
        self.assertTrue(re.search(r"\nr1: done in [\d.]+ s; 1 node run, 0 cached\n", out), out)
        again = self.ok("run", "broken.lua", store="broken")  # the lines are as bad as they were
        self.assertIn("warning: lines: 1 line could not be used, the first at broken.jsonl:2 (tidemill logs r1:lines)\n", again)
        self.assertIn("; 0 nodes run, 1 cached\n", again)
        self.assertIn("broken.jsonl", self.ok("logs", "r1:lines", store="broken"))

    def test_a_warmup_that_is_most_of_the_training_is_a_warning(self):
        self.place.write("short.lua", HEAD + "return tm.graph { base = train(1) }\n")
        warning = "warning: base: the warmup takes most of the steps (tidemill logs base)\n"
        self.assertIn(warning, self.ok("run", "short.lua", store="short"))
        self.assertIn("a shorter one is schedule = ", self.ok("logs", "base", store="short"))
        shorter = self.place.read("short.lua").replace("steps = 4", "steps = 4, schedule = tm.wsd { warmup = 1 }")
        self.place.write("short.lua", shorter)
        self.assertNotIn("the warmup", self.ok("run", "short.lua", store="short"))


if __name__ == "__main__":
    sys.exit(unittest.main())
