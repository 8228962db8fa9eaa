// SPDX-License-Identifier: Apache-2.0
// What training leaves behind: metrics, snapshots, and the point to go on from.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stages/format/content.h"
#include "stages/train/fit_internal.h"

// ---- metrics ----

tm_status fit_add_metric(fit *f, int64_t step, const char *split, const char *measure, double value,
                         tm_error *err)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", split, measure);
    tm_metric m = {.step = step, .name = tm_view_str(name), .value = value, .error = NAN, .count = 1};
    const char *shown = f->kind->objective->shown;
    if (strcmp(measure, "loss") == 0 || (shown && strcmp(measure, shown) == 0))
        tm_work_note(f->work, step, name, value);
    return tm_metrics_add(f->metrics, &m, err);
}

static tm_status open_valid(fit *f, tm_error *err)
{
    if (f->valid_pass) return TM_OK;
    f->room = tm_calloc(f->micro, 2 * sizeof *f->room);
    if (!f->room) return tm_fail(err, TM_ENOMEM, "no memory to measure with");
    return tm_pass_new(&f->valid_pass, f->model, f->device, TM_PASS_FORWARD, f->micro, err);
}

static uint64_t count_labels(const tm_tokens *batch)
{
    uint64_t n = 0;
    for (int32_t i = 0; i < batch->n_tokens; i++) n += batch->labels[i] >= 0;
    return n;
}

// Sums and units over the first `valid_tokens` held-out labels, packed without shuffling.
static tm_status measure(fit *f, tm_pack *pack, double *sums, uint64_t *units, tm_error *err)
{
    uint64_t labels = 0;
    tm_tokens batch;
    while (labels < (uint64_t)f->o->valid_tokens) {
        tm_status status = tm_pack_next(pack, &batch, err);
        if (status != TM_OK) return status < 0 ? status : TM_OK;
        TM_TRY(tm_pass_forward(f->valid_pass, &batch, err));
        f->kind->objective->score(f->objective, f->valid_pass, &batch, f->room, sums);
        *units += f->kind->objective->units(&batch);
        labels += count_labels(&batch);
    }
    return TM_OK;
}

tm_status fit_validate(fit *f, int64_t step, double *watched, tm_error *err)
{
    if (!tm_work_connected(f->work, "valid")) return TM_OK;
    TM_TRY(open_valid(f, err));
    tm_pack *pack = NULL;
    tm_pack_options how = fit_pack_options(f);
    how.window = 0;
    how.held_out = true;
    how.epochs = 1;
    if (f->kind->rows == TM_FEED_TOKENS) how.overlong = TM_OVERLONG_CUT;
    tm_documents documents = tm_feed_documents(&f->valid_feed);
    TM_TRY(tm_pack_new(&pack, &how, &documents, err));
    double sums[TM_MEASURES] = {0};
    uint64_t units = 0;
    tm_status status = measure(f, pack, sums, &units, err);
    tm_pack_free(pack);
    if (status < 0 || units == 0) return status;
    const char *const *measures = f->kind->objective->measures, *metric = fit_stop(f->o).metric;
    for (int k = 0; measures[k]; k++) {
        double mean = sums[k] / (double)units;
        if (metric && strcmp(metric + strlen("valid."), measures[k]) == 0) *watched = mean;
        TM_TRY(fit_add_metric(f, step, "valid", measures[k], mean, err));
    }
    return TM_OK;
}

// ---- files ----

static tm_status write_tokenizer(const fit *f, const char *folder, tm_error *err)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                                        NULL};
    for (int i = 0; names[i]; i++) {
        char from[1200], to[1200];
        snprintf(from, sizeof from, "%s/%s", f->tokenizer_folder, names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        if (i == 0 && f->with_start.size)
            TM_TRY(tm_file_write(to, f->with_start.data, f->with_start.size, false, err));
        else if (tm_file_exists(from))
            TM_TRY(tm_file_copy(from, to, 0644, err));
    }
    return TM_OK;
}

static tm_status write_state(const fit *f, const char *folder, tm_error *err)
{
    char path[1200];
    tm_trainer_state state;
    TM_TRY(tm_trainer_save(f->trainer, &state, err));
    snprintf(path, sizeof path, "%s/%s", folder, TM_STATE_FILE);
    tm_status status = tm_content_write(path, state.file.pieces, state.file.n_pieces, err);
    tm_trainer_state_clear(&state);
    return status;
}

static tm_status write_model(const fit *f, char *folder, size_t size, tm_error *err)
{
    TM_TRY(tm_work_scratch(f->work, folder, size, err));
    TM_TRY(tm_model_write(f->model, folder, NULL, 0, err));
    if (f->model->adapter) TM_TRY(tm_hf_folder_link_base(f->input_folder, folder, err));
    return write_tokenizer(f, folder, err);
}

// ---- the side of a snapshot ----

static json_t *metrics_rows(const tm_batch *metrics, size_t n)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) {
        tm_metric m = tm_metrics_get(metrics, i);
        json_array_append_new(rows,
                              json_pack("[I, s%, f]", (json_int_t)m.step, m.name.data, m.name.size, m.value));
    }
    return rows;
}

static json_t *tally_json(const fit_tally *t, json_t *rows)
{
    json_t *sums = json_array();
    for (int k = 0; k < TM_MEASURES; k++) json_array_append_new(sums, json_real(t->sums[k]));
    return json_pack("{s:o, s:I, s:f, s:I, s:I, s:o}", "sums", sums, "n_steps", (json_int_t)t->n_steps,
                     "best", t->best, "n_measured", (json_int_t)t->n_measured, "n_worse",
                     (json_int_t)t->n_worse, "metrics", rows);
}

static fit_tally tally_of(const json_t *json)
{
    fit_tally t = {.n_steps = json_integer_value(json_object_get(json, "n_steps")),
                   .best = json_number_value(json_object_get(json, "best")),
                   .n_measured = json_integer_value(json_object_get(json, "n_measured")),
                   .n_worse = json_integer_value(json_object_get(json, "n_worse"))};
    const json_t *sums = json_object_get(json, "sums");
    for (size_t k = 0; k < TM_MEASURES; k++) t.sums[k] = json_number_value(json_array_get(sums, k));
    return t;
}

// What going on needs besides the state: the tally and the rows since the last snapshot, with what was made
// of this step (`now`) and without (`before`), and what tm_fit_prefix asks for.
static json_t *side_of(const fit *f, bool put)
{
    json_t *now = tally_json(&f->tally, metrics_rows(f->metrics, put ? 0 : tm_batch_rows(f->metrics)));
    json_t *before = tally_json(&f->before, metrics_rows(f->metrics, f->before_rows));
    return json_pack("{s:o, s:o, s:b, s:b, s:b, s:I, s:I, s:I, s:I}", "now", now, "before", before, "stopped",
                     f->stopped, "ended", f->ended, "counted", f->counted, "epoch",
                     (json_int_t)tm_trainer_cursor(f->trainer).epoch, "epochs",
                     (json_int_t)fit_pack_options(f).epochs, "total", (json_int_t)f->schedule.total,
                     "checkpoint_every", (json_int_t)f->o->checkpoint_every);
}

static tm_status restore_rows(fit *f, const json_t *rows, tm_error *err)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        tm_metric m = {.step = json_integer_value(json_array_get(row, 0)),
                       .name = tm_view_str(json_string_value(json_array_get(row, 1))),
                       .value = json_number_value(json_array_get(row, 2)),
                       .error = NAN,
                       .count = 1};
        TM_TRY(tm_metrics_add(f->metrics, &m, err));
    }
    return TM_OK;
}

tm_status fit_restore_side(fit *f, const json_t *side, bool again, tm_error *err)
{
    const json_t *now = json_object_get(side, "now"), *before = json_object_get(side, "before");
    f->again = again;
    f->before = tally_of(before);
    f->tally = again ? f->before : tally_of(now);
    f->stopped = !again && json_is_true(json_object_get(side, "stopped"));
    f->ended = json_is_true(json_object_get(side, "ended"));
    f->has_entry = !again && !json_is_true(json_object_get(side, "kept"));
    f->before_rows = f->has_entry ? 0 : json_array_size(json_object_get(before, "metrics"));
    return restore_rows(f, json_object_get(again ? before : now, "metrics"), err);
}

// ---- snapshots ----

tm_status fit_put(fit *f, int64_t step, tm_error *err)
{
    char model[1024], state[1024];
    TM_TRY(write_model(f, model, sizeof model, err));
    TM_TRY(tm_work_scratch(f->work, state, sizeof state, err));
    TM_TRY(write_state(f, state, err));
    json_t *side = side_of(f, true);
    tm_batch *metrics = f->metrics;
    f->metrics = tm_work_batch(f->work, "metrics");
    tm_status status = tm_put(f->work, "metrics", metrics, err);
    if (status >= 0 && !f->metrics) status = tm_fail(err, TM_ENOMEM, "no memory for metrics");
    if (status < 0) {
        json_decref(side);
        return status;
    }
    f->has_entry = true;
    f->before_rows = 0;
    if ((uint64_t)step == tm_schedule_extends(&f->schedule)) tm_work_stays(f->work);
    return tm_put_tree(f->work, "", model, json_pack("{s:I}", "step", (json_int_t)step), state, side, err);
}

tm_status fit_keep(fit *f, int64_t step, tm_error *err)
{
    char folder[1024];
    TM_TRY(write_model(f, folder, sizeof folder, err));
    TM_TRY(write_state(f, folder, err));
    json_t *side = side_of(f, false);
    json_object_set_new(side, "kept", json_true());
    TM_TRY(tm_work_keep(f->work, folder, step, side, err));
    return tm_fail(err, TM_ESTOPPED, "stopped at step %lld", (long long)step);
}
