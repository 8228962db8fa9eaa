#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was exported, read by safetensors and run by transformers, gives the log-probabilities that `tidemill score`
gives: ranks of TensorRT-LLM put together, codes of 8 and of 4 bits unpacked in torch.

usage: test_export_peers.py PROGRAM, with a Python that has torch, transformers and safetensors
"""
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import test_export  # noqa: E402  (takes the program's name from the arguments)

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

TEXT = "the river and a mill by moon water tide stone wheel"


class Peers(test_export.Export):
    """Its own checks besides those of the class it is made from."""

    def ours(self, node):
        done = subprocess.run([test_export.PROGRAM, "score", node], cwd=self.folder, capture_output=True, text=True,
                              input=json.dumps({"text": TEXT}) + "\n", timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        row = json.loads(done.stdout)
        return row["ids"], row["log_probs"][1:]  # nothing predicts the start token

    def theirs(self, state, ids):
        config = LlamaConfig.from_pretrained(self.get("base"))
        model = LlamaForCausalLM(config)
        missing, unknown = model.load_state_dict(state, strict=False)
        self.assertFalse(unknown)
        self.assertIn(missing, ([], ["lm_head.weight"]))
        model.tie_weights()
        with torch.no_grad():
            rows = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        return [float(rows[i, token]) for i, token in enumerate(ids[1:])]

    def compare(self, node, state):
        ids, ours = self.ours(node)
        theirs = self.theirs(state, ids)
        self.assertEqual(len(ours), len(theirs))
        for a, b in zip(ours, theirs):
            self.assertAlmostEqual(a, b, delta=1e-4 * max(1, abs(b)))

    def dequantize(self, node, bits):
        found = load_file(os.path.join(self.get(node), "model.safetensors"))
        state = {}
        for name, t in found.items():
            if name.endswith("_scale"):
                continue
            scale = found.get(name + "_scale")
            if scale is None:
                state[name] = t.float()
            elif bits == 8:
                state[name] = t.float() * scale[:, None]
            else:
                both = torch.stack([t & 15, t >> 4], dim=1).reshape(-1, t.shape[1]).to(torch.int16)
                both = torch.where(both > 7, both - 16, both).float()
                state[name] = both * scale.repeat_interleave(t.shape[1] // scale.shape[1], dim=1)
        return state

    def test_codes_of_8_bits_unpacked_in_torch_give_the_same_log_probabilities(self):
        self.compare("int8", self.dequantize("int8", 8))

    def test_codes_of_4_bits_unpacked_in_torch_give_the_same_log_probabilities(self):
        self.compare("int4", self.dequantize("int4", 4))

    def test_ranks_put_together_in_torch_give_the_same_log_probabilities(self):
        ranks = [load_file(os.path.join(self.get("f32"), f"rank{i}.safetensors")) for i in range(4)]
        state = {"model.embed_tokens.weight": ranks[0]["transformer.vocab_embedding.weight"],
                 "model.norm.weight": ranks[2]["transformer.ln_f.weight"]}
        vocab = state["model.embed_tokens.weight"].shape[0]
        state["lm_head.weight"] = torch.cat([ranks[2]["lm_head.weight"], ranks[3]["lm_head.weight"]])[:vocab]
        for layer, (stage, local) in enumerate([(0, 0), (0, 1), (1, 0)]):
            pair = ranks[2 * stage:2 * stage + 2]
            rows = lambda name: torch.cat([r[f"transformer.layers.{local}.{name}"] for r in pair])
            cols = lambda name: torch.cat([r[f"transformer.layers.{local}.{name}"] for r in pair], dim=1)
            to = f"model.layers.{layer}."
            qkv = [r[f"transformer.layers.{local}.attention.qkv.weight"].split([32, 16, 16]) for r in pair]
            for i, name in enumerate("qkv"):
                state[f"{to}self_attn.{name}_proj.weight"] = torch.cat([part[i] for part in qkv])
            state[to + "self_attn.o_proj.weight"] = cols("attention.dense.weight")
            state[to + "mlp.gate_proj.weight"] = rows("mlp.fc.weight")
            state[to + "mlp.up_proj.weight"] = rows("mlp.gate.weight")
            state[to + "mlp.down_proj.weight"] = cols("mlp.proj.weight")
            state[to + "input_layernorm.weight"] = pair[0][f"transformer.layers.{local}.input_layernorm.weight"]
            state[to + "post_attention_layernorm.weight"] = pair[0][f"transformer.layers.{local}.post_layernorm.weight"]
        self.compare("base", state)


del test_export.Export  # its checks run in the class above
if __name__ == "__main__":
    unittest.main(verbosity=2)
