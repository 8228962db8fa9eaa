# SPDX-License-Identifier: Apache-2.0
"""Write a text file as a C string: embed.py NAME INPUT OUTPUT"""
import sys

name, source, target = sys.argv[1:]
escapes = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("\t"): "\\t"}
with open(source, "rb") as file:
    lines = file.read().splitlines(keepends=True)
with open(target, "w", encoding="ascii") as file:
    file.write(f"static const char {name}[] =\n")
    for line in lines:
        file.write('    "%s"\n' % "".join(escapes.get(c, chr(c) if 32 <= c < 127 else "\\%03o" % c) for c in line))
    file.write("    ;\n")
