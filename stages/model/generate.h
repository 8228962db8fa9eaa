// SPDX-License-Identifier: Apache-2.0
// Text from a model: prompt in, tokens chosen one after the other until something ends them.
#pragma once

#include "stages/model/decode.h"
#include "stages/model/sample.h"
#include "stages/text/bpe.h"

// name, what --json says
#define TM_ENDED_LIST(X)                                                                                     \
    X(END, "end")       /* the model chose an end token */                                                   \
    X(STOP, "stop")     /* a stop string */                                                                  \
    X(TOKENS, "tokens") /* as many tokens as were asked for */                                               \
    X(FULL, "full")     /* the cache is full */                                                              \
    X(ASKED, "asked")   /* the listener said so */

typedef enum {
#define TM_ENDED_ENUM(name, text) TM_ENDED_##name,
    TM_ENDED_LIST(TM_ENDED_ENUM)
#undef TM_ENDED_ENUM
} tm_ended;
const char *tm_ended_name(tm_ended ended);

typedef struct tm_generation {
    tm_sampler sampler;
    uint64_t draw;        // number of the first draw: others give other texts with the same seed
    uint64_t n_tokens;    // at most
    const uint32_t *ends; // tokens that end the text; they are no part of it
    size_t n_ends;
    const char *const *stops; // strings that do (stages/text/stop.h)
    size_t n_stops;
    bool log_probs; // costs a pass over the logits for each token
    // Called with text as it becomes certain (UTF-8, whole characters), and with an empty view for a token
    // that gives none yet. False ends the generation. NULL: nobody listens.
    bool (*hear)(void *listener, tm_view text);
    void *listener;
} tm_generation;

typedef struct tm_answer { // starts as {0}; free with tm_answer_clear
    tm_bpe_ids ids;        // chosen, an end token included
    double *log_probs;     // of each, by the model before filters; NULL unless asked for
    tm_buf text;           // UTF-8, without special tokens, up to a stop string
    tm_ended ended;
    const char *stop; // the stop string, or NULL
    int32_t n_kept;   // tokens of the prompt that the decoder held already
} tm_answer;
void tm_answer_clear(tm_answer *answer);

// The decoder then holds the prompt and the answer (but for its last token, perhaps). `answer` is cleared
// first; on failure it holds what there is. TM_EINVAL: an empty prompt, or one without room for a token
// behind it.
tm_status tm_generate(tm_decoder *decoder, const tm_bpe *bpe, const tm_bpe_ids *prompt,
                      const tm_generation *how, tm_answer *answer, tm_error *err);

// Many prompts, as many side by side as the decoder has sequences; a place that falls free takes the next.
// Each answer is, bit for bit, what tm_generate gives for its prompt and an empty decoder, and is told when
// it is over: not in the order of the prompts, but always in the same.
typedef struct tm_prompts {
    const tm_bpe_ids *prompts;
    size_t n;
    tm_status (*answered)(void *listener, size_t i, const tm_answer *answer, tm_error *err);
    void *listener;
} tm_prompts;
tm_status tm_generate_all(tm_decoder *decoder, const tm_bpe *bpe, const tm_prompts *prompts,
                          const tm_generation *how, tm_error *err);
