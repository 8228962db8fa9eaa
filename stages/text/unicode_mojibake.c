// SPDX-License-Identifier: Apache-2.0
// Which sequences of characters suggest mojibake. The characters, their kinds and the sequences are those
// that the ftfy project found (github.com/rspeer/python-ftfy, Apache-2.0, version 6.3); a rule here is a word
// over the kinds.
#include "stages/text/unicode_parts.h"

#include <utf8proc.h>

#include "engine/base/utf8.h"

#define TABLE 0x2600 // characters beyond are few and looked up one by one
#define MAX_ITEMS 7
#define MAX_LITERALS 24
#define N_RULES (sizeof rules / sizeof *rules)

enum {
    COMMON = 1 << 0,
    C1 = 1 << 1,
    BAD = 1 << 2,
    LAW = 1 << 3,
    CURRENCY = 1 << 4,
    OPENING = 1 << 5,
    CLOSING = 1 << 6,
    NUMERIC = 1 << 7,
    KAOMOJI = 1 << 8,
    UPPER_ACCENTED = 1 << 9,
    LOWER_ACCENTED = 1 << 10,
    UPPER_COMMON = 1 << 11,
    LOWER_COMMON = 1 << 12,
    BOX = 1 << 13,
    LOWER_ASCII = 1 << 14,
    ASCII_LETTER = 1 << 15,
    NO_ASCII_LETTER = 1 << 16,
    SPACE = 1 << 17,
    WHITE = 1 << 18,
    WORD = 1 << 19,
    NO_LINE_END = 1 << 20,
    FIRST_OF_2 = 1 << 21,
    FIRST_OF_3 = 1 << 22,
    FIRST_OF_4 = 1 << 23, // begin UTF-8 in a single-byte set
    FOLLOWS = 1 << 24,
    FOLLOWS_STRICTLY = 1 << 25, // continue it
};

typedef struct range {
    uint16_t low, high;
    uint32_t kind;
} range;

// clang-format off
static const range ranges[] = {
    {0xa0, 0xa0, COMMON}, {0xad, 0xad, COMMON}, {0xb4, 0xb4, COMMON}, {0xb7, 0xb7, COMMON},
    {0x2013, 0x2015, COMMON}, {0x2019, 0x2019, COMMON}, {0x2026, 0x2026, COMMON},
    {0x80, 0x9f, C1},
    {0xa4, 0xa4, BAD}, {0xa6, 0xa6, BAD}, {0xa8, 0xa8, BAD}, {0xaa, 0xaa, BAD}, {0xac, 0xac, BAD},
    {0xaf, 0xaf, BAD}, {0xb8, 0xb8, BAD}, {0xba, 0xba, BAD}, {0x192, 0x192, BAD}, {0x2c6, 0x2c7, BAD},
    {0x2d8, 0x2d8, BAD}, {0x2db, 0x2dc, BAD}, {0x2020, 0x2021, BAD}, {0x2030, 0x2030, BAD},
    {0x2310, 0x2310, BAD}, {0x25ca, 0x25ca, BAD}, {0xfffd, 0xfffd, BAD},
    {0xa7, 0xa7, LAW}, {0xb6, 0xb6, LAW},
    {0xa2, 0xa3, CURRENCY}, {0xa5, 0xa5, CURRENCY}, {0x20a7, 0x20a7, CURRENCY}, {0x20ac, 0x20ac, CURRENCY},
    {0xa1, 0xa1, OPENING}, {0xa9, 0xa9, OPENING}, {0xab, 0xab, OPENING}, {0xbf, 0xbf, OPENING},
    {0x384, 0x385, OPENING}, {0x2018, 0x2018, OPENING}, {0x201a, 0x201a, OPENING}, {0x201c, 0x201c, OPENING},
    {0x201e, 0x201e, OPENING}, {0x2022, 0x2022, OPENING}, {0x2039, 0x2039, OPENING},
    {0xf8ff, 0xf8ff, OPENING},
    {0xae, 0xae, CLOSING}, {0xbb, 0xbb, CLOSING}, {0x2dd, 0x2dd, CLOSING}, {0x201d, 0x201d, CLOSING},
    {0x203a, 0x203a, CLOSING}, {0x2122, 0x2122, CLOSING},
    {0xb1, 0xb3, NUMERIC}, {0xb5, 0xb5, NUMERIC}, {0xb9, 0xb9, NUMERIC}, {0xbc, 0xbe, NUMERIC},
    {0xd7, 0xd7, NUMERIC}, {0xf7, 0xf7, NUMERIC}, {0x2044, 0x2044, NUMERIC}, {0x2116, 0x2116, NUMERIC},
    {0x2202, 0x2202, NUMERIC}, {0x2206, 0x2206, NUMERIC}, {0x220f, 0x220f, NUMERIC},
    {0x2211, 0x2211, NUMERIC}, {0x221a, 0x221a, NUMERIC}, {0x221e, 0x221e, NUMERIC},
    {0x2229, 0x2229, NUMERIC}, {0x222b, 0x222b, NUMERIC}, {0x2248, 0x2248, NUMERIC},
    {0x2260, 0x2261, NUMERIC}, {0x2264, 0x2265, NUMERIC},
    {0xb0, 0xb0, KAOMOJI}, {0xd2, 0xd6, KAOMOJI}, {0xd9, 0xdc, KAOMOJI}, {0xf2, 0xf6, KAOMOJI},
    {0xf8, 0xfc, KAOMOJI}, {0x14c, 0x14c, KAOMOJI}, {0x150, 0x150, KAOMOJI}, {0x16a, 0x16a, KAOMOJI},
    {0x172, 0x172, KAOMOJI},
    {0xc0, 0xd1, UPPER_ACCENTED}, {0xd8, 0xd8, UPPER_ACCENTED}, {0xdc, 0xdd, UPPER_ACCENTED},
    {0x100, 0x100, UPPER_ACCENTED}, {0x102, 0x102, UPPER_ACCENTED}, {0x104, 0x104, UPPER_ACCENTED},
    {0x106, 0x106, UPPER_ACCENTED}, {0x10c, 0x10c, UPPER_ACCENTED}, {0x10e, 0x10e, UPPER_ACCENTED},
    {0x110, 0x110, UPPER_ACCENTED}, {0x112, 0x112, UPPER_ACCENTED}, {0x116, 0x116, UPPER_ACCENTED},
    {0x118, 0x118, UPPER_ACCENTED}, {0x11a, 0x11a, UPPER_ACCENTED}, {0x11e, 0x11e, UPPER_ACCENTED},
    {0x122, 0x122, UPPER_ACCENTED}, {0x12a, 0x12a, UPPER_ACCENTED}, {0x130, 0x130, UPPER_ACCENTED},
    {0x136, 0x136, UPPER_ACCENTED}, {0x139, 0x139, UPPER_ACCENTED}, {0x13b, 0x13b, UPPER_ACCENTED},
    {0x13d, 0x13d, UPPER_ACCENTED}, {0x141, 0x141, UPPER_ACCENTED}, {0x143, 0x143, UPPER_ACCENTED},
    {0x145, 0x145, UPPER_ACCENTED}, {0x147, 0x147, UPPER_ACCENTED}, {0x152, 0x152, UPPER_ACCENTED},
    {0x158, 0x158, UPPER_ACCENTED}, {0x15a, 0x15a, UPPER_ACCENTED}, {0x15e, 0x15e, UPPER_ACCENTED},
    {0x160, 0x160, UPPER_ACCENTED}, {0x162, 0x162, UPPER_ACCENTED}, {0x164, 0x164, UPPER_ACCENTED},
    {0x16e, 0x16e, UPPER_ACCENTED}, {0x170, 0x170, UPPER_ACCENTED}, {0x178, 0x179, UPPER_ACCENTED},
    {0x17b, 0x17b, UPPER_ACCENTED}, {0x17d, 0x17d, UPPER_ACCENTED}, {0x490, 0x490, UPPER_ACCENTED},
    {0xdf, 0xf1, LOWER_ACCENTED}, {0xfc, 0xfc, LOWER_ACCENTED}, {0x101, 0x101, LOWER_ACCENTED},
    {0x103, 0x103, LOWER_ACCENTED}, {0x105, 0x105, LOWER_ACCENTED}, {0x107, 0x107, LOWER_ACCENTED},
    {0x10d, 0x10d, LOWER_ACCENTED}, {0x10f, 0x10f, LOWER_ACCENTED}, {0x111, 0x111, LOWER_ACCENTED},
    {0x113, 0x113, LOWER_ACCENTED}, {0x117, 0x117, LOWER_ACCENTED}, {0x119, 0x119, LOWER_ACCENTED},
    {0x11b, 0x11b, LOWER_ACCENTED}, {0x11f, 0x11f, LOWER_ACCENTED}, {0x123, 0x123, LOWER_ACCENTED},
    {0x12b, 0x12b, LOWER_ACCENTED}, {0x12f, 0x12f, LOWER_ACCENTED}, {0x137, 0x137, LOWER_ACCENTED},
    {0x13a, 0x13a, LOWER_ACCENTED}, {0x13c, 0x13c, LOWER_ACCENTED}, {0x13e, 0x13e, LOWER_ACCENTED},
    {0x142, 0x142, LOWER_ACCENTED}, {0x153, 0x153, LOWER_ACCENTED}, {0x155, 0x155, LOWER_ACCENTED},
    {0x15b, 0x15b, LOWER_ACCENTED}, {0x15f, 0x15f, LOWER_ACCENTED}, {0x161, 0x161, LOWER_ACCENTED},
    {0x165, 0x165, LOWER_ACCENTED}, {0x17a, 0x17a, LOWER_ACCENTED}, {0x17c, 0x17c, LOWER_ACCENTED},
    {0x17e, 0x17e, LOWER_ACCENTED}, {0x491, 0x491, LOWER_ACCENTED}, {0xfb01, 0xfb02, LOWER_ACCENTED},
    {0xde, 0xde, UPPER_COMMON}, {0x386, 0x386, UPPER_COMMON}, {0x388, 0x38a, UPPER_COMMON},
    {0x38c, 0x38c, UPPER_COMMON}, {0x38e, 0x38f, UPPER_COMMON}, {0x391, 0x3ab, UPPER_COMMON},
    {0x401, 0x42f, UPPER_COMMON},
    {0x3ac, 0x3c9, LOWER_COMMON}, {0x430, 0x45f, LOWER_COMMON},
    {0x2502, 0x2502, BOX}, {0x250c, 0x250c, BOX}, {0x2510, 0x2510, BOX}, {0x2518, 0x2518, BOX},
    {0x251c, 0x251c, BOX}, {0x2524, 0x2524, BOX}, {0x252c, 0x252c, BOX}, {0x253c, 0x253c, BOX},
    {0x2550, 0x256c, BOX}, {0x2580, 0x2580, BOX}, {0x2584, 0x2584, BOX}, {0x2588, 0x2588, BOX},
    {0x258c, 0x258c, BOX}, {0x2590, 0x2593, BOX},
    {0xc2, 0xdf, FIRST_OF_2}, {0x100, 0x100, FIRST_OF_2}, {0x102, 0x102, FIRST_OF_2},
    {0x106, 0x106, FIRST_OF_2}, {0x10c, 0x10c, FIRST_OF_2}, {0x10e, 0x10e, FIRST_OF_2},
    {0x110, 0x110, FIRST_OF_2}, {0x112, 0x112, FIRST_OF_2}, {0x116, 0x116, FIRST_OF_2},
    {0x118, 0x118, FIRST_OF_2}, {0x11a, 0x11a, FIRST_OF_2}, {0x11e, 0x11e, FIRST_OF_2},
    {0x122, 0x122, FIRST_OF_2}, {0x12a, 0x12a, FIRST_OF_2}, {0x130, 0x130, FIRST_OF_2},
    {0x136, 0x136, FIRST_OF_2}, {0x139, 0x139, FIRST_OF_2}, {0x13b, 0x13b, FIRST_OF_2},
    {0x141, 0x141, FIRST_OF_2}, {0x143, 0x143, FIRST_OF_2}, {0x145, 0x145, FIRST_OF_2},
    {0x147, 0x147, FIRST_OF_2}, {0x14c, 0x14c, FIRST_OF_2}, {0x150, 0x150, FIRST_OF_2},
    {0x158, 0x158, FIRST_OF_2}, {0x15a, 0x15a, FIRST_OF_2}, {0x15e, 0x15e, FIRST_OF_2},
    {0x160, 0x160, FIRST_OF_2}, {0x162, 0x162, FIRST_OF_2}, {0x16a, 0x16a, FIRST_OF_2},
    {0x16e, 0x16e, FIRST_OF_2}, {0x170, 0x170, FIRST_OF_2}, {0x172, 0x172, FIRST_OF_2},
    {0x179, 0x179, FIRST_OF_2}, {0x17b, 0x17b, FIRST_OF_2}, {0x17d, 0x17d, FIRST_OF_2},
    {0x392, 0x3a1, FIRST_OF_2}, {0x3a3, 0x3af, FIRST_OF_2}, {0x412, 0x42f, FIRST_OF_2},
    {0xe0, 0xef, FIRST_OF_3}, {0x101, 0x101, FIRST_OF_3}, {0x103, 0x103, FIRST_OF_3},
    {0x105, 0x105, FIRST_OF_3}, {0x107, 0x107, FIRST_OF_3}, {0x10d, 0x10d, FIRST_OF_3},
    {0x10f, 0x10f, FIRST_OF_3}, {0x113, 0x113, FIRST_OF_3}, {0x117, 0x117, FIRST_OF_3},
    {0x119, 0x119, FIRST_OF_3}, {0x11b, 0x11b, FIRST_OF_3}, {0x123, 0x123, FIRST_OF_3},
    {0x12b, 0x12b, FIRST_OF_3}, {0x12f, 0x12f, FIRST_OF_3}, {0x137, 0x137, FIRST_OF_3},
    {0x13a, 0x13a, FIRST_OF_3}, {0x13c, 0x13c, FIRST_OF_3}, {0x155, 0x155, FIRST_OF_3},
    {0x17a, 0x17a, FIRST_OF_3}, {0x3b0, 0x3bf, FIRST_OF_3}, {0x430, 0x43f, FIRST_OF_3},
    {0xf0, 0xf0, FIRST_OF_4}, {0xf3, 0xf3, FIRST_OF_4}, {0x111, 0x111, FIRST_OF_4},
    {0x11f, 0x11f, FIRST_OF_4}, {0x161, 0x161, FIRST_OF_4}, {0x3c0, 0x3c0, FIRST_OF_4},
    {0x3c3, 0x3c3, FIRST_OF_4}, {0x440, 0x440, FIRST_OF_4}, {0x443, 0x443, FIRST_OF_4},
    {0x20, 0x20, FOLLOWS}, {0x80, 0xbf, FOLLOWS}, {0xc6, 0xc6, FOLLOWS}, {0xd8, 0xd8, FOLLOWS},
    {0xe6, 0xe6, FOLLOWS}, {0xf8, 0xf8, FOLLOWS}, {0x104, 0x105, FOLLOWS}, {0x13d, 0x13e, FOLLOWS},
    {0x141, 0x142, FOLLOWS}, {0x152, 0x153, FOLLOWS}, {0x156, 0x157, FOLLOWS}, {0x15a, 0x15b, FOLLOWS},
    {0x15e, 0x161, FOLLOWS}, {0x164, 0x165, FOLLOWS}, {0x178, 0x17e, FOLLOWS}, {0x192, 0x192, FOLLOWS},
    {0x2c6, 0x2c7, FOLLOWS}, {0x2d8, 0x2d8, FOLLOWS}, {0x2db, 0x2dd, FOLLOWS}, {0x384, 0x386, FOLLOWS},
    {0x388, 0x38a, FOLLOWS}, {0x38c, 0x38c, FOLLOWS}, {0x38e, 0x38f, FOLLOWS}, {0x401, 0x40c, FOLLOWS},
    {0x40e, 0x40f, FOLLOWS}, {0x451, 0x45c, FOLLOWS}, {0x45e, 0x45f, FOLLOWS}, {0x490, 0x491, FOLLOWS},
    {0x2013, 0x2015, FOLLOWS}, {0x2018, 0x201a, FOLLOWS}, {0x201c, 0x201e, FOLLOWS},
    {0x2020, 0x2022, FOLLOWS}, {0x2026, 0x2026, FOLLOWS}, {0x2030, 0x2030, FOLLOWS},
    {0x2039, 0x203a, FOLLOWS}, {0x20ac, 0x20ac, FOLLOWS}, {0x2116, 0x2116, FOLLOWS},
    {0x2122, 0x2122, FOLLOWS},
    {0x80, 0xbf, FOLLOWS_STRICTLY}, {0xc6, 0xc6, FOLLOWS_STRICTLY}, {0xd8, 0xd8, FOLLOWS_STRICTLY},
    {0xe6, 0xe6, FOLLOWS_STRICTLY}, {0xf8, 0xf8, FOLLOWS_STRICTLY}, {0x104, 0x105, FOLLOWS_STRICTLY},
    {0x13d, 0x13e, FOLLOWS_STRICTLY}, {0x141, 0x142, FOLLOWS_STRICTLY}, {0x152, 0x153, FOLLOWS_STRICTLY},
    {0x156, 0x157, FOLLOWS_STRICTLY}, {0x15a, 0x15b, FOLLOWS_STRICTLY}, {0x15e, 0x161, FOLLOWS_STRICTLY},
    {0x164, 0x165, FOLLOWS_STRICTLY}, {0x178, 0x17e, FOLLOWS_STRICTLY}, {0x192, 0x192, FOLLOWS_STRICTLY},
    {0x2c6, 0x2c7, FOLLOWS_STRICTLY}, {0x2d8, 0x2d8, FOLLOWS_STRICTLY}, {0x2db, 0x2dd, FOLLOWS_STRICTLY},
    {0x384, 0x386, FOLLOWS_STRICTLY}, {0x388, 0x38a, FOLLOWS_STRICTLY}, {0x38c, 0x38c, FOLLOWS_STRICTLY},
    {0x38e, 0x38f, FOLLOWS_STRICTLY}, {0x401, 0x40c, FOLLOWS_STRICTLY}, {0x40e, 0x40f, FOLLOWS_STRICTLY},
    {0x451, 0x45c, FOLLOWS_STRICTLY}, {0x45e, 0x45f, FOLLOWS_STRICTLY}, {0x490, 0x491, FOLLOWS_STRICTLY},
    {0x2020, 0x2021, FOLLOWS_STRICTLY}, {0x2030, 0x2030, FOLLOWS_STRICTLY},
    {0x2039, 0x203a, FOLLOWS_STRICTLY}, {0x20ac, 0x20ac, FOLLOWS_STRICTLY},
    {0x2116, 0x2116, FOLLOWS_STRICTLY}, {0x2122, 0x2122, FOLLOWS_STRICTLY},
};

// The letters that stand for kinds in a rule. Other characters, and letters after a backslash, stand for
// themselves.
static const struct { char letter; uint32_t kind; } letters[] = {
    {'m', COMMON}, {'1', C1}, {'b', BAD}, {'w', LAW}, {'$', CURRENCY}, {'(', OPENING}, {')', CLOSING},
    {'#', NUMERIC}, {'k', KAOMOJI}, {'U', UPPER_ACCENTED}, {'l', LOWER_ACCENTED}, {'V', UPPER_COMMON},
    {'v', LOWER_COMMON}, {'x', BOX}, {'a', LOWER_ASCII}, {'A', ASCII_LETTER}, {'!', NO_ASCII_LETTER},
    {'_', SPACE}, {'s', WHITE}, {'W', WORD}, {'.', NO_LINE_END},
};

// `[..]` is any of its members, `^` the start of the text.
static const char *const rules[] = {
    "1",
    "[blUx()$#w]b", "A[vV]b", "b[lUx()$#w]",
    "[lvx)$#]U", "[x)$#]l", "[lx)]$", "sU$", "[Ux][#w]",
    "[lUx$)](#", "[lU$#xw])(", "[$#x](", "aU[($]", "xk", "[lU$#()w]x", "x)", "[lU][()]W",
    "[Œœ]!", "U°",
    "[ÂÃÎÐ][€œŠš¢£Ÿž\u00a0\u00ad®°©·»()–—´]", "×[²³]",
    "[ØÙ][m$b#(ŸŠ®°µ»][ØÙ][m$b#(ŸŠ®°µ»]",     // Arabic
    "à[²µ¹¼½¾]",                                // South Asian scripts
    "√[±∂†≠®™´≤≥¥µø]", "≈[°¢]", "‚Ä[ìîïòôúùû†°¢π]", "‚[âó][àä°ê]",  // MacRoman
    "вЂ", "[ВГРС][1b()$°µ][ВГРС]", "ГўВЂВ.[A_]",  // windows-1251
    "Ã[\u00a0¡]", "a[ÃÂ]_", "as[ÃÂ]_", "^[ÃÂ]_", "[a\\.,?\\!)]Â[_()]",
    "β€[™\u00a0Ά\u00ad®°]", "[ΒΓΞΟ][1b()$°][ΒΓΞΟ]",  // windows-1253
    "ā€",                                       // windows-1257
};
// clang-format on

typedef struct item {
    uint32_t kinds;
    uint32_t literals[MAX_LITERALS];
    unsigned n_literals;
} item;

typedef struct rule {
    item items[MAX_ITEMS];
    unsigned n_items;
    bool at_start;
} rule;

struct tm_mojibake {
    uint32_t kinds[TABLE];
    rule rules[N_RULES];
};

// ---- tables ----

static uint32_t ascii_kinds(uint32_t c)
{
    bool lower = c >= 'a' && c <= 'z', letter = lower || (c >= 'A' && c <= 'Z');
    bool white = c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    uint32_t kinds = letter ? ASCII_LETTER | WORD : NO_ASCII_LETTER;
    if (lower) kinds |= LOWER_ASCII;
    if (white) kinds |= WHITE;
    if ((c >= '0' && c <= '9') || c == '_') kinds |= WORD;
    return kinds | (c == ' ' ? SPACE : 0);
}

static bool is_white(uint32_t c, utf8proc_category_t category)
{
    return c == 0x85 || (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP);
}

static uint32_t general_kinds(uint32_t c)
{
    if (c < 0x80) return ascii_kinds(c) | (c == '\n' ? 0 : NO_LINE_END);
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    bool word = (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
                (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
    return NO_ASCII_LETTER | NO_LINE_END | (word ? WORD : 0) | (is_white(c, category) ? WHITE : 0);
}

static uint32_t kinds_of(const tm_mojibake *m, uint32_t c)
{
    if (c < TABLE) return m->kinds[c];
    uint32_t kinds = general_kinds(c);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].high >= TABLE && c >= ranges[i].low && c <= ranges[i].high) kinds |= ranges[i].kind;
    return kinds;
}

static uint32_t letter_kind(uint32_t c)
{
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if ((uint32_t)letters[i].letter == c) return letters[i].kind;
    return 0;
}

// Reads one member of an item, a kind or a character.
static const char *parse_member(const char *p, item *to)
{
    bool escaped = *p == '\\';
    uint32_t c = 0;
    p += escaped;
    p += tm_utf8_decode((const unsigned char *)p, (const unsigned char *)p + strlen(p), &c);
    uint32_t kind = escaped ? 0 : letter_kind(c);
    to->kinds |= kind;
    if (kind) return p;
    tm_assert(to->n_literals < MAX_LITERALS);
    to->literals[to->n_literals++] = c;
    return p;
}

static void parse_rule(const char *p, rule *r)
{
    if (*p == '^') r->at_start = *p++;
    while (*p) {
        tm_assert(r->n_items < MAX_ITEMS);
        item *to = &r->items[r->n_items++];
        if (*p != '[') {
            p = parse_member(p, to);
            continue;
        }
        for (p++; *p != ']';) p = parse_member(p, to);
        p++;
    }
}

tm_mojibake *tm_mojibake_new(void)
{
    tm_mojibake *m = tm_calloc(1, sizeof *m);
    if (!m) return NULL;
    for (uint32_t c = 0; c < TABLE; c++) m->kinds[c] = general_kinds(c);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        for (uint32_t c = ranges[i].low; c <= ranges[i].high && c < TABLE; c++) m->kinds[c] |= ranges[i].kind;
    for (size_t i = 0; i < N_RULES; i++) parse_rule(rules[i], &m->rules[i]);
    return m;
}

void tm_mojibake_free(tm_mojibake *m)
{
    tm_free(m);
}

// ---- matching ----

static bool item_matches(const tm_mojibake *m, const item *i, uint32_t c)
{
    if (kinds_of(m, c) & i->kinds) return true;
    for (unsigned k = 0; k < i->n_literals; k++)
        if (i->literals[k] == c) return true;
    return false;
}

static bool rule_matches(const tm_mojibake *m, const rule *r, const uint32_t *text, size_t size, size_t at)
{
    if (r->at_start && at) return false;
    if (size - at < r->n_items) return false;
    for (unsigned i = 0; i < r->n_items; i++)
        if (!item_matches(m, &r->items[i], text[at + i])) return false;
    return true;
}

bool tm_mojibake_is_bad(const tm_mojibake *m, const uint32_t *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        bool wide = text[at] >= 0x80 || (at + 1 < size && text[at + 1] >= 0x80) ||
                    (at + 2 < size && text[at + 2] >= 0x80);
        if (!wide) continue; // no rule holds more than two ASCII characters before another
        for (size_t i = 0; i < N_RULES; i++)
            if (rule_matches(m, &m->rules[i], text, size, at)) return true;
    }
    return false;
}

// ---- runs ----

// Characters of one sequence at `at`, 0 when there is none.
static size_t sequence(const tm_mojibake *m, const uint32_t *text, size_t size, size_t at)
{
    uint32_t kinds = kinds_of(m, text[at]);
    static const uint32_t firsts[] = {FIRST_OF_2, FIRST_OF_3, FIRST_OF_4};
    for (size_t n = 2; n <= 4; n++) {
        if (!(kinds & firsts[n - 2]) || size - at < n) continue;
        size_t i = 1;
        while (i < n && kinds_of(m, text[at + i]) & FOLLOWS) i++;
        if (i == n) return n;
    }
    return 0;
}

bool tm_mojibake_find_run(const tm_mojibake *m, const uint32_t *text, size_t size, size_t *at, size_t *run)
{
    for (size_t start = *at; start < size; start++) {
        if (text[start] < 0x80 || (start && kinds_of(m, text[start - 1]) & FOLLOWS_STRICTLY)) continue;
        size_t end = start, n;
        while (end < size && (n = sequence(m, text, size, end))) end += n;
        if (end == start) continue;
        *at = start;
        *run = end - start;
        return true;
    }
    return false;
}
