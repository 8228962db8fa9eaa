# SPDX-License-Identifier: Apache-2.0
"""Times the text functions and their peers on the same documents in one run, one thread each.

usage: python tests/parity/text_race.py PROBE FOLDER [MEGABYTES]

FOLDER holds *.txt documents, and *.html for the extraction. Peers that are not installed are left out: ftfy,
nemo-curator, rensa, trafilatura.
"""
import glob
import json
import os
import struct
import subprocess
import sys
import time

PROBE, FOLDER = sys.argv[1], sys.argv[2]
LIMIT = int(float(sys.argv[3]) * 1e6) if len(sys.argv) > 3 else 4_000_000


def documents(ending):
    texts, total = [], 0
    for path in sorted(glob.glob(os.path.join(FOLDER, "**", "*" + ending), recursive=True)):
        with open(path, "rb") as file:
            texts.append(file.read())
        total += len(texts[-1])
        if total > LIMIT:
            break
    return texts


def ours(operation, texts, rounds=5):
    data = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    out = subprocess.run([PROBE, "race", operation, str(rounds)], input=data, stdout=subprocess.PIPE, check=True).stdout
    _, size, seconds = out.split()
    return int(size) / float(seconds) / 1e6


def peer(function, texts, rounds=1):
    best = 1e30
    for _ in range(rounds):
        start = time.thread_time()
        for text in texts:
            function(text)
        best = min(best, time.thread_time() - start)
    return sum(map(len, texts)) / best / 1e6


def show(name, mine, peers):
    text = "  ".join("%s %.2f (x%.1f)" % (p, speed, mine / speed) for p, speed in peers)
    print("%-10s %8.1f MB/s   %s" % (name, mine, text), flush=True)


def race_unicode(texts):
    try:
        import ftfy
    except ImportError:
        return []
    config = ftfy.TextFixerConfig(fix_latin_ligatures=False, fix_character_width=False, uncurl_quotes=False,
                                  fix_line_breaks=False, normalization=None, explain=False)
    return [("ftfy", peer(lambda t: ftfy.fix_text(t.decode(), config), texts))]


def race_quality(texts):
    sys.argv[1:] = [PROBE]
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    try:
        import test_text
        rows = list(test_text.curator_filters().values())
    except ImportError:
        return []
    return [("Curator", peer(lambda t: [row.score_document(t.decode()) for row in rows], texts))]


def race_minhash(texts):
    try:
        import rensa
    except ImportError:
        return []

    def sign(kind):
        def run(text):
            words = text.decode().lower().split()
            m = kind(num_perm=112, seed=1)
            m.update([" ".join(words[i:i + 5]) for i in range(len(words) - 4)])
            m.digest()
        return run
    return [("RMinHash", peer(sign(rensa.RMinHash), texts, 2)), ("CMinHash", peer(sign(rensa.CMinHash), texts, 2))]


def race_html(pages):
    try:
        import trafilatura
    except ImportError:
        return []
    return [("trafilatura", peer(lambda t: trafilatura.extract(t.decode()), pages[:150]))]


def main():
    texts, pages = documents(".txt"), documents(".html")
    lines = [b"\n".join(json.dumps({"id": str(i), "text": t.decode("utf-8", "replace")}, ensure_ascii=False).encode()
                        for i, t in enumerate(texts))]
    show("unicode", ours("unicode", texts), race_unicode(texts))
    show("quality", ours("quality", texts), race_quality(texts))
    show("language", ours("language", texts), [])
    show("exact", ours("exact", texts), [])
    show("sign", ours("sign", texts), race_minhash(texts))
    loads = peer(lambda block: [json.loads(line) for line in block.split(b"\n")], lines)
    show("jsonl", ours("jsonl", lines), [("json.loads", loads)])
    if pages:
        show("html", ours("html", pages), race_html(pages))


if __name__ == "__main__":
    main()
