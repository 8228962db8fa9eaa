#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs as stages: what goes in and comes out, what counts, how they fail, and that nothing of them is left.

usage: test_exec.py PROGRAM
"""
import json
import os
import signal
import time
import unittest

from workplace import WithWorkplace

HEAD = 'local tm = require "tidemill"\nlocal docs = tm.read { "corpus/0*.txt" }\n'
TAG = """import json, os, sys
rows = [json.loads(line) for line in sys.stdin]
print("seen", len(rows), os.environ.get("MODE"), file=sys.stderr)
for row in reversed(rows):
    for k in range(int(row["source"][1]) % 3):
        print(json.dumps({"id": row["id"], "text": row["source"] + " " + str(k), "meta": {"k": k}}))
"""
# Starts itself in a new session, and that once more; both ignore signals and keep the standard output open.
APART = """import os, signal, subprocess, sys, time
level = len(sys.argv)
if level < 3:
    subprocess.Popen([sys.executable, __file__, *["x"] * level], start_new_session=True)
if level > 1:
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    with open("apart", "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(300)
while not os.path.exists("apart") or len(open("apart").readlines()) < 2:
    time.sleep(0.01)
"""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


class Programs(WithWorkplace):
    def graph(self, name, body, head=HEAD):
        self.place.write(name, head + f"return tm.graph {{ out = {body} }}\n")
        return name

    def program(self, name, text, kind="sh"):
        heads = {"sh": "#!/bin/sh\n", "python": "#!/usr/bin/env python3\n"}
        self.place.write(name, heads[kind] + text)
        os.chmod(self.place.path(name), 0o755)

    def records(self, node="out"):
        return self.json("inspect", node, "-n", "100")["records"]

    def test_answers_come_back_in_order_numbered_or_removed(self):
        self.place.write("tag.py", TAG)
        self.ok("run", self.graph("tag.lua", 'tm.exec { docs, program = { "python3", "tag.py" }, env = { MODE = "fast" } }'),
                "-q")
        kept = self.records()
        expected = [f"0{i}.txt {k}" for i in range(10) for k in range(i % 3)]
        self.assertEqual([record["text"] for record in kept], expected)
        self.assertEqual([record["id"].partition("#")[2] for record in kept], ["", "1", "2"] * 3)
        self.assertEqual(kept[1]["meta"], {"k": 0})
        self.assertEqual([record["source"] for record in self.records("out.removed")],
                         ["00.txt", "03.txt", "06.txt", "09.txt"])
        self.assertIn("seen 10 fast", self.ok("logs", "out"))

    def test_arguments_environment_and_files_beside_the_graph_count(self):
        self.place.write("count.py", TAG)
        self.place.write("words.txt", "one\n")
        body = 'tm.exec { docs, program = { "python3", "count.py" }, files = { "words.txt" }, env = { MODE = "a" } }'
        state = lambda text=body: self.json("plan", self.graph("count.lua", text))["nodes"]["out"]
        self.ok("run", self.graph("count.lua", body), "-q")
        self.assertEqual(state()["state"], "cached")
        self.assertIn("env MODE", state(body.replace('"a"', '"b"'))["reason"])
        self.assertIn("program", state(body.replace('.py" }', '.py", "-v" }'))["reason"])
        self.place.write("count.py", TAG + "# more\n")
        self.assertIn("files count.py", state()["reason"])
        self.place.write("count.py", TAG)
        self.place.write("words.txt", "two\n")
        self.assertIn("files words.txt", state()["reason"])

    def test_the_script_of_an_interpreter_counts_wherever_it_lies(self):
        self.place.write("elsewhere/away.py", TAG)
        script = self.place.path("elsewhere/away.py")
        name = self.graph("away.lua", f'tm.exec {{ docs, program = {{ "python3", "-u", "{script}" }} }}')
        self.ok("run", name, "-q")
        self.place.write("elsewhere/away.py", TAG + "# more\n")
        node = self.json("plan", name)["nodes"]["out"]
        self.assertEqual(node["state"], "run")
        self.assertIn("away.py", node["reason"])

    def test_arguments_that_only_look_like_a_script_need_not_be_there(self):
        for i, program in enumerate(('"python3", "-c", "pass", "gone.py"', '"sh", "-ec", "cat; : $0", "gone.sh"',
                                     '"cat", "-", "gone.py"', '"env", "A=1", "sort", "gone.sh"', '"bash", "--norc", "gone.sh"',
                                     '"python3", "-m", "gone.py"', '"python3", "{in}.py", "{out}"')):
            io = ', io = "files"' if "{in}" in program else ""
            self.ok("check", self.graph(f"looks{i}.lua", f"tm.exec {{ docs, program = {{ {program} }}{io} }}"))

    def test_a_program_that_blocks_while_it_is_written_to_is_read(self):
        for i in range(30):
            self.place.write(f"big/{i:02}.txt", f"{i} " + "x" * 200000)
        self.program("noise.py", "import sys\nfor line in sys.stdin:\n    sys.stderr.write('y' * 100000 + '\\n')\n"
                     "    sys.stdout.write(line)\n", "python")
        self.ok("run", self.graph("noise.lua", 'tm.exec { tm.read { "big/*.txt" }, program = { "noise.py" } }'), "-q")
        self.assertEqual(len(self.records()), 30)

    def test_one_that_reads_nothing_is_no_failure(self):
        self.program("deaf.sh", "exit 0\n")
        self.place.write("deaf.lua", HEAD + 'local out = tm.exec { docs, program = { "deaf.sh" } }\n'
                         'return tm.graph { out = out, fixed = tm.fix_unicode { out },\n'
                         '  vocab = tm.train_tokenizer { tm.fix_unicode { out }, size = 300 },\n'
                         '  some = tm.exec { docs, program = { "head", "-n", "1" } },\n'
                         '  file = tm.exec { docs, io = "files", program = { "sh", "-c", ": > $0", "{out}" } } }\n')
        told = self.ok("run", "deaf.lua", "fixed", "some", "file")
        self.assertIn("warning: out: none of 10 records came out (no_answer 10) (tidemill inspect out.removed)\n", told)
        self.assertIn("warning: file: none of 10 records came out (tidemill logs file)\n", told)
        self.assertEqual(told.count("came out"), 2)
        self.assertEqual(len(self.records("out.removed")), 10)
        err = self.fails(1, "run", "deaf.lua", "vocab", "-q")
        self.assertIn("vocab: there are no documents to learn from\n", err)
        self.assertIn("why    out: none of 10 records came out (no_answer 10)\n", err)
        self.assertRegex(err, r"fix    mend out: `tidemill inspect r\d+:out.removed` shows what became of its records\n")

    def test_status_75_is_tried_again_as_often_as_retries_says(self):
        self.program("later.sh", 'n=$(($(cat later.n 2>/dev/null || echo 0) + 1)); echo $n > later.n\n'
                     '[ $n -ge 4 ] || { echo "not yet" >&2; exit 75; }\ncat\n')
        graph = self.graph("later.lua", 'tm.exec { docs, program = { "later.sh" }, at = { retries = 1 } }')
        err = self.fails(1, "run", graph, "-q", store="later")
        self.assertIn("later.sh asks to be tried again (exit status 75): not yet", err)
        self.ok("run", self.graph("later.lua", 'tm.exec { docs, program = { "later.sh" }, at = { retries = 3 } }'), "-q",
                store="later")
        self.assertEqual(self.place.read("later.n").strip(), "4")

    def test_another_status_fails_with_its_last_words(self):
        self.program("bad.sh", "echo first >&2\necho last words >&2\nexit 3\n")
        err = self.fails(1, "run", self.graph("bad.lua", 'tm.exec { docs, program = { "bad.sh" } }'), "-q", store="bad")
        self.assertIn("bad.sh ended with exit status 3\n", err)
        self.assertIn("why    its last words: first\n       last words\n", err)
        lines = "".join(f"echo {i} {'x' * 70} >&2\n" for i in range(7))
        self.program("long.sh", lines + "echo the reason >&2\nexit 1\n")
        err = self.fails(1, "run", self.graph("long.lua", 'tm.exec { docs, program = { "long.sh" } }'), "-q", store="bad")
        self.assertIn("why    its last words: 1 xxx", err)
        self.assertIn("x\n       the reason\n", err)
        self.ok("report", "--out", "long.html", store="bad")
        self.assertRegex(self.place.read("long.html"),
                         r'<p class="words"><strong>why</strong> its last words: 1 x+\n[^<]*x\nthe reason</p>')
        self.program("shot.sh", "kill -SEGV $$\n")
        err = self.fails(1, "run", self.graph("shot.lua", 'tm.exec { docs, program = { "shot.sh" } }'), "-q", store="bad")
        self.assertIn("shot.sh was ended by signal 11", err)

    def test_answers_that_cannot_be_used_are_named_with_their_line(self):
        for answer, said in (('{"id": "x", "text": ""}', 'no record of its input has the id "x"'), ("text", "wrong JSON"),
                             ('{"text": "x"}', 'there is no "id"'), ('{"id": 5}', '"id" is no text'), ("[1]", "no JSON object"),
                             ('{"id": "x", "text": "", "score": 1}', 'a record has no field "score"')):
            self.program("odd.sh", f"cat > /dev/null\necho\ncat << 'END'\n{answer}\nEND\n")
            err = self.fails(1, "run", self.graph("odd.lua", 'tm.exec { docs, program = { "odd.sh" } }'), "-q", store="odd")
            self.assertIn("odd.sh: line 2 of what it gave", err)
            self.assertIn(said, err)

    def test_a_program_always_gets_meta_data_be_they_empty(self):
        self.program("size.py", "import json, sys\nfor line in sys.stdin:\n    row = json.loads(line)\n"
                     "    row['meta']['chars'] = len(row['text'])\n    print(json.dumps(row))\n", "python")
        self.ok("run", self.graph("size.lua", 'tm.exec { docs, program = { "size.py" } }'), "-q", store="size")
        for record in self.json("inspect", "out", "-n", "100", "--full", store="size")["records"]:
            self.assertEqual(record["meta"], {"chars": len(record["text"])})

    def test_files_go_in_and_come_out(self):
        self.program("pack.sh", 'echo packing "$1"\ncp "$1" "$2/data.jsonl"\n')
        self.graph("files.lua", 'tm.exec { docs, program = { "pack.sh", "{in}", "{out}" }, io = "files", gives = "folder" }, '
                   'sorted = tm.exec { docs, program = { "sort", "-r", "--output={out}", "{in}" }, io = "files" }')
        self.ok("run", "files.lua", "-q")
        self.ok("get", "out", self.place.path("packed"))
        lines = self.place.read("packed/data.jsonl").splitlines()
        self.assertEqual([json.loads(line)["source"] for line in lines], [f"0{i}.txt" for i in range(10)])
        ids = [record["id"] for record in self.records("sorted")]
        self.assertEqual(ids, sorted(ids, reverse=True))
        self.assertIn("packing ", self.ok("logs", "out"))
        self.assertEqual(os.listdir(self.place.path("store/tmp")), [])

    def test_a_folder_that_lacks_what_it_must_hold_is_refused(self):
        graph = self.graph("empty.lua", 'tm.exec { docs, program = { "true", "{out}" }, io = "files", gives = "model" }')
        self.assertIn("true wrote no file into {out}", self.fails(1, "run", graph, "-q", store="empty"))
        self.program("half.sh", "touch $1/weights\n")
        graph = self.graph("half.lua", 'tm.exec { docs, program = { "half.sh", "{out}" }, io = "files", gives = "model" }')
        self.assertIn("half.sh wrote no config.json", self.fails(1, "run", graph, "-q", store="empty"))

    def test_a_model_or_tokenizer_that_cannot_be_opened_is_the_programs_fault(self):
        self.program("nonsense.sh", 'echo "{" > $1/tokenizer.json; echo "[1]" > $1/config.json; echo x > $1/model.safetensors\n')
        for gives, file in (("model", "{out}/model.safetensors"), ("tokenizer", "tokenizer.json: line 2")):
            graph = self.graph(gives + ".lua", 'tm.exec { docs, program = { "nonsense.sh", "{out}" }, io = "files", '
                               f'gives = "{gives}" }}')
            err = self.fails(1, "run", graph, "-q", store="nonsense")
            self.assertIn(f"error[TM0416] out: nonsense.sh wrote a {gives} into {{out}} that cannot be used: {file}", err)
            self.assertIn("mend the program", err)
            self.assertNotIn("sound file", err)

    def test_conversations_are_lines_with_messages(self):
        self.program("turn.py", "import json, sys\nfor line in sys.stdin:\n    row = json.loads(line)\n"
                     "    row['messages'].append({'content': 'yes', 'role': 'assistant'})\n"
                     "    print(json.dumps(row))\n", "python")
        head = HEAD + """local ask = tm.stage { name = "ask", gives = "chat", each = function(doc, o, emit)
  emit { messages = { { role = "user", content = doc.source } } } end }
"""
        self.ok("run", self.graph("turn.lua", 'tm.exec { ask { docs }, program = { "turn.py" }, takes = "chat", gives = "chat" }',
                                  head), "-q")
        self.assertEqual(self.records()[0]["text"], '{"messages":[{"role":"user","content":"00.txt"},'
                         '{"role":"assistant","content":"yes"}]}')

    def test_a_secret_is_in_no_key_and_must_be_set(self):
        self.program("key.sh", 'echo "key is $KEY" >&2\ncat\n')
        graph = self.graph("key.lua", 'tm.exec { docs, program = { "key.sh" }, env = { KEY = tm.secret "TM_TEST_KEY" } }')
        self.assertIn("the secret TM_TEST_KEY is not set", self.fails(1, "run", graph, "-q", store="key"))
        os.environ["TM_TEST_KEY"] = "first"
        self.addCleanup(os.environ.pop, "TM_TEST_KEY")
        self.ok("run", graph, "-q", store="key")
        self.assertIn("key is first", self.ok("logs", "out", store="key"))
        os.environ["TM_TEST_KEY"] = "second"
        self.assertEqual(self.json("plan", graph, store="key")["nodes"]["out"]["state"], "cached")

    def start_sleeper(self, store):
        """A run whose program sleeps, with a child of its own; the pids of both."""
        self.program("sleeper.sh", "rm -f pids.tmp; sleep 300 &\necho $$ $! > pids.tmp; mv pids.tmp pids\nwait\n")
        if os.path.exists(self.place.path("pids")):
            os.unlink(self.place.path("pids"))
        process = self.place.start("run", self.graph("sleep.lua", 'tm.exec { docs, program = { "sleeper.sh" } }'), "-q",
                                   store=store)
        end = time.monotonic() + 30
        while not os.path.exists(self.place.path("pids")) and time.monotonic() < end:
            time.sleep(0.05)
        return process, [int(pid) for pid in self.place.read("pids").split()]

    def wait_until_gone(self, pids):
        end = time.monotonic() + 15
        while any(alive(pid) for pid in pids) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual([pid for pid in pids if alive(pid)], [])

    def test_nothing_of_it_outlives_a_killed_scheduler(self):
        process, pids = self.start_sleeper("killed")
        self.assertTrue(all(alive(pid) for pid in pids))
        process.kill()
        process.communicate()
        self.wait_until_gone(pids)

    def test_ctrl_c_ends_it(self):
        process, pids = self.start_sleeper("stopped")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.wait_until_gone(pids)

    def test_what_it_leaves_in_the_background_ends_with_it(self):
        self.program("leave.sh", "sleep 300 > /dev/null 2>&1 &\necho $! > left\ncat\n")
        self.ok("run", self.graph("leave.lua", 'tm.exec { docs, program = { "leave.sh" } }'), "-q")
        self.wait_until_gone([int(self.place.read("left"))])

    def test_what_it_starts_in_sessions_of_their_own_ends_with_it(self):
        self.program("apart.py", APART, "python")
        self.ok("run", self.graph("apart.lua", 'tm.exec { docs, program = { "apart.py" } }'), "-q")
        pids = [int(pid) for pid in self.place.read("apart").split()]
        self.assertEqual(len(pids), 2)
        self.wait_until_gone(pids)


if __name__ == "__main__":
    unittest.main(verbosity=2)
