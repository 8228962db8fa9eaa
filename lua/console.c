// SPDX-License-Identifier: Apache-2.0
// Progress of a run as plain lines.
#include "lua/console.h"

#include <stdio.h>
#include <stdlib.h>

#include "lua/runs.h"

#define LINE_NS 1000000000

struct tm_console {
    bool quiet;
    int64_t start_ns;
    int64_t *line_ns;  // per node, the last line
    double *loss;      // per node, the last loss noted
    const tm_plan *plan;
};

tm_console *tm_console_new(const tm_plan *plan, bool quiet)
{
    tm_console *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    *c = (tm_console){.quiet = quiet, .plan = plan, .start_ns = tm_time_ns()};
    c->line_ns = calloc(plan->graph->n_nodes + 1, sizeof *c->line_ns);
    c->loss = calloc(plan->graph->n_nodes + 1, sizeof *c->loss);
    if (c->line_ns && c->loss) return c;
    tm_console_free(c);
    return NULL;
}

void tm_console_free(tm_console *c)
{
    if (!c) return;
    free(c->line_ns);
    free(c->loss);
    free(c);
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

static void head(const tm_console *c, const char *node, const char *state)
{
    fprintf(stderr, "%7.1fs  %-24s %-9s ", (double)(tm_time_ns() - c->start_ns) * 1e-9, node, state);
}

static int node_index(const tm_console *c, const char *name)
{
    const tm_node *node = tm_graph_find(c->plan->graph, name);
    return node ? node->index : -1;
}

static void on_progress(tm_console *c, const json_t *f)
{
    int i = node_index(c, str(f, "node"));
    int64_t now = tm_time_ns();
    if (i < 0 || now - c->line_ns[i] < LINE_NS) return;
    c->line_ns[i] = now;
    head(c, str(f, "node"), "running");
    if (num(f, "total") > 0)
        fprintf(stderr, "%s %.0f of %.0f", str(f, "unit"), num(f, "done"), num(f, "total"));
    else fprintf(stderr, "%s %.0f", str(f, "unit"), num(f, "done"));
    if (c->loss[i] != 0) fprintf(stderr, "  loss %.3f", c->loss[i]);
    fputc('\n', stderr);
}

static void on_entry(tm_console *c, const json_t *f)
{
    int i = node_index(c, str(f, "node"));
    int64_t now = tm_time_ns();
    if (i < 0 || now - c->line_ns[i] < LINE_NS) return;
    c->line_ns[i] = now;
    head(c, str(f, "node"), "running");
    fprintf(stderr, "entry %.0f, %.0f records%s\n", num(f, "i") + 1, num(f, "rows"),
            json_is_true(json_object_get(f, "remembered")) ? " (remembered)" : "");
}

static void print_counts(const json_t *all)
{
    const char *node, *name;
    json_t *counts, *n;
    json_object_foreach((json_t *)all, node, counts) json_object_foreach(counts, name, n)
        fprintf(stderr, "%18s%s: %s %lld\n", "", node, name, (long long)json_integer_value(n));
}

static void on_sealed(tm_console *c, const json_t *f)
{
    head(c, str(f, "node"), "done");
    const tm_node *node = tm_graph_find(c->plan->graph, str(f, "node"));
    char made[96];
    fprintf(stderr, "%.1f s, %s\n", num(f, "seconds"),
            tm_made_text(node ? node->stage->name : NULL, f, made));
    print_counts(json_object_get(f, "counts"));
}

static void on_start(tm_console *c, const json_t *f)
{
    const json_t *resume = json_object_get(f, "resume");
    head(c, str(f, "node"), "start");
    size_t i;
    json_t *node;
    json_array_foreach(json_object_get(f, "nodes"), i, node) fprintf(
        stderr, "%s%s", i ? " > " : "", tm_graph_find(c->plan->graph, json_string_value(node))->stage->name);
    if (resume) fprintf(stderr, "  from step %lld", (long long)json_integer_value(resume));
    fputc('\n', stderr);
}

static void on_text(tm_console *c, const char *state, const char *text, const json_t *f)
{
    head(c, str(f, "node"), state);
    fprintf(stderr, "%s\n", text);
}

static void on_note(tm_console *c, const json_t *f)
{
    int i = node_index(c, str(f, "node"));
    if (i >= 0 && strcmp(str(f, "name"), "train.loss") == 0) c->loss[i] = num(f, "value");
    if (strcmp(str(f, "name"), "train.loss") == 0 || strncmp(str(f, "name"), "rate", 4) == 0) return;
    head(c, str(f, "node"), "step");
    fprintf(stderr, "%.0f  %s %.4f\n", num(f, "step"), str(f, "name"), num(f, "value"));
}

void tm_console_event(void *arg, const char *event, const json_t *f)
{
    tm_console *c = arg;
    if (!c || c->quiet) return;
    if (strcmp(event, "progress") == 0) on_progress(c, f);
    else if (strcmp(event, "entry") == 0) on_entry(c, f);
    else if (strcmp(event, "sealed") == 0) on_sealed(c, f);
    else if (strcmp(event, "start") == 0) on_start(c, f);
    else if (strcmp(event, "note") == 0) on_note(c, f);
    else if (strcmp(event, "log") == 0) on_text(c, "says", str(f, "text"), f);
    else if (strcmp(event, "died") == 0) on_text(c, "died", str(f, "text"), f);
    else if (strcmp(event, "again") == 0) on_text(c, "again", str(f, "text"), f);
    else if (strcmp(event, "following") == 0) on_text(c, "waits", "another run is making it", f);
    else if (strcmp(event, "nondeterministic") == 0)
        on_text(c, "warning", "gave other bytes than recorded for the same inputs", f);
    else if (strcmp(event, "kept") == 0) on_text(c, "kept", "a point to go on from", f);
}
