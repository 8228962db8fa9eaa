// SPDX-License-Identifier: Apache-2.0
// Single-byte character sets: what bytes 0x80-0xff mean. Bytes below 0x80 are ASCII in all of them.
// Holes of the Windows sets hold the control character of the same number, as browsers have it.
#pragma once

#include <stdint.h>

typedef enum {
    TM_CHARSET_LATIN1,
    TM_CHARSET_CP1252,
    TM_CHARSET_CP1251,
    TM_CHARSET_CP1250,
    TM_CHARSET_CP1253,
    TM_CHARSET_CP1254,
    TM_CHARSET_CP1257,
    TM_CHARSET_LATIN2,
    TM_CHARSET_MACROMAN,
    TM_CHARSET_CP437,
    TM_CHARSET_COUNT
} tm_charset;

extern const uint16_t tm_charset_high[TM_CHARSET_COUNT][128];
