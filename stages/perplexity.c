// SPDX-License-Identifier: Apache-2.0
// How well a model predicts held-out text, as a task of tm.evaluate.
#include "stages/judge/perplexity.h"

#include <math.h>

static const tm_option options[] = {
    {"length", TM_OPT_INT, offsetof(tm_perplexity_options, length), "512", 2, 1 << 20, NULL,
     "tokens of a window; each starts afresh", 0},
    {0},
};

const tm_value tm_value_perplexity = {
    .name = "perplexity",
    .brief = "Bits per byte, loss and perplexity on held-out documents, in fixed windows.",
    .example = "tasks = { text = tm.perplexity { docs.valid } }",
    .family = "task",
    .inputs = {{"", "documents", TM_PORT_WHOLE | TM_PORT_APART, NULL, "held-out documents", NULL}},
    .options = options,
    .options_size = sizeof(tm_perplexity_options),
};

typedef struct state {
    tm_texts texts;
    double bzip2;
} state;

static tm_status begin(void *of_task, const void *unused, tm_work *work, const char *port, tm_error *err)
{
    state *s = of_task;
    (void)unused;
    TM_TRY(tm_texts_take(&s->texts, work, port, err));
    return tm_texts_bzip2(&s->texts, &s->bzip2, err);
}

static tm_status measure(const void *of_task, const void *o, const tm_subject *subject, tm_measure *results,
                         tm_error *err)
{
    const state *s = of_task;
    tm_perplexity r;
    TM_TRY(tm_perplexity_measure(subject, &s->texts, o, &r, err));
    results[0] = (tm_measure){r.bits_per_byte, r.error, r.n_bytes};
    results[1] = (tm_measure){r.loss, r.loss_error, r.n_tokens};
    results[2] = (tm_measure){exp(r.loss), exp(r.loss) * r.loss_error, r.n_tokens};
    results[3] = (tm_measure){s->bzip2, NAN, r.n_bytes};
    return TM_OK;
}

static void end(void *of_task)
{
    state *s = of_task;
    tm_texts_clear(&s->texts);
}

const tm_task tm_task_perplexity = {
    .name = "perplexity",
    .measures = {"bits_per_byte", "loss", "perplexity", "bzip2_bits_per_byte"},
    .state_size = sizeof(state),
    .begin = begin,
    .measure = measure,
    .end = end,
};
