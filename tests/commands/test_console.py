# SPDX-License-Identifier: Apache-2.0
"""The program on a terminal: what is drawn, and in what state the terminal is left."""
import os
import re
import signal
import sys
import termios
import time
import unittest

from screen import Terminal
from workplace import PROGRAM, WithWorkplace


class TestConsole(WithWorkplace):
    def terminal(self, *args, store, **more):
        more["env"] = {"NO_COLOR": "1", **more.get("env", {})}
        terminal = Terminal([PROGRAM, *args, "--store", self.place.path(store)], self.place.folder, **more)
        self.addCleanup(terminal.close)
        return terminal

    def long_run(self, store, **more):
        return self.terminal("run", "graph.lua", "--set", "steps=100000", store=store, **more)

    def test_a_run_is_drawn_survives_a_resize_and_leaves_the_terminal_as_it_was(self):
        terminal = self.long_run("a")
        text = terminal.until(lambda t: re.search(r"● base .* of 100,000 steps .* steps/s", t), "the trainer's line")
        self.assertRegex(text, r"\n +[\d.]+s  vocab +done ")        # what is done stays above
        self.assertRegex(text, r"\d+ of \d+ nodes done, \d+ running")
        self.assertRegex(text, r"(removed by|from) clean.*\n  \w")                # a record of this run
        self.assertEqual(text.splitlines()[terminal.screen.row], "")  # the cursor waits above what moves
        terminal.resize(44, 12)
        text = terminal.until(lambda t: re.search(r"\d+/\d+ done, \d+ running", t), "the narrow form")
        live = text.splitlines()[terminal.screen.row:]
        self.assertTrue(live and all(len(line) < 44 for line in live), live)
        self.assertLess(len(live), 12)
        terminal.type(b"\x03")
        terminal.until(lambda t: "Ctrl-C again kills" in t, "what Ctrl-C does")
        code, text = terminal.finish()
        self.assertEqual(code, 130)
        self.assertRegex(text, r"\nr1: stopped in [\d.]+ s;.*\nrun it again to go on where it was\n")
        self.assertNotRegex(text, "● |\\d+/\\d+ done")              # the live part is gone
        self.assertFalse(terminal.screen.hidden)
        self.assertEqual(termios.tcgetattr(terminal.other), terminal.before)

    def test_between_two_frames_the_cursor_is_seen_so_that_a_kill_leaves_it(self):
        terminal = self.long_run("b")
        terminal.until(lambda t: "● base" in t and terminal.screen.frames > 3, "frames")
        os.kill(terminal.process.pid, signal.SIGKILL)
        terminal.finish()
        self.assertFalse(terminal.screen.hidden)
        self.assertEqual(termios.tcgetattr(terminal.other), terminal.before)

    def test_ctrl_z_stops_the_program_and_drawing_goes_on_later(self):
        terminal = self.long_run("c")
        terminal.until(lambda t: "● base" in t, "the trainer's line")
        terminal.process.send_signal(signal.SIGTSTP)  # (the key needs a shell, which would be another test)
        time.sleep(0.5)
        terminal.read()
        frames = terminal.screen.frames
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda t: terminal.screen.frames > frames + 1 and "● base" in t, "frames after it went on")

    def test_without_utf8_only_ascii_is_sent(self):
        terminal = self.terminal("run", "graph.lua", "curve", store="d", env={"LC_ALL": "C"})
        code, text = terminal.finish()
        self.assertEqual(code, 0, text)
        self.assertTrue(text.isascii())
        self.assertGreater(terminal.screen.frames, 0)

    def test_elsewhere_there_are_plain_lines(self):
        dumb = self.terminal("run", "graph.lua", "curve", store="e", env={"TERM": "dumb"})
        plain = self.terminal("run", "graph.lua", "curve", "--console", "plain", store="f")
        for terminal in dumb, plain:
            with self.subTest(terminal.process.args):
                code, text = terminal.finish()
                self.assertEqual(code, 0, text)
                self.assertEqual(terminal.screen.frames, 0)
                self.assertRegex(text, r"base +start +pretrain")
        code, _, err = self.place.tidemill("run", "graph.lua", "curve", store="g")
        self.assertEqual(code, 0, err)
        self.assertNotIn("\x1b", err)
        self.assertRegex(err, r"base +start +pretrain")

    def test_what_fused_steps_removed_is_told_by_step_in_lines_that_fit(self):
        self.place.write("fused.lua", 'local tm = require "tidemill"\n'
                         'local clean = tm.curate { tm.read { "corpus/*.txt" }, tm.gopher { without = { "punctuation" } }, '
                         'tm.repetition {} }\nreturn tm.graph { clean = clean }\n')
        terminal = self.terminal("run", "fused.lua", "clean", store="fused", size=(40, 24))
        code, text = terminal.finish()
        self.assertEqual(code, 0, text)
        said = re.sub(r"\n {2,}", " ", text)
        self.assertRegex(said, r"\n[\d.]+s clean done .* records, .*; removed: gopher \d+(\n|, repetition \d+\n)")
        lines = [line for line in text.splitlines() if re.match(r"[\d.]+s |  ", line)]
        self.assertTrue(lines and all(len(line) < 40 for line in lines), text)

    def test_another_console_than_these_is_no_console(self):
        self.assertIn('--console takes live or plain, not "loud"',
                      self.fails(3, "run", "graph.lua", "--console", "loud"))


if __name__ == "__main__":
    sys.exit(unittest.main())
