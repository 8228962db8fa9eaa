// SPDX-License-Identifier: Apache-2.0
// Graphs by what they mean, and how two differ.
#include "lua/lock/meaning.h"

#include <string.h>

#include "engine/code.h"
#include "engine/key.h"
#include "lua/past/differ.h"

// Where an input is from: "docs.train", "base best valid.loss".
static json_t *input_text(const char *from, const json_t *input)
{
    const char *out = json_string_value(json_object_get(input, "out"));
    void *chosen = json_object_iter(json_object_get(input, "select"));
    json_t *value = json_object_iter_value(chosen), *text;
    const char *metric = json_string_value(value), *port = out && out[0] ? "." : "";
    if (!from) from = "elsewhere";
    if (!out) out = "";
    if (!chosen) text = json_sprintf("%s%s%s", from, port, out);
    else if (metric)
        text = json_sprintf("%s%s%s %s %s", from, port, out, json_object_iter_key(chosen), metric);
    else
        text = json_sprintf("%s%s%s %s %lld", from, port, out, json_object_iter_key(chosen),
                            (long long)json_integer_value(value));
    return text;
}

// What an own document says that nothing else in a lock does.
static json_t *meaning(const json_t *own)
{
    static const char *const elsewhere[] = {"version", "libraries", "numerics", "files", NULL};
    json_t *node = json_deep_copy(own);
    for (int i = 0; elsewhere[i]; i++) json_object_del(node, elsewhere[i]);
    return node;
}

// ---- where from ----

// Of nodes that do the same work the first one stands for all. `recipe`: in hex.
static const char *first_with(json_t *made_by, const char *recipe, const char *name)
{
    const char *first = json_string_value(json_object_get(made_by, recipe));
    if (first) return first;
    json_object_set_new(made_by, recipe, json_string(name));
    return name;
}

static json_t *named_inputs(const json_t *made_by, const json_t *inputs)
{
    json_t *named = json_object(), *input;
    const char *port;
    json_object_foreach((json_t *)inputs, port, input)
    {
        const char *recipe = json_string_value(json_object_get(input, "recipe"));
        const char *from = recipe ? json_string_value(json_object_get(made_by, recipe)) : NULL;
        json_object_set_new(named, port, input_text(from, input));
    }
    return named;
}

static void add(json_t *all, json_t *made_by, const char *name, const json_t *own, const json_t *inputs,
                const char *recipe)
{
    json_t *node = meaning(own);
    if (json_object_size(inputs)) json_object_set_new(node, "inputs", named_inputs(made_by, inputs));
    first_with(made_by, recipe, name);
    json_object_set_new(all, name, node);
}

// Where functions stood does not count.
static void strip_places(json_t *all)
{
    const char *name, *option;
    json_t *node, *value;
    json_object_foreach(all, name, node)
        json_object_foreach(json_object_get(node, "options"), option, value) tm_code_strip(value);
}

json_t *tm_meaning_of_past(const tm_past *past)
{
    json_t *all = json_object(), *made_by = json_object();
    for (size_t i = 0; i < past->n_nodes; i++) {
        const json_t *plan = past->nodes[i].plan;
        const char *recipe = json_string_value(json_object_get(plan, "recipe"));
        add(all, made_by, past->nodes[i].name, json_object_get(plan, "own"), json_object_get(plan, "inputs"),
            recipe ? recipe : "");
    }
    json_decref(made_by);
    strip_places(all);
    return all;
}

json_t *tm_meaning_of_graph(const tm_graph *graph)
{
    json_t *all = json_object(), *made_by = json_object();
    tm_hash *recipes = tm_calloc(graph->n_nodes + 1, sizeof *recipes);
    for (size_t i = 0; recipes && i < graph->n_nodes; i++) {
        const tm_node *node = graph->nodes[i];
        json_t *own = tm_key_own_doc(node), *inputs = json_object();
        char hex[TM_HASH_HEX];
        for (size_t k = 0; k < node->n_links; k++)
            json_object_set_new(inputs, node->links[k].port,
                                tm_key_input(&node->links[k], "recipe", recipes[node->links[k].from->index]));
        recipes[i] = tm_key_with_inputs(tm_key_own(own), inputs);
        tm_hash_hex(recipes[i], hex);
        add(all, made_by, node->name, own, inputs, hex);
        json_decref(own);
        json_decref(inputs);
    }
    tm_free(recipes);
    json_decref(made_by);
    return all;
}

// ---- differences ----

static void append(json_t *list, const char *name, const json_t *difference)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:O*, s:O*, s:O*, s:O}", "what", "node", "name", name,
                                          "field", json_object_get(difference, "field"), "pinned",
                                          json_object_get(difference, "before"), "now",
                                          json_object_get(difference, "after"), "text",
                                          json_object_get(difference, "text")));
}

static void differ_node(json_t *list, const char *name, const json_t *pinned, const json_t *now)
{
    size_t i;
    json_t *one, *differences = tm_differ_own(pinned, now);
    json_array_foreach(differences, i, one) append(list, name, one);
    json_decref(differences);
}

static void alone(json_t *list, const char *name, const char *side, const json_t *node, const char *text)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:O*, s:s}", "what", "node", "name", name, side,
                                          json_object_get(node, "stage"), "text", text));
}

void tm_meaning_differ(const json_t *pinned, const json_t *now, json_t *list)
{
    const char *name;
    json_t *node;
    json_object_foreach((json_t *)now, name, node)
    {
        const json_t *was = json_object_get(pinned, name);
        if (was) differ_node(list, name, was, node);
        else alone(list, name, "now", node, "is new in the graph");
    }
    json_object_foreach((json_t *)pinned, name, node)
        if (!json_object_get(now, name)) alone(list, name, "pinned", node, "is not in the graph any more");
}
