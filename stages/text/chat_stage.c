// SPDX-License-Identifier: Apache-2.0
// Records with a tokenizer, one by one.
#include "stages/text/chat_stage.h"

#include <math.h>

#include "engine/base/json.h"

tm_status tm_chat_stage_begin(tm_work *work, tm_error *err)
{
    tm_chat_stage *s = tm_work_state(work);
    tm_snapshot snapshot;
    tm_status status = tm_take_tree(work, "tokenizer", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no tokenizer");
    TM_TRY(status);
    TM_TRY(tm_tokenizer_load(&s->tokenizer, snapshot.folder, err));
    return tm_chat_open(&s->chat, &s->tokenizer, snapshot.folder, err);
}

void tm_chat_stage_end(tm_work *work)
{
    tm_chat_stage *s = tm_work_state(work);
    tm_chat_close(s->chat);
    for (int i = 0; i < 3; i++) tm_bpe_ids_clear(&s->ids[i]);
    tm_buf_clear(&s->mask);
    tm_tokenizer_clear(&s->tokenizer);
}

static tm_status set_aside(tm_work *work, const char *stage, tm_batch *const *out, const tm_batch *in,
                           size_t row, const tm_error *why, tm_error *err)
{
    tm_chat_stage *s = tm_work_state(work);
    tm_doc doc = tm_docs_get(in, row);
    if (s->n_logged++ < 20)
        tm_work_log(work, "%.*s (%.*s): %s", (int)doc.id.size, doc.id.data, (int)doc.source.size,
                    doc.source.data, why->text);
    return tm_sift_remove(work, stage, out, in, row, "unusable", NAN, tm_view_str(why->text), err);
}

tm_status tm_chat_stage_map(tm_work *work, const char *stage, tm_chat_stage_add *add, const tm_batch *in,
                            tm_batch *const *out, tm_error *err)
{
    tm_status status = TM_OK;
    for (size_t row = 0; status >= 0 && row < tm_batch_rows(in); row++) {
        json_t *record = NULL;
        tm_error why = {0};
        tm_doc doc = tm_docs_get(in, row);
        status = tm_json_parse(doc.text, &record, &why);
        if (status >= 0) status = add(work, tm_work_state(work), &doc, record, out[0], &why);
        if (status == TM_EFORMAT || status == TM_EFAILED)
            status = set_aside(work, stage, out, in, row, &why, err);
        else if (status < 0 && err)
            *err = why;
        json_decref(record);
    }
    return status;
}
