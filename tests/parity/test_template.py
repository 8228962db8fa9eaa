# SPDX-License-Identifier: Apache-2.0
"""Chat templates against transformers: the same text and the same generation spans, over random conversations.

usage: python tests/parity/test_template.py PROBE [FOLDER_OF_TEMPLATES ...]

Templates: those of tests/fixtures/templates and the pieces of Jinja beside them, those that the package trl carries (the
published models' own), and *.jinja of folders that are named.
"""
import collections
import datetime
import glob
import importlib.util
import json
import os
import random
import subprocess
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template, _render_with_assistant_indices

PROBE = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures", "templates")

DATE = datetime.datetime(2024, 7, 26)  # where the program's clock stands

with open(os.path.join(FIXTURES, "pieces.json"), encoding="utf-8") as pieces:
    PIECES = json.load(pieces)  # one each for what the language is made of

WORDS = ["hello", "World", "été", "日本語", "😀", "<tool>x</tool>", "<think>\nhm\n</think>\n\nyes", "a\nb", "  padded ",
         "\n", "{{ x }}", "\"quoted\"", "it's", "\\n", "1 < 2", "&amp;", "", "tab\there", "\u00a0", "The end."]


def content(rng):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 6)))


def tool_call(rng):
    return {"id": "c" + "%08d" % rng.randrange(10**8), "type": "function",
            "function": {"name": rng.choice(["add", "look_up"]), "arguments": {"x": rng.randrange(9), "q": content(rng)}}}


def conversation(rng):
    messages = [{"role": "system", "content": content(rng)}] if rng.random() < 0.4 else []
    for _ in range(rng.randrange(1, 4)):
        messages.append({"role": "user", "content": content(rng)})
        if rng.random() < 0.85:
            answer = {"role": "assistant", "content": content(rng)}
            if rng.random() < 0.2:
                answer["reasoning_content"] = content(rng)
            if rng.random() < 0.2:
                answer["tool_calls"] = [tool_call(rng) for _ in range(rng.randrange(1, 3))]
            messages.append(answer)
            if "tool_calls" in answer and rng.random() < 0.8:
                messages += [{"role": "tool", "content": content(rng), "tool_call_id": c["id"]} for c in answer["tool_calls"]]
                messages.append({"role": "assistant", "content": content(rng)})
    if rng.random() < 0.05:
        messages = messages[1:] or messages
    return messages


TOOLS = [{"type": "function", "function": {
    "name": "add", "description": "Adds \"numbers\".\nTwo of them.",
    "parameters": {"type": "object", "properties": {"x": {"type": "integer", "description": "one", "enum": [1, 2]},
                                                   "q": {"type": ["string", "null"], "items": {"type": "string"}}},
                   "required": ["x"]}}}]


def variables(rng):
    result = {"messages": conversation(rng), "tools": TOOLS if rng.random() < 0.3 else None, "documents": None,
              "add_generation_prompt": rng.random() < 0.5, "bos_token": "<s>", "eos_token": "</s>",
              "date_string": "26 Jul 2024"}
    if rng.random() < 0.3:
        result["enable_thinking"] = rng.random() < 0.5
    return result


def expected(template, given):
    """(text, spans in bytes), or None where transformers raises."""
    try:
        compiled = _compile_jinja_template(template)
        compiled.environment.globals["strftime_now"] = compiled.globals["strftime_now"] = DATE.strftime
        text, spans = _render_with_assistant_indices(
            compiled, **{k: given[k] for k in ("messages", "tools", "documents", "add_generation_prompt")},
            **{k: v for k, v in given.items() if k not in ("messages", "tools", "documents", "add_generation_prompt")})
        return text, [[len(text[:a].encode()), len(text[:b].encode())] for a, b in spans]
    except Exception as problem:
        return None, f"{type(problem).__name__}: {problem}"


def probe(jobs):
    lines = "".join(json.dumps(job, ensure_ascii=False) + "\n" for job in jobs)
    out = subprocess.run([PROBE], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in out.decode().splitlines()]


def compare(name, template, rounds, tally):
    rng = random.Random(name)
    jobs = [{"template": template, "variables": variables(rng)} for _ in range(rounds)]
    wrong = []
    for job, got in zip(jobs, probe(jobs)):
        text, spans = expected(template, job["variables"])
        if "unknown" in got:
            return [f"{name}: {got['unknown']}"] if text is not None else []
        tally["rendered" if text is not None else "refused"] += 1
        if text is None and "refused" in got:
            continue
        if text is None or got.get("text") != text or got["spans"] != spans:
            wrong.append(f"{name}: {json.dumps(job['variables'], ensure_ascii=False)[:600]}\n  expected {text!r} {spans}\n"
                         f"  got      {got.get('text', got.get('refused'))!r} {got['spans']}")
    return wrong


def published():
    """(name, text) of the templates of the fixtures, of trl, and of the folders that are named."""
    spec = importlib.util.find_spec("trl")
    folders = [FIXTURES, *(os.path.join(p, "chat_templates") for p in (spec.submodule_search_locations if spec else []))]
    for folder in folders + sys.argv[2:]:
        for path in sorted(glob.glob(os.path.join(folder, "*.jinja"))):
            with open(path, encoding="utf-8") as file:
                yield os.path.basename(path), file.read()


def main():
    tally, wrong, names = collections.Counter(), [], []
    for i, piece in enumerate(PIECES):
        wrong += compare(f"piece {i} {piece[:70]}", piece, 4, tally)
    for name, template in published():
        names.append(name)
        wrong += compare(name, template, 60, tally)
    for text in wrong[:12]:
        print(text)
    print(f"{len(PIECES)} pieces and {len(names)} templates: {dict(tally)}, {len(wrong)} differ")
    return bool(wrong) or len(names) < 10 or tally["rendered"] < 500


if __name__ == "__main__":
    sys.exit(main())
