// SPDX-License-Identifier: Apache-2.0
// Steps of a chain, and their counts from what they removed.
#include "lua/report/chain.h"

#include "engine/graph.h"
#include "lua/past/recorded_stage.h"

static int64_t removed_by(const tm_past_node *node)
{
    const tm_past_port *port = tm_past_port_of(node, "removed");
    return port && port->there ? port->rows : 0;
}

static bool sifts(const tm_past_node *node)
{
    const tm_stage *stage = tm_recorded_stage(node->plan);
    return stage && strcmp(stage->outputs[0].type, "documents") == 0 &&
           tm_stage_output(stage, "removed") >= 0;
}

static bool brings_code(const tm_past_node *node)
{
    const tm_stage *stage = tm_recorded_stage(node->plan);
    return !stage || (stage->traits & (TM_SCRIPT | TM_PROGRAM));
}

// From the end: what a step was given is what it kept and removed, unless the step before knows better.
static void count(tm_chain *c)
{
    int64_t rows = c->steps[c->n - 1]->rows;
    for (size_t i = c->n; i-- > 0;) {
        if (c->steps[i]->rows >= 0) rows = c->steps[i]->rows;
        c->kept[i] = rows;
        c->removed[i] = removed_by(c->steps[i]);
        rows += c->removed[i];
    }
    c->all = rows;
    for (size_t i = 0; i < c->n; i++) c->in[i] = i ? c->kept[i - 1] : c->all;
}

static bool gives_documents(const tm_past_node *node)
{
    const tm_stage *stage = tm_recorded_stage(node->plan);
    return stage && strcmp(stage->outputs[0].type, "documents") == 0;
}

bool tm_chain_find(const tm_past *past, const tm_past_node *end, tm_chain *c)
{
    bool any = sifts(end);
    size_t size = strlen(end->name);
    *c = (tm_chain){0};
    if (!gives_documents(end)) return false;
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        if (strncmp(node->name, end->name, size) != 0 || node->name[size] != '/' ||
            tm_report_chain(past, node) != end || c->n + 1 >= TM_CHAIN_MOST)
            continue;
        c->steps[c->n++] = node;
        any |= sifts(node);
    }
    c->steps[c->n++] = end;
    if (!any || end->rows < 0 || tm_report_chain(past, end)) return false;
    count(c);
    return c->n > 1 || (c->removed[0] > 0 && !brings_code(end));
}
