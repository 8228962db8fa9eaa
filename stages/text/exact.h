// SPDX-License-Identifier: Apache-2.0
// A set of documents by content: which have been seen before, byte for byte.
//
// Documents are known by their XXH3-128, so a set of n costs at most 64 n bytes and no two different
// documents are ever met that have one hash (the chance among 10^12 is below 10^-14).
#pragma once

#include "engine/base/hash.h"

typedef struct tm_exact tm_exact;

tm_exact *tm_exact_new(void); // NULL without memory
void tm_exact_free(tm_exact *set);

// Adds a document; *first is whether it was not there yet. The first of equal documents in calling order is
// kept.
tm_status tm_exact_add(tm_exact *set, tm_view text, bool *first, tm_error *err);
tm_status tm_exact_add_hash(tm_exact *set, tm_hash hash, bool *first, tm_error *err);
size_t tm_exact_count(const tm_exact *set); // different documents
