# SPDX-License-Identifier: Apache-2.0
"""Races training and encoding against Hugging Face's tokenizers, and gigatoken where it is installed.

usage: python tests/parity/tokenizer_race.py BENCH TEXT [SIZE]

One thread each, CPU seconds, the same file and the same vocabulary; turns are taken, the best of each counts.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402

TURNS = 3


def clock(work):
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def model(tokenizer):
    return json.loads(tokenizer.to_str())["model"]


def train(text, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def main():
    bench, path = sys.argv[1:3]
    size = sys.argv[3] if len(sys.argv) > 3 else "32768"
    data = open(path, "rb").read()
    text = data.decode()
    megabytes = len(data) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        saved = os.path.join(folder, "tokenizer.json")
        for turn in range(TURNS):
            print("ours:", subprocess.run([bench, "gpt2", size, "15", path, saved], capture_output=True, text=True,
                                          check=True).stdout.strip().replace("\n", "; "))
            if turn == 0:
                tokenizer = Tokenizer.from_file(saved)
                seconds, other = clock(lambda: train(text, int(size)))
                same = model(other) == model(tokenizer)
                print(f"Hugging Face: train {seconds:.3f} s, the same entries and merges: {same}")
            seconds, encoding = clock(lambda: tokenizer.encode(text, add_special_tokens=False))
            print(f"Hugging Face: encode {megabytes / seconds:.1f} MB/s ({len(encoding.ids)} ids)")
            try:
                import gigatoken
            except ImportError:
                continue
            racer = gigatoken.Tokenizer(saved)
            times = [clock(lambda: racer.encode(data)) for _ in range(15)]
            print(f"gigatoken: encode {megabytes / times[0][0]:.1f} MB/s cold, "
                  f"{megabytes / min(t for t, _ in times[1:]):.1f} warm ({len(times[0][1])} ids)")


if __name__ == "__main__":
    main()
