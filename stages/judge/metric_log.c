// SPDX-License-Identifier: Apache-2.0
// Metrics of an input port, put into a table.
#include "stages/judge/metric_table.h"

static tm_status put_metric(tm_metric_table *table, const tm_metric *m, const char *prefix, tm_error *err)
{
    tm_buf name = {0};
    tm_buf_fmt(&name, "%s%s%.*s", prefix, prefix[0] ? "." : "", (int)m->name.size, m->name.data);
    tm_status status = tm_buf_status(&name, err);
    tm_metric_row row = {name.data, m->step, m->count, m->value, m->error};
    if (status >= 0) status = tm_metric_table_put(table, &row, err);
    tm_buf_clear(&name);
    return status;
}

tm_status tm_metric_table_take(tm_metric_table *table, tm_work *work, const char *port, const char *prefix,
                               int64_t until, tm_error *err)
{
    for (;;) {
        tm_batch *batch;
        tm_status status = tm_take(work, port, &batch, err);
        if (status != TM_OK) return status < 0 ? status : TM_OK;
        for (size_t row = 0; status >= 0 && row < tm_batch_rows(batch); row++) {
            tm_metric m = tm_metrics_get(batch, row);
            if (until < 0 || m.step <= until) status = put_metric(table, &m, prefix, err);
        }
        tm_batch_unref(batch);
        TM_TRY(status);
    }
}
