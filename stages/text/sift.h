// SPDX-License-Identifier: Apache-2.0
// Keeping and setting aside documents, the same way in every curation stage: output 0 is what is kept, output
// 1 is what was removed, with the reason in its meta data and counted.
#pragma once

#include "engine/stage.h"

// The two output ports of such a stage.
#define TM_SIFT_OUTPUTS                                                                       \
    {                                                                                         \
        {"", "documents", 0, NULL, "documents that are kept", NULL},                          \
        {"removed", "documents", 0, NULL, "those set aside, the reason in their meta", NULL}, \
    }

tm_status tm_sift_keep(tm_batch *const *out, const tm_batch *in, size_t row, tm_error *err);
// The same with another text.
tm_status tm_sift_keep_text(tm_batch *const *out, const tm_batch *in, size_t row, tm_view text,
                            tm_error *err);
// `reason` ("word_count") becomes meta.removed = "STAGE.reason", `value` (if finite) meta.value, `of` (if not
// empty) meta.of; the count "removed.reason" goes up.
tm_status tm_sift_remove(tm_work *work, const char *stage, tm_batch *const *out, const tm_batch *in,
                         size_t row, const char *reason, double value, tm_view of, tm_error *err);
