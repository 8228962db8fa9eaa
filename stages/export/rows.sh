#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the table of export formats: one row for every `const tm_export_format tm_export_format_X` in the files given.
formats=$(sed -n 's/^const tm_export_format tm_export_format_\([a-z0-9_]*\) = .*/\1/p' "$@" | sort)
echo '// Made by stages/export/rows.sh from the files in stages/export/.'
echo '#include "stages/export/export.h"'
for f in $formats; do echo "extern const tm_export_format tm_export_format_$f;"; done
echo 'const tm_export_format *const tm_export_formats[] = {'
for f in $formats; do echo "    &tm_export_format_$f,"; done
echo '    NULL,'
echo '};'
printf 'const char tm_export_format_names[] = "%s";\n' "$(echo $formats)"
