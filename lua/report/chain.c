// SPDX-License-Identifier: Apache-2.0
// Steps of a chain, and their counts from what they removed.
#include "lua/report/chain.h"

#include "engine/graph.h"

static int64_t removed_by(const tm_past_node *node)
{
    const tm_past_port *port = tm_past_port_of(node, "removed");
    return port && port->there ? port->rows : 0;
}

static bool sifts(const tm_past_node *node)
{
    const tm_stage *stage = tm_stage_find(node->stage);
    return stage && strcmp(stage->outputs[0].type, "documents") == 0 &&
           tm_stage_output(stage, "removed") >= 0;
}

bool tm_chain_find(const tm_past *past, const tm_past_node *end, tm_chain *c)
{
    bool any = sifts(end);
    *c = (tm_chain){0};
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        if (node == end || tm_report_chain(past, node) != end || c->n + 1 >= TM_CHAIN_MOST) continue;
        c->steps[c->n++] = node;
        any |= sifts(node);
    }
    c->steps[c->n++] = end;
    if (!any || end->rows < 0 || tm_report_chain(past, end)) return false;
    int64_t rows = end->rows;
    for (size_t i = c->n; i-- > 0;) {  // a step that gives other numbers of documents tells so itself
        if (c->steps[i]->rows >= 0) rows = c->steps[i]->rows;
        c->kept[i] = rows;
        c->removed[i] = removed_by(c->steps[i]);
        rows += c->removed[i];
    }
    c->all = rows;
    return true;
}
