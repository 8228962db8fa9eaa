# SPDX-License-Identifier: Apache-2.0
"""What torch and transformers compute for a packed batch: each document by itself, summed."""

import torch
import transformers


def make_model(config, seed, std=0.25, norms=(0.5, 1.5)):
    """A model with weights large enough, and norms uneven enough, that a wrong rotation or norm shows."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.uniform_(*norms)
            else:
                p.normal_(0, std)
    return model.float().eval()


def make_batch(lengths, vocab, seed, masked=0.2):
    """Random documents packed into one row: dict of lists, positions restarting, some labels -1."""
    g = torch.Generator().manual_seed(seed)
    ids, labels, positions, cu = [], [], [], [0]
    for n in lengths:
        doc = torch.randint(0, vocab, (n + 1,), generator=g).tolist()
        drop = (torch.rand(n, generator=g) < masked).tolist()
        ids += doc[:-1]
        labels += [-1 if d else t for t, d in zip(doc[1:], drop)]
        positions += list(range(n))
        cu.append(len(ids))
    return dict(ids=ids, labels=labels, positions=positions, cu_seqlens=cu)


def logits_of(model, batch):
    """Logits [T, V]: one forward pass for each document, with nothing before it."""
    rows = []
    for a, b in zip(batch["cu_seqlens"], batch["cu_seqlens"][1:]):
        rows.append(model(input_ids=torch.tensor([batch["ids"][a:b]]), use_cache=False).logits[0])
    return torch.cat(rows)


def loss_of(logits, batch):
    """Sum of the losses over all labels, and their number."""
    labels = torch.tensor(batch["labels"])
    total = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total, int((labels >= 0).sum())


def log_probs_of(logits, batch):
    labels = torch.tensor(batch["labels"])
    picked = torch.log_softmax(logits, -1).gather(1, labels.clamp(min=0)[:, None])[:, 0]
    return torch.where(labels >= 0, picked, 0.0)


def optimizer_of(model, lr, eps, decay, betas):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=matrices, weight_decay=decay), dict(params=vectors, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps)


def run(model, batch, steps=10, lr=1e-3, eps=1e-2, decay=0.1, clip=0.5, betas=(0.9, 0.95)):
    """Everything the probe writes, as torch sees it. Changes the model."""
    out = {}
    optimizer = optimizer_of(model, lr, eps, decay, betas)
    losses, norms = [], []
    for step in range(steps):
        optimizer.zero_grad()
        logits = logits_of(model, batch)
        total, count = loss_of(logits, batch)
        (total / count).backward()
        if step == 0:
            out["logits"] = logits.detach().clone()
            out["log_probs"] = log_probs_of(logits.detach(), batch)
            out["loss_sum"] = total.detach().double().reshape(1)
            out["count"] = torch.tensor([count])
            out.update({"grad." + n: p.grad.clone() for n, p in model.named_parameters()})
        losses.append(total.item() / count)
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), clip)))
        optimizer.step()
    out["step_loss"] = torch.tensor(losses, dtype=torch.float64)
    out["step_norm"] = torch.tensor(norms, dtype=torch.float64)
    out.update({"after." + n: p.detach().clone() for n, p in model.named_parameters()})
    assert min(norms) > clip, f"clipping was not active: {norms}"
    return out
