#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inputs that are missing, empty or damaged, and a disk that is full: clear words, the exit status that fits, and
nothing that was made is lost.

usage: test_bad_input.py PROGRAM [unittest arguments]
"""
import io
import json
import os
import random
import subprocess
import tarfile
import unittest

from workplace import PROGRAM, WithWorkplace, document

READ = 'local tm = require "tidemill"\nreturn tm.graph {{ docs = tm.read {{ "{}"{} }} }}\n'


def archive(n):
    """A tar.gz of n documents that do not compress well."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for i in range(n):
            text = (document(i) + "".join(chr(random.Random(i * 999 + k).randrange(33, 126)) for k in range(2000))).encode()
            info = tarfile.TarInfo(f"{i}.txt")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


class BadInput(WithWorkplace):
    def reads(self, path, more=""):
        self.place.write("read.lua", READ.format(path, more))
        return "run", "read.lua", "--quiet"

    def test_what_a_node_cannot_ask_of_the_machine_is_told(self):
        self.place.write("docs/a.txt", document(1))
        for at, words in (("coers = 2", 'no option "coers"'), ("gpus = 1", 'no option "gpus"'), ("cores = 0", "between 1 and"),
                          ('memory = "8 X"', '"memory" takes a number'), ('timeout = "1 h"', '"timeout" takes a number')):
            err = self.fails(2, *self.reads("docs", f", at = {{ {at} }}"))
            self.assertIn("tm.read: at: ", err)
            self.assertIn(words, err)
        self.ok(*self.reads("docs", ', at = { cores = 2, memory = "6 GiB", retries = 0, timeout = 60.5 }'))

    def test_a_missing_file_is_told_before_anything_runs(self):
        err = self.fails(2, *self.reads("nowhere/*.txt"))
        self.assertIn('"nowhere/*.txt" is not there', err)
        self.assertIn("read.lua:2:37", err)
        self.assertIn("relative to the graph file", err)

    def test_a_folder_without_files_is_told_before_anything_runs(self):
        os.makedirs(self.place.path("hollow"), exist_ok=True)
        self.assertIn('"hollow" holds no files', self.fails(2, *self.reads("hollow")))

    def test_files_without_documents_fail_the_node(self):
        self.place.write("empty/a.txt", "")
        err = self.fails(1, *self.reads("empty"))
        self.assertIn('docs: no documents in "empty"', err)
        self.assertIn("--> read.lua:2:29", err)
        self.assertRegex(err, r"look +tidemill logs r\d+:docs")

    def test_an_empty_file_among_others_is_told(self):
        self.place.write("some/a.txt", document(1))
        self.place.write("some/b.txt", "")
        self.ok(*self.reads("some"))
        self.assertIn("b.txt: empty, left out", self.ok("logs", "docs"))

    def test_files_that_are_no_text_are_read_and_told(self):
        self.place.write("mixed/a.txt", document(1))
        self.place.write("mixed/b.png", b"\x89PNG\r\n\x1a\n\0\0")
        self.place.write("mixed/c.pdf", b"%PDF-1.4 and so on")
        self.place.write("mixed/d.txt", "na\xefve".encode("latin-1"))
        self.assertIn("warning: docs: 2 files of bytes that are no text (tidemill logs docs)\n",
                      self.ok(*self.reads("mixed")[:-1]))
        shown = self.json("inspect", "docs")
        self.assertEqual((shown["rows"], shown["counts"]), (4, {"binary_files": 2, "encoded_files": 1}))
        log = self.ok("logs", "docs")
        self.assertIn("b.png: no text (zero byte at 8), but read as such", log)
        self.assertIn("c.pdf: no text (a PDF file), but read as such", log)
        self.assertIn("d.txt: not UTF-8 at byte 3, but read as such; put tm.fix_unicode behind it", log)

    def test_text_that_is_not_utf8_is_told_and_goes_out_as_json_all_the_same(self):
        self.place.write("lat/a.txt", document(1))
        self.place.write("lat/latin.txt", b"caf\xe9 \xff latin1")
        self.place.write("echo.sh", "cat\n")
        self.place.write("lat.lua", 'local tm = require "tidemill"\nlocal docs = tm.read { "lat" }\nlocal add = tm.stage {\n'
                         '  name = "add", takes = "documents",\n  each = function(doc, o, emit)\n'
                         '    emit { text = doc.text .. "!" }\n  end }\nreturn tm.graph { docs = docs, same = tm.exec { docs, '
                         'program = { "sh", "echo.sh" } }, more = add { docs }, mended = add { tm.fix_unicode { docs } } }\n')
        told = self.ok("run", "lat.lua", "same", "mended")
        self.assertIn("warning: docs: 1 file not UTF-8: tm.fix_unicode mends that (tidemill logs docs)\n", told)
        for name in ("docs", "same"):
            self.ok("get", name, self.place.path(name + ".jsonl"))
            rows = [json.loads(line) for line in self.place.read(name + ".jsonl").splitlines()]
            self.assertEqual([row["text"] for row in rows if row["source"] == "latin.txt"], ["caf\ufffd \ufffd latin1"])
            shown = self.json("inspect", name)["records"]
            self.assertIn("caf\ufffd \ufffd latin1", [record["text"] for record in shown])
        err = self.fails(1, "run", "lat.lua", "more", "-q")
        self.assertIn("emit: 'text' is not UTF-8 at byte 4, and nor was the record it was given\n  --> lat.lua:6:12\n", err)
        self.assertRegex(err, r"why    it was given record \w+, from latin.txt\n")
        self.assertIn("fix    put tm.fix_unicode in front of this stage\n", err)

    def test_pages_of_another_charset_are_no_fault(self):
        self.place.write("pages/a.html", b'<meta charset="latin1"><p>caf\xe9</p>')
        self.assertNotIn("UTF-8", self.ok(*self.reads("pages", ', format = "html"')[:-1]))

    def test_links_in_a_folder_are_told_if_they_would_match(self):
        self.place.write("linked/a.txt", document(1))
        for name, target in (("dead.txt", "nowhere"), ("live.txt", "a.txt"), ("other.html", "a.txt"), (".hidden", "a.txt")):
            os.symlink(target, self.place.path("linked/" + name))
        self.assertIn("warning: docs: 2 links not followed (tidemill logs docs)\n", self.ok(*self.reads("linked/*.txt")[:-1]))
        self.assertEqual(self.json("inspect", "docs")["rows"], 1)
        log = self.ok("logs", "docs")
        self.assertIn("dead.txt: a link, not followed: what it points to is not there", log)
        self.assertIn("live.txt: a link, not followed: name it in tm.read", log)
        self.assertNotIn("other.html", log)
        self.ok(*self.reads("linked/live.txt"))
        self.assertRegex(self.fails(2, *self.reads("linked/dead.txt")), r'"linked/dead.txt" is a link to what is not there\n')

    def test_a_folder_of_links_alone_is_told_before_anything_runs(self):
        os.makedirs(self.place.path("links"))
        os.symlink("nowhere", self.place.path("links/one.txt"))
        err = self.fails(2, *self.reads("links"))
        self.assertRegex(err, r'"links" holds no files\n(.*\n)*why +it holds 1 link \(one.txt\), and links in a folder are not')

    def test_an_archive_that_is_cut_off_fails_with_its_name_and_place(self):
        whole = archive(20)
        self.place.write("cut.tar.gz", whole[:len(whole) // 2])
        err = self.fails(1, *self.reads("cut.tar.gz"))
        self.assertRegex(err, r"cut\.tar\.gz: .*the gzip data end in the middle\n(.*\n)*fix +the file is damaged")
        self.place.write("cut.tar.gz", whole)  # the same graph goes on once the file is whole
        self.ok(*self.reads("cut.tar.gz"))
        self.assertEqual(self.json("inspect", "docs")["rows"], 20)

    def test_a_file_whose_name_is_not_utf8_is_read_and_named_when_it_fails(self):
        os.makedirs(self.place.path("names"), exist_ok=True)
        with open(os.path.join(os.fsencode(self.place.path("names")), b"caf\xe9.tar.gz"), "wb") as file:
            file.write(archive(20))
        self.ok(*self.reads("names"))
        self.assertEqual(self.json("inspect", "docs")["rows"], 20)
        with open(os.path.join(os.fsencode(self.place.path("names")), b"caf\xe9.tar.gz"), "r+b") as file:
            file.truncate(1000)
        self.assertRegex(self.fails(1, *self.reads("names")), r"caf\?\.tar\.gz: .*the gzip data end in the middle\n")

    def test_lines_that_cannot_be_used_are_counted_and_the_rest_is_read(self):
        self.place.write("some.jsonl", '{"text": "one"}\nnot JSON\n{"txt": "two"}\n{"text": "three"}\n{"text": 4}\n')
        self.ok(*self.reads("some.jsonl", ', format = "jsonl"'))
        shown = self.json("inspect", "docs")
        self.assertEqual(([record["text"] for record in shown["records"]], shown["counts"]),
                         (["one", "three"], {"bad_lines": 3}))
        self.assertIn("some.jsonl:2: no JSON object", self.ok("logs", "docs"))

    def test_lines_that_are_all_bad_fail_the_node(self):
        self.place.write("bad.jsonl", "not JSON\n" * 30)
        self.assertIn("30 of 30 lines were bad", self.fails(1, *self.reads("bad.jsonl", ', format = "jsonl"')))

    def test_bad_lines_beyond_those_named_are_told_by_number(self):
        self.place.write("more.jsonl", '{"text": "one"}\n' + "not JSON\n" * 26)
        self.ok(*self.reads("more.jsonl", ', format = "jsonl"'))
        log = self.ok("logs", "docs")
        self.assertEqual(log.count("no JSON object"), 20)
        self.assertIn("and 6 more lines that could not be used (26 in all)", log)

    def test_a_field_that_no_line_has_is_named_and_so_are_those_that_there_are(self):
        self.place.write("other.jsonl", '{"id": 1, "text": "one"}\n' * 3)
        err = self.fails(1, *self.reads("other.jsonl", ', format = "jsonl", text = "txt"'))
        self.assertIn('other.jsonl:1: no field "txt" (it has id, text; did you mean "text"?)', err)
        self.assertIn("name the field that has the text", err)
        self.assertIn("there is no prompt (it has id, text)", self.fails(1, *self.reads("other.jsonl", ', format = "chat"')))

    def test_an_input_of_which_no_line_can_be_used_fails_beside_a_good_one(self):
        self.place.write("good.jsonl", '{"text": "one"}\n')
        self.place.write("poor.jsonl", '{"body": "two"}\n' * 3)
        self.place.write("both.lua", 'local tm = require "tidemill"\n'
                         'return tm.graph { docs = tm.read { { "good.jsonl", "poor.jsonl" }, format = "jsonl" } }\n')
        err = self.fails(1, "run", "both.lua", "--quiet")
        self.assertIn('no documents in "poor.jsonl"', err)
        self.assertIn("3 of 3 lines were bad", err)

    def test_a_file_that_is_one_array_is_told_so_once_and_how_to_make_lines_of_it(self):
        self.place.write("array.json", json.dumps([{"prompt": "a", "answer": "b"}] * 3, indent=1))
        err = self.fails(1, *self.reads("array.json", ', format = "chat"'))
        self.assertIn("array.json:1: one JSON array, where each line has to be an object", err)
        self.assertIn("jq -c '.[]' array.json > array.json.jsonl", err)
        self.assertEqual(self.ok("logs", "docs").count("array.json:"), 1)

    @unittest.skipIf(os.geteuid() == 0, "root reads everything")
    def test_a_file_that_may_not_be_read_is_named(self):
        self.place.write("secret/a.txt", "mine")
        os.chmod(self.place.path("secret/a.txt"), 0)
        self.assertIn("a.txt: Permission denied", self.fails(2, *self.reads("secret")))

    def test_a_store_that_cannot_be_made_is_told(self):
        self.place.write("file", "in the way")
        err = self.fails(2, "run", "graph.lua", store="file/store")
        self.assertIn("file/store", err)

    def test_bytes_that_are_no_text_are_repaired_and_counted_as_documents(self):
        self.place.write("bytes/a.txt", b"\xff\xfe\x00 broken \x80 bytes \xc3")
        self.place.write("fix.lua", 'local tm = require "tidemill"\n'
                         'return tm.graph { docs = tm.curate { tm.read { "bytes" }, tm.fix_unicode {} } }\n')
        self.ok("run", "fix.lua", "--quiet")
        self.assertIn("broken", self.json("inspect", "docs")["records"][0]["text"])


SMALL = r"""
mount -t tmpfs -o size=4200k tmpfs store || exit 77
head -c 3600k /dev/zero >store/ballast
"$0" run graph.lua --quiet --store store/s --json; first=$?
rm store/ballast
"$0" run graph.lua --quiet --store store/s --json; second=$?
"$0" verify --store store/s --json
echo "[$first, $second, $?]"
"""


class FullDisk(WithWorkplace):
    def test_a_full_disk_is_5_and_what_was_made_is_found_once_there_is_room(self):
        os.mkdir(self.place.path("store"))
        spaces = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        try:
            done = subprocess.run([*spaces, "sh", "-c", SMALL, PROGRAM], cwd=self.place.folder, capture_output=True,
                                  text=True, timeout=120)
        except FileNotFoundError:
            self.skipTest("there is no unshare")
        if done.returncode == 77 or "unshare" in done.stderr:
            self.skipTest("no file system of a chosen size here")
        first, second, verified, codes = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(codes, [5, 0, 0], done.stderr)
        self.assertIn("No space left on device", first["error"]["what"])
        self.assertIn("`tidemill gc --to SIZE --store store/s`", first["error"]["fix"])
        self.assertEqual((second["cached"], second["done"] + second["cached"]), (first["done"], 11))
        self.assertGreater(first["done"], 0)
        self.assertEqual((verified["corrupt"], verified["incomplete"]), (0, 0))


if __name__ == "__main__":
    unittest.main()
