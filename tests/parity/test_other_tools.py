#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `tidemill send` and `tidemill metrics` write is read by the tools it is meant for, and holds what was measured.

usage: test_other_tools.py PROGRAM [unittest arguments]
"""
import glob
import importlib.util
import json
import math
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../commands"))
os.environ.update(MLFLOW_ALLOW_FILE_STORE="true", WANDB_MODE="offline", WANDB_ERROR_REPORTING="false",
                  MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")

from workplace import GRAPH, WithWorkplace

MISSING = [name for name in ("tensorboard", "mlflow", "wandb", "prometheus_client") if not importlib.util.find_spec(name)]
if MISSING:
    print("not installed:", *MISSING)
    sys.exit(1 if os.environ.get("CI") == "true" else 77)

# A task and a model whose names no tool takes as they are.
ODD = '''local odd = tm.evaluate { { ["a b/../<c>"] = base, ["a b/../(c)"] = base },
                          tasks = { ['te xt"'] = tm.perplexity { docs.valid, length = 64 } } }
return tm.graph { odd = odd, '''


class OtherTools(WithWorkplace):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place.write("graph.lua", GRAPH.replace("return tm.graph { ", ODD))
        code, out, err = cls.place.tidemill("run", "graph.lua", "--quiet", "--set", "lr=2e-3")
        assert code == 0, out + err
        cls.place.write("bad.lua", 'local tm = require "tidemill"\n'
                        'return tm.graph { bad = tm.exec { tm.read { "corpus/*.txt" }, program = { "false" } } }')
        assert cls.place.tidemill("run", "bad.lua", "--quiet")[0] == 1

    def measured(self, run="r1"):
        """{node: {metric: [(step, value)]}} of the journal, by step: snapshots are judged side by side, in any order."""
        found = {}
        for line in self.ok("logs", run, "--json").splitlines():
            event = json.loads(line)
            if event["event"] == "note":
                found.setdefault(event["node"], {}).setdefault(event["name"], []).append((event["step"], event["value"]))
        self.assertGreaterEqual(set(found), {"base", "curve", "odd"})
        for metrics in found.values():
            for points in metrics.values():
                points.sort(key=lambda point: point[0])
        return found

    def latest(self):
        return json.loads(self.ok("runs", "--json"))["runs"][-1]["run"]

    def send(self, tool, run="r1", path=None):
        path = path or tool
        self.ok("send", run, path, "--to", tool)
        return self.place.path(path)

    def same(self, got, wanted, places=7):
        self.assertEqual([step for step, _ in got], [step for step, _ in wanted])
        for (_, a), (_, b) in zip(got, wanted):
            self.assertAlmostEqual(a, b, delta=abs(b) * 10.0**-places)

    def test_tensorboard_reads_every_metric_with_its_steps_and_times(self):
        from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
        all_of = EventMultiplexer().AddRunsFromDirectory(self.send("tensorboard"))
        all_of.Reload()
        started = json.loads(self.ok("runs", "--json"))["runs"][0]["started"] / 1000
        n = 0
        for node, metrics in self.measured().items():
            for name, points in metrics.items():
                events = all_of.Scalars(f"r1/{node}", name.replace(".", "/", 1))
                self.same([(e.step, e.value) for e in events], points, places=6)
                for e in events:
                    self.assertTrue(started - 1 <= e.wall_time <= started + 300, e)
                n += 1
        self.assertGreaterEqual(n, 5)
        errors = all_of.Scalars("r1/curve", "text/loss.error")
        self.assertEqual([e.step for e in errors], [e.step for e in all_of.Scalars("r1/curve", "text/loss")])

    def test_a_run_leaves_event_files_of_what_it_measured_itself(self):
        from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
        self.ok("run", "graph.lua", "--quiet", "--set", "lr=2e-3")  # all of it is cached: nothing is measured
        all_of = EventMultiplexer().AddRunsFromDirectory(self.place.path("store/runs"))
        all_of.Reload()
        for node, metrics in self.measured().items():
            for name, points in metrics.items():
                events = all_of.Scalars(f"r1/tensorboard/{node}", name.replace(".", "/", 1))
                self.same([(e.step, e.value) for e in events], points, places=6)
        latest = self.latest()
        self.assertNotEqual(latest, "r1")
        self.assertEqual([run for run in all_of.Runs() if run.startswith(latest + "/")], [latest + "/tensorboard"])

    def test_tensorboard_shows_parameters_as_text_and_for_its_hparams_page(self):
        from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
        from tensorboard.plugins.hparams import metadata
        folder = self.send("tensorboard")
        self.send("tensorboard", "r2")
        all_of = EventMultiplexer().AddRunsFromDirectory(folder)
        all_of.Reload()
        self.assertIn(b"| lr | 0.002 |", all_of.Tensors("r1", "params")[0].tensor_proto.string_val[0])
        said = all_of.SummaryMetadata("r1", "_hparams_/session_start_info").plugin_data.content
        start = metadata.parse_session_start_info_plugin_data(said)
        self.assertEqual(start.hparams["steps"].number_value, 20)
        for run, status in (("r1", 1), ("r2", 2)):  # success, failure
            said = all_of.SummaryMetadata(run, "_hparams_/session_end_info").plugin_data.content
            self.assertEqual(metadata.parse_session_end_info_plugin_data(said).status, status)

    def test_mlflow_reads_runs_with_metrics_parameters_and_tags(self):
        from mlflow.tracking import MlflowClient
        folder = self.send("mlflow", path="mlruns")
        self.send("mlflow", "r2", path="mlruns")
        client = MlflowClient(tracking_uri="file:" + folder)
        runs = {run.info.run_name: run for e in client.search_experiments() for run in client.search_runs([e.experiment_id])}
        self.assertEqual({e.name for e in client.search_experiments()}, {"graph", "bad"})
        self.assertEqual({name: run.info.status for name, run in runs.items()}, {"r1": "FINISHED", "r2": "FAILED"})
        one = runs["r1"]
        self.assertEqual(one.data.params, {"steps": "20", "lr": "0.002"})
        self.assertEqual(one.data.tags["mlflow.source.name"], "graph.lua")
        for node in ("base", "curve"):
            for name, points in self.measured()[node].items():
                history = client.get_metric_history(one.info.run_id, f"{node}/{name}")
                self.same([(m.step, m.value) for m in history], points)
        client.log_metric(one.info.run_id, "mine", 1)  # it is a run like others: it can be written to, and sent again
        self.send("mlflow", path="mlruns")
        self.assertEqual(client.get_run(one.info.run_id).data.metrics["mine"], 1)

    def test_names_that_a_tool_does_not_take_are_changed_told_and_stay_apart(self):
        from mlflow.tracking import MlflowClient
        from mlflow.utils.validation import _validate_metric_name
        self.send("mlflow", path="mlruns")
        said = json.loads(self.ok("send", "r1", "mlruns", "--to", "mlflow", "--json"))
        odd = self.measured()["odd"]
        self.assertGreaterEqual(said["renamed"], len(odd))
        client = MlflowClient(tracking_uri="file:" + self.place.path("mlruns"))
        names = [name for e in client.search_experiments() for run in client.search_runs([e.experiment_id])
                 for name in run.data.metrics if name.startswith("odd/") and not name.endswith((".error", ".error_2"))]
        self.assertEqual(len(names), 8)  # two models, four measures
        for name in names:
            _validate_metric_name(name)
        inside = os.path.realpath(self.place.path("mlruns"))
        for at, _, _ in os.walk(self.place.folder):
            self.assertTrue(not at.endswith("<c>"), at)
        self.assertTrue(glob.glob(inside + "/*/*/metrics/odd"))

    def wandb_records(self, folder):
        from wandb.proto import wandb_internal_pb2
        from wandb.sdk.internal.datastore import DataStore
        (file,) = glob.glob(folder + "/offline-run-*/run-*.wandb")
        log, records = DataStore(), []
        log.open_for_scan(file)
        while (data := log.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            records.append(record)
        log.close()
        return records

    def test_wandb_reads_history_config_and_summary(self):
        records = self.wandb_records(self.send("wandb"))
        self.assertEqual([r.num for r in records], list(range(1, len(records) + 1)))
        kinds = [r.WhichOneof("record_type") for r in records]
        self.assertEqual(kinds[:2] + kinds[-2:], ["header", "run", "exit", "footer"])
        run = records[1].run
        self.assertEqual((run.project, run.display_name), ("graph", "r1"))
        self.assertEqual({i.key: json.loads(i.value_json) for i in run.config.update}["lr"], 0.002)
        axes = {r.metric.name: r.metric.step_metric for r in records if r.HasField("metric")}
        self.assertEqual(axes["base/train/loss"], "base/step")
        rows = [{i.key: json.loads(i.value_json) for i in r.history.item} for r in records if r.HasField("history")]
        self.assertEqual([row["_step"] for row in rows], list(range(len(rows))))
        for node in ("base", "curve"):
            for name, points in self.measured()[node].items():
                key = f"{node}/{name.replace('.', '/')}"
                self.same([(row[f"{node}/step"], row[key]) for row in rows if key in row], points)
                (last,) = [json.loads(i.value_json) for r in records for i in r.summary.update if i.key == key]
                self.assertAlmostEqual(last, points[-1][1])

    def test_a_wandb_log_goes_over_many_blocks(self):
        lines = self.place.read("graph.lua").replace("lr = tm.number { 3e-3 }", "lr = tm.string { string.rep('long ', 20000) }")
        self.place.write("long.lua", lines.replace("lr = p.lr,", ""))
        self.ok("run", "long.lua", "-q", "--only", "clean")
        records = self.wandb_records(self.send("wandb", self.latest(), path="long"))
        config = {i.key: json.loads(i.value_json) for i in records[1].run.config.update}
        self.assertEqual(config["lr"], "long " * 20000)

    def test_prometheus_reads_the_metrics_of_a_run(self):
        from prometheus_client.parser import text_string_to_metric_families
        families = {f.name: f for f in text_string_to_metric_families(self.ok("metrics", "r1"))}
        info = families["tidemill_run_info"].samples[0].labels
        self.assertEqual((info["run"], info["graph"], info["status"]), ("r1", "graph.lua", "done"))
        values = {(s.labels["node"], s.labels["name"]): s.value for s in families["tidemill_metric"].samples}
        for node, metrics in self.measured().items():
            for name, points in metrics.items():
                self.assertAlmostEqual(values[node, name], points[-1][1])
        for family in families.values():
            self.assertTrue(family.documentation and family.samples, family.name)
            self.assertTrue(all(math.isfinite(s.value) for s in family.samples))


if __name__ == "__main__":
    unittest.main(verbosity=2)
