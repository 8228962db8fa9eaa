#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the exact stages make of a small input, against committed digests: bytes that change without a new stage version
would let old results stand for new ones.

usage: test_digests.py PROGRAM [--update]   (--update adds the digests of versions that have none yet)

A stage whose bytes a library decides may have several digests, one for each version of the library that was seen.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
MODELS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures", "models")
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "digests.json")
WORDS = ("the of and a to in is was for on that with as by it at from this are not have been river mill tide water stone "
         "wheel grain flour moon sea harbour boat night morning light wind town people work house caf\u00e9 na\u00efve").split()

GRAPH = """
local tm = require "tidemill"
local text  = tm.read { "text/*.txt" }
local lines = tm.read { "lines.jsonl", format = "jsonl" }
local pages = tm.html_text { tm.read { "pages/*.html", format = "html" } }
local all   = tm.concat { { a = text, b = lines, c = pages } }
local fixed = tm.fix_unicode { all }
local pieces = tm.cut { all, size = 200 }
local english = tm.language { fixed }
local prose = tm.gopher { english, without = { "punctuation" }, bounds = { "word_count=20.." } }
local plain = tm.repetition { prose }
local once  = tm.exact_dedup { plain }
local clean = tm.fuzzy_dedup { once, threshold = 0.7 }
local docs  = tm.split { clean, valid = 0.2 }
local vocab = tm.train_tokenizer { docs.train:take(20), size = 350 }
local ids   = tm.tokenize { clean, tokenizer = vocab }
local chat  = tm.read { "chat.jsonl", format = "chat", system = "Be brief." }
local prefs = tm.read { "prefs.jsonl", format = "preference" }
local turns = tm.tokenize_chat { chat, tokenizer = vocab }
local pairs = tm.tokenize_pairs { prefs, tokenizer = vocab }
local model = tm.model { "models/tiny.gguf" }
local shards = tm.model { "models/shards" }
local gguf  = tm.export { shards, format = "gguf", dtype = "f16" }
local turn  = tm.stage { name = "turn", options = { n = tm.int { 2 } }, each = function(doc, o, emit)
  if #doc.text % 7 == 0 then return "a seventh" end
  for i = 1, o.n do emit { text = doc.text:upper():sub(i, 40) .. math.random(1000), meta = { i = i, x = math.random() } } end
end }
local turned = turn { once }
return tm.graph { model = model, shards = shards, gguf = gguf, chat = chat, prefs = prefs, turns = turns, pairs = pairs,
                  text = text, lines = lines, html = pages, all = all,
                  pieces = pieces, fixed = fixed, english = english, prose = prose,
                  plain = plain, once = once, clean = clean, docs = docs, vocab = vocab, ids = ids, turned = turned }
"""
ADDRESSES = ["text", "lines", "html", "all", "pieces", "fixed", "english", "english.removed", "prose", "prose.removed", "plain",
             "plain.removed", "once",
             "once.removed", "clean", "clean.removed", "docs.train", "docs.valid", "vocab", "ids", "turned", "turned.removed",
             "model", "model.tokenizer", "shards", "gguf", "chat", "prefs", "turns", "turns.removed", "pairs", "pairs.removed"]


def document(seed, n_words):
    """Words drawn by a generator of our own, so that no version of Python changes them."""
    state, words = seed * 2654435761 % 2**32, []
    for i in range(n_words):
        state = (state * 1103515245 + 12345) % 2**31
        words.append(WORDS[(state >> 8) % len(WORDS)] + ("." if i % 9 == 8 else ""))
    return " ".join(words) + "\n"


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_input(folder):
    for i in range(24):
        write(folder, f"text/{i:02}.txt", document(i % 20, 90))  # four of them twice
    near = document(3, 90).replace("river", "stream", 1)
    write(folder, "text/near.txt", near)
    write(folder, "text/brief.txt", document(55, 14))
    write(folder, "text/again.txt", (document(60, 40) + "\n") * 6 + document(61, 20))
    write(folder, "text/mojibake.txt", "It was the caf\u00c3\u00a9 of the town. " + document(77, 60))
    write(folder, "text/german.txt", "Der M\u00fcller und das Meer sind nicht weit von der Stadt und dem Hafen entfernt. " * 4)
    write(folder, "lines.jsonl", "".join(json.dumps({"id": f"l{i}", "text": document(100 + i, 70)}) + "\n" for i in range(5)))
    for i in range(4):
        write(folder, f"pages/{i}.html", f"<html><head><title>Page {i}</title></head><body><nav><a href=x>Home</a></nav>"
              f"<h1>Heading {i}</h1><p>{document(200 + i, 60)}</p><ul><li>one<li>two</ul><pre>a  b\nc</pre></body></html>")
    chat = [{"messages": [{"role": "user", "content": document(300, 9)}, {"role": "assistant", "content": document(301, 5)},
                          {"role": "user", "content": "\u00e9?"}, {"role": "assistant", "content": "no"}], "topic": 1},
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": document(302, 4)}]},
            {"instruction": "Say", "input": "it", "output": "it"}, {"question": "q", "answer": "a"}, {"text": "none"}]
    write(folder, "chat.jsonl", "".join(json.dumps(row) + "\n" for row in chat))
    prefs = [{"prompt": document(310, 6), "chosen": document(311, 6), "rejected": document(312, 7)},
             {"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}],
              "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "poor"}]},
             {"prompt": "p", "chosen": "x ", "rejected": "x "}]
    write(folder, "prefs.jsonl", "".join(json.dumps(row) + "\n" for row in prefs))
    shutil.copytree(MODELS, os.path.join(folder, "models"))
    write(folder, "graph.lua", GRAPH)


def tidemill(folder, *args):
    done = subprocess.run([PROGRAM, *args, "--store", os.path.join(folder, "store")], cwd=folder, capture_output=True,
                          text=True, timeout=60)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return json.loads(done.stdout)


def measure():
    with tempfile.TemporaryDirectory(prefix="tidemill-test-") as folder:
        make_input(folder)
        tidemill(folder, "run", "graph.lua", "--json")
        plan = tidemill(folder, "plan", "graph.lua", "--json")["nodes"]
        digests = {}
        for address in ADDRESSES:
            own = plan[address.split(".")[0]]["own"]
            key = f"{address} {own['stage']} {own['version']}"
            digests[key] = tidemill(folder, "inspect", address, "--json", "-n", "0")["artifact"]
        return digests, {key: plan[key.split(".")[0].split(" ")[0]]["own"].get("libraries") for key in digests}


def main():
    with open(TABLE, encoding="utf-8") as file:
        table = json.load(file)
    digests, libraries = measure()
    if "--update" in sys.argv:
        for key, digest in digests.items():
            if digest not in table.setdefault(key, []):
                table[key].append(digest)
        with open(TABLE, "w", encoding="utf-8") as file:
            json.dump(table, file, indent=1, sort_keys=True)
            file.write("\n")
        return
    wrong = [key for key, digest in digests.items() if digest not in table.get(key, [])]
    for key in wrong:
        print(f"{key}: {digests[key]} is not in digests.json")
        other = " (or a library's version is new)" if libraries[key] else ""
        print(f"  its bytes changed{other}: raise the stage's version, then test_digests.py PROGRAM --update")
    print(f"{len(digests) - len(wrong)} digests as committed, {len(wrong)} others")
    sys.exit(bool(wrong))


main()
