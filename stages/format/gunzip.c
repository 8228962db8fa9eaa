// SPDX-License-Identifier: Apache-2.0
// gzip through zlib's inflate, which checks length and CRC of every member.
#include "stages/format/gunzip.h"

#include <limits.h>

#include <zlib.h>

#include "engine/base/bytes.h"

struct tm_gunzip {
    tm_gunzip_pull *pull;
    void *from;
    z_stream z;
    uint64_t pulled;    // packed bytes taken from the source
    bool between, over; // members; after the last
    bool ended;         // the source
};

tm_status tm_gunzip_new(tm_gunzip **out, tm_gunzip_pull *pull, void *from, tm_error *err)
{
    tm_gunzip *s = *out = tm_calloc(1, sizeof *s);
    if (s && inflateInit2(&s->z, 15 + 16) == Z_OK) {
        s->pull = pull;
        s->from = from;
        return TM_OK;
    }
    tm_free(s);
    *out = NULL;
    return tm_fail(err, TM_ENOMEM, "no memory to unpack gzip");
}

void tm_gunzip_free(tm_gunzip *s)
{
    if (!s) return;
    inflateEnd(&s->z);
    tm_free(s);
}

static tm_status fill(tm_gunzip *s, tm_error *err)
{
    const void *data;
    size_t size = 0;
    if (s->z.avail_in || s->ended) return TM_OK;
    TM_TRY(s->pull(s->from, &data, &size, err));
    s->z.next_in = (Bytef *)(uintptr_t)data;
    s->z.avail_in = (uInt)size;
    s->pulled += size;
    s->ended = !size;
    return TM_OK;
}

uint64_t tm_gunzip_at(const tm_gunzip *s)
{
    return s->pulled - s->z.avail_in;
}

// Behind a member: another one follows if the next byte is the first of its magic.
static tm_status next_member(tm_gunzip *s, tm_error *err)
{
    TM_TRY(fill(s, err));
    s->over = !s->z.avail_in || s->z.next_in[0] != 0x1f;
    s->between = false;
    if (!s->over && inflateReset(&s->z) != Z_OK)
        return tm_fail(err, TM_EFORMAT, "the next gzip member cannot be read");
    return TM_OK;
}

tm_status tm_gunzip_read(tm_gunzip *s, void *data, size_t size, size_t *got, tm_error *err)
{
    s->z.next_out = data;
    s->z.avail_out = size > UINT_MAX ? UINT_MAX : (uInt)size;
    const uInt room = s->z.avail_out;
    while (!s->over && s->z.avail_out == room) {
        if (s->between) {
            TM_TRY(next_member(s, err));
            continue;
        }
        TM_TRY(fill(s, err));
        if (s->ended && !s->z.avail_in) return tm_fail(err, TM_EFORMAT, "the gzip data end in the middle");
        int code = inflate(&s->z, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            s->between = true;
        else if (code == Z_MEM_ERROR)
            return tm_fail(err, TM_ENOMEM, "no memory to unpack gzip");
        else if (code != Z_OK && code != Z_BUF_ERROR)
            return tm_fail(err, TM_EFORMAT, "damaged gzip data: %s", s->z.msg ? s->z.msg : "no reason given");
    }
    *got = room - s->z.avail_out;
    return TM_OK;
}
