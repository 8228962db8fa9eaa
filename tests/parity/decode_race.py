# SPDX-License-Identifier: Apache-2.0
"""Races reading a prompt (512 tokens) and decoding behind it against transformers: `decode_race.py DECODE_BENCH`.

A Llama of SmolLM2-135M's shape with random weights, in float32 and in bf16, the best of three interleaved rounds.
decode_bench measures the bandwidth of memory beside its own rates.
"""

import os
import re
import subprocess
import sys
import tempfile
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

SHAPE = dict(num_hidden_layers=30, hidden_size=576, num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536,
             vocab_size=49152, tie_word_embeddings=True, max_position_embeddings=2048)
PREFILL, DECODED = 512, 24


@torch.no_grad()
def peer(model):
    """(prefill, decode) in tokens a second."""
    ids = torch.randint(0, 49152, (1, PREFILL))
    start = time.perf_counter()
    out = model(ids, use_cache=True, logits_to_keep=1)
    middle = time.perf_counter()
    for _ in range(DECODED):
        out = model(out.logits[:, -1:].argmax(-1), past_key_values=out.past_key_values, use_cache=True)
    return PREFILL / (middle - start), DECODED / (time.perf_counter() - middle)


def ours(bench, threads, folder):
    said = subprocess.run([bench, threads, folder], capture_output=True, text=True, check=True).stdout
    return [float(x) for x in re.search(r"prefill ([\d.]+) .* decode ([\d.]+) .* reads ([\d.]+) GB/s: (\d+)", said).groups()]


def main():
    bench, threads = sys.argv[1], os.environ.get("THREADS", "2")
    torch.set_num_threads(int(threads))
    transformers.utils.logging.disable_progress_bar()
    for dtype in (torch.float32, torch.bfloat16):
        with tempfile.TemporaryDirectory() as folder:
            model = LlamaForCausalLM(LlamaConfig(**SHAPE)).to(dtype).eval()
            model.save_pretrained(folder)
            peer(model)
            rounds = [(*ours(bench, threads, folder), *peer(model)) for _ in range(3)]
        prefill, decode, reads, share, their_prefill, their_decode = (max(column) for column in zip(*rounds))
        print(f"{dtype}, {threads} threads: prefill {prefill:.0f} tokens/s, transformers {their_prefill:.0f}, ratio "
              f"{prefill / their_prefill:.2f}; decode {decode:.1f}, {their_decode:.1f}, {decode / their_decode:.2f}; "
              f"{share:.0f} % of {reads:.1f} GB/s", flush=True)


if __name__ == "__main__":
    main()
