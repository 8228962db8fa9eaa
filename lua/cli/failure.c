// SPDX-License-Identifier: Apache-2.0
// The failure of a run as a diagnostic: its place from the graph, what is kept from journal and store.
#include "lua/cli/failure.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "engine/resume.h"
#include "engine/select.h"
#include "engine/store_log.h"
#include "lua/cli/again.h"
#include "lua/cli/emptied.h"
#include "lua/past/past.h"

enum { NAMES = 5 }; // of nodes that did not run

typedef struct text {
    char *to;
    size_t size;
} text;

__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...)
{
    size_t at = strlen(t->to);
    va_list args;
    va_start(args, format);
    vsnprintf(t->to + at, t->size - at, format, args);
    va_end(args);
}

// ---- what is kept ----

// A metric of this step, or NAN.
static double noted(const tm_past *past, const char *node, int64_t step, const char *name)
{
    const tm_past_node *found = tm_past_find(past, node);
    const tm_past_series *series = found ? tm_past_metric(found, name) : NULL;
    for (size_t i = series ? series->n : 0; i > 0; i--)
        if (series->steps[i - 1] == step) return series->values[i - 1];
    return NAN;
}

// The newest snapshot that a failed trainer can go on from.
static void add_snapshot(const tm_plan *plan, const tm_past *past, const tm_plan_node *p, text *t)
{
    tm_log *log = NULL;
    const tm_port *port = &p->node->stage->outputs[0];
    if (!p->node->stage->prefix || tm_log_open(plan->store, p->recipe, tm_port_file(port), &log, NULL) < 0)
        return;
    size_t n = tm_log_count(log);
    int64_t step = n ? tm_snapshot_step(plan->store, tm_log_entry(log, n - 1).hash) : 0;
    double loss = n ? noted(past, p->node->name, step, "valid.loss") : NAN;
    if (n) add(t, "%s@%lld", p->node->name, (long long)step);
    if (isfinite(loss)) add(t, " (valid.loss %.4g)", loss);
    if (n) add(t, ", ");
    tm_log_close(log);
}

static bool is_state(const tm_past *past, const char *name, const char *state)
{
    const tm_past_node *node = tm_past_find(past, name);
    return node && strcmp(tm_past_work(past, node)->state, state) == 0;
}

// How far it came. What the program put in between counts, but is not named.
static void add_nodes(const tm_plan *plan, const tm_past *past, text *t)
{
    size_t n = tm_plan_count(plan), there = 0, missing = 0, named = 0;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_node *node = plan->graph->nodes[i];
        if (!plan->nodes[i].wanted || plan->nodes[i].same != (int)i) continue;
        there += is_state(past, node->name, "done") || is_state(past, node->name, "cached");
    }
    if (there)
        add(t, "%zu of %zu nodes done", there, n);
    else
        add(t, "nothing was done yet");
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_node *node = plan->graph->nodes[i];
        if (!plan->nodes[i].wanted || plan->nodes[i].same != (int)i) continue;
        if (!is_state(past, node->name, "not run")) continue;
        missing++;
        if (node->inserted || named == NAMES) continue;
        add(t, "%s%s", named++ ? ", " : "; not run: ", node->name);
    }
    if (missing > named) add(t, "%s%zu more", named ? " and " : "; not run: ", missing - named);
}

static void tell_kept(const tm_plan *plan, const tm_run_result *result, const tm_plan_node *p,
                      const tm_past *past, tm_diag *d)
{
    text t = {d->kept, sizeof d->kept};
    if (p) add_snapshot(plan, past, p, &t);
    if (past->record) add_nodes(plan, past, &t);
}

// ---- where ----

// A stage written in Lua says itself where: "graph.lua:12: ..." becomes the place.
static const char *take_place(tm_diag *d, const char *what)
{
    const char *colon = strchr(what, ':');
    char *end = NULL;
    long line = colon && isdigit((unsigned char)colon[1]) ? strtol(colon + 1, &end, 10) : 0;
    if (line < 1 || !end || end[0] != ':' || colon - what >= (long)sizeof d->file) return what;
    snprintf(d->file, sizeof d->file, "%.*s", (int)(colon - what), what);
    d->line = (int)line;
    d->owner[0] = d->word[0] = 0;
    const char *open = strchr(end, '\''), *close = open ? strchr(open + 1, '\'') : NULL;
    if (close && close - open <= (long)sizeof d->word)
        snprintf(d->word, sizeof d->word, "%.*s", (int)(close - open - 1), open + 1);
    return end + 1 + (end[1] == ' ');
}

// ---- how to go on ----

// The parameter that gives the learning rate of a node, if the graph has one for it.
static const char *rate_parameter(const tm_plan *plan, const tm_node *node, double *rate)
{
    size_t i;
    json_t *param;
    *rate = json_number_value(json_object_get(node->options, "lr"));
    json_array_foreach(plan->graph->params, i, param)
    {
        const char *name = json_string_value(json_object_get(param, "name"));
        bool same = json_number_value(json_object_get(param, "value")) == *rate;
        if (*rate > 0 && name && strstr(name, "lr") && same) return name;
    }
    return NULL;
}

// What is to be done first, where the stage has no better word.
const char *tm_failure_remedy(const char *code)
{
    static const char *const table[][2] = {
        {"TM0302", "put the file in its place"},
        {"TM0304", "put a sound file in its place (fetch it again, compare the sizes)"},
        {"TM0305", "take one of a kind that is read"},
        {"TM0402", "take a smaller model, batch or length, or run fewer nodes at once (--cores 1)"},
        {"TM0415", "mend the program or its arguments"},
        {"TM0421", "see to what the system says"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i][0], code) == 0) return table[i][1];
    return "mend that";
}

static void tell_fix(const tm_plan *plan, const tm_node *node, const tm_error *err, const tm_cli *cli,
                     tm_diag *d)
{
    double rate = 0;
    char sets[200];
    const char *typed = cli->args[0];
    bool diverged = strcmp(d->code, "TM0412") == 0;
    const char *name = diverged && node ? rate_parameter(plan, node, &rate) : NULL;
    if (name)
        TM_DIAG(d->fix, "tidemill run %s%s --set %s=%.3g   (lr is %.3g), or a longer warmup", typed,
                tm_again_sets(cli, NULL, name, sets, sizeof sets), name, rate / 10, rate);
    else if (err->hint[0])
        TM_DIAG(d->fix, "%s", err->hint);
    else
        TM_DIAG(d->fix, "%s, then `tidemill run %s%s` again: it goes on with what is kept",
                tm_failure_remedy(d->code), typed, tm_again_sets(cli, NULL, NULL, sets, sizeof sets));
}

// Nothing to work on is seldom the fault of the node that says so.
static void tell_emptied(const tm_plan *plan, const char *run, const tm_node *node, tm_diag *d)
{
    char none[TM_EMPTIED_TEXT], look[256];
    const tm_plan_node *p = node ? tm_emptied_before(plan, node) : NULL;
    if (!p || strcmp(d->code, "TM0303") != 0) return;
    TM_DIAG(d->why, "%.190s: %s", p->node->name, tm_emptied_text(plan, p, none));
    TM_DIAG(d->fix, "mend %.190s: `%s` shows what became of its records", p->node->name,
            tm_emptied_look(p, run, look));
}

static tm_diag *tell_one(const tm_plan *plan, const char *run, const char *name, const tm_error *err,
                         const tm_cli *cli, tm_diags *diags)
{
    const tm_node *node = tm_graph_find(plan->graph, name);
    tm_diag *d = tm_diag_add(diags, "", node ? node->file : "", node ? node->line : 0);
    tm_diag_error(d, err);
    if (node) TM_DIAG(d->owner, "%s", tm_node_called(node));
    const char *what = strcmp(d->code, "TM0414") == 0 ? take_place(d, err->text) : err->text;
    if (name[0]) TM_DIAG(d->what, "%.150s: %.340s", name, what);
    tell_fix(plan, node, err, cli, d);
    tell_emptied(plan, run, node, d);
    if (name[0]) TM_DIAG(d->look, "tidemill logs %s:%.190s", run, name);
    return d;
}

// With --keep-going other nodes may have failed after the first.
static void tell_others(const tm_plan *plan, const tm_run_result *result, const tm_past *past,
                        const tm_cli *cli, tm_diags *diags)
{
    for (size_t i = 0; i < past->n_nodes; i++) {
        const json_t *failure = tm_past_own_failure(&past->nodes[i]);
        const char *in = json_string_value(json_object_get(failure, "in"));
        if (!in || strcmp(in, result->failed_node) == 0) continue;
        tm_error err = {0};
        tm_fail_as(&err, TM_EFAILED, json_string_value(json_object_get(failure, "code")), "%s",
                   json_string_value(json_object_get(failure, "text")));
        tm_why(&err, "%s", json_string_value(json_object_get(failure, "why")));
        tm_hint(&err, "%s", json_string_value(json_object_get(failure, "hint")));
        tell_one(plan, result->run, in, &err, cli, diags);
    }
}

void tm_failure_tell(const tm_plan *plan, const tm_run_result *result, const tm_error *err, const tm_cli *cli,
                     tm_diags *diags)
{
    const tm_node *node = tm_graph_find(plan->graph, result->failed_node);
    tm_past past;
    tm_past_read(plan->store, result->run, &past, NULL);  // without it less is told
    tm_diag *d = tell_one(plan, result->run, result->failed_node, err, cli, diags);
    tell_kept(plan, result, node ? &plan->nodes[node->index] : NULL, &past, d);
    tell_others(plan, result, &past, cli, diags);
    tm_past_clear(&past);
}
