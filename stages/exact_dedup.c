// SPDX-License-Identifier: Apache-2.0
// Documents without those whose text occurred before.
#include "stages/text/exact.h"
#include "stages/text/sift.h"

#include <math.h>

static tm_status sift(tm_work *work, tm_exact *seen, const tm_batch *in, tm_error *err)
{
    tm_batch *out[2] = {tm_work_batch(work, ""), tm_work_batch(work, "removed")};
    tm_status status = out[0] && out[1] ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a batch");
    for (size_t row = 0; status >= 0 && row < tm_batch_rows(in); row++) {
        bool first;
        status = tm_exact_add(seen, tm_docs_get(in, row).text, &first, err);
        if (status < 0) break;
        status = first ? tm_sift_keep(out, in, row, err)
                       : tm_sift_remove(work, "exact_dedup", out, in, row, "seen_before", NAN, (tm_view){0},
                                        err);
    }
    if (status < 0) {
        tm_batch_unref(out[0]);
        tm_batch_unref(out[1]);
        return status;
    }
    status = tm_put(work, "", out[0], err);
    tm_status second = tm_put(work, "removed", out[1], err);
    return status < 0 ? status : second;
}

static tm_status run(tm_work *work, tm_error *err)
{
    tm_exact *seen = tm_exact_new();
    if (!seen) return tm_fail(err, TM_ENOMEM, "no memory for a set of documents");
    tm_status status;
    tm_batch *in;
    while ((status = tm_take(work, "", &in, err)) == TM_OK) {
        status = sift(work, seen, in, err);
        tm_batch_unref(in);
        if (status < 0) break;
    }
    tm_exact_free(seen);
    return status < 0 ? status : TM_OK;
}

const tm_stage tm_stage_exact_dedup = {
    .name = "exact_dedup",
    .brief = "Remove documents whose text occurred before, byte for byte.",
    .help = "The first of equal documents in log order is kept. Texts are compared by their 128-bit hash.",
    .example = "tm.exact_dedup {}",
    .family = "curate",
    .version = 1,
    .traits = TM_STEP,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL}},
    .outputs = TM_SIFT_OUTPUTS,
    .run = run,
};
