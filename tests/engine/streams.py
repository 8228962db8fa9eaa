# SPDX-License-Identifier: Apache-2.0
"""What flows while it is made: first entries, forks around barriers, order, and what one record more or less redoes."""

import os
import resource

import drive
from drive import Graph


def times(journal, node, event="entry"):
    return [r["t"] for r in journal if r["event"] == event and r.get("node") == node]


def remembered(events, node):
    return [f["remembered"] for name, f in events if name == "entry" and f["node"] == node]


class Divergence(drive.Case):
    def graph(self, marks, gate="", took=""):
        """A stage that dies in its third chunk, and then gives another second one; and those who read it."""
        g = Graph()
        odd = g.add("crash_run", g.add("numbers", to=80), how="kill", marks=marks, times=1, drift=True, gate=gate,
                    name="odd")
        marked = g.add("mark", odd, with_="a", name="marked")
        g.add("gather", odd, took=took, name="sum")
        g.add("gather", marked, name="total")
        model = g.add("learn", data=odd, steps=30, every=5, name="model")
        g.add("score", model.each(), name="scores")
        return g

    def test_consumers_that_read_what_is_gone_begin_anew(self):
        first, second = os.path.join(self.folder, "first"), os.path.join(self.folder, "second")
        mill, gate, took = self.mill(), self.gate(), os.path.join(self.folder, "took")
        gate.open(2)
        process = mill.start(self.graph(first, gate.path, took), "--cores", 4)
        drive.wait_until(lambda: mill.entries_of("marked") == 2 and mill.entries_of("model") >= 3
                         and os.path.exists(took) and os.path.getsize(took) == 2, what="who reads two chunks")
        gate.open()
        result = self.ok(mill.finish(process))
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
        """The source has no second one before the consumer has given what it made of the first."""
        mill, g, gate = self.mill(), Graph(), self.gate()
        numbers = g.add("numbers", to=80, gate=gate.path, name="numbers")
        g.add("mark", numbers, with_="a", name="marked")
        process = mill.start(g, "--cores", 2)
        gate.open(1)
        drive.wait_until(lambda: mill.entries_of("marked") == 1, what="the consumer")
        self.assertEqual(mill.entries_of("numbers"), 1)
        gate.open()
        self.ok(mill.finish(process))
        made, marked = times(mill.journal(), "numbers"), times(mill.journal(), "marked")
        self.assertEqual((len(made), len(marked)), (8, 8))
        self.assertTrue(made[0] <= marked[0] <= made[1])

    def test_a_chain_of_consumers_keeps_up_with_its_source(self):
        """The source has no next entry before the last consumer of a chain has made its own of the one before."""
        mill, g, gate = self.mill(), Graph(), self.gate()
        at = g.add("numbers", to=100, gate=gate.path, name="numbers")
        for i in range(3):
            at = g.add("mark", at, with_=str(i), name="m%d" % i)
        process = mill.start(g, "--cores", 4)
        for i in range(1, 10):
            gate.open(i)
            drive.wait_until(lambda: mill.entries_of("m2") == i, what="entry %d" % i)
        gate.open()
        self.ok(mill.finish(process))
        self.assertEqual(mill.entries_of("m2"), 10)

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
            result = self.ok(self.mill().run(g, "--cores", cores))
            self.assertEqual(len(result.executed), 4)

    def test_a_fork_around_a_barrier_waits_in_the_store_and_not_in_memory(self):
        mill, g = self.mill(), Graph()
        numbers = g.add("numbers", to=30000, cut=100, width=4000)  # 120 MB
        marked = g.add("mark", numbers, with_="a", name="marked")
        g.add("both", marked, with_=g.add("gather", marked), name="joined")
        result = self.ok(mill.run(g, "--cores", 2))
        sealed = [f for f in result.seen("sealed") if f["node"] == "joined"][0]
        self.assertGreater(sealed["bytes"], 120e6)
        if not drive.sanitized():
            self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 40 << 10)  # KiB of one process

    def test_many_streams_end_on_one_core(self):
        g = Graph()
        at = g.add("numbers", to=50)
        for i in range(40):
            at = g.add("both", at, with_=g.add("gather", at), name="b%d" % i)
        self.ok(self.mill().run(g, "--cores", 1))

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

    def long(self, note="", skip=-1, gate=""):
        g = Graph()
        numbers = g.add("numbers", to=400, gate=gate, note=note, skip=skip, name="numbers")
        marked = g.add("mark", g.add("mark", numbers, with_="a"), with_="b", name="marked")
        g.add("gather", marked, name="sum")
        return g

    def test_a_consumer_with_a_cached_result_starts_at_the_first_difference(self):
        mill = self.mill()
        gate = self.gate()
        self.ok(mill.run(self.long()))
        self.assertEqual(mill.plan(self.long(skip=155)).state("marked"), "maybe")
        process = mill.start(self.long(skip=155, gate=gate.path), "--cores", 2)
        gate.open(20)
        drive.wait_until(lambda: times(mill.journal(), "marked", "start"), what="the consumer")
        gate.open()
        result = self.ok(mill.finish(process))
        journal = mill.journal()
        made, began = times(journal, "numbers"), times(journal, "marked", "start")[0]
        self.assertTrue(made[15] <= began <= made[20])
        self.assertGreaterEqual(times(journal, "sum", "start")[0], times(journal, "marked")[15])
        self.assertEqual([i for i, r in enumerate(remembered(result.events, "marked")) if not r], [15])
        self.assertEqual(result.outputs, self.fresh(self.long(skip=155)))

    def test_a_consumer_whose_inputs_stay_equal_does_not_start(self):
        mill = self.mill()
        self.ok(mill.run(self.long()))
        self.ok(mill.run(self.long(skip=155)))
        result = self.ok(mill.run(self.long(note="x", skip=155)))
        self.assertEqual(result.executed, ["numbers"])
        result = self.ok(mill.run(self.long(note="y")))
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

    def test_several_workers_share_a_record_wise_stage(self):
        g = Graph()
        g.add("mark", g.add("numbers", to=100), with_="a", meet=self.folder + "/meet", of=3, name="marked")
        self.ok(self.mill().run(g, "--cores", 4))  # no worker gives anything before there are three

    def test_a_disk_that_stands_still_under_the_scheduler_holds_up_nobody(self):
        """A log grows to its end, a trainer trains, small groups end, while no sync of the scheduler comes back."""
        mill, g, gate = self.mill(), Graph(), self.gate()
        hold = self.folder + "/hold"
        long = g.add("numbers", to=1000, gate=gate.path, name="long")
        g.add("mark", long, with_="a", name="marked")
        for i in range(2):
            g.add("numbers", to=10 + i, name="small%d" % i)
        g.add("learn", data=g.add("numbers", to=20, name="few"), steps=60, every=20, name="model")
        process = mill.start(g, "--cores", 4, TOYMILL_HOLD=hold)
        gate.open(1)
        drive.wait_until(lambda: mill.entries_of("long") == 1, what="the first entry")
        with open(hold, "w"):
            gate.open(2)
        drive.wait_until(lambda: os.path.exists(hold + ".held"), what="a sync")
        gate.open()
        drive.wait_until(lambda: (mill.entries_of("long"), mill.entries_of("marked")) == (100, 100), what="the log")
        drive.wait_until(lambda: mill.entries_of("model") == 3, what="the trainer")
        self.assertFalse({"long", "marked"} & {r.get("node") for r in mill.journal() if r["event"] == "sealed"})
        os.remove(hold)
        result = self.ok(mill.finish(process))
        self.assertEqual(result.outputs, self.fresh(g))

    def test_a_log_without_entries_flows_too(self):
        g = Graph()
        marked = g.add("mark", g.add("numbers", to=0), name="marked")
        g.add("gather", marked, name="sum")
        result = self.ok(self.mill().run(g))
        self.assertEqual(len(result.executed), 3)


if __name__ == "__main__":
    drive.main()
