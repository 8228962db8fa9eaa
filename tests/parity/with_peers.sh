#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a Python script where torch, transformers and their like are: $TM_PEERS (a python), else python3. Where
# neither has them the test is skipped, and in CI (CI=true) that is a failure.
for python in "$TM_PEERS" python3; do
  if [ -n "$python" ] && "$python" - 2>/dev/null <<'PYTHON'; then exec "$python" "$@"; fi
import importlib.util, sys
sys.exit(not all(map(importlib.util.find_spec, ('torch', 'transformers', 'tokenizers', 'safetensors', 'numpy'))))
PYTHON
done
echo "no python with torch, transformers, tokenizers, safetensors and numpy: set TM_PEERS to one"
if [ "$CI" = true ]; then exit 1; fi
exit 77
