// SPDX-License-Identifier: Apache-2.0
// Two runs side by side.
#include "lua/past/diff_runs.h"

#include <math.h>
#include <stdio.h>

#include "lua/cli/edit.h"
#include "lua/lock/git.h"
#include "lua/past/differ.h"
#include "lua/past/fact.h"
#include "lua/past/graph_name.h"

static json_t *pair(json_t *x, json_t *y) // steals
{
    return json_pack("[o, o]", x ? x : json_null(), y ? y : json_null());
}

static json_t *of_run(const tm_past *p)
{
    return json_pack("{s:s, s:s, s:s?, s:O, s:O?, s:s, s:I}", "run", p->run, "status", tm_past_status(p),
                     "note", p->note, "tags", p->tags, "graph", json_object_get(p->record, "graph"), "path",
                     tm_graph_path(p->record), "started", (json_int_t)p->start_ms);
}

// ---- parameters ----

static json_t *values_of(const tm_past *p)
{
    size_t i;
    json_t *param, *all = json_object();
    json_array_foreach(json_object_get(p->record, "params"), i, param) json_object_set(
        all, json_string_value(json_object_get(param, "name")), json_object_get(param, "value"));
    return all;
}

// Names of both, and what each has under them where that differs.
static json_t *differing(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value, *out = json_object();
    json_object_foreach((json_t *)b, name, value)
    {
        json_t *old = json_object_get(a, name);
        if (!old || !json_equal(old, value))
            json_object_set_new(out, name, pair(json_incref(old), json_incref(value)));
    }
    json_object_foreach((json_t *)a, name, value) if (!json_object_get(b, name))
        json_object_set_new(out, name, pair(json_incref(value), NULL));
    return out;
}

static json_t *diff_params(const tm_past *a, const tm_past *b)
{
    json_t *x = values_of(a), *y = values_of(b), *out = differing(x, y);
    json_decref(x);
    json_decref(y);
    return out;
}

// ---- code ----

static json_t *hashes_of(const tm_past *p)
{
    size_t i;
    json_t *file, *all = json_object();
    json_array_foreach(json_object_get(p->record, "files"), i, file)
        json_object_set(all, json_string_value(json_object_get(file, "path")), json_object_get(file, "hash"));
    return all;
}

static const char *text_of(const tm_past *p, const char *path)
{
    return json_string_value(json_object_get(json_object_get(p->record, "texts"), path));
}

static void add_lines(json_t *code, const char *before, const char *after)
{
    tm_edit *edits;
    size_t n;
    int counts[3] = {0};
    json_t *lines = json_array();
    if (tm_edit_texts(tm_view_str(before), tm_view_str(after), false, &edits, &n, NULL) < 0) n = 0;
    for (size_t i = 0; i < n; i++) {
        tm_view piece = edits[i].piece;
        counts[edits[i].kind]++;
        if (edits[i].kind == TM_EDIT_SAME) continue;
        while (piece.size && (piece.data[piece.size - 1] == '\n' || piece.data[piece.size - 1] == '\r'))
            piece.size--;
        json_array_append_new(lines,
                              json_pack("{s:s, s:I, s:s%}", "kind", edits[i].kind == TM_EDIT_IN ? "+" : "-",
                                        "line", (json_int_t)edits[i].line, "text", piece.data, piece.size));
    }
    tm_free(edits);
    json_object_set_new(code, "added", json_integer(counts[TM_EDIT_IN]));
    json_object_set_new(code, "removed", json_integer(counts[TM_EDIT_OUT]));
    json_object_set_new(code, "lines", lines);
}

static json_t *diff_code(const tm_past *a, const tm_past *b)
{
    const char *path;
    json_t *hashes, *x = hashes_of(a), *y = hashes_of(b), *changed = differing(x, y), *out = json_object();
    json_object_foreach(changed, path, hashes)
    {
        const char *before = text_of(a, path), *after = text_of(b, path);
        json_t *code = json_pack("{s:O}", "hashes", hashes);
        if (before && after) add_lines(code, before, after);
        json_object_set_new(out, path, code);
    }
    json_decref(x);
    json_decref(y);
    json_decref(changed);
    return out;
}

// ---- nodes ----

static void diff_node(const tm_past_node *x, const tm_past_node *y, json_t *inputs, json_t *changed)
{
    size_t i;
    json_t *one, *rest = json_array();
    json_t *all = tm_differ_own(json_object_get(x->plan, "own"), json_object_get(y->plan, "own"));
    json_array_foreach(all, i, one)
    {
        bool files = strcmp(json_string_value(json_object_get(one, "field")), "files") == 0;
        if (files)
            json_object_set(inputs, y->name, one);
        else
            json_array_append(rest, one);
    }
    if (json_array_size(rest)) json_object_set(changed, y->name, rest);
    json_decref(rest);
    json_decref(all);
}

static int64_t rows_of(const tm_past *p, const tm_past_node *node)
{
    return tm_past_work(p, node)->rows;
}

static void diff_nodes(const tm_past *a, const tm_past *b, json_t *out)
{
    json_t *added = json_array(), *removed = json_array(), *changed = json_object();
    json_t *inputs = json_object(), *records = json_object();
    for (size_t i = 0; i < b->n_nodes; i++) {
        const tm_past_node *y = &b->nodes[i], *x = tm_past_find(a, y->name);
        if (!x) {
            json_array_append_new(added, json_string(y->name));
            continue;
        }
        diff_node(x, y, inputs, changed);
        int64_t n = rows_of(a, x), m = rows_of(b, y);
        if (n >= 0 && m >= 0 && n != m && tm_past_gives_records(y))
            json_object_set_new(records, y->name, pair(json_integer(n), json_integer(m)));
    }
    for (size_t i = 0; i < a->n_nodes; i++)
        if (!tm_past_find(b, a->nodes[i].name)) json_array_append_new(removed, json_string(a->nodes[i].name));
    json_object_set_new(out, "inputs", inputs);
    json_object_set_new(out, "records", records);
    json_object_set_new(out, "nodes",
                        json_pack("{s:o, s:o, s:o}", "added", added, "removed", removed, "changed", changed));
}

// ---- metrics ----

static json_t *value_of(const tm_past_series *s)
{
    if (!s) return json_null();
    return json_pack("{s:o, s:o*, s:I}", "value", tm_number_json(s->values[s->n - 1]), "error",
                     json_real(s->errors[s->n - 1]), "step", (json_int_t)s->steps[s->n - 1]);
}

static json_t *diff_metric(const tm_past_series *x, const tm_past_series *y)
{
    json_t *out = json_pack("{s:o, s:o}", "before", value_of(x), "after", value_of(y));
    if (!x || !y) return out;
    double difference = y->values[y->n - 1] - x->values[x->n - 1];
    const char *verdict = tm_verdict(x->values[x->n - 1], x->errors[x->n - 1], y->values[y->n - 1],
                                     y->errors[y->n - 1]);
    json_object_set_new(out, "difference", tm_number_json(difference));
    if (verdict) json_object_set_new(out, "verdict", json_string(verdict));
    return out;
}

static bool is_same(const tm_past_series *x, const tm_past_series *y)
{
    return x && y && x->values[x->n - 1] == y->values[y->n - 1];
}

// The metrics of `from` that differ from those of `other`, or that `other` lacks if `only` these are wanted.
static int64_t add_metrics(const tm_past *from, const tm_past *other, bool only, bool all, json_t *out)
{
    int64_t same = 0;
    char name[400];
    for (size_t i = 0; i < from->n_nodes; i++) {
        const tm_past_node *node = &from->nodes[i], *twin = tm_past_find(other, node->name);
        for (size_t k = 0; k < node->n_series; k++) {
            const tm_past_series *mine = &node->series[k];
            const tm_past_series *its = twin ? tm_past_metric(twin, mine->name) : NULL;
            if ((only && its) || (!all && tm_metric_minor(mine->name))) continue;
            same += is_same(its, mine);
            if (is_same(its, mine)) continue;
            snprintf(name, sizeof name, "%s.%s", node->name, mine->name);
            json_object_set_new(out, name, only ? diff_metric(mine, NULL) : diff_metric(its, mine));
        }
    }
    return same;
}

// ---- room ----

static int64_t bytes_of(const tm_past *p)
{
    char hex[TM_HASH_HEX];
    int64_t bytes = 0;
    json_t *seen = json_object();
    for (size_t i = 0; i < p->n_nodes; i++)
        for (size_t k = 0; k < p->nodes[i].n_ports; k++) {
            const tm_past_port *port = &p->nodes[i].ports[k];
            tm_hash_hex(port->artifact, hex);
            if (!port->there || !port->stored || json_object_get(seen, hex)) continue;
            json_object_set_new(seen, hex, json_true());
            bytes += port->bytes;
        }
    json_decref(seen);
    return bytes;
}

static json_t *count_of(const tm_past *p, const char *name)
{
    return json_incref(json_object_get(p->end, name));
}

static json_t *git_of(const tm_past *p)
{
    char text[16];
    const json_t *git = json_object_get(p->record, "git");
    return git ? json_string(tm_git_short(git, text)) : NULL;
}

json_t *tm_diff_runs(const tm_past *a, const tm_past *b, bool all)
{
    json_t *out = json_object(), *metrics = json_object();
    int64_t same = add_metrics(b, a, false, all, metrics);
    add_metrics(a, b, true, all, metrics);
    json_object_set_new(out, "runs", pair(of_run(a), of_run(b)));
    json_object_set_new(out, "params", diff_params(a, b));
    json_object_set_new(out, "code", diff_code(a, b));
    diff_nodes(a, b, out);
    json_object_set_new(out, "metrics", metrics);
    json_object_set_new(out, "same_metrics", json_integer(same));
    json_object_set_new(
        out, "environment",
        tm_differ_own(json_object_get(a->record, "environment"), json_object_get(b->record, "environment")));
    json_object_set_new(out, "git", pair(git_of(a), git_of(b)));
    json_object_set_new(out, "seconds", pair(json_real(tm_past_seconds(a)), json_real(tm_past_seconds(b))));
    json_object_set_new(out, "ran", pair(count_of(a, "done"), count_of(b, "done")));
    json_object_set_new(out, "cached", pair(count_of(a, "cached"), count_of(b, "cached")));
    json_object_set_new(out, "bytes", pair(json_integer(bytes_of(a)), json_integer(bytes_of(b))));
    return out;
}
