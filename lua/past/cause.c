// SPDX-License-Identifier: Apache-2.0
// Causes, followed upstream.
#include "lua/past/cause.h"

#include <stdio.h>

#include "lua/past/differ.h"

enum { MAX_DEPTH = 60, MAX_CAUSES = 200 };

typedef struct search {
    const tm_past *now, *before;
    json_t *made_by; // recipe -> node
    json_t *seen;    // nodes that are explained
    json_t *because;
} search;

// ---- the nodes of a run by what they make ----

static json_t *by_recipe(const tm_past *past)
{
    json_t *map = json_object();
    for (size_t i = past->n_nodes; i-- > 0;) { // of equal ones the first, which people named
        const char *recipe = json_string_value(json_object_get(past->nodes[i].plan, "recipe"));
        if (recipe) json_object_set_new(map, recipe, json_string(past->nodes[i].name));
    }
    return map;
}

static const char *source_of(const search *s, const json_t *input)
{
    const char *recipe = json_string_value(json_object_get(input, "recipe"));
    return recipe ? json_string_value(json_object_get(s->made_by, recipe)) : NULL;
}

static const json_t *inputs_of(const tm_past_node *node)
{
    return node ? json_object_get(node->plan, "inputs") : NULL;
}

static const char *port_name(const char *port)
{
    return port[0] ? port + (port[0] == '.') : "main input";
}

// ---- causes ----

static json_t *add(search *s, int depth, const char *node, const char *field, const char *text)
{
    json_t *cause =
        json_pack("{s:i, s:s, s:s, s:s}", "depth", depth, "node", node, "field", field, "text", text);
    if (json_array_size(s->because) < MAX_CAUSES) json_array_append(s->because, cause);
    json_decref(cause);
    return cause;
}

static json_t *own_differences(const search *s, const tm_past_node *node)
{
    const tm_past_node *old = tm_past_find(s->before, node->name);
    if (!old) return json_array();
    return tm_differ_own(json_object_get(old->plan, "own"), json_object_get(node->plan, "own"));
}

// Ports whose input is made in another way than before.
static json_t *changed_inputs(const search *s, const tm_past_node *node)
{
    const json_t *old = inputs_of(tm_past_find(s->before, node->name));
    const char *port;
    json_t *input, *changed = json_object();
    json_object_foreach((json_t *)inputs_of(node), port,
                        input) if (!json_equal(json_object_get(old, port), input))
        json_object_set(changed, port, input);
    return changed;
}

// The node's only cause is one input: follow it, to where something happens.
static const tm_past_node *pass_through(const search *s, const tm_past_node *node, json_t *through)
{
    for (int steps = 0; steps < 1000; steps++) {
        json_t *own = own_differences(s, node), *inputs = changed_inputs(s, node);
        const char *from = source_of(s, json_object_iter_value(json_object_iter(inputs)));
        const tm_past_node *next = from ? tm_past_find(s->now, from) : NULL;
        bool passes = !json_array_size(own) && json_object_size(inputs) == 1 && next &&
                      tm_past_find(s->before, node->name) && !json_object_get(s->seen, node->name);
        json_decref(own);
        json_decref(inputs);
        if (!passes) break;
        json_array_append_new(through, json_string(node->name));
        node = next;
    }
    return node;
}

static void explain(search *s, const tm_past_node *node, int depth);

static int64_t rows_at(const tm_past *past, const tm_past_node *node, const char *out)
{
    const tm_past_node *work = tm_past_work(past, node);
    const tm_past_port *port = tm_past_port_of(work, out);
    return port ? (port->there ? port->rows : -1) : -1;
}

static void add_rows(const search *s, json_t *cause, const char *from, const char *out)
{
    const tm_past_node *now = tm_past_find(s->now, from), *old = tm_past_find(s->before, from);
    if (!now || !old || !tm_past_gives_records(now)) return;
    int64_t n = rows_at(s->before, old, out), m = rows_at(s->now, now, out);
    if (n >= 0 && m >= 0)
        json_object_set_new(cause, "rows", json_pack("[I, I]", (json_int_t)n, (json_int_t)m));
}

static void explain_input(search *s, const tm_past_node *node, const char *port, const json_t *input,
                          int depth)
{
    const char *from = source_of(s, input), *out = json_string_value(json_object_get(input, "out"));
    const json_t *old = json_object_get(inputs_of(tm_past_find(s->before, node->name)), port);
    char text[300];
    snprintf(text, sizeof text, "%.200s%s%.24s", from ? from : "elsewhere", out && out[0] ? "." : "",
             out ? out : "");
    json_t *cause = json_incref(add(s, depth, node->name, port_name(port), text));
    if (from) json_object_set_new(cause, "from", json_string(from));
    if (!old) json_object_set_new(cause, "new", json_true());
    const tm_past_node *source = from ? tm_past_find(s->now, from) : NULL;
    bool same_way = old && json_equal(json_object_get(old, "recipe"), json_object_get(input, "recipe"));
    if (source && !same_way) {
        json_t *through = json_array();
        add_rows(s, cause, from, out ? out : "");
        source = pass_through(s, source, through);
        json_array_remove(through, 0);  // where it comes from
        if (json_array_size(through)) json_object_set(cause, "through", through);
        json_decref(through);
        if (json_object_get(s->seen, source->name))
            json_object_set_new(cause, "above", json_true());
        else if (depth < MAX_DEPTH)
            explain(s, source, depth + 1);
    }
    json_decref(cause);
}

static void explain(search *s, const tm_past_node *node, int depth)
{
    size_t i;
    const char *port;
    json_t *one;
    json_object_set_new(s->seen, node->name, json_true());
    if (!tm_past_find(s->before, node->name)) {
        add(s, depth, node->name, "", "it is new in this graph");
        return;
    }
    json_t *own = own_differences(s, node), *inputs = changed_inputs(s, node);
    json_array_foreach(own, i, one)
        add(s, depth, node->name, json_string_value(json_object_get(one, "field")),
            json_string_value(json_object_get(one, "text")));
    json_object_foreach(inputs, port, one) explain_input(s, node, port, one, depth);
    json_decref(own);
    json_decref(inputs);
}

// ---- the rest ----

static json_t *same_names(const search *s, const tm_past_node *node)
{
    const tm_past_node *old = tm_past_find(s->before, node->name);
    json_t *names = json_array(), *input;
    const char *port;
    if (!old) return names;
    json_object_foreach((json_t *)inputs_of(node), port,
                        input) if (json_equal(json_object_get(inputs_of(old), port), input))
        json_array_append_new(names, json_string(port_name(port)));
    size_t i;
    json_t *name,
        *options = tm_differ_same(json_object_get(old->plan, "own"), json_object_get(node->plan, "own"));
    json_array_foreach(options, i, name) if (!json_object_get(inputs_of(node), json_string_value(name)))
        json_array_append(names, name);
    json_decref(options);
    return names;
}

static bool reads_from(const tm_past_node *node, const json_t *recipes)
{
    const char *port;
    json_t *input;
    json_object_foreach((json_t *)inputs_of(node), port, input)
    {
        const char *recipe = json_string_value(json_object_get(input, "recipe"));
        if (recipe && json_object_get(recipes, recipe)) return true;
    }
    return false;
}

// Nodes behind it: the graph's order has producers before consumers.
static json_t *behind(const tm_past *past, const tm_past_node *node)
{
    json_t *then = json_object(), *recipes = json_object();
    json_object_set_new(recipes, json_string_value(json_object_get(node->plan, "recipe")), json_true());
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *one = &past->nodes[i];
        const char *recipe = json_string_value(json_object_get(one->plan, "recipe"));
        if (one == node || !recipe || !reads_from(one, recipes)) continue;
        json_object_set_new(recipes, recipe, json_true());
        json_object_set_new(then, one->name, json_string(tm_past_work(past, one)->state));
    }
    json_decref(recipes);
    return then;
}

json_t *tm_cause(const tm_past *now, const tm_past *before, const tm_past_node *node)
{
    search s = {.now = now,
                .before = before,
                .made_by = by_recipe(now),
                .seen = json_object(),
                .because = json_array()};
    const tm_past_node *old = before ? tm_past_find(before, node->name) : NULL;
    const tm_past_node *work = tm_past_work(now, node);
    if (before) explain(&s, node, 0);
    json_t *seconds = work->seconds >= 0 ? json_real(work->seconds) : NULL;
    json_t *why =
        json_pack("{s:s, s:s, s:s, s:o*, s:s?, s:s?, s:O, s:O, s:o, s:o}", "node", node->name, "run",
                  now->run, "state", work->state, "seconds", seconds, "before", before ? before->run : NULL,
                  "was", old ? tm_past_work(before, old)->state : NULL, "plan", node->plan, "because",
                  s.because, "same", before ? same_names(&s, node) : json_array(), "then", behind(now, node));
    json_decref(s.made_by);
    json_decref(s.seen);
    json_decref(s.because);
    return why;
}
