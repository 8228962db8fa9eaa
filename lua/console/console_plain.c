// SPDX-License-Identifier: Apache-2.0
// Events as lines.
#include "lua/console/console_plain.h"

#include <stdlib.h>

#include "lua/cli/cells.h"
#include "lua/cli/counts.h"

#define LINE_NS 1000000000
#define BURST 30LL // lines of measures that may come at once
#define PAD 24     // cells of a name at most

struct tm_console_plain {
    const tm_plan *plan;
    bool progress;
    int pad, longest; // cells of a name, of the longest one
    bool ascii, colour;
    int64_t start_ns;
    int64_t *line_ns;  // per node, the last line
    double *loss;      // per node, the last loss noted
    int64_t *step;     // per node, the last step whose measures have lines
};

tm_console_plain *tm_console_plain_new(const tm_plan *plan, bool progress)
{
    tm_console_plain *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    *c = (tm_console_plain){.plan = plan, .progress = progress, .pad = PAD, .start_ns = tm_time_ns()};
    for (size_t i = 0; i < plan->n_groups; i++) {
        const tm_group *group = &plan->groups[i];
        int size = (int)strlen(plan->graph->nodes[group->nodes[group->n - 1]]->name);
        if (size > c->longest && size <= PAD) c->longest = size;
    }
    c->line_ns = calloc(plan->graph->n_nodes + 1, sizeof *c->line_ns);
    c->loss = calloc(plan->graph->n_nodes + 1, sizeof *c->loss);
    c->step = calloc(plan->graph->n_nodes + 1, sizeof *c->step);
    if (c->line_ns && c->loss && c->step) return c;
    tm_console_plain_free(c);
    return NULL;
}

void tm_console_plain_free(tm_console_plain *c)
{
    if (!c) return;
    free(c->line_ns);
    free(c->loss);
    free(c->step);
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

void tm_console_plain_look(tm_console_plain *c, int width, bool utf8, bool colour)
{
    c->pad = width < 80 ? 0 : c->longest;
    c->ascii = !utf8;
    c->colour = colour;
}

static const char *colour_of(const char *state)
{
    static const char *const colours[][2] = {{"done", "32"},    {"step", "36"},  {"measured", "36"},
                                             {"died", "31"},    {"again", "33"}, {"warning", "33"},
                                             {"stopping", "33"}};
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strcmp(colours[i][0], state) == 0) return colours[i][1];
    return "2";
}

static void head(const tm_console_plain *c, const json_t *f, const char *state, tm_buf *out)
{
    double t = (double)(tm_time_ns() - c->start_ns) * 1e-9;
    if (c->pad) tm_buf_fmt(out, "%7.1fs  %-*s ", t, c->pad, str(f, "node"));
    else tm_buf_fmt(out, "%.1fs %s ", t, str(f, "node"));
    if (c->colour) tm_buf_fmt(out, "\033[%sm", colour_of(state));
    tm_buf_fmt(out, "%-*s", c->pad ? 9 : 0, state);
    tm_buf_str(out, c->colour ? "\033[0m " : " ");
}

// What a worker sent.
static void text(const tm_console_plain *c, const char *sent, tm_buf *out)
{
    tm_cells_clean(out, tm_view_str(sent), !c->ascii);
}

static const tm_node *node_of(const tm_console_plain *c, const json_t *f)
{
    return tm_graph_find(c->plan->graph, str(f, "node"));
}

// A node in work may have a line now.
static bool due(tm_console_plain *c, const tm_node *node)
{
    int64_t now = tm_time_ns();
    if (!c->progress || !node || now - c->line_ns[node->index] < LINE_NS) return false;
    c->line_ns[node->index] = now;
    return true;
}

static void on_progress(tm_console_plain *c, const json_t *f, tm_buf *out)
{
    const tm_node *node = c->progress ? node_of(c, f) : NULL;
    char unit[TM_COUNT_TEXT];
    if (!due(c, node)) return;
    head(c, f, "running", out);
    tm_buf_fmt(out, "%.0f", num(f, "done"));
    if (num(f, "total") > 0) tm_buf_fmt(out, " of %.0f", num(f, "total"));
    tm_buf_char(out, ' ');
    double n = num(f, "total") > 0 ? num(f, "total") : num(f, "done");
    text(c, tm_unit_text((int64_t)n, str(f, "unit"), unit), out);
    if (c->loss[node->index] != 0) tm_buf_fmt(out, "  loss %.3f", c->loss[node->index]);
    tm_buf_char(out, '\n');
}

// Of what a node is there for: "chunk 3: 210 records", "snapshot 2".
static void on_entry(tm_console_plain *c, const json_t *f, tm_buf *out)
{
    const tm_node *node = node_of(c, f);
    const tm_type *type = node ? tm_type_find(node->stage->outputs[0].type) : NULL;
    if (!c->progress || !type || str(f, "port")[0] || !due(c, node)) return;
    head(c, f, "running", out);
    tm_buf_fmt(out, "%s %.0f", type->entry, num(f, "i") + 1);
    if (!type->tree) tm_buf_fmt(out, ": %.0f record%s", num(f, "rows"), num(f, "rows") == 1 ? "" : "s");
    tm_buf_fmt(out, "%s\n",
               json_is_true(json_object_get(f, "remembered")) ? ", known from an earlier run" : "");
}

static void add_counts(const tm_console_plain *c, const json_t *all, tm_buf *out)
{
    const char *node, *name;
    json_t *counts, *n;
    json_object_foreach((json_t *)all, node, counts) json_object_foreach(counts, name, n)
    {
        tm_buf_fmt(out, "%18s%s: ", "", node);
        text(c, name, out);
        tm_buf_fmt(out, " %lld\n", (long long)json_integer_value(n));
    }
}

static json_int_t removed_by(const json_t *counts)
{
    const char *name;
    json_t *n;
    json_int_t sum = 0;
    json_object_foreach((json_t *)counts, name, n)
        if (strncmp(name, "removed.", 8) == 0) sum += json_integer_value(n);
    return sum;
}

// What the nodes of a group removed, each by its name unless it is the one that the line is about: "16
// removed", "removed: gopher 95, repetition 31".
static void add_removed(const tm_console_plain *c, const json_t *f, tm_buf *out)
{
    size_t i, n = 0;
    json_t *name;
    const json_t *counts = json_object_get(f, "counts");
    json_int_t own = removed_by(json_object_get(counts, str(f, "node")));
    tm_buf each = {0};
    json_array_foreach(json_object_get(f, "nodes"), i, name)
    {
        const tm_node *node = tm_graph_find(c->plan->graph, json_string_value(name));
        json_int_t removed = removed_by(json_object_get(counts, json_string_value(name)));
        if (!removed || !node) continue;
        tm_buf_fmt(&each, "%s%s %lld", n++ ? ", " : "", tm_node_called(node), (long long)removed);
    }
    if (n == 1 && own)
        tm_buf_fmt(out, "; %lld removed", (long long)own);
    else if (n && tm_buf_status(&each, NULL) >= 0)
        tm_buf_fmt(out, "; removed: %s", each.data);
    tm_buf_clear(&each);
}

static void on_sealed(tm_console_plain *c, const json_t *f, tm_buf *out)
{
    const tm_node *node = node_of(c, f);
    const json_t *counts = json_object_get(f, "counts");
    char made[96], took[TM_COUNT_TEXT];
    head(c, f, "done", out);
    tm_buf_fmt(out, "%s, %s", tm_duration_text(num(f, "seconds"), took),
               tm_made_text(node ? node->stage : NULL, f, made));
    if (!c->progress) add_removed(c, f, out);
    tm_buf_char(out, '\n');
    if (c->progress) add_counts(c, counts, out);
}

static void on_start(tm_console_plain *c, const json_t *f, tm_buf *out)
{
    const json_t *resume = json_object_get(f, "resume");
    size_t i;
    json_t *name;
    if (!c->progress && !resume) return;
    head(c, f, "start", out);
    json_array_foreach(json_object_get(f, "nodes"), i, name)
    {
        const tm_node *node = tm_graph_find(c->plan->graph, json_string_value(name));
        tm_buf_fmt(out, "%s%s", i ? " > " : "", node ? tm_node_called(node) : "?");
    }
    if (resume) tm_buf_fmt(out, "  from step %lld", (long long)json_integer_value(resume));
    tm_buf_char(out, '\n');
}

// In scrollback, of measures of many steps a second one step is enough; but a node with few steps has them
// all, however fast they come: `line_ns` runs behind by BURST lines at most, and each takes a second of that.
static bool crowded(tm_console_plain *c, int node, int64_t step)
{
    int64_t now = tm_time_ns(), last = c->line_ns[node];
    if (c->step[node] == step) return false;
    if (last < now - BURST * LINE_NS) last = now - BURST * LINE_NS;
    if (now - last < LINE_NS) return true;
    c->line_ns[node] = last + LINE_NS;
    c->step[node] = step;
    return false;
}

static void on_note(tm_console_plain *c, const json_t *f, tm_buf *out)
{
    const tm_node *node = node_of(c, f);
    bool loss = strcmp(str(f, "name"), "train.loss") == 0;
    if (node && loss) c->loss[node->index] = num(f, "value");
    if (loss || strncmp(str(f, "name"), "rate", 4) == 0) return;
    if (!c->progress && node && crowded(c, node->index, (int64_t)num(f, "step"))) return;
    bool judge = node && strcmp(node->stage->family, "judge") == 0; // what it judges need not have steps
    head(c, f, judge ? "measured" : "step", out);
    if (!judge) tm_buf_fmt(out, "%.0f  ", num(f, "step"));
    text(c, str(f, "name"), out);
    tm_buf_fmt(out, " %.4f", num(f, "value"));
    if (judge && num(f, "step") > 0) tm_buf_fmt(out, ", at step %.0f", num(f, "step"));
    tm_buf_char(out, '\n');
}

static void text_line(const tm_console_plain *c, const char *state, const char *sent, const json_t *f,
                      tm_buf *out)
{
    head(c, f, state, out);
    text(c, sent, out);
    tm_buf_char(out, '\n');
}

static void on_stopping(const tm_console_plain *c, const json_t *f, tm_buf *out)
{
    text_line(c, "stopping",
              num(f, "times") > 1 ? "kills the workers"
                                  : "saves what is trained so far; Ctrl-C again kills",
              f, out);
}

void tm_console_plain_event(tm_console_plain *c, const char *event, const json_t *f, tm_buf *out)
{
    if (strcmp(event, "progress") == 0) on_progress(c, f, out);
    else if (strcmp(event, "entry") == 0) on_entry(c, f, out);
    else if (strcmp(event, "sealed") == 0) on_sealed(c, f, out);
    else if (strcmp(event, "start") == 0) on_start(c, f, out);
    else if (strcmp(event, "note") == 0) on_note(c, f, out);
    else if (strcmp(event, "stopping") == 0) on_stopping(c, f, out);
    else if (strcmp(event, "log") == 0) text_line(c, "says", str(f, "text"), f, out);
    else if (strcmp(event, "died") == 0) text_line(c, "died", str(f, "text"), f, out);
    else if (strcmp(event, "again") == 0) text_line(c, "again", str(f, "text"), f, out);
    else if (strcmp(event, "following") == 0) text_line(c, "waits", "another run is making it", f, out);
    else if (strcmp(event, "nondeterministic") == 0)
        text_line(c, "warning", "gave other bytes than recorded for the same inputs", f, out);
    else if (strcmp(event, "kept") == 0) text_line(c, "kept", "a point to go on from", f, out);
}
