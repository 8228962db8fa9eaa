# SPDX-License-Identifier: Apache-2.0
"""The root holds nothing but what a newcomer is told about."""

import os
import sys

import source_files

ALLOWED = set("""meson.build meson.options engine stages kernels graphs lua tests examples docs README.md LICENSE
    CONTRIBUTING.md mill""".split())


def main():
    found = {name for name in os.listdir(source_files.ROOT) if not name.startswith((".", "build"))}
    faults = [f"{name}: does not belong in the root" for name in sorted(found - ALLOWED - {"dist"})]
    faults += [f"{name}: is missing" for name in ("README.md", "LICENSE", "CONTRIBUTING.md", "mill")
               if name not in found]
    return source_files.report("the root", faults)


if __name__ == "__main__":
    sys.exit(main())
