// SPDX-License-Identifier: Apache-2.0
// status: how far a run is, node by node.
#include <stdio.h>

#include "lua/cli/counts.h"
#include "lua/cli/fold.h"
#include "lua/cli/session.h"
#include "lua/lock/git.h"
#include "lua/past/past.h"
#include "lua/past/recorded_stage.h"

#define INDENT 4 // of what goes on in a further line

static double num(const json_t *node, const char *field)
{
    return json_number_value(json_object_get(node, field));
}

static void print_node(const char *name, const tm_stage *stage, const json_t *node)
{
    char made[96], took[TM_COUNT_TEXT];
    const char *state = json_string_value(json_object_get(node, "state"));
    const char *text = json_string_value(json_object_get(node, "text"));
    bool alone = json_object_size(node) == (state != NULL);
    tm_buf line = {0};
    tm_buf_fmt(&line, "%-24s %-*s", name, alone ? 0 : 9, state ? state : "waiting");
    if (json_object_get(node, "seconds"))
        tm_buf_fmt(&line, " %11s", tm_duration_text(num(node, "seconds"), took));
    if (json_object_get(node, "rows"))
        tm_buf_fmt(&line, "  %s", tm_made_text(stage, node, made));
    else if (json_object_get(node, "entries"))
        tm_buf_fmt(&line, "  %.0f entr%s", num(node, "entries"), num(node, "entries") == 1 ? "y" : "ies");
    if (json_object_get(node, "step")) tm_buf_fmt(&line, "  step %.0f", num(node, "step"));
    if (json_object_get(node, "train.loss")) tm_buf_fmt(&line, "  loss %.3f", num(node, "train.loss"));
    if (json_object_get(node, "valid.loss")) tm_buf_fmt(&line, "  valid %.3f", num(node, "valid.loss"));
    if (text) tm_buf_fmt(&line, "  %s", text);
    if (tm_buf_status(&line, NULL) >= 0) tm_fold_print(stdout, INDENT, "%s", line.data);
    tm_buf_clear(&line);
}

static void set_number(json_t *all, const char *name, int64_t n)
{
    if (n >= 0) json_object_set_new(all, name, json_integer(n));
}

// What is known of a node; an empty object of one that waits.
static json_t *node_json(const tm_past_node *node)
{
    json_t *all = json_object();
    const json_t *failure = tm_past_own_failure(node);
    if (strcmp(node->state, "waiting") != 0) json_object_set_new(all, "state", json_string(node->state));
    if (node->seconds >= 0) json_object_set_new(all, "seconds", json_real(node->seconds));
    set_number(all, "rows", node->seconds >= 0 ? node->rows : -1);  // of one at work only entries
    set_number(all, "bytes", node->seconds >= 0 ? node->bytes : -1);
    set_number(all, "entries", node->entries);
    set_number(all, "step", node->step);
    if (node->counts) json_object_set(all, "counts", (json_t *)node->counts);
    if (failure) json_object_set(all, "failure", (json_t *)failure);
    if (failure) json_object_set(all, "text", json_object_get(failure, "text"));
    for (size_t i = 0; i < node->n_series; i++) {
        const tm_past_series *one = &node->series[i];
        json_object_set_new(all, one->name, json_real(one->values[one->n - 1]));
    }
    return all;
}

static json_t *nodes_json(const tm_past *past)
{
    json_t *all = json_object();
    for (size_t i = 0; i < past->n_nodes; i++) {
        json_t *node = node_json(&past->nodes[i]);
        if (json_object_size(node)) json_object_set(all, past->nodes[i].name, node);
        json_decref(node);
    }
    return all;
}

static void show(const tm_cli *cli, const tm_past *past)
{
    json_t *git = json_object_get(past->record, "git"), *nodes = nodes_json(past);
    char text[320];
    if (cli->json) {
        tm_cli_print(cli, json_pack("{s:s, s:s, s:o, s:O?, s:O?}", "run", past->run, "status",
                                    tm_past_status(past), "nodes", nodes, "end", past->end, "git", git));
        return;
    }
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_node *node = &past->nodes[i];
        print_node(node->name, tm_recorded_stage(node->plan),
                   json_object_get(nodes, tm_past_work(past, node)->name));
    }
    tm_fold_print(stdout, INDENT, "%s: %s%s%s", past->run, tm_past_status(past), git ? "; " : "",
                  tm_git_text(git, text, sizeof text));
    const char *error = json_string_value(json_object_get(past->end, "error"));
    if (error) tm_fold_print(stdout, INDENT, "%s", error);
    json_decref(nodes);
}

static tm_status status(const tm_cli *cli, tm_store *store, tm_error *err)
{
    tm_past past;
    TM_TRY(tm_past_read(store, cli->args[0], &past, err));
    show(cli, &past);
    tm_past_clear(&past);
    return TM_OK;
}

static int exec(tm_cli *cli)
{
    return tm_session_in_store(cli, status);
}

const tm_command tm_command_status = {
    .name = "status",
    .brief = "Say how far a run is (the latest, if none is named), node by node.",
    .usage = "[RUN]",
    .example = "tidemill status r12",
    .max = 1,
    .exec = exec,
};
