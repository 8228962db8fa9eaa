# SPDX-License-Identifier: Apache-2.0
"""What a plan promises and what a run then does: cached, run, maybe; early cutoff; 200 random edits."""

import os
import random

import drive
from drive import Graph

EDITS = int(os.environ.get("TM_EDITS", "200"))


def chain(note="", drop="", modulo=1000000, rate=0.5, delay=0):
    g = Graph()
    numbers = g.add("numbers", to=40, note=note, delay_ms=delay, name="numbers")
    a = g.add("mark", numbers, with_="a", delay_ms=delay)
    b = g.add("mark", a, with_="b", drop=drop, name="marked")
    g.add("gather", b, modulo=modulo, name="sum")
    model = g.add("learn", data=b, steps=30, rate=rate, every=10, name="model")
    g.add("score", model, name="score")
    return g


class Cache(drive.Case):
    def test_a_second_run_is_all_cached(self):
        mill = self.mill()
        first = self.ok(mill.run(chain()))
        self.assertEqual(set(first.executed), {"numbers", "mark", "marked", "sum", "model", "score"})
        plan = mill.plan(chain())
        self.assertEqual({node["state"] for node in plan.nodes.values()}, {"cached"})
        second = self.ok(mill.run(chain()))
        self.assertEqual(second.executed, [])
        self.assertEqual(second.outputs, first.outputs)

    def test_threads_and_options_outside_the_key_rerun_nothing(self):
        mill = self.mill()
        first = self.ok(mill.run(chain(), "--cores", 2))
        again = self.ok(mill.run(chain(delay=1), "--cores", 1))
        self.assertEqual(again.executed, [])
        self.assertEqual(again.outputs, first.outputs)

    def test_the_reason_names_the_option_with_both_values(self):
        mill = self.mill()
        self.ok(mill.run(chain()))
        plan = mill.plan(chain(rate=0.25))
        self.assertEqual(plan.state("model"), "run")
        self.assertEqual(plan.reason("model"), "options rate 0.5 -> 0.25")
        self.assertEqual(plan.state("sum"), "cached")
        self.assertEqual(plan.state("score"), "maybe")
        self.assertIn("model", plan.reason("score"))

    def test_a_node_that_never_ran_says_so(self):
        self.assertEqual(self.mill().plan(chain()).reason("sum"), "not run before")

    def test_an_upstream_rerun_with_equal_bytes_stops_there(self):
        mill = self.mill()
        self.ok(mill.run(chain()))
        plan = mill.plan(chain(note="other"))
        self.assertEqual(plan.run(), {"numbers"})
        self.assertEqual(plan.maybe(), {"mark", "marked", "sum", "model", "score"})
        self.assertIn("only if", plan.reason("marked"))
        result = self.ok(mill.run(chain(note="other")))
        self.assertEqual(result.executed, ["numbers"])

    def test_a_barrier_that_gives_equal_bytes_stops_the_rest(self):
        def graph(drop):
            g = Graph()
            numbers = g.add("numbers", to=40)
            total = g.add("gather", g.add("mark", numbers, drop=drop), modulo=1, name="sum")
            g.add("both", numbers, with_=total, name="joined")
            return g
        mill = self.mill()
        self.ok(mill.run(graph("")))
        result = self.ok(mill.run(graph("7")))
        self.assertEqual(set(result.executed), {"mark", "sum"})

    def test_changing_a_fused_node_recomputes_the_others_of_its_group(self):
        mill = self.mill()
        self.ok(mill.run(chain()))
        plan = mill.plan(chain(drop="3a"))
        self.assertEqual(plan.state("mark"), "recompute (fused)")
        self.assertEqual(plan.state("marked"), "run")
        self.assertEqual(plan.reason("marked"), 'options drop "" -> "3a"')

    def test_two_nodes_of_the_same_work_are_executed_once(self):
        g = Graph()
        for name in ("one", "two"):
            g.add("mark", g.add("numbers", to=20), with_="x", name=name)
        result = self.ok(self.mill().run(g))
        self.assertEqual(len(result.executed), 2)
        self.assertEqual(result.outputs["one"], result.outputs["two"])

    def test_lost_bytes_are_made_again_only_for_who_needs_them(self):
        mill = self.mill()
        first = self.ok(mill.run(chain()))
        mill.lose(mill.entries(first.outputs["marked"][""])[1:2])
        plan = mill.plan(chain(rate=0.25))
        self.assertEqual(plan.state("marked"), "recompute (bytes gone)")
        result = self.ok(mill.run(chain(rate=0.25)))
        self.assertEqual(result.outputs, self.fresh(chain(rate=0.25)))
        self.assertNotIn("sum", result.executed)


class RandomGraph:
    """A graph under random edits. Every node is a dict: stage, args, inputs (indices), name or None."""

    def __init__(self, rng):
        self.rng, self.nodes, self.names = rng, [], 0
        for _ in range(rng.randint(1, 2)):
            self.add("numbers", to=rng.randint(2, 5) * 10, cut=rng.choice([5, 10]))
        for _ in range(rng.randint(4, 9)):
            self.grow()
        self.name_ends()

    def add(self, stage, *inputs, **args):
        self.nodes.append({"stage": stage, "inputs": list(inputs), "args": args, "name": None})
        return len(self.nodes) - 1

    def data_nodes(self):
        return [i for i, n in enumerate(self.nodes) if n["stage"] in ("numbers", "mark", "gather", "both")]

    def grow(self):
        rng, data = self.rng, self.data_nodes()
        kind = rng.choices(["mark", "gather", "both", "learn", "score"], [6, 3, 2, 2, 2])[0]
        models = [i for i, n in enumerate(self.nodes) if n["stage"] == "learn"]
        if kind == "score" and models:
            select = rng.choice(["last", "each"])
            self.add("score", (rng.choice(models), "", select))
        elif kind == "learn" and len(models) < 2:
            self.add("learn", (rng.choice(data), "", None), steps=rng.randint(2, 5) * 5, every=5)
        elif kind == "both":
            self.add("both", (rng.choice(data), "", None), (rng.choice(data), "", None))
        elif kind == "gather":
            self.add("gather", (rng.choice(data), "", None), modulo=rng.choice([1, 3, 1000000]))
        else:
            source = rng.choice(data)
            out = "removed" if self.nodes[source]["stage"] == "mark" and rng.random() < 0.25 else ""
            self.add("mark", (source, out, None), with_=rng.choice("abc"), drop=rng.choice(["", "1", "a", "3a"]))

    def name_ends(self):
        used = {i for n in self.nodes for i, _, _ in n["inputs"]}
        for i, node in enumerate(self.nodes):
            if i not in used and not node["name"]:
                self.name(node)

    def name(self, node):
        self.names += 1
        node["name"] = "t%d" % self.names

    def graph(self):
        g, made = Graph(), []
        for node in self.nodes:
            inputs = [made[i].port(out) for i, out, _ in node["inputs"]]
            if node["stage"] == "score" and node["inputs"][0][2] == "each":
                inputs = [inputs[0].each()]
            args = dict(node["args"])
            if node["stage"] == "both":
                args["with_"] = inputs.pop()
            if node["stage"] == "learn":
                args["data"] = inputs.pop()
            made.append(g.add(node["stage"], *inputs, name=node["name"], **args))
        return g

    def pick(self, *stages):
        found = [n for n in self.nodes if n["stage"] in stages]
        return self.rng.choice(found) if found else None

    def edit(self):
        """One change; returns what it was, and whether it is one that must rerun nothing."""
        rng = self.rng
        kind = rng.choice(["with", "drop", "skip", "to", "note", "modulo", "steps", "rate", "decays", "grow", "grow",
                           "rename", "name", "unname", "delay", "cores", "every", "back"])
        node = {"with": "mark", "drop": "mark", "skip": "numbers", "to": "numbers", "note": "numbers",
                "modulo": "gather", "steps": "learn", "rate": "learn", "decays": "learn", "every": "learn"}.get(kind)
        picked = self.pick(node) if node else None
        if node and not picked:
            return kind + " (none)", True
        args = picked["args"] if picked else None
        if kind == "with": args["with_"] = rng.choice("abcd")
        elif kind == "drop": args["drop"] = rng.choice(["", "1", "a", "b", "9"])
        elif kind == "skip": args["skip"] = rng.randrange(-1, 50)
        elif kind == "to": args["to"] = rng.randint(1, 6) * 10
        elif kind == "note": args["note"] = rng.choice("xyz")
        elif kind == "modulo": args["modulo"] = rng.choice([1, 2, 3, 1000000])
        elif kind == "steps": args["steps"] = rng.randint(1, 8) * 5
        elif kind == "rate": args["rate"] = rng.choice([0.25, 0.5])
        elif kind == "decays": args["decays"] = rng.random() < 0.5
        elif kind == "every": args["every"] = rng.choice([3, 5, 10])
        elif kind == "grow" and len(self.nodes) < 14: self.grow()
        elif kind == "back":
            self.__dict__.update(self.saved)
        elif kind == "rename": self.name(rng.choice([n for n in self.nodes if n["name"]]))
        elif kind == "name": self.name(rng.choice(self.nodes))
        elif kind == "unname": rng.choice(self.nodes)["name"] = None
        elif kind == "delay":
            picked = self.pick("numbers", "mark", "gather")
            picked["args"]["delay_ms"] = rng.choice([0, 1])
        self.name_ends()
        return kind, kind in ("rename", "delay", "cores")

    def save(self):
        self.saved = {"nodes": [dict(n, args=dict(n["args"]), inputs=list(n["inputs"])) for n in self.nodes]}


class Edits(drive.Case):
    def test_what_is_executed_lies_between_run_and_run_plus_maybe(self):
        rng = random.Random(drive.SEED)
        count = 0
        while count < EDITS:
            mill, g = self.mill(), RandomGraph(rng)
            g.save()
            for step in range(min(20, EDITS - count)):
                change, harmless = ("first", False) if step == 0 else g.edit()
                self.one_edit(mill, g.graph(), "edit %d of seed %d: %s" % (count, drive.SEED, change), harmless, rng)
                if step % 4 == 0:
                    g.save()
                count += 1

    @staticmethod
    def visible(mill, result):
        """What must not depend on history: of snapshots (`every` and `steps` say which there are) the last one."""
        seen = {}
        for name, ports in result.outputs.items():
            stage = result.plan.all[name]["stage"]
            logs = stage in ("learn", "score")
            seen[name] = {port: mill.entries(hash)[-1] if logs else hash for port, hash in ports.items()}
        return seen

    def one_edit(self, mill, graph, what, harmless, rng):
        plan = mill.plan(graph)
        if harmless:
            self.assertEqual(plan.run() | plan.maybe(), set(), what)
        result = self.ok(mill.run(graph, "--cores", rng.choice([1, 2, 3])))
        done = set(result.executed)
        self.assertEqual(len(done), len(result.executed), what)
        self.assertLessEqual(plan.run(), done, what)
        self.assertLessEqual(done, plan.run() | plan.maybe(), what)
        if rng.random() < 0.5:
            fresh = self.mill()
            other = self.ok(fresh.run(graph))
            mine, theirs = self.visible(mill, result), self.visible(fresh, other)
            self.assertEqual({n: (mine[n], theirs[n]) for n in mine if mine[n] != theirs[n]}, {}, what)
        after = mill.plan(graph)
        self.assertEqual(after.run() | after.maybe(), set(), what)


if __name__ == "__main__":
    drive.main()
