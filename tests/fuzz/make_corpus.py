# SPDX-License-Identifier: Apache-2.0
"""Writes the corpora of the readers of models: tests/fuzz/corpus/{safetensors,gguf,config_json}. Needs nothing."""
import json
import pathlib
import shutil
import struct

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"


def write(kind, name, data):
    folder = HERE / "corpus" / kind
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)


# ---- safetensors: the minimum that its format asks to be tried

def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def make_safetensors():
    two = {"a": tensor("F32", [2], 0, 8), "b": tensor("BF16", [1, 2], 8, 12)}
    files = {
        "whole": safetensors({**two, "__metadata__": {"note": "tide"}}, bytes(12)),
        "plain": safetensors(two, bytes(range(12))),
        "scalar": safetensors({"s": tensor("F64", [], 0, 8)}, bytes(8)),
        "empty_tensor": safetensors({"e": tensor("I8", [0, 7], 0, 0)}),
        "names": safetensors({"m\u00e9\"\\\n": tensor("U8", [1], 0, 1)}, b"x"),
        "length_0": safetensors(b"", length=0),
        "length_2_63": safetensors({}, length=1 << 63),
        "length_above_limit": safetensors({}, length=100_000_001),
        "list": safetensors(b"[]"),
        "negative": safetensors({"a": tensor("F32", [-2], 0, 8)}, bytes(8)),
        "backwards": safetensors({"a": tensor("F32", [2], 8, 0)}, bytes(8)),
        "overlap": safetensors({"a": tensor("F32", [2], 0, 8), "b": tensor("U8", [4], 7, 11)}, bytes(11)),
        "hole": safetensors({"a": tensor("F32", [2], 0, 8), "b": tensor("U8", [4], 9, 13)}, bytes(13)),
        "trailing": safetensors(two, bytes(13)),
        "twice": safetensors(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                             b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
        "overflow": safetensors({"a": tensor("F32", [1 << 33, 1 << 33], 0, 8)}, bytes(8)),
        "nested_metadata": safetensors({"__metadata__": {"a": {"b": "c"}}}),
        "unknown": safetensors({"a": tensor("F128", [1], 0, 16)}, bytes(16)),
    }
    for name, data in files.items():
        write("safetensors", name, data)


# ---- GGUF

def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(key, kind, data):
    return text(key) + struct.pack("<I", kind) + data


def texts(key, items):
    return value(key, 9, struct.pack("<IQ", 8, len(items)) + b"".join(map(text, items)))


def integer(key, number):
    return value(key, 4, struct.pack("<I", number))


def gguf(values, tensors=(), data=b"", n_values=None, version=3):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values) if n_values is None else n_values)
    head += b"".join(values) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def entry(name, dims, kind, offset):
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def make_gguf():
    tokens = ["<|end|>", "a", "b", "ab", "\u0120", "[PAD5]"]
    tokenizer = [value("tokenizer.ggml.model", 8, text("gpt2")), value("tokenizer.ggml.pre", 8, text("smollm")),
                 texts("tokenizer.ggml.tokens", tokens), texts("tokenizer.ggml.merges", ["a b"]),
                 value("tokenizer.ggml.token_type", 9, struct.pack("<IQ6i", 5, 6, 3, 1, 1, 1, 1, 5)),
                 integer("tokenizer.ggml.eos_token_id", 0), value("tokenizer.ggml.add_bos_token", 7, b"\0")]
    shape = [value("general.architecture", 8, text("llama")), integer("llama.block_count", 1),
             integer("llama.embedding_length", 4), integer("llama.attention.head_count", 1),
             integer("llama.feed_forward_length", 4), integer("llama.context_length", 8),
             value("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5))]
    names = [("token_embd.weight", [4, 6]), ("output_norm.weight", [4])] + [
        (f"blk.0.{part}.weight", [4, 4]) for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up",
                                                      "ffn_down")] + [
        (f"blk.0.{part}.weight", [4]) for part in ("attn_norm", "ffn_norm")]
    entries, offset = [], 0
    for name, dims in names:
        entries.append(entry(name, dims, 0, offset))
        n = 4
        for dim in dims:
            n *= dim
        offset += (n + 31) // 32 * 32
    write("gguf", "model", gguf(shape + tokenizer, entries, bytes(offset)))
    write("gguf", "tokenizer", gguf(tokenizer))
    write("gguf", "version_2", gguf(shape, version=2))
    write("gguf", "version_1", gguf(shape, version=1))
    write("gguf", "many_values", gguf(shape, n_values=1 << 60))
    write("gguf", "long_list", gguf([value("x", 9, struct.pack("<IQ", 10, 1 << 61))]))
    write("gguf", "nested_list", gguf([value("x", 9, struct.pack("<IQ", 9, 1))]))
    write("gguf", "twice", gguf([integer("x", 1), integer("x", 2)]))
    write("gguf", "alignment", gguf([integer("general.alignment", 3)], [entry("a", [4], 0, 0)], bytes(64)))
    write("gguf", "offset", gguf([], [entry("a", [4], 0, 32)], bytes(64)))
    write("gguf", "overflow", gguf([], [entry("a", [1 << 33, 1 << 33], 0, 0)], bytes(64)))
    write("gguf", "cut_behind_an_empty_tensor", gguf([], [entry("a", [0], 0, 0)])[:-1])
    shutil.copy(FIXTURES / "models/blocks.gguf", HERE / "corpus/gguf/blocks")


def make_config():
    for name in ("llama", "llama_tied", "llama_qwen2", "llama_qwen3", "models/old", "models/whole"):
        write("config_json", name.replace("/", "_"), (FIXTURES / name / "config.json").read_bytes())
    write("config_json", "numbers", b'{"num_hidden_layers": -1, "hidden_size": 1e99, "rope_theta": 1e400}')


make_safetensors()
make_gguf()
make_config()
