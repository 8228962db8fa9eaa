// SPDX-License-Identifier: Apache-2.0
// Several logs of documents, one behind the other.
#include "engine/stage.h"

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    (void)work;
    for (size_t row = 0; row < tm_batch_rows(in); row++) TM_TRY(tm_batch_copy_row(out[0], in, row, err));
    return TM_OK;
}

const tm_stage tm_stage_concat = {
    .name = "concat",
    .brief = "Several sources of documents as one, one behind the other.",
    .help =
        "Order is that of the table of inputs: names sorted by byte, or positions. Nothing is dropped; put\n"
        "tm.exact_dedup behind it if the sources overlap.",
    .example = "tm.concat { { web = clean, books = tm.read { \"books/**/*.txt\" } } }",
    .family = "read",
    .version = 1,
    .inputs = {{"", "documents", TM_PORT_MANY, NULL, "the sources", NULL}},
    .outputs = {{"", "documents", 0, NULL, "all their documents", NULL}},
    .map = map,
};
