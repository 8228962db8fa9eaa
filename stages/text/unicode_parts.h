// SPDX-License-Identifier: Apache-2.0
// The pieces of Unicode repair. Text is an array of code points, surrogates among them.
#pragma once

#include "stages/text/unicode.h"
#include "stages/text/unicode_charsets.h"

typedef struct tm_points {
    uint32_t *items;
    size_t size, capacity;
    bool failed; // out of memory; what was added after is lost
} tm_points;

void tm_points_add(tm_points *points, uint32_t point);
void tm_points_append(tm_points *points, const uint32_t *items, size_t size);
void tm_points_clear(tm_points *points);
static inline void tm_points_swap(tm_points *a, tm_points *b)
{
    tm_points kept = *a;
    *a = *b;
    *b = kept;
}

// ---- unicode_mojibake.c ----

typedef struct tm_mojibake tm_mojibake; // tables: what each character suggests, and the rules

tm_mojibake *tm_mojibake_new(void);
void tm_mojibake_free(tm_mojibake *mojibake);

// Whether the text holds a sequence that suggests mojibake.
bool tm_mojibake_is_bad(const tm_mojibake *mojibake, const uint32_t *text, size_t size);

// The next run at or after *at that looks like UTF-8 read in a single-byte set; sets *at and *run. False:
// none.
bool tm_mojibake_find_run(const tm_mojibake *mojibake, const uint32_t *text, size_t size, size_t *at,
                          size_t *run);

// ---- unicode_encoding.c ----

typedef struct tm_encoding tm_encoding; // inverse tables of the character sets

tm_encoding *tm_encoding_new(void);
void tm_encoding_free(tm_encoding *encoding);

// Undoes mojibake in place, until nothing is left to undo.
void tm_encoding_fix(const tm_encoding *encoding, const tm_mojibake *mojibake, tm_points *text);

// ---- unicode_simple.c: each in place ----

void tm_fix_entities(tm_points *text);
void tm_fix_c1_controls(tm_points *text);
void tm_fix_ligatures(tm_points *text);
void tm_fix_width(tm_points *text);
void tm_fix_quotes(tm_points *text);
void tm_fix_line_breaks(tm_points *text);
void tm_fix_surrogates(tm_points *text);
void tm_fix_terminal_escapes(tm_points *text);
void tm_fix_control_chars(tm_points *text);
void tm_fix_normal_form(tm_points *text, tm_normal_form form);
