// SPDX-License-Identifier: Apache-2.0
// The character set of a page: found, and turned into UTF-8. Labels mean what browsers take them to mean
// (encoding.spec.whatwg.org, section 4.2): iso-8859-1 is windows-1252, gb2312 is gb18030.
#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdio.h>

#include "stages/text/html_parts.h"
#include "stages/text/unicode_charsets.h"
#include "engine/base/utf8.h"

#define META_BYTES 4096
#define LABEL 32

// A label, the name it goes by, and what iconv calls it.
typedef struct charset_row {
    const char *label, *name, *iconv;
} charset_row;

static const charset_row rows[] = {
    {"ascii", "windows-1252", NULL},      {"us-ascii", "windows-1252", NULL},
    {"iso-8859-1", "windows-1252", NULL}, {"iso8859-1", "windows-1252", NULL},
    {"latin1", "windows-1252", NULL},     {"latin-1", "windows-1252", NULL},
    {"cp1252", "windows-1252", NULL},     {"gb2312", "gb18030", "GB18030"},
    {"gbk", "gb18030", "GB18030"},        {"gb18030", "gb18030", "GB18030"},
    {"big5", "big5", "BIG5-HKSCS"},       {"shift_jis", "shift_jis", "CP932"},
    {"shift-jis", "shift_jis", "CP932"},  {"sjis", "shift_jis", "CP932"},
    {"x-sjis", "shift_jis", "CP932"},     {"windows-31j", "shift_jis", "CP932"},
    {"euc-jp", "euc-jp", "EUC-JP"},       {"iso-2022-jp", "iso-2022-jp", "ISO-2022-JP"},
    {"euc-kr", "euc-kr", "CP949"},        {"ks_c_5601-1987", "euc-kr", "CP949"},
    {"windows-949", "euc-kr", "CP949"},   {"iso-8859-9", "windows-1254", NULL},
    {"latin5", "windows-1254", NULL},     {"iso-8859-11", "windows-874", "CP874"},
    {"tis-620", "windows-874", "CP874"},  {"windows-874", "windows-874", "CP874"},
    {"macintosh", "macintosh", NULL},     {"utf8", "utf-8", NULL},
};

// Sets that need no iconv.
static const struct {
    const char *name;
    tm_charset set;
} own_sets[] = {
    {"windows-1252", TM_CHARSET_CP1252}, {"windows-1251", TM_CHARSET_CP1251},
    {"windows-1250", TM_CHARSET_CP1250}, {"windows-1253", TM_CHARSET_CP1253},
    {"windows-1254", TM_CHARSET_CP1254}, {"windows-1257", TM_CHARSET_CP1257},
    {"iso-8859-2", TM_CHARSET_LATIN2},   {"macintosh", TM_CHARSET_MACROMAN},
};

static bool label_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || c == ':' || c == '+';
}

// Copies the label at `p`, in lower case; empty when none is there.
static void copy_label(const char *p, const char *end, char label[LABEL])
{
    size_t n = 0;
    while (p < end && (isspace((unsigned char)*p) || *p == '"' || *p == '\'')) p++;
    for (; p < end && label_char(*p) && n < LABEL - 1; p++) label[n++] = (char)tolower((unsigned char)*p);
    label[n] = 0;
}

// Looks for charset=LABEL inside the <meta> tags (and an XML declaration's encoding=) at the start of the
// page.
static void find_meta(tm_view html, char label[LABEL])
{
    const char *p = html.data, *end = p + (html.size < META_BYTES ? html.size : META_BYTES);
    label[0] = 0;
    for (; end - p > 9; p++) {
        if (*p != '<') continue;
        const char *key = !strncasecmp(p, "<meta", 5) ? "charset"
                          : !strncmp(p, "<?xml", 5)   ? "encoding"
                                                      : NULL;
        const char *close = memchr(p, '>', (size_t)(end - p));
        if (!key || !close) continue;
        size_t n = strlen(key);
        for (const char *q = p; q + n < close; q++) {
            if (strncasecmp(q, key, n)) continue;
            for (q += n; q < close && isspace((unsigned char)*q); q++) continue;
            if (q < close && *q == '=') copy_label(q + 1, close, label);
            if (label[0]) return;
        }
    }
}

static const charset_row *find_row(const char *label)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].label, label)) return &rows[i];
    return NULL;
}

static void decode_own(tm_view html, tm_charset set, tm_buf *text)
{
    for (size_t i = 0; i < html.size; i++) {
        unsigned char c = (unsigned char)html.data[i];
        if (c < 0x80)
            tm_buf_char(text, (char)c);
        else
            tm_buf_point(text, tm_charset_high[set][c - 0x80]);
    }
}

static void decode_utf16(tm_view html, bool big, tm_buf *text, size_t *n_replaced)
{
    uint32_t high = 0;
    for (size_t i = 0; i + 1 < html.size; i += 2) {
        const unsigned char *p = (const unsigned char *)html.data + i;
        uint32_t unit = big ? (uint32_t)(p[0] << 8 | p[1]) : (uint32_t)(p[1] << 8 | p[0]);
        bool low = unit >= 0xdc00 && unit < 0xe000;
        if (high && low) unit = 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
        if ((high != 0) != low) { // a half without its other half
            tm_buf_point(text, 0xfffd);
            ++*n_replaced;
        }
        if (low && !high) continue;
        high = unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
        if (!high) tm_buf_point(text, unit);
    }
    if (high || html.size % 2) {
        tm_buf_point(text, 0xfffd);
        ++*n_replaced;
    }
}

// Through iconv; what it cannot decode becomes U+FFFD byte by byte. False when iconv does not know the set.
static bool decode_iconv(tm_view html, const char *name, tm_buf *text, size_t *n_replaced)
{
    iconv_t decoder = iconv_open("UTF-8", name);
    if (decoder == (iconv_t)-1) return false;
    char *in = (char *)html.data;
    size_t left = html.size;
    while (left && tm_buf_reserve(text, left + 64)) {
        char *out = text->data + text->size;
        size_t room = text->capacity - text->size - 1;
        size_t code = iconv(decoder, &in, &left, &out, &room);
        text->size = (size_t)(out - text->data);
        text->data[text->size] = 0;
        if (code != (size_t)-1 || errno == E2BIG) continue;
        tm_buf_point(text, 0xfffd);
        ++*n_replaced;
        in++;
        left--;
    }
    iconv_close(decoder);
    return true;
}

static void set_charset(tm_html_page *page, const char *name)
{
    snprintf(page->charset, sizeof page->charset, "%s", name);
}

static bool decode_declared(tm_view html, const char *label, tm_buf *text, tm_html_page *page)
{
    const charset_row *row = find_row(label);
    const char *name = row ? row->name : label;
    set_charset(page, name);
    for (size_t i = 0; i < sizeof own_sets / sizeof *own_sets; i++) {
        if (strcmp(own_sets[i].name, name)) continue;
        decode_own(html, own_sets[i].set, text);
        return true;
    }
    return decode_iconv(html, row && row->iconv ? row->iconv : name, text, &page->n_replaced);
}

// A byte order mark decides. Returns whether there was one.
static bool decode_marked(tm_view html, tm_buf *text, tm_html_page *page)
{
    const char *p = html.data;
    if (html.size >= 3 && !memcmp(p, "\xef\xbb\xbf", 3)) {
        set_charset(page, "utf-8");
        page->n_replaced = tm_utf8_clean(tm_view_of(p + 3, html.size - 3), text);
        return true;
    }
    if (html.size < 2 || (memcmp(p, "\xff\xfe", 2) && memcmp(p, "\xfe\xff", 2))) return false;
    bool big = p[0] == '\xfe';
    set_charset(page, big ? "utf-16be" : "utf-16le");
    decode_utf16(tm_view_of(p + 2, html.size - 2), big, text, &page->n_replaced);
    return true;
}

// UTF-8 with a few broken sequences is still UTF-8; without a single good one it is not.
static bool mostly_utf8(tm_view html)
{
    size_t good = 0, bad = 0;
    const unsigned char *p = (const unsigned char *)html.data, *end = p + html.size;
    uint32_t point;
    while (p < end) {
        unsigned n = tm_utf8_decode(p, end, &point);
        good += n > 1;
        bad += n == 0;
        p += n ? n : 1;
    }
    return good > bad;
}

static void decode_unmarked(tm_view html, const char *declared, tm_buf *text, tm_html_page *page)
{
    char label[LABEL] = "";
    bool valid = tm_utf8_valid(html) == html.size;
    if (declared) copy_label(declared, declared + strlen(declared), label);
    if (!label[0]) find_meta(html, label);
    bool ascii_safe = strncmp(label, "iso-2022", 8) != 0; // its bytes are all ASCII
    const charset_row *row = find_row(label);
    bool utf8 = !strcmp(row ? row->name : label, "utf-8");
    if ((valid && ascii_safe) || (utf8 && mostly_utf8(html))) {
        set_charset(page, "utf-8");
        page->n_replaced = tm_utf8_clean(html, text);
        return;
    }
    if (label[0] && !utf8 && decode_declared(html, label, text, page)) return;
    set_charset(page, "windows-1252");
    decode_own(html, TM_CHARSET_CP1252, text);
}

tm_status tm_html_decode(tm_view html, const char *declared, tm_buf *text, tm_html_page *page, tm_error *err)
{
    page->n_replaced = 0;
    if (!decode_marked(html, text, page)) decode_unmarked(html, declared, text, page);
    return tm_buf_status(text, err);
}
