# SPDX-License-Identifier: Apache-2.0
"""Counts words; records without any are left out."""
import json
import sys

for line in sys.stdin:
    record = json.loads(line)
    words = record["text"].split()
    if words:
        record["meta"] = {**record.get("meta", {}), "words": len(words)}
        print(json.dumps(record))
