// SPDX-License-Identifier: Apache-2.0
// Estimates from earlier runs.
#include "lua/estimate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "engine/base/machine.h"
#include "engine/key.h"
#include "lua/cli/cli.h"
#include "lua/cli/counts.h"
#include "lua/past/past_list.h"

#define LOOKED_AT 24 // runs
#define MAX_SAMPLES 32
#define LIKE 4 // models that differ more in size tell nothing of each other: times do not grow evenly

// ---- sizes ----

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

// Weights of an architecture, as far as its options tell, or else the bytes of the model that goes in.
static double weights(const json_t *own, double main_bytes)
{
    const json_t *value = json_object_get(json_object_get(own, "values"), "");
    double width = number(value, "width"), layers = number(value, "layers");
    if (width > 0 && layers > 0) return 12 * layers * width * width;
    return main_bytes > 0 ? main_bytes : 1;
}

// What the bytes of a trainer's snapshots grow with: their number, and the shape of the model where that is
// an option. Tables of tokens grow with the width alone.
typedef struct extent {
    double snapshots, weights, width;
} extent;

static extent extent_of(const json_t *own)
{
    const json_t *options = json_object_get(own, "options");
    const json_t *value = json_object_get(json_object_get(own, "values"), "");
    double steps = number(options, "steps"), every = number(options, "checkpoint_every");
    double width = number(value, "width"), layers = number(value, "layers");
    return (extent){.snapshots = steps > 0 && every > 0 ? ceil(steps / every) : 1,
                    .weights = width > 0 && layers > 0 ? layers * width * width : 1,
                    .width = width > 0 ? width : 1};
}

// Of the two parts of a model the one that grows more.
static double extent_ratio(const extent *now, const extent *then)
{
    double weights = now->weights / then->weights, width = now->width / then->width;
    return now->snapshots / then->snapshots * (weights > width ? weights : width);
}

// Models and tokenizers, whose bytes are no measure of work beside the records that go in with them.
static bool is_tree(const char *type)
{
    const tm_type *row = tm_type_find(type);
    return row && row->tree;
}

static bool gives_tree(const char *name, const char *port)
{
    const tm_stage *stage = tm_stage_find(name);
    for (int i = 0; stage && i < TM_MAX_PORTS && stage->outputs[i].name; i++)
        if (strcmp(stage->outputs[i].name, port) == 0) return is_tree(stage->outputs[i].type);
    return false;
}

// What the time of a piece of work grows with; 0: not known. `data`: bytes of records besides the main input.
static double size_of(const tm_stage *stage, const json_t *own, double main_bytes, double data)
{
    const json_t *options = json_object_get(own, "options");
    double steps = number(options, "steps"), batch = number(options, "batch");
    double epochs = number(options, "epochs");
    if (batch > 0 && steps > 0) return steps * batch * weights(own, main_bytes);
    if (batch > 0) return (epochs > 0 ? epochs : 1) * data * weights(own, main_bytes);
    bool computes = stage->traits & TM_NUMERIC && strcmp(stage->inputs[0].type, "model") == 0;
    return computes && main_bytes > 0 && data > 0 ? main_bytes * data : main_bytes + data;
}

// Weights of the model that a piece of work has as its main input; 0: it works on something else.
static double model_of(const tm_stage *stage, const json_t *own, double main_bytes)
{
    const tm_port *port = &stage->inputs[0];
    return port->name && !port->name[0] && strcmp(port->type, "model") == 0 ? weights(own, main_bytes) : 0;
}

// How many records `:take(n)` lets through; 0: any number.
static double limit_of(const tm_stage *stage, const json_t *own)
{
    return strcmp(stage->name, "take") == 0 ? number(json_object_get(own, "options"), "n") : 0;
}

static const tm_past_node *by_recipe(const tm_past *past, const char *recipe)
{
    for (size_t i = 0; i < past->n_nodes; i++) {
        const char *of = json_string_value(json_object_get(past->nodes[i].plan, "recipe"));
        if (of && recipe && strcmp(of, recipe) == 0) return tm_past_work(past, &past->nodes[i]);
    }
    return NULL;
}

// `one`: of one snapshot where all go in. Where one is picked, it is always that one alone.
static double bytes_in(const tm_past *past, const tm_past_node *node, bool main, bool one)
{
    const char *port;
    json_t *input;
    double sum = 0;
    json_object_foreach(json_object_get(node->plan, "inputs"), port, input)
    {
        const tm_past_node *from = by_recipe(past, json_string_value(json_object_get(input, "recipe")));
        const char *out = json_string_value(json_object_get(input, "out"));
        const tm_past_port *p = from && out ? tm_past_port_of(from, out) : NULL;
        if (!p || !p->there || (port[0] == 0) != main || (!main && gives_tree(from->stage, out))) continue;
        bool each = json_object_get(json_object_get(input, "select"), "each") && !one;
        bool picks = gives_tree(from->stage, out) && !each && p->entries > 0;
        sum += (double)p->bytes / (picks ? (double)p->entries : 1);
    }
    return sum;
}

// ---- samples ----

typedef struct sample {
    tm_sure sure;
    double seconds, tail, size;
    int64_t memory, bytes, rows;
    extent extent;
    double done;  // the share of the work that these seconds are of
    double limit; // on the records that came out, by its options; 0: none
} sample;

// The part of an execution after the end of its inputs, in seconds.
static double tail_of(const tm_past *past, const tm_past_node *node)
{
    const tm_past_span *last = &node->spans[node->n_spans - 1];
    int64_t from = last->begin_ms;
    const char *port;
    json_t *input;
    json_object_foreach(json_object_get(node->plan, "inputs"), port, input)
    {
        const tm_past_node *in = by_recipe(past, json_string_value(json_object_get(input, "recipe")));
        const tm_past_span *span = in && in->n_spans ? &in->spans[in->n_spans - 1] : NULL;
        bool inside = span && span->begin_ms == last->begin_ms && span->end_ms == last->end_ms;
        if (span && !inside && span->end_ms > from) from = span->end_ms;
    }
    return from < last->end_ms ? (double)(last->end_ms - from) * 1e-3 : 0;
}

static tm_sure likeness(const char *graph, const tm_past *run, const tm_plan_node *p,
                        const tm_past_node *node)
{
    const char *path = json_string_value(json_object_get(run->record, "path"));
    bool same_node = path && strcmp(path, graph) == 0 && strcmp(node->name, p->node->name) == 0;
    bool same_work = tm_hash_eq(tm_key_own(json_object_get(node->plan, "own")), p->own);
    if (same_node) return same_work ? TM_SURE_SAME : TM_SURE_NODE;
    return same_work ? TM_SURE_OTHER : TM_SURE_STAGE;
}

// The share of its steps that it did itself: less than 1 where it went on from an earlier point; 0: not
// known, or too little to tell of the whole.
static double done_of(const tm_past_node *node)
{
    double from = (double)node->spans[node->n_spans - 1].resumed;
    double steps = number(json_object_get(json_object_get(node->plan, "own"), "options"), "steps");
    if (from < 0) return 1;
    return steps > 0 && steps - from >= 0.1 * steps ? (steps - from) / steps : 0;
}

static bool usable(const tm_plan_node *p, const tm_past_node *node)
{
    return strcmp(node->stage, p->node->stage->name) == 0 && node->seconds >= 0 && node->n_spans &&
           strcmp(node->state, "done") == 0 && !node->same && node->spans[node->n_spans - 1].end_ms >= 0 &&
           done_of(node) > 0 && 2 * node->remembered <= node->entries;
}

static bool other_size(const tm_plan_node *p, double model, const tm_past *run, const tm_past_node *node)
{
    double was = model_of(p->node->stage, json_object_get(node->plan, "own"),
                          bytes_in(run, node, true, true));
    return was > LIKE * model || model > LIKE * was;
}

// The likest executions, from the newest run on. `model`: weights of the model that goes in.
static size_t collect(const char *graph, const tm_plan_node *p, const tm_past_list *past, double model,
                      sample *samples)
{
    size_t n = 0;
    tm_sure best = TM_SURE_STAGE;
    for (size_t r = past->n; r-- > 0;) {
        const tm_past *run = &past->runs[r];
        if (json_is_true(json_object_get(run->record, "smoke")) != p->node->smoke) continue;
        for (size_t i = 0; i < run->n_nodes; i++) {
            const tm_past_node *node = &run->nodes[i];
            if (!usable(p, node) || (model > 0 && other_size(p, model, run, node))) continue;
            tm_sure sure = likeness(graph, run, p, node);
            if (sure < best || (sure == best && n == MAX_SAMPLES)) continue;
            if (sure > best) n = 0;
            best = sure;
            const tm_past_port *port = node->n_ports ? &node->ports[0] : NULL;
            samples[n++] = (sample){.sure = sure,
                                    .seconds = node->seconds,
                                    .tail = tail_of(run, node),
                                    .memory = node->memory,
                                    .extent = extent_of(json_object_get(node->plan, "own")),
                                    .done = done_of(node),
                                    .size = size_of(p->node->stage, json_object_get(node->plan, "own"),
                                                    bytes_in(run, node, true, false),
                                                    bytes_in(run, node, false, false)),
                                    .bytes = port && port->there ? port->bytes : node->bytes,
                                    .rows = port && port->there ? port->rows : node->rows,
                                    .limit = limit_of(p->node->stage, json_object_get(node->plan, "own"))};
        }
    }
    return n;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_number);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// `flows`: what comes out grows with what goes in, as records do and models do not: these by their extent.
static tm_estimate from_samples(const sample *samples, size_t n, double size, bool flows,
                                const json_t *own)
{
    extent now = extent_of(own);
    double seconds[MAX_SAMPLES], tails[MAX_SAMPLES], bytes[MAX_SAMPLES];
    tm_estimate e = {.sure = n ? samples[0].sure : TM_SURE_NONE, .runs = (int)n, .memory = -1, .bytes = -1};
    size_t with_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        double scale = size > 0 && samples[i].size > 0 ? size / samples[i].size : 1;
        seconds[i] = samples[i].seconds * scale / samples[i].done;
        tails[i] = samples[i].tail * scale / samples[i].done;
        double grown = flows ? scale : extent_ratio(&now, &samples[i].extent);
        if (samples[i].bytes >= 0) bytes[with_bytes++] = (double)samples[i].bytes * grown;
        if (samples[i].memory > e.memory) e.memory = samples[i].memory;
    }
    if (n) e.seconds = median(seconds, n);
    if (n) e.tail = median(tails, n);
    if (with_bytes) e.bytes = (int64_t)median(bytes, with_bytes);
    return e;
}

// Of what takes so many records and no more the bytes follow their number, up to all that there were.
static void limit_bytes(const sample *samples, size_t n, double limit, tm_estimate *e)
{
    double bytes[MAX_SAMPLES];
    size_t known = 0;
    for (size_t i = 0; limit > 0 && i < n; i++) {
        const sample *s = &samples[i];
        if (s->bytes < 0 || s->rows <= 0 || s->limit <= 0) continue;
        bool all = (double)s->rows < s->limit && limit > (double)s->rows;
        bytes[known++] = (double)s->bytes * (all ? 1 : limit / (double)s->rows);
    }
    if (known) e->bytes = (int64_t)median(bytes, known);
}

// ---- the plan ----

// Bytes at a link, as stored or as estimated; `one` as in bytes_in.
static double link_bytes(const tm_plan *plan, const tm_needs *needs, const tm_link *link, bool one)
{
    const tm_plan_node *from = tm_plan_canonical(plan, link->from);
    const tm_estimate *e = &needs->nodes[from->node->index];
    tm_artifact log = {0};
    double bytes = 0, entries = 1;
    if (from->known && tm_artifact_get(plan->store, from->outputs[link->out], &log, NULL) >= 0)
        bytes = (double)log.bytes, entries = (double)log.count;
    else if (!from->known && link->out == 0 && e->bytes > 0)
        bytes = (double)e->bytes, entries = extent_of(from->own_doc).snapshots;
    tm_artifact_clear(&log);
    bool picks = is_tree(link->row->type) && (one || link->select.kind != TM_SELECT_EACH);
    return picks && entries > 0 ? bytes / entries : bytes;
}

// Of a trainer that goes on from an earlier point: the share of its steps that is left.
static double left(const tm_plan_node *p)
{
    long long from = 0;
    double steps = number(p->node->options, "steps");
    if (sscanf(p->kind, "resume from %lld", &from) != 1 || steps <= 0) return 1;
    return steps > (double)from ? (steps - (double)from) / steps : 0;
}

static bool gives_records(const tm_plan_node *p)
{
    const tm_type *type = tm_type_find(p->node->stage->outputs[0].type);
    return type && !type->tree && strcmp(type->name, "metrics") != 0;
}

static void estimate_node(const tm_plan *plan, const char *graph, const tm_past_list *past,
                          const tm_group *group, tm_needs *needs)
{
    sample samples[MAX_SAMPLES];
    const tm_plan_node *p = &plan->nodes[group->nodes[group->n - 1]];
    const tm_node *first = plan->nodes[group->nodes[0]].node;
    double main_bytes = 0, data = 0, one = 0;
    for (size_t i = 0; i < first->n_links; i++) {
        const tm_link *link = &first->links[i];
        if (link->port[0] && is_tree(link->row->type)) continue;
        *(link->port[0] ? &data : &main_bytes) += link_bytes(plan, needs, link, false);
        if (!link->port[0]) one += link_bytes(plan, needs, link, true);
    }
    double model = group->n > 1 ? 0 : model_of(p->node->stage, p->own_doc, one);
    size_t n = collect(graph, p, past, model, samples);
    double size = group->n > 1 ? 0 : size_of(p->node->stage, p->own_doc, main_bytes, data);
    tm_estimate e = from_samples(samples, n, size, gives_records(p), p->own_doc);
    limit_bytes(samples, n, limit_of(p->node->stage, p->own_doc), &e);
    e.seconds *= left(p);
    e.tail *= left(p);
    needs->nodes[p->node->index] = e;
}

// What the inner nodes of a chain give is asked for by name too.
static void estimate_inner(const char *graph, const tm_past_list *past, const tm_plan_node *p,
                           tm_needs *needs)
{
    sample samples[MAX_SAMPLES];
    size_t n = collect(graph, p, past, 0, samples);
    tm_estimate e = from_samples(samples, n, 0, true, p->own_doc);
    limit_bytes(samples, n, limit_of(p->node->stage, p->own_doc), &e);
    needs->nodes[p->node->index] = (tm_estimate){.memory = -1, .bytes = e.bytes};
}

static void add_up(const tm_plan *plan, const tm_group *group, tm_needs *needs)
{
    const tm_plan_node *last = &plan->nodes[group->nodes[group->n - 1]];
    const tm_estimate *e = &needs->nodes[last->node->index];
    if (e->sure == TM_SURE_NONE) {
        needs->unknown++;
        return;
    }
    if (!needs->known++ || e->sure < needs->sure) needs->sure = e->sure;
    if (e->memory > needs->memory) needs->memory = e->memory;
    if (e->bytes > 0) needs->disk += e->bytes;
}

// When a group ends, by those before it: with all that may run, or without.
static double end_of(const tm_plan *plan, const tm_group *group, const tm_needs *needs, const double *ends,
                     bool all)
{
    double start = 0;
    for (int k = 0; k < group->n; k++) {
        const tm_node *node = plan->nodes[group->nodes[k]].node;
        for (size_t i = 0; i < node->n_links; i++) {
            double end = ends[tm_plan_canonical(plan, node->links[i].from)->node->index];
            if (end > start) start = end;
        }
    }
    bool counts = group->state == TM_RUN || (all && group->state == TM_MAYBE);
    int last = plan->nodes[group->nodes[group->n - 1]].node->index;
    return counts ? start + needs->nodes[last].tail : start;
}

// What a group takes by itself, whatever comes before it: the whole takes no less.
static double alone_of(const tm_plan *plan, const tm_group *group, const tm_needs *needs, bool all)
{
    bool counts = group->state == TM_RUN || (all && group->state == TM_MAYBE);
    return counts ? needs->nodes[plan->nodes[group->nodes[group->n - 1]].node->index].seconds : 0;
}

static double longest(const tm_plan *plan, const tm_needs *needs, bool all)
{
    double most = 0, *ends = tm_calloc(plan->graph->n_nodes + 1, sizeof *ends);
    for (size_t g = 0; ends && g < plan->n_groups; g++) {
        double end = end_of(plan, &plan->groups[g], needs, ends, all);
        for (int k = 0; k < plan->groups[g].n; k++)
            ends[plan->nodes[plan->groups[g].nodes[k]].node->index] = end;
        double alone = alone_of(plan, &plan->groups[g], needs, all);
        if (end > most) most = end;
        if (alone > most) most = alone;
    }
    tm_free(ends);
    return most;
}

static void measure_room(const char *home, tm_needs *needs)
{
    char path[TM_PATH_MAX];
    struct statvfs info;
    snprintf(path, sizeof path, "%s", home);
    while (path[0] && !tm_file_exists(path)) {
        char *slash = strrchr(path, '/');
        if (!slash)
            snprintf(path, sizeof path, ".");
        else
            slash[slash == path] = 0;
        if (!slash) break;
    }
    needs->memory_there = tm_machine_memory();
    needs->disk_free = statvfs(path, &info) ? -1 : (int64_t)info.f_bavail * (int64_t)info.f_frsize;
}

tm_status tm_needs_of(const tm_plan *plan, const char *home, tm_needs *needs, tm_error *err)
{
    tm_past_list past = {0};
    *needs = (tm_needs){.nodes = tm_calloc(plan->graph->n_nodes + 1, sizeof *needs->nodes), .memory = -1};
    if (!needs->nodes) return tm_fail(err, TM_ENOMEM, "no memory for estimates");
    char *graph = realpath(plan->graph->file, NULL);
    tm_status status = graph ? tm_past_list_read(plan->store, LOOKED_AT, &past, err)
                             : tm_fail_errno(err, "%s", plan->graph->file);
    if (status == TM_ENOENT) status = TM_OK; // a store that is to be made
    for (size_t g = 0; status >= 0 && g < plan->n_groups; g++) {
        const tm_group *group = &plan->groups[g];
        if (group->state == TM_CACHED || !plan->nodes[group->nodes[0]].wanted) continue;
        for (int k = 0; k + 1 < group->n; k++)
            estimate_inner(graph, &past, &plan->nodes[group->nodes[k]], needs);
        estimate_node(plan, graph, &past, group, needs);
        add_up(plan, group, needs);
    }
    tm_past_list_clear(&past);
    needs->least = longest(plan, needs, false);
    needs->most = longest(plan, needs, true);
    measure_room(home, needs);
    free(graph);
    if (status < 0) tm_needs_clear(needs);
    return status;
}

void tm_needs_clear(tm_needs *needs)
{
    tm_free(needs->nodes);
    needs->nodes = NULL;
}

// ---- saying it ----

json_t *tm_estimate_json(const tm_estimate *e)
{
    static const char *const names[] = {"unknown", "stage", "other", "node", "same"};
    if (e->sure == TM_SURE_NONE) return json_pack("{s:s}", "sure", names[0]);
    json_t *all =
        json_pack("{s:s, s:i, s:f}", "sure", names[e->sure], "runs", e->runs, "seconds", e->seconds);
    if (e->memory >= 0) json_object_set_new(all, "memory", json_integer(e->memory));
    if (e->bytes >= 0) json_object_set_new(all, "bytes", json_integer(e->bytes));
    return all;
}

json_t *tm_needs_json(const tm_needs *n)
{
    json_t *all = json_pack("{s:f, s:f, s:i, s:i, s:I, s:I}", "seconds", n->least, "seconds_most", n->most,
                            "known", n->known, "unknown", n->unknown, "disk", (json_int_t)n->disk,
                            "memory_there", (json_int_t)n->memory_there);
    if (n->memory >= 0) json_object_set_new(all, "memory", json_integer(n->memory));
    if (n->disk_free >= 0) json_object_set_new(all, "disk_free", json_integer(n->disk_free));
    return all;
}

bool tm_needs_too_much(const tm_needs *n, char *text, size_t size)
{
    char need[16], have[16];
    if (n->disk_free >= 0 && n->disk > n->disk_free) {
        snprintf(text, size, "it needs about %s of disk, and %s are free where the store is",
                 tm_size_text((uint64_t)n->disk, need), tm_size_text((uint64_t)n->disk_free, have));
        return true;
    }
    if (n->memory <= n->memory_there) return false;
    snprintf(text, size, "it needs %s of memory, and there are %s", tm_size_text((uint64_t)n->memory, need),
             tm_size_text((uint64_t)n->memory_there, have));
    return true;
}
