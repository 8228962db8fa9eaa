// SPDX-License-Identifier: Apache-2.0
// Which documents a step was given, for what is said when it goes wrong.
#include <stdio.h>

#include "stages/train/fit_internal.h"

#define MOST 256  // documents that are counted
#define LOGGED 40
#define NAMED 3
#define ID 40         // bytes of an id that are shown

// Packs the step's batches once more; the trainer has not gone on.
static size_t find(fit *f, uint32_t n_batches, uint64_t *numbers)
{
    size_t n = 0;
    tm_tokens batch;
    tm_pack_seek(f->pack, tm_trainer_cursor(f->trainer));
    for (uint32_t i = 0; i < n_batches && tm_pack_next(f->pack, &batch, NULL) == TM_OK; i++)
        n = tm_pack_documents(f->pack, numbers, n, MOST);
    return n;
}

void fit_tell_given(fit *f, const tm_step *step, char *text, size_t size)
{
    uint64_t numbers[MOST];
    size_t n = find(f, step->n_batches, numbers);
    size_t at = (size_t)snprintf(text, size, "; the step had %zu document%s%s", n, n == 1 ? "" : "s",
                                 n == MOST ? " or more" : "");
    for (size_t i = 0; i < n && i < LOGGED; i++) {
        tm_view id = tm_feed_id(&f->feed, numbers[i]);
        int length = (int)(id.size < ID ? id.size : ID);
        tm_work_log(f->work, "step %llu had %.*s", (unsigned long long)step->step, length, id.data);
        if (i < NAMED && at < size)
            at += (size_t)snprintf(text + at, size - at, "%s%.*s", i ? ", " : ": ", length, id.data);
    }
    if (n > NAMED && at < size) snprintf(text + at, size - at, ", ...");
}
