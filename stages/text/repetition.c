// SPDX-License-Identifier: Apache-2.0
// Repeated lines, paragraphs and n-grams.
//
// Words get numbers; an n-gram that occurs twice gets a number too, its class. The class of an (n+1)-gram
// follows from the classes of the two n-grams it is made of, so keys are exact pairs, and since an n-gram
// that occurs once makes every longer one unique, each level looks at fewer places than the one before.
#include "stages/text/repetition.h"

#include "engine/base/hash.h"
#include "engine/base/random.h"

#define UNIQUE 0u // class of an n-gram that occurs once

typedef struct slot {
    uint64_t key;
    uint32_t count, first; // first: where it occurs first
} slot;

struct tm_repetition_scratch {
    slot *slots;
    size_t n_slots;    // allocated; a power of two
    uint32_t *classes; // per word position: class of the n-gram that begins there
    uint32_t *found;   // per word position: its slot in the pass under way
    uint64_t *chars;   // prefix sums of word lengths
    size_t n_words;    // allocated
    tm_buf gram;       // an n-gram written out
};

tm_repetition_scratch *tm_repetition_scratch_new(void)
{
    return tm_calloc(1, sizeof(tm_repetition_scratch));
}

void tm_repetition_scratch_free(tm_repetition_scratch *s)
{
    if (!s) return;
    tm_free(s->slots);
    tm_free(s->classes);
    tm_free(s->found);
    tm_free(s->chars);
    tm_buf_clear(&s->gram);
    tm_free(s);
}

// ---- the table ----

// An empty table with room for n keys; returns its mask, 0 without memory.
static size_t table_begin(tm_repetition_scratch *s, size_t n)
{
    size_t size = 64;
    while (size < 2 * n) size *= 2;
    if (size > s->n_slots) {
        tm_free(s->slots);
        s->slots = tm_alloc(size * sizeof *s->slots);
        s->n_slots = s->slots ? size : 0;
        if (!s->slots) return 0;
    }
    memset(s->slots, 0, size * sizeof *s->slots);
    return size - 1;
}

// Counts a key and returns its slot.
static uint32_t table_add(tm_repetition_scratch *s, size_t mask, uint64_t key, uint64_t hash, uint32_t at)
{
    size_t i = hash & mask;
    while (s->slots[i].count && s->slots[i].key != key) i = (i + 1) & mask;
    if (!s->slots[i].count) s->slots[i] = (slot){.key = key, .first = at};
    s->slots[i].count++;
    return (uint32_t)i;
}

static uint64_t pair_hash(uint64_t key)
{
    key *= 0x9e3779b97f4a7c15u;
    return key ^ (key >> 32);
}

// ---- lines and paragraphs ----

static bool measure_pieces(tm_repetition_scratch *s, tm_view text, const tm_spans *pieces, double *share,
                           double *char_share)
{
    size_t mask = table_begin(s, pieces->count);
    uint64_t n_unique = 0, chars = 0, unique_chars = 0;
    if (!mask) return false;
    for (size_t i = 0; i < pieces->count; i++) {
        const tm_span *p = &pieces->items[i];
        uint64_t hash = tm_hash64(text.data + p->start, p->size, 0);
        bool fresh = s->slots[table_add(s, mask, hash, hash, (uint32_t)i)].count == 1;
        n_unique += fresh;
        chars += p->n_chars;
        if (fresh) unique_chars += p->n_chars;
    }
    *share = pieces->count ? (double)n_unique / (double)pieces->count : 0;
    *char_share = chars ? (double)unique_chars / (double)chars : 0;
    return true;
}

// ---- n-grams ----

static bool reserve_words(tm_repetition_scratch *s, size_t n)
{
    if (n + 1 <= s->n_words) return true;
    size_t size = 256;
    while (size < n + 1) size *= 2;
    uint32_t *classes = tm_realloc(s->classes, size * sizeof *classes);
    if (classes) s->classes = classes;
    uint32_t *found = tm_realloc(s->found, size * sizeof *found);
    if (found) s->found = found;
    uint64_t *chars = tm_realloc(s->chars, size * sizeof *chars);
    if (chars) s->chars = chars;
    if (!classes || !found || !chars) return false;
    s->n_words = size;
    return true;
}

// Level 1: the classes are the words, unique ones too.
static bool number_words(tm_repetition_scratch *s, const tm_textstat *stat)
{
    size_t n = stat->words.count;
    size_t mask = table_begin(s, n);
    if (!mask) return false;
    s->chars[0] = 0;
    for (size_t i = 0; i < n; i++) {
        const tm_span *w = &stat->words.items[i];
        uint64_t hash = tm_hash64(stat->text.data + w->start, w->size, 0);
        s->classes[i] = 1 + table_add(s, mask, hash, hash, (uint32_t)i);
        s->chars[i + 1] = s->chars[i] + w->n_chars;
    }
    return true;
}

typedef struct level {
    uint32_t top_count, top_first; // the most frequent n-gram and where it occurs first
    uint64_t duplicate_chars;      // of n-grams seen before, with the spaces in them
} level;

// Characters of the duplicate n-gram at `at` that the one at `last` has not covered.
static uint64_t fresh_chars(const tm_repetition_scratch *s, unsigned n, size_t at, size_t last, bool any)
{
    size_t covered = any && at - last < n ? n - (at - last) : 0;
    uint64_t spaces = covered ? n - covered : n - 1;
    return s->chars[at + n] - s->chars[at + covered] + spaces;
}

// From the classes of (n-1)-grams to those of n-grams.
static bool raise_level(tm_repetition_scratch *s, size_t n_words, unsigned n, level *out)
{
    size_t n_grams = n_words + 1 - n, n_open = 0;
    for (size_t i = 0; i < n_grams; i++) n_open += s->classes[i] && s->classes[i + 1];
    size_t mask = table_begin(s, n_open);
    if (!mask) return false;
    *out = (level){.top_count = 1};
    size_t last = 0;
    bool any = false;
    for (size_t i = 0; i < n_grams; i++) {
        if (!s->classes[i] || !s->classes[i + 1]) continue;
        uint64_t key = (uint64_t)s->classes[i] << 32 | s->classes[i + 1];
        s->found[i] = table_add(s, mask, key, pair_hash(key), (uint32_t)i);
        const slot *found = &s->slots[s->found[i]];
        if (found->count == 1) continue;
        if (found->count > out->top_count ||
            (found->count == out->top_count && found->first < out->top_first)) {
            out->top_count = found->count;
            out->top_first = found->first;
        }
        out->duplicate_chars += fresh_chars(s, n, i, last, any);
        last = i;
        any = true;
    }
    for (size_t i = 0; i < n_grams; i++) {
        bool open = s->classes[i] && s->classes[i + 1];
        s->classes[i] = open && s->slots[s->found[i]].count > 1 ? 1 + s->found[i] : UNIQUE;
    }
    return true;
}

// Characters that go when the n-gram at word `first` is deleted wherever it stands in the text.
static uint64_t deleted_chars(tm_repetition_scratch *s, const tm_textstat *stat, unsigned n, uint32_t first)
{
    const tm_span *words = stat->words.items + first;
    uint64_t times = 0, n_chars = s->chars[first + n] - s->chars[first] + n - 1;
    tm_buf_reset(&s->gram);
    for (unsigned i = 0; i < n; i++) {
        if (i) tm_buf_char(&s->gram, ' ');
        tm_buf_add(&s->gram, stat->text.data + words[i].start, words[i].size);
    }
    const char *at = stat->text.data, *end = at + stat->text.size;
    while (!s->gram.failed && (at = memmem(at, (size_t)(end - at), s->gram.data, s->gram.size))) {
        times++;
        at += s->gram.size;
    }
    return times * n_chars;
}

static bool measure_grams(tm_repetition_scratch *s, const tm_textstat *stat, tm_repetition *out)
{
    size_t n_words = stat->words.count;
    if (!reserve_words(s, n_words) || !number_words(s, stat)) return false;
    for (unsigned n = 2; n <= TM_REPETITION_DUPLICATE && n <= n_words; n++) {
        level found;
        if (!raise_level(s, n_words, n, &found)) return false;
        double share = (double)found.duplicate_chars / (double)stat->n_chars;
        if (n > TM_REPETITION_TOP)
            out->duplicate[n] = share;
        else
            out->top[n] = (double)deleted_chars(s, stat, n, found.top_first) / (double)stat->n_chars;
    }
    return !s->gram.failed;
}

tm_status tm_repetition_measure(const tm_textstat *stat, tm_repetition_scratch *scratch, tm_repetition *out,
                                tm_error *err)
{
    *out = (tm_repetition){0};
    for (unsigned n = 0; n <= TM_REPETITION_TOP; n++) out->top[n] = 1;
    for (unsigned n = 0; n <= TM_REPETITION_DUPLICATE; n++) out->duplicate[n] = 1;
    bool ok =
        measure_pieces(scratch, stat->text, &stat->lines, &out->unique_lines, &out->unique_line_chars) &&
        measure_pieces(scratch, stat->text, &stat->paragraphs, &out->unique_paragraphs,
                       &out->unique_paragraph_chars) &&
        measure_grams(scratch, stat, out);
    return ok ? TM_OK : tm_fail(err, TM_ENOMEM, "out of memory for %zu words", stat->words.count);
}
