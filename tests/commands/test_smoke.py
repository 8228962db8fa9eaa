# SPDX-License-Identifier: Apache-2.0
"""run --smoke: little data through a whole graph, apart from real results."""
import json
import os
import unittest

from workplace import WORDS, WithWorkplace, document

# Every kind of node that a smoke run cuts down.
GRAPH = """local tm = require "tidemill"
local p = tm.params { last = tm.string { "true" } }
local lines = tm.read { { "a.jsonl", "b.jsonl" }, format = "jsonl" }
local docs  = tm.split { lines, valid = 0.001 }
local vocab = tm.train_tokenizer { docs.train, size = 8192 }
local base  = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4, length = 64 }, tokenizer = vocab,
                            data = docs.train, valid = docs.valid, steps = 900, batch = 256, length = 64,
                            checkpoint_every = 300 }
local chats = tm.split { tm.read { "chat.jsonl", format = "chat" }, valid = 0.1 }
local tuned = tm.sft { base:at(600), data = chats.train, valid = chats.valid, epochs = 50, batch = 256, length = 64,
                       adapter = tm.lora { rank = 4 }, schedule = tm.cosine { warmup = 40 } }
local exam  = tm.evaluate { { base = base, tuned = tm.merge { tuned } },
                            tasks = { text = tm.perplexity { docs.valid, length = 64 }, said = tm.exact_match {
                                      chats.valid } } }
local good  = tm.gate { base, on = exam, require = "tuned.said.exact_match > 2" }
local curve = tm.evaluate { base:each { every = 300 }, tasks = { text = tm.perplexity { docs.valid, length = 64 } } }
local last  = tm.exec { chats.valid, program = { p.last, "{in}", "{out}" }, io = "files", takes = "chat", gives = "documents" }
return tm.graph { lines = lines, docs = docs, vocab = vocab, base = base, chats = chats, tuned = tuned, exam = exam,
                  good = good, curve = curve, last = p.last ~= "true" and last or nil,
                  model = tm.export { good, to = "out/real" } }
"""


class Smoke(WithWorkplace):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        place = cls.place
        place.write("all.lua", GRAPH)
        place.write("few.lua", 'local tm = require "tidemill"\nreturn tm.graph { lines = tm.read { "a.jsonl", '
                               'format = "jsonl" } }')
        for i, name in enumerate("ab"):
            place.write(f"{name}.jsonl", "".join(
                json.dumps({"text": document(1000 * i + k, 40)}) + "\n" for k in range(300)))
        place.write("chat.jsonl", "".join(json.dumps({"messages": [
            {"role": "user", "content": f"Say {word} {k}."}, {"role": "assistant", "content": f"{word}, {k}."}]}) + "\n"
            for k, word in enumerate(WORDS * 5)))
        code, cls.said, err = place.tidemill("run", "all.lua", "--smoke", "--cores", "2")
        assert code == 0 and "smoke 200 records of each source, 5 steps of each trainer" in err, cls.said + err

    def rows(self, node):
        return self.json("status", "r1")["nodes"][node].get("rows")

    def test_sources_give_their_share_of_200_records(self):
        self.assertEqual(self.rows("lines"), 200)
        records = self.ok("inspect", "r1:lines", "--json")
        self.assertIn("a.jsonl", records)
        got = json.loads(self.place.tidemill("run", "all.lua", "lines", "--smoke", "--json")[1])
        self.assertEqual((got["cached"], got["smoke"]), (1, True))

    def test_trainers_take_5_steps_and_snapshots_are_judged(self):
        steps = {row["step"] for row in self.json("inspect", "r1:curve")["records"]}
        self.assertLess({3, 5}, steps | {0})
        self.assertEqual(max(steps), 5)

    def test_the_end_says_what_was_shown_and_the_real_run(self):
        self.assertIn("smoke: every node works", self.said)
        self.assertIn("real:  tidemill run all.lua --cores 2 --store ", self.said)
        self.assertNotIn("out/real", self.said)
        self.assertFalse(os.path.exists(self.place.path("out")))

    def test_a_requirement_that_does_not_hold_lets_pass(self):
        self.assertIn("would not hold, and passes in a smoke run", self.ok("logs", "r1:good"))

    def test_real_runs_and_smoke_runs_have_nothing_of_each_other(self):
        states = {node["state"] for node in self.json("plan", "all.lua")["nodes"].values()}
        self.assertNotIn("cached", states)
        states = {node["state"] for node in self.json("plan", "all.lua", "--smoke")["nodes"].values()}
        self.assertEqual(states, {"cached"})

    def test_an_address_means_a_real_result_unless_it_names_the_smoke_run(self):
        self.ok("run", "all.lua", "lines", "--smoke", store="two")
        self.assertIn("r1:lines", self.fails(2, "inspect", "lines", store="two"))
        self.assertEqual(self.json("inspect", "r1:lines", store="two")["run"], "r1")
        self.ok("run", "all.lua", "lines", store="two")
        self.ok("run", "all.lua", "lines", "--smoke", store="two")
        self.assertEqual(self.json("inspect", "lines", store="two")["run"], "r2")
        runs = self.json("runs", store="two")["runs"]
        self.assertEqual([run["smoke"] for run in runs], [True, False, True])
        self.assertIn(" smoke", self.ok("runs", store="two"))

    def test_no_command_takes_or_compares_with_a_smoke_run_that_is_not_named(self):
        self.ok("run", "few.lua", "--smoke", store="four")
        for command in ["why", "lines"], ["shell", "lines", "--print"]:
            self.assertIn("r1:lines", self.fails(2, *command, store="four"))
            self.ok(command[0], "r1:lines", *command[2:], store="four")
        self.ok("run", "few.lua", store="four")
        self.ok("run", "few.lua", "--smoke", store="four")
        why = self.json("why", "lines", store="four")
        self.assertEqual((why["run"], why.get("before")), ("r2", None))
        self.assertEqual(self.json("why", "r3:lines", store="four")["before"], "r1")
        self.assertEqual(self.json("shell", "lines", "--print", store="four")["run"], "r2")

    def test_a_mistake_in_the_last_stage_shows(self):
        code, out, err = self.place.tidemill("run", "all.lua", "--smoke", "--set", "last=false")
        self.assertEqual(code, 1, out + err)
        self.assertIn("last: false ended with exit status 1", err)
        self.assertIn("smoke: at most 200 records came from each source", out)

    def test_it_is_nothing_to_pin(self):
        self.assertIn("smoke run", self.fails(2, "pin", "r1"))
        self.assertIn("smoke run", self.fails(2, "pin"))
        self.ok("run", "few.lua", store="three")
        self.ok("run", "few.lua", "--smoke", store="three")
        self.assertIn("r1 of few.lua", self.ok("pin", "--output", self.place.path("lock"), store="three"))
        self.assertIn("of 1 node as in its run r1", self.ok("run", "few.lua", "--lock", "lock", store="three"))
        self.place.write("tidemill.lock", "{}")
        self.assertIn("smoke run", self.fails(3, "run", "all.lua", "--smoke", "--locked"))


if __name__ == "__main__":
    unittest.main()
