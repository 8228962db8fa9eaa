// SPDX-License-Identifier: Apache-2.0
// Finding the node that let nothing through.
#include "lua/cli/emptied.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "engine/store_artifact.h"
#include "engine/store_key.h"
#include "lua/cli/counts.h"

#define REASONS 4 // that are named

int64_t tm_emptied_rows(const tm_plan *plan, const tm_plan_node *p, int port)
{
    tm_artifact log = {0};
    bool there = p->known && tm_artifact_get(plan->store, p->outputs[port], &log, NULL) >= 0;
    int64_t rows = there ? (int64_t)log.rows : -1;
    tm_artifact_clear(&log);
    return rows;
}

static int64_t rows_of_link(const tm_plan *plan, const tm_link *link)
{
    const tm_type *type = tm_type_find(link->row->type);
    if (!type || type->tree || !tm_stage_makes(link->from->stage, link->out)) return -1;
    return tm_emptied_rows(plan, tm_plan_canonical(plan, link->from), link->out);
}

// Records that it was given, of stages that pass records on; else 0.
static int64_t taken(const tm_plan *plan, const tm_plan_node *p)
{
    const tm_stage *stage = p->node->stage;
    int removed = tm_stage_output(stage, "removed");
    if (strcmp(stage->outputs[0].type, "documents") != 0) return 0;
    if (removed >= 0) return tm_emptied_rows(plan, p, removed);
    for (size_t i = 0; stage->traits & TM_PROGRAM && i < p->node->n_links; i++)
        if (!p->node->links[i].port[0]) return rows_of_link(plan, &p->node->links[i]);
    return 0;
}

static void add_reasons(const tm_plan *plan, const tm_plan_node *p, char *text)
{
    const tm_record *record = tm_key_by_content(plan->store, p->content);
    json_t *facts = record ? json_loads(record->json, 0, NULL) : NULL, *n;
    const char *name;
    int told = 0;
    json_object_foreach(json_object_get(facts, "counts"), name, n)
    {
        size_t at = strlen(text);
        char count[TM_COUNT_TEXT];
        if (strncmp(name, "removed.", 8) != 0 || told == REASONS) continue;
        snprintf(text + at, TM_EMPTIED_TEXT - at, "%s%.30s %s", told++ ? ", " : " (", name + 8,
                 tm_count_text(json_integer_value(n), count));
    }
    size_t at = strlen(text);
    if (told) snprintf(text + at, TM_EMPTIED_TEXT - at, ")");
    json_decref(facts);
}

const char *tm_emptied_text(const tm_plan *plan, const tm_plan_node *p, char text[TM_EMPTIED_TEXT])
{
    char count[TM_COUNT_TEXT];
    int64_t n = taken(plan, p);
    if (n <= 0 || tm_emptied_rows(plan, p, 0) != 0) return NULL;
    snprintf(text, TM_EMPTIED_TEXT, "none of %s record%s came out", tm_count_text(n, count),
             n == 1 ? "" : "s");
    add_reasons(plan, p, text);
    tm_utf8_mend(text);  // words of a graph file may be cut anywhere
    return text;
}

const tm_plan_node *tm_emptied_before(const tm_plan *plan, const tm_node *node)
{
    char text[TM_EMPTIED_TEXT];
    for (size_t i = 0; i < node->n_links; i++) {
        if (rows_of_link(plan, &node->links[i]) != 0) continue;
        const tm_plan_node *from = tm_plan_canonical(plan, node->links[i].from);
        const tm_plan_node *found = tm_emptied_text(plan, from, text) ? from
                                                                     : tm_emptied_before(plan, from->node);
        if (found) return found;
    }
    return NULL;
}

const char *tm_emptied_look(const tm_plan_node *p, const char *run, char text[256])
{
    bool removed = tm_stage_output(p->node->stage, "removed") >= 0;
    snprintf(text, 256, "tidemill %s%s%s%.190s%s", removed ? "inspect " : "logs ", run, run[0] ? ":" : "",
             p->node->name, removed ? ".removed" : "");
    return text;
}
