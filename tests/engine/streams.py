# SPDX-License-Identifier: Apache-2.0
"""What flows while it is made: first entries, forks around barriers, order, and what one record more or less redoes."""

import os

import drive
from drive import Graph


def times(journal, node, event="entry"):
    return [r["t"] for r in journal if r["event"] == event and r.get("node") == node]


def remembered(events, node):
    return [f["remembered"] for name, f in events if name == "entry" and f["node"] == node]


class Divergence(drive.Case):
    def graph(self, marks):
        """A stage that dies in its third chunk, and then gives another second one; and those who read it."""
        g = Graph()
        odd = g.add("crash_run", g.add("numbers", to=80), how="kill", marks=marks, times=1, drift=True, delay_ms=60,
                    name="odd")
        marked = g.add("mark", odd, with_="a", name="marked")
        g.add("gather", odd, name="sum")
        g.add("gather", marked, name="total")
        model = g.add("learn", data=odd, steps=30, every=5, name="model")
        g.add("score", model.each(), name="scores")
        return g

    def test_consumers_that_read_what_is_gone_begin_anew(self):
        first, second = os.path.join(self.folder, "first"), os.path.join(self.folder, "second")
        mill = self.mill()
        result = self.ok(mill.run(self.graph(first), "--cores", 4))
        self.assertEqual([(f["node"], f["entry"]) for f in result.seen("nondeterministic")], [("odd", 1)])
        self.assertLessEqual({"marked", "sum", "model"}, {f["node"] for f in result.seen("restart")})
        with open(second, "w") as file:  # here the stage is as it is after a death from the beginning
            file.write("x")
        other = self.ok(self.mill().run(self.graph(second), "--cores", 4))
        self.assertEqual(other.seen("nondeterministic"), [])
        self.assertEqual(result.outputs, other.outputs)
        self.assertEqual(self.ok(mill.run(self.graph(first))).executed, [])

    def test_what_is_given_again_unchanged_disturbs_nobody(self):
        g = Graph()
        odd = g.add("crash_run", g.add("numbers", to=80), how="kill", marks=self.folder + "/marks", times=1,
                    delay_ms=30, name="odd")
        g.add("mark", odd, with_="a", name="marked")
        result = self.ok(self.mill().run(g, "--cores", 3))
        self.assertEqual(len(result.seen("died")), 1)
        self.assertEqual(result.seen("restart"), [])
        self.assertEqual([f["i"] for f in result.seen("entry") if f["node"] == "marked"], list(range(8)))


class Streams(drive.Case):
    def test_a_consumer_starts_on_the_first_entry(self):
        mill, g = self.mill(), Graph()
        numbers = g.add("numbers", to=80, delay_ms=30, name="numbers")
        g.add("mark", numbers, with_="a", name="marked")
        self.ok(mill.run(g))
        journal = mill.journal()
        made, marked = times(journal, "numbers"), times(journal, "marked")
        self.assertEqual((len(made), len(marked)), (8, 8))
        self.assertLess(marked[0], made[2])
        self.assertGreaterEqual(marked[0], made[0])

    def test_a_chain_of_consumers_is_done_soon_after_its_source(self):
        mill, g = self.mill(), Graph()
        at = g.add("numbers", to=100, delay_ms=30, name="numbers")
        for i in range(3):
            at = g.add("mark", at, with_=str(i), delay_ms=40, name="m%d" % i)
        self.ok(mill.run(g, "--cores", 4))
        journal = mill.journal()
        one_after_the_other = 3 * 10 * 40
        self.assertLess(times(journal, "m2")[-1] - times(journal, "numbers")[-1], one_after_the_other / 2)

    def test_what_was_streamed_is_what_is_cached_entry_for_entry(self):
        mill, g = self.mill(), Graph()
        numbers = g.add("numbers", to=100, delay_ms=2, name="numbers")
        g.add("mark", numbers, with_="a", drop="7", name="marked")
        streamed = self.ok(mill.run(g))
        h = Graph()  # the consumer alone is new: it reads the sealed log
        numbers = h.add("numbers", to=100, name="numbers")
        h.add("mark", numbers, with_="a", drop="7", name="again")
        h.add("mark", numbers, with_="b", drop="7", name="other")
        replayed = self.ok(mill.run(h))
        self.assertEqual(replayed.executed, ["other"])
        self.assertEqual(replayed.outputs["again"], streamed.outputs["marked"])
        self.assertEqual(len(mill.entries(replayed.outputs["other"][""])), 10)
        self.assertEqual(replayed.outputs, self.fresh(h))

    def test_a_fork_around_a_barrier_ends(self):
        for cores in (1, 2):
            g = Graph()
            numbers = g.add("numbers", to=300)
            marked = g.add("mark", numbers, with_="a")
            g.add("both", marked, with_=g.add("gather", marked), name="joined")
            result = self.ok(self.mill().run(g, "--cores", cores, timeout=20))
            self.assertEqual(len(result.executed), 4)

    def test_many_streams_end_on_one_core(self):
        g = Graph()
        at = g.add("numbers", to=50)
        for i in range(40):
            at = g.add("both", at, with_=g.add("gather", at), name="b%d" % i)
        self.ok(self.mill().run(g, "--cores", 1, timeout=30))

    def test_what_only_waits_does_not_fill_the_machine_with_processes(self):
        mill, g = self.mill(), Graph()
        at = g.add("numbers", to=60, delay_ms=60)
        for i in range(60):
            at = g.add("crash_run", at, how="exit", marks=self.folder + "/marks", times=0, name="b%d" % i)
        self.ok(mill.run(g, "--cores", 1))
        logs = [name for name in os.listdir(os.path.join(mill.store, "runs", "r1")) if name.startswith("worker.")]
        self.assertLessEqual(len(logs), 20)

    def thousand(self, skip=-1, to=1000):
        g = Graph()
        marked = g.add("mark", g.add("numbers", to=to, skip=skip, name="numbers"), with_="a", name="marked")
        g.add("gather", marked, name="sum")
        g.add("mark", marked, with_="z", name="far")
        return g

    def test_leaving_out_one_number_redoes_its_chunk_and_the_barriers(self):
        mill = self.mill()
        self.ok(mill.run(self.thousand()))
        result = self.ok(mill.run(self.thousand(skip=517)))
        self.assertEqual(set(result.executed), {"numbers", "marked", "sum", "far"})
        for node in ("marked", "far"):
            self.assertEqual([i for i, r in enumerate(remembered(result.events, node)) if not r], [51])
        self.assertEqual(result.outputs, self.fresh(self.thousand(skip=517)))

    def slow(self, note="", skip=-1):
        g = Graph()
        numbers = g.add("numbers", to=400, delay_ms=15, note=note, skip=skip, name="numbers")
        marked = g.add("mark", g.add("mark", numbers, with_="a"), with_="b", name="marked")
        g.add("gather", marked, name="sum")
        return g

    def test_a_consumer_with_a_cached_result_starts_at_the_first_difference(self):
        mill = self.mill()
        self.ok(mill.run(self.slow()))
        self.assertEqual(mill.plan(self.slow(skip=155)).state("marked"), "maybe")
        result = self.ok(mill.run(self.slow(skip=155)))
        journal = mill.journal()
        made, began = times(journal, "numbers"), times(journal, "marked", "start")[0]
        self.assertGreaterEqual(began, made[15])
        self.assertLess(began, made[20])
        self.assertGreaterEqual(times(journal, "sum", "start")[0], times(journal, "marked")[15])
        self.assertEqual([i for i, r in enumerate(remembered(result.events, "marked")) if not r], [15])
        self.assertEqual(result.outputs, self.fresh(self.slow(skip=155)))

    def test_a_consumer_whose_inputs_stay_equal_does_not_start(self):
        mill = self.mill()
        self.ok(mill.run(self.slow()))
        self.ok(mill.run(self.slow(skip=155)))
        result = self.ok(mill.run(self.slow(note="x", skip=155)))
        self.assertEqual(result.executed, ["numbers"])
        result = self.ok(mill.run(self.slow(note="y")))
        self.assertEqual(result.executed, ["numbers"])

    def test_adding_numbers_redoes_the_new_chunks(self):
        mill = self.mill()
        self.ok(mill.run(self.thousand()))
        result = self.ok(mill.run(self.thousand(to=1001)))
        self.assertEqual([i for i, r in enumerate(remembered(result.events, "marked")) if not r], [100])
        self.assertEqual(result.outputs, self.fresh(self.thousand(to=1001)))

    def test_order_does_not_depend_on_the_number_of_workers(self):
        def graph():
            g = Graph()
            marked = g.add("mark", g.add("numbers", to=300, cut=3), with_="a", delay_ms=1, name="marked")
            g.add("gather", marked, name="sum")
            return g
        outputs = [self.ok(self.mill().run(graph(), "--cores", cores)).outputs for cores in (1, 2, 5)]
        self.assertEqual(outputs[0], outputs[1])
        self.assertEqual(outputs[0], outputs[2])

    def test_several_workers_share_a_slow_record_wise_stage(self):
        g = Graph()
        g.add("mark", g.add("numbers", to=100), with_="a", delay_ms=100, name="marked")
        result = self.ok(self.mill().run(g, "--cores", 4))
        sealed = [f for f in result.seen("sealed") if f["node"] == "marked"][0]
        self.assertLess(sealed["seconds"], 0.8)  # one worker sleeps 1 s: ten chunks of 100 ms

    def test_a_slow_disk_under_the_scheduler_holds_up_nobody(self):
        """Small groups are sealed and snapshots logged while every sync of the scheduler takes a tenth of a second."""
        mill, g = self.mill(), Graph()
        long = g.add("numbers", to=1000, delay_ms=15, name="long")
        g.add("mark", long, with_="a", name="marked")
        for i in range(2):
            g.add("numbers", to=10 + i, delay_ms=100 * i, name="small%d" % i)
        g.add("learn", data=g.add("numbers", to=20, name="few"), steps=60, delay_ms=10, every=20, name="model")
        result = self.ok(mill.finish(mill.start(g, "--cores", 4, TOYMILL_SYNC_MS="100")))
        at = sorted(times(mill.journal(), "long") + times(mill.journal(), "marked"))
        self.assertEqual(len(at), 200)
        self.assertLess(max(b - a for a, b in zip(at, at[1:])), 250)
        self.assertGreater(times(mill.journal(), "small0", "sealed")[0] - times(mill.journal(), "small0")[0], 300)
        self.assertEqual(result.outputs, self.fresh(g))

    def test_a_log_without_entries_flows_too(self):
        g = Graph()
        marked = g.add("mark", g.add("numbers", to=0), name="marked")
        g.add("gather", marked, name="sum")
        result = self.ok(self.mill().run(g))
        self.assertEqual(len(result.executed), 3)


if __name__ == "__main__":
    drive.main()
