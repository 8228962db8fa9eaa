#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints tables of rows: one row for every `const KIND KIND_x` in the files given. This is the only registration there is.
#
# usage: rows.sh HEADER KIND... -- FILE...
#
# A KIND (tm_stage) gets the table tm_stages, NULL-terminated, in the order of the rows' names; KIND+names also the text
# tm_stage_names, "x y z".
echo "// Made by stages/rows.sh."
echo "#include \"$1\""
shift
kinds=
while [ "$1" != -- ]; do
  kinds="$kinds $1"
  shift
done
shift
for k in $kinds; do
  kind=${k%+names}
  names=$(sed -n "s/^const $kind ${kind}_\([a-z0-9_]*\) =.*/\1/p" "$@" | sort)
  for n in $names; do echo "extern const $kind ${kind}_$n;"; done
  echo "const $kind *const ${kind}s[] = {"
  for n in $names; do echo "    &${kind}_$n,"; done
  echo '    NULL,'
  echo '};'
  if [ "$kind" != "$k" ]; then echo "const char ${kind}_names[] = \"$(echo $names)\";"; fi
done
