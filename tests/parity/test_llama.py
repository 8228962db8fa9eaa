# SPDX-License-Identifier: Apache-2.0
"""Compares the program's models with transformers on random shapes: run as `test_llama.py PROBE [CASE...]`.

For each case: logits, log-probabilities, loss, every gradient and ten AdamW steps (eps 1e-2, clipping active) with the
batch in 1, 2 and 4 parts; the written folder opened by transformers; greedy generation. with_peers.sh runs it
where torch is.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import llama_reference as reference

TOLERANCE = 1e-4  # of the tensor's largest value
BASE = dict(vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=6,
            num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)

CASES = {
    "gqa": (LlamaConfig, dict()),
    "mha": (LlamaConfig, dict(num_key_value_heads=6, rms_norm_eps=1e-5)),
    "mqa": (LlamaConfig, dict(num_key_value_heads=1, num_hidden_layers=3)),
    "tied": (LlamaConfig, dict(tie_word_embeddings=True)),
    "bias": (LlamaConfig, dict(attention_bias=True, mlp_bias=True)),
    "head_dim": (LlamaConfig, dict(head_dim=16, hidden_size=42)),
    "odd": (LlamaConfig, dict(hidden_size=30, num_attention_heads=5, num_key_value_heads=5, intermediate_size=37)),
    "theta": (LlamaConfig, dict(rope_parameters=dict(rope_type="default", rope_theta=300.0))),
    "linear": (LlamaConfig, dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0))),
    "llama3": (LlamaConfig, dict(rope_parameters=LLAMA3)),
    "mistral": (MistralConfig, dict(sliding_window=9)),
    "mistral_full": (MistralConfig, dict(sliding_window=None)),
    "qwen2": (Qwen2Config, dict(tie_word_embeddings=True)),
    "qwen2_window": (Qwen2Config, dict(use_sliding_window=True, sliding_window=7, max_window_layers=1,
                                       num_hidden_layers=3)),
    "qwen3": (Qwen3Config, dict(head_dim=16)),
}


class Failed(Exception):
    pass


def compare(name, ours, theirs, tolerance=TOLERANCE):
    if ours.shape != theirs.shape:
        raise Failed(f"{name}: shape {tuple(ours.shape)}, expected {tuple(theirs.shape)}")
    scale = theirs.abs().max().item() or 1.0
    off = (ours.double() - theirs.double()).abs().max().item() / scale
    if not off <= tolerance:
        raise Failed(f"{name}: off by {off:.2e} of the largest value")
    return off


def call(probe, *args):
    done = subprocess.run([probe, *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"probe {args[0]}: {done.stderr.strip()}")


def probe_train(probe, folder, batch, scratch, **numbers):
    tensors = {k: torch.tensor(v, dtype=torch.int32) for k, v in batch.items()}
    save_file(tensors, scratch / "in.safetensors", {k: str(v) for k, v in numbers.items()})
    call(probe, "train", folder, scratch / "in.safetensors", scratch / "out.safetensors")
    return load_file(scratch / "out.safetensors")


def check_training(probe, folder, batch, model, scratch):
    options = dict(steps=10, lr=2e-3, eps=1e-2, clip=0.5)
    theirs = reference.run(model, batch, **options)
    worst = 0.0
    for micro in (1, 2, 4):
        ours = probe_train(probe, folder, batch, scratch, micro=micro, decay=0.1, **options)
        if set(ours) != set(theirs):
            raise Failed(f"tensors differ: {sorted(set(ours) ^ set(theirs))}")
        worst = max([worst] + [compare(f"{k} (in {micro} parts)", ours[k], theirs[k]) for k in theirs])
    return worst


def check_packing(probe, folder, batch, vocab, scratch):
    """Another first document leaves the others' logits bit for bit as they were."""
    a = probe_train(probe, folder, batch, scratch, steps=1)["logits"]
    first = batch["cu_seqlens"][1]
    other = dict(batch, ids=[(t + 1) % vocab for t in batch["ids"][:first]] + batch["ids"][first:])
    b = probe_train(probe, folder, other, scratch, steps=1)["logits"]
    if not torch.equal(a[first:], b[first:]):
        raise Failed("packing: a document changed another one's logits")
    if torch.equal(a[:first], b[:first]):
        raise Failed("packing: a document's own logits did not change")


def check_folder(probe, folder, model, scratch):
    """transformers opens what the probe writes, with equal weights and an equal forward pass."""
    call(probe, "copy", folder, scratch / "copy")
    again, info = transformers.AutoModelForCausalLM.from_pretrained(scratch / "copy", output_loading_info=True)
    if any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise Failed(f"folder: {info}")
    for name, p in model.state_dict().items():
        if not torch.equal(p, again.state_dict()[name]):
            raise Failed(f"folder: {name} changed")
    ids = torch.arange(20)[None] % model.config.vocab_size
    compare("folder: logits", again.eval()(ids).logits, model(ids).logits, 1e-5)
    return json.loads((scratch / "copy" / "config.json").read_text())


def check_generation(probe, folder, model, scratch):
    """Greedy tokens are equal up to the first place where the two best are closer than 1e-3."""
    prompt, count = [5, 17, 3, 29, 8], 24
    save_file({"ids": torch.tensor(prompt, dtype=torch.int32)}, scratch / "in.safetensors", {"count": str(count)})
    call(probe, "generate", folder, scratch / "in.safetensors", scratch / "out.safetensors")
    ours = load_file(scratch / "out.safetensors")
    chosen = ours["chosen"].tolist()
    with torch.no_grad():
        forced = model(torch.tensor([prompt + chosen[:-1]])).logits[0, len(prompt) - 1:]
    compare("generate: logits", ours["logits"], forced)
    best = forced.topk(2)
    for i in range(count):
        if best.values[i, 0] - best.values[i, 1] < 1e-3:
            break
        if best.indices[i, 0] != chosen[i]:
            raise Failed(f"generate: token {i} is {chosen[i]}, expected {best.indices[i, 0]}")


def check_case(probe, name, seed):
    cls, changes = CASES[name]
    config = cls(**{**BASE, **changes})
    model = reference.make_model(config, seed)
    batch = reference.make_batch([3, 41, 1, 17, 12, 30], config.vocab_size, seed)
    with tempfile.TemporaryDirectory() as tmp:
        scratch = pathlib.Path(tmp)
        folder = scratch / "model"
        model.save_pretrained(folder)
        check_folder(probe, folder, model, scratch)
        check_generation(probe, folder, model, scratch)
        check_packing(probe, folder, batch, config.vocab_size, scratch)
        return check_training(probe, folder, batch, model, scratch)


def main():
    probe, names = sys.argv[1], sys.argv[2:] or list(CASES)
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    failures = 0
    for i, name in enumerate(names):
        try:
            print(f"ok     {name:14} largest difference {check_case(probe, name, 100 + i):.1e}", flush=True)
        except Failed as why:
            failures += 1
            print(f"FAILED {name:14} {why}", flush=True)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
