// SPDX-License-Identifier: Apache-2.0
// The first records of a log: `x:take(n)` in a graph.
#include "engine/stage.h"

typedef struct take_options {
    int64_t n;
} take_options;

static const tm_option options[] = {
    {"n", TM_OPT_INT, offsetof(take_options, n), NULL, 1, __INT32_MAX__, NULL, "how many records", 0},
    {0},
};

static tm_status take_entry(tm_work *work, const tm_batch *in, int64_t *left, tm_error *err)
{
    tm_batch *out = tm_work_batch(work, "");
    if (!out) return tm_fail(err, TM_ENOMEM, "no memory for a batch");
    for (size_t row = 0; row < tm_batch_rows(in) && *left > 0; row++, --*left) {
        tm_status status = tm_batch_copy_row(out, in, row, err);
        if (status < 0) {
            tm_batch_unref(out);
            return status;
        }
    }
    return tm_put(work, "", out, err);
}

static tm_status run(tm_work *work, tm_error *err)
{
    int64_t left = ((const take_options *)tm_work_options(work))->n;
    while (left > 0) {
        tm_batch *in;
        tm_status status = tm_take(work, "", &in, err);
        if (status != TM_OK) return status;
        status = take_entry(work, in, &left, err);
        tm_batch_unref(in);
        TM_TRY(status);
    }
    return TM_OK;
}

const tm_stage tm_stage_take = {
    .name = "take",
    .brief = "The first n records.",
    .help = "Stands behind `x:take(n)`: the first n records of x in log order.",
    .example = "tm.train_tokenizer { docs.train:take(1000), size = 2048 }",
    .family = "curate",
    .version = 1,
    .traits = TM_INTERNAL,
    .inputs = {{"", "documents", 0, NULL, "the records", NULL}},
    .outputs = {{"", "documents", 0, NULL, "the first of them", NULL}},
    .options = options,
    .options_size = sizeof(take_options),
    .run = run,
};
