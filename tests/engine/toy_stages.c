// SPDX-License-Identifier: Apache-2.0
// Toy stages that exercise every shape of work the engine knows, with nothing behind them but counting.
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/stage.h"

static void nap(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

// A test decides how far a stage gets: item `i` is made when the number in the file `gate` is greater. Where
// that is not yet so, there is a file GATE.waits.
static void pass_gate(tm_work *work, const char *gate, int64_t i)
{
    char waits[1200];
    snprintf(waits, sizeof waits, "%s.waits", gate);
    while (gate[0] && !tm_work_stopping(work)) {
        long long open = 0;
        FILE *f = fopen(gate, "r");
        if (f && fscanf(f, "%lld", &open) != 1) open = 0;
        if (f) fclose(f);
        if (open > i) return;
        f = fopen(waits, "w");
        if (f) fclose(f);
        tm_work_cores(work);
        nap(2);
    }
}

static int64_t names_in(const char *folder)
{
    int64_t n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) n += entry->d_name[0] != '.';
    if (dir) closedir(dir);
    return n;
}

// Who gets here leaves its process id in the folder `meet`, and goes on when there are `of` names.
static void meet_others(tm_work *work, const char *meet, int64_t of)
{
    char path[1200];
    if (!meet[0]) return;
    snprintf(path, sizeof path, "%s/%d", meet, (int)getpid());
    mkdir(meet, 0777);
    FILE *f = fopen(path, "w");
    if (f) fclose(f);
    while (names_in(meet) < of && !tm_work_stopping(work)) nap(2);
}

static tm_status add_text(tm_batch *out, tm_view id, const char *text, tm_error *err)
{
    tm_doc doc = {.id = id, .text = tm_view_str(text), .source = tm_view_str("toy"), .meta = tm_view_str("")};
    return tm_docs_add(out, &doc, err);
}

// ---- numbers: a source; cuts chunks by content, where (seed + n) % cut == 0 ----

typedef struct numbers_options {
    int64_t from, to, cut, delay_ms, skip, width;
    const char *note, *gate;
} numbers_options;

static const tm_option numbers_table[] = {
    {"from", TM_OPT_INT, offsetof(numbers_options, from), "0", 0, 1e9, NULL, "first number", 0},
    {"to", TM_OPT_INT, offsetof(numbers_options, to), NULL, 0, 1e9, NULL, "behind the last number", 0},
    {"cut", TM_OPT_INT, offsetof(numbers_options, cut), "10", 1, 1e9, NULL, "cut behind multiples of this",
     0},
    {"skip", TM_OPT_INT, offsetof(numbers_options, skip), "-1", -1, 1e9, NULL, "leave this one out", 0},
    {"width", TM_OPT_INT, offsetof(numbers_options, width), "0", 0, 4000, NULL, "zeros before a number", 0},
    {"note", TM_OPT_STRING, offsetof(numbers_options, note), "\"\"", 0, 0, NULL,
     "changes the key, not the bytes", 0},
    {"delay_ms", TM_OPT_INT, offsetof(numbers_options, delay_ms), "0", 0, 1e6, NULL, "time per chunk",
     TM_OPT_NOKEY},
    {"gate", TM_OPT_STRING, offsetof(numbers_options, gate), "\"\"", 0, 0, NULL, "a file: how many chunks",
     TM_OPT_NOKEY},
    {0},
};

static tm_status numbers_run(tm_work *work, tm_error *err)
{
    const numbers_options *o = tm_work_options(work);
    tm_batch *out = NULL;
    int64_t chunks = 0;
    for (int64_t n = o->from; n < o->to; n++) {
        char text[4100], id[32];
        snprintf(text, sizeof text, "n%0*lld", (int)o->width, (long long)n);
        snprintf(id, sizeof id, "id%lld", (long long)n);
        if (tm_work_stopping(work)) {
            tm_batch_unref(out);
            return tm_fail(err, TM_ESTOPPED, "stopped");
        }
        if (!out) out = tm_work_batch(work, "");
        if (n != o->skip) TM_TRY(add_text(out, tm_view_str(id), text, err));
        if ((n + 1) % o->cut && n + 1 < o->to) continue;
        nap(o->delay_ms);
        pass_gate(work, o->gate, chunks++);
        TM_TRY(tm_put(work, "", out, err));
        out = NULL;
    }
    return TM_OK;
}

const tm_stage tm_stage_numbers = {
    .name = "numbers",
    .brief = "Numbers as documents.",
    .example = "tm.numbers { to = 10 }",
    .family = "read",
    .version = 1,
    .traits = TM_SOURCE,
    .outputs = {{"", "documents", 0, NULL, "numbers", NULL}},
    .options = numbers_table,
    .options_size = sizeof(numbers_options),
    .run = numbers_run,
};

// ---- mark: record-wise; adds a letter, drops what ends in `drop`; or fails on a text ----

typedef struct mark_options {
    const char *with, *drop, *fail, *meet;
    int64_t delay_ms, of;
} mark_options;

static const tm_option mark_table[] = {
    {"with", TM_OPT_STRING, offsetof(mark_options, with), "\"\"", 0, 0, NULL, "added to each text", 0},
    {"drop", TM_OPT_STRING, offsetof(mark_options, drop), "\"\"", 0, 0, NULL, "drop texts that end so", 0},
    {"fail", TM_OPT_STRING, offsetof(mark_options, fail), "\"\"", 0, 0, NULL,
     "fail at a text that contains this", 0},
    {"delay_ms", TM_OPT_INT, offsetof(mark_options, delay_ms), "0", 0, 1e6, NULL, "time per chunk",
     TM_OPT_NOKEY},
    {"meet", TM_OPT_STRING, offsetof(mark_options, meet), "\"\"", 0, 0, NULL, "a folder where workers meet",
     TM_OPT_NOKEY},
    {"of", TM_OPT_INT, offsetof(mark_options, of), "2", 1, 1e6, NULL, "how many must be there", TM_OPT_NOKEY},
    {0},
};

static bool ends_with(tm_view text, const char *end)
{
    size_t n = strlen(end);
    return n && text.size >= n && memcmp(text.data + text.size - n, end, n) == 0;
}

static tm_status mark_map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const mark_options *o = tm_work_options(work);
    meet_others(work, o->meet, o->of);
    nap(o->delay_ms);
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        tm_doc doc = tm_docs_get(in, row);
        char text[4200];
        if (o->fail[0] && memmem(doc.text.data, doc.text.size, o->fail, strlen(o->fail)))
            return tm_fail(err, TM_EFAILED, "the text %.*s is not wanted", (int)doc.text.size, doc.text.data);
        bool drop = ends_with(doc.text, o->drop);
        snprintf(text, sizeof text, "%.*s%s", (int)doc.text.size, doc.text.data, drop ? "" : o->with);
        if (drop) tm_work_count(work, "dropped", 1);
        TM_TRY(add_text(out[drop], doc.id, text, err));
    }
    return TM_OK;
}

const tm_stage tm_stage_mark = {
    .name = "mark",
    .brief = "Marks texts.",
    .example = "tm.mark { x, with = \"a\" }",
    .family = "curate",
    .version = 1,
    .traits = TM_STEP,
    .inputs = {{"", "documents", 0, NULL, "texts", NULL}},
    .outputs = {{"", "documents", 0, NULL, "marked", NULL},
                {"removed", "documents", 0, NULL, "dropped", NULL}},
    .options = mark_table,
    .options_size = sizeof(mark_options),
    .map = mark_map,
};

// ---- gather: a barrier; one document that says how many there were and a hash over them ----

typedef struct gather_options {
    int64_t modulo, delay_ms;
    const char *took;
} gather_options;

static const tm_option gather_table[] = {
    {"modulo", TM_OPT_INT, offsetof(gather_options, modulo), "1000000", 1, 1e9, NULL, "forget differences",
     0},
    {"delay_ms", TM_OPT_INT, offsetof(gather_options, delay_ms), "0", 0, 1e6, NULL, "time at the end",
     TM_OPT_NOKEY},
    {"took", TM_OPT_STRING, offsetof(gather_options, took), "\"\"", 0, 0, NULL,
     "a file that grows by a byte with each chunk", TM_OPT_NOKEY},
    {0},
};

static tm_status gather_run(tm_work *work, tm_error *err)
{
    const gather_options *o = tm_work_options(work);
    uint64_t n = 0, hash = 0;
    tm_batch *in;
    tm_status status;
    while ((status = tm_take(work, "", &in, err)) == TM_OK) {
        for (size_t row = 0; row < tm_batch_rows(in); row++, n++) {
            tm_doc doc = tm_docs_get(in, row);
            hash = tm_hash64(doc.text.data, doc.text.size, hash);
        }
        tm_batch_unref(in);
        FILE *f = o->took[0] ? fopen(o->took, "a") : NULL;
        if (f) fputc('x', f);
        if (f) fclose(f);
    }
    if (status < 0) return status;
    nap(o->delay_ms);
    char text[64];
    snprintf(text, sizeof text, "%llu", (unsigned long long)(hash % (uint64_t)o->modulo));
    tm_batch *out = tm_work_batch(work, "");
    TM_TRY(add_text(out, tm_view_str("sum"), text, err));
    (void)n;
    return tm_put(work, "", out, err);
}

const tm_stage tm_stage_gather = {
    .name = "gather",
    .brief = "Counts texts.",
    .example = "tm.gather { x }",
    .family = "curate",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "texts", NULL}},
    .outputs = {{"", "documents", 0, NULL, "the sum", NULL}},
    .options = gather_table,
    .options_size = sizeof(gather_options),
    .run = gather_run,
};

// ---- both: takes two inputs, the second one around a barrier ----

static tm_status both_run(tm_work *work, tm_error *err)
{
    tm_batch *in, *side;
    uint64_t seed = 0;
    tm_status status;
    while ((status = tm_take(work, "with", &side, err)) == TM_OK) {
        for (size_t row = 0; row < tm_batch_rows(side); row++)
            seed = tm_hash64(tm_docs_get(side, row).text.data, tm_docs_get(side, row).text.size, seed);
        tm_batch_unref(side);
    }
    TM_TRY(status);
    while ((status = tm_take(work, "", &in, err)) == TM_OK) {
        tm_batch *out = tm_work_batch(work, "");
        for (size_t row = 0; row < tm_batch_rows(in); row++) {
            char text[4300];
            tm_doc doc = tm_docs_get(in, row);
            snprintf(text, sizeof text, "%.*s/%llu", (int)doc.text.size, doc.text.data,
                     (unsigned long long)(seed % 1000));
            TM_TRY(add_text(out, doc.id, text, err));
        }
        tm_batch_unref(in);
        TM_TRY(tm_put(work, "", out, err));
    }
    return status < 0 ? status : TM_OK;
}

const tm_stage tm_stage_both = {
    .name = "both",
    .brief = "Joins.",
    .example = "tm.both { x, with = y }",
    .family = "curate",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "texts", NULL},
               {"with", "documents", 0, NULL, "a side input", NULL}},
    .outputs = {{"", "documents", 0, NULL, "joined", NULL}},
    .run = both_run,
};

// ---- learn: a trainer; its "weights" are a hash over the steps, each of which reads a record ----

typedef struct learn_options {
    int64_t steps, every, delay_ms, stable;
    const char *gate;
    const json_t *keep;
    double rate;
    bool decays;
} learn_options;

// `stable` ends a phase: the state of that step stays, for longer runs.
static const tm_option learn_table[] = {
    {"steps", TM_OPT_INT, offsetof(learn_options, steps), NULL, 1, 1e6, NULL, "how many", TM_OPT_EXTENDS},
    {"rate", TM_OPT_NUMBER, offsetof(learn_options, rate), "0.5", 0, 1, NULL, "a number", 0},
    {"decays", TM_OPT_BOOL, offsetof(learn_options, decays), "false", 0, 0, NULL, "the rate depends on steps",
     TM_OPT_EXTENDS},
    {"every", TM_OPT_INT, offsetof(learn_options, every), "10", 1, 1e6, NULL, "snapshots", TM_OPT_EXTENDS},
    {"keep", TM_OPT_VALUE, offsetof(learn_options, keep), "null", 0, 0, "keep", "whose bytes stay",
     TM_OPT_NOKEY},
    {"stable", TM_OPT_INT, offsetof(learn_options, stable), "0", 0, 1e6, NULL, "end of a phase",
     TM_OPT_NOKEY},
    {"delay_ms", TM_OPT_INT, offsetof(learn_options, delay_ms), "0", 0, 1e6, NULL, "time per step",
     TM_OPT_NOKEY},
    {"gate", TM_OPT_STRING, offsetof(learn_options, gate), "\"\"", 0, 0, NULL, "a file: how many steps",
     TM_OPT_NOKEY},
    {0},
};

static tm_status write_number(const char *folder, const char *name, uint64_t value, tm_error *err)
{
    char path[1200], text[32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(text, sizeof text, "%llu\n", (unsigned long long)value);
    return tm_file_write(path, text, strlen(text), false, err);
}

static tm_status read_number(const char *folder, const char *name, uint64_t *value, tm_error *err)
{
    char path[1200];
    tm_buf text = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    TM_TRY(tm_file_read(path, &text, err));
    *value = strtoull(text.data, NULL, 10);
    tm_buf_clear(&text);
    return TM_OK;
}

static tm_status learn_prefix(const tm_check *check, int64_t step, json_t *into, tm_error *err)
{
    const learn_options *o = check->options;
    if (step > o->steps) return tm_fail(err, TM_DONE, "it is beyond step %lld", (long long)o->steps);
    int64_t every = json_integer_value(json_object_get(check->side, "every"));
    if (every != o->every && (step > every || step > o->every))
        return tm_fail(err, TM_DONE, "its snapshots are not those of every %lld", (long long)o->every);
    if (o->decays) {
        json_object_set_new(into, "decay", json_integer(o->steps));
        tm_fail(err, TM_DONE, "the rate depends on steps");
    }
    json_object_set_new(into, "rate", json_real(o->rate));
    return TM_OK;
}

static tm_status learn_metric(tm_work *work, int64_t step, const char *name, uint64_t weights, tm_error *err)
{
    tm_batch *metrics = tm_work_batch(work, "metrics");
    tm_metric metric = {
        .step = step, .name = tm_view_str(name), .value = (double)(weights % 1000), .count = 1};
    TM_TRY(tm_metrics_add(metrics, &metric, err));
    return tm_put(work, "metrics", metrics, err);
}

// What was put of metrics since the snapshot before: [[step, weights]].
static void learn_remember(json_t *sevens, int64_t step, uint64_t weights)
{
    json_array_append_new(sevens, json_pack("[I, I]", (json_int_t)step, (json_int_t)(weights % 1000)));
}

static tm_status learn_save(tm_work *work, int64_t step, uint64_t weights, bool keep, json_t *sevens,
                            tm_error *err)
{
    const learn_options *o = tm_work_options(work);
    char model[1100], state[1100];
    TM_TRY(tm_work_scratch(work, state, sizeof state, err));
    TM_TRY(write_number(state, "state", weights, err));  // the same bytes as the model's file
    TM_TRY(write_number(state, "moments", ~weights, err));
    json_t *side = json_pack("{s:I, s:I, s:o}", "step", (json_int_t)step, "every", (json_int_t)o->every,
                             "sevens", json_deep_copy(sevens));
    json_object_set_new(side, "kept", json_boolean(keep));
    if (keep) return tm_work_keep(work, state, step, side, err);
    TM_TRY(tm_work_scratch(work, model, sizeof model, err));
    TM_TRY(write_number(model, "weights", weights, err));
    TM_TRY(learn_metric(work, step, "train.loss", weights, err));
    if (step == o->stable) tm_work_stays(work);
    json_array_clear(sevens);
    return tm_put_tree(work, "", model, json_pack("{s:I}", "step", (json_int_t)step), state, side, err);
}

// One record for a step, from the first chunk on, around and around; nothing where there are none.
static tm_status learn_record(tm_work *work, tm_batch **at, size_t *row, uint64_t *hash, tm_error *err)
{
    for (int ends = 0; !*at || *row == tm_batch_rows(*at);) {
        tm_batch_unref(*at);
        *at = NULL;
        *row = 0;
        tm_status status = tm_take(work, "data", at, err);
        if (status == TM_DONE && ++ends == 2) return TM_OK;
        if (status == TM_DONE) status = tm_rewind(work, "data", err);
        TM_TRY(status);
    }
    tm_doc doc = tm_docs_get(*at, (*row)++);
    *hash = tm_hash64(doc.text.data, doc.text.size, *hash);
    return TM_OK;
}

// Also while it waits for data: what is learned so far is kept.
static tm_status learn_stop(tm_work *work, tm_batch *at, int64_t step, uint64_t weights, json_t *sevens,
                            tm_error *err)
{
    tm_batch_unref(at);
    TM_TRY(learn_save(work, step, weights, true, sevens, err));
    return tm_fail(err, TM_ESTOPPED, "stopped at step %lld", (long long)step);
}

static bool learn_due(const learn_options *o, int64_t step)
{
    return step % o->every == 0 || step == o->steps;
}

// `sevens`: the metrics since the last snapshot, which are in the log unless they are to be put again.
static tm_status learn_goes_on(tm_work *work, const tm_resume *from, uint64_t weights, json_t *sevens,
                               tm_error *err)
{
    size_t i;
    json_t *seven;
    const json_t *side = from->side;
    bool kept = !from->again && json_is_true(json_object_get(side, "kept"));
    if (kept || from->again) json_array_extend(sevens, json_object_get(side, "sevens"));
    if (!from->again) return TM_OK;
    json_array_foreach(sevens, i, seven)
    {
        int64_t step = json_integer_value(json_array_get(seven, 0));
        uint64_t value = (uint64_t)json_integer_value(json_array_get(seven, 1));
        TM_TRY(learn_metric(work, step, "train.seven", value, err));
    }
    if (!learn_due(tm_work_options(work), from->step)) return TM_OK;
    return learn_save(work, from->step, weights, false, sevens, err);
}

static tm_status learn_steps(tm_work *work, json_t *sevens, tm_error *err)
{
    const learn_options *o = tm_work_options(work);
    tm_resume resume;
    tm_batch *at = NULL;
    size_t row = 0;
    uint64_t weights = 1, unused = 0;
    int64_t step = 0;
    tm_status status = tm_work_resume(work, &resume, err);
    TM_TRY(status);
    if (status == TM_OK) {
        step = resume.step;
        TM_TRY(read_number(resume.state, "state", &weights, err));
        for (int64_t i = 0; i < step; i++) TM_TRY(learn_record(work, &at, &row, &unused, err));
        TM_TRY(learn_goes_on(work, &resume, weights, sevens, err));
    }
    tm_work_log(work, "start at step %lld", (long long)step);
    while (step < o->steps) {
        double rate = o->decays ? o->rate * (1 - (double)step / (double)o->steps) : o->rate;
        tm_status got = learn_record(work, &at, &row, &weights, err);
        if (got == TM_ESTOPPED) return learn_stop(work, at, step, weights, sevens, err);
        TM_TRY(got);
        weights = tm_hash64(&rate, sizeof rate, weights);
        nap(o->delay_ms);
        pass_gate(work, o->gate, step++);
        if (step % 7 == 0) {
            learn_remember(sevens, step, weights);
            TM_TRY(learn_metric(work, step, "train.seven", weights, err));
        }
        if (learn_due(o, step)) TM_TRY(learn_save(work, step, weights, false, sevens, err));
        else if (tm_work_stopping(work)) return learn_stop(work, at, step, weights, sevens, err);
        tm_work_cores(work);
        tm_work_progress(work, (double)step, (double)o->steps, "step");
    }
    tm_batch_unref(at);
    return TM_OK;
}

static tm_status learn_run(tm_work *work, tm_error *err)
{
    json_t *sevens = json_array();
    tm_status status = learn_steps(work, sevens, err);
    json_decref(sevens);
    return status;
}

const tm_stage tm_stage_learn = {
    .name = "learn",
    .brief = "A toy trainer.",
    .example = "tm.learn { data = x, steps = 10 }",
    .family = "train",
    .version = 1,
    .traits = TM_ELASTIC,
    .inputs = {{"data", "documents", 0, NULL, "texts", NULL}},
    .outputs = {{"", "model", 0, NULL, "weights", NULL}, {"metrics", "metrics", 0, NULL, "losses", NULL}},
    .options = learn_table,
    .options_size = sizeof(learn_options),
    .prefix = learn_prefix,
    .run = learn_run,
};

// ---- score: record-wise over snapshots ----

typedef struct score_options {
    int64_t delay_ms, bonus;
} score_options;

static const tm_option score_table[] = {
    {"bonus", TM_OPT_INT, offsetof(score_options, bonus), "0", 0, 1e6, NULL, "added to every score", 0},
    {"delay_ms", TM_OPT_INT, offsetof(score_options, delay_ms), "0", 0, 1e6, NULL, "time per snapshot",
     TM_OPT_NOKEY},
    {0},
};

static tm_status score_map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const tm_snapshot *snapshot = tm_work_snapshot(work);
    uint64_t weights;
    (void)in;
    const score_options *o = tm_work_options(work);
    nap(o->delay_ms);
    TM_TRY(read_number(snapshot->folder, "weights", &weights, err));
    tm_metric metric = {.step = json_integer_value(json_object_get(snapshot->attrs, "step")),
                        .name = tm_view_str("score"),
                        .value = (double)(weights % 97) + (double)o->bonus,
                        .count = 1};
    return tm_metrics_add(out[0], &metric, err);
}

const tm_stage tm_stage_score = {
    .name = "score",
    .brief = "Scores snapshots.",
    .example = "tm.score { m:each {} }",
    .family = "judge",
    .version = 1,
    .inputs = {{"", "model", 0, NULL, "models", NULL}},
    .outputs = {{"", "metrics", 0, NULL, "scores", NULL}},
    .options = score_table,
    .options_size = sizeof(score_options),
    .map = score_map,
};

// ---- crash: dies at the text n25, as often as it is told; crash_run is the same with a loop of its own ----

typedef struct crash_options {
    const char *how, *marks, *gate;
    int64_t times, delay_ms;
    bool drift;
} crash_options;

static const tm_option crash_table[] = {
    {"how", TM_OPT_CHOICE, offsetof(crash_options, how), NULL, 0, 0, "kill abort exit", "the way to die", 0},
    {"marks", TM_OPT_PATH, offsetof(crash_options, marks), NULL, 0, 0, NULL, "a file that counts deaths", 0},
    {"times", TM_OPT_INT, offsetof(crash_options, times), NULL, 0, 1e6, NULL, "how often", 0},
    {"delay_ms", TM_OPT_INT, offsetof(crash_options, delay_ms), "0", 0, 1e6, NULL, "time per chunk",
     TM_OPT_NOKEY},
    {"gate", TM_OPT_STRING, offsetof(crash_options, gate), "\"\"", 0, 0, NULL, "a file: how many chunks",
     TM_OPT_NOKEY},
    {"drift", TM_OPT_BOOL, offsetof(crash_options, drift), "false", 0, 0, NULL,
     "after a death give other texts", 0},
    {0},
};

static void die_if_told(const crash_options *o)
{
    FILE *f = fopen(o->marks, "a");
    long deaths = f ? ftell(f) : 0;
    if (f && deaths < o->times) fputc('x', f);
    if (f) fclose(f);
    if (!f || deaths >= o->times) return;
    if (strcmp(o->how, "kill") == 0) raise(SIGKILL);
    if (strcmp(o->how, "exit") == 0) _exit(7);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static tm_status crash_map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        tm_doc doc = tm_docs_get(in, row);
        if (tm_view_eq(doc.text, tm_view_str("n25"))) die_if_told(tm_work_options(work));
        TM_TRY(tm_docs_add(out[0], &doc, err));
    }
    return TM_OK;
}

// Texts that no run before the first death would have given.
static tm_status drifted(const tm_batch *in, tm_batch *out, tm_error *err)
{
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        char text[64];
        tm_doc doc = tm_docs_get(in, row);
        snprintf(text, sizeof text, "%.*s!", (int)doc.text.size, doc.text.data);
        TM_TRY(add_text(out, doc.id, text, err));
    }
    return TM_OK;
}

static tm_status crash_run(tm_work *work, tm_error *err)
{
    const crash_options *o = tm_work_options(work);
    tm_batch *in;
    tm_status status;
    bool drifts = o->drift && access(o->marks, F_OK) == 0;
    for (int chunk = 0; (status = tm_take(work, "", &in, err)) == TM_OK; chunk++) {
        tm_batch *out = tm_work_batch(work, "");
        nap(o->delay_ms);
        pass_gate(work, o->gate, chunk);
        status = drifts && chunk ? drifted(in, out, err) : crash_map(work, in, &out, err);
        tm_batch_unref(in);
        TM_TRY(status);
        TM_TRY(tm_put(work, "", out, err));
    }
    return status < 0 ? status : TM_OK;
}

const tm_stage tm_stage_crash = {
    .name = "crash",
    .brief = "Dies.",
    .example = "tm.crash { x, how = \"kill\" }",
    .family = "curate",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "texts", NULL}},
    .outputs = {{"", "documents", 0, NULL, "texts", NULL}},
    .options = crash_table,
    .options_size = sizeof(crash_options),
    .map = crash_map,
};

const tm_stage tm_stage_crash_run = {
    .name = "crash_run",
    .brief = "Dies.",
    .example = "tm.crash_run { x, how = \"kill\" }",
    .family = "curate",
    .version = 1,
    .inputs = {{"", "documents", 0, NULL, "texts", NULL}},
    .outputs = {{"", "documents", 0, NULL, "texts", NULL}},
    .options = crash_table,
    .options_size = sizeof(crash_options),
    .run = crash_run,
};

extern const tm_stage tm_stage_align, tm_stage_teach, tm_stage_to_pairs, tm_stage_to_scored, tm_stage_vocab;

const tm_stage *const tm_stages[] = {
    &tm_stage_align,    &tm_stage_both,      &tm_stage_crash, &tm_stage_crash_run, &tm_stage_gather,
    &tm_stage_learn,    &tm_stage_mark,      &tm_stage_numbers, &tm_stage_score,   &tm_stage_teach,
    &tm_stage_to_pairs, &tm_stage_to_scored, &tm_stage_vocab, NULL,
};
extern const tm_value tm_value_keep;  // the real one
const tm_value *const tm_values[] = {&tm_value_keep, NULL};
