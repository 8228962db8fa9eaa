// SPDX-License-Identifier: Apache-2.0
// Following aliases, and finding the inputs of conversions.
#include "engine/graph_link.h"

#define MAX_CONVERSIONS 4  // one behind the other

static const tm_port *output_of(const tm_link *link)
{
    return &link->from->stage->outputs[link->out];
}

static void aim(tm_link *link, tm_node *from, int out, tm_select select)
{
    link->from = from;
    link->out = out;
    link->select = select;
}

// What flows into an input; the first of several.
static const tm_link *input_of(const tm_node *node, const char *name)
{
    const tm_link *input = tm_node_link(node, name);
    for (size_t i = 0; !input && i < node->n_links; i++) {
        const tm_port *row = node->links[i].row;
        bool own = row >= node->stage->inputs && row < node->stage->inputs + TM_MAX_PORTS;
        if (own && strcmp(row->name, name) == 0) input = &node->links[i];
    }
    return input;
}

bool tm_link_follow(tm_link *link)
{
    while (output_of(link)->flags & TM_PORT_ALIAS) {
        const tm_port *alias = output_of(link);
        const tm_link *input = input_of(link->from, alias->via);
        if (!input) return false;
        if (strcmp(output_of(input)->type, alias->type) == 0) {
            aim(link, input->from, input->out, input->select);
            continue;
        }
        int out = tm_stage_output(input->from->stage, alias->name);
        if (out < 0) return false;
        aim(link, input->from, out, (tm_select){0});
    }
    return true;
}

static const tm_stage *conversion(const tm_port *row, const tm_port *have, int depth)
{
    if (!row->via || strcmp(row->type, have->type) == 0 || depth == MAX_CONVERSIONS) return NULL;
    const tm_stage *stage = tm_stage_find(row->via);
    if (!stage || strcmp(stage->outputs[0].type, row->type) != 0) return NULL;
    bool fits = strcmp(stage->inputs[0].type, have->type) == 0;
    return fits || conversion(&stage->inputs[0], have, depth + 1) ? stage : NULL;
}

const tm_stage *tm_link_conversion(const tm_port *row, const tm_port *have)
{
    return row->type ? conversion(row, have, 0) : NULL;
}

static bool of_type(const tm_link *link, const tm_port *port)
{
    return strcmp(output_of(link)->type, port->type) == 0;
}

static bool borrow_output(const tm_link *input, const tm_port *port, tm_link *link)
{
    int out = tm_stage_output(input->from->stage, port->name);
    if (out < 0 || strcmp(input->from->stage->outputs[out].type, port->type) != 0) return false;
    aim(link, input->from, out, (tm_select){0});
    return tm_link_follow(link);
}

bool tm_link_borrow(const tm_node *consumer, const tm_port *port, tm_link *link)
{
    const tm_link *found = tm_node_link(consumer, port->name);
    for (size_t i = 0; !found && i < consumer->n_links; i++)
        if (of_type(&consumer->links[i], port)) found = &consumer->links[i];
    if (found) aim(link, found->from, found->out, found->select);
    for (size_t i = 0; !found && i < consumer->n_links; i++)
        if (borrow_output(&consumer->links[i], port, link)) return true;
    return found != NULL;
}
