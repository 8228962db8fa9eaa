// SPDX-License-Identifier: Apache-2.0
// Parses within a memory limit, and writes the kept blocks.
//
// The parser allocates from a pool that is thrown away as a whole: freeing the tree node by node would
// recurse as deep as the page is nested. A pool that is full leaves the parser with longjmp.
#include "stages/text/html.h"

#include <setjmp.h>

#include "stages/text/html_parts.h"

#define MAX_BYTES (32u << 20)
#define MAX_MEMORY (1u << 30)
#define MAX_DEPTH 512
#define POOL_BLOCK (256u << 10)

typedef struct pool_block {
    struct pool_block *next;
    max_align_t bytes[];
} pool_block;

typedef struct pool {
    pool_block *blocks;
    char *at;
    size_t left, used, limit;
    bool refused; // the system had no memory; else the limit was met
    jmp_buf full;
} pool;

static void *pool_take(void *self, size_t size)
{
    pool *p = self;
    size = (size + 15) & ~(size_t)15;
    if (size > p->left) {
        size_t room = size > POOL_BLOCK ? size : POOL_BLOCK;
        if (size > p->limit || p->used > p->limit - room) longjmp(p->full, 1);
        pool_block *block = tm_alloc(sizeof *block + room);
        p->refused = !block;
        if (!block) longjmp(p->full, 1);
        block->next = p->blocks;
        p->blocks = block;
        p->used += room;
        p->at = (char *)block->bytes;
        p->left = room;
    }
    void *taken = p->at;
    p->at += size;
    p->left -= size;
    return taken;
}

static void pool_ignore(void *self, void *memory)
{
    (void)self;
    (void)memory;
}

static void pool_clear(pool *p)
{
    while (p->blocks) {
        pool_block *next = p->blocks->next;
        tm_free(p->blocks);
        p->blocks = next;
    }
}

// ---- writing ----

// How two blocks that follow one another are parted.
static const char *separator(const tm_block *before, const tm_block *block)
{
    bool lines = before->kind == TM_BLOCK_TERM && block->kind != TM_BLOCK_HEADING;
    bool listed = block->kind == TM_BLOCK_ITEM && before->kind == TM_BLOCK_ITEM;
    bool rows = block->kind == TM_BLOCK_ROW && before->kind == TM_BLOCK_ROW && before->group == block->group;
    return lines || listed || rows ? "\n" : "\n\n";
}

static void write_item(const tm_block *block, tm_buf *text)
{
    for (unsigned i = 1; i < block->level; i++) tm_buf_str(text, "  ");
    if (block->number)
        tm_buf_fmt(text, "%u. ", block->number);
    else
        tm_buf_str(text, "- ");
}

// Preformatted text without the empty lines before it.
static tm_view without_empty_lines(tm_view text)
{
    for (size_t i = 0; i < text.size && (text.data[i] == ' ' || text.data[i] == '\t' || text.data[i] == '\n');
         i++)
        if (text.data[i] == '\n') {
            text = tm_view_of(text.data + i + 1, text.size - i - 1);
            i = (size_t)-1;
        }
    return text;
}

static void write_blocks(const tm_blocks *blocks, bool all, tm_buf *text)
{
    const tm_block *before = NULL;
    for (size_t i = 0; i < blocks->count; i++) {
        const tm_block *b = &blocks->items[i];
        if (!b->keep && !all) continue;
        if (before) tm_buf_str(text, separator(before, b));
        if (b->kind == TM_BLOCK_ITEM) write_item(b, text);
        tm_view bytes = tm_view_of(blocks->text.data + b->start, b->size);
        if (b->kind == TM_BLOCK_PRE) bytes = without_empty_lines(bytes);
        tm_buf_add(text, bytes.data, bytes.size);
        before = b;
    }
}

// ---- extraction ----

static tm_status walk_and_write(const GumboNode *root, bool all, tm_html_page *page, tm_error *err)
{
    tm_blocks blocks = {0};
    tm_status status = tm_html_walk(root, all, &blocks, &page->title, err);
    if (status >= 0) status = tm_blocks_mark(&blocks, err);
    if (status >= 0) write_blocks(&blocks, all, &page->text);
    tm_blocks_clear(&blocks);
    return status < 0 ? status : tm_buf_status(&page->text, err);
}

// TM_DONE when the tree does not fit the limit.
static tm_status parse(tm_view html, pool *p, GumboOutput **tree, tm_error *err)
{
    GumboOptions options = kGumboDefaultOptions;
    options.allocator = pool_take;
    options.deallocator = pool_ignore;
    options.userdata = p;
    options.max_errors = 0;
    if (setjmp(p->full))
        return p->refused
                   ? tm_fail(err, TM_ENOMEM, "html: out of memory for the tree of %zu bytes", html.size)
                   : TM_DONE;
    *tree = gumbo_parse_with_options(&options, html.data, html.size);
    return TM_OK;
}

static tm_status extract_utf8(tm_view html, const tm_html_options *options, tm_html_page *page, tm_error *err)
{
    pool p = {.limit = options->max_memory_bytes ? options->max_memory_bytes : MAX_MEMORY};
    GumboOutput *tree = NULL;
    tm_buf copy = {0};
    tm_view safe;
    unsigned depth = options->max_depth ? options->max_depth : MAX_DEPTH;
    tm_status status = tm_html_guard(html, depth, &copy, &safe, err);
    if (status >= 0) status = parse(safe, &p, &tree, err);
    page->stripped = status == TM_DONE;
    if (status == TM_OK) status = walk_and_write(tree->root, options->keep_boilerplate, page, err);
    if (status == TM_DONE) tm_html_strip(safe, &page->text);
    pool_clear(&p);
    tm_buf_clear(&copy);
    return status < 0 ? status : tm_buf_status(&page->text, err);
}

tm_status tm_html_extract(tm_view html, const tm_html_options *options, tm_html_page *page, tm_error *err)
{
    static const tm_html_options defaults = {0};
    if (!options) options = &defaults;
    size_t limit = options->max_bytes ? options->max_bytes : MAX_BYTES;
    if (!html.size) html = tm_view_str("");
    tm_buf_reset(&page->text);
    tm_buf_reset(&page->title);
    page->stripped = false;
    if (html.size > limit)
        return tm_fail(err, TM_EFORMAT, "html: page of %zu bytes, at most %zu are read", html.size, limit);
    tm_buf utf8 = {0};
    tm_status status = tm_html_decode(html, options->charset, &utf8, page, err);
    if (status >= 0) status = extract_utf8(tm_buf_view(&utf8), options, page, err);
    tm_buf_clear(&utf8);
    return status;
}

void tm_html_page_clear(tm_html_page *page)
{
    tm_buf_clear(&page->text);
    tm_buf_clear(&page->title);
}
