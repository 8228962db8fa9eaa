// SPDX-License-Identifier: Apache-2.0
// Which blocks are text. First by what a block (or its whole list or table) holds, then by its neighbours,
// then headings by what follows them (Pomikalek 2011, Removing Boilerplate and Duplicate Content, chapter 3).
// Unlike jusText it uses no stop words, so that it works alike in every language.
#include "stages/text/html_parts.h"

#define REGION_CHARS 250     // a <main> with less is not believed
#define GOOD_WORDS 10        // a paragraph of so many words is text
#define LINKED 0.5           // a block with a larger share of its characters in links is navigation
#define LINKED_ITEM_CHARS 80 // unless its items are this long
#define LINKED_SENTENCE 0.85 // a sentence may hold that share

typedef enum { CLASS_SHORT, CLASS_GOOD, CLASS_BAD, CLASS_HEADING } block_class;

typedef struct group {
    uint64_t n_chars, n_link_chars, n_words;
    uint32_t n_blocks;
} group;

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static tm_view text_of(const tm_blocks *blocks, const tm_block *block)
{
    return tm_view_of(blocks->text.data + block->start, block->size);
}

static bool ends_sentence(tm_view text)
{
    while (text.size && strchr("\"')]*", text.data[text.size - 1])) text.size--;
    if (!text.size) return false;
    if (strchr(".?!:;", text.data[text.size - 1])) return true;
    static const char *const ends[] = {"\xe2\x80\xa6", "\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f",
                                       "\xe0\xa5\xa4"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (text.size >= 3 && !memcmp(text.data + text.size - 3, ends[i], 3)) return true;
    return false;
}

// Short lines that stand at the edges of pages in English.
static bool is_edge_phrase(tm_view text)
{
    static const char *const phrases[] = {"\xc2\xa9",
                                          "copyright ",
                                          "all rights reserved",
                                          "powered by ",
                                          "privacy policy",
                                          "terms of ",
                                          "cookie",
                                          "skip to ",
                                          "share this",
                                          "back to top",
                                          "log in",
                                          "sign in",
                                          "sign up",
                                          "subscribe",
                                          "follow us",
                                          "read more",
                                          "submit correction",
                                          "table of contents",
                                          "advertisement"};
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        size_t n = strlen(phrases[i]);
        if (text.size >= n && !strncasecmp(text.data, phrases[i], n)) return true;
    }
    return false;
}

static block_class classify_alone(const tm_blocks *blocks, const tm_block *block)
{
    tm_view text = text_of(blocks, block);
    double linked = share(block->n_link_chars, block->n_chars);
    bool sentence = ends_sentence(text) && block->n_words >= 3;
    if (block->kind == TM_BLOCK_PRE) return CLASS_GOOD;
    if (linked > (sentence ? LINKED_SENTENCE : LINKED)) return CLASS_BAD;
    if (block->n_words < GOOD_WORDS && is_edge_phrase(text)) return CLASS_BAD;
    if (block->n_words >= GOOD_WORDS || (sentence && block->n_words >= 5)) return CLASS_GOOD;
    return CLASS_SHORT;
}

// Items and rows share the fate of their list or table.
static block_class classify_group(const group *g)
{
    double linked = share(g->n_link_chars, g->n_chars);
    if (linked > LINKED && g->n_chars < (uint64_t)g->n_blocks * LINKED_ITEM_CHARS) return CLASS_BAD;
    return g->n_words >= 2 * (uint64_t)g->n_blocks ? CLASS_GOOD : CLASS_SHORT;
}

static group *sum_groups(const tm_blocks *blocks)
{
    group *groups = tm_calloc(blocks->n_groups + 1, sizeof *groups);
    for (size_t i = 0; groups && i < blocks->count; i++) {
        const tm_block *b = &blocks->items[i];
        group *g = &groups[b->group];
        g->n_chars += b->n_chars;
        g->n_link_chars += b->n_link_chars;
        g->n_words += b->n_words;
        g->n_blocks++;
    }
    return groups;
}

// Characters of blocks inside <main>, <article>, and not in links.
typedef struct regions {
    uint64_t in_main, in_article;
} regions;

static regions sum_regions(const tm_blocks *blocks)
{
    regions r = {0};
    for (size_t i = 0; i < blocks->count; i++) {
        const tm_block *b = &blocks->items[i];
        uint64_t n = b->n_chars - b->n_link_chars;
        if (b->in_main) r.in_main += n;
        if (b->in_article) r.in_article += n;
    }
    return r;
}

static block_class classify(const tm_blocks *blocks, const tm_block *block, const group *groups, regions r)
{
    bool outside =
        r.in_main >= REGION_CHARS ? !block->in_main : r.in_article >= REGION_CHARS && !block->in_article;
    if (outside && !(block->kind == TM_BLOCK_HEADING && block->level == 1)) return CLASS_BAD;
    if (block->kind == TM_BLOCK_HEADING) return CLASS_HEADING;
    if (block->in_header && !block->in_main && !block->in_article) return CLASS_BAD;
    if (block->group && block->kind != TM_BLOCK_PRE) return classify_group(&groups[block->group]);
    return classify_alone(blocks, block);
}

// A short block goes when there is nothing good on either side of it; the edges of the page are bad.
static void resolve_short(block_class *classes, size_t n)
{
    block_class before = CLASS_BAD;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        block_class after = CLASS_BAD;
        while (end < n && (classes[end] == CLASS_SHORT || classes[end] == CLASS_HEADING)) end++;
        if (end < n) after = classes[end];
        bool good = before == CLASS_GOOD || after == CLASS_GOOD;
        for (; i < end; i++)
            if (classes[i] == CLASS_SHORT) classes[i] = good ? CLASS_GOOD : CLASS_BAD;
        if (end < n) before = after;
        i = end + 1;
    }
}

// A heading stays when text follows before a heading of the same or a higher rank.
static void mark_headings(tm_blocks *blocks, const block_class *classes)
{
    size_t follows[8]; // per level: the nearest kept block below, counted from the end
    for (size_t level = 0; level < 8; level++) follows[level] = 0;
    for (size_t i = blocks->count; i-- > 0;) {
        tm_block *b = &blocks->items[i];
        if (classes[i] != CLASS_HEADING) {
            for (size_t level = 0; b->keep && level < 8; level++) follows[level] = 1;
            continue;
        }
        b->keep = follows[b->level];
        for (size_t level = b->level; level < 8; level++) follows[level] = 0;
    }
}

tm_status tm_blocks_mark(tm_blocks *blocks, tm_error *err)
{
    group *groups = sum_groups(blocks);
    block_class *classes = tm_calloc(blocks->count + 1, sizeof *classes);
    if (!groups || !classes) {
        tm_free(groups);
        tm_free(classes);
        return tm_fail(err, TM_ENOMEM, "html: out of memory for %zu blocks", blocks->count);
    }
    regions r = sum_regions(blocks);
    bool any = false;
    for (size_t i = 0; i < blocks->count; i++) {
        classes[i] = classify(blocks, &blocks->items[i], groups, r);
        any |= classes[i] == CLASS_GOOD;
    }
    if (any) resolve_short(classes, blocks->count);
    for (size_t i = 0; i < blocks->count; i++)
        blocks->items[i].keep = classes[i] == CLASS_GOOD || (!any && classes[i] == CLASS_SHORT);
    mark_headings(blocks, classes);
    tm_free(groups);
    tm_free(classes);
    return TM_OK;
}
