# SPDX-License-Identifier: Apache-2.0
"""Drives the program toymill: graphs of toy stages, their plans and runs, and what a store's journals say.

Times in seconds. Stores lie in memory (/dev/shm) where there is one, so that tests measure the engine and not a disk;
TM_FOLDER names another place.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOYMILL = os.environ.get("TOYMILL", "toymill")
SEED = int(os.environ.get("TM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)


class Node:
    """A node of a graph; `out` and `select` say what a link to it takes."""

    def __init__(self, id, out="", select=None):
        self.id, self.out, self.select = id, out, select

    def port(self, out):
        return Node(self.id, out)

    def each(self, every=0):
        return Node(self.id, self.out, {"kind": "each", "every": every})

    def best(self, metric):
        return Node(self.id, self.out, {"kind": "best", "metric": metric})

    def at(self, step):
        return Node(self.id, self.out, {"kind": "at", "at": step})

    def ref(self):
        ref = {"node": self.id, "out": self.out}
        if self.select:
            ref["select"] = self.select
        return {"$ref": ref}


def argument(value):
    return value.ref() if isinstance(value, Node) else value


class Graph:
    """What evaluating a graph file gives. add("mark", x, with_="a") is tm.mark { x, with = "a" }."""

    def __init__(self):
        self.nodes, self.targets = [], []

    def add(self, stage, *main, name=None, store=False, at=None, **args):
        given = {str(i + 1): argument(value) for i, value in enumerate(main)}
        given.update({key.rstrip("_"): argument(value) for key, value in args.items()})
        node = {"id": len(self.nodes), "stage": stage, "line": len(self.nodes) + 1, "file": "g", "args": given}
        if store:
            node["store"] = True
        if at:
            node["at"] = at
        self.nodes.append(node)
        if name:
            self.target(name, Node(node["id"]))
        return Node(node["id"])

    def target(self, name, node):
        self.targets.append([name, {"node": node.id, "out": node.out}])

    def data(self):
        return {"nodes": self.nodes, "targets": self.targets}


class Result:
    """What toymill printed."""

    def __init__(self, code, text, errors):
        self.code, self.errors = code, errors
        data = json.loads(text) if text.strip() else {}
        self.status = data.get("status")
        self.error = data.get("error", "")
        self.run = data.get("run")
        self.executed = data.get("executed", [])
        self.outputs = data.get("outputs", {})
        self.events = data.get("events", [])
        self.plan = Plan(data.get("plan") or data)

    def seen(self, event):
        return [fields for name, fields in self.events if name == event]


class Plan:
    """State and reason per node; nodes that are the same work as another one are left out."""

    def __init__(self, data):
        nodes = data.get("nodes", {})
        self.all = nodes
        self.nodes = {name: node for name, node in nodes.items() if "same" not in node}

    def state(self, name):
        return self.nodes[name]["state"]

    def reason(self, name):
        return self.nodes[name]["reason"]

    def maybe(self):
        return {name for name, node in self.nodes.items() if node["state"] == "maybe"}

    def run(self):
        return {name for name, node in self.nodes.items() if node["state"] not in ("cached", "maybe")}


class Gate:
    """A file that says how many chunks or steps a stage may make (option `gate`); without it: none."""

    def __init__(self, path):
        self.path = path

    def open(self, count=1 << 30):
        with open(self.path + ".new", "w") as file:
            file.write("%d\n" % count)
        os.replace(self.path + ".new", self.path)

    def reached(self):
        """Wait until a stage waits."""
        wait_until(lambda: os.path.exists(self.path + ".waits"), what="a stage at the gate")


class Mill:
    """A store and the program that works in it."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.store, self.count = folder, os.path.join(folder, "store"), 0

    def write(self, graph):
        self.count += 1
        path = os.path.join(self.folder, "g%d.json" % self.count)
        with open(path, "w") as file:
            json.dump(graph.data(), file)
        return path

    def command(self, verb, graph, *options):
        return [TOYMILL, verb, self.store, self.write(graph), *map(str, options)]

    def call(self, verb, graph, *options, timeout=120):
        done = subprocess.run(self.command(verb, graph, *options), capture_output=True, text=True, timeout=timeout)
        if done.returncode < 0:
            raise AssertionError("toymill died of signal %d: %s" % (-done.returncode, done.stderr[-2000:]))
        if "Sanitizer" in done.stderr or "runtime error" in done.stderr:
            raise AssertionError(done.stderr[:4000])
        return Result(done.returncode, done.stdout, done.stderr)

    def plan(self, graph, *options):
        return self.call("plan", graph, *options).plan

    def run(self, graph, *options, timeout=120):
        return self.call("run", graph, "-v", *options, timeout=timeout)

    def start(self, graph, *options, **environment):
        """A run in the background, its workers in its process group or in groups of their own."""
        return subprocess.Popen(self.command("run", graph, "-v", *options), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})

    def finish(self, process, timeout=120):
        text, errors = process.communicate(timeout=timeout)
        return Result(process.returncode, text, errors)

    def check(self):
        """gc without grace, then verify: what is left, and what is wrong with it."""
        done = subprocess.run([TOYMILL, "check", self.store, "-"], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise AssertionError("check: " + done.stderr)
        return json.loads(done.stdout)

    def entries(self, artifact):
        """Hashes of the entries of an artifact."""
        done = subprocess.run([TOYMILL, "entries", self.store, artifact], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)

    def lose(self, hashes):
        """Remove objects, as a disk would."""
        for name in hashes:
            path = os.path.join(self.store, "objects", name[:2], name[2:])
            os.remove(path if os.path.exists(path) else path + ".z")

    def entries_of(self, node, run=None):
        """How many entries of a node's main port a run's journal has."""
        return sum(r["event"] == "entry" and r["node"] == node and not r.get("port") for r in self.journal(run))

    def has(self, event, run=None):
        return any(r["event"] == event for r in self.journal(run))

    def journal(self, run=None):
        """The whole lines of a run's journal (default: the latest run); none if there is none yet."""
        runs = os.path.join(self.store, "runs")
        found = sorted(os.listdir(runs), key=lambda name: int(name[1:])) if os.path.isdir(runs) else []
        path = os.path.join(runs, run or (found or ["r0"])[-1], "journal")
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return [json.loads(line[17:]) for line in file if line.endswith("\n")]


def workers_of(pid):
    """Processes whose parent is `pid`."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            return [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(true, seconds=100, what="it"):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError("waited %g s for %s" % (seconds, what))
        time.sleep(0.005)


def sanitized():
    """Whether toymill was built with a sanitizer, which needs memory of its own."""
    with open(TOYMILL, "rb") as file:
        return b"__asan_init" in file.read()


def sanitizer_reports(folder):
    """What sanitizers wrote into the logs of workers."""
    for path, _, files in os.walk(folder):
        for name in files:
            if name.startswith("worker."):
                with open(os.path.join(path, name), errors="replace") as file:
                    text = file.read()
                if "Sanitizer" in text or "runtime error" in text:
                    yield text


class Case(unittest.TestCase):
    """A test with a folder of its own; `mill()` gives a new store in it."""

    def setUp(self):
        where = os.environ.get("TM_FOLDER") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.folder = tempfile.mkdtemp(prefix="tidemill-test-", dir=where)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.mills = self.gates = 0

    def tearDown(self):
        for text in sanitizer_reports(self.folder):
            self.fail(text[:4000])

    def mill(self):
        self.mills += 1
        return Mill(os.path.join(self.folder, "m%d" % self.mills))

    def gate(self):
        self.gates += 1
        return Gate(os.path.join(self.folder, "gate%d" % self.gates))

    def fresh(self, graph):
        """Outputs of a graph in a store of its own."""
        mill = self.mill()
        result = mill.run(graph)
        self.assertEqual(result.status, "OK", result.error)
        shutil.rmtree(mill.folder)
        return result.outputs

    def ok(self, result):
        self.assertEqual(result.status, "OK", "%s %s" % (result.error, result.errors))
        return result

    def kill(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def main():
    print("seed %d (set TM_SEED to repeat)" % SEED, file=sys.stderr)
    unittest.main(verbosity=2)
