// SPDX-License-Identifier: Apache-2.0
// Train and held-out documents, by a hash of each document's id, so that new documents move no old ones.
#include "engine/stage.h"

#include "engine/base/random.h"

typedef struct split_options {
    double valid;
    int64_t seed;
} split_options;

static const tm_option options[] = {
    {"valid", TM_OPT_NUMBER, offsetof(split_options, valid), "0.02", 0, 1, NULL,
     "share of documents held out", 0, "0.2.."},
    {"seed", TM_OPT_INT, offsetof(split_options, seed), "1", 0, 0x1p53, NULL, "another seed holds out others",
     0},
    {0},
};

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const split_options *o = tm_work_options(work);
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        tm_view id = tm_docs_get(in, row).id;
        uint64_t draw = tm_mix64(tm_hash64(id.data, id.size, (uint64_t)o->seed));
        bool held_out = (double)(draw >> 11) * 0x1p-53 < o->valid;
        TM_TRY(tm_batch_copy_row(out[held_out], in, row, err));
    }
    return TM_OK;
}

const tm_stage tm_stage_split = {
    .name = "split",
    .brief = "Documents for training and documents held out.",
    .help =
        "Each document goes to `train` or `valid` by a hash of the seed and its id. The choice for one document\n"
        "does not depend on the others: adding documents moves none.",
    .example = "local docs = tm.split { clean, valid = 0.02 }",
    .family = "curate",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "the documents", NULL}},
    .outputs = {{"train", "documents", 0, NULL, "documents to train on", NULL},
                {"valid", "documents", 0, NULL, "documents held out", NULL}},
    .options = options,
    .options_size = sizeof(split_options),
    .map = map,
};
