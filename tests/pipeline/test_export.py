#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Quantizing and exporting, on a tiny model: TensorRT-LLM's ranks put together again, codes within half a step, plans
that open. Files are read by a few lines here, not by the program that wrote them.

usage: test_export.py PROGRAM [unittest arguments]
"""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures/export/trtllm.json")
WORDS = "the river and a mill by moon water tide stone wheel grain flour sea boat night wind town".split()

GRAPH = """
local tm = require "tidemill"
local docs  = tm.split { tm.read { "corpus/*.txt" }, valid = 0.2 }
local vocab = tm.train_tokenizer { docs.train, size = 301 }
local base  = tm.pretrain { tm.llama { layers = 3, width = 64, heads = 4, kv_heads = 2, ffn = 96, length = 64 },
                            tokenizer = vocab, data = docs.train, steps = 30, batch = 256, length = 64, lr = 3e-3 }
local int8  = tm.quantize { base, to = "int8" }
local int4  = tm.quantize { base, to = "int4", group = 16 }
local exam  = tm.evaluate { { base = base, int8 = int8, int4 = int4 },
                            tasks = { text = tm.perplexity { docs.valid, length = 64 } } }
return tm.graph {
  base = base, int8 = int8, int4 = int4, exam = exam,
  f32 = tm.export { base, format = "trtllm", dtype = "f32", tp = 2, pp = 2 },
  wide = tm.export { base, format = "trtllm", dtype = "f32", tp = 4 },
  f16 = tm.export { base, format = "trtllm", tp = 2, pp = 2 },
  rt8 = tm.export { int8, format = "trtllm", tp = 2, pp = 2 },
  rt4 = tm.export { int4, format = "trtllm", tp = 2, pp = 2 },
  plan = tm.export { base, format = "plan" },
}
"""


def tensors(path):
    """name -> (dtype, shape, bytes)"""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        head = json.loads(file.read(size))
        data = file.read()
    return {name: (t["dtype"], t["shape"], data[t["data_offsets"][0]:t["data_offsets"][1]])
            for name, t in head.items() if name != "__metadata__"}


def beside(parts):
    """Matrices side by side."""
    rows = parts[0][1][0]
    lines = [[data[len(data) // rows * r:len(data) // rows * (r + 1)] for r in range(rows)] for _, _, data in parts]
    return b"".join(line for row in zip(*lines) for line in row)


def below(parts):
    return b"".join(data for _, _, data in parts)


class Export(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tidemill-test-")
        os.mkdir(os.path.join(cls.folder, "corpus"))
        for i in range(60):
            draw = random.Random(i)
            with open(os.path.join(cls.folder, "corpus", f"{i:03}.txt"), "w", encoding="utf-8") as file:
                file.write(" ".join(draw.choice(WORDS) for _ in range(120)) + ".\n")
        with open(os.path.join(cls.folder, "graph.lua"), "w", encoding="utf-8") as file:
            file.write(GRAPH)
        cls.tidemill("run", "graph.lua", "-q")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def tidemill(cls, *args, code=0):
        done = subprocess.run([PROGRAM, *args], cwd=cls.folder, capture_output=True, text=True, timeout=120)
        if done.returncode != code:
            raise AssertionError(f"{args}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if code == 0 else done.stderr

    def get(self, node):
        path = os.path.join(self.folder, "out-" + node)
        if not os.path.exists(path):
            self.tidemill("get", node, path)
        return path

    def ranks(self, node, n):
        return [tensors(os.path.join(self.get(node), f"rank{i}.safetensors")) for i in range(n)]

    def base(self):
        return tensors(os.path.join(self.get("base"), "model.safetensors"))

    def check_together(self, node, tp, pp):
        """Every tensor of Hugging Face's, from the ranks, bit for bit."""
        ranks, base = self.ranks(node, tp * pp), self.base()
        kv, seen = 2, 0
        for layer in range(3):
            each, more = divmod(3, pp)
            stage = next(s for s in range(pp) if layer < sum(each + (k < more) for k in range(s + 1)))
            local = layer - sum(each + (k < more) for k in range(stage))
            group = [ranks[stage * tp + t] for t in range(tp)]
            ours = f"transformer.layers.{local}."
            theirs = f"model.layers.{layer}."
            qkv = [g[ours + "attention.qkv.weight"][2] for g in group]
            line, heads, shared = 64 * 4, 4 // tp * 16, max(kv // tp, 1) * 16
            copies = max(tp // kv, 1)
            q = b"".join(part[:heads * line] for part in qkv)
            k = b"".join(part[heads * line:(heads + shared) * line] for part in qkv[::copies])
            v = b"".join(part[(heads + shared) * line:] for part in qkv[::copies])
            pieces = {"self_attn.q_proj": q, "self_attn.k_proj": k, "self_attn.v_proj": v,
                      "self_attn.o_proj": beside([g[ours + "attention.dense.weight"] for g in group]),
                      "mlp.gate_proj": below([g[ours + "mlp.fc.weight"] for g in group]),
                      "mlp.up_proj": below([g[ours + "mlp.gate.weight"] for g in group]),
                      "mlp.down_proj": beside([g[ours + "mlp.proj.weight"] for g in group])}
            for name, data in pieces.items():
                self.assertEqual(base[theirs + name + ".weight"][2], data, name)
                seen += 1
            for one, other in (("input_layernorm", "input_layernorm"), ("post_layernorm", "post_attention_layernorm")):
                for g in group:
                    self.assertEqual(g[ours + one + ".weight"][2], base[theirs + other + ".weight"][2])
                seen += 1
        head = below([ranks[(pp - 1) * tp + t]["lm_head.weight"] for t in range(tp)])
        embed = base["model.embed_tokens.weight"][2]
        self.assertEqual(head[:len(embed)], base.get("lm_head.weight", (0, 0, embed))[2])
        self.assertFalse(any(head[len(embed):]), "the padding of the vocabulary is not zero")
        self.assertEqual(ranks[0]["transformer.vocab_embedding.weight"][2], embed)
        self.assertEqual(ranks[-1]["transformer.ln_f.weight"][2], base["model.norm.weight"][2])
        self.assertEqual(seen, len(base) - 2 - ("lm_head.weight" in base))

    def check_codes_together(self, node, source, bits):
        """Codes and scales of every linear, from two by two ranks, as the quantized model has them."""
        ranks = self.ranks(node, 4)
        model = tensors(os.path.join(self.get(source), "model.safetensors"))
        for layer, (stage, local) in enumerate([(0, 0), (0, 1), (1, 0)]):
            group, theirs = ranks[2 * stage:2 * stage + 2], f"model.layers.{layer}."
            for what, suffix in ((".weight", ".weight"), (".weights_scaling_factor", ".weight_scale")):
                ours = lambda name: [g[f"transformer.layers.{local}.{name}{what}"] for g in group]
                # of each rank 4 / 2 heads of 16 rows, and twice one of keys: 2, 1 and 1 quarters
                quarters = [[d[len(d) // 4 * a:len(d) // 4 * b] for a, b in ((0, 2), (2, 3), (3, 4))]
                            for _, _, d in ours("attention.qkv")]
                found = {f"self_attn.{x}_proj": b"".join(q[i] for q in quarters) for i, x in enumerate("qkv")}
                found.update({"mlp.gate_proj": below(ours("mlp.fc")), "mlp.up_proj": below(ours("mlp.gate"))})
                for name, hf in (("attention.dense", "self_attn.o_proj"), ("mlp.proj", "mlp.down_proj")):
                    whole = bits == 8 and what != ".weight"  # a scale per row is held by all ranks
                    found[hf] = ours(name)[1][2] if whole else beside(ours(name))
                for name, data in found.items():
                    self.assertEqual(model[theirs + name + suffix][2], data, f"{node} {layer} {name}{suffix}")

    def test_the_codes_and_scales_of_all_ranks_together_are_those_of_the_quantized_model(self):
        self.check_codes_together("rt8", "int8", 8)
        self.check_codes_together("rt4", "int4", 4)

    def test_the_ranks_of_tensorrt_llm_together_are_the_model_bit_for_bit(self):
        self.check_together("f32", 2, 2)

    def test_keys_of_fewer_heads_than_ranks_are_held_by_several(self):
        self.check_together("wide", 4, 1)

    def test_names_shapes_and_types_of_every_rank_are_those_of_the_table(self):
        with open(TABLE, encoding="utf-8") as file:
            table = json.load(file)
        for node, kind in (("f16", "layer"), ("rt8", "layer W8A16"), ("rt4", "layer W4A16_AWQ")):
            for rank, found in enumerate(self.ranks(node, 4)):
                stage = rank // 2
                expect = {f"transformer.layers.{i}.{name}": row for name, row in table[kind].items()
                          for i in range(table["layers of a pipeline rank"][stage])}
                expect.update(table["first"] if stage == 0 else table["last"])
                self.assertEqual({name: [t[0], t[1]] for name, t in found.items()}, expect, f"{node} rank {rank}")

    def test_the_configuration_says_how_ranks_and_codes_are_to_be_read(self):
        with open(os.path.join(self.get("rt4"), "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        self.assertEqual(config["mapping"], {"world_size": 4, "tp_size": 2, "pp_size": 2, "cp_size": 1})
        self.assertEqual((config["quantization"]["quant_algo"], config["quantization"]["group_size"]), ("W4A16_AWQ", 16))
        self.assertEqual((config["architecture"], config["dtype"], config["num_key_value_heads"]),
                         ("LlamaForCausalLM", "float16", 2))

    def dequantized(self, found, name, bits):
        dtype, shape, data = found[name]
        scales = struct.unpack(f"<{len(found[name + '_scale'][2]) // 4}f", found[name + "_scale"][2])
        cols = shape[1]
        if bits == 8:
            self.assertEqual(dtype, "I8")
            codes = struct.unpack(f"<{len(data)}b", data)
            return [(c * scales[i // cols], scales[i // cols]) for i, c in enumerate(codes)]
        self.assertEqual(dtype, "U8")
        values, groups = [], cols // 16
        for row in range(shape[0] * 2):
            for col in range(cols):
                code = data[row // 2 * cols + col] >> (4 * (row % 2)) & 15
                scale = scales[row * groups + col // 16]
                values.append(((code - 16 if code > 7 else code) * scale, scale))
        return values

    def test_every_weight_is_within_half_a_step_of_its_code(self):
        base = self.base()
        for node, bits in (("int8", 8), ("int4", 4)):
            found = tensors(os.path.join(self.get(node), "model.safetensors"))
            for name in ("model.layers.0.self_attn.k_proj.weight", "model.layers.2.mlp.down_proj.weight"):
                weights = struct.unpack(f"<{len(base[name][2]) // 4}f", base[name][2])
                back = self.dequantized(found, name, bits)
                self.assertEqual(len(weights), len(back))
                for w, (value, scale) in zip(weights, back):
                    self.assertLessEqual(abs(w - value), scale * 0.5001)
            with open(os.path.join(self.get(node), "hf_quant_config.json"), encoding="utf-8") as file:
                self.assertEqual(json.load(file)["quantization"]["quant_algo"], "W8A16" if bits == 8 else "W4A16_AWQ")

    def test_quantized_models_are_judged_beside_the_one_they_were_made_from(self):
        rows = json.loads(self.tidemill("inspect", "exam", "--json", "--full"))["records"]
        bits = {r["name"].split(".")[0]: r["value"] for r in rows if r["name"].endswith(".bits_per_byte")
                and "bzip2" not in r["name"]}
        self.assertLess(abs(bits["int8"] - bits["base"]), 0.01)
        self.assertLess(abs(bits["int4"] - bits["base"]), 0.3)
        self.assertNotEqual(bits["int8"], bits["base"])
        self.assertNotEqual(bits["int4"], bits["int8"])

    def test_a_plan_says_what_the_model_says(self):
        args = ("--prompt", "the river", "-n", "20", "--json")
        texts = [json.loads(self.tidemill("generate", name, *args))["text"] for name in ("base", self.get("plan"))]
        self.assertEqual(*texts)
        self.assertTrue(texts[0])

    def manifest(self, folder):
        with open(os.path.join(folder, "model.plan"), "rb") as file:
            head = file.read(64)
            return json.loads(file.read(int.from_bytes(head[24:32], "little")))

    def test_a_plan_names_the_kernels_that_its_model_uses_and_no_others(self):
        kernels = self.manifest(self.get("plan"))["kernels"]
        with open(os.path.join(ROOT, "stages/model/pass.c"), encoding="utf-8") as file:
            called = set(re.findall(r"\btm_(\w+)\(p->dev,", file.read()))
        self.assertEqual(set(kernels["ops"]), {op for op in called if not re.search("_grad|head_loss|adapter|device_status", op)})
        with open(os.path.join(self.get("base"), "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        shapes = {row["matrix"]: (row["out"], row["in"]) for row in kernels["products"]}
        width, ffn, vocab = (config[name] for name in ("hidden_size", "intermediate_size", "vocab_size"))
        self.assertEqual({name: shapes[name] for name in ("gate|up", "down", "head")},
                         {"gate|up": (2 * ffn, width), "down": (width, ffn), "head": (vocab, width)})
        self.assertEqual(set(shapes), {"q|k|v", "o", "gate|up", "down", "head"})
        for row in kernels["products"]:
            self.assertEqual(row["few"], {"as": "dots", "tokens": 12})
            self.assertIn("cpu/base", row["blocks"])
            for block in row["blocks"].values():
                self.assertEqual(block["columns"] % 4, 0)
                self.assertIn(block["rows"], (6, 8))

    def test_a_damaged_plan_is_refused_with_a_reason(self):
        for label, change in (("cut", lambda b: b[:-5]), ("header", lambda b: b[:20] + b"\xff" + b[21:]),
                              ("manifest", lambda b: b[:64] + b"[" + b[65:]), ("short", lambda b: b[:9])):
            folder = os.path.join(self.folder, "plan-" + label)
            shutil.copytree(self.get("plan"), folder)
            path = os.path.join(folder, "model.plan")
            with open(path, "rb") as file:
                data = file.read()
            with open(path, "wb") as file:
                file.write(change(data))
            said = self.tidemill("generate", folder, "--prompt", "a", "-n", "1", code=1)
            self.assertIn("model.plan: ", said, label)
            self.assertIn("export it again", said, label)

    def test_a_plan_for_a_better_processor_is_refused(self):
        with open(os.path.join(self.folder, "fast.lua"), "w", encoding="utf-8") as file:
            file.write(GRAPH.replace('format = "plan"', 'format = "plan", device = "cpu/avx512"'))
        self.tidemill("run", "fast.lua", "plan", "-q")
        self.tidemill("get", "plan", os.path.join(self.folder, "fast"))
        for row in self.manifest(os.path.join(self.folder, "fast"))["kernels"]["products"]:
            self.assertEqual(list(row["blocks"]), ["cpu/avx512"])
        done = subprocess.run([PROGRAM, "generate", "fast", "--prompt", "a"], cwd=self.folder, capture_output=True,
                              text=True, timeout=60, env={**os.environ, "TM_CPU": "base"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("built for cpu/avx512, and this is cpu/base", done.stderr)

    def test_the_kind_of_codes_is_no_place_to_put_them(self):
        self.assertFalse(os.path.exists(os.path.join(self.folder, "int8")))

    def test_ranks_that_cut_through_heads_are_refused(self):
        with open(os.path.join(self.folder, "odd.lua"), "w", encoding="utf-8") as file:
            file.write(GRAPH.replace("tp = 4 }", "tp = 3 }"))
        said = self.tidemill("run", "odd.lua", "wide", "-q", code=1)
        self.assertIn("tp = 3 does not divide 4 heads", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
