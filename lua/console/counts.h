// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them.
#pragma once

#include <stdint.h>

#define TM_COUNT_TEXT 32

// "1,169"; returns `text`.
const char *tm_count_text(int64_t n, char text[TM_COUNT_TEXT]);
// "8.8 MB", in powers of ten; returns `text`.
const char *tm_size_text(uint64_t bytes, char text[TM_COUNT_TEXT]);
// "documents", of one "document"; returns `text`.
const char *tm_unit_text(int64_t n, const char *unit, char text[TM_COUNT_TEXT]);
// What a stage counted, if it is a fault: "3 lines could not be used". NULL for any other name, and for 0.
const char *tm_count_fault(const char *name, int64_t n, char text[TM_COUNT_TEXT * 2]);
