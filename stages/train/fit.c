// SPDX-License-Identifier: Apache-2.0
// The loop of training: steps, measures, snapshots, and the reasons to end.
#include "stages/train/fit.h"

#include <math.h>
#include <stdio.h>

#include "engine/select.h"
#include "stages/train/fit_internal.h"

// "nan" without the sign that it may have.
static const char *number_text(double value, int digits, char text[32])
{
    if (isnan(value))
        snprintf(text, 32, "nan");
    else
        snprintf(text, 32, "%.*g", digits, value);
    return text;
}

// "gradient norm 0.9, 41, inf; loss 3.2, 8.1, nan at steps 238, 239, 240; learning rate 0.01"
static void tell_steps(fit *f, const tm_step *bad, tm_error *err)
{
    char norms[120] = "", losses[120] = "", steps[120] = "", text[32], given[200] = "";
    if (bad->step > 1) fit_tell_given(f, bad, given, sizeof given);
    for (int i = 0; i <= TM_LAST_STEPS; i++) {
        const tm_step *s = i < TM_LAST_STEPS ? &f->last[i] : bad;
        size_t a = strlen(norms), b = strlen(losses), c = strlen(steps);
        if (!s->step) continue;
        snprintf(norms + a, sizeof norms - a, "%s%s", a ? ", " : "", number_text(s->grad_norm, 3, text));
        snprintf(losses + b, sizeof losses - b, "%s%s", b ? ", " : "", number_text(s->loss, 4, text));
        snprintf(steps + c, sizeof steps - c, "%s%llu", c ? ", " : "", (unsigned long long)s->step);
    }
    tm_why(err, "gradient norm %s; loss %s at step%s %s; learning rate %.3g%s", norms, losses,
           strchr(steps, ',') ? "s" : "", steps, bad->rate, given);
}

// At the very first step no learning rate is to blame.
static tm_status diverged(fit *f, const tm_step *s, tm_error *err)
{
    tm_fail(err, TM_EFAILED, "%s became %s at step %llu of %llu", isfinite(s->loss) ? "the gradient" : "loss",
            isnan(s->loss) || isnan(s->grad_norm) ? "NaN" : "infinite", (unsigned long long)s->step,
            (unsigned long long)f->schedule.total);
    tell_steps(f, s, err);
    if (s->step == 1) {
        tm_hint(err,
                "look at what it begins with: the weights that it is given have values that are no numbers");
        tm_error_class(err, "TM0411");
    } else {
        tm_hint(err, "a lower learning rate (lr is %.3g) or a longer warmup", f->schedule.peak);
        tm_error_class(err, "TM0412");
    }
    return TM_EFAILED;
}

static void remember(fit *f, const tm_step *s)
{
    memmove(f->last, f->last + 1, sizeof f->last - sizeof f->last[0]);
    f->last[TM_LAST_STEPS - 1] = *s;
}

static bool snapshot_due(const fit *f, uint64_t step)
{
    bool stable_ends = step == tm_schedule_extends(&f->schedule);
    return step % (uint64_t)f->o->checkpoint_every == 0 || stable_ends || step == f->schedule.total;
}

// Every ten steps, the means since the last time.
static tm_status add_train_metrics(fit *f, uint64_t step, tm_error *err)
{
    const char *const *measures = f->kind->objective->measures;
    fit_tally *t = &f->tally;
    if (step % 10 != 0 && step != f->schedule.total) return TM_OK;
    for (int k = 0; measures[k]; k++) {
        TM_TRY(fit_add_metric(f, (int64_t)step, "train", measures[k], t->sums[k] / (double)t->n_steps, err));
        t->sums[k] = 0;
    }
    t->n_steps = 0;
    return TM_OK;
}

// Compare with the best so far; whether it is better.
static bool watch(fit *f, double value)
{
    tm_stop_options stop = fit_stop(f->o);
    fit_tally *t = &f->tally;
    bool better = t->n_measured++ == 0 || tm_select_better(stop.metric, value, t->best);
    if (better) t->best = value;
    t->n_worse = better ? 0 : t->n_worse + 1;
    f->stopped = t->n_worse >= stop.patience;
    if (f->stopped)
        tm_work_log(f->work, "stopped: %s was not better than %.6g for %lld measures", stop.metric, t->best,
                    (long long)t->n_worse);
    return better;
}

// Whether the end of the data cuts the next step short: then this one is the last that a training with more
// epochs can go on from. Looked at once the batches depend on the data's end (a question that a resumed run
// answers in the same way), so that it never waits for a producer.
static tm_status look_ahead(fit *f, uint64_t step, bool *cut, tm_error *err)
{
    uint64_t epochs = fit_pack_options(f).epochs;
    uint32_t n = 0;
    *cut = false;
    bool end_seen = tm_trainer_cursor(f->trainer).horizon == UINT64_MAX;
    if (!epochs || !end_seen || step >= tm_schedule_extends(&f->schedule)) return TM_OK;
    TM_TRY(tm_trainer_draw(f->trainer, f->pack, &n, err));
    *cut = n > 0 && (n < f->accumulate || tm_pack_tell(f->pack).epoch >= epochs);
    return TM_OK;
}

// What is made of a step that was trained: measures, and a snapshot if one belongs there. A function of the
// options, the data and the tally alone: a run that goes on from another one's step does it again.
static tm_status make_of_step(fit *f, uint64_t step, tm_error *err)
{
    int64_t every = fit_valid_every(f->o);
    bool put = snapshot_due(f, step), measured = every && (int64_t)step % every == 0;
    bool cut;
    double watched = NAN;
    f->before = f->tally;
    f->before_rows = tm_batch_rows(f->metrics);
    TM_TRY(add_train_metrics(f, step, err));
    TM_TRY(look_ahead(f, step, &cut, err));
    put |= cut;
    if (put || measured) TM_TRY(fit_validate(f, (int64_t)step, &watched, err));
    if (f->o->stop && measured && isfinite(watched)) put = watch(f, watched) || f->stopped || put;
    if (cut) tm_work_stays(f->work);
    if (put) return fit_put(f, (int64_t)step, err);
    return tm_work_stopping(f->work) ? fit_keep(f, (int64_t)step, err) : TM_OK;
}

static tm_status after_step(fit *f, const tm_step *s, tm_error *err)
{
    f->has_entry = false;
    f->ended =
        s->n_batches < f->accumulate ||
        (fit_pack_options(f).epochs > 0 && tm_trainer_cursor(f->trainer).epoch >= fit_pack_options(f).epochs);
    for (int k = 0; f->kind->objective->measures[k]; k++) f->tally.sums[k] += s->means[k];
    f->tally.n_steps++;
    tm_work_amount(f->work, (double)(f->n_tokens += s->n_tokens), "tokens");
    tm_work_progress(f->work, (double)s->step, (double)f->schedule.total, "steps");
    return make_of_step(f, s->step, err);
}

// The data ended before the steps did: the last step has no snapshot yet.
static tm_status put_last(fit *f, tm_error *err)
{
    int64_t last = (int64_t)tm_trainer_steps(f->trainer);
    double watched = NAN;
    if (f->has_entry || last == 0) return TM_OK;
    int64_t every = fit_valid_every(f->o);
    if (!every || last % every != 0) TM_TRY(fit_validate(f, last, &watched, err));
    return fit_put(f, last, err);
}

static void report(const fit *f)
{
    tm_pack_cursor c = tm_trainer_cursor(f->trainer);
    if (!c.dropped) return;
    tm_work_log(f->work,
                "%llu texts longer than %lld tokens were left out or shortened, in all epochs together",
                (unsigned long long)c.dropped, (long long)f->length);
    tm_work_count(f->work, "overlong", (int64_t)c.dropped);
}

// Stopped while waiting for data, after steps that no snapshot has.
static bool waited(const fit *f)
{
    return tm_trainer_steps(f->trainer) > 0 && !f->has_entry;
}

static tm_status loop(fit *f, tm_error *err)
{
    tm_step s = {0};
    if (f->again) TM_TRY(make_of_step(f, tm_trainer_steps(f->trainer), err));
    while (!f->stopped && tm_trainer_steps(f->trainer) < f->schedule.total) {
        TM_TRY(tm_pool_resize(tm_device_pool(f->device), tm_work_cores(f->work), err));
        tm_error why = {0};
        tm_status status = tm_trainer_step(f->trainer, f->pack, &s, &why);
        if (status == TM_EFAILED) return diverged(f, &s, err);
        if (status == TM_ESTOPPED && waited(f))
            return fit_keep(f, (int64_t)tm_trainer_steps(f->trainer), err);
        if (status < 0 && err) *err = why;
        TM_TRY(status);
        if (status == TM_DONE) break;
        remember(f, &s);
        TM_TRY(after_step(f, &s, err));
    }
    report(f);
    return put_last(f, err);
}

tm_status tm_fit_run(tm_work *work, const tm_fit_kind *kind, const void *objective, tm_error *err)
{
    fit f = {.work = work, .kind = kind, .o = tm_work_options(work), .objective = objective};
    tm_status status = fit_open(&f, err);
    if (status >= 0) status = loop(&f, err);
    fit_close(&f);
    return status < 0 ? status : TM_OK;
}
