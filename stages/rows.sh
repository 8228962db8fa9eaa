#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the tables of stages, values and tasks: one row for every `const tm_stage tm_stage_X`, `const tm_value tm_value_X`
# and `const tm_task tm_task_X` in the files given. This is the only registration there is.
stages=$(sed -n 's/^const tm_stage \(tm_stage_[a-z0-9_]*\) =.*/\1/p' "$@" | sort)
values=$(sed -n 's/^const tm_value \(tm_value_[a-z0-9_]*\) =.*/\1/p' "$@" | sort)
tasks=$(sed -n 's/^const tm_task \(tm_task_[a-z0-9_]*\) =.*/\1/p' "$@" | sort)
echo '// Made by stages/rows.sh from the files in stages/.'
echo '#include "stages/judge/task.h"'
for s in $stages; do echo "extern const tm_stage $s;"; done
for v in $values; do echo "extern const tm_value $v;"; done
for t in $tasks; do echo "extern const tm_task $t;"; done
echo 'const tm_stage *const tm_stages[] = {'
for s in $stages; do echo "    &$s,"; done
echo '    NULL,'
echo '};'
echo 'const tm_value *const tm_values[] = {'
for v in $values; do echo "    &$v,"; done
echo '    NULL,'
echo '};'
echo 'const tm_task *const tm_tasks[] = {'
for t in $tasks; do echo "    &$t,"; done
echo '    NULL,'
echo '};'
