// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them.
#pragma once

#include <stdint.h>

#include <jansson.h>

#include "engine/stage.h"

#define TM_COUNT_TEXT 32

// "1,169"; returns `text`.
const char *tm_count_text(int64_t n, char text[TM_COUNT_TEXT]);
// Bytes in powers of ten: "781 B", "4.2 KB", "118 MB"; returns `text`.
const char *tm_size_text(uint64_t bytes, char text[16]);
// "documents", of one "document"; returns `text`.
const char *tm_unit_text(int64_t n, const char *unit, char text[TM_COUNT_TEXT]);
// "0.03 s", "0.4 s", "42 s", "2 min 05 s", "3 h 20 min", "2 d 07 h"; "-" of a time that is negative or not a
// number; returns `text`.
const char *tm_duration_text(double seconds, char text[TM_COUNT_TEXT]);
// The shortest text that reads back as the same number: as that float32 if it is one, else as that double.
// Whole numbers have all their digits. Returns `text`.
const char *tm_exact_text(double number, char text[TM_COUNT_TEXT]);
// What a stage counted, if it is a fault: "3 lines could not be used". NULL for any other name, and for 0.
const char *tm_count_fault(const char *name, int64_t n, char text[TM_COUNT_TEXT * 2]);
// What a node made, from its "rows", "entries" and "bytes": "63 records, 48 KB", of a trainer "3 snapshots,
// 366 KB". `stage` may be NULL.
const char *tm_made_text(const tm_stage *stage, const json_t *fields, char text[96]);
