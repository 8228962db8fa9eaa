#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the table of other tools: one row for every `const tm_send_tool tm_send_tool_X` in the files given.
tools=$(sed -n 's/^const tm_send_tool tm_send_tool_\([a-z0-9_]*\) = .*/\1/p' "$@" | sort)
echo '// Made by lua/send/rows.sh from the files in lua/send/.'
echo '#include "lua/send/send.h"'
for t in $tools; do echo "extern const tm_send_tool tm_send_tool_$t;"; done
echo 'const tm_send_tool *const tm_send_tools[] = {'
for t in $tools; do echo "    &tm_send_tool_$t,"; done
echo '    NULL,'
echo '};'
printf 'const char tm_send_tool_names[] = "%s";\n' "$(echo $tools | sed 's/ /|/g')"
