// SPDX-License-Identifier: Apache-2.0
// Completion of a command line from the rows of commands and flags.
#include "lua/complete.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/stage.h"
#include "lua/load.h"
#include "lua/session.h"
#include "lua/starter.h"

#define MAX_ARGS 64

typedef struct line {
    const tm_command *command;
    const char *args[MAX_ARGS]; // positional, without the last word
    int n_args;
    const char *word;           // the last
    const char *store, *graph;  // as far as the line names them
    const tm_flag *flag;        // whose value the last word is
    tm_completion *out;
} line;

// `before` stands in front of `name` in the same word.
static void offer(line *l, const char *before, const char *name, const char *after, const char *about)
{
    char word[512];
    snprintf(word, sizeof word, "%s%s%s", before, name, after);
    if (strncmp(word, l->word, strlen(l->word)) != 0) return;
    json_array_append_new(l->out->words, json_pack("{s:s, s:s%}", "word", word, "about", about ? about : "",
                                                   about ? strcspn(about, "\n") : 0));
}

static void offer_flags(line *l, const tm_flag *flags)
{
    for (const tm_flag *f = flags; f && f->name; f++) offer(l, "", f->name, "", f->help);
}

static void offer_commands(line *l)
{
    for (const tm_command *const *c = tm_commands; *c; c++) offer(l, "", (*c)->name, "", (*c)->brief);
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

static void offer_targets(line *l, const json_t *graph)
{
    size_t i;
    json_t *target;
    json_array_foreach(json_object_get(graph, "targets"), i, target)
        offer(l, "", json_string_value(json_array_get(target, 0)), "", NULL);
}

static void offer_values(line *l, const char *name, const json_t *param)
{
    char before[160];
    const char *kind = json_string_value(json_object_get(param, "kind"));
    size_t i;
    json_t *choice;
    snprintf(before, sizeof before, "%s=", name);
    json_array_foreach(json_object_get(param, "choices"), i, choice)
        offer(l, before, json_string_value(choice), "", NULL);
    if (!kind || strcmp(kind, "bool") != 0) return;
    offer(l, before, "true", "", NULL);
    offer(l, before, "false", "", NULL);
}

static void offer_params(line *l, const json_t *graph)
{
    size_t i;
    json_t *param;
    const char *equals = strchr(l->word, '=');
    json_array_foreach(json_object_get(graph, "params"), i, param)
    {
        const char *name = json_string_value(json_object_get(param, "name"));
        const char *doc = json_string_value(json_object_get(param, "doc"));
        if (!equals) offer(l, "", name, "=", doc);
        else if (strncmp(l->word, name, strlen(name)) == 0 && l->word[strlen(name)] == '=')
            offer_values(l, name, param);
    }
}

// ---- from the store ----

static tm_store *open_store(const line *l)
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
static json_t *record_of(const line *l, tm_store *store, char before[40])
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

static void offer_runs(line *l, const char *after)
{
    tm_store *store = open_store(l);
    uint64_t *numbers = NULL;
    size_t n = 0;
    if (store && tm_run_list(store, &numbers, &n, NULL) == TM_OK)
        while (n-- > 0) {
            char run[32];
            snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
            offer(l, "", run, after, NULL);
        }
    tm_free(numbers);
    tm_store_close(store);
}

// NODE.PORT, once the node is written out; NODE@best of a model.
static void offer_parts(line *l, const char *before, const char *node, const tm_stage *stage)
{
    char full[300];
    snprintf(full, sizeof full, "%s%s", before, node);
    size_t size = strlen(full);
    if (!stage || strncmp(l->word, full, size) != 0) return;
    if (l->word[size] == '.' && strlen(full) < sizeof full - 2) strcat(full, ".");
    for (int i = 0; l->word[size] == '.' && tm_stage_makes(stage, i); i++)
        if (stage->outputs[i].name[0]) offer(l, full, stage->outputs[i].name, "", stage->outputs[i].help);
    if (l->word[size] != '@') return;
    offer(l, full, "@best", "", "the snapshot with the least valid.loss");
    offer(l, full, "@latest", "", "the newest snapshot");
}

// Nodes of all kinds, or those that give a type; with `parts` their ports and snapshots.
static void offer_nodes_of_runs(line *l, const char *type, bool parts)
{
    char before[40];
    tm_store *store = open_store(l);
    json_t *record = store ? record_of(l, store, before) : NULL, *planned;
    const char *name;
    json_object_foreach(json_object_get(record, "nodes"), name, planned)
    {
        const tm_stage *stage = tm_stage_find(json_string_value(json_object_get(planned, "stage")));
        if (type && (!stage || strcmp(stage->outputs[0].type, type) != 0)) continue;
        offer(l, before, name, "", stage ? stage->name : NULL);
        if (parts) offer_parts(l, before, name, stage);
    }
    json_decref(record);
    tm_store_close(store);
    if (parts && l->word[0] == 'r') offer_runs(l, ":");
}

// The graph that the line names, else that of the latest run.
static json_t *graph_on(const line *l)
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

static void offer_rows(line *l)
{
    for (const tm_stage *const *s = tm_stages; *s; s++)
        if (!((*s)->traits & TM_INTERNAL)) offer(l, "", (*s)->name, "", (*s)->brief);
    for (const tm_value *const *v = tm_values; *v; v++) offer(l, "", (*v)->name, "", (*v)->brief);
    for (size_t i = 0; tm_type_at(i); i++) offer(l, "", tm_type_at(i)->name, "", tm_type_at(i)->brief);
}

static void offer_starters(line *l)
{
    const char *names[32];
    char brief[128];
    tm_starter_names(names, 32);
    for (int i = 0; names[i]; i++) offer(l, "", names[i], "", tm_starter_brief(names[i], brief));
}

static void offer_node(line *l)
{
    json_t *graph = l->graph ? graph_of(l->graph) : NULL;
    if (graph) offer_targets(l, graph);
    else offer_nodes_of_runs(l, NULL, false);
    json_decref(graph);
}

static void offer_name_value(line *l)
{
    json_t *graph = graph_on(l);
    offer_params(l, graph);
    json_decref(graph);
}

// One alternative of what a row says may stand there: "any", "GRAPH", "RUN:NODE".
static void offer_kind(line *l, const char *kind)
{
    bool is_word = true;
    for (const char *c = kind; *c; c++) is_word &= !isupper((unsigned char)*c);
    if (is_word) offer(l, "", kind, "", NULL);
    else if (strcmp(kind, "GRAPH") == 0) l->out->files = TM_FILES_GRAPHS;
    else if (strcmp(kind, "PATH") == 0 || strcmp(kind, "FILE") == 0) l->out->files = TM_FILES_ALL;
    else if (strcmp(kind, "DIR") == 0 || strcmp(kind, "FOLDER") == 0) l->out->files = TM_FILES_FOLDERS;
    else if (strcmp(kind, "RUN") == 0) offer_runs(l, "");
    else if (strcmp(kind, "NODE") == 0) offer_node(l);
    else if (strcmp(kind, "RUN:NODE") == 0 || strcmp(kind, "ADDRESS") == 0)
        offer_nodes_of_runs(l, NULL, true);
    else if (strcmp(kind, "NAME=VALUE") == 0) offer_name_value(l);
    else if (strcmp(kind, "NAME") == 0) offer_rows(l);
    else if (strcmp(kind, "STARTER") == 0) offer_starters(l);
    else if (strcmp(kind, "COMMAND") == 0) offer_commands(l);
    else if (strcmp(kind, "MODEL") == 0 || strcmp(kind, "TOKENIZER") == 0) {
        offer_nodes_of_runs(l, kind[0] == 'M' ? "model" : "tokenizer", true);
        l->out->files = TM_FILES_ALL;
    }
}

// "[RUN|[RUN:]NODE]": its alternatives, without brackets and dots.
static void offer_kinds(line *l, const char *text, size_t size)
{
    char kind[64];
    size_t n = 0;
    for (size_t i = 0; i <= size; i++) {
        char c = i < size ? text[i] : '|';
        if (c == '|' && n) {
            kind[n] = 0;
            offer_kind(l, kind);
            n = 0;
        } else if (c != '[' && c != ']' && c != '.' && c != '|' && n + 1 < sizeof kind) {
            kind[n++] = c;
        }
    }
}

// The words of a usage, one for each place; the last one repeats if it says so. A place that may be left out
// can be taken by the next.
static void offer_argument(line *l, const char *usage)
{
    size_t size = 0;
    const char *at = usage;
    for (int i = 0; *at; i++) {
        size = strcspn(at, " ");
        const char *next = at + size + strspn(at + size, " ");
        bool more = size >= 3 && memmem(at, size, "...", 3);
        if (i == l->n_args || (i < l->n_args && more && !*next)) {
            offer_kinds(l, at, size);
            if (*at == '[' && *next && *next != '[') offer_kinds(l, next, strcspn(next, " "));
            return;
        }
        at = next;
    }
}

// ---- the line ----

static const tm_flag *flag_of(const tm_command *command, const char *word)
{
    const tm_flag *const tables[] = {command->flags, tm_common_flags};
    for (int t = 0; t < 2; t++)
        for (const tm_flag *f = tables[t]; f && f->name; f++) {
            size_t n = strlen(f->name);
            if (strncmp(word, f->name, n) == 0 && (!word[n] || word[n] == '=')) return f;
            if (f->letter && word[0] == '-' && word[1] == f->letter) return f;
        }
    return NULL;
}

static void take_value(line *l, const tm_flag *flag, const char *value)
{
    if (strcmp(flag->name, "--store") == 0) l->store = value;
    if (strcmp(flag->name, "--graph") == 0) l->graph = value;
}

static void take_word(line *l, const char *word)
{
    const tm_flag *waiting = l->flag, *flag = waiting || word[0] != '-' ? NULL : flag_of(l->command, word);
    const char *equals = strchr(word, '=');
    size_t n = strlen(word), graph = strlen(".lua");
    l->flag = NULL;
    if (waiting) {
        take_value(l, waiting, word);
    } else if (flag && flag->arg) {
        bool has_value = word[1] == '-' ? equals != NULL : word[2] != 0;
        if (!has_value) l->flag = flag;
        else if (equals) take_value(l, flag, equals + 1);
    } else if (!flag && l->n_args < MAX_ARGS && strcmp(word, "--") != 0) {
        l->args[l->n_args++] = word;
        if (!l->graph && n > graph && strcmp(word + n - graph, ".lua") == 0) l->graph = word;
    }
}

// --flag=VALUE: what is offered has the flag in front again.
static void offer_value_of(line *l, const tm_flag *flag)
{
    const char *whole = l->word, *equals = strchr(whole, '=') + 1;
    size_t i;
    json_t *row;
    l->word = equals;
    offer_kinds(l, flag->arg, strlen(flag->arg));
    json_array_foreach(l->out->words, i, row)
        json_object_set_new(row, "word", json_sprintf("%.*s%s", (int)(equals - whole), whole,
                                                      json_string_value(json_object_get(row, "word"))));
}

static void offer_here(line *l)
{
    const tm_flag *flag = l->word[0] == '-' ? flag_of(l->command, l->word) : NULL;
    if (l->flag) {
        offer_kinds(l, l->flag->arg, strlen(l->flag->arg));
    } else if (flag && flag->arg && strchr(l->word, '=')) {
        offer_value_of(l, flag);
    } else if (l->word[0] == '-') {
        offer_flags(l, l->command->flags);
        offer_flags(l, tm_common_flags);
    } else {
        offer_argument(l, l->command->usage);
    }
}

void tm_complete(const char *const *words, int n, tm_completion *out)
{
    line l = {.word = n > 1 ? words[n - 1] : "", .out = out};
    *out = (tm_completion){.words = json_array()};
    if (n == 3 && strcmp(words[1], "help") == 0) n = 2;
    if (n <= 2) {
        offer_commands(&l);
        if (l.word[0] == '-') offer(&l, "", "--help", "", "what there is");
        if (l.word[0] == '-') offer(&l, "", "--version", "", "which tidemill this is");
        return;
    }
    for (const tm_command *const *c = tm_commands; *c; c++)
        if (strcmp((*c)->name, words[1]) == 0) l.command = *c;
    if (!l.command) return;
    for (int i = 2; i < n - 1; i++) take_word(&l, words[i]);
    offer_here(&l);
}
