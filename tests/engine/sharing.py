# SPDX-License-Identifier: Apache-2.0
"""Two runs of one graph in one store: the work is shared, and taken over when who did it dies."""

import drive
from drive import Graph


def graph(gate="", training=""):
    g = Graph()
    numbers = g.add("numbers", to=100, gate=gate, name="numbers")
    marked = g.add("mark", numbers, with_="a", name="marked")
    g.add("gather", marked, name="sum")
    model = g.add("learn", data=marked, steps=60, gate=training, name="model")
    g.add("score", model, name="score")
    return g


class Sharing(drive.Case):
    def held(self, mill, chunks, steps):
        """Two runs of a graph of which so much is done; the second one follows the first, or the first the second."""
        gates = self.gate(), self.gate()
        gates[0].open(chunks)
        gates[1].open(steps)
        one = mill.start(graph(gates[0].path, gates[1].path), "--cores", 2)
        if chunks:
            drive.wait_until(lambda: mill.entries_of("numbers", "r1") == min(chunks, 10), what="so many chunks")
        if steps:
            drive.wait_until(lambda: mill.entries_of("model", "r1") == steps // 10, what="so many steps")
        two = mill.start(graph(gates[0].path, gates[1].path), "--cores", 2)
        drive.wait_until(lambda: mill.has("following", "r1") or mill.has("following", "r2"), what="the follower")
        return one, two, gates

    def test_two_runs_at_once_do_each_work_once(self):
        for chunks, steps in ((0, 0), (3, 0), (99, 31)):
            mill = self.mill()
            one, two, gates = self.held(mill, chunks, steps)
            for gate in gates:
                gate.open()
            results = [self.ok(mill.finish(one)), self.ok(mill.finish(two))]
            done = results[0].executed + results[1].executed
            self.assertEqual(sorted(done), ["marked", "model", "numbers", "score", "sum"], "at %d" % chunks)
            self.assertEqual(results[0].outputs, results[1].outputs)

    def test_a_follower_takes_over_when_the_first_run_is_killed(self):
        expected = self.fresh(graph())
        for chunks, steps in ((1, 0), (3, 0), (99, 31)):
            mill = self.mill()
            one, two, gates = self.held(mill, chunks, steps)
            one.kill()
            one.communicate()
            for gate in gates:
                gate.open()
            result = self.ok(mill.finish(two))
            self.assertIn("model", result.executed)
            self.assertEqual(result.outputs, expected)

    def test_two_different_graphs_share_what_they_have_in_common(self):
        def other():
            g = graph()
            g.add("gather", g.add("mark", drive.Node(0), with_="z"), name="more")
            return g
        mill = self.mill()
        one, two = mill.start(graph()), mill.start(other())
        results = [self.ok(mill.finish(one)), self.ok(mill.finish(two))]
        done = results[0].executed + results[1].executed
        self.assertEqual(len(done), len(set(done)))
        self.assertEqual(results[1].outputs["sum"], results[0].outputs["sum"])


if __name__ == "__main__":
    drive.main()
