# SPDX-License-Identifier: Apache-2.0
"""Ten thousand nodes: planning and a run that has nothing to do take seconds of the processor that a person accepts."""

import os
import resource
import time

import drive
from drive import Graph

NODES = int(os.environ.get("TM_NODES", "10000"))


def wide(skip=-1):
    """A lattice: every node reads two of the row above, so that ways through it are many."""
    g = Graph()
    row = [g.add("mark", g.add("numbers", to=3, cut=1, skip=skip), with_=str(i)) for i in range(10)]
    while len(g.nodes) < NODES:
        row = [g.add("both", row[i], with_=row[(i + 1) % 10]) for i in range(10)]
    for i, node in enumerate(row):
        g.target("t%d" % i, node)
    return g


class Scale(drive.Case):
    def seconds(self, what, call):
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        result = call()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print("%s: %.2f s of the processor, %.2f s in all" % (what, cpu, time.monotonic() - begin))
        return result, cpu

    def test_ten_thousand_nodes(self):
        mill = self.mill()
        first, _ = self.seconds("first run of %d nodes" % NODES, lambda: mill.run(wide(), timeout=250))
        self.ok(first)
        plan, cpu = self.seconds("plan", lambda: mill.plan(wide()))
        self.assertEqual(plan.run() | plan.maybe(), set())
        self.assertLess(cpu, 1)
        again, cpu = self.seconds("run with nothing to do", lambda: mill.run(wide(), timeout=60))
        self.assertEqual(again.executed, [])
        self.assertLess(cpu, 2)
        plan, cpu = self.seconds("plan of an edit at the source", lambda: mill.plan(wide(skip=1)))
        self.assertEqual(len(plan.run()), 1)
        self.assertLess(cpu, 1)


if __name__ == "__main__":
    drive.main()
