// SPDX-License-Identifier: Apache-2.0
// Validation and cleaning of UTF-8, fast over ASCII.
#include "engine/base/utf8.h"

// The first byte at or after `p` that is not ASCII.
static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end)
{
    while (end - p >= 32) {
        uint64_t words[4];
        memcpy(words, p, 32);
        if ((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080u) break;
        p += 32;
    }
    while (p < end && *p < 0x80) p++;
    return p;
}

size_t tm_utf8_valid(tm_view text)
{
    if (!text.size) return 0;
    const unsigned char *start = (const unsigned char *)text.data, *p = start, *end = start + text.size;
    uint32_t point;
    while ((p = skip_ascii(p, end)) < end) {
        unsigned n = tm_utf8_decode(p, end, &point);
        if (!n) break;
        p += n;
    }
    return (size_t)(p - start);
}

// Length of the invalid part at `p`: a truncated sequence counts once, any other byte for itself.
static unsigned invalid_length(const unsigned char *p, const unsigned char *end)
{
    unsigned char a = p[0];
    if (a < 0xc2 || a > 0xf4 || p + 1 == end) return 1;
    unsigned n = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
    unsigned char low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
    unsigned char high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) return 1;
    unsigned i = 2;
    while (i < n && p + i < end && (p[i] & 0xc0) == 0x80) i++;
    return i;
}

size_t tm_utf8_clean(tm_view text, tm_buf *out)
{
    size_t replaced = 0;
    while (text.size) {
        size_t valid = tm_utf8_valid(text);
        tm_buf_add(out, text.data, valid);
        text = tm_view_of(text.data + valid, text.size - valid);
        if (!text.size) break;
        const unsigned char *p = (const unsigned char *)text.data;
        unsigned bad = invalid_length(p, p + text.size);
        tm_buf_point(out, 0xfffd);
        text = tm_view_of(text.data + bad, text.size - bad);
        replaced++;
    }
    return replaced;
}

void tm_utf8_mend(char *text)
{
    while (*(text += tm_utf8_valid(tm_view_str(text)))) *text++ = '?';
}

typedef struct range {
    uint32_t first, last;
} range;

static bool within(uint32_t point, const range *ranges)
{
    for (; ranges->last; ranges++)
        if (point >= ranges->first && point <= ranges->last) return true;
    return false;
}

int tm_utf8_cells(uint32_t point)
{
    static const range wide[] = {
        {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x2614, 0x2615},   {0x2648, 0x2653},
        {0x26a1, 0x26a1},   {0x2705, 0x2705},   {0x274c, 0x274c},   {0x2753, 0x2757},   {0x2795, 0x2797},
        {0x2b50, 0x2b50},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},
        {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
        {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x18cff}, {0x1b000, 0x1b2ff}, {0x1f18e, 0x1f18e},
        {0x1f191, 0x1f19a}, {0x1f200, 0x1f265}, {0x1f300, 0x1f320}, {0x1f32d, 0x1f335}, {0x1f337, 0x1f37c},
        {0x1f37e, 0x1f393}, {0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3}, {0x1f3e0, 0x1f3f0}, {0x1f3f4, 0x1f3f4},
        {0x1f3f8, 0x1f43e}, {0x1f440, 0x1f440}, {0x1f442, 0x1f4fc}, {0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f567},
        {0x1f595, 0x1f596}, {0x1f5fb, 0x1f64f}, {0x1f680, 0x1f6c5}, {0x1f6cc, 0x1f6d7}, {0x1f6eb, 0x1f6fc},
        {0x1f7e0, 0x1f7f0}, {0x1f90c, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}, {0, 0}};
    static const range none[] = {{0, 0x1f},          {0x7f, 0x9f},       {0xad, 0xad},
                                 {0x300, 0x36f},     {0x483, 0x489},     {0x591, 0x5bd},
                                 {0x610, 0x61a},     {0x64b, 0x65f},     {0x6d6, 0x6dc},
                                 {0x93c, 0x93c},     {0x941, 0x948},     {0x94d, 0x94d},
                                 {0xe31, 0xe31},     {0xe34, 0xe3a},     {0xe47, 0xe4e},
                                 {0x1ab0, 0x1aff},   {0x1dc0, 0x1dff},   {0x200b, 0x200f},
                                 {0x2028, 0x202e},   {0x2060, 0x206f},   {0x20d0, 0x20ff},
                                 {0xfe00, 0xfe0f},   {0xfe20, 0xfe2f},   {0xfeff, 0xfeff},
                                 {0x1f3fb, 0x1f3ff}, {0xe0000, 0xe01ef}, {0, 0}};
    if (point >= 0x20 && point < 0x7f) return 1;
    return within(point, none) ? 0 : within(point, wide) ? 2 : 1;
}
