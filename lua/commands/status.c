// SPDX-License-Identifier: Apache-2.0
// status: how far a run is, node by node.
#include <stdio.h>

#include "lua/lock/git.h"
#include "lua/past/runs.h"

static double num(const json_t *node, const char *field)
{
    return json_number_value(json_object_get(node, field));
}

static void print_node(const char *name, const tm_stage *stage, const json_t *node)
{
    char made[96];
    const char *state = json_string_value(json_object_get(node, "state"));
    const char *text = json_string_value(json_object_get(node, "text"));
    bool alone = json_object_size(node) == (state != NULL);
    printf("%-24s %-*s", name, alone ? 0 : 9, state ? state : "waiting");
    if (json_object_get(node, "seconds")) printf(" %8.1f s", num(node, "seconds"));
    if (json_object_get(node, "rows")) printf("  %s", tm_made_text(stage, node, made));
    else if (json_object_get(node, "entries"))
        printf("  %.0f entr%s", num(node, "entries"), num(node, "entries") == 1 ? "y" : "ies");
    if (json_object_get(node, "step")) printf("  step %.0f", num(node, "step"));
    if (json_object_get(node, "train.loss")) printf("  loss %.3f", num(node, "train.loss"));
    if (json_object_get(node, "valid.loss")) printf("  valid %.3f", num(node, "valid.loss"));
    if (text) printf("  %s", text);
    putchar('\n');
}

static int show(const tm_cli *cli, const tm_run_view *v)
{
    const char *name;
    json_t *planned, *git = json_object_get(v->record, "git");
    char text[320];
    if (cli->json)
        return tm_cli_print(cli, json_pack("{s:s, s:s, s:O, s:O?, s:O?}", "run", v->run, "status",
                                           tm_run_view_status(v), "nodes", v->nodes, "end", v->end, "git",
                                           git));
    json_object_foreach(json_object_get(v->record, "nodes"), name, planned)
    {
        const char *same = json_string_value(json_object_get(planned, "same"));
        print_node(name, tm_recorded_stage(planned), json_object_get(v->nodes, same ? same : name));
    }
    printf("%s: %s%s%s\n", v->run, tm_run_view_status(v), git ? "; " : "",
           tm_git_text(git, text, sizeof text));
    return TM_EXIT_OK;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_run_view view;
    tm_error err = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && tm_run_view_read(session.store, cli->args[0], &view, &err) < 0)
        code = tm_cli_fail(cli, &err);
    else if (code == TM_EXIT_OK) {
        code = show(cli, &view);
        tm_run_view_clear(&view);
    }
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_status = {
    .name = "status",
    .brief = "Say how far a run is (the latest, if none is named), node by node.",
    .usage = "[RUN]",
    .example = "tidemill status r12",
    .max = 1,
    .exec = exec,
};
