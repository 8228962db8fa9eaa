// SPDX-License-Identifier: Apache-2.0
// Building the graph, in passes: nodes, names, conversions, reachability.
#include "engine/graph.h"

#include <stdlib.h>

#include "engine/graph_link.h"
#include "engine/graph_parts.h"

// What the constructor is called, without "tm.".
const char *tm_node_called(const tm_node *node)
{
    return node->called + (strncmp(node->called, "tm.", 3) == 0 ? 3 : 0);
}

// At the call of a node's constructor; `word`: the option or text in its braces, or NULL. For a conversion it
// is the call that it was put in for.
tm_diag *graph_fault(builder *b, const tm_node *node, const char *code, const char *word)
{
    tm_diag *diag = tm_diag_add(b->diags, code, node->file, node->line);
    if (node->serves) word = node->serves_port;
    TM_DIAG(diag->owner, "%s", tm_node_called(node->serves ? node->serves : node));
    TM_DIAG(diag->word, "%s", word ? word : "");
    return diag;
}

// At the call of a value's constructor.
tm_diag *graph_value_fault(builder *b, const json_t *given, const char *code, const char *word)
{
    const char *name = json_string_value(json_object_get(given, "$value"));
    const char *file = json_string_value(json_object_get(given, "file"));
    tm_diag *diag = tm_diag_add(b->diags, code, file,
                                (int)json_integer_value(json_object_get(given, "line")));
    TM_DIAG(diag->owner, "%s", name);
    TM_DIAG(diag->word, "%s", word ? word : "");
    return diag;
}

const char *tm_node_label(const tm_node *node, char *text, size_t size)
{
    size_t n = strlen(tm_node_called(node));
    bool numbered = strncmp(node->name, tm_node_called(node), n) == 0 &&
                    (!node->name[n] || node->name[n] == '.');
    if (numbered || !node->name[0]) snprintf(text, size, "%s", node->called);
    else snprintf(text, size, "%s \"%s\"", node->called, node->name);
    return text;
}

// "main input" or "input NAME".
const char *graph_input_label(const char *port, char *text, size_t size)
{
    snprintf(text, size, "%s%s", port[0] ? "input " : "main input", port);
    return text;
}

static void add_name(char *text, size_t size, const char *name, const char *port)
{
    size_t at = strlen(text);
    snprintf(text + at, size - at, "%stm.%s%s%s", at ? ", " : "", name, port[0] ? "." : "", port);
}

// How to get what an input takes: the stages that give its type, the values of its family.
void graph_how_to_give(const tm_port *row, char *fix, size_t size)
{
    char stages[256] = "", values[128] = "";
    for (const tm_stage *const *s = tm_stages; row->type && *s; s++)
        for (const tm_port *o = (*s)->outputs; tm_stage_makes(*s, (int)(o - (*s)->outputs)); o++)
            if (!((*s)->traits & (TM_INTERNAL | TM_STEP)) && strcmp(o->type, row->type) == 0 &&
                strcmp(o->name, "removed") != 0)
                add_name(stages, sizeof stages, (*s)->name, o->name);
    for (const tm_value *const *v = tm_values; row->value && *v; v++)
        if (strcmp((*v)->family, row->value) == 0) add_name(values, sizeof values, (*v)->name, "");
    size_t at = 0;
    fix[0] = 0;
    if (stages[0]) at = (size_t)snprintf(fix, size, "stages that give %s: %s", row->type, stages);
    if (values[0]) snprintf(fix + at, size - at, "%svalues for %s: %s", at ? "; " : "", row->value, values);
}

const char *tm_node_place(const tm_node *node)
{
    for (const tm_option *o = node->stage->options; o && o->name; o++)
        if (strcmp(o->name, "to") == 0 && o->kind == TM_OPT_PATH)
            return json_string_value(json_object_get(node->options, "to"));
    return NULL;
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
    TM_DIAG(node->called, "tm.%s", stage->as ? stage->as : stage->name);
    node->values = json_object();
    node->smoke = g->smoke;
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

// The steps of a smoke run are few: take each snapshot, and for one of later the last.
static void select_smoke(tm_select *select)
{
    int64_t steps = strtoll(TM_SMOKE_STEPS, NULL, 10);
    select->every = 0;
    if (select->at > steps) select->at = steps;
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

// `node.out` stands for something that is not there.
static void no_alias(builder *b, const tm_node *node, const tm_node *from, int out, const tm_link *end)
{
    char label[256];
    const tm_port *alias = &from->stage->outputs[out], *last = &end->from->stage->outputs[end->out];
    tm_diag *d = graph_fault(b, node, "TM0215", alias->name);
    TM_DIAG(d->what, "%s: %s has no %s", node->called, tm_node_label(from, label, sizeof label),
            alias->name);
    TM_DIAG(d->why, "it would be that of the %s%s of %s (%s:%d)", last->via[0] ? "input " : "main input",
            last->via, tm_node_label(end->from, label, sizeof label), end->from->file, end->from->line);
    graph_how_to_give(alias, d->fix, sizeof d->fix);
}

static void no_port(builder *b, const tm_node *node, const char *port, const tm_port *row,
                    const tm_node *from, const char *out)
{
    char input[128], all[256] = "";
    tm_diag *d = graph_fault(b, node, "TM0213", out[0] ? out : port);
    if (out[0]) TM_DIAG(d->what, "%s has no port \"%s\"", from->called, out);
    else
        TM_DIAG(d->what, "%s: its %s takes %s, and %s gives several results: choose one",
                node->called, graph_input_label(port, input, sizeof input), row->type, from->called);
    for (const tm_port *o = from->stage->outputs; o < from->stage->outputs + TM_MAX_PORTS && o->name; o++) {
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s.%s (%s)", at ? ", " : "", o->name, o->type);
    }
    TM_DIAG(d->why, "%s (%s:%d) gives %s", from->called, from->file, from->line, all);
    for (const tm_port *o = from->stage->outputs;
         o < from->stage->outputs + TM_MAX_PORTS && o->name && !d->fix[0]; o++)
        if (strcmp(o->type, row->type) == 0 || tm_link_conversion(row, o))
            TM_DIAG(d->fix, "write .%s behind it", o->name);
    if (d->fix[0]) return;
    if (!out[0])
        TM_DIAG(d->what, "%s: its %s takes %s, and of the results of %s none is that", node->called,
                graph_input_label(port, input, sizeof input), row->type, from->called);
    graph_how_to_give(row, d->fix, sizeof d->fix);
}

// A model where metrics are due stands for its metrics; which of its snapshots does not matter then.
static void follow_namesake(tm_link *link)
{
    const tm_port *row = link->row;
    int out = tm_stage_output(link->from->stage, row->type);
    bool wanted = (row->flags & TM_PORT_NAMESAKE) && out >= 0 &&
                  strcmp(link->from->stage->outputs[0].type, row->type) != 0;
    if (!wanted) return;
    link->out = out;
    link->select = (tm_select){0};
}

tm_status graph_connect(builder *b, tm_node *node, const char *port, const tm_port *row, const json_t *ref,
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
    if (node->smoke) select_smoke(&link->select);
    if (link->out == 0) follow_namesake(link);
    if (link->out < 0) {
        no_port(b, node, port, row, from, out ? out : "");
        node->n_links--;
        return TM_OK;
    }
    if (from->stage->outputs[link->out].flags & TM_PORT_ALIAS) {
        int alias = link->out;
        if (!tm_link_follow(link)) {
            no_alias(b, node, from, alias, link);
            node->n_links--;
            return TM_OK;
        }
    }
    return link->select.take ? insert_take(b, node, link, err) : TM_OK;
}

// ---- at ----

int64_t tm_at_bytes(const json_t *value)
{
    static const char units[] = "kmgt";
    const char *text = json_string_value(value);
    char *unit = "";
    double number = text ? strtod(text, &unit) : json_number_value(value);
    while (*unit == ' ') unit++;
    const char *at = *unit ? strchr(units, *unit | 32) : NULL;
    double step = at && unit[1] == 'i' ? 1024 : 1000;
    for (const char *u = units; at && u <= at; u++) number *= step;
    unit += at ? 1 + (unit[1] == 'i') : 0;
    bool whole = !*unit || ((*unit == 'B' || *unit == 'b') && !unit[1]);
    return whole && number > 0 && number < 0x1p62 ? (int64_t)number : 0;
}

// What the node asks of the machine; a wish that nobody reads would do nothing, unseen.
static void check_at(builder *b, tm_node *node)
{
    static const tm_option table[] = {
        {"cores", TM_OPT_INT, 0, "null", 1, 4096, NULL, "cores", 0},
        {"memory", TM_OPT_NUMBER, 0, "null", 1, 0x1p62, NULL, "bytes, or a text such as \"8 GB\"", 0},
        {"retries", TM_OPT_INT, 0, "null", 0, 1000, NULL, "after a worker died", 0},
        {"timeout", TM_OPT_NUMBER, 0, "null", 0, 1e9, NULL, "seconds", 0},
        {0},
    };
    tm_option_fault fault;
    json_t *given = json_deep_copy(node->at), *memory = json_object_get(given, "memory"), *unused = NULL;
    if (!given) return;
    if (memory && tm_at_bytes(memory)) json_object_del(given, "memory");
    if (tm_options_check(table, given, &unused, &fault) < 0) {
        tm_diag *d = graph_fault(b, node, "TM0201", "at");
        TM_DIAG(d->what, "%s: at: %s", node->called, fault.what);
        TM_DIAG(d->why, "%s", fault.why);
        TM_DIAG(d->fix, "%s", fault.fix);
        if (!d->fix[0]) TM_DIAG(d->fix, "for example: at = { cores = 4, memory = \"8 GB\" }");
    }
    json_decref(given);
    json_decref(unused);
}

// The row of a stage that takes what the main input is given, where it has several.
static const tm_stage *row_for(const builder *b, const tm_stage *stage, const json_t *args)
{
    const json_t *ref = json_object_get(json_object_get(args, "1"), "$ref");
    const char *out = json_string_value(json_object_get(ref, "out"));
    size_t id = (size_t)json_integer_value(json_object_get(ref, "node"));
    const tm_node *from = ref && id < b->n_by_id ? b->by_id[id] : NULL;
    int port = from ? tm_stage_output(from->stage, out ? out : "") : -1;
    for (const tm_stage *const *s = tm_stages; port >= 0 && *s; s++)
        if ((*s)->as && strcmp((*s)->as, stage->name) == 0 &&
            strcmp((*s)->inputs[0].type, from->stage->outputs[port].type) == 0 &&
            (!(*s)->fits || (*s)->fits(*s, args)))
            return *s;
    return stage;
}

static tm_status read_node(builder *b, const json_t *json, tm_error *err)
{
    size_t id = (size_t)json_integer_value(json_object_get(json, "id"));
    const char *name = json_string_value(json_object_get(json, "stage"));
    const tm_stage *stage = name ? tm_stage_find(name) : NULL;
    if (!stage || id >= b->n_by_id)
        return tm_fail(err, TM_EFORMAT, "graph data: node %zu has no known stage", id);
    const json_t *args = json_object_get(json, "args");
    stage = row_for(b, stage, args);
    tm_node *node = node_new(b, stage);
    if (!node) return tm_fail(err, TM_ENOMEM, "no memory for node %zu", id);
    const char *own_name = json_string_value(json_object_get(args, "name"));
    if ((stage->traits & TM_SCRIPT) && own_name) TM_DIAG(node->called, "%s", own_name);
    const char *file = json_string_value(json_object_get(json, "file"));
    const char *given = json_string_value(json_object_get(json, "name"));
    TM_DIAG(node->file, "%s", file ? file : "");
    TM_DIAG(node->name, "%s", given ? given : "");
    node->line = (int)json_integer_value(json_object_get(json, "line"));
    node->store = json_is_true(json_object_get(json, "store"));
    node->at = json_incref(json_object_get(json, "at"));
    check_at(b, node);
    json_t *options = json_object();
    const char *key;
    json_t *arg;
    json_object_foreach(json_object_get(json, "args"), key, arg)
        TM_TRY(graph_bind_arg(b, node, key, arg, options, err));
    tm_option_fault fault;
    if (tm_options_check(stage->options, options, &node->options, &fault) < 0)
        graph_option_fault(b, node, NULL, args, &fault);
    else if (node->smoke) tm_options_smoke(stage->options, node->options);
    json_decref(options);
    graph_check_inputs(b, node, json_object_get(json, "args"));
    b->by_id[id] = node;
    return node->options ? graph_parse_options(node, err) : TM_OK;
}

// ---- targets and names ----

tm_hash graph_name_hash(const char *name)
{
    return tm_hash_of(name, strlen(name));
}

// The wanted name, or with the first number behind it that is free.
static tm_status give_name(builder *b, tm_node *node, const char *wanted, tm_error *err)
{
    uint64_t k = 1;
    snprintf(node->name, sizeof node->name, "%s", wanted);
    bool ok = true, taken = tm_hash_map_get(&b->names, graph_name_hash(wanted), &k);
    while (taken) {
        snprintf(node->name, sizeof node->name, "%.180s.%llu", wanted, (unsigned long long)++k);
        taken = tm_hash_map_get(&b->names, graph_name_hash(node->name), NULL);
        if (!taken) ok = tm_hash_map_put(&b->names, graph_name_hash(node->name), 1);
    }
    ok = ok && tm_hash_map_put(&b->names, graph_name_hash(wanted), k);
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
        tm_link named = {.from = t->node, .out = t->out};
        if (!tm_link_follow(&named)) no_alias(b, t->node, t->node, t->out, &named);
        t->node = named.from;
        t->out = named.out;
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
        if (!node || node->name[0] || !json_is_integer(curate) || last >= b->n_by_id || !b->by_id[last])
            continue;
        char name[192];
        const char *owner = b->by_id[last]->named ? b->by_id[last]->name : "curate";
        snprintf(name, sizeof name, "%.120s/%.60s", owner, tm_node_called(node));
        TM_TRY(give_name(b, node, name, err));
    }
    return TM_OK;
}

static tm_status name_rest(builder *b, const json_t *nodes, tm_error *err)
{
    tm_graph *g = b->graph;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->name[0] && !tm_hash_map_put(&b->names, graph_name_hash(g->nodes[i]->name), 1))
            return tm_fail(err, TM_ENOMEM, "no memory for names");
    TM_TRY(name_steps(b, nodes, err));
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->name[0]) TM_TRY(give_name(b, g->nodes[i], tm_node_called(g->nodes[i]), err));
    return TM_OK;
}

// ---- conversions ----

static tm_status link_conversion(builder *b, tm_node *conversion, tm_node *node, size_t i, tm_error *err)
{
    const tm_stage *stage = conversion->stage;
    for (const tm_port *p = stage->inputs; p < stage->inputs + TM_MAX_PORTS && p->name; p++) {
        tm_link source = node->links[i];
        bool main = p == stage->inputs;
        if (!main && !tm_link_borrow(node, p, &source)) continue;
        tm_link *link = link_add(b, conversion, p->name, p);
        if (!link) return tm_fail(err, TM_ENOMEM, "no memory for a link");
        link->from = source.from;
        link->out = source.out;
        link->select = source.select;
    }
    graph_check_inputs(b, conversion, NULL);
    return TM_OK;
}

// Puts `stage` between input `i` of a node and what flows into it.
static tm_status insert_conversion(builder *b, tm_node *node, size_t i, const tm_stage *stage, tm_error *err)
{
    char name[192];
    tm_node *conversion = node_new(b, stage);
    if (!conversion) return tm_fail(err, TM_ENOMEM, "no memory for a node");
    conversion->inserted = true;
    conversion->serves = node->serves ? node->serves : node;
    memcpy(conversion->serves_port, node->serves ? node->serves_port : node->links[i].port,
           sizeof conversion->serves_port);
    memcpy(conversion->file, node->file, sizeof conversion->file);
    conversion->line = node->line;
    snprintf(name, sizeof name, "%.90s.%.90s", node->name,
             node->links[i].port[0] ? node->links[i].port : stage->outputs[0].type);
    TM_TRY(give_name(b, conversion, name, err));
    json_t *none = json_object();
    tm_option_fault fault;
    tm_status status = tm_options_check(stage->options, none, &conversion->options, &fault);
    json_decref(none);
    if (status < 0) return tm_fail(err, status, "%s cannot be inserted: %s", stage->name, fault.what);
    TM_TRY(link_conversion(b, conversion, node, i, err));
    node->links[i].from = conversion;
    node->links[i].out = 0;
    node->links[i].select = (tm_select){0};
    return graph_parse_options(conversion, err);
}

// New nodes come behind the others, so that what a conversion wants is converted in turn.
static tm_status insert_conversions(builder *b, tm_error *err)
{
    for (size_t k = 0; k < b->graph->n_nodes; k++) {
        tm_node *node = b->graph->nodes[k];
        for (size_t i = 0; i < node->n_links; i++) {
            const tm_link *link = &node->links[i];
            const tm_stage *stage =
                tm_link_conversion(link->row, &link->from->stage->outputs[link->out]);
            if (stage) TM_TRY(insert_conversion(b, node, i, stage, err));
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

// ---- the whole ----

// What the graph file did wrong, and was evaluated in spite of.
static void read_mistakes(builder *b, const json_t *mistakes)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)mistakes, i, one)
    {
        const char *fields[5] = {"code", "file", "text", "hint", "word"};
        for (int k = 0; k < 5; k++) {
            const char *text = json_string_value(json_object_get(one, fields[k]));
            fields[k] = text ? text : "";
        }
        tm_diag *d = tm_diag_add(b->diags, fields[0], fields[1],
                                 (int)json_integer_value(json_object_get(one, "line")));
        TM_DIAG(d->what, "%s", fields[2]);
        TM_DIAG(d->fix, "%s", fields[3]);
        TM_DIAG(d->word, "%s", fields[4]);
    }
}

static bool comes_before(const tm_diag *x, const tm_diag *y)
{
    return strcmp(x->file, y->file) == 0 && x->line < y->line;
}

// The types of the links too, and all in the order of the file.
static tm_status tell_all(builder *b)
{
    tm_diag *items = b->diags->items;
    graph_check_links(b);
    size_t most = sizeof b->diags->items / sizeof *items, n = b->diags->n < most ? b->diags->n : most;
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && comes_before(&items[k], &items[k - 1]); k--) {
            tm_diag one = items[k];
            items[k] = items[k - 1];
            items[k - 1] = one;
        }
    return TM_EGRAPH;
}

static tm_status build(builder *b, const json_t *evaluated, tm_error *err)
{
    const json_t *nodes = json_object_get(evaluated, "nodes");
    size_t i;
    json_t *json;
    b->n_by_id = json_array_size(nodes);
    b->by_id = tm_calloc(b->n_by_id + 1, sizeof *b->by_id);
    if (!b->by_id) return tm_fail(err, TM_ENOMEM, "no memory for %zu nodes", b->n_by_id);
    read_mistakes(b, json_object_get(evaluated, "mistakes"));
    json_array_foreach(nodes, i, json) TM_TRY(read_node(b, json, err));
    TM_TRY(read_targets(b, json_object_get(evaluated, "targets"), err));
    TM_TRY(name_rest(b, nodes, err));
    if (b->diags->n) return tell_all(b);
    TM_TRY(insert_conversions(b, err));
    if (b->diags->n) return TM_EGRAPH;
    TM_TRY(keep_reachable(b, err));
    graph_check_types(b);
    TM_TRY(graph_check_places(b, err));
    return b->diags->n ? TM_EGRAPH : TM_OK;
}

// Of a file that an editor has and the disk has not yet.
static tm_status set_new_paths(tm_graph *g, const char *path, tm_error *err)
{
    char folder[TM_PATH_MAX];
    const char *slash = strrchr(path, '/');
    TM_TRY(tm_path(folder, err, "%.*s",
                   slash == path ? 1
                   : slash       ? (int)(slash - path)
                                 : 1,
                   slash ? path : "."));
    char *absolute = realpath(folder, NULL);
    if (!absolute) return tm_fail_errno(err, "%s", folder);
    g->folder = tm_strdup(absolute);
    g->file = tm_strdup(path);
    free(absolute);
    return g->folder && g->file ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for paths");
}

static tm_status set_paths(tm_graph *g, const char *path, tm_error *err)
{
    char *absolute = realpath(path, NULL);
    if (!absolute) return set_new_paths(g, path, err);
    char *slash = strrchr(absolute, '/');
    if (slash == absolute) slash[1] = 0;
    else *slash = 0;
    g->folder = tm_strdup(absolute);
    g->file = tm_strdup(path);
    free(absolute);
    return g->folder && g->file ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for paths");
}

tm_status tm_graph_build(const json_t *evaluated, const char *path, tm_file_memory *memory, tm_graph **out,
                         tm_diags *diags, tm_error *err)
{
    builder b = {.diags = diags, .memory = memory, .graph = tm_calloc(1, sizeof(tm_graph))};
    if (!b.graph) return tm_fail(err, TM_ENOMEM, "no memory for a graph");
    tm_status status = set_paths(b.graph, path, err);
    b.absent = json_is_true(json_object_get(evaluated, "absent"));
    b.graph->params = json_incref(json_object_get(evaluated, "params"));
    b.graph->files = json_incref(json_object_get(evaluated, "files"));
    b.graph->smoke = json_is_true(json_object_get(evaluated, "smoke"));
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

static json_t *port_types(const tm_port *ports)
{
    json_t *types = json_object();
    for (size_t i = 0; i < TM_MAX_PORTS && ports[i].name; i++)
        json_object_set_new(types, ports[i].name, json_string(ports[i].type));
    return types;
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
        json_array_append_new(stages, json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:o}", "name", (*p)->name,
                                                "inputs", port_names((*p)->inputs, TM_MAX_PORTS), "outputs",
                                                port_names((*p)->outputs, TM_MAX_PORTS), "types",
                                                port_types((*p)->outputs), "step",
                                                ((*p)->traits & TM_STEP) != 0, "metrics",
                                                strcmp((*p)->outputs[0].type, "metrics") == 0, "options",
                                                option_names((*p)->options)));
    }
    for (const tm_value *const *p = tm_values; *p; p++)
        json_array_append_new(
            values, json_pack("{s:s, s:o}", "name", (*p)->name, "options", option_names((*p)->options)));
    return json_pack("{s:o, s:o}", "stages", stages, "values", values);
}
