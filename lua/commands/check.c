// SPDX-License-Identifier: Apache-2.0
// check: whether a graph file is right, without looking at any store.
#include <stdio.h>

#include "lua/cli/session.h"

static const tm_flag flags[] = {
    TM_GRAPH_FLAGS,
    TM_LOCK_FLAGS,
    {"--name", 0, "FILE", "with - for GRAPH: which file the text on stdin is, saved or not"},
    {0},
};

// The text of an editor's buffer.
static int read_text(const tm_cli *cli, tm_buf *text)
{
    char block[16384];
    size_t n;
    tm_error err = {0};
    while ((n = fread(block, 1, sizeof block, stdin)) > 0) tm_buf_add(text, block, n);
    tm_buf_add(text, "", 0);
    if (ferror(stdin))
        tm_fail_errno(&err, "stdin");
    else if (text->data && memchr(text->data, 0, text->size))
        tm_fail_as(&err, TM_EFORMAT, "TM0100", "the text on stdin has a byte 0 in it");
    else
        tm_buf_status(text, &err);
    return err.status < 0 ? tm_cli_fail(cli, &err) : TM_EXIT_OK;
}

static int check(const tm_cli *cli, tm_session *session, const char *path)
{
    int code = tm_session_graph(session, cli, path);
    if (code != TM_EXIT_OK) return code;
    tm_error err = {0};
    size_t n;
    if (tm_plan_count_all(session->graph, &n, &err) < 0) return tm_cli_fail(cli, &err);
    if (cli->json) return tm_cli_print(cli, json_pack("{s:[], s:I}", "errors", "nodes", (json_int_t)n));
    printf("%s: %zu node%s, no errors\n", path, n, n == 1 ? "" : "s");
    return TM_EXIT_OK;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_buf text = {0};
    const char *path = cli->args[0], *name = tm_cli_flag(cli, "--name");
    bool given = strcmp(path, "-") == 0;
    if (name && !given) return tm_cli_usage(cli, "--name goes with - for GRAPH: the text is read from stdin");
    int code = given ? read_text(cli, &text) : TM_EXIT_OK;
    if (given) {
        session.text = text.data ? text.data : "";
        path = name ? name : "stdin.lua";
    }
    if (code == TM_EXIT_OK) code = check(cli, &session, path);
    tm_session_close(&session);
    tm_buf_clear(&text);
    return code;
}

const tm_command tm_command_check = {
    .name = "check",
    .brief = "Check a graph file: names, options, types.",
    .usage = "GRAPH|-",
    .example = "tidemill check graph.lua",
    .min = 1,
    .max = 1,
    .flags = flags,
    .exec = exec,
};
