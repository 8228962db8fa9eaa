// SPDX-License-Identifier: Apache-2.0
// Messages between the program and its graph process: a byte of kind, a length (4 bytes, little-endian),
// bytes.
//
//   to the child    'c' catalogue (JSON)   'p' override (name NUL text)   's' source (name NUL bytes): begin
//                   'm' override that the file may not declare
//                   'f' file (name NUL bytes)   'n' no such file (why)              answers to 'r'
//   to the parent   'r' require (name)   'l' line of print   'j' result (JSON)   'x' fault (JSON): the end
#pragma once

#include <stdint.h>

#include "engine/base/bytes.h"

#define TM_FRAME_HEAD 5
#define TM_FRAME_MAX (64u << 20)  // bytes of one message

static inline void tm_frame_head(char head[TM_FRAME_HEAD], char kind, size_t size)
{
    head[0] = kind;
    for (int i = 0; i < 4; i++) head[1 + i] = (char)(size >> (8 * i) & 0xff);
}
