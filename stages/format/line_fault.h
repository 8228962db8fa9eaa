// SPDX-License-Identifier: Apache-2.0
// Why a line of JSON cannot be used, in the words of who wrote it: which field was looked for, and which
// there are.
#pragma once

#include "stages/format/jsonl.h"

// `why` is the row's own reason or that of a reader of its record; `field` the name that its text was looked
// for under, NULL for records that are found out.
void tm_line_fault(const tm_jsonl_row *row, const char *why, const char *field, char *text, size_t size);

// Whether the first line of a file is the beginning of one array, and not a record.
bool tm_line_begins_array(const tm_jsonl_row *row);
