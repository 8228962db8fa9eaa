#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong command lines, inputs and runs, and all that the program says of each: bad_inputs/NAME.expect.

usage: test_bad_inputs.py PROGRAM [--update] [unittest arguments]

--update writes what the program says now; read the difference before committing it.
"""
import gzip
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import unittest

UPDATE = "--update" in sys.argv
sys.argv = [argument for argument in sys.argv if argument != "--update"]

from workplace import PROGRAM, Workplace, document  # noqa: E402
from test_bad_input import archive  # noqa: E402

FAULTY = os.path.join(os.path.dirname(PROGRAM), "tests/commands/tidemill_with_faults")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bad_inputs")
HEAD = 'local tm = require "tidemill"\n'
READ = HEAD + "return tm.graph {{ docs = tm.read {{ {} }} }}\n"
LUA = HEAD + """local docs = tm.read { "corpus" }
local shout = tm.stage { name = "shout",BEFORE each = function(doc, o, emit)
  BODY
end }
return tm.graph { loud = shout { docs } }
"""
EXEC = HEAD + """local docs = tm.read { "corpus" }
return tm.graph { out = tm.exec { docs, PROGRAM } }
"""
TRAIN = HEAD + """local p = tm.params { lr = tm.number { 1e-3 } }
local docs  = tm.split { tm.read { "corpus" }, valid = 0.1 }
local given = tm.model { "MODEL" }
local tuned = tm.pretrain { given, tokenizer = given.tokenizer, data = docs.train, steps = 3, batch = 128, length = 64,
                            lr = p.lr }
return tm.graph { docs = docs, tuned = tuned, out = tm.export { tuned, format = "hf" } }
"""

TAKE = HEAD + """local given = tm.model { "MODEL" }
return tm.graph { given = given, out = tm.export { given, format = "hf" } }
"""

with open(PROGRAM, "rb") as program:
    SANITIZED = b"__asan_init" in program.read()

CASES = {}  # name -> (exit status, what prepares the folder and gives the arguments)


def case(status):
    def add(make):
        CASES[make.__name__] = (status, make)
        return make
    return add


def refused(name, status, fault, *args):
    """Calls of the program fail: see with_faults.c."""
    def make(place):
        place.fault = fault
        return args
    CASES[name] = (status, make)


def says(name, status, *args):
    CASES[name] = (status, lambda place: args)


def graph(name, status, text, **files):
    """A graph that is run, with files besides: NAME__EXT = bytes."""
    def make(place):
        place.write(name + ".lua", text)
        for file, content in files.items():
            place.write(file.replace("__", "."), content)
        return "run", name + ".lua", "-q"
    CASES[name] = (status, make)


# ---- the command line ----

says("command_unknown", 3, "rnu", "graph.lua")
says("command_forgotten_before_a_graph", 3, "graph.lua")
says("command_that_is_a_stage", 3, "gopher")
says("flag_unknown", 3, "run", "graph.lua", "--keepgoing")
says("flag_of_one_letter_unknown", 3, "run", "graph.lua", "-z")
says("flag_without_its_value", 3, "run", "graph.lua", "--cores")
says("flag_that_takes_no_value", 3, "run", "graph.lua", "--quiet=yes")
says("number_below_its_least", 3, "run", "graph.lua", "--cores", "0")
says("number_that_is_none", 3, "gc", "--keep-days", "week")
says("size_that_is_none", 3, "gc", "--to", "20X")
says("choice_unknown", 3, "run", "graph.lua", "--reuse", "sam")
says("flags_that_exclude_each_other", 3, "generate", "base", "--prompt", "a", "--prompts", "b")
says("argument_missing", 3, "get", "base")
says("argument_too_many", 3, "verify", "b")
says("help_of_no_command", 3, "help", "rnu")
says("help_of_a_code", 3, "help", "TM0201")
says("node_to_open_a_shell_for_unknown", 2, "shell", "r1:bse")
says("point_of_comparison_unknown", 2, "compare", "r1:nothing")
says("page_of_no_command", 2, "man", "rnu")
says("parameter_unknown", 2, "check", "graph.lua", "--set", "stpes=3")
says("parameter_that_is_no_number", 2, "check", "graph.lua", "--set", "steps=many")
says("parameter_without_a_value", 3, "check", "graph.lua", "--set", "steps")
says("stage_described_that_is_none", 2, "describe", "fuzy_dedup")
says("inner_stage_is_not_suggested", 2, "describe", "gate_foldr")
says("code_unknown", 2, "explain", "TM2O1")
says("starter_unknown", 2, "init", "quikstart")

# ---- graph files ----

says("graph_missing", 2, "run", "grahp.lua")
says("graph_without_its_ending", 2, "run", "graph")
says("parameter_among_the_nodes", 2, "run", "graph.lua", "steps=50")
says("node_of_a_graph_described_that_is_none", 2, "describe", "graph.lua", "bas")
says("choices_that_exclude_each_other", 3, "run", "graph.lua", "--until", "vocab", "--only", "base")
says("graph_that_is_a_folder", 2, "check", "corpus")
says("graph_without_a_name_like_it", 2, "check", "quite/elsewhere.lua")
says("target_unknown", 2, "run", "graph.lua", "vocabs")
says("input_of_only_one_node_is_missing", 2, "run", "graph.lua", "--only", "curve", "--store", "new")

# ---- runs, nodes, ports, snapshots ----

says("run_unknown", 2, "status", "r99")
says("run_that_is_none", 2, "inspect", "r99:base")
says("node_unknown", 2, "inspect", "r1:bsae")
says("node_of_the_log_unknown", 2, "logs", "r1:vocav")
says("node_of_why_unknown", 2, "why", "r1:cruve")
says("port_unknown", 2, "inspect", "r1:docs.trian")
says("port_not_named", 2, "inspect", "r1:docs")
says("snapshot_unknown", 2, "get", "r1:base@7", "elsewhere")
says("snapshot_word_unknown", 2, "get", "r1:base@bset", "elsewhere")
says("documents_where_a_tokenizer_is_due", 2, "tokenize", "r1:docs.train", "hello")
says("folder_that_is_no_model", 2, "generate", "corpus", "--prompt", "a")
says("place_that_is_taken", 1, "get", "r1:base", "corpus")

# ---- stores ----

says("store_missing", 2, "status", "--store", "nowhere")
says("store_that_is_a_folder_of_others", 1, "run", "graph.lua", "-q", "--store", "corpus")
says("store_that_is_a_file", 2, "run", "graph.lua", "-q", "--store", "graph.lua")


@case(1)
def store_of_another_version(place):
    place.write("old/format", "tidemill store 99\n")
    return "runs", "--store", "old"


@case(4)
def store_damaged(place):
    shutil.copytree(place.path("store"), place.path("damaged"))
    for at, _, names in os.walk(place.path("damaged/objects")):
        for name in names:
            path = os.path.join(at, name)
            os.chmod(path, 0o644)
            with open(path, "r+b") as file:
                file.seek(os.path.getsize(path) // 2)
                file.write(b"\xff\xfe\xfd")
    return "inspect", "r1:docs.train", "--store", "damaged"


refused("store_that_may_not_be_made", 1, "make EACCES closed", "run", "graph.lua", "-q", "--store", "closed")
refused("store_on_a_file_system_to_read", 1, "make EROFS closed", "run", "graph.lua", "-q", "--store", "closed")
refused("store_that_may_not_be_written", 1, "make EACCES store/runs/", "run", "graph.lua", "-q")
refused("store_without_space_to_begin", 5, "write ENOSPC /full/", "run", "graph.lua", "-q", "--store", "full")
refused("store_without_space_for_a_result", 5, "write ENOSPC fuller/tmp/", "run", "graph.lua", "vocab", "-q", "--store",
        "fuller")

# ---- places outside ----

refused("place_that_may_not_be_made", 1, "make EACCES closed", "get", "r1:base", "closed/model")
refused("place_without_space", 5, "write ENOSPC crowded", "get", "r1:base", "crowded")
refused("lines_without_space", 5, "write ENOSPC crowded", "get", "r1:docs.train", "crowded.jsonl")
refused("page_without_space", 5, "write ENOSPC crowded", "report", "-o", "crowded.html")


@case(1)
def place_of_the_graph_that_may_not_be_written(place):
    place.write("elsewhere.lua", place.read("graph.lua").replace("out/model", "closed/model"))
    place.fault = "make EACCES closed"
    return "run", "elsewhere.lua", "-q"


# ---- inputs ----

refused("file_that_may_not_be_read", 2, "open EACCES corpus/07.txt", "check", "graph.lua")
refused("folder_that_may_not_be_listed", 2, "open EACCES /corpus", "run", "graph.lua", "-q")

graph("file_missing", 2, READ.format('"corpsu/*.txt"'))
graph("folder_without_files", 2, READ.format('"hollow"'), **{"hollow/.keep": ""})
graph("file_empty", 1, READ.format('"empty.txt"'), empty__txt="")
graph("lines_that_are_no_JSON", 1, READ.format('"bad.jsonl", format = "jsonl"'), bad__jsonl="not JSON\n" * 3)
graph("lines_of_another_shape", 1, READ.format('"texts.jsonl", format = "chat"'), texts__jsonl='{"text": "one"}\n' * 3)
graph("archive_cut_off", 1, READ.format('"cut.tar.gz"'), **{"cut.tar.gz": archive(20)[:9000]})
graph("archive_that_is_none", 1, READ.format('"plain.zip"'), plain__zip="no archive at all\n")
graph("gzip_cut_off", 1, READ.format('"cut.txt.gz"'),
      **{"cut.txt.gz": gzip.compress(document(1, 4000).encode(), mtime=0)[:2000]})


def model(place, name, **changes):
    """A copy of the model that the run has put out, with some of its files changed."""
    shutil.copytree(place.path("out/model"), place.path(name))
    for file, change in changes.items():
        path = place.path(f"{name}/{file.replace('__', '.')}")
        with open(path, "rb") as old:
            content = change(old.read())
        with open(path, "wb") as new:
            new.write(content)


def trained_on(name, status, **changes):
    def make(place):
        model(place, name + "_model", **changes)
        place.write(name + ".lua", (TRAIN if name.startswith("loss") else TAKE).replace("MODEL", name + "_model"))
        return "run", name + ".lua", "-q"
    CASES[name] = (status, make)


trained_on("tokenizer_that_is_no_JSON", 1, tokenizer__json=lambda old: b'{"model": ')
trained_on("tokenizer_of_another_kind", 1, tokenizer__json=lambda old: b'{"model": {"type": "Unigram", "vocab": []}}')
trained_on("config_of_an_unknown_architecture", 1,
           config__json=lambda old: old.replace(b"Llama", b"Llamo").replace(b"llama", b"llamo"))
trained_on("weights_cut_off", 1, model__safetensors=lambda old: old[:len(old) // 2])
trained_on("weights_with_a_broken_head", 1, model__safetensors=lambda old: old[:8] + b"[" + old[9:])
trained_on("loss_that_is_not_a_number", 1, model__safetensors=lambda old: old[:-4096] + b"\0\0\xc0\x7f" * 1024)


def poisoned(place, character):
    """Changes weights so that the embedding of a character is no number, for the input alone: batches without it are fine."""
    with open(place.path("out/model/tokenizer.json"), encoding="utf-8") as file:
        row = json.load(file)["model"]["vocab"][character]

    def change(old):
        size = struct.unpack("<Q", old[:8])[0]
        head, data = json.loads(old[8:8 + size]), old[8 + size:]
        embedding = head["model.embed_tokens.weight"]
        begin, end = embedding["data_offsets"]
        width = (end - begin) // embedding["shape"][0]
        head["lm_head.weight"] = {**embedding, "data_offsets": [len(data), len(data) + end - begin]}
        text = json.dumps(head).encode()
        at = begin + row * width
        return struct.pack("<Q", len(text)) + text + data[:at] + b"\xff" * width + data[at + width:] + data[begin:end]
    return change


@case(1)
def loss_that_becomes_no_number(place):
    model(place, "poisoned", model__safetensors=poisoned(place, "Z"),
          config__json=lambda old: re.sub(rb'("tie_word_embeddings": *)true', rb"\1false", old))
    for i in range(12):
        place.write(f"tides/{i:02}.txt", document(i, 60) + ("Z" if i == 7 else ""))
    place.write("poisoned.lua", HEAD + """local p = tm.params { lr = tm.number { 1e-3 } }
local docs  = tm.read { "tides" }
local given = tm.model { "poisoned" }
local tuned = tm.pretrain { given, tokenizer = given.tokenizer, data = docs, steps = 12, batch = 64, length = 64, lr = p.lr,
                            checkpoint_every = 2 }
return tm.graph { tuned = tuned, out = tm.export { tuned, format = "hf" } }
""")
    return "run", "poisoned.lua", "-q"


@case(1)
def weights_missing(place):
    model(place, "weightless")
    os.remove(place.path("weightless/model.safetensors"))
    place.write("weightless.lua", TAKE.replace("MODEL", "weightless"))
    return "run", "weightless.lua", "-q"


@case(1)
def gguf_of_an_unknown_type(place):
    name = b"token_embd.weight"
    place.write("odd.gguf", b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", len(name)) + name +
                struct.pack("<IQQIQ", 2, 32, 4, 99, 0) + bytes(4096))
    place.write("odd.lua", TAKE.replace("MODEL", "odd.gguf"))
    return "run", "odd.lua", "-q"


@case(1)
def gguf_cut_off(place):
    place.write("cut.gguf", b"GGUF" + struct.pack("<IQ", 3, 1))
    place.write("cut_gguf.lua", TAKE.replace("MODEL", "cut.gguf"))
    return "run", "cut_gguf.lua", "-q"


# ---- stages that fail ----

graph("lua_that_raises", 1, LUA.replace("BODY", "emit { text = doc.meta.title:upper() }").replace("BEFORE", ""))
graph("lua_that_says_error", 1,
      LUA.replace("BODY", 'if #doc.text < 20 then error("too short to shout") end').replace("BEFORE", ""))
graph("lua_without_end", 1, LUA.replace("BODY", "while true do end").replace("BEFORE", " seconds = 0.2,"))
graph("lua_that_gives_no_record", 1, LUA.replace("BODY", "emit { txt = doc.text }").replace("BEFORE", ""))
graph("lua_that_returns_a_table", 1, LUA.replace("BODY", "return { doc.text }").replace("BEFORE", ""))
graph("program_that_fails", 1, EXEC.replace("PROGRAM", 'program = { "sh", "-c", "echo no key for it >&2; exit 3" }'))
graph("program_that_is_killed", 1, EXEC.replace("PROGRAM", 'program = { "sh", "-c", "kill -SEGV $$" }'))
graph("program_that_writes_no_JSON", 1, EXEC.replace("PROGRAM", 'program = { "echo", "hello" }'))
graph("program_that_makes_up_ids", 1, EXEC.replace("PROGRAM", """program = { "echo", '{"id": "x1", "text": "a"}' }"""))
graph("program_that_writes_no_file", 1, EXEC.replace("PROGRAM", 'io = "files", program = { "true", "{in}", "{out}" }'))
graph("program_that_takes_too_long", 1,
      EXEC.replace("PROGRAM", 'program = { "sleep", "20" }, at = { timeout = 0.2 }'))
graph("program_without_its_secret", 1,
      EXEC.replace("PROGRAM", 'program = { "cat" }, env = { KEY = tm.secret "TIDEMILL_TEST_NO_KEY" }'))
graph("held_out_data_without_a_record", 1, HEAD + """local docs  = tm.split { tm.read { "corpus" }, valid = 0 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local base  = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4 }, tokenizer = vocab, data = docs.train,
                            valid = docs.valid, steps = 1000000 }
return tm.graph { base = base }
""")
graph("lua_that_returns_its_record", 1,
      LUA.replace("BEFORE", "").replace("BODY", "return doc"))
graph("gate_that_does_not_hold", 1, HEAD + """local docs  = tm.split { tm.read { "corpus" }, valid = 0.1 }
local exam  = tm.evaluate { tm.model { "out/model" }, tasks = { text = tm.perplexity { docs.valid, length = 64 } } }
local good  = tm.gate { docs.train, on = exam, require = "text.bzip2_bits_per_byte < 0.01" }
return tm.graph { exam = exam, good = good, vocab = tm.train_tokenizer { good, size = 300 } }
""")
graph("two_nodes_that_fail", 1, HEAD + """local docs = tm.read { "corpus" }
local one = tm.exec { docs, program = { "false" } }
local two = tm.train_tokenizer { one, size = 300 }
return tm.graph { one = one, two = two }
""")


@case(5)
def memory_that_is_not_there(place):
    place.write("memory.lua", HEAD + """local docs  = tm.read { "corpus" }
local vocab = tm.train_tokenizer { docs, size = 300 }
local base  = tm.pretrain { tm.llama { layers = 8, width = 8192, heads = 8 }, tokenizer = vocab, data = docs, steps = 3 }
return tm.graph { base = base }
""")
    place.limit = (resource.RLIMIT_AS, 3 << 30)
    return "run", "memory.lua", "-q"


def plain(text, place):
    """Without what differs from run to run and from machine to machine."""
    text = text.replace(place.folder, "FOLDER")
    text = re.sub(r"\br\d+\b(?!9)", lambda m: m[0] if m[0] in ("r99",) else "rN", text)
    text = re.sub(r"\.[0-9a-f]{16}\.tmp\b", ".HASH.tmp", text)
    text = re.sub(r"/tmp/[0-9a-f]{16}-\d+\b", "/tmp/HASH", text)
    text = re.sub(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{2}/[0-9a-f]{30}\b", "HASH", text)
    text = re.sub(r"\b(gradient norm|loss) ([\d., ]+)", lambda m: m[1] + " " + re.sub(r"\d+(\.\d+)?", "N", m[2]), text)
    return re.sub(r"\b\d[\d.]* ([KMGT]B|bytes)", r"N \1", text)


class BadInputs(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.place = Workplace()
        cls.addClassCleanup(cls.place.remove)
        code, out, err = cls.place.tidemill("run", "graph.lua", "-q")
        assert code == 0, out + err

    def tidemill(self, args):
        store = () if "--store" in args or args[0] in ("rnu", "graph.lua", "gopher", "help") else ("--store", "store")
        fault, self.place.fault = getattr(self.place, "fault", None), None
        if fault and args:
            done = subprocess.run([FAULTY, args[0], *store, *args[1:]], cwd=self.place.folder, capture_output=True, text=True,
                                  timeout=60, env={**os.environ, "TIDEMILL_TEST_FAULT": fault})
            return done.returncode, done.stdout, done.stderr
        limit, self.place.limit = getattr(self.place, "limit", None), None
        before = limit and resource.getrlimit(limit[0])
        if limit:
            resource.setrlimit(limit[0], (limit[1], before[1]))
        try:
            return self.place.plain(args[0], *store, *args[1:])
        finally:
            if limit:
                resource.setrlimit(limit[0], before)

    def look(self, name):
        status, make = CASES[name]
        if name == "memory_that_is_not_there" and SANITIZED:
            self.skipTest("a sanitized program needs all addresses there are")
        code, _, err = self.tidemill(make(self.place))
        said, path = plain(err, self.place), os.path.join(FOLDER, name + ".expect")
        self.assertEqual(code, status, err)
        self.assertRegex(err, r"\Aerror\[TM\d{4}\] ")
        if UPDATE:
            with open(path, "w", encoding="utf-8") as file:
                file.write(said)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(said, file.read())

    def test_json_says_the_same(self):
        for args in (("rnu", "--json"), ("run", "graph.lua", "--json", "--keepgoing"), ("inspect", "r1:bsae", "--json"),
                     ("check", "grahp.lua", "--json")):
            code, out, err = self.tidemill(args)
            text = self.tidemill([argument for argument in args if argument != "--json"])
            error = json.loads(out)["error"]
            self.assertEqual((code, err), (text[0], ""))
            self.assertEqual(set(error), {"code", "severity", "what", "file", "line", "column", "end_line", "end_column", "why",
                                          "kept", "fix", "look"})
            self.assertTrue(text[2].startswith(f"error[{error['code']}] {error['what']}\n"), text[2])
            self.assertIn(f"\nfix    {error['fix']}\nlook   {error['look']}\n", text[2])

    def test_json_of_a_failed_run_has_what_is_kept(self):
        self.place.write("fails.lua", CASES_TEXT)
        code, out, err = self.tidemill(("run", "fails.lua", "--json"))
        answer = json.loads(out)
        self.assertEqual((code, err, answer["failed_node"]), (1, "", "out"))
        self.assertEqual({name: answer["error"][name] for name in ("code", "file", "line", "kept")},
                         {"code": "TM0415", "file": "fails.lua", "line": 3, "kept": "1 of 2 nodes done"})

    def test_the_document_that_made_a_loss_no_number_is_among_those_named(self):
        if not os.path.exists(self.place.path("poisoned.lua")):
            loss_that_becomes_no_number(self.place)
        self.tidemill(("run", "poisoned.lua", "-q"))
        _, out, _ = self.tidemill(("inspect", "read", "--grep", "Z", "--json"))
        records = json.loads(out)["records"]
        _, log, _ = self.tidemill(("logs", "tuned"))
        self.assertEqual([record["source"] for record in records], ["07.txt"])
        self.assertIn(f"step 9 had {records[0]['id']}\n", log)

    def test_every_expectation_is_of_a_case(self):
        self.assertEqual({name[:-7] for name in os.listdir(FOLDER)}, set(CASES))


CASES_TEXT = EXEC.replace("PROGRAM", 'program = { "false" }')
for one in CASES:
    setattr(BadInputs, f"test_{one}", lambda self, name=one: self.look(name))

if __name__ == "__main__":
    unittest.main()
