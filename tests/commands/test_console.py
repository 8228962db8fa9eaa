# SPDX-License-Identifier: Apache-2.0
"""The program on a terminal: a pseudo terminal whose screen this test keeps."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

from workplace import PROGRAM, WithWorkplace


class Screen:
    """The sequences that the program uses, and no others: any other one fails the test."""

    TOKEN = re.compile(rb"\x1b\[(\??[0-9;]*)([A-Za-z])|\x1b([78])|([\r\n])|([^\x1b\r\n]+)")

    def __init__(self):
        self.lines, self.row, self.column, self.saved = [""], 0, 0, None
        self.hidden = False
        self.frames = 0

    def feed(self, data):
        at = 0
        while at < len(data):
            token = self.TOKEN.match(data, at)
            assert token, data[at:at + 40]
            at = token.end()
            self.take(*token.groups())

    def take(self, numbers, letter, save, move, text):
        if text:
            line = self.lines[self.row].ljust(self.column)
            text = text.decode()
            self.lines[self.row] = line[:self.column] + text + line[self.column + len(text):]
            self.column += len(text)
        elif move == b"\r":
            self.column = 0
        elif move == b"\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif save == b"7":
            self.saved = self.row, self.column
        elif save == b"8":
            self.row, self.column = self.saved
        else:
            self.control(numbers.decode(), letter.decode())

    def control(self, numbers, letter):
        if letter in "KJ":
            self.lines[self.row] = self.lines[self.row][:self.column]
            if letter == "J":
                self.lines[self.row + 1:] = []
        elif letter == "A":
            self.row -= int(numbers)
            assert self.row >= 0
        elif numbers == "?25" and letter in "lh":
            self.frames += letter == "h"
            self.hidden = letter == "l"
        else:
            assert letter == "m", (numbers, letter)

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines)


class Terminal:
    """The program in a terminal of its own, which it controls: Ctrl-C is a key."""

    def __init__(self, place, *args, size=(100, 24), env=()):
        self.screen, self.raw = Screen(), b""
        self.main, other = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(other)
        self.other = other

        def take_terminal():
            os.setsid()
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [PROGRAM, *args], cwd=place.folder, stdin=other, stdout=other, stderr=other, preexec_fn=take_terminal,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "NO_COLOR": "1", **dict(env)})

    def resize(self, columns, lines):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text):
        os.write(self.main, text)

    def read(self, seconds=0.1):
        if not select.select([self.main], [], [], seconds)[0]:
            return
        data = os.read(self.main, 65536)
        while data.count(b"\x1b[?25l") > data.count(b"\x1b[?25h") and select.select([self.main], [], [], 5)[0]:
            data += os.read(self.main, 65536)  # a frame comes whole
        self.raw += data

    def until(self, found, what):
        """Reads on until found(screen text)."""
        end = time.monotonic() + 60
        fed = 0
        while time.monotonic() < end:
            self.read()
            self.screen.feed(self.raw[fed:])
            fed = len(self.raw)
            self.raw, fed = b"", 0
            if found(self.screen.text()):
                return self.screen.text()
        raise AssertionError(f"never seen: {what}\n{self.screen.text()}")

    def finish(self):
        while self.process.poll() is None or select.select([self.main], [], [], 0)[0]:
            self.read()
        self.screen.feed(self.raw)
        self.raw = b""
        return self.process.returncode, self.screen.text()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.main)
        os.close(self.other)


class TestConsole(WithWorkplace):
    def terminal(self, *args, store, **more):
        terminal = Terminal(self.place, *args, "--store", self.place.path(store), **more)
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
        self.assertIn("● base", text.splitlines()[terminal.screen.row])  # where the cursor waits
        terminal.resize(44, 12)
        text = terminal.until(lambda t: re.search(r"\d+/\d+ done, \d+ running", t), "the narrow form")
        live = text.splitlines()[terminal.screen.row:]
        self.assertTrue(live and all(len(line) < 44 for line in live), live)
        self.assertLess(len(live), 12)
        terminal.type(b"\x03")
        terminal.until(lambda t: "Ctrl-C again kills" in t, "what Ctrl-C does")
        code, text = terminal.finish()
        self.assertEqual(code, 130)
        self.assertRegex(text, r"r1: stopped in [\d.]+ s;.*\nrun it again to go on where it was\s*$")
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

    def test_another_console_than_these_is_no_console(self):
        self.assertIn('--console takes live or plain, not "loud"',
                      self.fails(3, "run", "graph.lua", "--console", "loud"))


if __name__ == "__main__":
    sys.exit(unittest.main())
