// SPDX-License-Identifier: Apache-2.0
// A light tokenizer that sees tags as the parser will, and takes out what would make it slow or deep.
//
// The stack kept here may hold elements the parser has closed already, never the other way round: an end tag
// pops only where the HTML rules would. So the tree is at most about twice as deep as this stack.
#include <ctype.h>

#include "stages/text/html_parts.h"
#include "stages/text/unicode_entities.h"
#include "engine/base/utf8.h"

#define STACK 512
#define MAX_ATTRIBUTES 512

typedef enum {
    CLASS_INLINE,
    CLASS_FORMAT,
    CLASS_SPECIAL,
    CLASS_SCOPE,
    CLASS_IMPLIED,
    CLASS_VOID,
    CLASS_RAW
} tag_class;

typedef struct tag {
    size_t start, end; // of the whole tag, `end` after '>'
    size_t name, name_size;
    uint32_t hash;
    bool closing;
    unsigned n_attributes;
    tag_class class;
} tag;

typedef struct open_tag {
    uint32_t hash;
    tag_class class;
} open_tag;

// clang-format off
static const uint8_t classes[GUMBO_TAG_LAST + 1] = {
    [GUMBO_TAG_A] = CLASS_FORMAT, [GUMBO_TAG_B] = CLASS_FORMAT, [GUMBO_TAG_BIG] = CLASS_FORMAT,
    [GUMBO_TAG_CODE] = CLASS_FORMAT, [GUMBO_TAG_EM] = CLASS_FORMAT, [GUMBO_TAG_FONT] = CLASS_FORMAT,
    [GUMBO_TAG_I] = CLASS_FORMAT, [GUMBO_TAG_NOBR] = CLASS_FORMAT, [GUMBO_TAG_S] = CLASS_FORMAT,
    [GUMBO_TAG_SMALL] = CLASS_FORMAT, [GUMBO_TAG_STRIKE] = CLASS_FORMAT, [GUMBO_TAG_STRONG] = CLASS_FORMAT,
    [GUMBO_TAG_TT] = CLASS_FORMAT, [GUMBO_TAG_U] = CLASS_FORMAT,
    [GUMBO_TAG_APPLET] = CLASS_SCOPE, [GUMBO_TAG_CAPTION] = CLASS_SCOPE, [GUMBO_TAG_HTML] = CLASS_SCOPE,
    [GUMBO_TAG_TABLE] = CLASS_SCOPE, [GUMBO_TAG_TD] = CLASS_SCOPE, [GUMBO_TAG_TH] = CLASS_SCOPE,
    [GUMBO_TAG_MARQUEE] = CLASS_SCOPE, [GUMBO_TAG_OBJECT] = CLASS_SCOPE, [GUMBO_TAG_TEMPLATE] = CLASS_SCOPE,
    [GUMBO_TAG_SVG] = CLASS_SCOPE, [GUMBO_TAG_MATH] = CLASS_SCOPE, [GUMBO_TAG_FOREIGNOBJECT] = CLASS_SCOPE,
    [GUMBO_TAG_DESC] = CLASS_SCOPE,
    [GUMBO_TAG_P] = CLASS_IMPLIED, [GUMBO_TAG_LI] = CLASS_IMPLIED, [GUMBO_TAG_DD] = CLASS_IMPLIED,
    [GUMBO_TAG_DT] = CLASS_IMPLIED, [GUMBO_TAG_TR] = CLASS_IMPLIED, [GUMBO_TAG_TBODY] = CLASS_IMPLIED,
    [GUMBO_TAG_THEAD] = CLASS_IMPLIED, [GUMBO_TAG_TFOOT] = CLASS_IMPLIED,
    [GUMBO_TAG_COLGROUP] = CLASS_IMPLIED, [GUMBO_TAG_OPTION] = CLASS_IMPLIED,
    [GUMBO_TAG_OPTGROUP] = CLASS_IMPLIED, [GUMBO_TAG_HEAD] = CLASS_IMPLIED, [GUMBO_TAG_BODY] = CLASS_IMPLIED,
    [GUMBO_TAG_AREA] = CLASS_VOID, [GUMBO_TAG_BASE] = CLASS_VOID, [GUMBO_TAG_BR] = CLASS_VOID,
    [GUMBO_TAG_COL] = CLASS_VOID, [GUMBO_TAG_EMBED] = CLASS_VOID, [GUMBO_TAG_HR] = CLASS_VOID,
    [GUMBO_TAG_IMG] = CLASS_VOID, [GUMBO_TAG_INPUT] = CLASS_VOID, [GUMBO_TAG_LINK] = CLASS_VOID,
    [GUMBO_TAG_META] = CLASS_VOID, [GUMBO_TAG_PARAM] = CLASS_VOID, [GUMBO_TAG_SOURCE] = CLASS_VOID,
    [GUMBO_TAG_TRACK] = CLASS_VOID, [GUMBO_TAG_WBR] = CLASS_VOID,
    [GUMBO_TAG_SCRIPT] = CLASS_RAW, [GUMBO_TAG_STYLE] = CLASS_RAW, [GUMBO_TAG_TEXTAREA] = CLASS_RAW,
    [GUMBO_TAG_TITLE] = CLASS_RAW, [GUMBO_TAG_XMP] = CLASS_RAW, [GUMBO_TAG_IFRAME] = CLASS_RAW,
    [GUMBO_TAG_NOEMBED] = CLASS_RAW, [GUMBO_TAG_NOFRAMES] = CLASS_RAW,
    [GUMBO_TAG_ADDRESS] = CLASS_SPECIAL, [GUMBO_TAG_ARTICLE] = CLASS_SPECIAL,
    [GUMBO_TAG_ASIDE] = CLASS_SPECIAL, [GUMBO_TAG_BLOCKQUOTE] = CLASS_SPECIAL,
    [GUMBO_TAG_BUTTON] = CLASS_SPECIAL, [GUMBO_TAG_CENTER] = CLASS_SPECIAL,
    [GUMBO_TAG_DETAILS] = CLASS_SPECIAL, [GUMBO_TAG_DIR] = CLASS_SPECIAL, [GUMBO_TAG_DIV] = CLASS_SPECIAL,
    [GUMBO_TAG_DL] = CLASS_SPECIAL, [GUMBO_TAG_FIELDSET] = CLASS_SPECIAL,
    [GUMBO_TAG_FIGCAPTION] = CLASS_SPECIAL, [GUMBO_TAG_FIGURE] = CLASS_SPECIAL,
    [GUMBO_TAG_FOOTER] = CLASS_SPECIAL, [GUMBO_TAG_FORM] = CLASS_SPECIAL, [GUMBO_TAG_H1] = CLASS_SPECIAL,
    [GUMBO_TAG_H2] = CLASS_SPECIAL, [GUMBO_TAG_H3] = CLASS_SPECIAL, [GUMBO_TAG_H4] = CLASS_SPECIAL,
    [GUMBO_TAG_H5] = CLASS_SPECIAL, [GUMBO_TAG_H6] = CLASS_SPECIAL, [GUMBO_TAG_HEADER] = CLASS_SPECIAL,
    [GUMBO_TAG_HGROUP] = CLASS_SPECIAL, [GUMBO_TAG_MAIN] = CLASS_SPECIAL, [GUMBO_TAG_MENU] = CLASS_SPECIAL,
    [GUMBO_TAG_NAV] = CLASS_SPECIAL, [GUMBO_TAG_OL] = CLASS_SPECIAL, [GUMBO_TAG_PRE] = CLASS_SPECIAL,
    [GUMBO_TAG_SECTION] = CLASS_SPECIAL, [GUMBO_TAG_SELECT] = CLASS_SPECIAL,
    [GUMBO_TAG_SUMMARY] = CLASS_SPECIAL, [GUMBO_TAG_UL] = CLASS_SPECIAL,
    [GUMBO_TAG_FRAMESET] = CLASS_SPECIAL, [GUMBO_TAG_LISTING] = CLASS_SPECIAL,
};
// clang-format on

static tag_class class_of(const char *name, size_t size)
{
    return (tag_class)classes[gumbo_tagn_enum(name, (unsigned)size)];
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

// Finds the '>' that ends a tag whose name ends at `at`, and counts what look like attributes.
static void scan_attributes(tm_view html, size_t at, tag *t)
{
    char before = 0; // the last character that is no space
    for (; at < html.size; at++) {
        char c = html.data[at];
        if (c == '>') break;
        if ((c == '"' || c == '\'') && before == '=') {
            const char *quote = memchr(html.data + at + 1, c, html.size - at - 1);
            if (!quote) break;
            at = (size_t)(quote - html.data);
            before = c;
            continue;
        }
        if (before == '"' || before == '\'' || is_space(html.data[at - 1]) || html.data[at - 1] == '/')
            t->n_attributes += !is_space(c) && c != '=';
        if (!is_space(c)) before = c;
    }
    t->end = at < html.size ? at + 1 : html.size;
}

static size_t skip_to(tm_view html, size_t at, const char *what)
{
    const char *found = at < html.size ? memmem(html.data + at, html.size - at, what, strlen(what)) : NULL;
    return found ? (size_t)(found - html.data) + strlen(what) : html.size;
}

// The next tag at or after `at`; comments and declarations are passed over.
static bool next_tag(tm_view html, size_t at, tag *t)
{
    while (at < html.size) {
        const char *open = memchr(html.data + at, '<', html.size - at);
        if (!open) return false;
        size_t start = (size_t)(open - html.data);
        size_t name = start + 1;
        bool closing = name < html.size && html.data[name] == '/';
        name += closing;
        if (name >= html.size) return false;
        if (!isalpha((unsigned char)html.data[name])) {
            if (html.size - name >= 3 && !closing && !memcmp(html.data + name, "!--", 3))
                at = skip_to(html, name + 1, "-->");
            else if (closing || html.data[name] == '!' || html.data[name] == '?')
                at = skip_to(html, name, ">");
            else
                at = name;
            continue;
        }
        *t = (tag){.start = start, .name = name, .closing = closing, .hash = 2166136261u};
        size_t end = name;
        for (; end < html.size && !is_space(html.data[end]) && html.data[end] != '/' && html.data[end] != '>';
             end++)
            t->hash = (t->hash ^ (unsigned)tolower((unsigned char)html.data[end])) * 16777619u;
        t->name_size = end - name;
        t->class = class_of(html.data + name, t->name_size);
        scan_attributes(html, end, t);
        return true;
    }
    return false;
}

// The start of the end tag of a raw text element, or the end of the input.
static size_t raw_end(tm_view html, const tag *t)
{
    size_t at = t->end;
    while (at < html.size) {
        const char *open = memmem(html.data + at, html.size - at, "</", 2);
        if (!open) break;
        at = (size_t)(open - html.data);
        if (html.size - at > t->name_size + 2 && !strncasecmp(open + 2, html.data + t->name, t->name_size) &&
            !isalnum((unsigned char)open[2 + t->name_size]))
            return at;
        at += 2;
    }
    return html.size;
}

// Where an end tag's element is on the stack, or `depth` when the parser would ignore it.
static size_t find_open(const open_tag *stack, size_t depth, const tag *t)
{
    for (size_t i = depth; i-- > 0;) {
        if (stack[i].hash == t->hash) return i;
        if (stack[i].class == CLASS_SCOPE && t->class != CLASS_SCOPE) break;
        if (stack[i].class == CLASS_SPECIAL && t->class == CLASS_INLINE) break;
    }
    return depth;
}

static size_t close_tag(open_tag *stack, size_t depth, const tag *t)
{
    size_t at = find_open(stack, depth, t);
    if (at == depth) return depth;
    if (t->class == CLASS_SPECIAL || t->class == CLASS_SCOPE) return at;
    memmove(stack + at, stack + at + 1, (depth - at - 1) * sizeof *stack);
    return depth - 1;
}

// What to do with a tag: its bytes stay, go, or only its name stays.
typedef enum { TAG_STAYS, TAG_GOES, TAG_BARE } verdict;

static verdict judge(open_tag *stack, size_t *depth, unsigned max_depth, const tag *t)
{
    if (t->closing) {
        *depth = close_tag(stack, *depth, t);
        return TAG_STAYS;
    }
    bool nests = t->class != CLASS_IMPLIED && t->class != CLASS_VOID && t->class != CLASS_RAW;
    if (nests && *depth >= max_depth) return TAG_GOES;
    if (nests) stack[(*depth)++] = (open_tag){t->hash, t->class};
    return t->n_attributes > MAX_ATTRIBUTES ? TAG_BARE : TAG_STAYS;
}

tm_status tm_html_guard(tm_view html, unsigned max_depth, tm_buf *copy, tm_view *safe, tm_error *err)
{
    open_tag stack[STACK];
    size_t depth = 0, copied = 0, at = 0;
    tag t;
    if (max_depth > STACK) max_depth = STACK;
    while (next_tag(html, at, &t)) {
        at = t.class == CLASS_RAW && !t.closing ? raw_end(html, &t) : t.end;
        verdict v = judge(stack, &depth, max_depth, &t);
        if (v == TAG_STAYS) continue;
        tm_buf_add(copy, html.data + copied, t.start - copied);
        if (v == TAG_BARE) {
            tm_buf_char(copy, '<');
            tm_buf_add(copy, html.data + t.name, t.name_size);
            tm_buf_char(copy, '>');
        }
        copied = t.end;
    }
    *safe = html;
    if (!copied) return TM_OK;
    tm_buf_add(copy, html.data + copied, html.size - copied);
    *safe = tm_buf_view(copy);
    return tm_buf_status(copy, err);
}

// ---- stripping ----

// Writes the character reference at `at` and returns the offset after it; `at` itself when it is none.
static size_t put_reference(tm_view html, size_t at, size_t end, tm_buf *text)
{
    size_t limit = end - at > 34 ? at + 34 : end;
    const char *semicolon = memchr(html.data + at, ';', limit - at);
    if (!semicolon || semicolon - (html.data + at) < 2) return at;
    const char *name = html.data + at + 1;
    size_t size = (size_t)(semicolon - name);
    uint32_t points[2] = {0};
    unsigned n = tm_entity_find(name, size, points);
    if (!n && name[0] == '#') n = tm_entity_number(name + 1, size - 1, points) && points[0];
    if (!n) return at;
    for (unsigned i = 0; i < n; i++) tm_buf_point(text, points[i]);
    return at + size + 2;
}

static void put_text(tm_view html, size_t at, size_t end, tm_buf *text)
{
    while (at < end) {
        const char *and = memchr(html.data + at, '&', end - at);
        size_t stop = and? (size_t)(and-html.data) : end;
        tm_buf_add(text, html.data + at, stop - at);
        at = stop;
        if (at == end) return;
        size_t after = put_reference(html, at, end, text);
        if (after == at) tm_buf_char(text, html.data[after++]);
        at = after;
    }
}

void tm_html_strip(tm_view html, tm_buf *text)
{
    size_t at = 0;
    tag t;
    while (next_tag(html, at, &t)) {
        put_text(html, at, t.start, text);
        bool breaks = t.class != CLASS_INLINE && t.class != CLASS_FORMAT;
        if (breaks && text->size && text->data[text->size - 1] != '\n') tm_buf_char(text, '\n');
        at = t.class == CLASS_RAW && !t.closing ? raw_end(html, &t) : t.end;
    }
    put_text(html, at, html.size, text);
}
