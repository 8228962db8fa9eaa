# SPDX-License-Identifier: Apache-2.0
"""Reads every include line and fails on an arrow that points up, or at a file that is not there.

    engine/base  <-  engine   <-+
         ^                      +--  stages/{text,format,model,train,export,judge,script}  <-  stages/*.c  <-  lua
         +-------   kernels   <-+
"""

import re
import sys

import source_files

BASE = {"engine/base"}
ENGINE = BASE | {"engine"}
TEXT = ENGINE | {"stages/text", "stages/format"}  # these two know each other and no model
MODEL = TEXT | {"kernels", "stages/model"}
TRAIN = MODEL | {"stages/train"}
EXPORT = MODEL | {"stages/export"}
JUDGE = TRAIN | {"stages/judge"}
SCRIPT = ENGINE | {"stages/script"}
MAY = {  # folder of the file: folders of the headers it may include
    "engine/base": BASE,
    "engine": ENGINE,
    "kernels": BASE | {"kernels"},
    "stages/text": TEXT,
    "stages/format": TEXT,
    "stages/model": MODEL,
    "stages/train": TRAIN,
    "stages/export": EXPORT,
    "stages/judge": JUDGE,
    "stages/script": SCRIPT,
    "stages": JUDGE | EXPORT | SCRIPT,  # and not one another
    "lua": JUDGE | EXPORT | SCRIPT | {"lua"},
}
GENERATED = {"kernels/names.h", "kernels/entries.h", "tidemill_lua.h", "definitions_lua.h", "errors_md.h",
             "templates.inc", "completion_bash.h", "completion_fish.h", "completion_zsh.h",
             "report_css.h", "report_js.h", "report_policy.h"}  # the build makes them
INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')


def layer(path):
    """The longest folder of MAY that holds the file; None for tests and what lies outside."""
    found = [name for name in MAY if path.startswith(name + "/")]
    return max(found, key=len, default=None)


def faults_of(path, line, number):
    match = INCLUDE.match(line)
    if not match:
        return
    header, here = match[1], layer(path)
    there = layer(header)
    if header in GENERATED:
        return
    if "/" not in header:
        if here is not None:
            yield f'{path}:{number}: "{header}" is not a path from the root'
    elif not (source_files.ROOT / header).exists():
        yield f'{path}:{number}: there is no "{header}"'
    elif here and (there is None or there not in MAY[here]):
        yield f'{path}:{number}: {here} must not include "{header}"'


def main():
    faults = []
    for path in source_files.walk():
        if path.suffix in (".c", ".h", ".cc", ".cu"):
            for number, line in enumerate(source_files.text(path) or [], 1):
                faults += faults_of(path.as_posix(), line, number)
    return source_files.report("include arrows", faults)


if __name__ == "__main__":
    sys.exit(main())
