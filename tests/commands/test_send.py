#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs for other tools as far as no such tool is needed to look: traces, drawings of graphs, the page of metrics.

usage: test_send.py PROGRAM [unittest arguments]
"""
import html
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest
import urllib.error
import urllib.request
import zlib

from workplace import GRAPH, WithWorkplace


def crc32c(data):
    """Masked, as in event files."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class Sent(WithWorkplace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        code, out, err = cls.place.tidemill("run", "graph.lua", "--quiet")
        assert code == 0, out + err

    def test_a_trace_has_each_execution_once_and_lanes_do_not_overlap(self):
        said = json.loads(self.ok("send", "r1", "--to", "trace", "--json"))
        self.assertEqual(said["path"], "r1.trace.json")
        trace = json.loads(self.place.read("r1.trace.json"))
        spans = [e for e in trace["traceEvents"] if e["ph"] == "X"]
        status = json.loads(self.ok("status", "r1", "--json"))["nodes"]
        self.assertEqual(sorted(e["name"] for e in spans), sorted(status))
        lanes = {}
        for e in spans:
            self.assertGreaterEqual(e["dur"], 0)
            lanes.setdefault(e["tid"], set()).add((e["ts"], e["ts"] + e["dur"]))
        for lane in lanes.values():  # nodes of one group share their times
            ordered = sorted(lane)
            for (_, end), (begin, _) in zip(ordered, ordered[1:]):
                self.assertLessEqual(end, begin)
        named = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
        self.assertLessEqual(set(lanes), set(named))

    def test_counters_of_a_trace_end_where_they_began_and_metrics_are_among_them(self):
        self.ok("send", "r1", "here.json", "--to", "trace")
        events = json.loads(self.place.read("here.json"))["traceEvents"]
        running = [e["args"]["running"] for e in events if e["name"] == "executions"]
        self.assertGreater(max(running), 0)
        self.assertEqual(running[-1], 0)
        for name, unit in (("cores, at most", "lent"), ("memory, at most", "bytes")):
            values = [e["args"][unit] for e in events if e["name"] == name]
            self.assertGreater(max(values), 0)
            self.assertEqual(values[-1], 0)
        self.assertLessEqual(max(e["args"]["lent"] for e in events if e["name"] == "cores, at most"), os.cpu_count())
        losses = [e["args"]["value"] for e in events if e["name"] == "base train.loss"]
        self.assertEqual(len(losses), 2)
        times = [e["ts"] for e in events if e["ph"] != "M"]
        self.assertGreaterEqual(min(times), 0)

    def test_a_trace_goes_to_stdout_and_is_told_for_what_it_has(self):
        names = {e["name"] for e in json.loads(self.ok("send", "r1", "-", "--to", "trace"))["traceEvents"] if e["ph"] == "X"}
        self.assertFalse(os.path.exists(self.place.path("-")))
        self.assertIn(f"r1: when {len(names)} nodes ran, and what they measured, is in t.json\n",
                      self.ok("send", "r1", "t.json", "--to", "trace"))
        self.assertIn("stdout does not take", self.fails(2, "send", "r1", "-", "--to", "mlflow"))

    def test_a_tool_that_is_not_there_and_a_run_that_is_not_there_are_told(self):
        self.assertIn("did you mean wandb", self.fails(3, "send", "--to", "wandbb"))
        self.assertIn("tensorboard", self.fails(3, "send", "r1"))
        self.assertIn("r99", self.fails(2, "send", "r99", "--to", "trace"))
        self.place.write("file", "")
        self.assertIn("file", self.fails(1, "send", "r1", "file", "--to", "tensorboard"))

    # ---- files of other tools, whose own readers are asked in tests/parity/test_other_tools.py ----

    def notes(self):
        events = [json.loads(line) for line in self.ok("logs", "r1", "--json").splitlines()]
        return [e for e in events if e["event"] == "note"]

    def event_records(self, folder):
        """{node: [record]} of the event files below a folder, their sums checked."""
        self.assertEqual(crc32c(b"123456789"), ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF)
        found = {}
        for path in self.place.files(folder):
            with open(path, "rb") as file:
                data, at, records = file.read(), 0, []
            while at < len(data):
                size, head_sum = struct.unpack_from("<QI", data, at)
                record, (record_sum,) = data[at + 12:at + 12 + size], struct.unpack_from("<I", data, at + 12 + size)
                self.assertEqual((head_sum, record_sum), (crc32c(data[at:at + 8]), crc32c(record)), path)
                records.append(record)
                at += size + 16
            found[os.path.relpath(os.path.dirname(path), self.place.path(folder))] = records
        return found

    def test_event_files_have_a_record_for_each_value_and_right_sums(self):
        sent = self.ok("send", "r1", "tb", "--to", "tensorboard") and self.event_records("tb/r1")
        live = self.event_records("store/runs/r1/tensorboard")
        notes = [note["node"] for note in self.notes()]
        self.assertGreater(len(notes), 3)
        for node in set(notes):
            self.assertEqual(len(live[node]) - 1, notes.count(node))  # the first names the version
            self.assertGreaterEqual(len(sent[node]), len(live[node]))
            self.assertIn(b"brain.Event:2", live[node][0])
        self.assertIn(b"_hparams_/session_end_info", live["."][-1])
        self.assertTrue(any(b"train/loss" in record for record in live["base"]))

    def test_an_mlflow_store_has_each_point_once_however_often_it_is_sent(self):
        for _ in range(2):
            self.ok("send", "r1", "mlruns", "--to", "mlflow")
        (path,) = [path for path in self.place.files("mlruns") if path.endswith("metrics/base/train.loss")]
        lines = [line.split() for line in self.place.read(path).splitlines()]
        wanted = [n for n in self.notes() if (n["node"], n["name"]) == ("base", "train.loss")]
        self.assertEqual([int(step) for _, _, step in lines], [n["step"] for n in wanted])
        for (time_ms, value, _), note in zip(lines, wanted):
            self.assertAlmostEqual(float(value), note["value"], places=12)
            self.assertEqual(int(time_ms), note["t"])
        (steps,) = [path for path in self.place.files("mlruns") if path.endswith("params/steps")]
        self.assertEqual(self.place.read(steps), "20")

    def test_a_wandb_log_has_blocks_and_right_sums(self):
        self.ok("send", "r1", "wandb", "--to", "wandb")
        (path,) = [path for path in self.place.files("wandb") if path.endswith(".wandb")]
        with open(path, "rb") as file:
            data = file.read()
        self.assertEqual(data[:7], b":W&B\xe1\xbe\0")
        at, text = 7, b""
        while at < len(data):
            if 32768 - at % 32768 < 7:
                at += 32768 - at % 32768
            total, size, kind = struct.unpack_from("<IHB", data, at)
            self.assertEqual(total, zlib.crc32(bytes([kind]) + data[at + 7:at + 7 + size]))
            text += data[at + 7:at + 7 + size]
            at += 7 + size
        for note in self.notes():
            self.assertIn(f"{note['node']}/{note['name'].replace('.', '/')}".encode(), text)

    def test_the_dot_of_a_number_in_a_name_parts_nothing(self):
        self.place.write("sweep.lua", self.place.read("graph.lua").replace("local base  = tm.pretrain", '''
local base = tm.sweep({ lr = { 0.01, 0.5 } }, function(s) return tm.pretrain''').replace("lr = p.lr, checkpoint_every = 10 }",
                         "lr = s.lr, checkpoint_every = 10 } end)").replace("base:each {}", "base").replace("model = model", "")
                         .replace('local model = tm.export { base, format = "hf", to = "out/model" }\n', ""))
        self.ok("run", "sweep.lua", "--quiet", "--set", "steps=10")
        run = json.loads(self.ok("runs", "--json"))["runs"][-1]["run"]
        self.ok("send", run, "swept", "--to", "wandb")
        (path,) = [path for path in self.place.files("swept") if path.endswith(".wandb")]
        with open(path, "rb") as file:
            data = file.read()
        self.assertIn(b"lr_0.01/train/loss", data)
        self.assertNotIn(b"lr_0/01", data)

        self.ok("send", run, "tags", "--to", "tensorboard")
        records = b"".join(record for found in self.event_records("tags").values() for record in found)
        self.assertIn(b"lr=0.01/text.bits_per_byte", records)
        self.assertNotIn(b"lr=0/01", records)

    # ---- drawings ----

    def links(self):
        nodes = json.loads(self.ok("graph", "graph.lua", "--json"))["nodes"]
        return sorted((link["from"], node["name"]) for node in nodes for link in node["inputs"])

    def test_a_mermaid_drawing_has_all_nodes_and_links(self):
        lines = self.ok("graph", "graph.lua", "--mermaid").splitlines()
        self.assertEqual(lines[0], "flowchart LR")
        names, links = {}, []
        for line in lines[1:]:
            node = re.fullmatch(r'  (n\d+)\["([^"]*)<br>([^"]*)"\]', line)
            link = re.fullmatch(r'  (n\d+) -->\|"([^"]+)"\| (n\d+)', line)
            self.assertTrue(node or link, line)
            if node:
                names[node[1]] = html.unescape(node[2].replace("#", "&#"))
            else:
                links.append((names[link[1]], names[link[3]]))
        self.assertEqual(sorted(links), self.links())

    def test_graphviz_takes_the_drawing_and_it_has_all_nodes_and_links(self):
        text = self.ok("graph", "graph.lua", "--dot")
        names = set(re.findall(r'^  "([^"]*)" \[label="', text, re.M))
        links = re.findall(r'^  "([^"]*)" -> "([^"]*)" \[label="', text, re.M)
        self.assertLessEqual({name for link in links for name in link}, names)
        self.assertEqual(sorted(links), self.links())
        if shutil.which("dot"):
            done = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.count('class="node"'), len(names))

    # ---- the page of metrics ----

    def serve(self, *args):
        process = self.place.start("metrics", *args, "--listen", "127.0.0.1:0")
        self.addCleanup(self.end, process)
        said = process.stderr.readline()
        return re.search(r"http://127\.0\.0\.1:(\d+)/metrics", said)[0], process

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=20), 0)
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()

    def get(self, url):
        with urllib.request.urlopen(url, timeout=20) as answer:
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
            return answer.read().decode()

    def test_the_page_is_that_of_the_command_and_there_is_no_other(self):
        url, _ = self.serve("r1")
        self.assertEqual(self.get(url), self.ok("metrics", "r1"))
        self.assertEqual(self.get(url + "?x=1"), self.ok("metrics", "r1"))
        for other, data, code in (("/", None, 404), ("/metricsx", None, 404), ("/metrics", b"x", 405)):
            with self.assertRaises(urllib.error.HTTPError) as failed:
                urllib.request.urlopen(url.replace("/metrics", other), data, timeout=20)
            self.assertEqual(failed.exception.code, code)
            failed.exception.close()

    def test_a_run_is_seen_while_it_goes_on(self):
        waits = 'tm.exec { docs.train, program = { "sh", "-c", "cat; until test -e go; do sleep 0.02; done" } }'
        self.place.write("slow.lua", GRAPH.replace("return tm.graph { ", f"return tm.graph {{ slow = {waits}, "))
        url, _ = self.serve()
        run = self.place.start("run", "slow.lua", "--quiet")
        try:
            page = ""
            for _ in range(3000):
                try:
                    page = self.get(url)
                except urllib.error.HTTPError as error:  # of a run that has just got its number there is no record yet
                    self.assertEqual(error.code, 503)
                if 'node="slow",stage="exec",state="running"' in page:
                    break
                time.sleep(0.02)
            self.assertRegex(page, r'tidemill_run_info\{run="r\d+",graph="slow.lua",status="running"\} 1')
            self.assertIn('tidemill_nodes{state="running"} ', page)
        finally:
            self.place.write("go", "")
            out, err = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, out + err)
        self.assertIn('status="done"', self.get(url))

    def test_a_run_that_did_nothing_has_the_metrics_of_its_results_all_of_them(self):
        def metrics(run):
            return [line for line in self.ok("metrics", run).splitlines() if line.startswith("tidemill_metric{")]
        self.ok("run", "graph.lua", "--quiet")
        again = json.loads(self.ok("runs", "--json"))["runs"][-1]
        self.assertEqual(again["done"], 0)
        names = {name for line in metrics(again["run"]) for name in re.findall('node="curve",name="([^"]*)"', line)}
        self.assertLessEqual({"text.bits_per_byte", "text.loss", "text.perplexity"}, names)
        self.assertEqual(metrics(again["run"]), metrics("r1"))

    def test_clients_that_say_nothing_or_too_much_do_not_hold_the_server(self):
        url, _ = self.serve("r1")
        port = int(re.search(r":(\d+)/", url)[1])
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(80)]
        self.assertIn("tidemill_run_info", self.get(url))
        with socket.create_connection(("127.0.0.1", port)) as loud:
            loud.settimeout(20)
            loud.sendall(b"GET /metrics HTTP/1.1\r\nX: ".ljust(8191, b"x"))
            self.assertIn(b" 431 ", loud.recv(4096))
        self.assertIn("tidemill_run_info", self.get(url))
        for one in silent:
            one.close()

    def test_an_address_that_cannot_be_listened_at_is_told(self):
        self.assertIn("HOST:PORT", self.fails(2, "metrics", "--listen", "here"))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.assertIn("in use", self.fails(1, "metrics", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
