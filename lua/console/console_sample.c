// SPDX-License-Identifier: Apache-2.0
// Finding and reading a record while the run goes on.
#include "lua/console/console_sample.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/utf8.h"
#include "engine/store_artifact.h"

#define FIRST_NS 300000000       // between two looks while there is nothing to show
#define NEXT_NS 6000000000       // what is shown stays so long
#define WAIT_NS 3000000000       // so long something removed is hoped for before a kept one does
#define MOST_BYTES (4 << 20)     // of an entry that is read

struct tm_console_sample {
    const tm_plan *plan;
    size_t (*seen)[TM_MAX_PORTS];  // entries of each output that were looked at
    int64_t start_ns, next_ns;
    unsigned turn;                 // every other one is of what was kept
    size_t last[2];                // node whose turn it was, for what was kept and for what was removed
};

tm_console_sample *tm_console_sample_new(const tm_plan *plan)
{
    tm_console_sample *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (tm_console_sample){.plan = plan, .start_ns = tm_time_ns()};
    s->seen = calloc(plan->graph->n_nodes + 1, sizeof *s->seen);
    if (s->seen) return s;
    free(s);
    return NULL;
}

void tm_console_sample_free(tm_console_sample *s)
{
    if (!s) return;
    free(s->seen);
    free(s);
}

// ---- reading a document ----

// A conversation is JSON: what is said in it, without its last `less` messages.
static char *said(const char *text, size_t size, size_t less)
{
    json_t *record = size && text[0] == '{' ? json_loadb(text, size, 0, NULL) : NULL, *message;
    tm_buf all = {0};
    size_t i, n = json_array_size(json_object_get(record, "messages"));
    json_array_foreach(json_object_get(record, "messages"), i, message)
    {
        if (i + less >= n) break;
        const char *role = json_string_value(json_object_get(message, "role"));
        const char *content = json_string_value(json_object_get(message, "content"));
        if (role && content) tm_buf_fmt(&all, "%s%s: %s", all.size ? "  " : "", role, content);
    }
    json_decref(record);
    if (all.failed || !all.size) tm_buf_clear(&all);
    return all.data;
}

static void tell_reason(const tm_doc *doc, const char *node, char *of, size_t size)
{
    json_t *meta = doc->meta.size ? json_loadb(doc->meta.data, doc->meta.size, 0, NULL) : NULL;
    const char *rule = json_string_value(json_object_get(meta, "removed"));
    const json_t *value = json_object_get(meta, "value");
    if (rule && value && json_is_number(value))
        snprintf(of, size, "removed by %s: %s %.6g", node, rule, json_number_value(value));
    else snprintf(of, size, "removed by %s%s%s", node, rule ? ": " : "", rule ? rule : "");
    json_decref(meta);
}

static bool show(const tm_batch *batch, const char *node, bool removed, char *of, size_t of_size, char *text,
                 size_t text_size)
{
    for (size_t row = 0; row < tm_batch_rows(batch); row++) {
        tm_doc doc = tm_docs_get(batch, row);
        if (!doc.text.size) continue;
        if (removed) tell_reason(&doc, node, of, of_size);
        else snprintf(of, of_size, "from %s", node);
        char *speech = said(doc.text.data, doc.text.size, 0);
        size_t size = doc.text.size < text_size ? doc.text.size : text_size;
        if (speech) snprintf(text, text_size, "%s", speech);
        else snprintf(text, text_size, "%.*s", (int)size, doc.text.data);
        tm_utf8_mend(text);
        tm_free(speech);
        return true;
    }
    return false;
}

static bool read_entry(const tm_console_sample *s, const tm_entry *entry, const char *node, bool removed,
                       char *of, size_t of_size, char *text, size_t text_size)
{
    const tm_type *type = tm_type_find("documents");
    tm_blob blob = {0};
    tm_batch *batch = NULL;
    if (!entry->rows || entry->bytes > MOST_BYTES || !tm_store_has(s->plan->store, entry->hash)) return false;
    bool good = tm_store_get(s->plan->store, entry->hash, &blob, NULL) >= 0;
    tm_view bytes = tm_view_of(blob.data, blob.size);
    good = good && tm_batch_decode(bytes, type->cols, type->n_cols, &batch, NULL) >= 0 &&
           show(batch, node, removed, of, of_size, text, text_size);
    tm_batch_unref(batch);
    tm_blob_clear(&blob);
    return good;
}

// ---- finding one ----

// The next entry of an output that has records and was not looked at yet.
static bool find_new(tm_console_sample *s, const tm_run_now *now, int node, int port, tm_entry *found)
{
    const tm_entry *entries;
    size_t n = tm_run_entries(now, node, port, &entries), *seen = &s->seen[node][port];
    while (*seen < n) {
        *found = entries[(*seen)++];
        if (found->rows) return true;
    }
    return false;
}

// Documents that people can read: not those that are markup still.
static bool is_readable(const tm_node *node, int port)
{
    return tm_stage_makes(node->stage, port) && strcmp(node->stage->outputs[port].type, "documents") == 0 &&
           !json_object_get(node->attrs[port], "markup");
}

// Of what came out meanwhile, each node in its turn. What is kept is of nodes that people speak of.
static bool look_at_new(tm_console_sample *s, const tm_run_now *now, bool removed, char *of, size_t of_size,
                        char *text, size_t text_size)
{
    size_t n = s->plan->graph->n_nodes;
    for (size_t k = 1; k <= n; k++) {
        size_t i = (s->last[removed] + n - k) % n;
        const tm_node *node = s->plan->graph->nodes[i];
        int port = removed ? tm_stage_output(node->stage, "removed") : 0;
        tm_entry entry;
        if (port < 0 || !(removed || node->named) || !is_readable(node, port)) continue;
        if (!find_new(s, now, (int)i, port, &entry)) continue;
        s->last[removed] = i;
        if (read_entry(s, &entry, node->name, removed, of, of_size, text, text_size)) return true;
    }
    return false;
}

// Nothing is made anew: what the nodes in work read is a result of an earlier run.
static bool look_at_cached(const tm_console_sample *s, char *of, size_t of_size, char *text, size_t text_size)
{
    for (size_t i = s->plan->graph->n_nodes; i-- > 0;) {
        const tm_plan_node *p = tm_plan_canonical(s->plan, s->plan->graph->nodes[i]);
        tm_artifact log = {0};
        if (!p->wanted || !p->known || !is_readable(p->node, 0)) continue;
        bool good = tm_artifact_get(s->plan->store, p->outputs[0], &log, NULL) >= 0 && log.count &&
                    read_entry(s, &log.entries[log.count / 2], p->node->name, false, of, of_size, text,
                               text_size);
        tm_artifact_clear(&log);
        if (good) return true;
    }
    return false;
}

void tm_console_sample_look(tm_console_sample *s, const tm_run_now *now, char *of, size_t of_size, char *text,
                            size_t text_size)
{
    int64_t t = tm_time_ns();
    if (t < s->next_ns) return;
    bool late = t - s->start_ns > WAIT_NS, kept = s->turn % 2 == 1;
    bool found = look_at_new(s, now, !kept, of, of_size, text, text_size);
    if (!found && late) found = look_at_new(s, now, kept, of, of_size, text, text_size);
    if (!found && late && !s->turn) found = look_at_cached(s, of, of_size, text, text_size);
    if (found) s->turn++;
    s->next_ns = t + (found || late ? NEXT_NS : FIRST_NS);
}

void tm_console_sample_take(tm_console_sample *s, const json_t *fields, char *of, size_t of_size, char *text,
                            size_t text_size)
{
    const char *node = json_string_value(json_object_get(fields, "node"));
    const char *asked = json_string_value(json_object_get(fields, "asked"));
    const char *made = json_string_value(json_object_get(fields, "made"));
    const char *verdict = json_string_value(json_object_get(fields, "verdict"));
    if (!node || !asked || !made || !verdict) return;
    char *speech = said(asked, strlen(asked), 1);
    snprintf(of, of_size, "generated for %s, %s", node, verdict);
    snprintf(text, text_size, "%.200s -> %s", speech ? speech : asked, made);
    tm_utf8_mend(text);
    tm_free(speech);
    s->turn++;
    s->next_ns = tm_time_ns() + NEXT_NS;
}
