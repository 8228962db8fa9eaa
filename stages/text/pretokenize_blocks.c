// SPDX-License-Identifier: Apache-2.0
// The scanner for long texts: classes of 64 bytes as bit masks, and the rules as operations on masks.
//
// Bit i of a mask is byte i of a block; all bytes of a character have its class. A bit in `starts` is the
// first byte of a piece. Blocks end between characters, so that a character beyond ASCII can make one
// shorter. What a block needs to know about the one before it is in `carry`; of the one behind it, it needs
// the class of the first character, and the few bytes of a contraction. There is hardly a branch that depends
// on the text, which is what makes this several times faster than going from piece to piece.
#include "stages/text/pretokenize_rule.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef uint64_t mask;

typedef struct block {
    bytes p, end;  // of the text, not of the block
    unsigned n;    // bytes in this block, 1..64
    mask valid, letter, number, space, other, newline, blank, quote;
    mask more;  // bytes of a character behind its first
} block;

// The last byte of the block before, as masks with one bit; and what a contraction did beyond its end.
typedef struct carry {
    mask letter, number, space, other, newline, blank;
    mask absorbed;      // a newline that belongs to the piece of others before it
    mask first_other;   // a character of others that begins a piece
    mask set, clear;    // of the starts in the next block
    unsigned n_digits;  // in the number so far
} carry;

// --- Classes

#ifdef __SSE2__
static inline mask movemask(const __m128i part[4])
{
    return (mask)(uint16_t)_mm_movemask_epi8(part[0]) | (mask)(uint16_t)_mm_movemask_epi8(part[1]) << 16 |
           (mask)(uint16_t)_mm_movemask_epi8(part[2]) << 32 |
           (mask)(uint16_t)_mm_movemask_epi8(part[3]) << 48;
}

// Bytes in [low, low + span].
static inline mask in_range(const __m128i x[4], char low, char span)
{
    __m128i part[4];
    for (int i = 0; i < 4; i++) {
        __m128i t = _mm_sub_epi8(x[i], _mm_set1_epi8(low));
        part[i] = _mm_cmpeq_epi8(_mm_min_epu8(t, _mm_set1_epi8(span)), t);
    }
    return movemask(part);
}

static inline mask equal(const __m128i x[4], char c)
{
    __m128i part[4];
    for (int i = 0; i < 4; i++) part[i] = _mm_cmpeq_epi8(x[i], _mm_set1_epi8(c));
    return movemask(part);
}

// The masks of ASCII characters in 64 bytes; returns where the others are.
static inline mask read_ascii(block *b, bytes p)
{
    __m128i x[4], folded[4];
    for (int i = 0; i < 4; i++) {
        x[i] = _mm_loadu_si128((const __m128i *)(p + 16 * i));
        folded[i] = _mm_or_si128(x[i], _mm_set1_epi8(0x20));
    }
    b->letter = in_range(folded, 'a', 25);
    b->number = in_range(x, '0', 9);
    b->newline = equal(x, '\n') | equal(x, '\r');
    b->blank = equal(x, ' ');
    b->space = b->blank | in_range(x, '\t', 4);
    b->quote = equal(x, '\'');
    return movemask(x);
}
#else
static inline mask read_ascii(block *b, bytes p)
{
    mask wide = 0;
    b->letter = b->number = b->newline = b->blank = b->space = b->quote = 0;
    for (unsigned i = 0; i < 64; i++) {
        unsigned class = p[i] < 128 ? ascii[p[i]] : (unsigned)TM_CHAR_OTHER;
        b->letter |= (mask)(class == TM_CHAR_LETTER) << i;
        b->number |= (mask)(class == TM_CHAR_NUMBER) << i;
        b->space |= (mask)(class == TM_CHAR_SPACE) << i;
        b->newline |= (mask)(p[i] == '\n' || p[i] == '\r') << i;
        b->blank |= (mask)(p[i] == ' ') << i;
        b->quote |= (mask)(p[i] == '\'') << i;
        wide |= (mask)(p[i] >> 7) << i;
    }
    return wide;
}
#endif

static inline mask low_bits(unsigned n)
{
    return n < 64 ? ((mask)1 << n) - 1 : ~(mask)0;
}

// Characters beyond ASCII, one by one. One that reaches over the end of the block ends it before.
static void read_wide(rule r, block *b, mask wide)
{
    while (wide) {
        unsigned i = (unsigned)__builtin_ctzll(wide);
        bytes next;
        unsigned class = classify(r, b->p + i, b->end, &next), n = (unsigned)(next - b->p) - i;
        if (i + n > b->n) {
            b->n = i;
            return;
        }
        mask bits = low_bits(n) << i;
        wide &= ~bits;
        b->more |= bits & (bits - 1) & ~((mask)1 << i);
        if (class == TM_CHAR_LETTER)
            b->letter |= bits;
        else if (class == TM_CHAR_NUMBER)
            b->number |= bits;
        else if (class == TM_CHAR_SPACE)
            b->space |= bits;
    }
}

static inline void read_block(rule r, block *b)
{
    uint8_t tail[64];
    size_t left = (size_t)(b->end - b->p);
    b->n = left < 64 ? (unsigned)left : 64;
    b->more = 0;
    if (left < 64) {
        memset(tail, 0, sizeof tail);
        memcpy(tail, b->p, left);
    }
    mask wide = read_ascii(b, left < 64 ? tail : b->p);
    if (wide) {
        block copy = *b;  // so that the block itself can stay in registers
        read_wide(r, &copy, wide);
        *b = copy;
    }
    b->valid = low_bits(b->n);
    b->letter &= b->valid;
    b->number &= b->valid;
    b->space &= b->valid;
    b->newline &= b->valid;
    b->blank &= b->valid;
    b->quote &= b->valid;
    b->more &= b->valid;
    b->other = b->valid & ~(b->letter | b->number | b->space);
}

// --- Operations on masks

static inline mask behind(mask x, mask before)
{
    return x << 1 | before;
}

static inline mask last_of(const block *b, mask x)
{
    return x >> (b->n - 1) & 1;
}

// White space whose next character is in `next`; `after` tells of the one behind the block. The bit is on the
// first byte of the white space character.
static inline mask space_before(const block *b, mask space, mask next, bool after)
{
    mask last = space & (next >> 1 | (mask)after << (b->n - 1));
    for (mask x; (x = last & b->more);) last = (last & ~x) | x >> 1;
    return last;
}

// Contractions at the quotes that begin a piece: no start within, one behind.
static inline mask cut_contractions(const block *b, bool any_case, mask starts, carry *c)
{
    for (mask quotes = b->quote & starts; quotes; quotes &= quotes - 1) {
        unsigned i = (unsigned)__builtin_ctzll(quotes);
        unsigned n = (unsigned)contraction(b->p + i, b->end, any_case);
        if (!n) continue;
        unsigned __int128 clear = (unsigned __int128)(low_bits(n) & ~(mask)1) << i,
                          set = (unsigned __int128)1 << (i + n);
        starts = (starts & ~(mask)clear) | ((mask)set & b->valid);
        c->clear |= (mask)(clear >> b->n);
        c->set |= (mask)(set >> b->n);
    }
    return starts;
}

static inline unsigned class_behind(rule r, const block *b)
{
    bytes next;
    return b->p + b->n < b->end ? classify(r, b->p + b->n, b->end, &next) : (unsigned)TM_CHAR_SPACE;
}

// --- The rules

static inline mask starts_gpt2(rule r, const block *b, const carry *c)
{
    mask joined =
        r.digits_apart ? b->letter | b->other : b->valid & ~b->space;  // goes with a blank before it
    unsigned after = class_behind(r, b);
    bool after_joined =
        after == TM_CHAR_LETTER || after == TM_CHAR_OTHER || (after == TM_CHAR_NUMBER && !r.digits_apart);
    mask starts = (b->letter & ~behind(b->letter, c->letter)) | (b->other & ~behind(b->other, c->other));
    if (!r.digits_apart) starts |= b->number & ~behind(b->number, c->number);
    starts &= ~behind(b->blank, c->blank);
    if (r.digits_apart) starts |= b->number & ~b->more;
    starts |= b->space & ~behind(b->space, c->space);
    return starts | space_before(b, b->space, joined, after_joined);
}

// Numbers of up to three characters, counted from where the run begins.
static inline mask starts_of_numbers(rule r, const block *b, carry *c)
{
    mask first = b->number & ~b->more, run = b->number & ~behind(b->number, c->number);
    if (r.n_digits == 1) return first;
    mask x = behind(b->number, c->number) & b->number;
    if (!(c->number & b->number) && !(x & x << 1 & x << 2)) {
        c->n_digits = last_of(b, b->number) ? (unsigned)__builtin_clzll(~(b->number << (64 - b->n))) : 0;
        if (!(b->more & b->number)) return run;
    }
    mask starts = 0;
    unsigned n = c->number ? c->n_digits : 0;
    for (; first; first &= first - 1) {
        mask bit = first & -first;
        n = bit & run ? 0 : n;
        if (n % r.n_digits == 0) starts |= bit, n = 0;
        n++;
    }
    c->n_digits = n;
    return starts;
}

// White space that follows a newline is cut off it, unless there is another newline behind it.
static inline mask starts_of_indents(rule r, const block *b, mask plain, const carry *c)
{
    mask starts = plain & behind(b->newline, c->newline);
    mask ends = (plain + starts) & ~plain & b->valid;
    for (mask x = ends & b->newline; x; x &= x - 1) {
        mask below = starts & ((x & -x) - 1);
        starts &= ~((mask)1 << (63 - __builtin_clzll(below)));
    }
    if (!starts || !last_of(b, plain)) return starts;
    mask open = (mask)1 << (63 - __builtin_clzll(starts));
    if (~plain & b->valid & ~(open - 1)) return starts;
    bytes next;
    for (bytes p = b->p + b->n; p < b->end; p = next) {
        if (is_newline(*p)) return starts & ~open;
        if (classify(r, p, b->end, &next) != TM_CHAR_SPACE) break;
    }
    return starts;
}

static inline mask starts_llama(rule r, const block *b, carry *c)
{
    mask plain = b->space & ~b->newline;  // white space
    unsigned after = class_behind(r, b);
    mask seeds = b->newline & behind(b->other, c->other | c->absorbed);
    mask absorbed = b->newline & ~(b->newline + seeds);
    mask starts = b->space & ~absorbed & (~behind(b->space, c->space) | behind(absorbed, c->absorbed));
    starts |= starts_of_indents(r, b, plain, c);
    starts |= space_before(b, plain, b->valid & ~b->space, after != TM_CHAR_SPACE);
    starts |= starts_of_numbers(r, b, c);
    mask first_other = b->other & ~behind(b->other, c->other) & ~behind(b->blank, c->blank);
    starts |= first_other;
    for (int i = 0; b->more && i < 3; i++) first_other |= first_other << 1 & b->more;
    starts |= b->letter & ~behind(b->letter, c->letter) & ~behind(plain, c->space & ~c->newline) &
              ~behind(first_other, c->first_other);
    c->absorbed = last_of(b, absorbed);
    c->first_other = last_of(b, first_other);
    return starts;
}

static inline void remember(const block *b, carry *c)
{
    c->letter = last_of(b, b->letter);
    c->number = last_of(b, b->number);
    c->space = last_of(b, b->space);
    c->other = last_of(b, b->other);
    c->newline = last_of(b, b->newline);
    c->blank = last_of(b, b->blank);
}

// The places of the bits, eight at a time: what is too much is overwritten by the next block.
static inline unsigned put_places(mask bits, size_t base, size_t *places)
{
    const mask top = (mask)1 << 63;
    unsigned n = (unsigned)__builtin_popcountll(bits);
    for (unsigned i = 0; i < n; i += 8)
        for (unsigned k = 0; k < 8; k++, bits &= bits - 1)
            places[i + k] = base + (unsigned)__builtin_ctzll(bits | top);
    return n;
}

static inline size_t scan(rule r, tm_view text, size_t *at, size_t *ends, size_t capacity)
{
    bytes begin = (bytes)text.data;
    block b = {.p = begin + *at, .end = begin + text.size};
    carry c = {0};
    size_t n = 0;
    mask here = 1;  // the piece that begins here ends none
    for (; b.p < b.end && n + 64 <= capacity; b.p += b.n) {
        read_block(r, &b);
        mask starts = r.gpt2 ? starts_gpt2(r, &b, &c) : starts_llama(r, &b, &c);
        starts = (starts & ~c.clear) | (c.set & b.valid);
        c.clear = c.set = 0;
        starts = cut_contractions(&b, !r.gpt2, starts, &c) & ~here;
        here = 0;
        remember(&b, &c);
        n += put_places(starts, (size_t)(b.p - begin), ends + n);
    }
    if (b.p == b.end && n < capacity) ends[n++] = text.size;
    if (n) *at = ends[n - 1];
    return n;
}

size_t tm_pretokenize_blocks(tm_pretokenizer kind, tm_view text, size_t *at, size_t *ends, size_t capacity)
{
    switch (kind) {
#define CASE(kind, name, pattern, ...)                                                                       \
    case TM_PRETOKENIZE_##kind: return scan((rule){__VA_ARGS__}, text, at, ends, capacity);
        TM_PRETOKENIZER_KINDS(CASE)
#undef CASE
    }
    return 0;
}
