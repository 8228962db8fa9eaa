# SPDX-License-Identifier: Apache-2.0
"""Races a whole training step against torch in one interleaved run: `step_race.py STEP_BENCH [SHAPE...]`.

The same shapes, tokens and fp32 AdamW with clipping; torch runs transformers' Llama with fused attention (the packed
documents as rows of a batch), in peft with adapters on all linears for the shape lora. The best of three interleaved
blocks each; on a machine that others use as well, the ratio of processor time (with THREADS=1) says more than that of
wall time.
"""

import os
import re
import subprocess
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

SMOLLM2 = dict(num_hidden_layers=30, hidden_size=576, num_attention_heads=9, num_key_value_heads=3,
               intermediate_size=1536, vocab_size=49152)
SHAPES = {
    "quick": (dict(num_hidden_layers=4, hidden_size=192, num_attention_heads=6, intermediate_size=512,
                   vocab_size=2048), (2, 512), 8),
    "gpt2": (dict(num_hidden_layers=12, hidden_size=768, num_attention_heads=12, intermediate_size=2048,
                  vocab_size=50304), (4, 256), 1),
    "smollm2": (SMOLLM2, (4, 256), 1),
    "lora": (dict(SMOLLM2, rank=16), (4, 256), 1),
}


class Torch:
    def __init__(self, shape, batch):
        shape, rank = dict(shape), shape.get("rank")
        shape.pop("rank", None)
        config = LlamaConfig(**shape, tie_word_embeddings=True, max_position_embeddings=1024)
        self.model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
        if rank:
            import peft
            self.model = peft.get_peft_model(self.model, peft.LoraConfig(
                r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"))
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.95), fused=True)
        self.ids = torch.randint(0, config.vocab_size, batch)

    def step(self):
        self.optimizer.zero_grad()
        logits = self.model(self.ids, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), self.ids.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def time(self, steps):
        start, used = time.perf_counter(), time.process_time()
        for _ in range(steps):
            self.step()
        return (time.perf_counter() - start) / steps * 1e3, (time.process_time() - used) / steps * 1e3


def ours(bench, threads, name):
    text = subprocess.run([bench, threads, name], capture_output=True, text=True, check=True).stdout
    return [float(re.search(r"([\d.]+) ms " + what, text).group(1)) for what in ("a step", "of processor time")]


def main():
    bench, names = sys.argv[1], sys.argv[2:] or list(SHAPES)
    threads = os.environ.get("THREADS", "2")
    torch.set_num_threads(int(threads))
    for name in names:
        shape, batch, steps = SHAPES[name]
        peer = Torch(shape, batch)
        peer.step()
        rounds = [(*ours(bench, threads, name), *peer.time(steps)) for _ in range(3)]
        wall, busy, their_wall, their_busy = (min(r[i] for r in rounds) for i in range(4))
        print(f"{name:6} {threads} threads: {wall:.1f} ms a step, torch {torch.__version__} {their_wall:.1f}, ratio "
              f"{their_wall / wall:.2f}; processor time {busy:.1f}, {their_busy:.1f}, {their_busy / busy:.2f}", flush=True)


if __name__ == "__main__":
    main()
