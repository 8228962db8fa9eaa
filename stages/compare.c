// SPDX-License-Identifier: Apache-2.0
// Metrics of several nodes as one table.
#include "stages/judge/trials.h"

typedef struct compare_options {
    tm_string_list by;
    const char *over;
} compare_options;

static const tm_option options[] = {
    {"by", TM_OPT_LIST, offsetof(compare_options, by), "[]", 0, 0, NULL,
     "the measures to compare (\"text.loss\"); none: all of them", 0},
    {"over", TM_OPT_STRING, offsetof(compare_options, over), "null", 0, 0, NULL,
     "a value of the sweep to take the mean over (\"seed\")", 0},
    {0},
};

// Whether a name is "LABEL.MEASURE" or the measure itself.
static bool ends_with(const char *name, const char *measure)
{
    size_t n = strlen(name), m = strlen(measure);
    return n >= m && strcmp(name + n - m, measure) == 0 && (n == m || name[n - m - 1] == '.');
}

static bool wanted(const compare_options *o, const char *name)
{
    for (size_t i = 0; i < o->by.n; i++)
        if (ends_with(name, o->by.items[i])) return true;
    return o->by.n == 0;
}

// ---- plan ----

static json_t *keys(const json_t *object)
{
    json_t *list = json_array(), *unused;
    const char *key;
    json_object_foreach((json_t *)object, key, unused) json_array_append_new(list, json_string(key));
    return list;
}

// What was asked for must be there, if all names are known.
static tm_status check_by(const tm_check *c, const json_t *names, tm_error *err)
{
    const compare_options *o = c->options;
    json_t *seen = json_object(), *name;
    tm_status status = TM_OK;
    size_t i;
    c->fault->option = "by";
    for (size_t k = 0; status >= 0 && k < o->by.n; k++) {
        const char *by = o->by.items[k];
        bool found = false;
        json_array_foreach((json_t *)names, i, name)
        {
            const char *text = json_string_value(name);
            found |= ends_with(text, by);
            json_object_set_new(seen, text + tm_metric_measure_at(text), json_true());
        }
        json_t *measures = keys(seen);
        if (!found) status = tm_metric_known(measures, by, c->fault, err);
        json_decref(measures);
    }
    json_decref(seen);
    return status;
}

static tm_status check(tm_check *c, tm_error *err)
{
    const compare_options *o = c->options;
    json_t *names = json_array(), *kept = json_object(), *name;
    bool known = true;
    size_t i;
    for (size_t k = 0; k < c->n_links; k++)
        known = tm_metric_names(c->links[k].attrs, tm_metric_prefix(c->links[k].port, ""), names) && known;
    json_array_foreach(names, i, name)
    {
        char mean[TM_TRIAL_NAME];
        tm_trial_name(json_string_value(name), o->over, mean);
        if (wanted(o, json_string_value(name))) json_object_set_new(kept, mean, json_true());
    }
    tm_status status = known ? check_by(c, names, err) : TM_OK;
    if (known)
        json_object_set_new(c->outputs[0], "metrics", keys(kept));
    else
        json_object_del(c->outputs[0], "metrics");
    json_decref(names);
    json_decref(kept);
    return status;
}

// ---- run ----

static tm_status take_all(tm_metric_table *table, tm_work *work, tm_error *err)
{
    const char *port;
    for (size_t i = 0; (port = tm_work_port_at(work, "", i)); i++)
        TM_TRY(tm_metric_table_take(table, work, port, tm_metric_prefix(port, ""), -1, err));
    return TM_OK;
}

static tm_status give(tm_work *work, const tm_metric_table *table, tm_batch *out, tm_error *err)
{
    const compare_options *o = tm_work_options(work);
    for (size_t i = 0; i < table->n; i++) {
        const tm_metric_row *row = &table->rows[i];
        if (!wanted(o, row->name)) continue;
        tm_metric m = {.step = row->step,
                       .name = tm_view_str(row->name),
                       .value = row->value,
                       .error = row->error,
                       .count = row->count};
        TM_TRY(tm_metrics_add(out, &m, err));
    }
    return TM_OK;
}

static tm_status run(tm_work *work, tm_error *err)
{
    const compare_options *o = tm_work_options(work);
    tm_metric_table table = {0}, means = {0};
    tm_batch *out = tm_work_batch(work, "");
    if (!out) return tm_fail(err, TM_ENOMEM, "no memory for a table");
    tm_status status = take_all(&table, work, err);
    if (status >= 0) status = tm_trial_means(&table, o->over, &means, err);
    if (status >= 0) status = give(work, &means, out, err);
    if (status >= 0 && !tm_batch_rows(out))
        status = tm_fail(err, TM_EFAILED, "none of the inputs has a measure to compare");
    tm_metric_table_clear(&table);
    tm_metric_table_clear(&means);
    if (status >= 0) return tm_put(work, "", out, err);
    tm_batch_unref(out);
    return status;
}

const tm_stage tm_stage_compare = {
    .name = "compare",
    .brief = "Metrics of several nodes side by side, as one table.",
    .help =
        "Takes a sweep, or a table of models and of what judges gave; a model stands for the metrics of\n"
        "its training. The last value of each measure is kept, named LABEL.TASK.MEASURE by the labels of\n"
        "the sweep or the table. With `over = \"seed\"` trials that differ in that value alone become one\n"
        "row: the mean, with its standard error over the trials. The table is shown at the end of the\n"
        "run.",
    .example = "tm.compare { trials, by = { \"valid.loss\" }, over = \"seed\" }",
    .family = "judge",
    .version = 1,
    .inputs = {{"", "metrics", TM_PORT_MANY | TM_PORT_WHOLE | TM_PORT_APART | TM_PORT_NAMESAKE, NULL,
                "metrics, or models for those of their training", NULL}},
    .outputs = {{"", "metrics", 0, NULL, "the last values, by label", NULL}},
    .options = options,
    .options_size = sizeof(compare_options),
    .check = check,
    .run = run,
};
