// SPDX-License-Identifier: Apache-2.0
// What the plan asks of a trainer: whether its options fit each other, and what a longer run can go on from.
#include <stdio.h>
#include <string.h>

#include "stages/train/fit_internal.h"

int64_t fit_valid_every(const tm_fit_options *o)
{
    return o->valid_every ? o->valid_every : o->stop ? 50 : 0;
}

tm_stop_options fit_stop(const tm_fit_options *o)
{
    tm_stop_options stop = {0};
    const tm_value *row = tm_value_find("stop");
    if (o->stop && row) (void)tm_options_fill(row->options, o->stop, &stop, NULL);
    return stop;
}

// A pair has two texts of the full length.
static int64_t texts(const tm_fit_kind *kind)
{
    return kind->rows == TM_FEED_PAIRS ? 2 : 1;
}

int64_t fit_length(const tm_fit_options *o, const tm_fit_kind *kind, int64_t positions)
{
    int64_t room = o->batch / texts(kind), length = room < 512 ? room : 512;
    return o->length ? o->length : positions && positions < length ? positions : length;
}

// How many positions the model has; 0: that is known when it is there.
static int64_t positions_of(const tm_check *c)
{
    const json_t *fresh = json_object_get(c->given, "");
    const json_t *n = fresh ? json_object_get(fresh, "length") : json_object_get(c->inputs[0], "positions");
    return json_integer_value(n);
}

static tm_status check_positions(const tm_check *c, const tm_fit_kind *kind, tm_error *err)
{
    const tm_fit_options *o = c->options;
    int64_t positions = positions_of(c);
    bool fresh = json_object_get(c->given, "") != NULL;
    if (!positions) return TM_OK;
    json_object_set_new(c->outputs[0], "positions", json_integer(positions));
    if (fit_length(o, kind, positions) <= positions) return TM_OK;
    c->fault->option = "length";
    snprintf(c->fault->fix, sizeof c->fault->fix, "length = %lld", (long long)positions);
    if (fresh)
        snprintf(c->fault->fix, sizeof c->fault->fix, "length = %lld, or an architecture with length = %lld",
                 (long long)positions, (long long)o->length);
    return tm_fail(err, TM_EINVAL, "length %lld is more than the model's %lld positions",
                   (long long)o->length, (long long)positions);
}

static tm_status check_length(const tm_check *c, const tm_fit_kind *kind, tm_error *err)
{
    const tm_fit_options *o = c->options;
    bool pairs = kind->rows == TM_FEED_PAIRS;
    int64_t least = texts(kind) * o->length;
    if (least <= o->batch) return check_positions(c, kind, err);
    c->fault->option = "length";
    snprintf(c->fault->why, sizeof c->fault->why, "a batch must hold one %s of the full length",
             pairs ? "pair of answers" : "document");
    snprintf(c->fault->fix, sizeof c->fault->fix, "batch = %lld or more, or a smaller length",
             (long long)least);
    return tm_fail(err, TM_EINVAL, "%slength (%lld) is larger than batch (%lld tokens)",
                   pairs ? "twice " : "", (long long)o->length, (long long)o->batch);
}

static tm_status check_overlong(const tm_check *c, const tm_fit_kind *kind, tm_error *err)
{
    const tm_fit_options *o = c->options;
    if (kind->rows != TM_FEED_PAIRS || !o->overlong || strcmp(o->overlong, "drop") == 0) return TM_OK;
    c->fault->option = "overlong";
    snprintf(c->fault->why, sizeof c->fault->why,
             "the reference's log-probabilities are those of whole answers, so a pair that is too long is "
             "left out");
    snprintf(c->fault->fix, sizeof c->fault->fix, "overlong = \"drop\", or a larger length");
    return tm_fail(err, TM_EINVAL, "pairs cannot be shortened (overlong = \"%s\")", o->overlong);
}

static tm_status check_stop(const tm_check *c, const tm_fit_kind *kind, tm_error *err)
{
    const tm_fit_options *o = c->options;
    if (!o->stop) return TM_OK;
    tm_stop_options stop = fit_stop(o);
    c->fault->option = "stop";
    if (!c->inputs[kind->valid]) {
        snprintf(c->fault->fix, sizeof c->fault->fix, "valid = ..., held-out data of the same kind");
        return tm_fail(err, TM_EINVAL, "stop compares measures on `valid`, which is not given");
    }
    size_t at = 0;
    char names[256] = "";
    for (const char *const *m = kind->objective->measures; *m; m++) {
        if (strncmp(stop.metric, "valid.", 6) == 0 && strcmp(stop.metric + 6, *m) == 0) {
            c->fault->option = NULL;
            return TM_OK;
        }
        at += (size_t)snprintf(names + at, sizeof names - at, "%svalid.%s", at ? ", " : "", *m);
    }
    snprintf(c->fault->fix, sizeof c->fault->fix, "one of: %.240s", names);
    return tm_fail(err, TM_EINVAL, "stop has the metric \"%.80s\"", stop.metric);
}

// `keep` by a metric that no step will have; where there is no valid.loss it goes by train.loss.
static tm_status check_keep(const tm_check *c, tm_error *err)
{
    const tm_fit_options *o = c->options;
    const char *by = json_string_value(json_object_get(o->keep, "by"));
    const json_t *names = json_object_get(c->outputs[1], "metrics");
    const char *all[2 * TM_MEASURES + 1];
    size_t i, n = 0;
    json_t *name;
    if (!by || strcmp(by, "valid.loss") == 0) return TM_OK;
    json_array_foreach((json_t *)names, i, name)
    {
        if (strcmp(json_string_value(name), by) == 0) return TM_OK;
        if (n < 2 * TM_MEASURES) all[n++] = json_string_value(name);
    }
    all[n] = NULL;
    const char *near = tm_nearest(by, all);
    c->fault->option = "keep";
    snprintf(c->fault->fix, sizeof c->fault->fix, "%sby = \"%s\"%s", near ? "did you mean " : "for example ",
             near ? near : all[0], near ? "?" : "");
    return tm_fail(err, TM_EINVAL, "keep goes by the metric \"%.80s\", which no snapshot will have", by);
}

// A fresh adapter goes on weights that are there, and there is one adapter at a time.
static tm_status check_adapter(const tm_check *c, tm_error *err)
{
    const tm_fit_options *o = c->options;
    if (!o->adapter) return TM_OK;
    const char *had = json_string_value(json_object_get(c->inputs[0], "adapter"));
    c->fault->option = "adapter";
    if (!c->inputs[0]) {
        snprintf(c->fault->fix, sizeof c->fault->fix, "pretrain without an adapter, or give a model");
        return tm_fail(err, TM_EINVAL, "an adapter needs the weights of a model, not a fresh architecture");
    }
    if (had) {
        snprintf(c->fault->why, sizeof c->fault->why, "an adapter that is there is trained on");
        snprintf(c->fault->fix, sizeof c->fault->fix, "leave `adapter` out, or merge before");
        return tm_fail(err, TM_EINVAL, "the model has an adapter already (%s)", had);
    }
    c->fault->option = NULL;
    json_object_set(c->outputs[0], "adapter", json_object_get(o->adapter, "$value"));
    return TM_OK;
}

// What the metrics will be called, so that those who ask for one can be told at once that there is none.
static void name_metrics(const tm_check *c, const tm_fit_kind *kind)
{
    json_t *names = json_array();
    for (int valid = 0; valid <= (c->inputs[kind->valid] != NULL); valid++)
        for (const char *const *m = kind->objective->measures; *m; m++) {
            char name[64];
            snprintf(name, sizeof name, "%s.%s", valid ? "valid" : "train", *m);
            json_array_append_new(names, json_string(name));
        }
    json_object_set_new(c->outputs[1], "metrics", names);
}

tm_status tm_fit_check(tm_check *c, const tm_fit_kind *kind, tm_error *err)
{
    const tm_fit_options *o = c->options;
    tm_schedule schedule;
    for (int i = 0; i < TM_MAX_PORTS; i++) {
        json_t *tokenizer = json_object_get(c->inputs[i], "tokenizer");
        if (tokenizer) json_object_set(c->outputs[0], "tokenizer", tokenizer);
    }
    json_object_set_new(c->outputs[0], "dtype", json_string("f32"));
    if (kind->rows != TM_FEED_TOKENS) json_object_set_new(c->outputs[0], "answers", json_string("chat"));
    name_metrics(c, kind);
    TM_TRY(check_length(c, kind, err));
    TM_TRY(check_overlong(c, kind, err));
    TM_TRY(check_stop(c, kind, err));
    TM_TRY(check_keep(c, err));
    TM_TRY(check_adapter(c, err));
    c->fault->option = "schedule";
    uint64_t total = o->steps ? (uint64_t)o->steps : 1;
    tm_status status = tm_schedule_of(o->schedule, 1, total, &schedule, err);
    c->fault->option = NULL;
    return status;
}

// ---- going on from a shorter run ----

// Whether the batches up to a snapshot are those of a run with these options too.
static tm_status same_data(const tm_fit_options *o, const json_t *side, tm_error *err)
{
    if (json_is_true(json_object_get(side, "ended")))
        return tm_fail(err, TM_DONE, "its last batch was cut short by the end of the data");
    if (o->epochs && json_integer_value(json_object_get(side, "epoch")) >= o->epochs)
        return tm_fail(err, TM_DONE, "it is in epoch %lld already",
                       (long long)json_integer_value(json_object_get(side, "epoch")) + 1);
    return TM_OK;
}

// Whether the snapshots before that one are those of a run with these options too. Those of earlier versions
// of the trainer have nothing to tell it by.
static tm_status same_snapshots(const tm_fit_options *o, const json_t *side, int64_t step, tm_error *err)
{
    int64_t then = json_integer_value(json_object_get(side, "checkpoint_every")), now = o->checkpoint_every;
    if (then <= 0) return tm_fail(err, TM_DONE, "an earlier version of the trainer made it");
    if (then == now || (step <= then && step <= now)) return TM_OK;
    return tm_fail(err, TM_DONE, "it made snapshots every %lld steps, not every %lld", (long long)then,
                   (long long)now);
}

// The least number of steps that a run with these options can have; 0: nothing is known.
static uint64_t least_total(const tm_fit_options *o, const json_t *side)
{
    if (o->steps) return (uint64_t)o->steps;
    int64_t epochs = json_integer_value(json_object_get(side, "epochs"));
    if (!json_is_true(json_object_get(side, "counted")) || (o->epochs ? o->epochs : 1) < epochs) return 0;
    return (uint64_t)json_integer_value(json_object_get(side, "total"));
}

tm_status tm_fit_prefix(const tm_check *c, int64_t step, json_t *into, tm_error *err)
{
    const tm_fit_options *o = c->options;
    uint64_t total = least_total(o, c->side);
    tm_schedule s;
    if (!total) return tm_fail(err, TM_DONE, "the number of steps comes from other epochs");
    if ((uint64_t)step > total) return tm_fail(err, TM_DONE, "it is at step %lld already", (long long)step);
    tm_status status = same_data(o, c->side, err);
    if (status == TM_OK) status = same_snapshots(o, c->side, step, err);
    if (status != TM_OK) return status;
    TM_TRY(tm_schedule_of(o->schedule, 1, total, &s, err));
    if ((uint64_t)step > tm_schedule_extends(&s))
        return tm_fail(err, TM_DONE, "%s depends on the number of steps from step %llu on", s.kind->name,
                       (unsigned long long)tm_schedule_extends(&s));
    json_object_set_new(into, "schedule", json_string(s.kind->name));
    json_object_set_new(into, "warmup", json_integer((json_int_t)s.warmup));
    return TM_OK;
}
