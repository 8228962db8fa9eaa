# SPDX-License-Identifier: Apache-2.0
"""Two runs of one graph in one store: the work is shared, and taken over when who did it dies."""

import time

import drive
from drive import Graph


def graph():
    g = Graph()
    numbers = g.add("numbers", to=100, delay_ms=20, name="numbers")
    marked = g.add("mark", numbers, with_="a", delay_ms=10, name="marked")
    g.add("gather", marked, delay_ms=200, name="sum")
    model = g.add("learn", data=marked, steps=60, delay_ms=6, name="model")
    g.add("score", model, name="score")
    return g


class Sharing(drive.Case):
    def test_two_runs_at_once_do_each_work_once(self):
        for gap in (0, 0.1, 0.4):
            mill = self.mill()
            one = mill.start(graph())
            time.sleep(gap)
            two = mill.start(graph())
            results = [self.ok(mill.finish(one)), self.ok(mill.finish(two))]
            done = results[0].executed + results[1].executed
            self.assertEqual(sorted(done), ["marked", "model", "numbers", "score", "sum"], "gap %g" % gap)
            self.assertEqual(results[0].outputs, results[1].outputs)
            self.assertTrue(results[1].seen("following") or results[0].seen("following"))

    def test_a_follower_takes_over_when_the_first_run_is_killed(self):
        expected = self.fresh(graph())
        for after in (0.1, 0.3, 0.6):
            mill = self.mill()
            one = mill.start(graph())
            time.sleep(after)
            two = mill.start(graph())
            time.sleep(0.1)
            one.kill()
            one.communicate()
            result = self.ok(mill.finish(two))
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
