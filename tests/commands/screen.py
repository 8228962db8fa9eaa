# SPDX-License-Identifier: Apache-2.0
"""A pseudo terminal with the program in it, and what its screen shows."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unittest


class Screen:
    """Understands the sequences that the program uses, and no others: any other one is an error.

    Rows are lists of (character, style); a style is a set of SGR numbers. There is no window: rows never leave."""

    TOKEN = re.compile(rb"\x1b\[(\??[0-9;]*)([A-Za-z])|\x1b([78])|([\r\n])|([^\x1b\r\n]+)")

    def __init__(self):
        self.rows, self.row, self.column, self.saved = [[]], 0, 0, None
        self.style = frozenset()
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
            self.write(text.decode())
        elif move == b"\r":
            self.column = 0
        elif move == b"\n":
            self.row += 1
            self.rows += [[] for _ in range(self.row + 1 - len(self.rows))]
        elif save == b"7":
            self.saved = self.row, self.column
        elif save == b"8":
            self.row, self.column = self.saved
        else:
            self.control(numbers.decode(), letter.decode())

    def write(self, text):
        row = self.rows[self.row]
        row += [(" ", frozenset())] * (self.column - len(row))
        row[self.column:self.column + len(text)] = [(c, self.style) for c in text]
        self.column += len(text)

    def control(self, numbers, letter):
        if letter in "KJ":
            del self.rows[self.row][self.column:]
            if letter == "J":
                del self.rows[self.row + 1:]
        elif letter == "A":
            self.row -= int(numbers)
            assert self.row >= 0
        elif letter == "m":
            self.style = frozenset() if numbers == "0" else self.style | {int(numbers)}
        else:
            assert numbers == "?25" and letter in "lh", (numbers, letter)
            self.frames += letter == "h"
            self.hidden = letter == "l"

    def lines(self):
        return ["".join(c for c, _ in row).rstrip() for row in self.rows]

    def text(self):
        return "\n".join(self.lines())


def open_terminal():
    """Both ends of a new pseudo terminal; the test is skipped on a machine that gives none (a bare chroot)."""
    try:
        return pty.openpty()
    except OSError as error:
        raise unittest.SkipTest(f"no pseudo terminal: {error}") from error


class Terminal:
    """A program in a terminal of its own, which it controls: Ctrl-C is a key."""

    def __init__(self, args, folder, size=(100, 24), env=()):
        self.screen, self.raw = Screen(), b""
        self.main, self.other = open_terminal()
        self.resize(*size)
        self.before = termios.tcgetattr(self.other)

        def take_terminal():
            os.setsid()
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            args, cwd=folder, stdin=self.other, stdout=self.other, stderr=self.other, preexec_fn=take_terminal,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **dict(env)})

    def resize(self, columns, lines):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text):
        os.write(self.main, text)

    def read(self, seconds=0.1):
        """What has come goes to the screen, up to the end of its last whole frame."""
        if select.select([self.main], [], [], seconds)[0]:
            self.raw += os.read(self.main, 65536)
        if self.raw.count(b"\x1b[?25l") <= self.raw.count(b"\x1b[?25h"):
            self.screen.feed(self.raw)
            self.raw = b""

    def until(self, found, what):
        """Reads on until found(text of the screen)."""
        end = time.monotonic() + 180
        while time.monotonic() < end:
            self.read()
            if found(self.screen.text()):
                return self.screen.text()
        raise AssertionError(f"never seen: {what}\n{self.screen.text()}")

    def finish(self):
        """(exit status, the screen's text)"""
        while self.process.poll() is None or select.select([self.main], [], [], 0)[0]:
            self.read()
        self.screen.feed(self.raw)
        return self.process.returncode, self.screen.text()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.main)
        os.close(self.other)
