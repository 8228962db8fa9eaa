// SPDX-License-Identifier: Apache-2.0
// From text to shingles to signatures.
//
//   text --normalise--> "lower case words" --hash--> word hashes --roll--> 32-bit shingles --update-->
//   signature
#include "stages/text/minhash.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "engine/base/hash.h"
#include "engine/base/random.h"
#include "engine/base/utf8.h"
#include "stages/text/minhash_parts.h"

#define ROLL 0x9e3779b97f4a7c15u // base of the rolling hash over words

typedef struct shingles {
    uint32_t *items;
    size_t count, capacity;
} shingles;

struct tm_minhash {
    tm_minhash_constants constants;
    const tm_minhash_cpu *cpu;
    tm_buf words;           // the normalised text: words separated by single spaces
    shingles first, second; // second: of the other text of a pair
};

// ---- normalisation ----

#define DROP 0 // else the character itself, in lower case, or a space

// clang-format off
static const unsigned char ascii[129] =
    "\0\0\0\0\0\0\0\0\0     \0\0\0\0\0\0\0\0\0\0\0\0\0\0    "
    " \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" "0123456789\0\0\0\0\0\0"
    "\0abcdefghijklmnopqrstuvwxyz\0\0\0\0\0"
    "\0abcdefghijklmnopqrstuvwxyz\0\0\0\0\0";
// clang-format on

static bool is_punctuation(utf8proc_category_t category)
{
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

static bool is_space(uint32_t c, utf8proc_category_t category)
{
    return c == 0x85 || (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP);
}

// One character beyond ASCII: written at `out`, which has room for 4 bytes; returns the end.
static char *put_wide(uint32_t c, char *out)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    if (is_punctuation(category)) return out;
    if (is_space(c, category)) {
        if (out[-1] != ' ') *out++ = ' ';
        return out;
    }
    return out + tm_utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), out);
}

// The words of `text` with single spaces between and around them, in m->words. A character in lower case
// takes at most 3 bytes for 2, so the buffer has half as much again.
static bool normalise(tm_minhash *m, tm_view text)
{
    if (!text.size) text = tm_view_str("");
    tm_buf_reset(&m->words);
    if (!tm_buf_reserve(&m->words, text.size + text.size / 2 + 16)) return false;
    const unsigned char *p = (const unsigned char *)text.data, *end = p + text.size;
    char *out = m->words.data;
    *out++ = ' ';
    unsigned after_space = 1;
    while (p < end) {
        if (*p < 0x80) { // no branch but this one: what is dropped is written over
            unsigned char to = ascii[*p++];
            unsigned space = to == ' ';
            *out = (char)to;
            out += (to != DROP) & ~(space & after_space);
            after_space = space | (after_space & (to == DROP));
            continue;
        }
        uint32_t point;
        unsigned n = tm_utf8_decode(p, end, &point);
        if (n) out = put_wide(point, out);
        after_space = out[-1] == ' ';
        p += n ? n : 1;
    }
    if (!after_space) *out++ = ' ';
    m->words.size = (size_t)(out - m->words.data);
    memset(out, ' ', 8); // words are read eight bytes at a time
    return true;
}

// ---- shingles ----

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Offset of the first space in eight bytes, 8 when there is none.
static unsigned find_space(uint64_t bytes)
{
    uint64_t x = bytes ^ 0x2020202020202020u;
    uint64_t zero = (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
    return zero ? (unsigned)__builtin_ctzll(zero) / 8 : 8;
}

// Hashes the word at `p`, eight bytes at a time, and returns the space after it.
static const char *hash_word(const char *p, uint64_t *hash)
{
    uint64_t h = 0x2545f4914f6cdd1du, bytes;
    unsigned n;
    while ((n = find_space(bytes = tm_le64(p))) == 8) {
        h = mix(h ^ bytes, 0xd6e8feb86659fd93u);
        p += 8;
    }
    uint64_t tail = n ? bytes & (~(uint64_t)0 >> (64 - 8 * n)) : 0;
    *hash = mix(h ^ tail, 0xa0761d6478bd642fu);
    return p + n;
}

static uint32_t finish(uint64_t rolled)
{
    return (uint32_t)(mix(rolled, 0xe7037ed1a0b428dbu) >> 16);
}

static bool reserve(shingles *s, size_t n)
{
    if (n <= s->capacity) return true;
    size_t capacity = s->capacity ? s->capacity : 1024;
    while (capacity < n) capacity *= 2;
    uint32_t *items = tm_realloc(s->items, capacity * sizeof *items);
    if (!items) return false;
    s->items = items;
    s->capacity = capacity;
    return true;
}

// Rolls a window of five word hashes over the words: rolled = sum of hash[k] ROLL^(4 - k).
static void roll(const tm_buf *words, shingles *out)
{
    const uint64_t drop = ROLL * ROLL * ROLL * ROLL * ROLL;
    uint64_t window[TM_MINHASH_WORDS] = {0}, rolled = 0;
    size_t n = 0, at = 0;
    const char *p = words->data + 1, *end = words->data + words->size;
    out->count = 0;
    while (p < end) {
        uint64_t hash;
        p = hash_word(p, &hash) + 1;
        rolled = rolled * ROLL + hash - window[at] * drop;
        window[at] = hash;
        at = at + 1 == TM_MINHASH_WORDS ? 0 : at + 1;
        if (++n >= TM_MINHASH_WORDS) out->items[out->count++] = finish(rolled);
    }
    if (n && n < TM_MINHASH_WORDS) out->items[out->count++] = finish(rolled);
}

static tm_status make_shingles(tm_minhash *m, tm_view text, shingles *out, tm_error *err)
{
    bool ok = normalise(m, text) && reserve(out, m->words.size / 2 + 1);
    if (!ok) return tm_fail(err, TM_ENOMEM, "minhash: out of memory for a text of %zu bytes", text.size);
    roll(&m->words, out);
    return TM_OK;
}

// ---- signatures ----

tm_minhash *tm_minhash_new(uint64_t seed)
{
    tm_minhash *m = tm_calloc(1, sizeof *m);
    if (!m) return NULL;
    m->cpu = tm_minhash_cpu_pick();
    for (size_t i = 0; i < TM_MINHASH_VALUES; i++) {
        uint64_t a = tm_random_u64(seed, 0, i) | 1;
        m->constants.a_low[i] = (uint32_t)a;
        m->constants.a_high[i] = (uint32_t)(a >> 32);
        m->constants.b_high[i] = (uint32_t)tm_random_u64(seed, 1, i);
    }
    return m;
}

void tm_minhash_free(tm_minhash *m)
{
    if (!m) return;
    tm_buf_clear(&m->words);
    tm_free(m->first.items);
    tm_free(m->second.items);
    tm_free(m);
}

const char *tm_minhash_path(const tm_minhash *m)
{
    return m->cpu->name;
}

tm_status tm_minhash_sign(tm_minhash *m, tm_view text, uint32_t signature[TM_MINHASH_VALUES],
                          size_t *n_shingles, tm_error *err)
{
    TM_TRY(make_shingles(m, text, &m->first, err));
    *n_shingles = m->first.count;
    memset(signature, 0xff, TM_MINHASH_VALUES * sizeof *signature);
    m->cpu->update(&m->constants, m->first.items, m->first.count, signature);
    return TM_OK;
}

void tm_minhash_bands(const uint32_t signature[TM_MINHASH_VALUES], uint64_t keys[TM_MINHASH_BANDS])
{
    for (size_t b = 0; b < TM_MINHASH_BANDS; b++)
        keys[b] = tm_hash64(signature + b * TM_MINHASH_ROWS, TM_MINHASH_ROWS * sizeof *signature, b);
}

double tm_minhash_similarity(const uint32_t a[TM_MINHASH_VALUES], const uint32_t b[TM_MINHASH_VALUES])
{
    size_t equal = 0;
    for (size_t i = 0; i < TM_MINHASH_VALUES; i++) equal += a[i] == b[i];
    return (double)equal / TM_MINHASH_VALUES;
}

// ---- exact similarity ----

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void make_set(shingles *s)
{
    size_t n = 0;
    if (s->count) qsort(s->items, s->count, sizeof *s->items, by_value);
    for (size_t i = 0; i < s->count; i++)
        if (!i || s->items[i] != s->items[i - 1]) s->items[n++] = s->items[i];
    s->count = n;
}

tm_status tm_minhash_jaccard(tm_minhash *m, tm_view a, tm_view b, double *similarity, tm_error *err)
{
    TM_TRY(make_shingles(m, a, &m->first, err));
    TM_TRY(make_shingles(m, b, &m->second, err));
    make_set(&m->first);
    make_set(&m->second);
    size_t i = 0, j = 0, both = 0;
    while (i < m->first.count && j < m->second.count) {
        uint32_t x = m->first.items[i], y = m->second.items[j];
        both += x == y;
        i += x <= y;
        j += y <= x;
    }
    size_t either = m->first.count + m->second.count - both;
    *similarity = either ? (double)both / (double)either : 1;
    return TM_OK;
}
