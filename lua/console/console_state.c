// SPDX-License-Identifier: Apache-2.0
// Nodes of a running run: progress, pace, memory, warnings.
#include "lua/console/console_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/called.h"
#include "engine/store_artifact.h"
#include "lua/cli/counts.h"
#include "lua/cli/process.h"
#include "lua/console/console_left.h"
#include "lua/console/console_sample.h"

#define LOOK_NS 1000000000     // between two looks at processes
#define POINTS 12              // of a pace, POINT_S apart
#define POINT_S 0.5
#define PACE_S 2.0             // no pace is told before so much time is seen

typedef enum { WAITING, RUNNING, SEALING, OVER } phase;

typedef struct point {
    double t, done, amount;
} point;

typedef struct tracked {
    phase phase;
    bool follows;      // another run makes it
    bool counted;      // from its entries: it tells no progress
    double done, total, amount;
    char unit[24], amount_unit[24];
    double loss;
    int64_t entries, remembered;
    int64_t in_entries;  // that its input will have; -1: not known
    point points[POINTS];
    size_t n_points;     // all there ever were
    uint64_t memory;
    int cores;
    double alone_s;      // when it was first seen in work with all its inputs over
} tracked;

struct tm_console_state {
    const tm_plan *plan;
    const tm_needs *needs;
    tm_console_part *parts;  // per group
    json_t *index;  // name -> place in the graph
    tracked *nodes;
    tm_console_view view;
    tm_console_sample *sample;
    int64_t start_ns, looked_ns;
};

// ---- small things ----

static double seconds(const tm_console_state *s)
{
    return (double)(tm_time_ns() - s->start_ns) * 1e-9;
}

static const char *str(const json_t *fields, const char *name)
{
    const char *text = json_string_value(json_object_get(fields, name));
    return text ? text : "";
}

static double num(const json_t *fields, const char *name)
{
    return json_number_value(json_object_get(fields, name));
}

static tracked *find(tm_console_state *s, const json_t *fields)
{
    const json_t *i = json_object_get(s->index, str(fields, "node"));
    return i ? &s->nodes[json_integer_value(i)] : NULL;
}

tm_console_state *tm_console_state_new(const tm_plan *plan, const tm_needs *needs)
{
    tm_console_state *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    size_t n = plan->graph->n_nodes;
    *s = (tm_console_state){
        .plan = plan, .needs = needs, .start_ns = tm_time_ns(), .index = json_object()};
    s->nodes = calloc(n + 1, sizeof *s->nodes);
    s->view.nodes = calloc(n + 1, sizeof *s->view.nodes);
    s->parts = calloc(plan->n_groups + 1, sizeof *s->parts);
    s->sample = tm_console_sample_new(plan);
    for (size_t i = 0; s->nodes && i < n; i++) {
        json_object_set_new(s->index, plan->graph->nodes[i]->name, json_integer((json_int_t)i));
        s->nodes[i].loss = NAN;
        s->nodes[i].in_entries = -1;
    }
    if (s->nodes && s->view.nodes && s->parts && s->sample) return s;
    tm_console_state_free(s);
    return NULL;
}

void tm_console_state_free(tm_console_state *s)
{
    if (!s) return;
    json_decref(s->index);
    free(s->nodes);
    free(s->view.nodes);
    free(s->parts);
    tm_console_sample_free(s->sample);
    free(s);
}

static void warn(tm_console_state *s, const char *node, const char *text)
{
    char(*w)[240] = s->view.warnings;
    tm_buf said = {0};
    tm_called_put(&said, text);
    memmove(w[1], w[0], sizeof *w * (TM_CONSOLE_WARNINGS - 1));
    snprintf(w[0], sizeof *w, "%s: %s", node, said.data ? said.data : text);
    tm_buf_clear(&said);
}

// ---- events ----

static void add_point(tracked *t, double now)
{
    const point *last = t->n_points ? &t->points[(t->n_points - 1) % POINTS] : NULL;
    if (last && now - last->t < POINT_S) return;
    t->points[t->n_points++ % POINTS] = (point){now, t->done, t->amount};
}

static void on_progress(tm_console_state *s, const json_t *f)
{
    tracked *t = find(s, f);
    if (!t) return;
    if (strcmp(t->unit, str(f, "unit")) != 0) t->n_points = 0;  // another part of its work
    t->counted = false;
    snprintf(t->unit, sizeof t->unit, "%s", str(f, "unit"));
    snprintf(t->amount_unit, sizeof t->amount_unit, "%s", str(f, "amount_unit"));
    t->done = num(f, "done");
    t->total = num(f, "total");
    t->amount = num(f, "amount");
    add_point(t, seconds(s));
}

static void on_entry(tm_console_state *s, const json_t *f)
{
    tracked *t = find(s, f);
    if (!t || str(f, "port")[0]) return;
    t->entries = (int64_t)num(f, "i") + 1;
    t->remembered += json_is_true(json_object_get(f, "remembered"));
}

// All nodes that the event speaks of.
static int set_phase(tm_console_state *s, const json_t *f, phase to)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(f, "nodes"), i, name)
    {
        const json_t *at = json_object_get(s->index, json_string_value(name));
        if (at) s->nodes[json_integer_value(at)].phase = to;
    }
    return (int)json_array_size(json_object_get(f, "nodes"));
}

// Entries that the main input will have, if its producers have ended.
static int64_t count_input(const tm_console_state *s, const tm_node *node)
{
    int64_t n = 0;
    for (size_t l = 0; l < node->n_links; l++) {
        const tm_link *link = &node->links[l];
        if (link->row != &node->stage->inputs[0]) continue;
        const tm_plan_node *from = tm_plan_canonical(s->plan, link->from);
        tm_artifact log = {0};
        const tm_type *type = tm_type_find(link->row->type);
        bool all = type && type->tree ? link->select.kind == TM_SELECT_EACH && link->select.every <= 1
                                      : !link->select.take;
        if (!from->known || !all ||
            tm_artifact_get(s->plan->store, from->outputs[link->out], &log, NULL) < 0)
            return -1;
        n += (int64_t)log.count;
        tm_artifact_clear(&log);
    }
    return n;
}

static void on_start(tm_console_state *s, const json_t *f)
{
    tracked *t = find(s, f);
    set_phase(s, f, RUNNING);
    if (!t) return;
    *t = (tracked){.phase = RUNNING, .loss = NAN, .in_entries = -1, .cores = 1};  // until it is looked at
}

static void on_sealed(tm_console_state *s, const json_t *f)
{
    const char *node, *name, *fault;
    json_t *counts, *n;
    char text[TM_COUNT_TEXT * 2], line[240];
    s->view.done += set_phase(s, f, OVER);
    json_object_foreach(json_object_get(f, "counts"), node, counts) json_object_foreach(counts, name, n)
    {
        if (!(fault = tm_count_fault(name, json_integer_value(n), text))) continue;
        snprintf(line, sizeof line, "%s (tidemill logs %.100s)", fault, node);
        warn(s, node, line);
    }
}

static void on_note(tm_console_state *s, const json_t *f)
{
    tracked *t = find(s, f);
    if (t && strcmp(str(f, "name"), "train.loss") == 0) t->loss = num(f, "value");
}

static void on_cached(tm_console_state *s, const json_t *f)
{
    int n = set_phase(s, f, OVER);
    s->view.done += n;
    s->view.cached += n;
}

static void on_died(tm_console_state *s, const json_t *f)
{
    char text[240];
    snprintf(text, sizeof text, "%s; again (%d)", str(f, "text"), (int)num(f, "attempt"));
    warn(s, str(f, "node"), text);
}

static void on_again(tm_console_state *s, const json_t *f)
{
    char text[240];
    snprintf(text, sizeof text, "%s; again", str(f, "text"));
    warn(s, str(f, "node"), text);
}

static void on_different(tm_console_state *s, const json_t *f)
{
    warn(s, str(f, "node"), "gave other bytes than recorded for the same inputs");
}

static void on_following(tm_console_state *s, const json_t *f)
{
    tracked *t = find(s, f);
    if (!t) return;
    t->phase = RUNNING;
    t->follows = true;
}

static void on_failed(tm_console_state *s, const json_t *f)
{
    s->view.failed += set_phase(s, f, OVER);
    warn(s, str(f, "node"), str(f, "text"));
}

static void on_skipped(tm_console_state *s, const json_t *f)
{
    set_phase(s, f, OVER);
}

static void on_sample(tm_console_state *s, const json_t *f)
{
    tm_console_sample_take(s->sample, f, s->view.sample_of, sizeof s->view.sample_of, s->view.sample,
                           sizeof s->view.sample);
}

static void on_stopping(tm_console_state *s, const json_t *f)
{
    s->view.stopping = (int)num(f, "times");
}

void tm_console_state_event(tm_console_state *s, const char *event, const json_t *fields)
{
    static const struct {
        const char *event;
        void (*take)(tm_console_state *s, const json_t *f);
    } table[] = {
        {"progress", on_progress}, {"entry", on_entry},         {"note", on_note},
        {"start", on_start},       {"sealed", on_sealed},       {"cached", on_cached},
        {"died", on_died},         {"again", on_again},         {"nondeterministic", on_different},
        {"failed", on_failed},     {"following", on_following}, {"skipped", on_skipped},
        {"stopping", on_stopping}, {"sample", on_sample},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].event, event) == 0) table[i].take(s, fields);
}

// ---- looking ----

static void look_at_workers(tm_console_state *s, const tm_run_now *now)
{
    tm_run_worker workers[64];
    size_t n = tm_run_workers(now, workers, 64);
    for (size_t i = 0; i < s->plan->graph->n_nodes; i++) s->nodes[i].cores = 0, s->nodes[i].memory = 0;
    for (size_t i = 0; i < n && i < 64; i++) {
        s->nodes[workers[i].node].cores += workers[i].cores;
        s->nodes[workers[i].node].memory += tm_process_memory(workers[i].pid);
    }
}

// Records that a chain of record-wise nodes has taken in: those it gave, and those that its steps removed.
static double records_of(const tm_console_state *s, const tm_run_now *now, const tm_group *group)
{
    double n = 0;
    for (int i = 0; i < group->n; i++) {
        const tm_stage *stage = s->plan->graph->nodes[group->nodes[i]]->stage;
        for (int port = 0; tm_stage_makes(stage, port); port++) {
            const tm_entry *entries;
            bool last = port == 0 && i + 1 == group->n;
            bool counts = last || strcmp(stage->outputs[port].name, "removed") == 0;
            size_t n_entries = tm_run_entries(now, group->nodes[i], port, &entries);
            for (size_t k = 0; counts && k < n_entries; k++) n += (double)entries[k].rows;
        }
    }
    return n;
}

// Of nodes that tell no progress: how many entries they gave, of how many, and the records in them.
static void count_group(tm_console_state *s, const tm_run_now *now, const tm_group *group, tracked *t)
{
    const tm_node *last = s->plan->graph->nodes[group->nodes[group->n - 1]];
    bool map = last->stage->map != NULL;
    const char *given = map ? last->stage->inputs[0].type : last->stage->outputs[0].type;
    const tm_type *type = tm_type_find(given);
    if (!type) return;
    if (t->in_entries < 0 && map) t->in_entries = count_input(s, s->plan->graph->nodes[group->nodes[0]]);
    t->counted = true;
    snprintf(t->unit, sizeof t->unit, "%ss", type->entry);
    if (!type->tree) snprintf(t->amount_unit, sizeof t->amount_unit, "%s",
                              strcmp(given, "documents") == 0 ? given : "records");
    t->done = (double)t->entries;
    t->total = t->in_entries > 0 ? (double)t->in_entries : 0;
    t->amount = records_of(s, now, group);
    add_point(t, seconds(s));
}

static void look_at_groups(tm_console_state *s, const tm_run_now *now)
{
    for (size_t i = 0; i < s->plan->n_groups; i++) {
        const tm_group *group = &s->plan->groups[i];
        tracked *t = &s->nodes[group->nodes[group->n - 1]];
        if (t->phase == RUNNING && (t->counted || !t->unit[0])) count_group(s, now, group, t);
    }
}

void tm_console_state_look(tm_console_state *s, const tm_run_now *now)
{
    int64_t t = tm_time_ns();
    tm_console_sample_look(s->sample, now, s->view.sample_of, sizeof s->view.sample_of, s->view.sample,
                           sizeof s->view.sample);
    if (t - s->looked_ns < LOOK_NS) return;
    s->looked_ns = t;
    look_at_workers(s, now);
    look_at_groups(s, now);
}

// ---- the picture ----

// Units per second between the oldest and the newest point.
static void pace(const tracked *t, double *rate, double *amount)
{
    *rate = *amount = NAN;
    if (t->n_points < 2) return;
    const point *last = &t->points[(t->n_points - 1) % POINTS];
    const point *first = t->n_points > POINTS ? &t->points[t->n_points % POINTS] : &t->points[0];
    if (last->t - first->t < PACE_S) return;
    *rate = (last->done - first->done) / (last->t - first->t);
    *amount = (last->amount - first->amount) / (last->t - first->t);
}

static void show_node(const tm_console_state *s, size_t i, tm_console_node *v)
{
    const tm_node *node = s->plan->graph->nodes[i];
    const tracked *t = &s->nodes[i];
    *v = (tm_console_node){.name = node->name, .working = t->cores > 0, .memory = t->memory,
                           .loss = t->loss, .done = t->done, .total = t->total > 0 ? t->total : NAN,
                           .cached = NAN, .left_s = NAN};
    snprintf(v->unit, sizeof v->unit, "%s", t->unit);
    snprintf(v->amount_unit, sizeof v->amount_unit, "%s", t->amount_unit);
    pace(t, &v->rate, &v->amount_rate);
    bool again = node->stage->map && !t->counted;  // its progress begins anew with every entry
    if (v->rate > 0 && v->total >= v->done && !again) v->left_s = (v->total - v->done) / v->rate;
    if (t->counted) v->rate = NAN;  // chunks a second tell nothing
    if (t->counted && (v->total > 0 ? v->total : v->done) == 1) v->unit[strlen(v->unit) - 1] = 0;
    if (t->remembered && t->entries) v->cached = (double)t->remembered / (double)t->entries;
    if (t->follows) v->doing = "another run is making it";
    else if (!v->working && v->done == 0) v->doing = "waits";
}

// Whether all that a group reads has been made.
static bool inputs_over(const tm_console_state *s, const tm_group *group)
{
    for (int k = 0; k < group->n; k++) {
        const tm_node *node = s->plan->graph->nodes[group->nodes[k]];
        for (size_t i = 0; i < node->n_links; i++) {
            int from = tm_plan_canonical(s->plan, node->links[i].from)->node->index;
            bool inside = k > 0 && from == group->nodes[k - 1];
            if (!inside && s->nodes[from].phase != OVER) return false;
        }
    }
    return true;
}

static double time_left(tm_console_state *s)
{
    double now = seconds(s);
    for (size_t i = 0; i < s->plan->n_groups; i++) {
        const tm_group *group = &s->plan->groups[i];
        tracked *t = &s->nodes[group->nodes[group->n - 1]];
        bool wanted = s->plan->nodes[group->nodes[group->n - 1]].wanted;
        tm_console_node shown = {.left_s = NAN};
        if (t->phase == RUNNING) show_node(s, (size_t)group->nodes[group->n - 1], &shown);
        if (t->phase == RUNNING && !t->alone_s && inputs_over(s, group)) t->alone_s = now;
        s->parts[i] = (tm_console_part){t->phase == OVER || !wanted, shown.left_s,
                                        t->alone_s ? now - t->alone_s : 0};
    }
    double left = tm_console_left(s->plan, s->needs, s->parts);
    return left < 1 ? NAN : left;
}

const tm_console_view *tm_console_state_view(tm_console_state *s)
{
    tm_console_view *v = &s->view;
    v->elapsed_s = seconds(s);
    v->n_nodes = 0;
    v->all = v->n_waiting = v->running = 0;
    for (size_t i = 0; i < s->plan->n_groups; i++) {
        const tm_group *group = &s->plan->groups[i];
        size_t last = (size_t)group->nodes[group->n - 1];
        phase p = s->nodes[last].phase;
        if (!s->plan->nodes[last].wanted) continue;
        v->all += group->n;
        if (p == WAITING) {
            if (v->n_waiting < 8) v->waiting[v->n_waiting] = s->plan->graph->nodes[last]->name;
            v->n_waiting++;
        }
        if (p != RUNNING) continue;
        v->running += group->n;
        show_node(s, last, &v->nodes[v->n_nodes++]);
    }
    v->left_s = time_left(s);
    return v;
}
