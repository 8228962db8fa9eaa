# SPDX-License-Identifier: Apache-2.0
"""Write the policy of a page as a C string: what it may do is named by hash. policy.py NAME CSS JS OUTPUT"""
import base64
import hashlib
import sys

name, style, script, target = sys.argv[1:]


def digest(path):
    with open(path, "rb") as file:
        return base64.b64encode(hashlib.sha256(file.read()).digest()).decode()


with open(target, "w", encoding="ascii") as file:
    file.write(f'static const char {name}[] =\n    "default-src \'none\'; base-uri \'none\'; form-action \'none\'; "\n'
               f'    "style-src \'sha256-{digest(style)}\'; script-src \'sha256-{digest(script)}\'";\n')
