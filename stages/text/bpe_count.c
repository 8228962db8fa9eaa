// SPDX-License-Identifier: Apache-2.0
// Counting the pieces of texts.
#include "stages/text/bpe_count.h"

#include "stages/text/bpe_nfc.h"

#define BATCH 256

tm_bpe_counter *tm_bpe_counter_new(tm_pretokenizer kind, bool nfc)
{
    tm_bpe_counter *counter = tm_calloc(1, sizeof *counter);
    if (counter) *counter = (tm_bpe_counter){.pretokenizer = kind, .nfc = nfc};
    return counter;
}

void tm_bpe_counter_free(tm_bpe_counter *counter)
{
    if (!counter) return;
    tm_strings_clear(&counter->pieces);
    tm_free(counter->counts);
    tm_buf_clear(&counter->normal);
    tm_free(counter);
}

size_t tm_bpe_counter_pieces(const tm_bpe_counter *counter)
{
    return counter->pieces.n;
}

static tm_status count(tm_bpe_counter *counter, tm_view piece, uint64_t times, tm_error *err)
{
    uint32_t number = tm_strings_add(&counter->pieces, piece);
    if (number == UINT32_MAX)
        return tm_fail(err, TM_ENOMEM, "out of memory for %zu different pieces", counter->pieces.n);
    if (number >= counter->capacity) {
        size_t capacity = counter->pieces.capacity;
        uint64_t *counts = tm_realloc(counter->counts, capacity * sizeof *counts);
        if (!counts)
            return tm_fail(err, TM_ENOMEM, "out of memory for %zu different pieces", counter->pieces.n);
        memset(counts + counter->capacity, 0, (capacity - counter->capacity) * sizeof *counts);
        counter->counts = counts;
        counter->capacity = capacity;
    }
    counter->counts[number] += times;
    return TM_OK;
}

tm_status tm_bpe_counter_add(tm_bpe_counter *counter, tm_view text, tm_error *err)
{
    if (counter->nfc && !tm_nfc_is_normal(text)) {
        tm_buf_reset(&counter->normal);
        TM_TRY(tm_nfc_add(text, &counter->normal, err));
        text = tm_buf_view(&counter->normal);
    }
    size_t ends[BATCH], at = 0, begin = 0, n;
    while ((n = tm_pretokenize(counter->pretokenizer, text, &at, ends, BATCH)))
        for (size_t i = 0; i < n; begin = ends[i++])
            TM_TRY(count(counter, tm_view_of(text.data + begin, ends[i] - begin), 1, err));
    return TM_OK;
}

tm_status tm_bpe_counter_merge(tm_bpe_counter *into, const tm_bpe_counter *from, tm_error *err)
{
    for (size_t i = 0; i < from->pieces.n; i++)
        TM_TRY(count(into, tm_strings_get(&from->pieces, i), from->counts[i], err));
    return TM_OK;
}
