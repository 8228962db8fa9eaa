// SPDX-License-Identifier: Apache-2.0
// Log-probabilities of parts of texts: of a continuation given its context, or of the answers in a
// conversation.
//
// A pair of texts is tokenized as lm-evaluation-harness does it: white space at the end of the context
// belongs to the continuation, both are tokenized as one text, and the tokens that the context alone does not
// have are the continuation's. A text begins with what the tokenizer puts before texts, and never with
// nothing.
#pragma once

#include "stages/judge/task.h"

// Texts as ids, one behind the other, and which of their tokens count. Starts as {0}.
typedef struct tm_continuations {
    tm_bpe_ids ids; // of all
    uint8_t *mask;  // a byte for each: 1 where its log-probability counts
    size_t mask_capacity;
    size_t *starts; // of each text in `ids`; n + 1 of them
    size_t n, capacity;
} tm_continuations;
void tm_continuations_clear(tm_continuations *list);

// Append one. TM_EINVAL: nothing in it counts, or nothing is before what does; the list is as it was.
// The context of a text may be empty if the tokenizer has a token that begins or ends texts.
tm_status tm_continuations_add_text(tm_continuations *list, const tm_tokenizer *tokenizer, tm_view context,
                                    tm_view continuation, tm_error *err);
tm_status tm_continuations_add_ids(tm_continuations *list, const tm_bpe_ids *context,
                                   const tm_bpe_ids *continuation, tm_error *err);
tm_status tm_continuations_add_masked(tm_continuations *list, const tm_bpe_ids *ids, const char *mask,
                                      tm_error *err);

// The ids of a text that a model is to go on from, appended to `ids`: behind what the tokenizer puts before
// texts, or, if there is no such token and `must`, behind the one that begins or else ends texts.
tm_status tm_prompt_encode(const tm_tokenizer *tokenizer, tm_view text, bool must, tm_bpe_ids *ids,
                           tm_error *err);

typedef struct tm_likelihood {
    double sum; // of the natural logarithms, over the tokens that count
    uint64_t n; // how many these are
    bool cut;   // longer than the model's positions: only its last tokens were looked at
} tm_likelihood;

// results[i] is that of text i. Sums run in the order of the tokens, in double.
tm_status tm_likelihoods(const tm_subject *subject, const tm_continuations *list, tm_likelihood *results,
                         tm_error *err);
