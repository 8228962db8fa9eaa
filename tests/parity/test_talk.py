# SPDX-License-Identifier: Apache-2.0
"""The commands generate, chat, score and tokenize, and the sampler, beside transformers and tokenizers.

usage: test_talk.py PROGRAM SAMPLE_PROBE
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen3Config
from transformers import MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper
from transformers import TopKLogitsWarper, TopPLogitsWarper

PROGRAM, PROBE = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
import llama_reference as reference  # noqa: E402

TOKENIZERS = HERE.parent / "fixtures" / "tokenizer"
SHAPE = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
             max_position_embeddings=600, bos_token_id=None, eos_token_id=0)
# model family, tokenizer: llama3.json puts a token before every text, smollm2.json none
MODELS = {"llama": (LlamaConfig, "llama3", {}), "tied": (LlamaConfig, "smollm2", dict(tie_word_embeddings=True)),
          "qwen3": (Qwen3Config, "qwen2", dict(head_dim=16))}
TEXTS = ["The river runs.", "a", "x = 1\n\n\ty", "déjà vu — 世界 🙂", "  two  spaces ", "it's 2024, isn't it?",
         "<|endoftext|> inside", "the mill by the sea " * 40]
CLOSE = 1e-3  # two logits nearer than this may change places


def tidemill(*args, stdin=""):
    done = subprocess.run([PROGRAM, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise AssertionError(f"{args}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.models = {}
        for seed, (name, (config, tokenizer, changes)) in enumerate(MODELS.items()):
            folder = pathlib.Path(cls.holder.name) / name
            vocab = len(json.loads((TOKENIZERS / f"{tokenizer}.json").read_text())["model"]["vocab"]) + 8
            model = reference.make_model(config(**{**SHAPE, **changes, "vocab_size": vocab}), 40 + seed)
            model.save_pretrained(folder)
            shutil.copy(TOKENIZERS / f"{tokenizer}.json", folder / "tokenizer.json")
            (folder / "tokenizer_config.json").write_text(
                json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}))
            cls.models[name] = (folder, model.eval(), AutoTokenizer.from_pretrained(folder))

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def each(self):
        for name, parts in self.models.items():
            with self.subTest(model=name):
                yield parts

    def log_probs(self, model, ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)

    def test_tokenize_gives_the_ids_and_pieces_of_tokenizers_and_the_text_back(self):
        for folder, _, tokenizer in self.each():
            fast = tokenizer.backend_tokenizer
            said = tidemill("tokenize", folder, stdin=lines({"text": text} for text in TEXTS))
            for text, ours in zip(TEXTS, said):
                theirs = fast.encode(text)
                self.assertEqual((ours["ids"], ours["pieces"]), (theirs.ids, theirs.tokens))
            bare = tidemill("tokenize", folder, "--bare", stdin=lines({"text": text} for text in TEXTS))
            self.assertEqual([row["ids"] for row in bare], [fast.encode(t, add_special_tokens=False).ids for t in TEXTS])
            back = tidemill("tokenize", folder, "--decode", stdin=lines({"ids": row["ids"]} for row in bare))
            self.assertEqual([row["text"] for row in back],
                             [fast.decode(row["ids"], skip_special_tokens=False) for row in bare])

    def test_score_gives_the_log_probabilities_of_transformers(self):
        for folder, model, tokenizer in self.each():
            for text, ours in zip(TEXTS, tidemill("score", folder, stdin=lines({"text": text} for text in TEXTS))):
                ids = tokenizer(text).input_ids
                self.assertEqual(ours["ids"], ids)
                theirs = self.log_probs(model, ids)
                want = [theirs[i - 1, ids[i]].item() for i in range(1, len(ids))]
                self.assertIsNone(ours["log_probs"][0])
                for a, b in zip(ours["log_probs"][1:], want):
                    self.assertAlmostEqual(a / b, 1, delta=1e-4)
                self.assertAlmostEqual(ours["sum"], sum(want), delta=1e-4 * max(1, abs(sum(want))))
                self.assertEqual(ours["tokens"], len(want))

    def test_score_counts_the_completion_alone(self):
        for folder, model, tokenizer in self.each():
            record = {"prompt": "The river", "completion": " runs to the sea", "id": "x"}
            ours, = tidemill("score", folder, stdin=lines([record]))
            prompt = tokenizer(record["prompt"]).input_ids
            ids = prompt + tokenizer(record["completion"], add_special_tokens=False).input_ids
            self.assertEqual((ours["ids"], ours["id"]), (ids, "x"))
            theirs = self.log_probs(model, ids)
            want = sum(theirs[i - 1, ids[i]].item() for i in range(len(prompt), len(ids)))
            self.assertAlmostEqual(ours["sum"] / want, 1, delta=1e-4)
            self.assertEqual(ours["counted"], [0] * len(prompt) + [1] * (len(ids) - len(prompt)))

    def compare_greedy(self, folder, model, tokenizer, prompt, count, penalty):
        """Equal ids up to the first step whose two best are close; log-probabilities of what we chose."""
        ours, = tidemill("generate", folder, "--prompt", prompt, "-n", count, "--repetition", penalty, "--json")
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        self.assertEqual(ours["prompt_ids"], ids[0].tolist())
        theirs = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False,
                                repetition_penalty=penalty, pad_token_id=0, output_scores=True,
                                return_dict_in_generate=True)
        chosen = theirs.sequences[0, ids.shape[1]:].tolist()
        compared = 0
        for i, scores in enumerate(theirs.scores):
            top = scores[0].topk(2).values
            if top[0] - top[1] < CLOSE:
                break
            self.assertEqual(ours["ids"][i], chosen[i], f"token {i} behind {prompt!r}")
            compared += 1
        else:
            self.assertEqual(ours["ids"], chosen)
        forced = self.log_probs(model, ours["prompt_ids"] + ours["ids"])
        for i, (token, ours_lp) in enumerate(zip(ours["ids"], ours["log_probs"])):
            want = forced[ids.shape[1] - 1 + i, token].item()
            self.assertAlmostEqual(ours_lp, want, delta=1e-4 * max(1, abs(want)))
        self.assertEqual(ours["ended"], "end" if ours["ids"][-1] == 0 else "tokens")
        return compared

    def test_greedy_text_is_that_of_transformers(self):
        compared = 0
        for folder, model, tokenizer in self.each():
            for prompt in TEXTS:
                compared += self.compare_greedy(folder, model, tokenizer, prompt, 24, 1.0)
                compared += self.compare_greedy(folder, model, tokenizer, prompt, 24, 1.4)
        self.assertGreater(compared, 500)

    def test_many_prompts_give_what_each_gives_alone(self):
        for folder, _, _ in self.each():
            said = tidemill("generate", folder, "-n", 8, "--prompts", "-", stdin=lines({"prompt": t} for t in TEXTS))
            for text, row in zip(TEXTS, said):
                alone, = tidemill("generate", folder, "-n", 8, "--prompt", text, "--json")
                self.assertEqual(row["ids"], alone["ids"])


TEMPLATE = ("{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n"
            "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


class Chats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.holder.name)
        vocab = len(json.loads((TOKENIZERS / "smollm2.json").read_text())["model"]["vocab"]) + 8
        shape = {**SHAPE, "vocab_size": vocab, "max_position_embeddings": 4000}
        cls.model = reference.make_model(LlamaConfig(**shape), 60).eval()
        cls.model.save_pretrained(cls.folder)
        shutil.copy(TOKENIZERS / "smollm2.json", cls.folder / "tokenizer.json")
        (cls.folder / "chat_template.jinja").write_text(TEMPLATE)
        (cls.folder / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"}))
        cls.tokenizer = AutoTokenizer.from_pretrained(cls.folder)
        cls.end = cls.tokenizer.convert_tokens_to_ids("<|im_end|>")

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def rendered(self, messages, answer):
        text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=answer, tokenize=False)
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def test_turns_are_answered_as_by_transformers_over_the_whole_conversation(self):
        turns, messages, compared = ["The river runs.", "And then?", "Why — 世界?"], [], 0
        process = subprocess.run([PROGRAM, "chat", self.folder, "--json", "-t", "0", "-n", "20"],
                                 input="".join(turn + "\n" for turn in turns), capture_output=True, text=True)
        self.assertEqual(process.returncode, 0, process.stderr)
        for turn, row in zip(turns, map(json.loads, process.stdout.splitlines())):
            messages.append({"role": "user", "content": turn})
            ids = self.rendered(messages, True)
            for i, token in enumerate(row["ids"]):
                with torch.no_grad():
                    top = self.model(torch.tensor([ids])).logits[0, -1].topk(2)
                if top.values[0] - top.values[1] < CLOSE:
                    break
                self.assertEqual(token, top.indices[0].item(), f"token {i} of the answer to {turn!r}")
                ids.append(token)
                compared += 1
            self.assertEqual(row["ended"] == "end", row["ids"][-1] in (self.end, 0))
            messages.append({"role": "assistant", "content": row["content"]})
            if "\ufffd" in row["content"]:
                break  # bytes that are no text: what stands in the history is not what was chosen
        self.assertGreater(compared, 10)

    def test_messages_are_scored_over_the_answers_alone(self):
        messages = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two and three."},
                    {"role": "user", "content": "Four?"}, {"role": "assistant", "content": "Five"}]
        ours, = tidemill("score", self.folder, stdin=lines([{"messages": messages}]))
        ids = self.rendered(messages, False)
        self.assertEqual(ours["ids"], ids)
        self.assertEqual(tidemill("tokenize", self.folder, stdin=lines([{"messages": messages}]))[0]["ids"], ids)
        with torch.no_grad():
            theirs = self.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        want, counted = 0, []
        for i in (1, 3):
            start = len(self.rendered(messages[:i], True))
            stop = len(self.rendered(messages[:i + 1], False)) - 1  # without the line end behind the end token
            counted += range(start, stop)
            want += sum(theirs[k - 1, ids[k]].item() for k in range(start, stop))
        self.assertEqual([i for i, c in enumerate(ours["counted"]) if c], counted)
        self.assertAlmostEqual(ours["sum"] / want, 1, delta=1e-4)

    def endless(self):
        """A copy of the model that never ends an answer: a feature that all tokens have speaks against it."""
        folder = self.folder / "endless"
        model = AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32)
        with torch.no_grad():
            model.model.embed_tokens.weight[:, 0] = 10
            model.model.norm.weight[0] = 1
            for end in (0, self.end):
                model.lm_head.weight[end] = 0
                model.lm_head.weight[end, 0] = -20
        model.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(self.folder / name, folder)
        return folder

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        process = subprocess.Popen([PROGRAM, "chat", self.endless(), "--context", "4000", "-n", "3900", "-t", "1", "-j", "1"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(b"The river\n")
        process.stdin.flush()
        self.assertTrue(process.stdout.read(1))  # of 3,900 tokens
        process.send_signal(signal.SIGINT)
        process.stdin.write(b"/save talk.jsonl\n".replace(b"talk", str(self.folder / "talk").encode()))
        process.stdin.flush()
        self.assertIn(b"saved", process.stderr.readline())
        saved = json.loads((self.folder / "talk.jsonl").read_text())["messages"]
        self.assertEqual([m["role"] for m in saved], ["user", "assistant"])
        process.stdin.write(b"/quit\n")
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertLess(len(self.tokenizer(saved[1]["content"]).input_ids), 3800)


class Sampler(unittest.TestCase):
    def filtered(self, logits, seen, temperature=1.0, repetition=1.0, top_k=0, top_p=1.0, min_p=0.0):
        """By the processors of transformers, in the order of its generate()."""
        steps = [RepetitionPenaltyLogitsProcessor(repetition), TemperatureLogitsWarper(temperature)]
        steps += [TopKLogitsWarper(top_k)] if top_k else []
        steps += [TopPLogitsWarper(top_p)] if top_p < 1 else []
        steps += [MinPLogitsWarper(min_p)] if min_p else []
        scores = logits.double()
        for step in steps:
            scores = step(seen.expand(len(logits), -1), scores)
        return scores.softmax(-1)

    def test_tokens_are_drawn_from_what_the_filters_of_transformers_leave(self):
        torch.manual_seed(5)
        vocab, rows = 700, 6
        cases = [{}, dict(temperature=0.4), dict(repetition=1.3), dict(top_k=30), dict(top_p=0.8), dict(min_p=0.1),
                 dict(top_p=0.999, temperature=2.0), dict(top_k=50, top_p=0.7, min_p=0.05),
                 dict(repetition=1.2, temperature=0.7, top_k=100, top_p=0.9, min_p=0.02)]
        for options in cases:
            with self.subTest(options), tempfile.TemporaryDirectory() as tmp:
                logits, seen = torch.randn(rows, vocab) * 3, torch.randint(0, vocab, (40,))
                save_file({"logits": logits, "seen": seen.int()}, f"{tmp}/in", {k: str(v) for k, v in options.items()})
                subprocess.run([PROBE, f"{tmp}/in", f"{tmp}/out"], check=True)
                ours, theirs = load_file(f"{tmp}/out"), self.filtered(logits, seen, **options)
                self.assertTrue(torch.equal(ours["p"] > 0, theirs.float() > 0))
                self.assertLess((ours["p"] - theirs).abs().max().item(), 1e-5)
                self.draws_follow(ours["counts"].double(), theirs)

    def draws_follow(self, counts, p):
        """A chi-square test over the tokens that are expected five times or more; the others are one class."""
        draws = counts.sum(-1, keepdim=True)
        self.assertTrue(torch.all(counts[p == 0] == 0))
        for observed, expected in zip(counts, p * draws):
            often = expected >= 5
            a = torch.cat([observed[often], observed[~often].sum()[None]])
            b = torch.cat([expected[often], expected[~often].sum()[None]])
            a, b = a[b > 0], b[b > 0]
            degrees = len(a) - 1
            chi = ((a - b) ** 2 / b).sum().item()
            self.assertLess(chi, degrees + 6 * (2 * degrees) ** 0.5 + 12)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    unittest.main()
