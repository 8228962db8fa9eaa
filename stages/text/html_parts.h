// SPDX-License-Identifier: Apache-2.0
// What the passes of HTML extraction hand to one another:
//
//   bytes -> html_charset -> UTF-8 -> html_guard -> bounded UTF-8 -> gumbo -> html_walk -> blocks
//         -> html_keep (marks) -> html.c (writes)
#pragma once

#include <gumbo.h>

#include "stages/text/html.h"

// ---- html_charset.c ----

// Bytes as UTF-8 in `text`, without a byte order mark: by that mark, else what HTTP or a <meta> declares,
// else UTF-8 when it is valid, else windows-1252. Fills charset and n_replaced of `page`.
tm_status tm_html_decode(tm_view html, const char *declared, tm_buf *text, tm_html_page *page, tm_error *err);

// ---- html_guard.c ----

// Bounds what the parser can be made to do: start tags nested deeper than `max_depth` are taken out and tags
// with very many attributes lose them. `safe` is `html` itself, or lies in `copy` when something had to
// change.
tm_status tm_html_guard(tm_view html, unsigned max_depth, tm_buf *copy, tm_view *safe, tm_error *err);

// The text between the tags, without scripts and styles, in one pass and no tree.
void tm_html_strip(tm_view html, tm_buf *text);

// ---- html_walk.c ----

typedef enum {
    TM_BLOCK_PARAGRAPH,
    TM_BLOCK_HEADING,
    TM_BLOCK_ITEM,
    TM_BLOCK_TERM,
    TM_BLOCK_ROW,
    TM_BLOCK_PRE
} tm_block_kind;

typedef struct tm_block {
    tm_block_kind kind;
    uint8_t level;             // of a heading 1-6, of an item its nesting 1-
    bool in_main, in_article;  // inside such an element
    bool in_header;            // inside a <header> of the page
    bool keep;                 // set by tm_blocks_mark
    uint32_t group;            // the list or table it belongs to, 0: none
    uint32_t number;           // of an item in an ordered list, else 0
    size_t start, size;        // in the text
    uint32_t n_chars, n_words; // characters that are no space; words
    uint32_t n_link_chars;     // characters inside links
} tm_block;

typedef struct tm_blocks {
    tm_block *items;
    size_t count, capacity;
    uint32_t n_groups;
    tm_buf text;
    bool failed; // out of memory
} tm_blocks;

// Cuts a parsed page into blocks of visible text.
tm_status tm_html_walk(const GumboNode *root, bool keep_boilerplate, tm_blocks *blocks, tm_buf *title,
                       tm_error *err);
void tm_blocks_clear(tm_blocks *blocks);

// ---- html_boiler.c ----

// Whether an element is page furniture by its name, role, class or id.
bool tm_html_is_furniture(const GumboElement *element, bool in_main);

// ---- html_keep.c ----

// Marks the blocks that are text.
tm_status tm_blocks_mark(tm_blocks *blocks, tm_error *err);
