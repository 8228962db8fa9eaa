// SPDX-License-Identifier: Apache-2.0
// Checking the graph: types, attributes, every stage's own check, places.
#include "engine/graph_link.h"
#include "engine/graph_parts.h"

#include <stdlib.h>

static void type_mismatch(builder *b, const tm_node *node, const tm_link *link)
{
    char from[256], input[128];
    const tm_port *have = &link->from->stage->outputs[link->out];
    tm_diag *d = graph_fault(b, node, "TM0211", link->port);
    TM_DIAG(d->what, "%s: its %s takes %s, but %s gives %s", node->called,
            graph_input_label(link->port, input, sizeof input), link->row->type,
            tm_node_label(link->from, from, sizeof from), have->type);
    TM_DIAG(d->why, "%s is made at %s:%d", from, link->from->file, link->from->line);
    for (const tm_port *o = link->from->stage->outputs;
         o < link->from->stage->outputs + TM_MAX_PORTS && o->name; o++)
        if (strcmp(o->type, link->row->type) == 0)
            TM_DIAG(d->fix, "its port \"%s\" gives %s", o->name, o->type);
    if (!d->fix[0]) graph_how_to_give(link->row, d->fix, sizeof d->fix);
}

static void check_take(builder *b, const tm_node *node, const tm_link *link)
{
    bool tree = tm_type_find(link->from->stage->outputs[link->out].type)->tree;
    if (tree || link->select.kind == TM_SELECT_LAST) return;
    static const char *const names[] = {"last", "latest", "best", "each", "at"};
    char from[256];
    const char *type = link->from->stage->outputs[link->out].type;
    tm_diag *d = graph_fault(b, node, "TM0214", names[link->select.kind]);
    TM_DIAG(d->what, "%s: :%s picks among the snapshots of a model, and %s has none", node->called,
            names[link->select.kind], tm_node_label(link->from, from, sizeof from));
    TM_DIAG(d->why, "%s (%s:%d) gives %s", from, link->from->file, link->from->line, type);
    TM_DIAG(d->fix, "use :take(n) for the first n records");
}

// ":best" by a metric that will not be there; "loss" is told of "valid.loss".
static void no_metric(builder *b, const tm_node *node, const tm_link *link, const json_t *names)
{
    const char *all[64], *wanted = link->select.metric, *near;
    size_t i, n = 0, end = strlen(wanted);
    json_t *name;
    char from[256];
    tm_diag *d = graph_fault(b, node, "TM0220", wanted);
    TM_DIAG(d->what, "%s: %s will have no metric \"%s\"", node->called,
            tm_node_label(link->from, from, sizeof from), wanted);
    json_array_foreach((json_t *)names, i, name) if (n < 63) all[n++] = json_string_value(name);
    all[n] = NULL;
    near = tm_nearest(wanted, all);
    for (i = 0; i < n && !near; i++) {
        size_t size = strlen(all[i]);
        if (size > end && all[i][size - end - 1] == '.' && strcmp(all[i] + size - end, wanted) == 0)
            near = all[i];
    }
    if (near) TM_DIAG(d->fix, "did you mean \"%s\"?", near);
    for (i = 0; i < n && !near; i++) {
        size_t at = strlen(d->fix);
        snprintf(d->fix + at, sizeof d->fix - at, "%s%s", at ? ", " : "it has: ", all[i]);
    }
}

// Whether a selector by a metric can find it, where that is known before anything runs.
static void check_best(builder *b, const tm_node *node, const tm_link *link)
{
    int metrics = tm_stage_output(link->from->stage, "metrics");
    const json_t *names = metrics < 0 ? NULL : json_object_get(link->from->attrs[metrics], "metrics");
    char from[256];
    size_t i;
    json_t *name;
    if (link->select.kind != TM_SELECT_BEST || !tm_type_find(link->row->type)->tree) return;
    if (metrics < 0) {
        tm_diag *d = graph_fault(b, node, "TM0214", "best");
        TM_DIAG(d->what, "%s: :best picks by a metric, and %s has none", node->called,
                tm_node_label(link->from, from, sizeof from));
        TM_DIAG(d->why, "%s (%s:%d) trains nothing", from, link->from->file, link->from->line);
        TM_DIAG(d->fix, "pick among the snapshots of the trainer before it");
    }
    json_array_foreach((json_t *)names, i, name)
        if (strcmp(json_string_value(name), link->select.metric) == 0) return;
    if (names) no_metric(b, node, link, names);
}

// An attribute as people know it: the name of a node is told with its line.
static void attribute_text(const tm_graph *g, const json_t *value, char *text, size_t size)
{
    const tm_node *node = json_is_string(value) ? tm_graph_find(g, json_string_value(value)) : NULL;
    char *shown = json_dumps(value, JSON_ENCODE_ANY), label[256];
    if (!value) snprintf(text, size, "none");
    else if (node)
        snprintf(text, size, "that of %.100s (%s:%d)", tm_node_label(node, label, sizeof label), node->file,
                 node->line);
    else snprintf(text, size, "%.100s", shown ? shown : "?");
    free(shown);
}

static void disagreement(builder *b, const tm_node *node, const tm_link *x, const tm_link *y, const char *key)
{
    char from[256], input[128], has[256];
    const tm_link *both[] = {x, y};
    tm_diag *d = graph_fault(b, node, "TM0212", y->port);
    TM_DIAG(d->what, "%s: its inputs do not agree on the %s", node->called, key);
    for (int i = 0; i < 2; i++) {
        size_t at = strlen(d->why);
        attribute_text(b->graph, json_object_get(both[i]->from->attrs[both[i]->out], key), has, sizeof has);
        snprintf(d->why + at, sizeof d->why - at, "%s%s, %.90s (%s:%d), has %.120s", i ? "; " : "",
                 graph_input_label(both[i]->port, input, sizeof input),
                 tm_node_label(both[i]->from, from, sizeof from), both[i]->from->file, both[i]->from->line,
                 has);
    }
    TM_DIAG(d->fix, "give both the same %s", key);
}

// Several links into one input. Snapshots stay apart; data becomes one log, so attributes must be equal.
static void check_siblings(builder *b, const tm_node *node, const tm_link *x, const tm_link *y)
{
    const json_t *ax = x->from->attrs[x->out], *ay = y->from->attrs[y->out];
    const char *key;
    json_t *value;
    if (tm_type_find(x->from->stage->outputs[x->out].type)->tree) return;
    json_object_foreach((json_t *)ax, key, value)
        if (!json_equal(value, json_object_get(ay, key))) disagreement(b, node, x, y, key);
    json_object_foreach((json_t *)ay, key, value)
        if (!json_object_get(ax, key)) disagreement(b, node, x, y, key);
}

// Attributes that both ends of a node name must agree: the tokenizer of its data and that of its model.
static void check_agreement(builder *b, const tm_node *node)
{
    for (size_t i = 0; i < node->n_links; i++)
        for (size_t j = i + 1; j < node->n_links; j++) {
            const tm_link *x = &node->links[i], *y = &node->links[j];
            if ((x->row->flags | y->row->flags) & TM_PORT_APART) continue;
            if (x->row == y->row) {
                check_siblings(b, node, x, y);
                continue;
            }
            const json_t *ax = x->from->attrs[x->out], *ay = y->from->attrs[y->out];
            const char *key;
            json_t *value;
            json_object_foreach((json_t *)ax, key, value)
            {
                const json_t *other = json_object_get(ay, key);
                if (other && !json_equal(value, other)) disagreement(b, node, x, y, key);
            }
        }
}

// What a sentence quotes first ("pages.text" is not there) is what the caret goes to.
static void quoted(const char *text, char *word, size_t size)
{
    const char *open = strchr(text, '"'), *close = open ? strchr(open + 1, '"') : NULL;
    snprintf(word, size, "%.*s", close ? (int)(close - open - 1) : 0, close ? open + 1 : "");
}

// What leaves a stage as the type of its main input has that one's attributes, unless the stage's check says
// otherwise.
static json_t *inherited(const tm_check *check, const tm_stage *stage, const tm_port *output)
{
    const tm_port *main = &stage->inputs[0];
    bool there = main->name && !main->name[0] && main->type && check->inputs[0];
    bool same = there && strcmp(main->type, output->type) == 0;
    return same ? json_copy((json_t *)check->inputs[0]) : json_object();
}

static tm_status call_check(const builder *b, tm_node *node, tm_option_fault *fault, tm_error *err)
{
    tm_check_link *links = tm_calloc(node->n_links + 1, sizeof *links);
    if (!links) return tm_fail(err, TM_ENOMEM, "no memory for a check");
    tm_check check = {.name = node->name,
                      .options = node->parsed,
                      .values = node->options,
                      .folder = b->graph->folder,
                      .memory = b->memory,
                      .fault = fault,
                      .links = links,
                      .n_links = node->n_links,
                      .given = node->values};
    for (size_t i = 0; i < node->n_links; i++) {
        const tm_link *link = &node->links[i];
        size_t port = (size_t)(link->row - node->stage->inputs);
        links[i] = (tm_check_link){link->port, link->row, link->from->attrs[link->out]};
        if (port < TM_MAX_PORTS) check.inputs[port] = links[i].attrs;
    }
    for (int i = 0; i < TM_MAX_PORTS && node->stage->outputs[i].name; i++)
        check.outputs[i] = node->attrs[i] = inherited(&check, node->stage, &node->stage->outputs[i]);
    if (node->stage->identity && !node->identity) node->identity = json_object();
    tm_status status = node->stage->check ? node->stage->check(&check, err) : TM_OK;
    if (status >= 0 && node->stage->identity) status = node->stage->identity(&check, node->identity, err);
    tm_free(links);
    return status;
}

// `follows`: an input of the node is wrong, so that what its check says of that one was said already.
static void stage_check(builder *b, tm_node *node, bool follows)
{
    tm_option_fault fault = {0};
    tm_error err = {0};
    tm_status status = call_check(b, node, &fault, &err);
    if (status >= 0 || (follows && status != TM_ENOENT)) return;
    if (status == TM_ENOENT && b->absent) return;
    const char *code = status == TM_ENOENT ? "TM0301" : status == TM_EIO ? tm_error_code(&err) : "TM0220";
    tm_diag *d = graph_fault(b, node, code, fault.option);
    const char *what = fault.what[0] ? fault.what : err.text;
    char place[224];
    if (node->serves) TM_DIAG(d->what, "%s%.280s", graph_served(node, place, sizeof place), what);
    else TM_DIAG(d->what, "%s: %.400s", node->called, what);
    if (!fault.option && !node->serves) quoted(d->what, d->word, sizeof d->word);
    TM_DIAG(d->why, "%s", fault.why[0] ? fault.why : err.why);
    TM_DIAG(d->fix, "%s", fault.fix[0] ? fault.fix : err.hint);
}

void graph_check_types(builder *b)
{
    bool *wrong_nodes = tm_calloc(b->graph->n_nodes + 1, sizeof *wrong_nodes);
    for (size_t k = 0; k < b->graph->n_nodes; k++) {
        tm_node *node = b->graph->nodes[k];
        size_t before = b->diags->n;
        bool sound = true, follows = false;
        for (size_t i = 0; i < node->n_links; i++) {
            const tm_link *link = &node->links[i];
            follows |= wrong_nodes && wrong_nodes[link->from->index];
            bool wrong = strcmp(link->from->stage->outputs[link->out].type, link->row->type) != 0;
            sound &= !wrong;
            if (node->serves) continue;  // what it shares with its consumer is that one's fault
            if (wrong) type_mismatch(b, node, link);
            check_take(b, node, link);
            if (!wrong && !(wrong_nodes && wrong_nodes[link->from->index])) check_best(b, node, link);
        }
        if (!node->serves && !follows) check_agreement(b, node);
        if (sound && b->diags->n == before) stage_check(b, node, follows);
        if (wrong_nodes) wrong_nodes[k] = follows || !sound || b->diags->n > before;
    }
    tm_free(wrong_nodes);
}

void graph_check_links(builder *b)
{
    for (size_t k = 0; k < b->graph->n_nodes; k++) {
        const tm_node *node = b->graph->nodes[k];
        for (size_t i = 0; i < node->n_links; i++) {
            const tm_link *link = &node->links[i];
            const tm_port *have = &link->from->stage->outputs[link->out];
            bool fits = strcmp(have->type, link->row->type) == 0 || tm_link_conversion(link->row, have);
            if (!fits) type_mismatch(b, node, link);
            check_take(b, node, link);
        }
    }
}

// Two results cannot be put in one place.
tm_status graph_check_places(builder *b, tm_error *err)
{
    tm_hash_map places = {0};
    tm_status status = TM_OK;
    for (size_t k = 0; status >= 0 && k < b->graph->n_nodes; k++) {
        const tm_node *node = b->graph->nodes[k];
        const char *to = tm_node_place(node);
        uint64_t other;
        if (!to) continue;
        if (tm_hash_map_get(&places, graph_name_hash(to), &other)) {
            const tm_node *first = b->graph->nodes[other];
            tm_diag *d = graph_fault(b, node, "TM0215", "to");
            TM_DIAG(d->what, "%s: its place is taken by another node", node->called);
            TM_DIAG(d->why, "\"%.200s\" is where %s (%s:%d) is put", to, first->called, first->file,
                    first->line);
            TM_DIAG(d->fix, "give each a place of its own");
        } else if (!tm_hash_map_put(&places, graph_name_hash(to), k)) {
            status = tm_fail(err, TM_ENOMEM, "no memory for places");
        }
    }
    tm_hash_map_clear(&places);
    return status;
}
