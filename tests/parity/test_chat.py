# SPDX-License-Identifier: Apache-2.0
"""Ids and masks of conversations and preferences against transformers.

usage: python tests/parity/test_chat.py PROBE

Ids are those of apply_chat_template. Masks: of templates with generation blocks those of
return_assistant_tokens_mask; of others those that transformers gives for the same template with blocks, which trl has
for many published models. Prompts are those of add_generation_prompt, and prompt + answer the whole.
"""
import datetime
import glob
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import tempfile

import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

PROBE = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures")
WORDS = ["hello", "World", "été", "日本語", "😀", "a\nb", "two\n\nlines", "{{ x }}", "\"quoted\"", "it's", "1 < 2", "tab\there",
         "The end.", "x = 5", "don't"]


# Ends are ASCII: return_assistant_tokens_mask asks which token holds the first and the last character of an answer, and
# for a character of several tokens that is one of them only.
def content(rng):
    return " ".join([rng.choice(["hello", "x", "\"quoted\""]), *(rng.choice(WORDS) for _ in range(rng.randrange(0, 5))),
                     rng.choice(["world.", "end", "5"])])


def conversation(rng):
    messages = [{"role": "system", "content": content(rng)}] if rng.random() < 0.4 else []
    for _ in range(rng.randrange(1, 4)):
        messages += [{"role": "user", "content": content(rng)}, {"role": "assistant", "content": content(rng)}]
    return messages


def tokenizer_of(name, template):
    """A fixture's tokenizer with the control tokens that a template names."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=os.path.join(FIXTURES, "tokenizer", name + ".json"), bos_token="<s>", eos_token="</s>",
        clean_up_tokenization_spaces=False)
    tokens = sorted(set(re.findall(r"<[|\uff5c][^|\uff5c<>\n]+[|\uff5c]>|<(?:start|end)_of_turn>|"
                                   r"<(?:end_of_utterance|turn\|)>|\[/?INST\]", template)))
    tokenizer.add_special_tokens({"additional_special_tokens": tokens})
    tokenizer.chat_template = template
    return tokenizer


def probe(tokenizer, jobs):
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        lines = "".join(json.dumps(job, ensure_ascii=False) + "\n" for job in jobs)
        done = subprocess.run([PROBE, folder], input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            return [{"refused": done.stderr.decode()}] * len(jobs)
        return [json.loads(line) for line in done.stdout.decode().splitlines()]


def applied(tokenizer, messages, **more):
    """Ids and mask, or None where the template refuses."""
    try:
        out = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **more)
        return list(out["input_ids"]), list(out["assistant_masks"]) if "assistant_masks" in out else None
    except Exception:
        return None


def generated(tokenizer, messages, ids, mask):
    """What of a mask is generated: not the end of the generation prompt, nor blanks behind the control token that ends an
    answer. Blocks of templates may have both inside."""
    mask = list(mask)
    for i, message in enumerate(messages):
        prompt = applied(tokenizer, messages[:i], add_generation_prompt=True) if message["role"] == "assistant" else None
        at = len(prompt[0]) if prompt else 0
        while at and mask[at - 1]:
            at -= 1
            mask[at] = 0
    for i in range(len(ids) - 1, 0, -1):
        ends = i + 1 == len(ids) or not mask[i + 1]
        if mask[i] and ends and not tokenizer.decode([ids[i]]).strip() and ids[i - 1] in tokenizer.all_special_ids:
            mask[i] = 0
    return mask


def differences(name, plain, marked, tally):
    """`plain` as the probe reads it, `marked` (the same text) as transformers masks it; either may be None."""
    rng, wrong = random.Random(name), []
    source = rng.choice(["gpt2", "llama3", "qwen2", "smollm2"])
    jobs = [{"messages": conversation(rng)} for _ in range(25)]
    ours = tokenizer_of(source, (plain or "") + (marked or ""))
    theirs = tokenizer_of(source, (plain or "") + (marked or ""))
    ours.chat_template, theirs.chat_template = plain or marked, marked or plain
    for template in {plain or marked, marked or plain}:  # compiled once: the clock stands still, as the program's does
        _compile_jinja_template(template).globals["strftime_now"] = datetime.datetime(2024, 7, 26).strftime
    for job, got in zip(jobs, probe(ours, jobs)):
        whole = applied(ours, job["messages"])
        if whole is None or "refused" in got:
            tally["refused" if whole is None else "set aside"] += 1
            if whole is None and "refused" not in got:
                wrong.append(f"{name}: not refused: {job}")
            continue
        tally["ids"] += 1
        if got["ids"] != whole[0]:
            wrong.append(f"{name} {source}: ids of {job}\n  {whole[0]}\n  {got['ids']}")
        prompt = applied(ours, job["messages"][:-1], add_generation_prompt=True)
        if prompt and got["prompt"] != prompt[0]:
            wrong.append(f"{name} {source}: prompt of {job}")
        mask = applied(theirs, job["messages"], return_assistant_tokens_mask=True) if marked else None
        if mask and mask[0] == whole[0]:
            tally["masks"] += 1
            if got["mask"] != (generated(ours, job["messages"], *mask) if plain else mask[1]):
                tokens = ours.convert_ids_to_tokens(whole[0])
                wrong.append(f"{name} {source}: mask of {job}\n  {mask[1]}\n  {got['mask']}\n  {tokens}")
    return wrong


def pair_differences(name, template, tally):
    rng, wrong = random.Random(name), []
    tokenizer = tokenizer_of("qwen2", template)
    jobs = []
    for _ in range(15):
        prompt = conversation(rng)[:-1]
        jobs.append({"prompt": prompt, "chosen": [{"role": "assistant", "content": content(rng)}],
                     "rejected": [{"role": "assistant", "content": content(rng) + " no"}]})
    for job, got in zip(jobs, probe(tokenizer, jobs)):
        prompt = applied(tokenizer, job["prompt"], add_generation_prompt=True)
        if prompt is None or "refused" in got:
            tally["refused" if prompt is None else "set aside"] += 1
            continue
        tally["pairs"] += 1
        for side in ("chosen", "rejected"):
            whole = applied(tokenizer, job["prompt"] + job[side])[0]
            # Blanks behind the last control token are not learned.
            cut = len(got["prompt"]) + len(got[side])
            rest = tokenizer.decode(whole[cut:])
            if got["prompt"] != prompt[0] or got["prompt"] + got[side] != whole[:cut] or rest.strip():
                wrong.append(f"{name}: {side} of {job}\n  {whole}\n  {got}")
    return wrong


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    from collections import Counter
    tally, wrong = Counter(), []
    for path in sorted(glob.glob(os.path.join(FIXTURES, "templates", "*.jinja"))):
        template, name = read(path), os.path.basename(path)
        wrong += differences(name, *((None, template) if "generation -%}" in template else (template, None)), tally)
        wrong += pair_differences(name, template, tally)
    spec = importlib.util.find_spec("trl")
    for folder in spec.submodule_search_locations if spec else []:
        for path in sorted(glob.glob(os.path.join(folder, "chat_templates", "*_training.jinja"))):
            name, plain = os.path.basename(path), path.replace("_training", "")
            wrong += differences("marked " + name, None, read(path), tally)
            if os.path.exists(plain):
                wrong += differences("plain " + name, read(plain), read(path), tally)
    for text in wrong[:8]:
        print(text[:3000])
    print(f"{dict(tally)}, {len(wrong)} differ")
    return bool(wrong) or tally["masks"] < 25 or tally["pairs"] < 50


if __name__ == "__main__":
    sys.exit(main())
