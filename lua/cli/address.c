// SPDX-License-Identifier: Apache-2.0
// Resolving addresses against journals and the store.
#include "lua/cli/address.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/resume.h"
#include "engine/select.h"
#include "engine/store_log.h"
#include "engine/store_tree.h"
#include "lua/cli/session.h"
#include "lua/past/past.h"
#include "lua/past/past_find.h"
#include "lua/past/recorded_stage.h"
#include "lua/past/rerun.h"
#include "lua/past/run_name.h"

#define MAX_SEARCHED 100 // runs looked through for a node

// The words for a snapshot as they are said, and what they mean.
static const char *const words[][2] = {
    {"best", "best"},  {"best valid.loss", "best"}, {"latest", "latest"}, {"last", "latest"},
    {"final", "latest"}, {"newest", "latest"},      {NULL, NULL}};

// "300", "step300", "step=300", "at(300)", `best "valid.loss"` as "300" or "best"; false for anything else.
static bool read_pick(const char *text, char at[64])
{
    char plain[64];
    size_t n = 0;
    for (const char *p = text; *p && n + 1 < sizeof plain; p++) {
        bool sign = strchr("\"'() =", *p) != NULL;
        if (!sign) plain[n++] = *p;
        else if (n && plain[n - 1] != ' ') plain[n++] = ' ';
    }
    while (n && plain[n - 1] == ' ') n--;
    plain[n] = 0;
    for (int i = 0; words[i][0]; i++)
        if (strcmp(words[i][0], plain) == 0) return snprintf(at, 64, "%s", words[i][1]);
    const char *number = plain;
    if (strncmp(plain, "step", 4) == 0) number += 4;
    else if (strncmp(plain, "at ", 3) == 0) number += 3;
    while (*number == ' ') number++;
    if (!*number || number[strspn(number, "0123456789")]) return false;
    return snprintf(at, 64, "%s", number);
}

// Split "[RUN:]REST[@AT]"; gives where REST begins and its length.
static void split(tm_store *store, const char *text, tm_address *a, const char **rest, size_t *size)
{
    const char *colon = strchr(text, ':'), *at = strrchr(text, '@');
    char run[64];
    *rest = text;
    if (colon && (size_t)(colon - text) < sizeof run) {
        snprintf(run, sizeof run, "%.*s", (int)(colon - text), text);
        if (tm_run_name(store, run, a->run, NULL) >= 0) *rest = colon + 1;
        else a->run[0] = 0;
    }
    colon = strrchr(*rest, ':');
    if (!at && colon && read_pick(colon + 1, a->at)) at = colon;
    else if (at && !read_pick(at + 1, a->at)) snprintf(a->at, sizeof a->at, "%s", at + 1);
    *size = at ? (size_t)(at - *rest) : strlen(*rest);
}

// The number that a text begins with: its length, without a dot behind it; 0 if there is none.
static size_t number_at(const char *text, double *value)
{
    char *end;
    if (!isdigit((unsigned char)text[text[0] == '-'])) return 0;
    *value = strtod(text, &end);
    return (size_t)(end - text) - (end[-1] == '.');
}

// How many bytes of `rest` are this name; 0 if it begins otherwise. Numbers of a sweep's point go by value:
// `trials/lr=0.001` is `trials/lr=1e-3`.
static size_t begins_with(const char *rest, size_t size, const char *name)
{
    size_t at = 0;
    for (const char *p = name; *p;) {
        double mine, theirs;
        size_t n = p > name && p[-1] == '=' ? number_at(p, &mine) : 0;
        size_t m = n && at < size ? number_at(rest + at, &theirs) : 0;
        if (m && mine != theirs) return 0;
        if (!m && (at >= size || rest[at] != *p)) return 0;
        p += m ? n : 1;
        at += m ? m : 1;
    }
    return at;
}

// "NODE/STEP" of the last step of a chain, where no other step has that name; false if it is none.
static bool name_last_step(const json_t *nodes, const char *name, char step[192])
{
    const char *other, *stage = json_string_value(json_object_get(json_object_get(nodes, name), "stage"));
    json_t *value;
    size_t n = strlen(name);
    bool chain = false;
    snprintf(step, 192, "%s/%s", name, stage ? stage : "");
    json_object_foreach((json_t *)nodes, other, value)
        chain |= strncmp(other, name, n) == 0 && other[n] == '/';
    return chain && stage && !json_object_get(nodes, step);
}

// The chain whose last step `rest` names.
static const json_t *find_last_step(tm_address *a, const json_t *nodes, const char *rest, size_t size)
{
    const char *name;
    json_t *value;
    char step[192];
    json_object_foreach((json_t *)nodes, name, value)
    {
        size_t n = strlen(name);
        if (size <= n || strncmp(rest, name, n) != 0 || rest[n] != '/') continue;
        n = name_last_step(nodes, name, step) ? begins_with(rest, size, step) : 0;
        if (!n || (n < size && rest[n] != '.')) continue;
        snprintf(a->node, sizeof a->node, "%s", name);
        snprintf(a->step, sizeof a->step, "%s", step);
        snprintf(a->port, sizeof a->port, "%.*s", n < size ? (int)(size - n - 1) : 0, rest + n + (n < size));
        return value;
    }
    return NULL;
}

// The longest node name that `rest` begins with, at its end or before a dot.
static const json_t *find_node(tm_address *a, const json_t *nodes, const char *rest, size_t size)
{
    const char *name;
    json_t *value;
    const json_t *best = NULL;
    json_object_foreach((json_t *)nodes, name, value)
    {
        size_t n = begins_with(rest, size, name);
        if (!n || (n < size && rest[n] != '.')) continue;
        if (best && strlen(a->node) >= strlen(name)) continue;
        best = value;
        snprintf(a->node, sizeof a->node, "%s", name);
        snprintf(a->port, sizeof a->port, "%.*s", n < size ? (int)(size - n - 1) : 0, rest + n + (n < size));
    }
    return best ? best : find_last_step(a, nodes, rest, size);
}

static tm_status no_run(const char *run, tm_error *err)
{
    tm_fail_as(err, TM_ENOENT, "TM0505", "there is no run %s", run);
    tm_hint(err, "`tidemill runs` lists them");
    return TM_ENOENT;
}

static const tm_record *result_of(tm_store *store, const json_t *node)
{
    tm_hash recipe;
    const char *hex = json_string_value(json_object_get(node, "recipe"));
    return hex && tm_hash_parse(hex, &recipe) ? tm_key_by_recipe(store, recipe) : NULL;
}

// The entries of an open log of the recipe as an artifact that is not in the store.
static tm_status read_open(tm_store *store, tm_hash recipe, const tm_port *port, tm_artifact *list,
                           tm_error *err)
{
    tm_log *log;
    *list = (tm_artifact){.trees = tm_type_find(port->type)->tree};
    snprintf(list->kind, sizeof list->kind, "%s", port->type);
    TM_TRY(tm_log_open(store, recipe, tm_port_file(port), &log, err));
    size_t n = tm_log_count(log);
    list->entries = tm_calloc(n + 1, sizeof *list->entries);
    for (; list->entries && list->count < n; list->count++) {
        tm_entry entry = list->entries[list->count] = tm_log_entry(log, list->count);
        list->rows += entry.rows;
        list->bytes += entry.bytes;
    }
    tm_log_close(log);
    return list->entries ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a list of snapshots");
}

// The snapshots of a trainer that did not end; false if there are none.
static bool read_snapshots(tm_store *store, const json_t *node, tm_hash *recipe, tm_artifact *list)
{
    const tm_stage *stage = tm_recorded_stage(node);
    const char *hex = json_string_value(json_object_get(node, "recipe"));
    const tm_type *type = stage ? tm_type_find(stage->outputs[0].type) : NULL;
    *list = (tm_artifact){0};
    if (!type || !type->tree || !hex || !tm_hash_parse(hex, recipe)) return false;
    if (read_open(store, *recipe, &stage->outputs[0], list, NULL) < 0) return false;
    if (list->count) return true;
    tm_artifact_clear(list);
    return false;
}

static bool has_snapshots(tm_store *store, const json_t *node)
{
    tm_hash recipe;
    tm_artifact list;
    bool some = read_snapshots(store, node, &recipe, &list);
    tm_artifact_clear(&list);
    return some;
}

static bool is_of_graph(const json_t *record, const json_t *path)
{
    return !path || json_equal(json_object_get(record, "path"), path);
}

// Of the runs that have the node, of real ones or of smoke runs, of the graph at a path or of any (NULL): the
// latest in which it has a result, else the latest.
static void search_among(tm_store *store, tm_address *a, const uint64_t *numbers, size_t n, bool smoke,
                         const json_t *path, const json_t **node, const char *rest, size_t size)
{
    bool done = false;
    for (size_t i = n; i-- > 0 && !done && n - i <= MAX_SEARCHED;) {
        tm_address one = {0};
        snprintf(one.run, sizeof one.run, "r%llu", (unsigned long long)numbers[i]);
        one.record = tm_run_record(store, one.run);
        bool of_kind = json_is_true(json_object_get(one.record, "smoke")) == smoke;
        const json_t *found = of_kind && is_of_graph(one.record, path)
                                  ? find_node(&one, json_object_get(one.record, "nodes"), rest, size)
                                  : NULL;
        done = found && (!*node || strcmp(one.node, a->node) == 0) &&
               (result_of(store, found) || (a->at[0] && has_snapshots(store, found)));
        if (done || (found && !*node)) {
            if (!*node) snprintf(a->latest, sizeof a->latest, "%s", one.run);
            *node = found;
            memcpy(a->run, one.run, sizeof a->run);
            memcpy(a->node, one.node, sizeof a->node);
            memcpy(a->step, one.step, sizeof a->step);
            memcpy(a->port, one.port, sizeof a->port);
            json_decref(a->record);
            a->record = json_incref(one.record);
        }
        json_decref(one.record);
    }
}

// Without a run in the address. Runs of single nodes know only these.
static tm_status search_runs(tm_store *store, tm_address *a, const json_t **node, const char *rest,
                             size_t size, tm_error *err)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    TM_TRY(tm_key_refresh(store, err));
    TM_TRY(tm_run_list(store, &numbers, &n, err));
    search_among(store, a, numbers, n, false, NULL, node, rest, size);
    if (!*node) search_among(store, a, numbers, n, true, NULL, node, rest, size);
    tm_free(numbers);
    if (!n) return tm_fail_as(err, TM_ENOENT, "TM0505", "this store has no runs yet");
    if (!*node || !json_is_true(json_object_get(a->record, "smoke"))) return TM_OK;
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)size, rest);
    return tm_past_only_smoke(a->run, text, err);
}

static tm_status find_in_run(tm_store *store, tm_address *a, const json_t **node, const char *rest,
                             size_t size, tm_error *err)
{
    *node = NULL;
    if (!a->run[0]) {
        TM_TRY(search_runs(store, a, node, rest, size, err));
    } else {
        a->record = tm_run_record(store, a->run);
        if (!a->record) return no_run(a->run, err);
        *node = find_node(a, json_object_get(a->record, "nodes"), rest, size);
    }
    if (*node) return TM_OK;
    char word[256];
    snprintf(word, sizeof word, "%.*s", (int)size, rest);
    return tm_past_unknown_node(store, a->record ? a->run : NULL, word, err);
}

// A port that stands for something else has no bytes of its own.
static tm_status alias_port(const tm_address *a, const tm_port *port, tm_error *err)
{
    tm_fail_as(err, TM_ENOENT, "TM0507", "%s.%s is that of the %s%s of %s, and is kept there", a->node,
               a->port, port->via[0] ? "input " : "main input", port->via, a->node);
    tm_hint(err, "name it in the graph: return tm.graph { %s = %s.%s }", a->port, a->node, a->port);
    return TM_ENOENT;
}

static tm_status find_port(tm_address *a, tm_error *err)
{
    if (!a->port[0] && !a->stage->outputs[0].name[0]) {
        a->type = tm_type_find(a->stage->outputs[0].type);
        return TM_OK;
    }
    const char *names[TM_MAX_PORTS + 1];
    char all[256] = "";
    size_t n = 0;
    for (int i = 0; tm_stage_makes(a->stage, i); i++) {
        names[n++] = a->stage->outputs[i].name;
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s\"%s\"", at ? ", " : "", a->stage->outputs[i].name);
        if (strcmp(a->stage->outputs[i].name, a->port) == 0)
            a->type = tm_type_find(a->stage->outputs[i].type);
    }
    names[n] = NULL;
    if (a->type) return TM_OK;
    int alias = tm_stage_output(a->stage, a->port);
    if (alias >= (int)n) return alias_port(a, &a->stage->outputs[alias], err);
    const char *near = a->port[0] ? tm_nearest(a->port, names) : NULL;
    if (a->port[0])
        tm_fail_as(err, TM_ENOENT, "TM0507", "%s (%s) has no port \"%s\"", a->node, a->stage->name, a->port);
    else
        tm_fail_as(err, TM_ENOENT, "TM0507", "%s (%s) has several ports: name one", a->node, a->stage->name);
    if (near)
        tm_hint(err, "did you mean %s.%s?", a->node, near);
    else if (n == 1 && !names[0][0])
        tm_hint(err, "it has one result, which has no name: %s", a->node);
    else if (!names[0][0])
        tm_hint(err, "its main result has no name: %s; besides it has %s", a->node, strchr(all, ',') + 2);
    else
        tm_hint(err, "its ports are %s", all);
    return TM_ENOENT;
}

// The result was there: it can be made again.
static tm_status freed(tm_store *store, const tm_address *a, const tm_past *past, const tm_past_node *node,
                       tm_error *err)
{
    char found[TM_PATH_MAX], folder[TM_PATH_MAX];
    const char *path = json_string_value(json_object_get(past->record, "path"));
    const char *slash = path ? strrchr(path, '/') : NULL;
    char *own = realpath(tm_store_folder(store), NULL);
    tm_buf command = {0};
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    tm_session_find_store(folder, found);
    tm_rerun_add(&command, past, node, own && strcmp(own, found) == 0 ? NULL : tm_store_folder(store));
    tm_fail_as(err, TM_ENOENT, "TM0509", "the result of %s of run %s is not in the store any more", a->node,
               a->run);
    tm_why(err, "it was there when the run ended; gc frees what is old or cheap to make again");
    tm_hint(err, "make it again: %s", command.data ? command.data : "run the graph");
    tm_buf_clear(&command);
    free(own);
    return TM_ENOENT;
}

static void hint_other(tm_store *store, const tm_address *a, bool goes_on, tm_error *err)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    tm_address other = {0};
    const json_t *node = NULL, *path = json_object_get(a->record, "path");
    if (tm_run_list(store, &numbers, &n, NULL) >= 0)
        search_among(store, &other, numbers, n, false, path, &node, a->node, strlen(a->node));
    if (node && result_of(store, node) && !other.port[0])
        tm_hint(err, "run %s has one: %s:%s", other.run, other.run, a->node);
    else
        tm_hint(err, "`tidemill status %s` shows how far it %s", a->run, goes_on ? "is" : "came");
    json_decref(other.record);
    tm_free(numbers);
}

static tm_status no_result(tm_store *store, const tm_address *a, tm_error *err)
{
    tm_past past;
    bool read = tm_past_read(store, a->run, &past, NULL) >= 0, goes_on = read && past.alive;
    const tm_past_node *node = read ? tm_past_find(&past, a->node) : NULL;
    const char *state = node ? tm_past_work(&past, node)->state : "";
    if (strcmp(state, "done") == 0 || strcmp(state, "cached") == 0) {
        freed(store, a, &past, node, err);
    } else {
        tm_fail_as(err, TM_ENOENT, "TM0509", "%s of run %s has no result%s", a->node, a->run,
                   goes_on ? " yet" : "");
        hint_other(store, a, goes_on, err);
    }
    tm_past_clear(&past);
    return TM_ENOENT;
}

// Without a result: the snapshots so far, and what was measured of them.
static tm_status find_open(tm_store *store, tm_address *a, const json_t *node, tm_error *err)
{
    tm_artifact list, metrics;
    if (!a->type->tree || !read_snapshots(store, node, &a->recipe, &list)) return no_result(store, a, err);
    a->open = true;
    a->artifact = tm_artifact_hash(list.kind, list.trees, list.entries, list.count);
    fprintf(stderr, "%s: run %s has no result, only %zu snapshot%s so far\n", a->node, a->run, list.count,
            list.count == 1 ? "" : "s");
    tm_artifact_clear(&list);
    int port = tm_stage_output(a->stage, "metrics");
    if (strcmp(a->at, "best") != 0 || port < 0) return TM_OK;
    TM_TRY(read_open(store, a->recipe, &a->stage->outputs[port], &metrics, err));
    tm_status status = tm_artifact_put(store, metrics.kind, metrics.trees, metrics.entries, metrics.count,
                                       &a->metrics, err);
    tm_artifact_clear(&metrics);
    return status;
}

// Of a run that is named: the result may be one that a later run made, of the same work.
static void say_made_later(tm_store *store, const tm_address *a)
{
    char step[40] = "";
    tm_past past = {0};
    const char *made = json_string_value(json_object_get(a->facts, "run"));
    if (a->latest[0] || !made || strcmp(made, a->run) == 0) return;
    const tm_past_node *node = tm_past_read(store, a->run, &past, NULL) >= 0 ? tm_past_find(&past, a->node)
                                                                             : NULL;
    if (node) node = tm_past_work(&past, node);
    if (node && node->step >= 0) snprintf(step, sizeof step, " at step %lld", (long long)node->step);
    if (node && strcmp(node->state, "done") != 0 && strcmp(node->state, "cached") != 0)
        fprintf(stderr, "%s: %s in %s%s; this is the result of the same work, by %s\n", a->node,
                strcmp(node->state, "not run") == 0 ? "was not run" : node->state, a->run, step, made);
    tm_past_clear(&past);
}

static tm_status find_artifact(tm_store *store, tm_address *a, const json_t *node, tm_error *err)
{
    TM_TRY(tm_key_refresh(store, err));
    const tm_record *record = result_of(store, node);
    if (!record) return find_open(store, a, node, err);
    bool found = false;
    for (size_t i = 0; i < record->n_ports; i++) {
        if (strcmp(record->ports[i].name, a->port) == 0) {
            a->artifact = record->ports[i].artifact;
            found = true;
        }
        if (strcmp(record->ports[i].name, "metrics") == 0) a->metrics = record->ports[i].artifact;
    }
    a->facts = json_loads(record->json, 0, NULL);
    say_made_later(store, a);
    return found ? TM_OK
                 : tm_fail_as(err, TM_ENOENT, "TM0509", "%s has no result at port \"%s\"", a->node, a->port);
}

// A chain whose last step removes nothing: its other steps may have. The last that can stands for them.
static const json_t *find_remover(tm_address *a, const json_t *node)
{
    const char *name;
    json_t *value;
    size_t n = strlen(a->node);
    if (strcmp(a->port, "removed") != 0 || tm_stage_output(a->stage, "removed") >= 0) return node;
    json_object_foreach(json_object_get(a->record, "nodes"), name, value)
    {
        const tm_stage *found = tm_recorded_stage(value);
        const char *chain = a->chain[0] ? a->chain : a->node;
        if (!found || tm_stage_output(found, "removed") < 0 || strncmp(name, chain, n) != 0 || name[n] != '/')
            continue;
        if (!a->chain[0]) snprintf(a->chain, sizeof a->chain, "%s", a->node);
        snprintf(a->node, sizeof a->node, "%s", name);
        a->stage = found;
        node = value;
    }
    return node;
}

// What is no log of snapshots has nothing to pick; of metrics those of one step can be meant.
static tm_status check_pick(const tm_address *a, tm_error *err)
{
    bool metrics = strcmp(a->type->name, "metrics") == 0;
    if (!a->at[0] || a->type->tree || (metrics && isdigit((unsigned char)a->at[0]))) return TM_OK;
    tm_fail_as(err, TM_EINVAL, "TM0508", "%s gives %s: there is no snapshot that \"@%s\" could pick", a->node,
               a->type->name, a->at);
    tm_hint(err, metrics ? "name a step, such as @300" : "leave out what stands behind @");
    return TM_EINVAL;
}

static tm_status resolve(tm_store *store, const char *text, tm_address *a, tm_error *err)
{
    const char *rest;
    size_t size;
    split(store, text, a, &rest, &size);
    const json_t *node;
    TM_TRY(find_in_run(store, a, &node, rest, size, err));
    a->stage = tm_recorded_stage(node);
    if (!a->stage) {
        const char *stage = json_string_value(json_object_get(node, "stage"));
        return tm_fail_as(err, TM_EUNSUPPORTED, "TM0506", "stage %s of run %s is not in this program",
                          stage ? stage : "?", a->run);
    }
    node = find_remover(a, node);
    TM_TRY(find_port(a, err));
    TM_TRY(check_pick(a, err));
    return find_artifact(store, a, node, err);
}

// A path as seen from this folder, if it is in it.
static const char *from_here(const json_t *path)
{
    char here[TM_PATH_MAX];
    const char *text = json_string_value(path);
    size_t n = text && getcwd(here, sizeof here) ? strlen(here) : 0;
    return n && strncmp(text, here, n) == 0 && text[n] == '/' ? text + n + 1 : text ? text : "?";
}

// Without a run in the address, where the run before this one that has the node is of another graph: two
// things have the name.
static void say_other_graph(tm_store *store, const tm_address *a)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    tm_address before = {0};
    const json_t *node = NULL, *path = json_object_get(a->record, "path");
    const char *name = a->chain[0] ? a->chain : a->node;
    if (tm_run_list(store, &numbers, &n, NULL) < 0) n = 0;
    while (n && numbers[n - 1] >= strtoull(a->run + 1, NULL, 10)) n--;
    search_among(store, &before, numbers, n, false, NULL, &node, name, strlen(name));
    const json_t *own = json_object_get(json_object_get(a->record, "nodes"), a->node);
    bool same = json_equal(json_object_get(own, "recipe"), json_object_get(node, "recipe"));
    if (node && !same && !before.port[0] && result_of(store, node) && !is_of_graph(before.record, path))
        fprintf(stderr, "%s: of %s, graph %s; that of %s is %s:%s\n", name, a->run, from_here(path),
                from_here(json_object_get(before.record, "path")), before.run, name);
    json_decref(before.record);
    tm_free(numbers);
}

tm_status tm_address_resolve(tm_store *store, const char *text, tm_address *a, tm_error *err)
{
    *a = (tm_address){0};
    tm_status status = resolve(store, text, a, err);
    if (status >= 0 && a->latest[0]) say_other_graph(store, a);
    if (status >= 0 && !a->open && a->latest[0] && strcmp(a->latest, a->run) != 0)
        fprintf(stderr, "%s: from %s, as %s has none\n", a->chain[0] ? a->chain : a->node, a->run, a->latest);
    if (status < 0) tm_address_clear(a);
    return status;
}

void tm_address_clear(tm_address *a)
{
    json_decref(a->record);
    json_decref(a->facts);
    a->record = a->facts = NULL;
}

const char *tm_address_node(const tm_address *a)
{
    return a->step[0] ? a->step : a->node;
}

json_t *tm_address_parts(tm_store *store, const tm_address *a)
{
    const char *name;
    json_t *value, *parts = json_array();
    const char *chain = a->chain[0] ? a->chain : a->node;
    size_t n = strlen(chain);
    const json_t *nodes = json_object_get(a->record, "nodes");
    bool removed = strcmp(a->port, "removed") == 0 && !a->step[0];
    char last[192];
    bool ends_chain = removed && name_last_step(nodes, a->node, last);
    const char *own_name = ends_chain ? last : tm_address_node(a);
    json_object_foreach((json_t *)nodes, name, value)
    {
        tm_address step;
        bool own = strcmp(name, a->node) == 0, of_chain = strncmp(name, chain, n) == 0 && name[n] == '/';
        if (!own && !(removed && of_chain)) continue;
        json_t *text = json_sprintf("%s:%s%s%s", a->run, own ? own_name : name, a->port[0] ? "." : "",
                                    a->port);
        bool there = own || tm_address_resolve(store, json_string_value(text), &step, NULL) >= 0;
        if (there && !own) tm_address_clear(&step);
        if (there) json_array_append(parts, text);
        json_decref(text);
    }
    return parts;
}

static void hint_steps(tm_store *store, const tm_address *a, const tm_artifact *log, tm_error *err)
{
    char list[200] = "";
    for (size_t i = 0; i < log->count; i++) {
        size_t at = strlen(list);
        int64_t step = tm_snapshot_step(store, log->entries[i].hash);
        if (step >= 0) snprintf(list + at, sizeof list - at, "%s%lld", at ? ", " : "", (long long)step);
    }
    if (list[0])
        tm_hint(err, "its snapshots are of step %s", list);
    else
        tm_hint(err, "no trainer made it; name it without a step: %s", a->node);
}

static tm_status no_snapshot(const tm_address *a, tm_error *err)
{
    static const char *const known[] = {"best", "latest", NULL};
    const char *near = tm_nearest(a->at, known);
    tm_fail_as(err, TM_EINVAL, "TM0508", "\"@%s\" picks no snapshot", a->at);
    if (near)
        tm_hint(err, "did you mean %s@%s?", a->node, near);
    else
        tm_hint(err, "use %s@STEP, %s@best or %s@latest", a->node, a->node, a->node);
    return TM_EINVAL;
}

tm_status tm_address_log(tm_store *store, const tm_address *a, tm_artifact *log, tm_error *err)
{
    return a->open ? read_open(store, a->recipe, &a->stage->outputs[0], log, err)
                   : tm_artifact_get(store, a->artifact, log, err);
}

tm_status tm_address_entry(tm_store *store, const tm_address *a, tm_entry *entry, tm_error *err)
{
    tm_artifact log = {0};
    tm_select select = {0};
    char *end;
    long long step = strtoll(a->at, &end, 10);
    if (strcmp(a->at, "best") == 0) {
        select.kind = TM_SELECT_BEST;
        snprintf(select.metric, sizeof select.metric, "valid.loss");
    } else if (a->at[0] && strcmp(a->at, "latest") != 0) {
        if (*end) return no_snapshot(a, err);
        select = (tm_select){.kind = TM_SELECT_AT, .at = step};
    }
    TM_TRY(tm_address_log(store, a, &log, err));
    size_t index;
    tm_status status = tm_select_entry(store, &select, &log, a->metrics, &index, err);
    if (status >= 0)
        *entry = log.entries[index];
    else if (select.kind == TM_SELECT_AT || (select.kind == TM_SELECT_BEST && tm_hash_none(a->metrics)))
        hint_steps(store, a, &log, err);
    tm_artifact_clear(&log);
    return status < 0 ? tm_error_prefix(err, "%s", a->node) : TM_OK;
}

static tm_status tree_folder(tm_store *store, const char *text, char path[TM_PATH_MAX], tm_error *err)
{
    tm_address a;
    tm_entry entry;
    TM_TRY(tm_address_resolve(store, text, &a, err));
    tm_status status =
        a.type->tree ? tm_address_entry(store, &a, &entry, err)
                     : tm_fail_as(err, TM_EINVAL, "TM0510", "%s gives %s, where a model or tokenizer is due",
                                  a.node, a.type->name);
    if (!a.type->tree) tm_hint(err, "`tidemill status %s` lists the nodes; name one that trains", a.run);
    if (status >= 0) status = tm_store_pin(store, entry.hash, err);
    if (status >= 0) status = tm_tree_folder(store, entry.hash, path, err);
    tm_address_clear(&a);
    return status;
}

static bool holds(const char *folder, const char *name)
{
    char path[TM_PATH_MAX];
    return tm_path(path, NULL, "%s/%s", folder, name) >= 0 && tm_file_exists(path);
}

// A folder that holds none, and that no result has for a name.
static tm_status no_model(const char *text, tm_error *err)
{
    tm_fail_as(err, TM_ENOENT, "TM0310", "the folder %s is no model and no tokenizer", text);
    tm_hint(err, "a model has a config.json, a tokenizer a tokenizer.json");
    return TM_ENOENT;
}

tm_status tm_address_folder(const tm_cli *cli, const char *text, tm_store **store, char path[TM_PATH_MAX],
                            tm_error *err)
{
    *store = NULL;
    if (holds(text, "config.json") || holds(text, "tokenizer.json") || holds(text, "adapter_config.json"))
        return tm_path(path, err, "%s", text);
    char found[TM_PATH_MAX], here[TM_PATH_MAX];
    if (cli->store)
        snprintf(found, sizeof found, "%s", cli->store);
    else if (getcwd(here, sizeof here))
        tm_session_find_store(here, found);
    bool folder = holds(text, "."); // that of a node's result may have its name
    tm_status status = tm_store_open(found, 0, store, err);
    if (status >= 0) status = tree_folder(*store, text, path, err);
    if (status >= 0 || !folder || !err) return status;
    bool unknown = strcmp(err->code, "TM0505") == 0 || strcmp(err->code, "TM0506") == 0;
    return !*store || unknown ? no_model(text, err) : status;
}
