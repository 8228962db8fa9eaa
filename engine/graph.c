// SPDX-License-Identifier: Apache-2.0
// Building and checking the graph, in passes: nodes, arguments, conversions, reachability, types.
#include "engine/graph.h"

#include <stdlib.h>

#include "engine/base/hash_map.h"

typedef struct builder {
    tm_graph *graph;
    tm_diags *diags;
    tm_node **by_id;  // nodes as the child numbered them
    size_t n_by_id;
    size_t capacity;     // of graph->nodes
    tm_hash_map names;   // hash of a name -> the last number that was put behind it
} builder;

static tm_diag *fault_at(builder *b, const tm_node *node, const char *code, const char *word)
{
    tm_diag *diag = tm_diag_add(b->diags, code, node->file, node->line);
    TM_DIAG(diag->word, "%s", word ? word : node->stage ? node->stage->name : "");
    return diag;
}

const char *tm_node_label(const tm_node *node, char *text, size_t size)
{
    snprintf(text, size, "%s \"%s\"", node->stage->name, node->name);
    return text;
}

int tm_stage_output(const tm_stage *stage, const char *name)
{
    for (int i = 0; i < TM_MAX_PORTS && stage->outputs[i].name; i++)
        if (strcmp(stage->outputs[i].name, name) == 0) return i;
    return -1;
}

const tm_link *tm_node_link(const tm_node *node, const char *port)
{
    for (size_t i = 0; i < node->n_links; i++)
        if (strcmp(node->links[i].port, port) == 0) return &node->links[i];
    return NULL;
}

tm_node *tm_graph_find(const tm_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (strcmp(graph->nodes[i]->name, name) == 0) return graph->nodes[i];
    return NULL;
}

// ---- nodes ----

static tm_node *node_new(builder *b, const tm_stage *stage)
{
    tm_graph *g = b->graph;
    if (g->n_nodes == b->capacity) {
        size_t capacity = b->capacity ? 2 * b->capacity : 64;
        tm_node **nodes = tm_realloc(g->nodes, capacity * sizeof *nodes);
        if (!nodes) return NULL;
        g->nodes = nodes;
        b->capacity = capacity;
    }
    tm_node *node = tm_calloc(1, sizeof *node);
    if (!node) return NULL;
    node->index = (int)g->n_nodes;
    node->stage = stage;
    node->values = json_object();
    g->nodes[g->n_nodes++] = node;
    return node;
}

static void node_free(tm_node *node)
{
    if (node->parsed) tm_options_clear(node->stage->options, node->parsed);
    tm_free(node->parsed);
    json_decref(node->options);
    json_decref(node->values);
    json_decref(node->at);
    json_decref(node->identity);
    for (int i = 0; i < TM_MAX_PORTS; i++) json_decref(node->attrs[i]);
    tm_free(node->links);
    tm_free(node);
}

static tm_link *link_add(builder *b, tm_node *node, const char *port, const tm_port *row)
{
    tm_link *links = tm_realloc(node->links, (node->n_links + 1) * sizeof *links);
    if (!links) return NULL;
    node->links = links;
    tm_link *link = &links[node->n_links++];
    *link = (tm_link){.row = row};
    TM_DIAG(link->port, "%s", port);
    (void)b;
    return link;
}

static void read_select(const json_t *json, tm_select *select)
{
    static const char *const kinds[] = {"last", "latest", "best", "each", "at", NULL};
    const char *kind = json_string_value(json_object_get(json, "kind"));
    for (int i = 0; kind && kinds[i]; i++)
        if (strcmp(kind, kinds[i]) == 0) select->kind = (tm_select_kind)i;
    select->every = json_integer_value(json_object_get(json, "every"));
    select->at = json_integer_value(json_object_get(json, "at"));
    select->take = json_integer_value(json_object_get(json, "take"));
    const char *metric = json_string_value(json_object_get(json, "metric"));
    TM_DIAG(select->metric, "%s", metric ? metric : "");
}

// x:take(n) is a node of its own between producer and consumer.
static tm_status insert_take(builder *b, tm_node *node, tm_link *link, tm_error *err)
{
    const tm_stage *stage = tm_stage_find("take");
    tm_node *take = stage ? node_new(b, stage) : NULL;
    if (!take) return tm_fail(err, TM_ENOMEM, "no memory for a node");
    take->inserted = true;
    memcpy(take->file, node->file, sizeof take->file);
    take->line = node->line;
    take->options = json_pack("{s:I}", "n", (json_int_t)link->select.take);
    tm_link *inner = link_add(b, take, "", &stage->inputs[0]);
    if (!inner) return tm_fail(err, TM_ENOMEM, "no memory for a link");
    inner->from = link->from;
    inner->out = link->out;
    link->from = take;
    link->out = 0;
    link->select.take = 0;
    return TM_OK;
}

static tm_status connect(builder *b, tm_node *node, const char *port, const tm_port *row, const json_t *ref,
                         tm_error *err)
{
    size_t id = (size_t)json_integer_value(json_object_get(ref, "node"));
    const char *out = json_string_value(json_object_get(ref, "out"));
    if (id >= b->n_by_id || !b->by_id[id]) return TM_OK;  // its own fault is reported already
    tm_node *from = b->by_id[id];
    tm_link *link = link_add(b, node, port, row);
    if (!link) return tm_fail(err, TM_ENOMEM, "no memory for a link");
    link->from = from;
    link->out = tm_stage_output(from->stage, out ? out : "");
    read_select(json_object_get(ref, "select"), &link->select);
    if (link->out < 0) {
        tm_diag *d = fault_at(b, node, "TM0213", out);
        TM_DIAG(d->what, "%s has no port \"%s\"", from->stage->name, out ? out : "");
        node->n_links--;
        return TM_OK;
    }
    return link->select.take ? insert_take(b, node, link, err) : TM_OK;
}

// ---- arguments ----

static const tm_port *find_port(const tm_port *ports, size_t n, const char *name)
{
    for (size_t i = 0; i < n && ports[i].name; i++)
        if (strcmp(ports[i].name, name) == 0) return &ports[i];
    return NULL;
}

static void option_fault(builder *b, tm_node *node, const char *owner, const tm_option_fault *fault)
{
    bool absent = strstr(fault->what, "is required") != NULL;
    tm_diag *d = fault_at(b, node, absent ? "TM0204" : "TM0201", absent ? owner : fault->option);
    TM_DIAG(d->what, "%s: %s", owner, fault->what);
    TM_DIAG(d->why, "%s", fault->why);
    TM_DIAG(d->fix, "%s", fault->fix);
    if (!d->fix[0] && absent) TM_DIAG(d->fix, "add `%s = ...`", fault->option);
    if (!d->fix[0]) TM_DIAG(d->fix, "`tidemill describe %s` lists its options", owner);
}

static tm_status bind_port(builder *b, tm_node *node, const char *name, const tm_port *row, const json_t *given,
                           tm_error *err);

// A value such as tm.llama{...}: its options become canonical, links inside it become ports of the node.
static tm_status bind_value(builder *b, tm_node *node, const char *place, const char *family, const json_t *given,
                            json_t **canonical, tm_error *err)
{
    const char *name = json_string_value(json_object_get(given, "$value"));
    const tm_value *value = name ? tm_value_find(name) : NULL;
    *canonical = NULL;
    if (!value || strcmp(value->family, family) != 0) {
        tm_diag *d = fault_at(b, node, "TM0202", name);
        TM_DIAG(d->what, "%s: tm.%s is no %s", node->stage->name, name ? name : "?", family);
        return TM_OK;
    }
    json_t *options = json_object();
    const char *key;
    json_t *arg;
    json_object_foreach(json_object_get(given, "args"), key, arg)
    {
        bool main = strcmp(key, "1") == 0;
        const tm_port *row = find_port(value->inputs, 4, main ? "" : key);
        if (!row) {
            json_object_set(options, key, arg);
            continue;
        }
        char port[96];
        snprintf(port, sizeof port, "%s%s%s", place, main ? "" : ".", main ? "" : key);
        TM_TRY(bind_port(b, node, port, row, arg, err));
    }
    tm_option_fault fault;
    if (tm_options_check(value->options, options, canonical, &fault) < 0) option_fault(b, node, name, &fault);
    else json_object_set_new(*canonical, "$value", json_string(name));
    json_decref(options);
    return TM_OK;
}

static tm_status bind_table(builder *b, tm_node *node, const char *name, const tm_port *row, const json_t *table,
                            tm_error *err)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)table, key, item)
    {
        char port[96];
        snprintf(port, sizeof port, "%s.%s", name, key);
        TM_TRY(bind_port(b, node, port, row, item, err));
    }
    return TM_OK;
}

static void wrong_port(builder *b, tm_node *node, const char *name, const tm_port *row, const json_t *given)
{
    tm_diag *d = fault_at(b, node, "TM0210", name[0] ? name : node->stage->name);
    char *shown = json_dumps(given, JSON_ENCODE_ANY | JSON_COMPACT);
    TM_DIAG(d->what, "%s: its %s%s takes %s%s%s", node->stage->name, name[0] ? "input " : "main input", name,
            row->type ? row->type : "", row->value ? row->type ? " or a value: " : "a value: " : "",
            row->value ? row->value : "");
    TM_DIAG(d->why, "it is %.80s", shown ? shown : "?");
    TM_DIAG(d->fix, "give it the result of another stage");
    free(shown);
}

static tm_status bind_port(builder *b, tm_node *node, const char *name, const tm_port *row, const json_t *given,
                           tm_error *err)
{
    const json_t *ref = json_object_get(given, "$ref"), *refs = json_object_get(given, "$refs");
    if (ref && row->type) return connect(b, node, name, row, ref, err);
    if (refs && (row->flags & TM_PORT_MANY)) {
        size_t i;
        json_t *one;
        json_array_foreach(refs, i, one)
        {
            char port[96];
            snprintf(port, sizeof port, "%s.%zu", name, i + 1);
            TM_TRY(connect(b, node, port, row, json_object_get(one, "$ref") ? json_object_get(one, "$ref") : one, err));
        }
        return TM_OK;
    }
    if (json_object_get(given, "$value") && row->value) {
        json_t *canonical;
        TM_TRY(bind_value(b, node, name, row->value, given, &canonical, err));
        if (canonical) json_object_set_new(node->values, name, canonical);
        return TM_OK;
    }
    if (json_is_object(given) && !ref && !refs && !json_object_get(given, "$value") && (row->flags & TM_PORT_MANY))
        return bind_table(b, node, name, row, given, err);
    wrong_port(b, node, name, row, given);
    return TM_OK;
}

static tm_status bind_option_value(builder *b, tm_node *node, const tm_option *o, json_t *arg, json_t *options,
                                   tm_error *err)
{
    json_t *canonical;
    TM_TRY(bind_value(b, node, o->name, o->choices, arg, &canonical, err));
    if (canonical) json_object_set_new(options, o->name, canonical);
    return TM_OK;
}

static const tm_option *find_option(const tm_stage *stage, const char *name)
{
    for (const tm_option *o = stage->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0) return o;
    return NULL;
}

static tm_status bind_arg(builder *b, tm_node *node, const char *key, json_t *arg, json_t *options, tm_error *err)
{
    const tm_stage *stage = node->stage;
    bool first = strcmp(key, "1") == 0;
    const tm_port *row = first ? find_port(stage->inputs, TM_MAX_PORTS, "") : find_port(stage->inputs, TM_MAX_PORTS, key);
    if (row && (first || row->name[0])) return bind_port(b, node, first ? "" : key, row, arg, err);
    const tm_option *o = find_option(stage, first ? "path" : key);
    if (o && o->kind == TM_OPT_VALUE && json_object_get(arg, "$value"))
        return bind_option_value(b, node, o, arg, options, err);
    if (first && !o) {
        tm_diag *d = fault_at(b, node, "TM0210", stage->name);
        TM_DIAG(d->what, "%s takes no positional value", stage->name);
        return TM_OK;
    }
    json_object_set(options, first ? o->name : key, arg);
    return TM_OK;
}

static tm_status parse_options(tm_node *node, tm_error *err)
{
    if (!node->stage->options_size) return TM_OK;
    node->parsed = tm_calloc(1, node->stage->options_size);
    if (!node->parsed) return tm_fail(err, TM_ENOMEM, "no memory for options");
    return tm_options_fill(node->stage->options, node->options, node->parsed, err);
}

static void check_inputs(builder *b, tm_node *node)
{
    for (const tm_port *p = node->stage->inputs; p < node->stage->inputs + TM_MAX_PORTS && p->name; p++) {
        bool there = (p->flags & TM_PORT_OPTIONAL) || json_object_get(node->values, p->name);
        for (size_t i = 0; i < node->n_links; i++) there |= node->links[i].row == p;
        const char *key;
        json_t *value;
        json_object_foreach(node->values, key, value)
            there |= strncmp(key, p->name, strlen(p->name)) == 0 && key[strlen(p->name)] == '.';
        if (there) continue;
        tm_diag *d = fault_at(b, node, "TM0209", node->stage->name);
        TM_DIAG(d->what, "%s needs its %s%s", node->stage->name, p->name[0] ? "input " : "main input", p->name);
        TM_DIAG(d->why, "%s", p->help);
        TM_DIAG(d->fix, "for example: %s", node->stage->example ? node->stage->example : "");
    }
}

static tm_status read_node(builder *b, const json_t *json, tm_error *err)
{
    size_t id = (size_t)json_integer_value(json_object_get(json, "id"));
    const char *name = json_string_value(json_object_get(json, "stage"));
    const tm_stage *stage = name ? tm_stage_find(name) : NULL;
    if (!stage || id >= b->n_by_id) return tm_fail(err, TM_EFORMAT, "graph data: node %zu has no known stage", id);
    tm_node *node = node_new(b, stage);
    if (!node) return tm_fail(err, TM_ENOMEM, "no memory for node %zu", id);
    const char *file = json_string_value(json_object_get(json, "file"));
    const char *given = json_string_value(json_object_get(json, "name"));
    TM_DIAG(node->file, "%s", file ? file : "");
    TM_DIAG(node->name, "%s", given ? given : "");
    node->line = (int)json_integer_value(json_object_get(json, "line"));
    node->store = json_is_true(json_object_get(json, "store"));
    node->at = json_incref(json_object_get(json, "at"));
    json_t *options = json_object();
    const char *key;
    json_t *arg;
    json_object_foreach(json_object_get(json, "args"), key, arg)
        TM_TRY(bind_arg(b, node, key, arg, options, err));
    tm_option_fault fault;
    if (tm_options_check(stage->options, options, &node->options, &fault) < 0) option_fault(b, node, stage->name, &fault);
    json_decref(options);
    check_inputs(b, node);
    b->by_id[id] = node;
    return node->options ? parse_options(node, err) : TM_OK;
}

// ---- targets and names ----

static tm_hash name_hash(const char *name)
{
    return tm_hash_of(name, strlen(name));
}

// The wanted name, or with the first number behind it that is free.
static tm_status give_name(builder *b, tm_node *node, const char *wanted, tm_error *err)
{
    uint64_t k = 1;
    snprintf(node->name, sizeof node->name, "%s", wanted);
    bool ok = true, taken = tm_hash_map_get(&b->names, name_hash(wanted), &k);
    while (taken) {
        snprintf(node->name, sizeof node->name, "%.180s.%llu", wanted, (unsigned long long)++k);
        taken = tm_hash_map_get(&b->names, name_hash(node->name), NULL);
        if (!taken) ok = tm_hash_map_put(&b->names, name_hash(node->name), 1);
    }
    ok = ok && tm_hash_map_put(&b->names, name_hash(wanted), k);
    return ok ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for names");
}

static tm_status read_targets(builder *b, const json_t *targets, tm_error *err)
{
    tm_graph *g = b->graph;
    size_t i;
    json_t *pair;
    g->targets = tm_calloc(json_array_size(targets) + 1, sizeof *g->targets);
    if (!g->targets) return tm_fail(err, TM_ENOMEM, "no memory for targets");
    json_array_foreach(targets, i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        json_t *ref = json_array_get(pair, 1);
        if (json_object_get(ref, "$ref")) ref = json_object_get(ref, "$ref");
        size_t id = (size_t)json_integer_value(json_object_get(ref, "node"));
        const char *out = json_string_value(json_object_get(ref, "out"));
        if (!name || id >= b->n_by_id || !b->by_id[id]) continue;
        tm_target *t = &g->targets[g->n_targets++];
        TM_DIAG(t->name, "%s", name);
        t->node = b->by_id[id];
        t->out = tm_stage_output(t->node->stage, out ? out : "");
        if (t->out < 0) t->out = 0;
        if (!t->node->named && (!out || !out[0] || t->out == 0)) TM_DIAG(t->node->name, "%s", name);
        t->node->named = true;
    }
    return TM_OK;
}

// Steps of a curate are named after it.
static tm_status name_steps(builder *b, const json_t *nodes, tm_error *err)
{
    size_t i;
    json_t *json;
    json_array_foreach(nodes, i, json)
    {
        tm_node *node = i < b->n_by_id ? b->by_id[i] : NULL;
        json_t *curate = json_object_get(json, "curate");
        size_t last = (size_t)json_integer_value(curate);
        if (!node || node->name[0] || !json_is_integer(curate) || last >= b->n_by_id || !b->by_id[last]) continue;
        char name[192];
        const char *owner = b->by_id[last]->named ? b->by_id[last]->name : "curate";
        snprintf(name, sizeof name, "%.120s/%.60s", owner, node->stage->name);
        TM_TRY(give_name(b, node, name, err));
    }
    return TM_OK;
}

static tm_status name_rest(builder *b, const json_t *nodes, tm_error *err)
{
    tm_graph *g = b->graph;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->name[0] && !tm_hash_map_put(&b->names, name_hash(g->nodes[i]->name), 1))
            return tm_fail(err, TM_ENOMEM, "no memory for names");
    TM_TRY(name_steps(b, nodes, err));
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->name[0]) TM_TRY(give_name(b, g->nodes[i], g->nodes[i]->stage->name, err));
    return TM_OK;
}

// ---- conversions ----

static bool converts(const tm_port *row, const tm_port *have, const tm_stage **stage)
{
    if (!row->via || strcmp(row->type, have->type) == 0) return false;
    *stage = tm_stage_find(row->via);
    return *stage && strcmp((*stage)->inputs[0].type, have->type) == 0 &&
           strcmp((*stage)->outputs[0].type, row->type) == 0;
}

// The conversion shares the consumer's other inputs by name (its tokenizer), or the same-named port of its model.
static tm_status insert_conversion(builder *b, tm_node *node, size_t i, const tm_stage *stage, tm_error *err)
{
    tm_node *conversion = node_new(b, stage);
    if (!conversion) return tm_fail(err, TM_ENOMEM, "no memory for a node");
    conversion->inserted = true;
    memcpy(conversion->file, node->file, sizeof conversion->file);
    conversion->line = node->line;
    snprintf(conversion->name, sizeof conversion->name, "%.90s.%.90s", node->name, node->links[i].port);
    json_t *none = json_object();
    tm_option_fault fault;
    tm_status status = tm_options_check(stage->options, none, &conversion->options, &fault);
    json_decref(none);
    if (status < 0) return tm_fail(err, status, "%s cannot be inserted: %s", stage->name, fault.what);
    for (const tm_port *p = stage->inputs; p < stage->inputs + TM_MAX_PORTS && p->name; p++) {
        const tm_link *source = p->name[0] ? tm_node_link(node, p->name) : &node->links[i];
        if (!source) continue;
        tm_link copy = *source;
        tm_link *link = link_add(b, conversion, p->name, p);
        if (!link) return tm_fail(err, TM_ENOMEM, "no memory for a link");
        link->from = copy.from;
        link->out = copy.out;
        link->select = copy.select;
    }
    check_inputs(b, conversion);
    node->links[i].from = conversion;
    node->links[i].out = 0;
    node->links[i].select = (tm_select){0};
    return parse_options(conversion, err);
}

static tm_status insert_conversions(builder *b, tm_error *err)
{
    size_t written = b->graph->n_nodes;
    for (size_t k = 0; k < written; k++) {
        tm_node *node = b->graph->nodes[k];
        for (size_t i = 0; i < node->n_links; i++) {
            const tm_stage *stage;
            tm_link *link = &node->links[i];
            if (converts(link->row, &link->from->stage->outputs[link->out], &stage))
                TM_TRY(insert_conversion(b, node, i, stage, err));
        }
    }
    return TM_OK;
}

// ---- reachability and order ----

typedef struct visit {
    tm_node *node;
    size_t link;  // the next one to follow
} visit;

// Depth first: producers before consumers. `stack` has room for all nodes.
static void reach(tm_node *target, visit *stack, bool *seen, tm_node **order, size_t *n)
{
    size_t depth = 0;
    if (!seen[target->index]) stack[depth++] = (visit){target, 0};
    seen[target->index] = true;
    while (depth) {
        visit *at = &stack[depth - 1];
        if (at->link == at->node->n_links) {
            order[(*n)++] = at->node;
            depth--;
            continue;
        }
        tm_node *from = at->node->links[at->link++].from;
        if (!seen[from->index]) stack[depth++] = (visit){from, 0};
        seen[from->index] = true;
    }
}

static tm_status keep_reachable(builder *b, tm_error *err)
{
    tm_graph *g = b->graph;
    bool *seen = tm_calloc(g->n_nodes, sizeof *seen);
    tm_node **order = tm_calloc(g->n_nodes, sizeof *order);
    visit *stack = tm_calloc(g->n_nodes + 1, sizeof *stack);
    if (!seen || !order || !stack) {
        tm_free(seen);
        tm_free(order);
        tm_free(stack);
        return tm_fail(err, TM_ENOMEM, "no memory for %zu nodes", g->n_nodes);
    }
    size_t n = 0;
    for (size_t i = 0; i < g->n_targets; i++) reach(g->targets[i].node, stack, seen, order, &n);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!seen[i]) node_free(g->nodes[i]);
    tm_free(g->nodes);
    tm_free(seen);
    tm_free(stack);
    g->nodes = order;
    g->n_nodes = n;
    for (size_t i = 0; i < n; i++) order[i]->index = (int)i;
    return TM_OK;
}

// ---- types ----

static void type_mismatch(builder *b, const tm_node *node, const tm_link *link)
{
    char from[256];
    const tm_port *have = &link->from->stage->outputs[link->out];
    tm_diag *d = fault_at(b, node, "TM0211", link->port[0] && link->port[0] != '.' ? link->row->name : NULL);
    TM_DIAG(d->what, "%s: its %s%s takes %s, but %s gives %s", node->stage->name,
            link->row->name[0] ? "input " : "main input", link->row->name, link->row->type,
            tm_node_label(link->from, from, sizeof from), have->type);
    TM_DIAG(d->why, "%s is made at %s:%d", from, link->from->file, link->from->line);
    for (const tm_port *o = link->from->stage->outputs; o < link->from->stage->outputs + TM_MAX_PORTS && o->name; o++)
        if (strcmp(o->type, link->row->type) == 0) TM_DIAG(d->fix, "its port \"%s\" gives %s", o->name, o->type);
}

static void check_take(builder *b, const tm_node *node, const tm_link *link)
{
    bool tree = tm_type_find(link->from->stage->outputs[link->out].type)->tree;
    if (tree || link->select.kind == TM_SELECT_LAST) return;
    tm_diag *d = fault_at(b, node, "TM0214", NULL);
    TM_DIAG(d->what, "%s: a selector picks snapshots, and %s gives none", node->stage->name, link->from->stage->name);
    TM_DIAG(d->fix, "use :take(n) for the first n records");
}

// Attributes that both ends of a node name must agree: the tokenizer of its data and that of its model.
static void check_agreement(builder *b, const tm_node *node)
{
    for (size_t i = 0; i < node->n_links; i++)
        for (size_t j = i + 1; j < node->n_links; j++) {
            const tm_link *x = &node->links[i], *y = &node->links[j];
            const json_t *ax = x->from->attrs[x->out], *ay = y->from->attrs[y->out];
            const char *key;
            json_t *value;
            json_object_foreach((json_t *)ax, key, value)
            {
                const json_t *other = json_object_get(ay, key);
                if (!other || json_equal(value, other)) continue;
                char fx[256], fy[256], *vx = json_dumps(value, JSON_ENCODE_ANY), *vy = json_dumps(other, JSON_ENCODE_ANY);
                tm_diag *d = fault_at(b, node, "TM0212", NULL);
                TM_DIAG(d->what, "%s: its inputs do not agree on the %s", node->stage->name, key);
                TM_DIAG(d->why, "%.100s (%s:%d) has %.60s, %.100s (%s:%d) has %.60s", tm_node_label(x->from, fx, sizeof fx),
                        x->from->file, x->from->line, vx, tm_node_label(y->from, fy, sizeof fy), y->from->file,
                        y->from->line, vy);
                TM_DIAG(d->fix, "give both the same %s", key);
                free(vx);
                free(vy);
            }
        }
}

static void stage_check(builder *b, tm_node *node)
{
    tm_option_fault fault = {0};
    tm_error err = {0};
    tm_check check = {.name = node->name, .options = node->parsed, .values = node->options, .folder = b->graph->folder, .fault = &fault};
    for (size_t i = 0; i < node->n_links; i++) {
        size_t port = (size_t)(node->links[i].row - node->stage->inputs);
        if (port < TM_MAX_PORTS) check.inputs[port] = node->links[i].from->attrs[node->links[i].out];
    }
    for (int i = 0; i < TM_MAX_PORTS && node->stage->outputs[i].name; i++)
        check.outputs[i] = node->attrs[i] = json_object();
    if (node->stage->identity && !node->identity) node->identity = json_object();
    tm_status status = node->stage->check ? node->stage->check(&check, &err) : TM_OK;
    if (status >= 0 && node->stage->identity) status = node->stage->identity(&check, node->identity, &err);
    if (status >= 0) return;
    tm_diag *d = fault_at(b, node, status == TM_ENOENT ? "TM0301" : "TM0220", fault.option);
    TM_DIAG(d->what, "%s: %.400s", node->stage->name, fault.what[0] ? fault.what : err.text);
    TM_DIAG(d->why, "%s", fault.why);
    TM_DIAG(d->fix, "%s", fault.fix[0] ? fault.fix : err.hint);
}

static void check_types(builder *b)
{
    for (size_t k = 0; k < b->graph->n_nodes; k++) {
        tm_node *node = b->graph->nodes[k];
        size_t before = b->diags->n;
        for (size_t i = 0; i < node->n_links; i++) {
            const tm_link *link = &node->links[i];
            if (strcmp(link->from->stage->outputs[link->out].type, link->row->type) != 0) type_mismatch(b, node, link);
            check_take(b, node, link);
        }
        check_agreement(b, node);
        if (b->diags->n == before) stage_check(b, node);
    }
}

// ---- the whole ----

static tm_status build(builder *b, const json_t *evaluated, tm_error *err)
{
    const json_t *nodes = json_object_get(evaluated, "nodes");
    size_t i;
    json_t *json;
    b->n_by_id = json_array_size(nodes);
    b->by_id = tm_calloc(b->n_by_id + 1, sizeof *b->by_id);
    if (!b->by_id) return tm_fail(err, TM_ENOMEM, "no memory for %zu nodes", b->n_by_id);
    json_array_foreach(nodes, i, json) TM_TRY(read_node(b, json, err));
    TM_TRY(read_targets(b, json_object_get(evaluated, "targets"), err));
    TM_TRY(name_rest(b, nodes, err));
    if (b->diags->n) return TM_EGRAPH;
    TM_TRY(insert_conversions(b, err));
    TM_TRY(keep_reachable(b, err));
    check_types(b);
    return b->diags->n ? TM_EGRAPH : TM_OK;
}

static tm_status set_paths(tm_graph *g, const char *path, tm_error *err)
{
    char *absolute = realpath(path, NULL);
    if (!absolute) return tm_fail_errno(err, "%s", path);
    char *slash = strrchr(absolute, '/');
    if (slash == absolute) slash[1] = 0;
    else *slash = 0;
    g->folder = tm_strdup(absolute);
    g->file = tm_strdup(path);
    free(absolute);
    return g->folder && g->file ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for paths");
}

tm_status tm_graph_build(const json_t *evaluated, const char *path, tm_graph **out, tm_diags *diags, tm_error *err)
{
    builder b = {.diags = diags, .graph = tm_calloc(1, sizeof(tm_graph))};
    if (!b.graph) return tm_fail(err, TM_ENOMEM, "no memory for a graph");
    tm_status status = set_paths(b.graph, path, err);
    b.graph->params = json_incref(json_object_get(evaluated, "params"));
    b.graph->files = json_incref(json_object_get(evaluated, "files"));
    if (status >= 0) status = build(&b, evaluated, err);
    tm_free(b.by_id);
    tm_hash_map_clear(&b.names);
    if (status < 0) {
        tm_graph_free(b.graph);
        if (status == TM_EGRAPH) tm_fail(err, status, "the graph has %zu errors", diags->n);
        return status;
    }
    *out = b.graph;
    return TM_OK;
}

void tm_graph_free(tm_graph *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->n_nodes; i++) node_free(g->nodes[i]);
    tm_free(g->nodes);
    tm_free(g->targets);
    tm_free(g->file);
    tm_free(g->folder);
    json_decref(g->params);
    json_decref(g->files);
    tm_free(g);
}

static json_t *port_names(const tm_port *ports, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n && ports[i].name; i++) json_array_append_new(list, json_string(ports[i].name));
    return list;
}

static json_t *option_names(const tm_option *o)
{
    json_t *list = json_array();
    for (; o && o->name; o++) json_array_append_new(list, json_string(o->name));
    return list;
}

json_t *tm_catalogue(void)
{
    json_t *stages = json_array(), *values = json_array();
    for (const tm_stage *const *p = tm_stages; *p; p++) {
        if ((*p)->traits & TM_INTERNAL) continue;
        json_array_append_new(stages, json_pack("{s:s, s:o, s:o, s:b, s:o}", "name", (*p)->name, "inputs",
                                                port_names((*p)->inputs, TM_MAX_PORTS), "outputs",
                                                port_names((*p)->outputs, TM_MAX_PORTS), "step",
                                                ((*p)->traits & TM_STEP) != 0, "options", option_names((*p)->options)));
    }
    for (const tm_value *const *p = tm_values; *p; p++)
        json_array_append_new(values, json_pack("{s:s, s:o}", "name", (*p)->name, "options", option_names((*p)->options)));
    return json_pack("{s:o, s:o}", "stages", stages, "values", values);
}
