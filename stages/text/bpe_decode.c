// SPDX-License-Identifier: Apache-2.0
// From ids back to bytes and text.
#include "stages/text/bpe_parts.h"

static tm_view bytes_of(const tm_bpe *bpe, uint32_t id, bool skip_special)
{
    if (id >= bpe->size || (skip_special && bpe->tokens[id].special)) return (tm_view){0};
    return bpe->tokens[id].bytes;
}

static size_t longest(const tm_bpe *bpe, const uint32_t *ids, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += ids[i] < bpe->size ? bpe->begins[ids[i] + 1] - bpe->begins[ids[i]] : 0;
    return size;
}

// Most tokens are short: 16 bytes are copied whatever the size.
void tm_bpe_decode_bytes(const tm_bpe *bpe, const uint32_t *ids, size_t n, bool skip_special, tm_buf *bytes)
{
    if (!tm_buf_reserve(bytes, longest(bpe, ids, n) + 16)) return;
    char *out = bytes->data + bytes->size;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = ids[i];
        if (id >= bpe->size || (skip_special && bpe->tokens[id].special)) continue;
        const char *from = bpe->bytes.data + bpe->begins[id];
        size_t size = bpe->begins[id + 1] - bpe->begins[id];
        memcpy(out, from, 16);
        if (size > 16) memcpy(out + 16, from + 16, size - 16);
        out += size;
    }
    *out = 0;
    bytes->size = (size_t)(out - bytes->data);
}

// The well-formed sequences by lead byte: length, and the range of the second byte (Unicode 3.9, table 3-7).
static size_t lead(uint8_t byte, uint8_t *low, uint8_t *high)
{
    *low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    *high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    if (byte < 0x80) return 1;
    if (byte >= 0xc2 && byte <= 0xdf) return 2;
    if (byte >= 0xe0 && byte <= 0xef) return 3;
    return byte >= 0xf0 && byte <= 0xf4 ? 4 : 0;
}

// Behind the ASCII characters at `at`.
static size_t skip_ascii(const uint8_t *s, size_t at, size_t size)
{
    while (size - at >= 8 && !(tm_le64(s + at) & 0x8080808080808080u)) at += 8;
    while (at < size && s[at] < 0x80) at++;
    return at;
}

size_t tm_bpe_repair(tm_view bytes, bool last, tm_buf *text)
{
    const uint8_t *s = (const uint8_t *)bytes.data;
    size_t good = 0;  // [good, at) is well-formed and not yet added
    for (size_t at = 0;;) {
        uint8_t low, high;
        at = skip_ascii(s, at, bytes.size);
        size_t want = at < bytes.size ? lead(s[at], &low, &high) : 0, n = 1;
        while (n < want && at + n < bytes.size && s[at + n] >= low && s[at + n] <= high)
            low = 0x80, high = 0xbf, n++;
        if (want && n == want) {
            at += n;
            continue;
        }
        if (at > good) tm_buf_add(text, s + good, at - good);
        if (at == bytes.size || (!last && want && at + n == bytes.size)) return at;
        tm_buf_str(text, "\xef\xbf\xbd");
        good = at += n;
    }
}

tm_status tm_bpe_decode(const tm_bpe *bpe, const uint32_t *ids, size_t n, bool skip_special, tm_buf *text,
                        tm_error *err)
{
    tm_buf bytes = {0};
    tm_bpe_decode_bytes(bpe, ids, n, skip_special, &bytes);
    tm_status status = tm_buf_status(&bytes, err);
    if (status == TM_OK) tm_bpe_repair(tm_buf_view(&bytes), true, text);
    tm_buf_clear(&bytes);
    return status < 0 ? status : tm_buf_status(text, err);
}

// Complete the character that is held back with the first bytes of the token; returns how many it took.
static size_t complete(tm_bpe_stream *stream, tm_view token, tm_buf *text)
{
    size_t used = 0;
    while (stream->n_held && used < token.size) {
        stream->held[stream->n_held] = token.data[used];
        size_t done = tm_bpe_repair(tm_view_of(stream->held, stream->n_held + 1u), false, text);
        if (done == stream->n_held) {  // the held part was cut short; the new byte begins something else
            stream->n_held = 0;
            break;
        }
        used++;
        stream->n_held = done ? 0 : stream->n_held + 1;
    }
    return used;
}

void tm_bpe_stream_put(tm_bpe_stream *stream, uint32_t id, tm_buf *text)
{
    tm_view token = bytes_of(stream->bpe, id, stream->skip_special);
    size_t used = complete(stream, token, text);
    if (used == token.size) return;
    tm_view rest = tm_view_of(token.data + used, token.size - used);
    size_t done = tm_bpe_repair(rest, false, text);
    stream->n_held = (uint8_t)(rest.size - done);
    memcpy(stream->held, rest.data + done, stream->n_held);
}

void tm_bpe_stream_end(tm_bpe_stream *stream, tm_buf *text)
{
    tm_bpe_repair(tm_view_of(stream->held, stream->n_held), true, text);
    stream->n_held = 0;
}
