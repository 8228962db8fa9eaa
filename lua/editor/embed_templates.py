# SPDX-License-Identifier: Apache-2.0
"""Write the files of the templates as rows of a C table: embed_templates.py OUTPUT FOLDER/TEMPLATE/PATH...

Each becomes {"TEMPLATE", "PATH", "text"}, in the order given.
"""
import sys

target, paths = sys.argv[1], sys.argv[2:]
escapes = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("\t"): "\\t"}
with open(target, "w", encoding="ascii") as file:
    for path in paths:
        template, rest = path.split("templates/", 1)[1].split("/", 1)
        file.write(f'{{"{template}", "{rest}",\n')
        with open(path, "rb") as source:
            for line in source.read().splitlines(keepends=True):
                file.write('    "%s"\n' % "".join(escapes.get(c, chr(c) if 32 <= c < 127 else "\\%03o" % c) for c in line))
        file.write("},\n")
