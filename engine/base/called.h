// SPDX-License-Identifier: Apache-2.0
// What this program is called where it was started, for lines that people paste.
//
// Texts say `tidemill COMMAND`. The launcher of the source tree leaves its name in MILL_NAME (quoted for a
// shell if it must be); what is shown then says `./mill COMMAND`. JSON and what is recorded do not change.
#pragma once

#include <stdio.h>

#include "engine/base/bytes.h"

const char *tm_called(void);
// Append a text with the commands in it as they are typed here.
void tm_called_put(tm_buf *out, const char *text);
// Print so.
void tm_called_print(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
