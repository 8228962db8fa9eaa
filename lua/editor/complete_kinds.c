// SPDX-License-Identifier: Apache-2.0
// What may stand for a kind of word.
#include "lua/editor/complete_kinds.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/stage.h"
#include "lua/cli/explained.h"
#include "lua/cli/session.h"
#include "lua/editor/starter.h"
#include "lua/load/load.h"
#include "lua/past/compare.h"
#include "lua/past/kept_metrics.h"
#include "lua/past/label.h"
#include "lua/past/past.h"
#include "lua/send/send.h"

void tm_line_offer(tm_line *l, const char *before, const char *name, const char *after, const char *about)
{
    char word[512];
    snprintf(word, sizeof word, "%s%s%s", before, name, after);
    if (strncmp(word, l->word, strlen(l->word)) != 0) return;
    json_array_append_new(l->out->words, json_pack("{s:s, s:s%}", "word", word, "about", about ? about : "",
                                                   about ? strcspn(about, "\n") : 0));
}

// ---- from the graph file ----

// The graph as data, or NULL.
static json_t *graph_of(const char *path)
{
    tm_graph_source source = {.path = path};
    tm_lua_fault *fault = calloc(1, sizeof *fault);
    json_t *catalogue = tm_catalogue(), *data = NULL;
    char *text = json_dumps(catalogue, JSON_COMPACT);
    if (fault && text && tm_graph_eval(&source, text, &data, fault, NULL) < 0) data = NULL;
    free(text);
    free(fault);
    json_decref(catalogue);
    return data;
}

static void offer_targets(tm_line *l, const json_t *graph)
{
    size_t i;
    json_t *target;
    json_array_foreach(json_object_get(graph, "targets"), i, target)
        tm_line_offer(l, "", json_string_value(json_array_get(target, 0)), "", NULL);
}

static void offer_values(tm_line *l, const char *name, const json_t *param)
{
    char before[160];
    const char *kind = json_string_value(json_object_get(param, "kind"));
    size_t i;
    json_t *choice;
    snprintf(before, sizeof before, "%s=", name);
    json_array_foreach(json_object_get(param, "choices"), i, choice)
        tm_line_offer(l, before, json_string_value(choice), "", NULL);
    if (!kind || strcmp(kind, "bool") != 0) return;
    tm_line_offer(l, before, "true", "", NULL);
    tm_line_offer(l, before, "false", "", NULL);
}

static void offer_params(tm_line *l, const json_t *graph)
{
    size_t i;
    json_t *param;
    const char *equals = strchr(l->word, '=');
    json_array_foreach(json_object_get(graph, "params"), i, param)
    {
        const char *name = json_string_value(json_object_get(param, "name"));
        const char *doc = json_string_value(json_object_get(param, "doc"));
        if (!equals) tm_line_offer(l, "", name, "=", doc);
        else if (strncmp(l->word, name, strlen(name)) == 0 && l->word[strlen(name)] == '=')
            offer_values(l, name, param);
    }
}

// ---- from the store ----

static tm_store *open_store(const tm_line *l)
{
    char path[TM_PATH_MAX];
    tm_store *store = NULL;
    char *here = realpath(".", NULL);
    if (l->store) snprintf(path, sizeof path, "%s", l->store);
    else tm_session_find_store(here ? here : "/", path);
    free(here);
    if (tm_store_open(path, TM_STORE_READ_ONLY | TM_STORE_NO_KEYS, &store, NULL) < 0) return NULL;
    return store;
}

// The "run" record of the run that the word begins with ("r12:"), else of the latest that has one. `before`
// gets what of the word is the run.
static json_t *record_of(const tm_line *l, tm_store *store, char before[40])
{
    const char *colon = strchr(l->word, ':');
    uint64_t *numbers = NULL;
    size_t n = 0;
    json_t *record = NULL;
    before[0] = 0;
    if (colon && colon - l->word < 32) {
        snprintf(before, 40, "%.*s", (int)(colon - l->word), l->word);
        record = tm_run_record(store, before);
        strcat(before, ":");
        return record;
    }
    if (tm_run_list(store, &numbers, &n, NULL) < 0) return NULL;
    while (n-- > 0 && !record) {
        char run[32];
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        record = tm_run_record(store, run);
    }
    tm_free(numbers);
    return record;
}

static void offer_runs(tm_line *l, const char *after)
{
    tm_store *store = open_store(l);
    uint64_t *numbers = NULL;
    size_t n = 0;
    if (store && tm_run_list(store, &numbers, &n, NULL) == TM_OK)
        while (n-- > 0) {
            char run[32];
            snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
            tm_line_offer(l, "", run, after, NULL);
        }
    tm_free(numbers);
    tm_store_close(store);
}

// NODE.PORT, once the node is written out; NODE@best of a model.
static void offer_parts(tm_line *l, const char *before, const char *node, const tm_stage *stage)
{
    char full[300];
    snprintf(full, sizeof full, "%s%s", before, node);
    size_t size = strlen(full);
    if (!stage || strncmp(l->word, full, size) != 0) return;
    if (l->word[size] == '.' && strlen(full) < sizeof full - 2) strcat(full, ".");
    for (int i = 0; l->word[size] == '.' && tm_stage_makes(stage, i); i++)
        if (stage->outputs[i].name[0])
            tm_line_offer(l, full, stage->outputs[i].name, "", stage->outputs[i].help);
    if (l->word[size] != '@') return;
    tm_line_offer(l, full, "@best", "", "the snapshot with the least valid.loss");
    tm_line_offer(l, full, "@latest", "", "the newest snapshot");
}

// Nodes of all kinds, or those that give a type; with `parts` their ports and snapshots.
static void offer_nodes_of_runs(tm_line *l, const char *type, bool parts)
{
    char before[40];
    tm_store *store = open_store(l);
    json_t *record = store ? record_of(l, store, before) : NULL, *planned;
    const char *name;
    json_object_foreach(json_object_get(record, "nodes"), name, planned)
    {
        const tm_stage *stage = tm_stage_find(json_string_value(json_object_get(planned, "stage")));
        if (type && (!stage || strcmp(stage->outputs[0].type, type) != 0)) continue;
        tm_line_offer(l, before, name, "", stage ? stage->name : NULL);
        if (parts) offer_parts(l, before, name, stage);
    }
    json_decref(record);
    tm_store_close(store);
    if (parts && l->word[0] == 'r') offer_runs(l, ":");
}

// The graph that the line names, else that of the latest run.
static json_t *graph_on(const tm_line *l)
{
    char before[40];
    if (l->graph) return graph_of(l->graph);
    tm_store *store = open_store(l);
    json_t *record = store ? record_of(l, store, before) : NULL;
    const char *path = json_string_value(json_object_get(record, "path"));
    json_t *graph = path ? graph_of(path) : NULL;
    json_decref(record);
    tm_store_close(store);
    return graph;
}

// ---- kinds of words ----

static void offer_rows(tm_line *l)
{
    for (const tm_stage *const *s = tm_stages; *s; s++)
        if (!((*s)->traits & TM_INTERNAL)) tm_line_offer(l, "", (*s)->name, "", (*s)->brief);
    for (const tm_value *const *v = tm_values; *v; v++) tm_line_offer(l, "", (*v)->name, "", (*v)->brief);
    for (size_t i = 0; tm_type_at(i); i++)
        tm_line_offer(l, "", tm_type_at(i)->name, "", tm_type_at(i)->brief);
}

static void offer_starters(tm_line *l)
{
    const char *names[32];
    char brief[128];
    tm_starter_names(names, 32);
    for (int i = 0; names[i]; i++) tm_line_offer(l, "", names[i], "", tm_starter_brief(names[i], brief));
}

static void offer_node(tm_line *l)
{
    json_t *graph = l->graph ? graph_of(l->graph) : NULL;
    if (graph) offer_targets(l, graph);
    else offer_nodes_of_runs(l, NULL, false);
    json_decref(graph);
}

static void offer_name_value(tm_line *l)
{
    json_t *graph = graph_on(l);
    offer_params(l, graph);
    json_decref(graph);
}

static void offer_commands(tm_line *l)
{
    for (const tm_command *const *c = tm_commands; *c; c++) tm_line_offer(l, "", (*c)->name, "", (*c)->brief);
}


static void offer_codes(tm_line *l)
{
    tm_explained e;
    char title[128];
    for (size_t i = 0; tm_explained_at(i, &e); i++) {
        snprintf(title, sizeof title, "%.*s", (int)e.title.size, e.title.data);
        tm_line_offer(l, "", e.code, "", title);
    }
}

static void offer_tools(tm_line *l)
{
    for (const tm_send_tool *const *t = tm_send_tools; *t; t++) tm_line_offer(l, "", (*t)->name, "", NULL);
}

static bool is_offered(const tm_line *l, const char *word)
{
    size_t i;
    json_t *row;
    json_array_foreach(l->out->words, i, row)
        if (strcmp(json_string_value(json_object_get(row, "word")), word) == 0) return true;
    return false;
}

// Tags that runs have.
static void offer_tags(tm_line *l)
{
    tm_store *store = open_store(l);
    uint64_t *numbers = NULL;
    size_t n = 0, i;
    if (!store || tm_run_list(store, &numbers, &n, NULL) < 0) n = 0;
    while (n-- > 0) {
        char run[32], *note = NULL;
        json_t *tags = NULL, *tag;
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        json_t *record = tm_run_record(store, run);
        if (tm_label_read(store, run, record, &note, &tags, NULL) == TM_OK)
            json_array_foreach(tags, i, tag) if (!is_offered(l, json_string_value(tag)))
                tm_line_offer(l, "", json_string_value(tag), "", NULL);
        tm_free(note);
        json_decref(tags);
        json_decref(record);
    }
    tm_free(numbers);
    tm_store_close(store);
}

// Sweeps of the run that the word begins with, else of the latest that has some.
static void offer_sweeps(tm_line *l)
{
    char before[40], sweep[200];
    const char *name, *colon = strchr(l->word, ':');
    tm_store *store = open_store(l);
    uint64_t *numbers = NULL;
    size_t n = 0, offered = json_array_size(l->out->words);
    json_t *unused;
    if (store && tm_run_list(store, &numbers, &n, NULL) < 0) n = 0;
    for (size_t i = colon ? 1 : n; store && i-- > 0 && json_array_size(l->out->words) == offered;) {
        char run[32];
        snprintf(run, sizeof run, "r%llu", colon ? 0 : (unsigned long long)numbers[i]);
        json_t *record = colon ? record_of(l, store, before) : tm_run_record(store, run);
        json_object_foreach(json_object_get(record, "nodes"), name, unused)
        {
            int size = (int)tm_compare_sweep_size(name);
            snprintf(sweep, sizeof sweep, "%s%.*s", colon ? before : "", size, name);
            if (size && !is_offered(l, sweep)) tm_line_offer(l, "", sweep, "", "a sweep");
        }
        json_decref(record);
    }
    tm_free(numbers);
    tm_store_close(store);
    if (!colon && l->word[0] == 'r') offer_runs(l, ":");
}

// Parameters and metrics of the latest runs, and what every run has.
static void offer_facts(tm_line *l)
{
    tm_store *store = open_store(l);
    uint64_t *numbers = NULL;
    size_t n = 0;
    const char *name;
    json_t *unused, *names = json_object();
    if (!store || tm_run_list(store, &numbers, &n, NULL) < 0) n = 0;
    for (size_t i = n; i-- > 0 && n - i <= 5;) {
        char run[32];
        tm_past past;
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[i]);
        if (tm_past_read(store, run, &past, NULL) < 0) continue;
        if (tm_kept_metrics_read(&past, store, NULL) >= 0) tm_fact_names(&past, names);
        tm_past_clear(&past);
    }
    json_object_foreach(names, name, unused) tm_line_offer(l, "", name, "", NULL);
    json_decref(names);
    tm_free(numbers);
    tm_store_close(store);
}

static void offer_all_runs(tm_line *l)
{
    offer_runs(l, "");
    offer_tags(l);
}

static void offer_address(tm_line *l) { offer_nodes_of_runs(l, NULL, true); }
static void offer_graphs(tm_line *l) { l->out->files = TM_FILES_GRAPHS; }
static void offer_files(tm_line *l) { l->out->files = TM_FILES_ALL; }
static void offer_folders(tm_line *l) { l->out->files = TM_FILES_FOLDERS; }

static void offer_models(tm_line *l)
{
    offer_nodes_of_runs(l, "model", true);
    offer_files(l);
}

static void offer_tokenizers(tm_line *l)
{
    offer_nodes_of_runs(l, "tokenizer", true);
    offer_files(l);
}

// NAME is that of a row in a usage; in a flag it can be anything.
static void offer_name(tm_line *l)
{
    if (!l->flag) offer_rows(l);
    else if (strcmp(l->flag->name, "--sort") == 0) offer_facts(l);
}

static const struct {
    const char *kind;
    void (*offer)(tm_line *l);
} kinds[] = {
    {"ADDRESS", offer_address}, {"CODE", offer_codes},            {"COMMAND", offer_commands},
    {"CONDITION", offer_facts},
    {"DIR", offer_folders},     {"FILE", offer_files},            {"FOLDER", offer_folders},
    {"GRAPH", offer_graphs},    {"MODEL", offer_models},          {"NAME", offer_name},
    {"NAME=VALUE", offer_name_value}, {"NODE", offer_node},       {"PATH", offer_files},
    {"RUN", offer_all_runs},    {"RUN:NODE", offer_address},      {"RUN:SWEEP", offer_sweeps},
    {"STARTER", offer_starters}, {"TAG", offer_tags},             {"TOKENIZER", offer_tokenizers},
    {"TOOL", offer_tools},      {0},
};

void tm_line_offer_kind(tm_line *l, const char *kind)
{
    bool is_word = true;
    for (const char *c = kind; *c; c++) is_word &= !isupper((unsigned char)*c);
    if (is_word) tm_line_offer(l, "", kind, "", NULL);
    for (size_t i = 0; kinds[i].kind; i++)
        if (strcmp(kinds[i].kind, kind) == 0) kinds[i].offer(l);
}
