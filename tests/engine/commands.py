# SPDX-License-Identifier: Apache-2.0
"""Targets, --only, --from, --until, --force, and failures with and without keep-going."""

import os

import drive
from drive import Graph


def graph(fail="", with_="a"):
    """numbers -> marked -> (sum, joined); other stands alone."""
    g = Graph()
    numbers = g.add("numbers", to=50, name="numbers")
    marked = g.add("mark", numbers, with_=with_, fail=fail, name="marked")
    total = g.add("gather", marked, name="sum")
    g.add("both", marked, with_=total, name="joined")
    g.add("gather", g.add("mark", numbers, with_="q"), name="other")
    return g


class Commands(drive.Case):
    def test_until_makes_what_a_node_needs_and_no_more(self):
        result = self.ok(self.mill().run(graph(), "--until", "sum"))
        self.assertEqual(set(result.executed), {"numbers", "marked", "sum"})

    def test_only_refuses_when_inputs_are_missing(self):
        mill = self.mill()
        result = mill.run(graph(), "--only", "sum")
        self.assertNotEqual(result.code, 0)
        self.assertIn("--only sum: its input numbers is not there", result.errors)
        self.assertIn("--until sum", result.errors)

    def test_only_runs_one_node_when_its_inputs_are_there(self):
        mill = self.mill()
        self.ok(mill.run(graph(), "--until", "marked"))
        result = self.ok(mill.run(graph(), "--only", "sum"))
        self.assertEqual(result.executed, ["sum"])

    def test_only_refuses_when_the_bytes_of_an_input_are_gone(self):
        mill = self.mill()
        first = self.ok(mill.run(graph(), "--until", "marked"))
        mill.lose(mill.entries(first.outputs["marked"][""])[:1])
        result = mill.run(graph(), "--only", "sum")
        self.assertIn("its input marked is not there", result.errors)

    def test_force_reruns_one_node_and_equal_bytes_stop_there(self):
        mill = self.mill()
        self.ok(mill.run(graph()))
        plan = mill.plan(graph(), "--force", "marked")
        self.assertEqual((plan.run(), plan.reason("marked")), ({"marked"}, "forced"))
        self.assertEqual(plan.maybe(), {"sum", "joined"})
        result = self.ok(mill.run(graph(), "--force", "marked"))
        self.assertEqual(result.executed, ["marked"])
        self.assertEqual([f["remembered"] for f in result.seen("entry") if f["node"] == "marked"], [False] * 5)

    def test_from_reruns_a_node_and_everything_downstream(self):
        mill = self.mill()
        self.ok(mill.run(graph()))
        result = self.ok(mill.run(graph(), "--from", "marked"))
        self.assertEqual(set(result.executed), {"marked", "sum", "joined"})

    def test_a_forced_trainer_starts_at_step_zero(self):
        g = Graph()
        g.add("learn", data=g.add("numbers", to=50), steps=30, name="model")
        mill = self.mill()
        self.ok(mill.run(g))
        result = self.ok(mill.run(g, "--force", "model"))
        self.assertEqual([f["text"] for f in result.seen("log")], ["start at step 0"])

    def test_an_unknown_node_is_named_with_the_nearest_one(self):
        result = self.mill().run(graph(), "--until", "markd")
        self.assertIn('the graph has no node "markd"', result.errors)
        self.assertIn('did you mean "marked"?', result.errors)


class Failures(drive.Case):
    def test_a_failure_is_reported_with_its_words_and_what_depends_on_it_is_skipped(self):
        result = self.mill().run(graph(fail="n33"), "-k")
        self.assertEqual(result.status, "EFAILED")
        self.assertIn("the text n33 is not wanted", result.error)
        self.assertEqual([f["node"] for f in result.seen("failed")], ["marked"])
        self.assertLessEqual({"sum", "joined"}, {n for f in result.seen("skipped") for n in f["nodes"]})
        self.assertEqual({f["node"] for f in result.seen("sealed")}, {"numbers", "mark", "other"})

    def test_a_consumer_that_streams_from_a_failing_producer_is_skipped_too(self):
        for keep in ([], ["-k"]):
            g = Graph()
            marked = g.add("mark", g.add("numbers", to=200, delay_ms=5), fail="n150", name="marked")
            g.add("gather", marked, name="sum")
            g.add("mark", marked, with_="b", name="more")
            result = self.mill().run(g, "--cores", 4, *keep)
            self.assertEqual(result.status, "EFAILED")
            self.assertEqual({n for f in result.seen("skipped") for n in f["nodes"]}, {"sum", "more"})

    def test_without_keep_going_nothing_new_is_started(self):
        mill, g, gate = self.mill(), Graph(), self.gate()
        g.add("gather", g.add("mark", g.add("numbers", to=10), fail="n1", name="marked"), name="sum")
        slow = g.add("numbers", to=11, gate=gate.path, name="slow")
        g.add("gather", slow, name="later")
        process = mill.start(g, "--cores", 3)
        drive.wait_until(lambda: mill.has("failed"), what="the failure")
        gate.open()
        self.assertNotIn("later", mill.finish(process).executed)

    def test_a_rerun_after_a_fix_runs_only_what_is_needed(self):
        mill = self.mill()
        mill.run(graph(fail="n33"), "-k")
        result = self.ok(mill.run(graph(fail="nothing"), "-k"))
        self.assertEqual(set(result.executed), {"marked", "sum", "joined"})
        again = mill.run(graph(fail="n33"), "-k")
        self.assertEqual(again.executed[0], "marked")
        self.assertEqual(again.status, "EFAILED")

    def test_a_rerun_after_a_failure_keeps_the_entries_before_it(self):
        mill = self.mill()
        one = ("--cores", 1)  # of two workers the slower one may have an earlier entry yet
        mill.run(graph(fail="n33"), *one)
        result = mill.run(graph(fail="n33"), *one)
        seen = [f["remembered"] for f in result.seen("entry") if f["node"] == "marked"]
        self.assertEqual(seen, [True, True, True])

    def crash(self, how, times, stage="crash"):
        g = Graph()
        numbers = g.add("numbers", to=60, name="numbers")
        g.add(stage, numbers, how=how, marks=self.folder + "/" + stage, times=times, name="crashes")
        return g

    def test_a_worker_that_dies_of_a_signal_is_tried_again(self):
        for stage in ("crash", "crash_run"):
            result = self.ok(self.mill().run(self.crash("kill", 2, stage)))
            self.assertEqual(len(result.seen("died")), 2)
            self.assertIn("killed by signal 9", result.seen("died")[0]["text"])

    def test_a_worker_that_always_dies_is_reported_after_three_attempts(self):
        for stage in ("crash", "crash_run"):
            result = self.mill().run(self.crash("abort", 99, stage), "--cores", 3)
            self.assertEqual(result.status, "EFAILED")
            self.assertIn("killed by signal 6", result.error)
            self.assertEqual(len(result.seen("died")), 3)

    def test_a_worker_that_exits_is_not_tried_again_forever(self):
        result = self.mill().run(self.crash("exit", 99))
        self.assertEqual(result.status, "EFAILED")
        self.assertIn("exit status 7", result.error)


class Machine(drive.Case):
    def two(self, gate="", **at):
        g = Graph()
        for i in range(2):
            g.add("numbers", to=20 + i, cut=5, delay_ms=0 if gate else 30, gate=gate, name="n%d" % i, at=at)
        return g

    def test_groups_that_fit_into_memory_together_run_together(self):
        for at in ({}, {"memory": "100 MB"}):
            mill, gate = self.mill(), self.gate()
            process = mill.start(self.two(gate.path, **at), "--cores", 2)  # none gives anything before both began
            drive.wait_until(lambda: {r["node"] for r in mill.journal() if r["event"] == "start"} == {"n0", "n1"})
            gate.open()
            self.ok(mill.finish(process))

    def test_groups_that_do_not_fit_into_memory_together_run_one_after_another(self):
        for memory in ("3 TiB", 3 << 40):
            mill = self.mill()
            self.ok(mill.run(self.two(memory=memory), "--cores", 2))
            when = {(r["event"], r["node"]): r["t"] for r in mill.journal() if r["event"] in ("start", "entry")}
            first, last = sorted(["n0", "n1"], key=lambda n: when["start", n])
            self.assertGreaterEqual(when["start", last], when["entry", first])  # the last entry of the first one

    def test_groups_that_wait_for_one_that_does_not_fit_do_not_wait_forever(self):
        g = Graph()
        at = g.add("numbers", to=50)
        for i in range(5):
            at = g.add("both", at, with_=g.add("gather", at, at={"memory": "3 TiB"}), name="b%d" % i)
        self.ok(self.mill().run(g))

    def test_a_node_that_takes_too_long_fails_with_its_limit(self):
        g = Graph()
        g.add("gather", g.add("numbers", to=20), delay_ms=20000, name="sum", at={"timeout": 0.3})
        result = self.mill().run(g)
        self.assertIn("longer than its timeout of 0.3 s", result.error)

    def test_how_often_a_dead_worker_is_replaced_can_be_said(self):
        for retries in (0, 4):
            g = Graph()
            marks = os.path.join(self.folder, "m%d" % retries)
            g.add("crash", g.add("numbers", to=60), how="kill", marks=marks, times=99, name="c", at={"retries": retries})
            result = self.mill().run(g)
            self.assertEqual(len(result.seen("died")), retries + 1)

    def test_cores_are_no_more_than_said(self):
        for cores, met in ((1, 1), (3, 3)):
            g, meet = Graph(), os.path.join(self.folder, "meet%d" % cores)
            g.add("mark", g.add("numbers", to=80), delay_ms=30, meet=meet, of=met, name="marked", at={"cores": cores})
            self.ok(self.mill().run(g, "--cores", 4))
            self.assertEqual(len(os.listdir(meet)), met)


if __name__ == "__main__":
    drive.main()
