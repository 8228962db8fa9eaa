// SPDX-License-Identifier: Apache-2.0
// The documents of a task, in log order, all in memory.
#pragma once

#include "engine/stage.h"

typedef struct tm_texts {
    tm_batch **chunks;
    size_t n_chunks;
    uint64_t n_bytes; // of their texts
    uint64_t n_documents;
} tm_texts;

// All that an input port gives; in a smoke run a few: no more than TM_SMOKE_JUDGED, and none
// after 32 KiB. Clear it also after a failure.
tm_status tm_texts_take(tm_texts *texts, tm_work *work, const char *port, tm_error *err);
void tm_texts_clear(tm_texts *texts);

// Document i; its views live as long as the list. Looking them up in order costs least.
tm_doc tm_texts_get(const tm_texts *texts, uint64_t i);

// Bits per byte of bzip2 -9 on all texts, one behind the other: the yardstick that needs no model.
tm_status tm_texts_bzip2(const tm_texts *texts, double *bits_per_byte, tm_error *err);
