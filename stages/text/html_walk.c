// SPDX-License-Identifier: Apache-2.0
// Cuts the tree into blocks of visible text. The walk keeps its own stack, so depth costs no C stack.
#include "stages/text/html_parts.h"
#include "engine/base/utf8.h"

#define MAX_LISTS 32

typedef struct frame {
    const GumboNode *node;
    unsigned next_child;
    bool flat_row; // this <tr> is written on one line
} frame;

typedef struct list {
    uint32_t group, number; // number: the last one of an ordered list
    bool ordered;
} list;

typedef struct walker {
    tm_blocks *out;
    frame *stack;
    size_t depth, capacity;
    bool keep_boilerplate;
    unsigned in_main, in_article, in_header, in_link, in_pre, in_row, in_heading;
    list lists[MAX_LISTS];
    unsigned n_lists;        // may exceed MAX_LISTS; deeper lists share the last
    uint32_t table_group;    // of the innermost table
    unsigned n_cells;        // in the row being written
    tm_block now;            // the block being written
    tm_block_kind next_kind; // of the next block: ITEM after <li>, TERM after <dt>
    bool space;              // white space is owed before the next character
    bool in_word;
    bool failed;
} walker;

// ---- the block being written ----

static void block_begin(walker *w, tm_block_kind kind)
{
    const list *in = w->n_lists ? &w->lists[(w->n_lists < MAX_LISTS ? w->n_lists : MAX_LISTS) - 1] : NULL;
    w->now = (tm_block){.kind = kind,
                        .start = w->out->text.size,
                        .in_main = w->in_main,
                        .in_article = w->in_article,
                        .in_header = w->in_header,
                        .level = (uint8_t)(w->n_lists < 9 ? w->n_lists : 9)};
    w->now.group = in ? in->group : kind == TM_BLOCK_ROW ? w->table_group : 0;
    if (kind == TM_BLOCK_ITEM && in && in->ordered) w->now.number = in->number;
    if (kind == TM_BLOCK_HEADING) w->now.level = (uint8_t)w->in_heading;
    w->space = w->in_word = false;
}

static void trim(tm_buf *text, size_t start)
{
    while (text->size > start && (text->data[text->size - 1] == ' ' || text->data[text->size - 1] == '\n'))
        text->size--;
}

static void block_add(walker *w)
{
    tm_blocks *out = w->out;
    if (out->count == out->capacity) {
        size_t capacity = out->capacity ? out->capacity * 2 : 64;
        tm_block *items = tm_realloc(out->items, capacity * sizeof *items);
        if (!items) {
            w->failed = true;
            return;
        }
        out->items = items;
        out->capacity = capacity;
    }
    out->items[out->count++] = w->now;
}

// Ends the block being written, if it holds anything, and begins the next.
static void block_break(walker *w)
{
    tm_buf *text = &w->out->text;
    trim(text, w->now.start);
    w->now.size = text->size - w->now.start;
    tm_block_kind kind = w->next_kind;
    if (w->now.n_chars) {
        block_add(w);
        w->next_kind = TM_BLOCK_PARAGRAPH;
        kind = TM_BLOCK_PARAGRAPH;
    } else {
        text->size = w->now.start;
    }
    if (w->in_pre)
        kind = TM_BLOCK_PRE;
    else if (w->in_heading)
        kind = TM_BLOCK_HEADING;
    block_begin(w, kind);
}

static void block_begin_as(walker *w, tm_block_kind kind)
{
    block_break(w);
    w->next_kind = kind;
    block_begin(w, kind);
}

// ---- characters ----

static bool is_white(uint32_t point)
{
    return point == ' ' || (point >= 9 && point <= 13) || point == 0xa0 || point == 0x3000 ||
           point == 0x2028 || point == 0x2029 || (point >= 0x2000 && point <= 0x200a) || point == 0x202f ||
           point == 0x205f;
}

// Characters that show nothing: soft hyphen, zero-width space, byte order mark.
static bool is_invisible(uint32_t point)
{
    return point == 0xad || point == 0x200b || point == 0xfeff || (point < 0x20 && !is_white(point)) ||
           point == 0x7f;
}

static void put_visible(walker *w, const char *bytes, unsigned n)
{
    if (w->space && w->now.n_chars) tm_buf_char(&w->out->text, ' ');
    w->space = false;
    tm_buf_add(&w->out->text, bytes, n);
    w->now.n_chars++;
    w->now.n_link_chars += w->in_link > 0;
    w->now.n_words += !w->in_word;
    w->in_word = true;
}

static void put_white(walker *w, const char *bytes, unsigned n)
{
    w->in_word = false;
    if (w->in_pre && (*bytes == '\n' || *bytes == '\t' || *bytes == ' '))
        tm_buf_add(&w->out->text, bytes, n);
    else if (w->in_pre)
        tm_buf_char(&w->out->text, ' ');
    else
        w->space = true;
}

static void put_text(walker *w, const char *text)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + strlen(text);
    while (p < end) {
        uint32_t point = 0xfffd;
        unsigned n = tm_utf8_decode(p, end, &point);
        if (!n) n = 1; // the parser passes on what the decoder made valid
        if (is_white(point))
            put_white(w, (const char *)p, n);
        else if (!is_invisible(point))
            put_visible(w, (const char *)p, n);
        p += n;
    }
}

static void put_line_end(walker *w)
{
    tm_buf *text = &w->out->text;
    w->space = w->in_word = false;
    if (w->in_row || w->in_heading)
        w->space = true;
    else if (w->in_pre)
        tm_buf_char(text, '\n');
    else if (w->now.n_chars && text->data[text->size - 1] == '\n')
        block_break(w); // the second <br>
    else if (w->now.n_chars)
        tm_buf_char(text, '\n');
}

// ---- elements ----

enum { UNSEEN = 1, BLOCK = 2 };

// What is never text, and what begins and ends a block; other elements are part of a line.
// clang-format off
static const uint8_t elements[GUMBO_TAG_LAST + 1] = {
    [GUMBO_TAG_SCRIPT] = UNSEEN, [GUMBO_TAG_STYLE] = UNSEEN, [GUMBO_TAG_NOSCRIPT] = UNSEEN,
    [GUMBO_TAG_TEMPLATE] = UNSEEN, [GUMBO_TAG_HEAD] = UNSEEN, [GUMBO_TAG_IFRAME] = UNSEEN,
    [GUMBO_TAG_OBJECT] = UNSEEN, [GUMBO_TAG_EMBED] = UNSEEN, [GUMBO_TAG_APPLET] = UNSEEN,
    [GUMBO_TAG_CANVAS] = UNSEEN, [GUMBO_TAG_AUDIO] = UNSEEN, [GUMBO_TAG_VIDEO] = UNSEEN,
    [GUMBO_TAG_SVG] = UNSEEN, [GUMBO_TAG_BUTTON] = UNSEEN, [GUMBO_TAG_SELECT] = UNSEEN,
    [GUMBO_TAG_INPUT] = UNSEEN, [GUMBO_TAG_TEXTAREA] = UNSEEN, [GUMBO_TAG_DATALIST] = UNSEEN,
    [GUMBO_TAG_NOFRAMES] = UNSEEN, [GUMBO_TAG_ANNOTATION_XML] = UNSEEN,
    [GUMBO_TAG_ADDRESS] = BLOCK, [GUMBO_TAG_ARTICLE] = BLOCK, [GUMBO_TAG_ASIDE] = BLOCK,
    [GUMBO_TAG_BLOCKQUOTE] = BLOCK, [GUMBO_TAG_BODY] = BLOCK, [GUMBO_TAG_CAPTION] = BLOCK,
    [GUMBO_TAG_CENTER] = BLOCK, [GUMBO_TAG_DD] = BLOCK, [GUMBO_TAG_DETAILS] = BLOCK, [GUMBO_TAG_DIR] = BLOCK,
    [GUMBO_TAG_DIV] = BLOCK, [GUMBO_TAG_DL] = BLOCK, [GUMBO_TAG_DT] = BLOCK, [GUMBO_TAG_FIELDSET] = BLOCK,
    [GUMBO_TAG_FIGCAPTION] = BLOCK, [GUMBO_TAG_FIGURE] = BLOCK, [GUMBO_TAG_FOOTER] = BLOCK,
    [GUMBO_TAG_FORM] = BLOCK, [GUMBO_TAG_H1] = BLOCK, [GUMBO_TAG_H2] = BLOCK, [GUMBO_TAG_H3] = BLOCK,
    [GUMBO_TAG_H4] = BLOCK, [GUMBO_TAG_H5] = BLOCK, [GUMBO_TAG_H6] = BLOCK, [GUMBO_TAG_HEADER] = BLOCK,
    [GUMBO_TAG_HGROUP] = BLOCK, [GUMBO_TAG_HR] = BLOCK, [GUMBO_TAG_HTML] = BLOCK, [GUMBO_TAG_LI] = BLOCK,
    [GUMBO_TAG_MAIN] = BLOCK, [GUMBO_TAG_MENU] = BLOCK, [GUMBO_TAG_NAV] = BLOCK, [GUMBO_TAG_OL] = BLOCK,
    [GUMBO_TAG_P] = BLOCK, [GUMBO_TAG_PRE] = BLOCK, [GUMBO_TAG_SECTION] = BLOCK, [GUMBO_TAG_SUMMARY] = BLOCK,
    [GUMBO_TAG_TABLE] = BLOCK, [GUMBO_TAG_TBODY] = BLOCK, [GUMBO_TAG_TD] = BLOCK, [GUMBO_TAG_TFOOT] = BLOCK,
    [GUMBO_TAG_TH] = BLOCK, [GUMBO_TAG_THEAD] = BLOCK, [GUMBO_TAG_TR] = BLOCK, [GUMBO_TAG_UL] = BLOCK,
    [GUMBO_TAG_LISTING] = BLOCK, [GUMBO_TAG_XMP] = BLOCK,
};
// clang-format on

static bool is_unseen(GumboTag tag)
{
    return elements[tag] == UNSEEN;
}

static bool is_block(GumboTag tag)
{
    return elements[tag] == BLOCK;
}

static bool is_list(GumboTag tag)
{
    return tag == GUMBO_TAG_UL || tag == GUMBO_TAG_OL || tag == GUMBO_TAG_MENU || tag == GUMBO_TAG_DIR;
}

static bool is_cell(const GumboNode *node)
{
    return node->type == GUMBO_NODE_ELEMENT &&
           (node->v.element.tag == GUMBO_TAG_TD || node->v.element.tag == GUMBO_TAG_TH);
}

static unsigned heading_level(GumboTag tag)
{
    return tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6 ? 1 + (unsigned)(tag - GUMBO_TAG_H1) : 0;
}

// Whether a cell holds something that cannot stand on one line; looks a few levels down only.
static bool is_rich(const GumboNode *node, unsigned levels)
{
    if (node->type != GUMBO_NODE_ELEMENT) return false;
    GumboTag tag = node->v.element.tag;
    if (tag == GUMBO_TAG_TABLE || is_list(tag) || tag == GUMBO_TAG_PRE || heading_level(tag) ||
        tag == GUMBO_TAG_BLOCKQUOTE || tag == GUMBO_TAG_HR || tag == GUMBO_TAG_FORM || tag == GUMBO_TAG_DL)
        return true;
    const GumboVector *children = &node->v.element.children;
    for (unsigned i = 0; levels && i < children->length; i++)
        if (is_rich(children->data[i], levels - 1)) return true;
    return false;
}

// A row is written on one line when it has two cells or more and all of them are plain.
static bool is_flat_row(const GumboNode *row)
{
    const GumboVector *cells = &row->v.element.children;
    unsigned n = 0;
    for (unsigned i = 0; i < cells->length; i++) {
        if (!is_cell(cells->data[i])) continue;
        n++;
        if (is_rich(cells->data[i], 4)) return false;
    }
    return n >= 2;
}

// An anchor whose whole text is a mark that points at its heading.
static bool is_heading_mark(const GumboNode *node)
{
    const GumboVector *children = &node->v.element.children;
    if (node->v.element.tag != GUMBO_TAG_A || children->length != 1) return false;
    const GumboNode *child = children->data[0];
    if (child->type != GUMBO_NODE_TEXT) return false;
    const char *text = child->v.text.text;
    return !strcmp(text, "#") || !strcmp(text, "\xc2\xb6") || !strcmp(text, "\xc2\xa7");
}

static void list_begin(walker *w, GumboTag tag)
{
    if (w->n_lists < MAX_LISTS)
        w->lists[w->n_lists] = (list){.group = ++w->out->n_groups, .ordered = tag == GUMBO_TAG_OL};
    w->n_lists++;
}

static void item_begin(walker *w)
{
    if (w->n_lists) w->lists[(w->n_lists < MAX_LISTS ? w->n_lists : MAX_LISTS) - 1].number++;
    block_begin_as(w, TM_BLOCK_ITEM);
}

static void cell_begin(walker *w)
{
    if (w->n_cells++ && w->now.n_chars) tm_buf_str(&w->out->text, " |");
    w->space = w->now.n_chars > 0;
    w->in_word = false;
}

static void count_regions(walker *w, const GumboElement *element, int by)
{
    const GumboAttribute *role = gumbo_get_attribute(&element->attributes, "role");
    GumboTag tag = element->tag;
    w->in_main +=
        (unsigned)(tag == GUMBO_TAG_MAIN || (role && !strcasecmp(role->value, "main"))) * (unsigned)by;
    w->in_article += (unsigned)(tag == GUMBO_TAG_ARTICLE) * (unsigned)by;
    w->in_header += (unsigned)(tag == GUMBO_TAG_HEADER) * (unsigned)by;
    w->in_link +=
        (unsigned)(tag == GUMBO_TAG_A && gumbo_get_attribute(&element->attributes, "href") != NULL) *
        (unsigned)by;
}

static bool is_pre(GumboTag tag)
{
    return tag == GUMBO_TAG_PRE || tag == GUMBO_TAG_LISTING || tag == GUMBO_TAG_XMP;
}

// Blocks inside a row on one line, or inside preformatted text, do not break it.
static void soft_break(walker *w, GumboTag tag)
{
    if (w->in_row)
        w->space = true;
    else if (tag == GUMBO_TAG_P || tag == GUMBO_TAG_DIV)
        put_line_end(w);
}

static void enter_block(walker *w, const GumboNode *node, frame *f)
{
    GumboTag tag = node->v.element.tag;
    if (w->in_row && is_cell(node)) {
        cell_begin(w);
        return;
    }
    if (w->in_row || (w->in_pre && !is_pre(tag))) {
        soft_break(w, tag);
        return;
    }
    block_break(w);
    if (is_list(tag)) list_begin(w, tag);
    if (tag == GUMBO_TAG_LI) item_begin(w);
    if (tag == GUMBO_TAG_DT) block_begin_as(w, TM_BLOCK_TERM);
    if (tag == GUMBO_TAG_DD) block_begin_as(w, TM_BLOCK_PARAGRAPH);
    if (tag == GUMBO_TAG_TABLE) w->table_group = ++w->out->n_groups;
    if (heading_level(tag)) {
        w->in_heading = heading_level(tag);
        block_begin(w, TM_BLOCK_HEADING);
    }
    if (is_pre(tag)) {
        w->in_pre++;
        block_begin(w, TM_BLOCK_PRE);
    }
    if (tag == GUMBO_TAG_TR && is_flat_row(node)) {
        f->flat_row = true;
        w->in_row++;
        w->n_cells = 0;
        block_begin(w, TM_BLOCK_ROW);
    }
}

static void leave_block(walker *w, const frame *f)
{
    GumboTag tag = f->node->v.element.tag;
    if (f->flat_row) {
        block_break(w);
        w->in_row--;
        block_begin(w, TM_BLOCK_PARAGRAPH);
        return;
    }
    if (w->in_row || (w->in_pre && !is_pre(tag))) {
        soft_break(w, tag);
        return;
    }
    block_break(w);
    if (is_list(tag)) w->n_lists--;
    if (heading_level(tag)) w->in_heading = 0;
    if (is_pre(tag)) w->in_pre--;
    bool ends =
        is_list(tag) || heading_level(tag) || is_pre(tag) || tag == GUMBO_TAG_LI || tag == GUMBO_TAG_DT;
    if (!ends) return;
    w->next_kind = TM_BLOCK_PARAGRAPH;
    block_begin(w, w->in_pre ? TM_BLOCK_PRE : TM_BLOCK_PARAGRAPH);
}

// ---- the walk ----

static void push(walker *w, const GumboNode *node)
{
    if (w->depth == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 128;
        frame *stack = tm_realloc(w->stack, capacity * sizeof *stack);
        if (!stack) {
            w->failed = true;
            return;
        }
        w->stack = stack;
        w->capacity = capacity;
    }
    w->stack[w->depth++] = (frame){.node = node};
}

static void enter(walker *w, const GumboNode *node)
{
    const GumboElement *element = &node->v.element;
    if (is_unseen(element->tag)) return;
    if (element->tag == GUMBO_TAG_BR) {
        put_line_end(w);
        return;
    }
    if (!w->keep_boilerplate &&
        (tm_html_is_furniture(element, w->in_main || w->in_article) || is_heading_mark(node)))
        return;
    push(w, node);
    if (w->failed) return;
    count_regions(w, element, 1);
    if (is_block(element->tag)) enter_block(w, node, &w->stack[w->depth - 1]);
}

static void leave(walker *w)
{
    const frame f = w->stack[--w->depth];
    if (is_block(f.node->v.element.tag)) leave_block(w, &f);
    count_regions(w, &f.node->v.element, -1);
}

static void visit(walker *w, const GumboNode *node)
{
    switch (node->type) {
    case GUMBO_NODE_TEXT:
    case GUMBO_NODE_WHITESPACE:
    case GUMBO_NODE_CDATA: put_text(w, node->v.text.text); break;
    case GUMBO_NODE_ELEMENT: enter(w, node); break;
    default: break;
    }
}

static const GumboNode *child_named(const GumboNode *node, GumboTag tag)
{
    const GumboVector *children = &node->v.element.children;
    for (unsigned i = 0; i < children->length; i++) {
        const GumboNode *child = children->data[i];
        if (child->type == GUMBO_NODE_ELEMENT && child->v.element.tag == tag) return child;
    }
    return NULL;
}

// The title is written with the words of a paragraph and taken out of the text again.
static void take_title(walker *w, const GumboNode *root, tm_buf *title)
{
    const GumboNode *head = child_named(root, GUMBO_TAG_HEAD);
    const GumboNode *element = head ? child_named(head, GUMBO_TAG_TITLE) : NULL;
    if (!element) return;
    const GumboVector *children = &element->v.element.children;
    for (unsigned i = 0; i < children->length; i++) {
        const GumboNode *child = children->data[i];
        if (child->type == GUMBO_NODE_TEXT) put_text(w, child->v.text.text);
    }
    tm_buf_add(title, w->out->text.data, w->out->text.size);
    w->out->text.size = 0;
    block_begin(w, TM_BLOCK_PARAGRAPH);
}

tm_status tm_html_walk(const GumboNode *root, bool keep_boilerplate, tm_blocks *blocks, tm_buf *title,
                       tm_error *err)
{
    walker w = {.out = blocks, .keep_boilerplate = keep_boilerplate};
    block_begin(&w, TM_BLOCK_PARAGRAPH);
    take_title(&w, root, title);
    visit(&w, root);
    while (w.depth && !w.failed && !blocks->text.failed) {
        frame *top = &w.stack[w.depth - 1];
        const GumboVector *children = &top->node->v.element.children;
        if (top->next_child < children->length)
            visit(&w, children->data[top->next_child++]);
        else
            leave(&w);
    }
    block_break(&w);
    tm_free(w.stack);
    if (w.failed) return tm_fail(err, TM_ENOMEM, "html: out of memory for %zu blocks", blocks->count);
    TM_TRY(tm_buf_status(title, err));
    return tm_buf_status(&blocks->text, err);
}

void tm_blocks_clear(tm_blocks *blocks)
{
    tm_free(blocks->items);
    tm_buf_clear(&blocks->text);
    *blocks = (tm_blocks){0};
}
