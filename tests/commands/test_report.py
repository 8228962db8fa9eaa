#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The report of a run, read by a parser of HTML that knows nothing of who wrote it.

usage: test_report.py PROGRAM [unittest arguments]
"""
import base64
import hashlib
import html.parser
import json
import os
import re
import subprocess
import unittest

from workplace import PROGRAM, WithWorkplace, document

VOID = {"meta", "br", "link", "img", "input", "hr"}
ATTACK = "</script><script>alert(document.cookie)</script><img src=x onerror=alert(1)> & \"'"


SWEEP = """local tm = require "tidemill"
local docs  = tm.split { tm.read { "corpus/*.txt" }, valid = 0.1 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local trials = tm.sweep({ lr = { 3e-4, 1e-2 }, width = { 16, 32 } }, function(v)
  return tm.pretrain { tm.llama { layers = 1, width = v.width, heads = 2, length = 64 }, tokenizer = vocab, data = docs.train,
                       valid = docs.valid, steps = 2, batch = 256, length = 64, lr = v.lr }
end)
return tm.graph { trials = trials, winner = tm.best { trials, by = "valid.loss" } }
"""


class Page(html.parser.HTMLParser):
    """Elements with their texts; what is wrong with the page is in `faults`."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.faults, self.open, self.elements, self.text = [], [], [], []
        self.feed(text)
        self.close()
        if self.open:
            self.faults.append(f"never closed: {[e['tag'] for e in self.open]}")

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "attributes": dict(attributes), "text": "", "above": [e["tag"] for e in self.open],
                   "children": []}
        if len(dict(attributes)) != len(attributes):
            self.faults.append(f"an attribute twice: {self.get_starttag_text()}")
        if self.open:
            self.open[-1]["children"].append(element)
        self.elements.append(element)
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if "svg" not in [e["tag"] for e in self.open]:
            self.faults.append(f"{tag} closes itself outside of SVG")

    def handle_endtag(self, tag):
        if not self.open or self.open[-1]["tag"] != tag:
            self.faults.append(f"</{tag}> where {[e['tag'] for e in self.open]} are open")
        elif self.open:
            self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, *tags):
        return [e for e in self.elements if e["tag"] in tags]

    def by_id(self, name):
        return next(e for e in self.elements if e["attributes"].get("id") == name)


def faults_of(text):
    """What a page that stands alone and is read by everybody must not have."""
    page = Page(text)
    faults = list(page.faults)
    ids = [e["attributes"]["id"] for e in page.elements if "id" in e["attributes"]]
    faults += [f"the id {name} twice" for name in set(ids) if ids.count(name) > 1]
    for e in page.elements:
        a = e["attributes"]
        faults += [f"{e['tag']} has {name}" for name in a if name.startswith("on") or name in ("src", "style", "action")]
        if "href" in a and (not a["href"].startswith("#") or a["href"][1:] not in ids):
            faults.append(f"a link to {a['href']}")
        for name in f"{a.get('aria-labelledby', '')} {a.get('aria-describedby', '')}".split():
            if name not in ids:
                faults.append(f"{e['tag']} is labelled by {name}, which is not there")
        if e["tag"] in ("link", "img", "iframe", "object", "embed", "base", "form", "image", "use", "foreignobject"):
            faults.append(f"a {e['tag']}")
    for svg in page.all("svg"):
        if not any(child["tag"] == "title" and child["text"].strip() for child in svg["children"]):
            faults.append("a picture without a title")
        if svg["attributes"].get("role") not in ("img", "group") and svg["attributes"].get("aria-hidden") != "true":
            faults.append("a picture without a role")
    for table in page.all("table"):
        if not table["children"] or table["children"][0]["tag"] != "caption":
            faults.append("a table without a caption")
    faults += [f"a heading cell {e['text']!r} without scope" for e in page.all("th") if "scope" not in e["attributes"]]
    levels = [int(e["tag"][1]) for e in page.all("h1", "h2", "h3", "h4", "h5", "h6")]
    if levels.count(1) != 1 or any(b > a + 1 for a, b in zip(levels, levels[1:])):
        faults.append(f"headings jump: {levels}")
    for tag in ("main", "header", "footer", "title", "style", "script"):
        if len([e for e in page.all(tag) if "svg" not in e["above"]]) != 1:
            faults.append(f"not exactly one {tag}")
    faults += [f"markup as text: {e['text'][:80]}" for e in page.all("main") if re.search(r"</?(br|td|p|div|span)\b", e["text"])]
    own = re.sub(r"<(pre|td)\b.*?</\1>", "", text, flags=re.S)
    faults += re.findall(r"(?:https?:)?//[a-z][^\s\"'<]*|@import|url\((?!#)", own)
    return faults


def measured(value, error):
    """As it is shown: two digits of the error, and the value to the same place."""
    places = max(0, 1 - int(f"{error:.1e}".split("e")[1]))
    return f"{value:.{places}f} ± {error:.{places}f}"


class ReportOfARun(WithWorkplace):
    """r1 as it is, r2 with more steps and another rule, r3 fails."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place.write("corpus/<img src=x onerror=alert(2)>.txt", f"{ATTACK} short\n")
        cls.place.write("corpus/attack.txt", f"{ATTACK} \x1b[31m " + document(99))
        cls.runs = []
        graph = cls.place.read("graph.lua")
        for edit, flags in ((graph, ("-m", f"first {ATTACK}", "--tag", "a/first")), (graph, ("--set", "steps=30")),
                            (graph.replace("return", 'local good = tm.gate { base, on = curve, require = "text.loss < 0" }\n'
                                           "return").replace("model = model", "model = model, good = good"), ())):
            cls.place.write("graph.lua", edit)
            cls.runs.append(cls.place.tidemill("run", "graph.lua", "--quiet", *flags))
        assert [run[0] for run in cls.runs] == [0, 0, 1], cls.runs

    def report(self, *args):
        self.ok("report", *args, "--out", "report.html")
        return self.place.read("report.html")

    def test_a_run_leaves_its_report_beside_its_journal_and_says_where(self):
        for i, (_, out, _) in enumerate(self.runs, 1):
            path = self.place.path(f"store/runs/r{i}/report.html")
            self.assertIn(f"report: {path}\n", out)
            self.assertEqual(faults_of(self.place.read(path)), [])

    def test_the_page_is_valid_and_needs_nothing_from_elsewhere(self):
        for args in (["r1"], ["r2"], ["r3"], ["--compare", "r1", "r2"], ["--compare", "r3", "r1"]):
            self.assertEqual(faults_of(self.report(*args)), [])

    def test_the_policy_of_the_page_allows_its_own_style_and_script_alone(self):
        text = self.report("r1")
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
        for tag, directive in (("style", "style-src"), ("script", "script-src")):
            body = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)[1]
            digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            self.assertIn(f"{directive} &#39;sha256-{digest}&#39;".replace("&#39;", "'"), policy.replace("&#39;", "'"))
        self.assertIn("default-src 'none'", policy.replace("&#39;", "'"))
        self.assertNotIn("unsafe", policy)

    def test_documents_that_hold_markup_are_text_on_the_page(self):
        text = self.report("r1")
        page = Page(text)
        self.assertEqual(len(page.all("script")), 1)
        self.assertEqual(page.all("img"), [])
        shown = [e["text"] for e in page.all("pre")]
        self.assertTrue(any(ATTACK + " short" in one for one in shown), shown)
        self.assertIn("<img src=x onerror=alert(2)>.txt", page.by_id("curation")["text"])
        self.assertIn(f"first {ATTACK}", page.all("header")[0]["text"])
        self.assertNotIn("\x1b", text)

    def test_it_shows_what_the_run_was_and_what_came_of_it(self):
        page = Page(self.report("r2"))
        sections = {e["attributes"]["id"]: e["text"] for e in page.all("section")}
        self.assertEqual(set(sections), {"evaluation", "samples", "curves", "graph", "timeline", "curation", "nodes", "lineage",
                                         "facts"})
        for node in self.json("status", "r2")["nodes"]:
            self.assertIn(node, sections["nodes"])
        self.assertIn("cores lent, at most", sections["timeline"])
        self.assertIn("tidemill run graph.lua --quiet --set steps=30", sections["facts"])
        self.assertIn("clean: 61 of 68 documents kept", sections["curation"])
        self.assertIn("non_alpha_numeric 1, word_count 3", sections["curation"])
        loss = next(row for row in self.json("inspect", "r2:curve")["records"]
                    if row["name"] == "text.bits_per_byte" and row["step"] == 30)
        self.assertIn(measured(loss['value'], loss['error']), sections["evaluation"])
        artifact = self.json("inspect", "r2:base")["artifact"]
        self.assertIn(f'title="{artifact}"', self.report("r2"))

    def test_curves_are_drawn_with_those_of_earlier_runs_and_stand_in_a_table(self):
        page = Page(self.report("r2"))
        charts = [e for e in page.all("svg") if "curves" not in e["above"] and "chart" in e["attributes"].get("class", "")]
        loss = next(e for e in charts if e["children"][0]["text"] == "base: loss")
        self.assertIn("train: from", loss["children"][1]["text"])
        self.assertIn("r1 ", loss["text"])
        values = {row["step"]: row["value"] for row in self.json("inspect", "r2:base.metrics")["records"]
                  if row["name"] == "valid.loss"}
        table = next(e for e in page.all("table") if e["text"].startswith("base: loss, by step"))
        for value in values.values():
            self.assertIn(f"{value:.4f}", table["text"])

    def test_a_sweep_is_one_box_and_its_points_can_be_told_apart(self):
        self.place.write("sweep.lua", SWEEP)
        self.ok("run", "sweep.lua", store="sweep")
        text = self.place.read("sweep/runs/r1/report.html")
        page = Page(text)
        self.assertEqual(faults_of(text), [])
        boxes = [e["text"] for e in page.all("a") if e["attributes"].get("class", "").startswith("box ")]
        trials = [box for box in boxes if box.startswith("trials: sweep, done")]
        points = [f"lr={lr},width={width}" for lr in ("0.01", "3e-4") for width in (16, 32)]
        self.assertEqual(len(trials), 1, boxes)
        names = [e["text"] for e in page.all("text") if e["attributes"].get("class") == "name end"]
        for point in points:
            self.assertIn(point, trials[0])
            self.assertIn("trials/" + point, names)
        self.assertNotIn("waiting", page.by_id("main")["text"])  # tokens of a point are those of another

    def test_every_model_answers_the_same_prompts_or_it_is_said_why_not(self):
        samples = Page(self.report("r1")).by_id("samples")
        self.assertIn("A beginning to go on from", samples["text"])
        self.assertRegex(samples["text"], r"base\s*pretrain")
        self.assertNotIn("Not asked", samples["text"])
        samples = Page(self.report("r1", "--samples", "0")).by_id("samples")
        self.assertIn("Not asked: this report was made without asking models. tidemill generate r1:base", samples["text"])

    def test_a_failed_run_says_what_failed_and_why(self):
        page = Page(self.report("r3"))
        head = page.all("header")[0]["text"]
        self.assertIn("✗ failed", head)
        self.assertIn("✗ good failed", head)
        self.assertIn("does not hold: text.loss < 0", head)

    def test_compare_shows_what_differs_and_what_came_of_it(self):
        page = Page(self.report("--compare", "r1", "r2"))
        sections = {e["attributes"].get("id"): e["text"] for e in page.all("section")}
        self.assertRegex(sections["settings"], r"steps\s*20\s*30")
        self.assertRegex(sections["measures"], r"curve: text\.loss\s*[\d.]+ ± [\d.]+\s*[\d.]+ ± [\d.]+\s*[+-]\d")
        self.assertIn("base: train.loss", sections["curves"])
        self.assertRegex(sections["curation"], r"came in\s*68\s*68\s*0")

    def test_a_chain_that_got_another_end_is_compared_stage_by_stage(self):
        graph = self.place.read("graph.lua")
        self.place.write("longer.lua", graph.replace("tm.exact_dedup {}", "tm.exact_dedup {}, tm.fuzzy_dedup {}"))
        for name in ("graph.lua", "longer.lua"):
            self.ok("run", name, "clean", "-q", store="longer")
        self.ok("report", "--compare", "r1", "r2", "--out", "longer.html", store="longer")
        page = Page(self.place.read("longer.html"))
        curation = next(e["text"] for e in page.all("section") if e["attributes"].get("id") == "curation")
        self.assertRegex(curation, r"removed by exact_dedup\s*3\s*3\s*0")
        self.assertRegex(curation, r"removed by fuzzy_dedup\s*–\s*\d")
        self.assertEqual(curation.count("removed by exact_dedup"), 1)

    def test_the_page_of_two_runs_calls_the_same_differences_within_error_as_diff_does(self):
        page = Page(self.report("--compare", "r1", "r2"))
        measures = next(e["text"] for e in page.all("section") if e["attributes"].get("id") == "measures")
        code, out, err = self.place.tidemill("diff", "r1", "r2", "--json")
        self.assertEqual(code, 0, err)
        metrics = {name: one for name, one in json.loads(out)["metrics"].items() if "verdict" in one}
        self.assertTrue(metrics)
        for name, one in metrics.items():
            node, _, metric = name.partition(".")
            self.assertRegex(measures, rf"{node}: {re.escape(metric)}\s*[^:]*?{one['verdict']}")
        self.assertEqual(len(re.findall("(within|beyond) error", measures.split("difference", 2)[2])), len(metrics))

    def test_values_are_compared_field_by_field(self):
        with open(self.place.path("graph.lua")) as file:
            text = file.read()
        self.place.write("deeper.lua", text.replace("layers = 1, width = 32, heads = 4", "layers = 2, width = 32, heads = 2"))
        self.ok("run", "deeper.lua", "base", "-q", store="other")
        self.ok("run", "graph.lua", "base", "-q", store="other")
        self.ok("report", "--compare", "r2", "r1", "--out", "values.html", store="other")
        page = Page(self.place.read("values.html"))
        settings = next(e["text"] for e in page.all("section") if e["attributes"].get("id") == "settings")
        self.assertRegex(settings, r"base: layers\s*1\s*2\s")
        self.assertRegex(settings, r"base: heads\s*4\s*2\s")
        self.assertNotIn("width", settings)
        self.assertRegex(self.ok("diff", "r2", "r1", store="other"), r"base layers +1 +2 *\n")

    def test_a_failed_run_says_what_the_terminal_said(self):
        head = Page(self.report("r3")).all("header")[0]["text"]
        err = self.runs[2][2]
        line, fix = re.search(r"--> graph\.lua:(\d+)", err)[1], re.search(r"(?m)^fix +(.*)", err)[1]
        self.assertIn("good failed TM", head)
        self.assertIn(f", graph.lua:{line}", head)
        self.assertIn("fix " + fix.split("`")[0].strip().rstrip(",").split(", then")[0], head)
        self.assertRegex(head, r"look tidemill logs r3:good, tidemill explain TM\d+")

    def test_a_file_that_went_is_named_in_the_words_of_diff(self):
        for name in "one", "two":
            self.place.write(f"some/{name}.txt", f"{name} short text\n")
        self.place.write("files.lua", 'local tm = require "tidemill"\nreturn tm.graph { some = tm.read { "some/*.txt" } }\n')
        self.ok("run", "files.lua", "-q", store="files")
        os.remove(self.place.path("some/two.txt"))
        self.ok("run", "files.lua", "-q", store="files")
        self.ok("report", "--compare", "r1", "r2", "--out", "files.html", store="files")
        settings = Page(self.place.read("files.html")).by_id("settings")["text"]
        self.assertIn("1 file removed (two.txt)", settings)
        self.assertIn("1 file removed (two.txt)", self.ok("diff", "r1", "r2", store="files"))
        self.assertNotIn("one.txt", settings)

    def test_the_page_of_a_small_run_is_small(self):
        self.assertLess(len(self.report("r1").encode()), 120_000)

    def test_where_a_report_goes_is_said(self):
        self.assertEqual(self.ok("report", "r1").strip(), self.place.path("store/runs/r1/report.html"))
        said = self.json("report", "r1", "--out", "here.html")
        self.assertEqual(said, {"path": self.place.path("here.html"), "bytes": os.path.getsize(self.place.path("here.html"))})
        self.assertTrue(self.ok("report", "r1", "--out", "-").startswith("<!DOCTYPE html>"))
        self.assertEqual(self.ok("report", "a/first").strip(), self.place.path("store/runs/r1/report.html"))
        self.assertEqual(self.ok("report").strip(), self.place.path("store/runs/r3/report.html"))
        self.assertEqual(self.ok("report", "--compare", "a/first", "latest").strip(), "r1-r3.html")
        self.assertIn("`tidemill runs`", self.fails(2, "report", "r9"))
        self.assertIn("--compare takes two runs", self.fails(3, "report", "--compare", "r1"))

    def test_open_hands_the_file_to_the_desktop(self):
        self.place.write("bin/xdg-open", '#!/bin/sh\necho "$1" > opened\n')
        os.chmod(self.place.path("bin/xdg-open"), 0o755)
        path = {"PATH": self.place.path("bin") + ":" + os.environ["PATH"]}
        code, out, err = self.place.tidemill("report", "r1", "--open", env=path.items())
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(self.place.read("opened").strip(), self.place.path("store/runs/r1/report.html"))
        self.place.write("bin/xdg-open", "#!/bin/sh\nexit 3\n")
        code, out, err = self.place.tidemill("report", "r1", "--open", env=path.items())
        self.assertEqual(code, 1, out + err)
        self.assertIn("open that file in a browser", err)


if __name__ == "__main__":
    unittest.main()
