#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""generate, chat, score and tokenize as people type them.

usage: test_talk.py PROGRAM [unittest arguments]
"""
import json
import os
import signal
import subprocess
import unittest

from screen import open_terminal
from workplace import PROGRAM, WithWorkplace


def lines(records):
    return "".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records)


class Talk(WithWorkplace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        code, out, err = cls.place.tidemill("run", "graph.lua", "--quiet")
        assert code == 0, out + err
        code, out, err = cls.place.tidemill("get", "base", "model")
        assert code == 0, out + err

    def fed(self, code, stdin, *args):
        """(lines of stdout as JSON, stderr) of a command that reads `stdin`."""
        process = self.place.start(*args)
        process.stdin.write(stdin)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code, out + err)
        return [json.loads(line) for line in out.splitlines()], err

    def text(self, *args):
        return self.json("generate", "base", "--prompt", "The river", "-n", "20", *args)["text"]

    def test_a_folder_and_an_address_are_the_same_model(self):
        self.assertEqual(self.json("generate", "model", "--prompt", "The", "-n", "9"),
                         self.json("generate", "base", "--prompt", "The", "-n", "9"))
        self.assertNotEqual(self.json("generate", "base@10", "--prompt", "The")["log_probs"],
                            self.json("generate", "base", "--prompt", "The")["log_probs"])

    def test_a_prompt_begins_as_documents_do(self):
        said = self.json("generate", "base", "--prompt", "The mill", "-n", "3")
        bare = self.json("generate", "base", "--prompt", "The mill", "-n", "3", "--bare")
        end = self.json("tokenize", "vocab", "<|endoftext|>")["ids"]
        self.assertEqual(said["prompt_ids"], end + bare["prompt_ids"])
        self.assertEqual(bare["prompt_ids"], self.json("tokenize", "vocab", "The mill")["ids"])
        self.assertEqual(said["prompt_tokens"], len(said["prompt_ids"]))

    def test_no_tokens_at_all_are_the_prompt_alone(self):
        said = self.json("generate", "base", "--prompt", "The mill", "-n", "0")
        self.assertEqual((said["ids"], said["text"], said["ended"]), ([], "", "tokens"))
        self.assertEqual(said["prompt_ids"], self.json("generate", "base", "--prompt", "The mill", "-n", "3")["prompt_ids"])
        self.assertEqual(self.ok("generate", "base", "--prompt", "The mill", "-n", "0"), "The mill\n")

    def test_draws_depend_on_the_seed_alone(self):
        warm = ("-t", "1.3", "--top-p", "0.95")
        self.assertEqual(self.text(*warm), self.text(*warm, "-j", "1"))
        self.assertEqual(len({self.text(*warm, "--seed", str(i)) for i in range(5)}), 5)
        self.assertEqual(self.text(*warm, "--top-k", "1"), self.text())
        self.assertEqual(self.text(*warm, "--min-p", "1"), self.text())
        self.assertNotEqual(self.text("--repetition", "1.5"), self.text())

    def test_a_stop_string_ends_the_text_before_it(self):
        whole = self.text("-t", "1", "--seed", "3")
        stop = whole[9:14]
        said = self.json("generate", "base", "--prompt", "The river", "-n", "20", "-t", "1", "--seed", "3",
                         "--stop", "never there", "--stop", stop)
        self.assertEqual((said["text"], said["ended"], said["stop"]), (whole[:whole.index(stop)], "stop", stop))
        shown = self.ok("generate", "base", "--prompt", "The river", "-n", "20", "-t", "1", "--seed", "3", "--stop", stop)
        self.assertEqual(shown, "The river" + said["text"] + "\n")

    def test_many_prompts_are_answered_line_by_line_and_bad_lines_reported(self):
        said, err = self.fed(2, lines([{"prompt": "The", "id": 5}, "no json", {"text": "x"}, {"prompt": "It"}]),
                             "generate", "base", "--prompts", "-", "-n", "4")
        self.assertEqual([row["line"] for row in said], [1, 2, 3, 4])
        self.assertEqual([("error" in row) for row in said], [False, True, True, False])
        self.assertEqual((said[0]["id"], said[0]["prompt"], len(said[0]["ids"])), (5, "The", 4))
        self.assertRegex(err, r"line 2: .*\nline 3: there is no \"prompt\"")

    def test_generate_refuses_what_cannot_be(self):
        self.assertIn("up to 1, not 2", self.fails(3, "generate", "base", "--prompt", "x", "--top-p", "2"))
        self.assertIn("not empty", self.fails(3, "generate", "base", "--prompt", "x", "--stop", ""))
        self.assertIn("exclude each other", self.fails(3, "generate", "base", "--prompt", "x", "--prompts", "-"))
        self.assertRegex(self.fails(2, "generate", "base", "--prompt", "word " * 100), r"\d+ tokens, the model 64 pos")
        self.assertIn("is no model and no tokenizer", self.fails(2, "generate", "corpus", "--prompt", "x"))
        self.assertIn("vocab is a tokenizer, where a model is due", self.fails(2, "generate", "vocab", "--prompt", "x"))
        for name in "bsae", "bas":
            self.assertIn('did you mean "base"?', self.fails(2, "generate", name, "--prompt", "x"))

    def test_a_folder_without_a_model_does_not_hide_the_node_of_its_name(self):
        os.mkdir(self.place.path("base"))
        try:
            shown = self.ok("generate", "base", "--prompt", "The", "-n", "3")
        finally:
            os.rmdir(self.place.path("base"))
        self.assertEqual(shown, self.ok("generate", "base", "--prompt", "The", "-n", "3"))

    def test_a_folder_with_one_gguf_file_is_its_model(self):
        self.place.write("gguf.lua", self.place.read("graph.lua").replace('format = "hf", to = "out/model"', 'format = "gguf"'))
        self.ok("run", "gguf.lua", "model", "--quiet")
        self.ok("get", "model", "gguf")
        self.assertEqual(os.listdir(self.place.path("gguf")), ["model.gguf"])
        self.assertEqual(self.ok("generate", "gguf", "--prompt", "The mill", "-n", "5"),
                         self.ok("generate", "gguf/model.gguf", "--prompt", "The mill", "-n", "5"))

    def test_score_adds_up_and_rises_with_training(self):
        records = [{"text": "The river and the mill."}, {"text": "of the water"}]
        said, _ = self.fed(0, lines(records), "score", "base")
        for row in said:
            counted = [p for p, c in zip(row["log_probs"], row["counted"]) if c]
            self.assertAlmostEqual(row["sum"], sum(counted), places=4)
            self.assertEqual((row["tokens"], len(row["pieces"])), (len(counted), len(row["ids"])))
            self.assertEqual((row["log_probs"][0], row["tokens"]), (None, len(row["ids"]) - 1))  # the start token
        early, _ = self.fed(0, lines(records), "score", "base@10")
        self.assertGreater(said[0]["sum"] + said[1]["sum"], early[0]["sum"] + early[1]["sum"])
        sums, _ = self.fed(0, lines([{"text": "The river and the mill."}]), "score", "model", "--sums")
        self.assertEqual(sums, [{"line": 1, "sum": said[0]["sum"], "tokens": said[0]["tokens"]}])

    def test_score_answers_each_line_before_the_next_and_goes_on_behind_a_bad_one(self):
        process = self.place.start("score", "base")
        for record, good in (({"prompt": "The", "completion": " river"}, True), ({"text": "mill " * 100}, False),
                             ({"prompt": 3}, False), ({"text": ""}, True), ({"text": "of the"}, True)):
            process.stdin.write(lines([record]))
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            self.assertEqual("error" not in said, good, said)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (2, ""))
        self.assertRegex(err, r"line 2: the record has \d+ tokens, more than 64\nline 3: the record has neither")

    def test_tokenize_gives_ids_and_pieces_and_text_back(self):
        said = self.json("tokenize", "vocab", "the mill's café")
        self.assertEqual("".join(said["pieces"]), "theĠmill'sĠcafÃ©")
        table = self.ok("tokenize", "vocab", "the mill's café").splitlines()
        self.assertEqual([int(row.split()[0]) for row in table], said["ids"])
        back = self.ok("tokenize", "vocab", "--decode", json.dumps(said["ids"]))
        self.assertEqual(back, "the mill's café\n")
        special, _ = self.fed(0, lines([{"text": "<|im_end|>", "id": "x"}]), "tokenize", "base")
        plain, _ = self.fed(0, lines([{"text": "<|im_end|>"}]), "tokenize", "base", "--plain", "--bare")
        self.assertEqual((len(special[0]["ids"]), special[0]["id"]), (2, "x"))
        self.assertGreater(len(plain[0]["ids"]), 3)
        text, _ = self.fed(0, lines([{"ids": special[0]["ids"]}]), "tokenize", "base", "--decode", "--skip-special")
        self.assertEqual(text, [{"line": 1, "text": ""}])

    def test_tokenize_reports_bad_lines_and_goes_on(self):
        said, err = self.fed(2, lines([{"ids": [1, 99999]}, {"ids": "x"}, {"ids": [1.5]}, {"ids": []}]),
                             "tokenize", "vocab", "--decode")
        self.assertEqual([("error" in row) for row in said], [True, True, True, False])
        self.assertIn("line 1: 99999 is no id of this tokenizer, which has 400", err)
        self.assertIn("is no id", self.fails(2, "tokenize", "vocab", "--decode", "1 two"))

    def test_output_that_nobody_reads_ends_the_command(self):
        process = self.place.start("generate", "base", "--prompts", "-", "-n", "50")
        process.stdout.close()
        try:
            process.stdin.write(lines([{"prompt": "The"}] * 500))
            process.stdin.close()
        except BrokenPipeError:
            pass
        self.assertNotEqual(process.wait(timeout=60), 0)
        process.stderr.close()


def chatml(messages, answer=True):
    text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return text + ("<|im_start|>assistant\n" if answer else "")


class Chat(WithWorkplace):
    """A model with 400 positions that was never trained on chats: its tokenizer has no template, so it is ChatML's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place.write("graph.lua", cls.place.read("graph.lua").replace("length = 64 }, tokenizer",
                                                                         "length = 400 }, tokenizer"))
        code, out, err = cls.place.tidemill("run", "graph.lua", "--quiet", "base")
        assert code == 0, out + err

    def talk(self, turns, *args, code=0):
        """(stdout, stderr) of a chat; without --json the answers as text."""
        process = self.place.start("chat", "base", *args)
        out, err = process.communicate("".join(turn + "\n" for turn in turns), timeout=60)
        self.assertEqual(process.returncode, code, out + err)
        return out, err

    def said(self, turns, *args, code=0):
        return [json.loads(line) for line in self.talk(turns, "--json", *args, code=code)[0].splitlines()]

    def test_every_turn_sees_all_before_it_and_only_what_is_new_is_read(self):
        turns, greedy = ["The river", "and the mill?", "So it is."], ("-t", "0", "-n", "12")
        messages = [{"role": "system", "content": "Be brief."}]
        for turn, answer in zip(turns, self.said(turns, "--system", "Be brief.", *greedy)):
            messages.append({"role": "user", "content": turn})
            alone = self.json("generate", "base", "--bare", "--prompt", chatml(messages), *greedy)
            self.assertEqual(answer["ids"], alone["ids"])
            self.assertEqual(answer["kept"] > 0, len(messages) > 2)
            messages.append({"role": "assistant", "content": answer["content"]})

    def test_a_chat_repeats_itself_with_the_same_seed_and_a_retry_does_not(self):
        turns = ["The river", "/retry", "/retry", "/reset", "The river"]
        first, second = self.said(turns, "-n", "12", "-t", "2"), self.said(turns, "-n", "12", "-t", "2")
        self.assertEqual(first, second)
        self.assertEqual(len({row["content"] for row in first}), 4)
        greedy = self.said(["The river", "/retry", "/reset", "The river"], "-t", "0", "-n", "9")
        self.assertEqual(len({row["content"] for row in greedy}), 1)

    def test_a_conversation_is_saved_as_a_record_that_can_be_scored(self):
        turns = ["One", "/save talk.jsonl", "//two", "/save talk.jsonl", "/save", "/nope", "/quit", "never"]
        out, err = self.talk(turns, "-n", "5")
        records = [json.loads(line) for line in self.place.read("talk.jsonl").splitlines()]
        self.assertEqual([len(record["messages"]) for record in records], [2, 4])
        self.assertEqual([m["content"] for m in records[1]["messages"] if m["role"] == "user"], ["One", "/two"])
        self.assertIn("/save takes a file", err)
        self.assertIn("there is no command /nope", err)
        self.assertNotIn("never", out + err)
        process = self.place.start("score", "base")
        out, err = process.communicate(self.place.read("talk.jsonl"), timeout=60)
        self.assertEqual(process.returncode, 0, err)
        for record, row in zip(records, map(json.loads, out.splitlines())):
            end, = self.json("tokenize", "vocab", "<|im_end|>")["ids"]
            counted = [i for i, c in zip(row["ids"], row["counted"]) if c]
            self.assertEqual(counted.count(end), len(record["messages"]) // 2)
            self.assertEqual(counted[-1], end)
            self.assertEqual(self.json("tokenize", "vocab", "--decode", json.dumps(row["ids"]))["text"],
                             chatml(record["messages"], False))

    def test_nothing_is_saved_where_nothing_was_said(self):
        _, err = self.talk(["One", "/reset", "/save none.jsonl"], "-n", "3", "--system", "Be brief.")
        self.assertIn("there is nothing to save", err)
        self.assertFalse(os.path.exists(self.place.path("none.jsonl")))

    def test_keys_that_a_terminal_sends_are_no_part_of_a_turn_and_the_end_begins_a_line(self):
        main, other = open_terminal()
        self.addCleanup(os.close, main)
        os.write(main, b"\x1b[A\x1b[1;5C\x1bOP/nope\n\x04")
        done = subprocess.run([PROGRAM, "chat", "base", "-n", "3", "--store", self.place.path("store")], stdin=other,
                              capture_output=True, text=True, cwd=self.place.folder, timeout=60)
        os.close(other)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("> (arrow keys do nothing here: `rlwrap tidemill chat` gives line editing)\nthere is no command /nope\n",
                      done.stderr)
        self.assertTrue(done.stderr.endswith("> \n"), done.stderr)

    def test_the_oldest_turns_are_forgotten_when_the_context_is_full(self):
        turns = ["word " * 20] * 8 + ["long " * 300, "short"]
        out, err = self.talk(turns, "--json", "-n", "10", "--context", "160", "--system", "Be brief.", code=2)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(rows[0]["dropped"], 0)
        self.assertTrue(any(row.get("dropped") for row in rows))
        self.assertIn("the context of 160 tokens is full", err)
        self.assertRegex(rows[8]["error"], r"this turn has \d+ tokens; of the 160 of the context, 150 are for it")
        self.assertIn("content", rows[9])

    def test_two_models_answer_side_by_side(self):
        out, _ = self.talk(["The river", "The mill"], "--vs", "base@10", "-t", "0", "-n", "6")
        rows = self.said(["The river", "The mill"], "--vs", "base@10", "-t", "0", "-n", "6")
        self.assertEqual([row["model"] for row in rows], ["base", "base@10"] * 2)
        shown = "".join(f"{row['model']}: {row['content']}\n" for row in rows)
        self.assertEqual(out, shown.replace("\r\n", "\n").replace("\r", "\n"))  # as Python reads a pipe
        self.assertEqual([row["content"] for row in rows[::2]],
                         [row["content"] for row in self.said(["The river", "The mill"], "-t", "0", "-n", "6")])

    def test_messages_and_turns_go_through_the_template_elsewhere_too(self):
        messages = [{"role": "user", "content": "The river"}]
        by_flag = self.json("generate", "base", "--template", "--prompt", "The river", "-n", "9")
        self.assertEqual(by_flag["prompt_ids"], self.json("tokenize", "vocab", "--bare", chatml(messages))["ids"])
        self.assertEqual(by_flag["ids"], self.said(["The river"], "-t", "0", "-n", "9")[0]["ids"])
        self.assertEqual(self.ok("generate", "base", "--template", "--prompt", "The river", "-n", "9"), by_flag["text"] + "\n")
        self.assertEqual(self.json("tokenize", "base", "--template", "The river")["ids"], by_flag["prompt_ids"])
        self.place.write("m.jsonl", json.dumps({"messages": messages}) + "\n" + json.dumps({"messages": [{"role": "user"}]}))
        process = self.place.start("generate", "base", "--prompts", "m.jsonl", "-n", "9")
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, json.loads(out.splitlines()[0])["ids"]), (2, by_flag["ids"]))
        self.assertIn("line 2: message 1 has no", err)

    def test_ctrl_c_at_the_prompt_ends_the_chat_the_second_time(self):
        process = self.place.start("chat", "base", "-n", "3")
        process.stdin.write("One\n")
        process.stdin.flush()
        self.assertTrue(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.stderr.readline(), "\n")
        self.assertIn("Ctrl-C again", process.stderr.readline())
        process.stdin.write("Two\n")
        process.stdin.flush()
        self.assertTrue(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.stderr.readline(), process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)


if __name__ == "__main__":
    unittest.main()
