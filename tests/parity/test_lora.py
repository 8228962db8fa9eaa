# SPDX-License-Identifier: Apache-2.0
"""Compares adapters with peft: run as `test_lora.py PROBE [CASE...]`.

For each case: an adapter folder that peft wrote is read; logits, log-probabilities, loss and every gradient of A and B
agree; so do the logits of the merged weights, which transformers opens. Then the other way: an adapter folder that the
probe wrote is opened by peft, tensor for tensor, with equal logits. with_peers.sh runs it where torch is.
"""

import json
import os
import pathlib
import sys
import tempfile
import warnings

try:
    import peft
except ImportError:
    print("no peft in this python")
    sys.exit(1 if os.environ.get("CI") == "true" else 77)
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, Qwen2Config, Qwen3Config

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import llama_reference as reference
import lora_reference as lora
from test_llama import BASE, Failed, call, compare

CASES = {
    "all": (LlamaConfig, {}, {}),
    "qv": (LlamaConfig, {}, dict(target_modules=["q_proj", "v_proj"], r=3, lora_alpha=5)),
    "rslora": (LlamaConfig, dict(tie_word_embeddings=True), dict(use_rslora=True, r=6, lora_alpha=3)),
    "down_up": (LlamaConfig, dict(num_key_value_heads=6), dict(target_modules=["up_proj", "down_proj"], r=1)),
    "pattern": (LlamaConfig, {}, dict(rank_pattern={"o_proj": 7, "layers.1.mlp.gate_proj": 2},
                                      alpha_pattern={"k_proj": 3, "layers.0.self_attn.v_proj": 11})),
    "layers": (LlamaConfig, dict(num_hidden_layers=3), dict(layers_to_transform=[1])),
    "wide": (LlamaConfig, {}, dict(r=60, lora_alpha=60)),
    "qwen2": (Qwen2Config, {}, {}),
    "qwen3": (Qwen3Config, dict(head_dim=16), dict(target_modules="all-linear", r=5)),
}


def check_pass(probe, folder, batch, adapted, scratch):
    tensors = {k: torch.tensor(v, dtype=torch.int32) for k, v in batch.items()}
    save_file(tensors, scratch / "in.safetensors")
    call(probe, "pass", folder, scratch / "in.safetensors", scratch / "out.safetensors")
    ours, theirs = load_file(scratch / "out.safetensors"), lora.run(adapted, batch)
    if set(ours) != set(theirs):
        raise Failed(f"tensors differ: {sorted(set(ours) ^ set(theirs))}")
    worst = max(compare(k, ours[k], theirs[k]) for k in theirs if k != "merged")
    compare("merged against apart", ours["merged"], ours["logits"], 1e-5)
    compare("merged against peft's", ours["merged"], theirs["merged"], 1e-5)
    return worst


def check_merge(probe, folder, batch, adapted, scratch):
    call(probe, "merge", folder, scratch / "merged")
    model, info = transformers.AutoModelForCausalLM.from_pretrained(scratch / "merged", output_loading_info=True)
    if any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise Failed(f"merged folder: {info}")
    with torch.no_grad():
        compare("merged folder", reference.logits_of(model.float().eval(), batch),
                reference.logits_of(adapted, batch), 1e-5)


def check_folder(probe, source, batch, kind, scratch):
    """peft opens what the probe wrote: `kind` is a copy of what it read, or a fresh adapter on the same base."""
    folder = scratch / kind
    call(probe, kind, source, folder)
    base = transformers.AutoModelForCausalLM.from_pretrained(folder / "base")
    opened = peft.PeftModel.from_pretrained(base, folder).float().eval()
    tensors = {lora.file_name(n): p for n, p in opened.named_parameters() if "lora_" in n}
    written = load_file(folder / "adapter_model.safetensors")
    if set(tensors) != set(written):
        raise Failed(f"{kind}: peft has other tensors: {sorted(set(tensors) ^ set(written))[:4]}")
    for name in written:
        if not torch.equal(tensors[name], written[name]):
            raise Failed(f"{kind}: {name} is not what was written")
    save_file({k: torch.tensor(v, dtype=torch.int32) for k, v in batch.items()}, scratch / "in.safetensors")
    call(probe, "pass", folder, scratch / "in.safetensors", scratch / "out.safetensors")
    ours = load_file(scratch / "out.safetensors")["logits"]
    with torch.no_grad():
        compare(f"{kind}: logits", ours, reference.logits_of(opened, batch))
    return written, json.loads((folder / "adapter_config.json").read_text())


def check_fresh(written, config):
    """A is drawn as peft draws it, B is zero but for the noise that the probe adds to it."""
    for name, a in written.items():
        if "lora_A" in name:
            bound = a.shape[1] ** -0.5
            if not (0.8 * bound < a.abs().max() <= bound and abs(a.std() * 3 ** 0.5 - bound) < 0.2 * bound):
                raise Failed(f"fresh: {name} has deviation {a.std():.3f}, expected {bound / 3 ** 0.5:.3f}")
    if config["r"] != 16 or config["lora_alpha"] != 32 or sorted(config["target_modules"]) != sorted(lora.ALL):
        raise Failed(f"fresh: {config}")


def check_case(probe, name, seed):
    family, shape, changes = CASES[name]
    model = reference.make_model(family(**{**BASE, **shape}), seed)
    adapted = lora.adapt(model, seed + 1, **changes)
    batch = reference.make_batch([3, 41, 1, 17, 12, 30], model.config.vocab_size, seed)
    with tempfile.TemporaryDirectory() as tmp:
        scratch = pathlib.Path(tmp)
        lora.save(adapted, model, scratch / "theirs")
        check_merge(probe, scratch / "theirs", batch, adapted, scratch)
        check_folder(probe, scratch / "theirs", batch, "copy", scratch)
        check_fresh(*check_folder(probe, scratch / "theirs" / "base", batch, "fresh", scratch))
        return check_pass(probe, scratch / "theirs", batch, adapted, scratch)


def main():
    probe, names = sys.argv[1], sys.argv[2:] or list(CASES)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.utils.logging.disable_progress_bar()
    failures = 0
    for i, name in enumerate(names):
        try:
            print(f"ok     {name:14} largest difference {check_case(probe, name, 300 + i):.1e}", flush=True)
        except Failed as why:
            failures += 1
            print(f"FAILED {name:14} {why}", flush=True)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
