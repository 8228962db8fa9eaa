// SPDX-License-Identifier: Apache-2.0
// Keeping and setting aside documents.
#include "stages/text/sift.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/json.h"

tm_status tm_sift_keep(tm_batch *const *out, const tm_batch *in, size_t row, tm_error *err)
{
    return tm_batch_copy_row(out[0], in, row, err);
}

tm_status tm_sift_keep_text(tm_batch *const *out, const tm_batch *in, size_t row, tm_view text, tm_error *err)
{
    tm_doc doc = tm_docs_get(in, row);
    doc.text = text;
    return tm_docs_add(out[0], &doc, err);
}

static json_t *meta_with_reason(tm_view meta, const char *stage, const char *reason, double value, tm_view of)
{
    char full[128];
    json_t *object = meta.size ? json_loadb(meta.data, meta.size, 0, NULL) : NULL;
    if (!json_is_object(object)) {
        json_decref(object);
        object = json_object();
    }
    snprintf(full, sizeof full, "%s.%s", stage, reason);
    json_object_set_new(object, "removed", json_string(full));
    if (isfinite(value)) json_object_set_new(object, "value", json_real(value));
    if (of.size) json_object_set_new(object, "of", tm_json_from_text(of));
    return object;
}

tm_status tm_sift_remove(tm_work *work, const char *stage, tm_batch *const *out, const tm_batch *in,
                         size_t row, const char *reason, double value, tm_view of, tm_error *err)
{
    char count[128];
    tm_doc doc = tm_docs_get(in, row);
    json_t *meta = meta_with_reason(doc.meta, stage, reason, value, of);
    char *text = meta ? json_dumps(meta, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(meta);
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for meta data");
    doc.meta = tm_view_str(text);
    tm_status status = tm_docs_add(out[1], &doc, err);
    free(text);
    snprintf(count, sizeof count, "removed.%s", reason);
    tm_work_count(work, count, 1);
    return status;
}
