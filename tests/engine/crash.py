# SPDX-License-Identifier: Apache-2.0
"""Killed at random times: whatever dies, running again finishes the work with the same bytes, and does nothing twice."""

import os
import random
import signal
import time

import drive
from drive import Graph

TRIALS = int(os.environ.get("TM_TRIALS", "20"))


def graph():
    """About a second of every kind of work."""
    g = Graph()
    numbers = g.add("numbers", to=200, delay_ms=15, name="numbers")
    fused = g.add("mark", g.add("mark", numbers, with_="a", delay_ms=5), with_="b", drop="3a", name="marked")
    g.add("both", fused, with_=g.add("gather", fused, delay_ms=100, name="sum"), name="joined")
    model = g.add("learn", data=fused, steps=80, delay_ms=6, every=10, name="model")
    g.add("score", model.each(), delay_ms=10, name="scores")
    return g


def training(gate=""):
    g = Graph()
    g.add("learn", data=g.add("numbers", to=50, name="numbers"), steps=100, every=30, gate=gate, name="model")
    return g


def sealed(journal):
    return {node for r in journal if r["event"] == "sealed" for node in r["nodes"]}


def last_step(journal):
    return max([r.get("step", 0) for r in journal if r["event"] in ("entry", "kept") and r["node"] == "model"] or [0])


def start_steps(events):
    return [int(f["text"].split()[-1]) for name, f in events if name == "log" and "start at" in f["text"]]


class Crash(drive.Case):
    def clean(self, mill):
        """Nothing is damaged, and gc leaves nothing of those that died."""
        mill.check()
        found = mill.check()
        self.assertEqual((found["corrupt"], found["incomplete"], found["bad_bytes"]), (0, 0, 0))
        self.assertEqual(found["tmp"], 0)
        self.assertEqual(os.listdir(os.path.join(mill.store, "tmp")), [])

    def gone(self, pids):
        """Soon, by themselves: what they work on would take them 20 s more."""
        drive.wait_until(lambda: not any(map(drive.alive, pids)), 10, "the end of workers %s" % pids)

    def test_killed_at_random_times_a_rerun_finishes_with_the_same_bytes(self):
        rng = random.Random(drive.SEED)
        mill = self.mill()
        begin = time.monotonic()
        expected = self.ok(mill.run(graph())).outputs
        length = time.monotonic() - begin
        for trial in range(TRIALS):
            whom = rng.choice(["scheduler", "scheduler", "worker"])
            self.trial(whom, rng.uniform(0, length), rng, expected, "trial %d of seed %d: %s" % (trial, drive.SEED, whom))

    def trial(self, whom, after, rng, expected, what):
        mill = self.mill()
        process = mill.start(graph())
        time.sleep(after)
        workers = drive.workers_of(process.pid)
        if whom == "worker":
            if workers:
                self.kill(rng.choice(workers))
            result = mill.finish(process)
            self.assertEqual(result.status, "OK", what + result.error)
        else:
            process.kill()
            process.communicate()
            self.gone(workers)
            journal = mill.journal()
            held = mill.plan(graph()).state("model")
            result = mill.run(graph())
            self.assertEqual(result.status, "OK", what + result.error)
            self.assertEqual(sealed(journal) & set(result.executed), set(), what)
            if held.startswith("resume from ") and "model" in result.executed:
                self.assertEqual(start_steps(result.events)[0], int(held.split()[-1]), what)
        self.assertEqual(result.outputs, expected, what)
        self.clean(mill)

    def test_killed_again_and_again_a_run_gets_to_its_end(self):
        rng = random.Random(drive.SEED + 1)
        mill, runs = self.mill(), 0
        while True:
            process = mill.start(graph())
            time.sleep(rng.uniform(0.1, 0.6) * (1 + runs / 10))  # a slow machine gets there too
            runs += 1
            self.assertLess(runs, 40)
            if process.poll() is not None:
                result = mill.finish(process)
                break
            process.kill()
            process.communicate()
        self.ok(result)
        self.assertEqual(result.outputs, self.fresh(graph()))
        self.clean(mill)

    def test_entries_mapped_before_a_kill_are_remembered(self):
        def slow():
            g = Graph()
            g.add("mark", g.add("numbers", to=600), with_="a", delay_ms=60, name="marked")
            return g

        def remembered():
            return sum(entry.stat().st_size for entry in os.scandir(os.path.join(mill.store, "memo")))
        mill = self.mill()
        process = mill.start(slow(), "--cores", 1)
        drive.wait_until(lambda: mill.entries_of("marked") > 0)
        begin = remembered()
        drive.wait_until(lambda: remembered() > begin + 500, what="the memo")
        process.kill()
        process.communicate()
        result = self.ok(mill.run(slow(), "--cores", 1))
        seen = [f["remembered"] for f in result.seen("entry") if f["node"] == "marked"]
        self.assertGreaterEqual(sum(seen), 5)
        self.assertEqual(seen, sorted(seen, reverse=True))

    def test_a_dead_worker_costs_only_the_entry_it_had(self):
        g, meet = Graph(), os.path.join(self.folder, "meet")
        g.add("mark", g.add("numbers", to=200), with_="a", meet=meet, of=3, name="marked")
        mill = self.mill()
        process = mill.start(g, "--cores", 2)
        drive.wait_until(lambda: os.path.isdir(meet) and len(os.listdir(meet)) == 2, what="two workers")
        self.kill(int(os.listdir(meet)[0]))  # the other one waits for the one that comes instead
        result = self.ok(mill.finish(process))
        self.assertEqual([f["i"] for f in result.seen("entry") if f["node"] == "marked"], list(range(20)))
        self.assertEqual(len(result.seen("died")), 1)

    def test_killed_training_goes_on_from_its_newest_durable_snapshot(self):
        mill, gate = self.mill(), self.gate()
        gate.open(64)
        process = mill.start(training(gate.path))
        drive.wait_until(lambda: mill.plan(training()).state("model") == "resume from 60", what="the plan")
        process.kill()
        process.communicate()
        result = self.ok(mill.run(training()))
        self.assertEqual(start_steps(result.events), [60])
        self.assertEqual(result.outputs, self.fresh(training()))

    def test_ctrl_c_stops_with_a_resume_point_and_the_rerun_goes_on_there(self):
        mill, gate = self.mill(), self.gate()
        gate.open(44)
        process = mill.start(training(gate.path))
        gate.reached()
        drive.wait_until(lambda: last_step(mill.journal()) >= 30)
        process.send_signal(signal.SIGINT)
        result = mill.finish(process)
        self.assertEqual(result.status, "ESTOPPED")
        kept = result.seen("kept")[0]["step"]
        self.assertEqual(kept, 45)
        self.assertEqual(mill.plan(training()).state("model"), "resume from %d" % kept)
        again = self.ok(mill.run(training()))
        self.assertEqual(start_steps(again.events), [kept])
        self.assertEqual(again.outputs, self.fresh(training()))
        self.clean(mill)

    def test_what_ctrl_c_saved_is_no_entry_of_the_log(self):
        mill, gate = self.mill(), self.gate()
        gate.open(44)
        process = mill.start(training(gate.path))
        gate.reached()
        drive.wait_until(lambda: last_step(mill.journal()) >= 30)
        process.send_signal(signal.SIGTERM)
        mill.finish(process)
        result = self.ok(mill.run(training()))
        self.assertEqual(len(mill.entries(result.outputs["model"][""])), 4)

    def test_ctrl_c_twice_kills(self):
        g = Graph()
        g.add("gather", g.add("numbers", to=20, name="numbers"), delay_ms=100000, name="sum")
        mill = self.mill()
        process = mill.start(g)
        drive.wait_until(lambda: "numbers" in sealed(mill.journal()))
        time.sleep(0.2)
        workers = drive.workers_of(process.pid)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        result = mill.finish(process)
        self.assertLess(time.monotonic() - begin, 60)  # the stage alone would take 100
        self.assertEqual(result.status, "ESTOPPED")
        self.assertFalse(any(map(drive.alive, workers)))

    def test_workers_end_with_their_scheduler(self):
        g = Graph()
        g.add("gather", g.add("numbers", to=20), delay_ms=20000, name="sum")
        g.add("learn", data=g.add("numbers", to=30), steps=1000, delay_ms=20, name="model")
        mill = self.mill()
        process = mill.start(g, "--cores", 3)
        drive.wait_until(lambda: len(drive.workers_of(process.pid)) >= 2)
        time.sleep(0.3)
        workers = drive.workers_of(process.pid)
        process.kill()
        process.communicate()
        self.gone(workers)


if __name__ == "__main__":
    drive.main()
