# SPDX-License-Identifier: Apache-2.0
"""What peft computes for a packed batch: logits, loss and gradients with an adapter, and logits after merging."""

import copy

import llama_reference as reference
import peft
import torch

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def file_name(name):
    """The name of a parameter in adapter_model.safetensors."""
    return name.replace(".default.", ".")


def adapt(model, seed, **changes):
    """A peft model around a copy of `model`, with an A and a B that both matter: a zero B accepts any gradient of A."""
    config = peft.LoraConfig(**{**dict(r=4, lora_alpha=8, target_modules=ALL, task_type="CAUSAL_LM"), **changes})
    torch.manual_seed(seed)
    adapted = peft.get_peft_model(copy.deepcopy(model), config)
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if "lora_" in name:
                p.normal_(0, 0.25 * min(p.shape) ** -0.25)
    return adapted.float().eval()


def save(adapted, model, folder):
    """The adapter's folder with its base inside, as the program keeps it."""
    adapted.save_pretrained(folder)
    model.save_pretrained(folder / "base")
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "base" / "generation_config.json").unlink(missing_ok=True)


def run(adapted, batch):
    """Everything the probe writes, as peft sees it."""
    logits = reference.logits_of(adapted, batch)
    total, count = reference.loss_of(logits, batch)
    (total / count).backward()
    out = {"grad." + file_name(n): p.grad.clone() for n, p in adapted.named_parameters() if p.requires_grad}
    out["logits"] = logits.detach().clone()
    out["log_probs"] = reference.log_probs_of(logits.detach(), batch)
    out["loss_sum"] = total.detach().double().reshape(1)
    out["count"] = torch.tensor([count])
    with torch.no_grad():
        out["merged"] = reference.logits_of(copy.deepcopy(adapted).merge_and_unload(), batch).clone()
    return out
