# SPDX-License-Identifier: Apache-2.0
"""Ten thousand nodes: what planning and a run that has nothing to do cost grows with the graph and no faster.

Seconds are printed for people; what is tested is their growth from a graph of a quarter of the nodes, which is four
where cost is linear and sixteen where it is quadratic, on a fast machine and on a slow one.
"""

import os
import resource
import time

import drive
from drive import Graph

NODES = int(os.environ.get("TM_NODES", "10000"))
GROWTH = 8


def wide(nodes, skip=-1):
    """A lattice: every node reads two of the row above, so that ways through it are many."""
    g = Graph()
    row = [g.add("mark", g.add("numbers", to=3, cut=1, skip=skip), with_=str(i)) for i in range(10)]
    while len(g.nodes) < nodes:
        row = [g.add("both", row[i], with_=row[(i + 1) % 10]) for i in range(10)]
    for i, node in enumerate(row):
        g.target("t%d" % i, node)
    return g


def timed(what, nodes, call):
    """The call's result, and the seconds of the processor that its processes took."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print("%s, %d nodes: %.2f s of the processor, %.2f s in all" % (what, nodes, cpu, time.monotonic() - begin))
    return result, cpu


class Scale(drive.Case):
    def costs(self, nodes):
        """Seconds of each thing done with a graph of so many nodes that was run before."""
        mill, costs = self.mill(), {}
        first, _ = timed("first run", nodes, lambda: mill.run(wide(nodes), timeout=250))
        self.ok(first)
        plan, costs["plan"] = timed("plan", nodes, lambda: mill.plan(wide(nodes)))
        self.assertEqual(plan.run() | plan.maybe(), set())
        again, costs["run"] = timed("run with nothing to do", nodes, lambda: mill.run(wide(nodes), timeout=60))
        self.assertEqual(again.executed, [])
        plan, costs["edit"] = timed("plan of an edit at the source", nodes, lambda: mill.plan(wide(nodes, skip=1)))
        self.assertEqual(len(plan.run()), 1)
        return costs

    def test_costs_grow_with_the_number_of_nodes_and_no_faster(self):
        for attempt in range(3):  # others on the machine may disturb one of the two
            small, large = self.costs(NODES // 4), self.costs(NODES)
            grew = {what: large[what] / small[what] for what in small}
            if max(grew.values()) < GROWTH:
                break
        self.assertLess(max(grew.values()), GROWTH, grew)


if __name__ == "__main__":
    drive.main()
