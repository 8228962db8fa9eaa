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
#include "lua/past/runs.h"

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

// The last value of a metric that the journal has for this step.
static double noted(const tm_plan *plan, const char *run, const char *node, int64_t step, const char *name)
{
    tm_journal_reader *reader = NULL;
    json_t *event;
    double value = NAN;
    if (tm_journal_reader_open(plan->store, run, &reader, NULL) < 0) return NAN;
    while (tm_journal_reader_next(reader, &event, NULL) == TM_OK) {
        const char *about = json_string_value(json_object_get(event, "node"));
        const char *metric = json_string_value(json_object_get(event, "name"));
        bool same = about && metric && strcmp(about, node) == 0 && strcmp(metric, name) == 0;
        if (same && json_integer_value(json_object_get(event, "step")) == step)
            value = json_number_value(json_object_get(event, "value"));
        json_decref(event);
    }
    tm_journal_reader_close(reader);
    return value;
}

// The newest snapshot that a failed trainer can go on from.
static void add_snapshot(const tm_plan *plan, const tm_run_result *result, const tm_plan_node *p, text *t)
{
    tm_log *log = NULL;
    const tm_port *port = &p->node->stage->outputs[0];
    if (!p->node->stage->prefix || tm_log_open(plan->store, p->recipe, tm_port_file(port), &log, NULL) < 0)
        return;
    size_t n = tm_log_count(log);
    int64_t step = n ? tm_snapshot_step(plan->store, tm_log_entry(log, n - 1).hash) : 0;
    double loss = n ? noted(plan, result->run, p->node->name, step, "valid.loss") : NAN;
    if (n) add(t, "%s@%lld", p->node->name, (long long)step);
    if (isfinite(loss)) add(t, " (valid.loss %.4g)", loss);
    if (n) add(t, ", ");
    tm_log_close(log);
}

static bool is_state(const tm_run_view *view, const char *name, const char *state)
{
    const char *is = json_string_value(json_object_get(json_object_get(view->nodes, name), "state"));
    return is && strcmp(is, state) == 0;
}

// Nodes that people know: what the program put in between is left out.
static void add_nodes(const tm_plan *plan, const tm_run_view *view, text *t)
{
    size_t n = 0, there = 0, missing = 0;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_node *node = plan->graph->nodes[i];
        if (node->inserted || !plan->nodes[i].wanted) continue;
        n++;
        there += is_state(view, node->name, "done") || is_state(view, node->name, "cached");
    }
    if (there)
        add(t, "%zu of %zu nodes done", there, n);
    else
        add(t, "nothing was done yet");
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_node *node = plan->graph->nodes[i];
        if (node->inserted || !is_state(view, node->name, "not run")) continue;
        if (missing++ < NAMES) add(t, "%s%s", missing == 1 ? "; not run: " : ", ", node->name);
    }
    if (missing > NAMES) add(t, " and %zu more", missing - NAMES);
}

static void tell_kept(const tm_plan *plan, const tm_run_result *result, const tm_plan_node *p,
                      const tm_run_view *view, tm_diag *d)
{
    text t = {d->kept, sizeof d->kept};
    if (p) add_snapshot(plan, result, p, &t);
    if (view->record) add_nodes(plan, view, &t);
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
static const char *remedy(const char *code)
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
        TM_DIAG(d->fix, "%s, then `tidemill run %s%s` again: it goes on with what is kept", remedy(d->code),
                typed, tm_again_sets(cli, NULL, NULL, sets, sizeof sets));
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
    if (name[0]) TM_DIAG(d->look, "tidemill logs %s:%.190s", run, name);
    return d;
}

// With --keep-going other nodes may have failed after the first.
static void tell_others(const tm_plan *plan, const tm_run_result *result, const tm_run_view *view,
                        const tm_cli *cli, tm_diags *diags)
{
    const char *name;
    json_t *node;
    json_object_foreach(view->nodes, name, node)
    {
        const json_t *failure = json_object_get(node, "failure");
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
    tm_run_view view;
    if (tm_run_view_read(plan->store, result->run, &view, NULL) < 0) view = (tm_run_view){0};
    tm_diag *d = tell_one(plan, result->run, result->failed_node, err, cli, diags);
    tell_kept(plan, result, node ? &plan->nodes[node->index] : NULL, &view, d);
    tell_others(plan, result, &view, cli, diags);
    tm_run_view_clear(&view);
}
