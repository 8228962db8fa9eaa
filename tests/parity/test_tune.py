# SPDX-License-Identifier: Apache-2.0
"""Compares steps of fine-tuning and preference training with torch and transformers: run as `test_tune.py PROBE`.

Rows of very different lengths (a mean of means would show), in one batch, in several, and one row a batch; loss,
TRL's metrics and every gradient. with_peers.sh runs it where torch is.
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, Qwen3Config

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import llama_reference
import tune_reference as reference

TOLERANCE = 1e-4  # of the tensor's largest value
SHAPE = dict(vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2)
MODELS = {"llama": LlamaConfig(**SHAPE), "tied": LlamaConfig(**SHAPE, tie_word_embeddings=True),
          "qwen3": Qwen3Config(**{**SHAPE, "head_dim": 16})}
ROWS = [3, 200, 41, 5, 120, 17, 64, 9]
PAIRS = [(5, 3, 90), (1, 120, 2), (60, 1, 4), (30, 70, 70), (12, 20, 51), (2, 2, 2)]


class Failed(Exception):
    pass


def compare(name, ours, theirs, tolerance=TOLERANCE):
    scale = theirs.abs().max().item() or 1.0
    off = (ours.double() - theirs.double()).abs().max().item() / scale
    if not off <= tolerance:
        raise Failed(f"{name}: off by {off:.2e} of the largest value")
    return off


def probe_step(probe, folder, tensors, scratch, **numbers):
    save_file(tensors, scratch / "in.safetensors", {k: str(v) for k, v in numbers.items()})
    done = subprocess.run([probe, folder, scratch / "in.safetensors", scratch / "out.safetensors"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(done.stderr.strip())
    return load_file(scratch / "out.safetensors")


def check(probe, folder, rows, scores, theirs, scratch, **numbers):
    """The same step with the rows in one batch, in some, and in as many as there are."""
    total = sum(len(ids) for ids, _ in rows)
    longest = max(len(ids) for ids, _ in rows)
    least = longest * (2 if scores is not None else 1)
    worst = 0.0
    for tokens, accumulate in ((total, 1), (max(least, total // 2), 4), (least, len(rows))):
        ours = probe_step(probe, folder, reference.as_tensors(rows, scores), scratch, tokens=tokens,
                          accumulate=accumulate, length=longest, **numbers)
        where = f"(batches of {tokens} tokens)"
        n = len(theirs["means"])
        for k in range(n):
            a, b = ours["means"][k].item(), theirs["means"][k].item()
            tie = reference.MEASURES[k] == "rewards.accuracies" and abs(theirs["means"][4]) < 1e-9
            if abs(a - b) > 2e-5 * max(1, abs(b)) and not tie:
                raise Failed(f"{reference.MEASURES[k]} {where}: {a}, expected {b}")
        if {k for k in ours if k != "means"} != {k for k in theirs if k != "means"}:
            raise Failed(f"other gradients: {sorted(set(ours) ^ set(theirs))}")
        worst = max([worst] + [compare(f"{k} {where}", ours[k], theirs[k]) for k in theirs if k != "means"])
    return worst


def cases(model, vocab, seed):
    """(name, rows, scores, what torch says, numbers for the probe)"""
    rows = reference.make_rows(ROWS, vocab, seed)
    yield "sft", rows, None, reference.sft(model, rows), {}
    pairs = reference.make_pairs(PAIRS, vocab, seed + 1)
    with torch.no_grad():
        own, _ = reference.answer_logps(model, pairs)
    scores = own + 3 * torch.randn(len(pairs), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    yield "dpo", pairs, scores, reference.dpo(model, pairs, scores), dict(beta=0.1)
    yield "dpo smoothed", pairs, scores, reference.dpo(model, pairs, scores, 0.5, label_smoothing=0.1), dict(
        beta=0.5, smoothing=0.1)
    yield "ipo", pairs, scores, reference.dpo(model, pairs, scores, 0.2, "ipo"), dict(beta=0.2, ipo=1)
    theirs = reference.dpo(model, pairs, own)
    if abs(theirs["means"][0].item() - 0.6931471805599453) > 1e-12:
        raise Failed("a model that is its own reference: the first loss is not ln 2")
    yield "dpo at its reference", pairs, own, theirs, dict(beta=0.1)


def main():
    probe = sys.argv[1]
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    failures = 0
    for i, (name, config) in enumerate(MODELS.items()):
        model = llama_reference.make_model(config, 300 + i)
        with tempfile.TemporaryDirectory() as tmp:
            scratch = pathlib.Path(tmp)
            model.save_pretrained(scratch / "model")
            for what, rows, scores, theirs, numbers in cases(model, config.vocab_size, 10 * i):
                try:
                    worst = check(probe, scratch / "model", rows, scores, theirs, scratch, **numbers)
                    print(f"ok     {name:6} {what:22} largest difference {worst:.1e}", flush=True)
                except Failed as why:
                    failures += 1
                    print(f"FAILED {name:6} {what:22} {why}", flush=True)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
