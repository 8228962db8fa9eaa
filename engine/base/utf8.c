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
