#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the table of commands: one row for every `const tm_command tm_command_X` in the files given.
rows=$(sed -n 's/^const tm_command \(tm_command_[a-z0-9_]*\) = .*/\1/p' "$@" | sort)
echo '// Made by lua/rows.sh from the files in lua/commands/.'
echo '#include "lua/cli.h"'
for r in $rows; do echo "extern const tm_command $r;"; done
echo 'const tm_command *const tm_commands[] = {'
for r in $rows; do echo "    &$r,"; done
echo '    NULL,'
echo '};'
