// SPDX-License-Identifier: Apache-2.0
// The best of several models, by a metric.
#include <math.h>
#include <stdio.h>

#include "engine/select.h"
#include "stages/judge/trials.h"

typedef struct best_options {
    const char *by, *over, *want;
} best_options;

static const tm_option options[] = {
    {"by", TM_OPT_STRING, offsetof(best_options, by), NULL, 0, 0, NULL,
     "the measure that decides (\"valid.loss\", \"text.bits_per_byte\")", 0},
    {"over", TM_OPT_STRING, offsetof(best_options, over), "null", 0, 0, NULL,
     "a value of the sweep to take the mean over (\"seed\")", 0},
    {"want", TM_OPT_CHOICE, offsetof(best_options, want), "\"auto\"", 0, 0, "auto least most",
     "auto: the least loss, perplexity and bits per byte, the most of anything else", 0},
    {0},
};

// ---- plan ----

// One model comes out, so that what is known of it must be true of each.
static tm_status check_models(const tm_check *c, tm_error *err)
{
    const json_t *first = NULL;
    for (size_t i = 0; i < c->n_links; i++) {
        const tm_check_link *link = &c->links[i];
        if (link->row->name[0]) continue;
        if (!first) first = link->attrs;
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)first, key,
                            value) if (!json_equal(value, json_object_get(link->attrs, key)))
            json_object_del(c->outputs[0], key);
        if (json_equal(json_object_get(first, "tokenizer"), json_object_get(link->attrs, "tokenizer")))
            continue;
        snprintf(c->fault->fix, sizeof c->fault->fix, "train them with one tokenizer");
        return tm_fail(err, TM_EINVAL,
                       "its models have several tokenizers, so it is not known which one comes out");
    }
    return TM_OK;
}

// Of `names` those of the model called `label`, as `by` would say them.
static json_t *names_of(const json_t *names, const char *label)
{
    size_t i, n = strlen(label);
    json_t *name, *own = json_array();
    json_array_foreach((json_t *)names, i, name)
    {
        const char *text = json_string_value(name);
        if (n && (strncmp(text, label, n) != 0 || text[n] != '.')) continue;
        json_array_append_new(own, json_string(n ? text + n + 1 : text));
    }
    return own;
}

// Every model has to have the measure, if the names are known.
static tm_status check_measure(const tm_check *c, tm_error *err)
{
    const best_options *o = c->options;
    json_t *names = json_array();
    bool known = true;
    tm_status status = TM_OK;
    c->fault->option = "by";
    for (size_t i = 0; i < c->n_links; i++)
        if (c->links[i].row->name[0])
            known =
                tm_metric_names(c->links[i].attrs, tm_metric_prefix(c->links[i].port, "on"), names) && known;
    for (size_t i = 0; known && status >= 0 && i < c->n_links; i++) {
        const char *label = tm_metric_prefix(c->links[i].port, "");
        if (c->links[i].row->name[0]) continue;
        json_t *own = names_of(names, label);
        status = tm_metric_known(own, o->by, c->fault, err);
        if (status == TM_EINVAL)
            tm_fail(err, status, "there will be no metric %s%s%s", label, label[0] ? "." : "", o->by);
        json_decref(own);
    }
    json_decref(names);
    return status;
}

static tm_status check(tm_check *c, tm_error *err)
{
    TM_TRY(check_models(c, err));
    TM_TRY(check_measure(c, err));
    c->fault->option = NULL;
    return TM_OK;
}

// ---- run ----

typedef struct judge {
    tm_work *work;
    const best_options *o;
    tm_metric_table all, means;
} judge;

// The step of the model that has a label, or -1.
static tm_status step_of(tm_work *work, const char *label, int64_t *step, tm_error *err)
{
    const char *port;
    *step = -1;
    for (size_t i = 0; label[0] && (port = tm_work_port_at(work, "", i)); i++) {
        tm_snapshot snapshot;
        if (strcmp(tm_metric_prefix(port, ""), label) != 0) continue;
        tm_status status = tm_take_tree(work, port, &snapshot, err);
        const json_t *at = status == TM_OK ? json_object_get(snapshot.attrs, "step") : NULL;
        if (at) *step = json_integer_value(at);
        TM_TRY(status);
        return tm_rewind(work, port, err);
    }
    return TM_OK;
}

// A model's own metrics count up to the snapshot that was chosen of it.
static tm_status take_all(judge *j, tm_error *err)
{
    const char *port;
    for (size_t i = 0; (port = tm_work_port_at(j->work, "on", i)); i++) {
        const char *prefix = tm_metric_prefix(port, "on");
        int64_t until;
        TM_TRY(step_of(j->work, prefix, &until, err));
        TM_TRY(tm_metric_table_take(&j->all, j->work, port, prefix, until, err));
    }
    return TM_OK;
}

static void measure_name(const judge *j, const char *port, char name[TM_TRIAL_NAME])
{
    const char *label = tm_metric_prefix(port, "");
    snprintf(name, TM_TRIAL_NAME, "%s%s%s", label, label[0] ? "." : "", j->o->by);
}

static bool better(const judge *j, double value, double than)
{
    if (isnan(value)) return false;
    if (isnan(than)) return true;
    if (strcmp(j->o->want, "auto") == 0) return tm_select_better(j->o->by, value, than);
    return strcmp(j->o->want, "least") == 0 ? value < than : value > than;
}

// The first port with the best mean, and of those with that mean the first with the best value of its own.
static tm_status choose(judge *j, const char **chosen, tm_error *err)
{
    const char *port;
    double best_mean = NAN, best = NAN;
    *chosen = NULL;
    for (size_t i = 0; (port = tm_work_port_at(j->work, "", i)); i++) {
        char name[TM_TRIAL_NAME], mean_name[TM_TRIAL_NAME];
        measure_name(j, port, name);
        tm_trial_name(name, j->o->over, mean_name);
        const tm_metric_row *own = tm_metric_table_find(&j->all, name);
        const tm_metric_row *mean = tm_metric_table_find(&j->means, mean_name);
        if (!own || !mean) {
            const char *near = tm_metric_table_nearest(&j->all, name);
            tm_fail(err, TM_EFAILED, "there is no metric %s", name);
            if (near) tm_hint(err, "did you mean %s?", near);
            return TM_EFAILED;
        }
        bool better_mean = better(j, mean->value, best_mean);
        if (!better_mean && !(mean->value == best_mean && better(j, own->value, best))) continue;
        best_mean = mean->value;
        best = own->value;
        *chosen = port;
    }
    return *chosen ? TM_OK : tm_fail(err, TM_EFAILED, "%s is a number for none of the models", j->o->by);
}

static tm_status give_means(judge *j, tm_batch *out, tm_error *err)
{
    const char *port;
    tm_metric_table given = {0};
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && (port = tm_work_port_at(j->work, "", i)); i++) {
        char name[TM_TRIAL_NAME], mean_name[TM_TRIAL_NAME];
        measure_name(j, port, name);
        tm_trial_name(name, j->o->over, mean_name);
        if (tm_metric_table_find(&given, mean_name)) continue;
        tm_metric_row row = *tm_metric_table_find(&j->means, mean_name);
        status = tm_metric_table_put(&given, &row, err);
        tm_metric m = {.step = row.step,
                       .name = tm_view_str(mean_name),
                       .value = row.value,
                       .error = row.error,
                       .count = row.count};
        if (status >= 0) status = tm_metrics_add(out, &m, err);
    }
    tm_metric_table_clear(&given);
    return status;
}

static tm_status give(judge *j, const char *chosen, tm_error *err)
{
    char name[TM_TRIAL_NAME];
    tm_batch *out = tm_work_batch(j->work, "metrics");
    if (!out) return tm_fail(err, TM_ENOMEM, "no memory for metrics");
    tm_status status = give_means(j, out, err);
    if (status < 0) {
        tm_batch_unref(out);
        return status;
    }
    TM_TRY(tm_put(j->work, "metrics", out, err));
    measure_name(j, chosen, name);
    tm_work_log(j->work, "chosen: %s, %s %.6g", tm_metric_prefix(chosen, ""), j->o->by,
                tm_metric_table_find(&j->all, name)->value);
    return tm_forward(j->work, chosen, "", NULL, err);
}

static tm_status run(tm_work *work, tm_error *err)
{
    judge j = {.work = work, .o = tm_work_options(work)};
    const char *chosen;
    tm_status status = take_all(&j, err);
    if (status >= 0) status = tm_trial_means(&j.all, j.o->over, &j.means, err);
    if (status >= 0) status = choose(&j, &chosen, err);
    if (status >= 0) status = give(&j, chosen, err);
    tm_metric_table_clear(&j.all);
    tm_metric_table_clear(&j.means);
    return status < 0 ? status : TM_OK;
}

const tm_stage tm_stage_best = {
    .name = "best",
    .brief = "The best of several models, by a metric.",
    .help =
        "Gives one of the models as it is. Without `on` the metric is one of their training (valid.loss);\n"
        "where a point of the sweep is a table of one model and of what judges gave for it, it may be one\n"
        "of these, and with `on = exam`, of a tm.evaluate over all of them, one of that. `over = \"seed\"`\n"
        "decides by the mean over the trials that differ in that value alone, and takes the best of\n"
        "those. Among equals it takes the first. Port `metrics` has what it decided by.",
    .example = "local base = tm.best { trials, by = \"valid.loss\", over = \"seed\" }",
    .family = "judge",
    .version = 1,
    .inputs = {{"", "model", TM_PORT_MANY | TM_PORT_WHOLE, NULL, "a sweep, or a table of models", NULL},
               {"on", "metrics", TM_PORT_MANY | TM_PORT_WHOLE | TM_PORT_APART | TM_PORT_NAMESAKE, NULL,
                "metrics named LABEL.MEASURE", NULL}},
    .outputs = {{"", "model", 0, NULL, "the best model", NULL},
                {"metrics", "metrics", 0, NULL, "the measure of every trial, or of their means", NULL},
                {"tokenizer", "tokenizer", TM_PORT_ALIAS, NULL, "that of the models", ""}},
    .options = options,
    .options_size = sizeof(best_options),
    .check = check,
    .run = run,
};
