# SPDX-License-Identifier: Apache-2.0
"""What torch and transformers compute for fine-tuning and preferences: padded rows, transformers' own masked loss, and
the losses of TRL's DPO trainer written down from its definitions."""

import torch
from torch.nn import functional as F

MEASURES = ("loss", "rewards.chosen", "rewards.rejected", "rewards.accuracies", "rewards.margins", "logps.chosen",
            "logps.rejected")


def make_rows(lengths, vocab, seed, prompt=0.4, turns=2):
    """Random token rows with masks: each a few turns, of which the last part of a turn is learned."""
    g = torch.Generator().manual_seed(seed)
    rows = []
    for n in lengths:
        ids = torch.randint(0, vocab, (n,), generator=g).tolist()
        part = max(1, n // turns)
        mask = [int(i % part >= int(part * prompt)) for i in range(n)]
        mask[0], mask[-1] = 0, 1
        rows.append((ids, mask))
    return rows


def make_pairs(lengths, vocab, seed):
    """Rows in twos: the same prompt, then a chosen and a rejected answer of other lengths."""
    g = torch.Generator().manual_seed(seed)
    rows = []
    for prompt, chosen, rejected in lengths:
        start = torch.randint(0, vocab, (prompt,), generator=g).tolist()
        for n in (chosen, rejected):
            rows.append((start + torch.randint(0, vocab, (n,), generator=g).tolist(), [0] * prompt + [1] * n))
    return rows


def padded(rows):
    """input_ids, attention_mask and labels (-100 where nothing is learned), padded on the right."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    attention, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for r, (row, mask) in enumerate(rows):
        ids[r, :len(row)] = torch.tensor(row)
        attention[r, :len(row)] = 1
        labels[r, :len(row)] = torch.where(torch.tensor(mask) == 1, torch.tensor(row), -100)
    return ids, attention, labels


def grads_of(model, loss):
    model.zero_grad()
    loss.backward()
    return {"grad." + name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def sft(model, rows):
    """Loss (transformers', over one padded batch) and gradients."""
    ids, attention, labels = padded(rows)
    loss = model(input_ids=ids, attention_mask=attention, labels=labels, use_cache=False).loss
    return dict(means=loss.detach().double().reshape(1), **grads_of(model, loss))


def answer_logps(model, rows):
    """Summed log-probabilities of each row's learned tokens [rows], and their numbers."""
    ids, attention, labels = padded(rows)
    logits = model(input_ids=ids, attention_mask=attention, use_cache=False).logits[:, :-1].double()
    labels = labels[:, 1:]
    picked = torch.log_softmax(logits, -1).gather(2, labels.clamp(min=0)[:, :, None])[:, :, 0]
    return torch.where(labels >= 0, picked, 0.0).sum(1), (labels >= 0).sum(1)


def dpo(model, rows, scores, beta=0.1, loss="sigmoid", label_smoothing=0.0):
    """Means of TRL's metrics, and gradients. `scores`: the reference's log-probabilities, by row."""
    logps, counts = answer_logps(model, rows)
    ratios = logps - scores
    chosen, rejected = ratios[0::2], ratios[1::2]
    if loss == "ipo":
        delta = chosen / counts[0::2] - rejected / counts[1::2]
        losses = (delta - 1 / (2 * beta)) ** 2
    else:
        x = beta * (chosen - rejected)
        losses = -F.logsigmoid(x) * (1 - label_smoothing) - F.logsigmoid(-x) * label_smoothing
    rewards = beta * ratios.detach()
    means = [losses.mean(), rewards[0::2].mean(), rewards[1::2].mean(),
             (rewards[0::2] > rewards[1::2]).double().mean(), (rewards[0::2] - rewards[1::2]).mean(),
             logps[0::2].mean(), logps[1::2].mean()]
    return dict(means=torch.stack([m.detach().double() for m in means]), **grads_of(model, losses.mean()))


def as_tensors(rows, scores=None):
    """Rows as the probe and the unit test read them: ids, mask, starts, and scores of pairs."""
    starts = [0]
    for ids, _ in rows:
        starts.append(starts[-1] + len(ids))
    out = dict(ids=torch.tensor([t for ids, _ in rows for t in ids], dtype=torch.int32),
               mask=torch.tensor([m for _, mask in rows for m in mask], dtype=torch.int32),
               starts=torch.tensor(starts, dtype=torch.int32))
    return out if scores is None else dict(out, scores=scores.double())
