// SPDX-License-Identifier: Apache-2.0
// Merging the most frequent pair.
//
// A heap holds candidates (count, pair, the words where it may be). Counts change while a candidate waits;
// the true count is in the table of pairs, and a candidate with an old one goes back into the heap with the
// new. A pair can be in the heap more than once, when one text is made by different merges: each candidate
// then knows the words that its merge touched, as in Hugging Face's trainer, whose result depends on it.
#include "stages/text/bpe_train.h"

#include "stages/text/bpe_count.h"
#include "stages/text/bpe_parts.h"

typedef struct pair_row {
    uint64_t pair;  // left << 32 | right
    int64_t count;
    uint32_t n_new;  // words of this round where the pair arose
    uint32_t last_word;
    size_t at;  // where the next of them goes
} pair_row;

typedef struct candidate {
    int64_t count;
    uint64_t pair;
    size_t at;  // words [at, at + n) of `places`
    uint32_t n, row;
} candidate;

typedef struct words {
    uint32_t *symbols;
    size_t *begin;   // of word i; begin[n] is the end
    uint32_t *size;  // symbols left in word i
    int64_t *counts;
    size_t n;
} words;

typedef struct list {  // of items of one size
    void *items;
    size_t n, capacity;
} list;

typedef struct trainer {
    words words;
    tm_strings texts;  // number = id
    list rows;         // pair_row
    uint32_t *slots;   // row + 1, or 0; by hash of the pair
    size_t n_slots;
    list heap;     // candidate
    list places;   // uint32_t: words of the candidates
    list fresh;    // struct {row, word}: pairs that arose in this round
    list touched;  // uint32_t: their rows
    list merges;   // tm_bpe_merge
} trainer;

typedef struct arising {
    uint32_t row, word;
} arising;

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "out of memory to train a tokenizer");
}

// Room for `more` items behind the last; the first of them, or NULL.
static void *extend(list *l, size_t more, size_t size)
{
    if (l->capacity - l->n < more) {
        size_t capacity = l->capacity + l->capacity / 2 + more + 256;
        void *items = tm_realloc(l->items, capacity * size);
        if (!items) return NULL;
        l->items = items;
        l->capacity = capacity;
    }
    void *first = (char *)l->items + l->n * size;
    l->n += more;
    return first;
}

// --- The table of pairs

static bool grow_slots(trainer *t)
{
    size_t n_slots = t->n_slots ? t->n_slots * 2 : 1 << 12;
    uint32_t *slots = tm_calloc(n_slots, sizeof *slots);
    if (!slots) return false;
    const pair_row *rows = t->rows.items;
    for (size_t row = 0; row < t->rows.n; row++) {
        size_t i = (rows[row].pair * 0x9e3779b97f4a7c15u >> 20) & (n_slots - 1);
        while (slots[i]) i = (i + 1) & (n_slots - 1);
        slots[i] = (uint32_t)row + 1;
    }
    tm_free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    return true;
}

// The row of a pair, made if it is new; NULL without memory.
static pair_row *row_of(trainer *t, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    if (t->rows.n * 2 >= t->n_slots && (t->rows.n >= UINT32_MAX / 2 || !grow_slots(t))) return NULL;
    size_t i = (pair * 0x9e3779b97f4a7c15u >> 20) & (t->n_slots - 1);
    for (; t->slots[i]; i = (i + 1) & (t->n_slots - 1)) {
        pair_row *row = (pair_row *)t->rows.items + t->slots[i] - 1;
        if (row->pair == pair) return row;
    }
    pair_row *row = extend(&t->rows, 1, sizeof *row);
    if (!row) return NULL;
    *row = (pair_row){.pair = pair, .last_word = UINT32_MAX};
    t->slots[i] = (uint32_t)t->rows.n;
    return row;
}

// A pair comes `times` more often (or less); where it arises, the word is noted.
static bool change(trainer *t, uint32_t left, uint32_t right, int64_t times, uint32_t word)
{
    pair_row *row = row_of(t, left, right);
    if (!row) return false;
    row->count += times;
    if (times < 0 || row->last_word == word) return true;
    arising *fresh = extend(&t->fresh, 1, sizeof *fresh);
    uint32_t number = (uint32_t)(row - (pair_row *)t->rows.items);
    if (!fresh) return false;
    *fresh = (arising){number, word};
    row->last_word = word;
    if (row->n_new++ == 0) {
        uint32_t *touched = extend(&t->touched, 1, sizeof *touched);
        if (!touched) return false;
        *touched = number;
    }
    return true;
}

// --- The heap: the highest count first, then the smallest pair, then the oldest candidate

static bool before(const candidate *a, const candidate *b)
{
    if (a->count != b->count) return a->count > b->count;
    return a->pair != b->pair ? a->pair < b->pair : a->at < b->at;
}

static bool heap_push(list *heap, candidate c)
{
    if (!extend(heap, 1, sizeof c)) return false;
    candidate *items = heap->items;
    size_t i = heap->n - 1;
    for (; i > 0 && before(&c, &items[(i - 1) / 2]); i = (i - 1) / 2) items[i] = items[(i - 1) / 2];
    items[i] = c;
    return true;
}

// Put `c` in the place of the top.
static void heap_replace(list *heap, candidate c)
{
    candidate *items = heap->items;
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < heap->n; i = child) {
        if (child + 1 < heap->n && before(&items[child + 1], &items[child])) child++;
        if (!before(&items[child], &c)) break;
        items[i] = items[child];
    }
    items[i] = c;
}

static candidate heap_pop(list *heap)
{
    candidate *items = heap->items, top = items[0], last = items[--heap->n];
    if (heap->n) heap_replace(heap, last);
    return top;
}

// The pairs that arose in this round become candidates, each with its words.
static bool queue_fresh(trainer *t)
{
    if (!t->fresh.n) return true;
    size_t at = t->places.n;
    const uint32_t *touched = t->touched.items;
    const arising *fresh = t->fresh.items;
    pair_row *rows = t->rows.items;
    uint32_t *places = extend(&t->places, t->fresh.n, sizeof *places);
    if (!places) return false;
    places = t->places.items;
    for (size_t i = 0; i < t->touched.n; at += rows[touched[i++]].n_new) rows[touched[i]].at = at;
    for (size_t i = 0; i < t->fresh.n; i++) places[rows[fresh[i].row].at++] = fresh[i].word;
    for (size_t i = 0; i < t->touched.n; i++) {
        pair_row *row = &rows[touched[i]];
        candidate c = {row->count, row->pair, row->at - row->n_new, row->n_new, touched[i]};
        row->n_new = 0;
        row->last_word = UINT32_MAX;
        if (c.count > 0 && !heap_push(&t->heap, c)) return false;
    }
    t->touched.n = t->fresh.n = 0;
    return true;
}

// --- Passes

static bool add_special(trainer *t, const tm_bpe_training *options)
{
    for (size_t i = 0; i < options->n_special; i++)
        if (tm_strings_add(&t->texts, options->special[i]) == UINT32_MAX) return false;
    return true;
}

// The bytes in the order of their characters: printable ones, then those spelled from U+0100 on. Gives the id
// of each byte.
static bool add_bytes(trainer *t, uint32_t ids[256])
{
    for (int round = 0; round < 2; round++)
        for (unsigned byte = 0; byte < 256; byte++) {
            bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
            if (printable != (round == 0)) continue;
            char utf8[2];
            ids[byte] = tm_strings_add(&t->texts, tm_view_of(utf8, tm_bpe_spell_byte(byte, utf8)));
            if (ids[byte] == UINT32_MAX) return false;
        }
    return true;
}

static bool spread_words(trainer *t, const tm_bpe_counter *counter, const uint32_t ids[256])
{
    words *w = &t->words;
    w->n = counter->pieces.n;
    w->symbols = tm_calloc(counter->pieces.chars.size, sizeof *w->symbols);
    w->begin = tm_calloc(w->n, sizeof *w->begin);
    w->size = tm_calloc(w->n, sizeof *w->size);
    w->counts = tm_calloc(w->n, sizeof *w->counts);
    if (!w->symbols || !w->begin || !w->size || !w->counts) return false;
    size_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        tm_view piece = tm_strings_get(&counter->pieces, i);
        w->begin[i] = at;
        w->size[i] = (uint32_t)piece.size;
        w->counts[i] = (int64_t)counter->counts[i];
        for (size_t k = 0; k < piece.size; k++) w->symbols[at++] = ids[(uint8_t)piece.data[k]];
    }
    return true;
}

static bool count_pairs(trainer *t)
{
    for (size_t i = 0; i < t->words.n; i++) {
        const uint32_t *s = t->words.symbols + t->words.begin[i];
        for (size_t k = 0; k + 1 < t->words.size[i]; k++)
            if (!change(t, s[k], s[k + 1], t->words.counts[i], (uint32_t)i)) return false;
    }
    return queue_fresh(t);
}

// Merge a pair in one word, from left to right, and keep count of what arises and what goes.
static bool merge_word(trainer *t, uint32_t word, uint32_t left, uint32_t right, uint32_t made)
{
    uint32_t *s = t->words.symbols + t->words.begin[word];
    size_t n = t->words.size[word], out = 0;
    int64_t times = t->words.counts[word];
    for (size_t i = 0; i < n; i++) {
        if (s[i] != left || i + 1 == n || s[i + 1] != right) {
            s[out++] = s[i];
            continue;
        }
        if (out > 0 &&
            (!change(t, s[out - 1], left, -times, word) || !change(t, s[out - 1], made, times, word)))
            return false;
        s[out++] = made;
        i++;
        if (i + 1 < n &&
            (!change(t, right, s[i + 1], -times, word) || !change(t, made, s[i + 1], times, word)))
            return false;
    }
    t->words.size[word] = (uint32_t)out;
    return true;
}

// The id of the two texts joined: often a new one.
static uint32_t joined(trainer *t, uint32_t left, uint32_t right, tm_buf *text)
{
    tm_buf_reset(text);
    for (int i = 0; i < 2; i++) {
        tm_view part = tm_strings_get(&t->texts, i ? right : left);
        tm_buf_add(text, part.data, part.size);
    }
    return text->failed ? UINT32_MAX : tm_strings_add(&t->texts, tm_buf_view(text));
}

static bool merge_pair(trainer *t, candidate c, tm_buf *text)
{
    uint32_t left = (uint32_t)(c.pair >> 32), right = (uint32_t)c.pair, made = joined(t, left, right, text);
    tm_bpe_merge *merge = extend(&t->merges, 1, sizeof *merge);
    if (made == UINT32_MAX || !merge) return false;
    *merge = (tm_bpe_merge){left, right};
    for (size_t i = c.at; i < c.at + c.n; i++)
        if (!merge_word(t, ((const uint32_t *)t->places.items)[i], left, right, made)) return false;
    return queue_fresh(t);
}

static bool merge_pairs(trainer *t, const tm_bpe_training *options)
{
    tm_buf text = {0};
    bool good = true;
    while (good && t->texts.n < options->size && t->heap.n) {
        candidate top = *(const candidate *)t->heap.items;
        int64_t count = ((const pair_row *)t->rows.items)[top.row].count;
        if (top.count != count) {
            top.count = count;
            heap_replace(&t->heap, top);
            continue;
        }
        if (count < 1 || (uint64_t)count < options->min_frequency) break;
        good = merge_pair(t, heap_pop(&t->heap), &text);
    }
    tm_buf_clear(&text);
    return good;
}

// --- The tokenizer

static tm_status finish(const trainer *t, const tm_bpe_counter *counter, const tm_bpe_training *options,
                        tm_bpe **bpe, tm_error *err)
{
    tm_bpe_entry *vocab = tm_calloc(t->texts.n, sizeof *vocab);
    tm_bpe_added *added = tm_calloc(options->n_special, sizeof *added);
    size_t n_added = 0;
    for (size_t i = 0; vocab && added && i < t->texts.n; i++)
        vocab[i] = (tm_bpe_entry){tm_strings_get(&t->texts, i), (uint32_t)i};
    for (size_t i = 0; vocab && added && i < options->n_special; i++) {
        uint32_t id = tm_strings_find(&t->texts, options->special[i]);
        if (id == n_added)
            added[n_added++] = (tm_bpe_added){.content = vocab[id].text, .id = id, .special = true};
    }
    tm_bpe_spec spec = {
        .pretokenizer = counter->pretokenizer,
        .nfc = counter->nfc,
        .unk = TM_BPE_NONE,
        .vocab = vocab,
        .n_vocab = t->texts.n,
        .merges = t->merges.items,
        .n_merges = t->merges.n,
        .added = added,
        .n_added = n_added,
    };
    tm_status status = vocab && added ? tm_bpe_new(&spec, bpe, err) : no_memory(err);
    tm_free(vocab);
    tm_free(added);
    return status;
}

static void clear(trainer *t)
{
    list *lists[] = {&t->rows, &t->heap, &t->places, &t->fresh, &t->touched, &t->merges};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) tm_free(lists[i]->items);
    tm_free(t->words.symbols);
    tm_free(t->words.begin);
    tm_free(t->words.size);
    tm_free(t->words.counts);
    tm_free(t->slots);
    tm_strings_clear(&t->texts);
}

static tm_status check(const tm_bpe_counter *counter, const tm_bpe_training *options, tm_error *err)
{
    if (options->size > TM_BPE_IDS_MAX)
        return tm_fail(err, TM_EINVAL, "a vocabulary of %zu entries; the limit is %u", options->size,
                       TM_BPE_IDS_MAX);
    for (size_t i = 0; i < options->n_special; i++)
        if (!options->special[i].size) return tm_fail(err, TM_EINVAL, "special token %zu is empty", i);
    for (size_t i = 0; i < counter->pieces.n; i++)
        if (counter->pieces.items[i].size >= UINT32_MAX)
            return tm_fail(err, TM_EUNSUPPORTED, "a piece of %zu bytes; the limit is 4 GiB",
                           counter->pieces.items[i].size);
    return TM_OK;
}

tm_status tm_bpe_train(const tm_bpe_counter *counter, const tm_bpe_training *options, tm_bpe **bpe,
                       tm_error *err)
{
    TM_TRY(check(counter, options, err));
    trainer t = {0};
    uint32_t ids[256];
    bool good = add_special(&t, options) && add_bytes(&t, ids) && spread_words(&t, counter, ids) &&
                count_pairs(&t) && merge_pairs(&t, options);
    tm_status status = good ? finish(&t, counter, options, bpe, err) : no_memory(err);
    clear(&t);
    return status;
}
