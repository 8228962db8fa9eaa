# SPDX-License-Identifier: Apache-2.0
"""The files of the source tree that the style tests read: what git would commit, without git."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def skipped(name, top):
    return name == "__pycache__" or (top and name.startswith((".", "build"))) or name in (".tidemill", "dist")


def walk():
    """Paths relative to the root, sorted: no dot folders (but .ci), no build folders, no stores."""
    yield pathlib.Path(".ci/run")
    for folder, folders, files in os.walk(ROOT):
        top = pathlib.Path(folder) == ROOT
        folders[:] = sorted(name for name in folders if not skipped(name, top))
        for name in sorted(files):
            if not name.endswith((".pyc", ".o")) and not (top and name == ".git"):
                yield (pathlib.Path(folder) / name).relative_to(ROOT)


def text(path):
    """Lines of a text file; None for one that is not text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        return None


def report(what, faults):
    """Prints the faults; the exit status of a test."""
    for fault in faults:
        print(fault)
    print(f"{what}: {len(faults)} faults" if faults else f"{what}: in order")
    return 1 if faults else 0
