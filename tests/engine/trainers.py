# SPDX-License-Identifier: Apache-2.0
"""Stages that continue: longer runs, schedules that cannot be extended, and evaluation while training goes on."""

import json
import os
import random

import drive
from drive import Graph


def graph(steps=40, decays=False, every=10, rate=0.5, to=60, delay=0, score=None, score_delay=0, stable=0, keep=None,
          gate=""):
    g = Graph()
    numbers = g.add("numbers", to=to, name="numbers")
    model = g.add("learn", data=numbers, steps=steps, every=every, rate=rate, decays=decays, delay_ms=delay,
                  stable=stable, gate=gate, **({"keep": keep} if keep else {}), name="model")
    if score == "each":
        g.add("score", model.each(), delay_ms=score_delay, name="scores")
    elif score:
        g.add("score", score(model), name="scores")
    return g


def starts(result, node="model"):
    """The steps at which a trainer's attempts started, as it says in its log."""
    return [int(f["text"].split()[-1]) for f in result.seen("log") if f["node"] == node and "start at" in f["text"]]


def trees(mill):
    """Manifests of the trees whose files are all there."""
    found = []
    for prefix in sorted(os.listdir(mill.store + "/objects")):
        for name in sorted(os.listdir(mill.store + "/objects/" + prefix)):
            with open("%s/objects/%s/%s" % (mill.store, prefix, name), "rb") as file:
                text = file.read()
            if text.startswith(b"tidemill-tree 1\n"):
                tree = json.loads(text[16:])
                if all(os.path.exists("%s/objects/%s/%s" % (mill.store, h[:2], h[2:])) for _, h, _ in tree["files"]):
                    found.append(tree)
    return found


def states(mill):
    return [t for t in trees(mill) if any(name == "moments" for name, _, _ in t["files"])]


def models(mill):
    return sorted(t["attributes"]["step"] for t in trees(mill) if "step" in t["attributes"])


class Retention(drive.Case):
    def freed(self, mill):
        return [step for r in mill.journal() if r["event"] == "freed" for step in r["steps"]]

    def test_states_are_freed_while_training_goes_on_but_for_the_last_and_that_of_a_phase(self):
        mill, gate = self.mill(), self.gate()
        gate.open(45)
        process = mill.start(graph(steps=60, stable=20, gate=gate.path), "--grace", 1)
        drive.wait_until(lambda: self.freed(mill), what="the first state to go")  # while the trainer waits
        gate.open()
        self.ok(mill.finish(process))
        self.assertTrue({10, 30} <= set(self.freed(mill)) <= {10, 30, 40, 50})
        self.assertEqual(len(states(mill)), 2)
        self.assertEqual(models(mill), [10, 20, 30, 40, 50, 60])
        found = mill.check()
        self.assertEqual((found["corrupt"], found["incomplete"]), (0, 0))
        self.assertEqual(len(states(mill)), 2)
        for steps, start in ((90, 60), (25, 20)):
            again = self.ok(mill.run(graph(steps=steps, stable=20)))
            self.assertEqual(starts(again), [start])
            self.assertEqual(again.outputs, self.fresh(graph(steps=steps)))

    def test_a_run_that_is_killed_after_freeing_goes_on_from_its_last_state(self):
        mill, g, gate = self.mill(), graph(steps=90), self.gate()
        gate.open(65)
        process = mill.start(graph(steps=90, gate=gate.path), "--grace", 1)
        drive.wait_until(lambda: len(self.freed(mill)) >= 2)
        process.kill()
        process.communicate()
        last = max(self.freed(mill))
        result = self.ok(mill.run(g, "--grace", 1))
        self.assertGreater(starts(result)[0], last)
        self.assertEqual(result.outputs, self.fresh(g))

    def test_a_young_state_is_not_freed(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=60, delay=5)))
        self.assertEqual(self.freed(mill), [])
        self.assertEqual(len(states(mill)), 6)
        mill.check()  # gc: nothing refers to them
        self.assertEqual(len(states(mill)), 1)

    def test_a_state_that_another_run_needs_is_not_freed(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=20, delay=5), "--grace", 1))
        self.ok(mill.run(graph(steps=60, delay=10), "--grace", 1))  # goes on from 20
        self.assertEqual(len(states(mill)), 2)
        self.assertEqual(starts(self.ok(mill.run(graph(steps=25)))), [20])

    def test_what_ctrl_c_saved_goes_when_training_is_past_it(self):
        mill, g, gate = self.mill(), graph(steps=60, delay=10), self.gate()
        gate.open(25)
        process = mill.start(graph(steps=60, gate=gate.path), "--grace", 1)
        drive.wait_until(lambda: any(r["event"] == "entry" and r["node"] == "model" for r in mill.journal()))
        process.send_signal(2)
        self.assertTrue(mill.finish(process).seen("kept"))
        self.ok(mill.run(g, "--grace", 1))
        self.assertEqual(len(states(mill)), 1)


class Keep(drive.Case):
    """The option `keep`: of the other snapshots the entry stays, and no bytes."""

    def last(self, mill, g, *options):
        return self.ok(mill.run(g, "--grace", 1, *options))

    def test_the_bytes_of_the_best_and_the_last_stay(self):
        mill, plain = self.mill(), self.mill()
        g = graph(steps=60, delay=8, keep={"best": 1, "last": 2, "by": "train.loss"})
        result = self.last(mill, g)
        other = self.last(plain, graph(steps=60, delay=8))
        self.assertEqual(result.outputs, other.outputs)
        self.assertEqual(models(plain), [10, 20, 30, 40, 50, 60])
        self.assertEqual(mill.plan(graph(steps=60)).state("model"), "cached")  # `keep` is in no key
        self.assertIn(len(models(mill)), (2, 3))
        self.assertTrue({50, 60} <= set(models(mill)))
        found = mill.check()
        self.assertEqual((found["corrupt"], found["incomplete"]), (0, 0))
        self.assertTrue({50, 60} <= set(models(mill)))
        self.assertEqual(mill.plan(g).state("model"), "cached")

    def test_each_snapshot_is_read_before_it_goes(self):
        mill, plain = self.mill(), self.mill()
        g = graph(steps=60, delay=8, score="each", score_delay=30, keep={"last": 1, "best": 0})
        result = self.last(mill, g, "--cores", 2)
        self.assertEqual(result.outputs, self.ok(plain.run(graph(steps=60, score="each"))).outputs)
        self.assertEqual(len(mill.entries(result.outputs["scores"][""])), 6)
        self.assertEqual(models(mill), [60])
        self.assertEqual(self.last(mill, g).executed, [])

    def test_a_selector_of_the_graph_keeps_what_it_picks(self):
        mill = self.mill()
        g = graph(steps=60, delay=8, score=lambda m: m.at(20), keep={"last": 1, "best": 0})
        self.last(mill, g)
        self.assertEqual(models(mill), [20, 60])
        mill.check()
        self.assertEqual(models(mill), [20, 60])

    def test_a_hollow_entry_that_is_needed_is_made_again(self):
        mill = self.mill()
        self.last(mill, graph(steps=60, delay=8, keep={"last": 1, "best": 0}))
        self.assertEqual(models(mill), [60])
        wanted = graph(steps=60, keep={"last": 1, "best": 0}, score=lambda m: m.at(20))
        plan = mill.plan(wanted)
        self.assertEqual(plan.state("model"), "recompute (bytes gone)")
        self.assertIn("scores needs its", plan.reason("model"))
        result = self.last(mill, wanted)
        self.assertEqual(starts(result), [0])
        self.assertEqual(result.outputs, self.fresh(graph(steps=60, score=lambda m: m.at(20))))
        self.assertEqual(self.last(mill, wanted).executed, [])
        self.assertEqual(mill.check()["incomplete"], 0)
        self.assertEqual(models(mill), [20, 60])
        last = graph(steps=60, keep={"last": 1, "best": 0}, score=lambda m: m)
        self.assertEqual(mill.plan(last).state("model"), "cached")

    def test_a_longer_run_goes_on_unless_somebody_new_reads_what_is_gone(self):
        mill = self.mill()
        keep = {"last": 1, "best": 0}
        self.last(mill, graph(steps=40, delay=8, score="each", keep=keep))
        self.assertEqual(models(mill), [40])
        longer = self.last(mill, graph(steps=60, delay=8, score="each", keep=keep))
        self.assertEqual(starts(longer), [40])
        self.assertEqual(longer.outputs, self.fresh(graph(steps=60, score="each")))
        other = graph(steps=80, delay=8, score="each", keep=keep)
        other.nodes[-1]["args"]["bonus"] = 1
        self.assertEqual(starts(self.last(mill, other)), [0])


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
        self.ok(mill.run(graph(steps=40, stable=20)))
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

    def test_snapshots_elsewhere_are_another_result_whatever_the_store_held(self):
        mill = self.mill()
        self.ok(mill.run(graph(every=20, score="each")))
        plan = mill.plan(graph(every=10, score="each"))
        self.assertEqual(plan.state("model"), "run")
        self.assertIn("every 20 -> 10", plan.reason("model"))
        self.assertIn("its snapshots are not those of every 10", plan.reason("model"))
        result = self.ok(mill.run(graph(every=10, score="each")))
        self.assertEqual(starts(result), [0])
        self.assertEqual(result.outputs, self.fresh(graph(every=10, score="each")))

    def test_snapshots_elsewhere_begin_where_there_were_none_before(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=45, every=100)))
        wanted = graph(steps=90, every=60, score="each")
        self.assertEqual(mill.plan(wanted).state("model"), "resume from 45")
        result = self.ok(mill.run(wanted))
        self.assertEqual((starts(result), result.outputs), ([45], self.fresh(wanted)))

    def test_a_longer_run_has_no_snapshot_where_the_shorter_one_ended(self):
        mill = self.mill()
        for steps, start in ((45, 0), (83, 45), (91, 83)):  # of the first, 83 and 91 have nothing
            result = self.ok(mill.run(graph(steps=steps, score="each")))
            self.assertEqual(starts(result), [start])
            self.assertEqual(result.outputs, self.fresh(graph(steps=steps, score="each")), steps)

    def test_no_history_of_the_store_shows_in_a_result(self):
        mill, draw, went_on = self.mill(), random.Random(7), 0
        for _ in range(20):
            options = {"steps": draw.randint(5, 90), "every": draw.choice((4, 10, 30, 100)), "stable": draw.choice((0, 20, 30))}
            result = self.ok(mill.run(graph(score="each", **options), "--grace", 1))
            went_on += (starts(result) or [0])[0] > 0
            self.assertEqual(result.outputs, self.fresh(graph(score="each", **options)), options)
        self.assertGreater(went_on, 3)

    def test_a_longer_run_that_is_killed_at_its_start_has_no_snapshot_of_the_shorter_one_either(self):
        mill, gate = self.mill(), self.gate()
        self.ok(mill.run(graph(steps=45)))
        gate.open(47)
        process = mill.start(graph(steps=83, gate=gate.path))
        drive.wait_until(lambda: any(r["event"] == "start" and r.get("resume") == 45 for r in mill.journal()))
        process.kill()
        process.communicate()
        result = self.ok(mill.run(graph(steps=83)))
        self.assertGreaterEqual(starts(result)[0], 40)
        self.assertEqual(result.outputs, self.fresh(graph(steps=83)))

    def test_a_longer_run_that_is_stopped_before_its_first_snapshot_goes_on_as_if_it_had_not_been(self):
        mill, gate = self.mill(), self.gate()
        self.ok(mill.run(graph(steps=45)))
        gate.open(46)
        process = mill.start(graph(steps=83, gate=gate.path))
        drive.wait_until(lambda: any("start at step 45" in r.get("text", "") for r in mill.journal()))
        process.send_signal(2)
        self.assertTrue(mill.finish(process).seen("kept"))
        result = self.ok(mill.run(graph(steps=83)))
        self.assertGreaterEqual(starts(result)[0], 45)
        self.assertEqual(result.outputs, self.fresh(graph(steps=83)))

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
        mill, gate = self.mill(), self.gate()
        process = mill.start(graph(steps=50, score="each", gate=gate.path), "--cores", 2)
        for snapshots in range(1, 5):
            gate.open(10 * snapshots)
            drive.wait_until(lambda: mill.entries_of("scores") == snapshots, what="score %d" % snapshots)
            self.assertEqual(mill.entries_of("model"), snapshots)
        gate.open()
        self.ok(mill.finish(process))
        self.assertEqual((mill.entries_of("model"), mill.entries_of("scores")), (5, 5))

    def test_a_longer_run_evaluates_only_its_new_snapshots(self):
        mill = self.mill()
        self.ok(mill.run(graph(steps=30, score="each")))
        result = self.ok(mill.run(graph(steps=50, score="each")))
        entries = [f["remembered"] for f in result.seen("entry") if f["node"] == "scores"]
        self.assertEqual(entries, [True, True, True, False, False])
        self.assertEqual(result.outputs, self.fresh(graph(steps=50, score="each")))


if __name__ == "__main__":
    drive.main()
