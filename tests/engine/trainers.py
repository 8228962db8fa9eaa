# SPDX-License-Identifier: Apache-2.0
"""Stages that continue: longer runs, schedules that cannot be extended, and evaluation while training goes on."""

import drive
from drive import Graph


def graph(steps=40, decays=False, every=10, rate=0.5, to=60, delay=0, score=None, score_delay=0):
    g = Graph()
    numbers = g.add("numbers", to=to, name="numbers")
    model = g.add("learn", data=numbers, steps=steps, every=every, rate=rate, decays=decays, delay_ms=delay, name="model")
    if score == "each":
        g.add("score", model.each(), delay_ms=score_delay, name="scores")
    elif score:
        g.add("score", score(model), name="scores")
    return g


def starts(result, node="model"):
    """The steps at which a trainer's attempts started, as it says in its log."""
    return [int(f["text"].split()[-1]) for f in result.seen("log") if f["node"] == node and "start at" in f["text"]]


class Trainers(drive.Case):
    def test_raised_steps_continue_from_the_last_snapshot(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=40)))
        self.assertEqual(mill.plan(graph(steps=70)).state("model"), "resume from 40")
        result = self.ok(mill.run(graph(steps=70)))
        self.assertEqual(starts(result), [40])
        self.assertEqual(result.outputs, self.fresh(graph(steps=70)))

    def test_fewer_steps_use_a_snapshot_of_the_longer_run(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=40)))
        result = self.ok(mill.run(graph(steps=25)))
        self.assertEqual(starts(result), [20])
        self.assertEqual(result.outputs, self.fresh(graph(steps=25)))

    def test_a_schedule_that_depends_on_steps_says_why_it_cannot_continue(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=40, decays=True)))
        plan = mill.plan(graph(steps=70, decays=True))
        self.assertEqual(plan.state("model"), "run")
        self.assertIn("options steps 40 -> 70", plan.reason("model"))
        self.assertIn("the rate depends on steps", plan.reason("model"))
        result = self.ok(mill.run(graph(steps=70, decays=True)))
        self.assertEqual(starts(result), [0])
        self.assertEqual(result.outputs, self.fresh(graph(steps=70, decays=True)))

    def test_another_rate_starts_afresh(self):
        mill = self.mill()
        self.ok(mill.run(graph()))
        self.assertEqual(mill.plan(graph(rate=0.25)).state("model"), "run")
        result = self.ok(mill.run(graph(rate=0.25)))
        self.assertEqual(starts(result), [0])

    def test_appended_data_that_was_not_read_yet_does_not_matter(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=20, to=60)))
        more = graph(steps=40, to=90)
        result = self.ok(mill.run(more))
        self.assertEqual(starts(result), [20])
        self.assertEqual(result.outputs, self.fresh(more))

    def test_data_that_was_read_and_changed_starts_afresh_and_the_plan_says_so(self):
        def with_skip(steps, skip):
            g = Graph()
            numbers = g.add("numbers", to=60, skip=skip, name="numbers")
            g.add("learn", data=numbers, steps=steps, name="model")
            return g
        mill = self.mill()
        self.ok(mill.run(with_skip(20, -1)))
        result = self.ok(mill.run(with_skip(40, 5)))
        self.assertEqual(starts(result), [0])
        self.assertEqual(result.outputs, self.fresh(with_skip(40, 5)))
        plan = mill.plan(with_skip(60, -1))
        self.assertEqual(plan.state("model"), "resume from 20", plan.reason("model"))

    def test_a_trainer_that_ends_before_its_data_is_sealed_after_them(self):
        def slow(delay):
            g = Graph()
            g.add("learn", data=g.add("numbers", to=100, delay_ms=delay, name="numbers"), steps=10, name="model")
            return g
        mill = self.mill()
        result = self.ok(mill.run(slow(20)))
        self.assertEqual([f["node"] for f in result.seen("sealed")], ["numbers", "model"])
        self.assertEqual(result.outputs, self.fresh(slow(0)))
        self.assertEqual(self.ok(mill.run(slow(20))).executed, [])

    def test_how_often_snapshots_are_made_changes_nothing(self):
        mill = self.mill()
        first = self.ok(mill.run(graph(every=10)))
        again = self.ok(mill.run(graph(every=3)))
        self.assertEqual(again.executed, [])
        self.assertEqual(again.outputs, first.outputs)

    def test_a_consumer_of_the_last_snapshot_is_cached_when_a_forced_run_makes_others(self):
        mill = self.mill()
        self.ok(mill.run(graph(every=10, score=lambda m: m)))
        result = self.ok(mill.run(graph(every=4, score=lambda m: m), "--force", "model"))
        self.assertEqual(result.executed, ["model"])

    def test_selectors_pick_by_step_and_by_metric(self):
        mill = self.mill()
        result = self.ok(mill.run(graph(score=lambda m: m.at(20))))
        snapshots = mill.entries(result.outputs["model"][""])
        self.assertEqual(len(snapshots), 4)
        self.ok(mill.run(graph(score=lambda m: m.best("train.loss"))))
        failed = mill.run(graph(score=lambda m: m.at(21)))
        self.assertEqual(failed.status, "EFAILED")
        self.assertIn("no snapshot of step 21", failed.error)

    def test_snapshots_are_evaluated_while_training_goes_on(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=50, delay=8, score="each", score_delay=10), "--cores", 2))
        journal = mill.journal()
        made = [r["t"] for r in journal if r["event"] == "entry" and r["node"] == "model" and r["port"] == ""]
        scored = [r["t"] for r in journal if r["event"] == "entry" and r["node"] == "scores"]
        self.assertEqual((len(made), len(scored)), (5, 5))
        for i in range(4):
            self.assertLess(scored[i], made[i + 1], "snapshot %d was scored late" % i)

    def test_a_longer_run_evaluates_only_its_new_snapshots(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=30, score="each")))
        result = self.ok(mill.run(graph(steps=50, score="each")))
        entries = [f["remembered"] for f in result.seen("entry") if f["node"] == "scores"]
        self.assertEqual(entries, [True, True, True, False, False])
        self.assertEqual(result.outputs, self.fresh(graph(steps=50, score="each")))


if __name__ == "__main__":
    drive.main()
