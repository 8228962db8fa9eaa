# SPDX-License-Identifier: Apache-2.0
"""Tasks of tm.evaluate against transformers, with a model and records of no fixture.

usage: test_judge.py PROGRAM
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from transformers import LlamaConfig, LlamaForCausalLM

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
sys.path.insert(0, str(FIXTURES))
import make_judge  # noqa: E402


def make_model(folder):
    shutil.copytree(FIXTURES / "models/whole", folder)
    (folder / "model.safetensors").unlink()
    torch.manual_seed(11)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=360, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
                                         num_attention_heads=3, num_key_value_heads=1, max_position_embeddings=512,
                                         tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=2))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(0, 0.35)
    model.save_pretrained(folder)


def main():
    with tempfile.TemporaryDirectory(prefix="tidemill-test-") as name:
        folder = pathlib.Path(name)
        make_model(folder / "model")
        expect = make_judge.make(folder / "model", folder, 5, 12)
        (folder / "graph.lua").write_text(make_judge.GRAPH)
        for args in (("run", "graph.lua"), ("inspect", "exam", "--json")):
            done = subprocess.run([PROGRAM, *args, "--store", "store"], cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        found = {row["name"]: row for row in json.loads(done.stdout)["records"]}
        assert set(found) == set(expect), set(found) ^ set(expect)
        worst = 0
        for key, (value, error, count) in expect.items():
            off = max(abs(found[key]["value"] - value) / max(1, abs(value)),
                      abs(found[key]["error"] - error) / max(1, abs(error)))
            worst = max(worst, off)
            assert off < 5e-5 and found[key]["count"] == count, (key, found[key], value, error, count)
        print(f"{len(expect)} measures as transformers has them, within {worst:.1g}")


main()
