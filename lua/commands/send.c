// SPDX-License-Identifier: Apache-2.0
// send: a run in the form that another tool reads.
#include <stdio.h>

#include "engine/base/nearest.h"
#include "lua/cli/session.h"
#include "lua/send/send.h"

static const tm_flag flags[] = {
    {"--to", 0, tm_send_tool_names, "the tool"},
    {0},
};

static int no_such_tool(const tm_cli *cli, const char *name)
{
    const char *names[32];
    int n = 0;
    for (; tm_send_tools[n] && n < 31; n++) names[n] = tm_send_tools[n]->name;
    names[n] = NULL;
    const char *near = tm_nearest(name, names);
    return tm_cli_usage(cli, "--to is one of %s, not \"%s\"%s%s%s", tm_send_tool_names, name,
                        near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static bool to_stdout(const tm_send_job *job)
{
    return strcmp(job->path, "-") == 0;
}

static void say_executions(const tm_send_job *job)
{
    size_t n = 0;
    for (size_t i = 0; i < job->past->n_nodes; i++) n += job->past->nodes[i].n_spans > 0;
    if (n)
        printf("%s: when %zu node%s ran, and what they measured, is in %s\n", job->past->run, n,
               n == 1 ? "" : "s", job->made);
    else
        printf("%s: nothing was executed; %s has facts of the run alone\n", job->past->run, job->made);
}

static int say(const tm_cli *cli, const tm_send_tool *tool, const tm_send_job *job)
{
    size_t n = 0;
    for (size_t at = 0; tm_send_next_node(job->past, &at);) n++;
    if (to_stdout(job)) return TM_EXIT_OK;
    if (cli->json)
        return tm_cli_print(cli, json_pack("{s:s, s:s, s:s, s:I, s:I}", "run", job->past->run, "to",
                                           tool->name, "path", job->made, "nodes", (json_int_t)n, "renamed",
                                           (json_int_t)job->changed));
    if (tool->file)
        say_executions(job);
    else
        printf("%s: the metrics of %zu node%s are in %s\n", job->past->run, n, n == 1 ? "" : "s", job->made);
    printf("try: ");
    printf(tool->open, job->made);
    putchar('\n');
    if (job->changed)
        fprintf(stderr, "%zu name%s changed, as %s wants it: \"%s\" is \"%s\" there\n", job->changed,
                job->changed == 1 ? " is" : "s are", tool->name, job->example[0], job->example[1]);
    return TM_EXIT_OK;
}

static tm_status send_run(const tm_cli *cli, tm_store *store, const tm_send_tool *tool, int *code,
                          tm_error *err)
{
    tm_past past;
    char place[TM_PATH_MAX];
    TM_TRY(tm_past_read(store, cli->args[0], &past, err));
    tm_status status = tm_past_results(&past, store, err);
    if (status >= 0) status = tm_path(place, err, tool->place, past.run);
    tm_send_job job = {.path = cli->n_args > 1 ? cli->args[1] : place};
    if (status >= 0 && to_stdout(&job) && !tool->file)
        status = tm_fail(err, TM_EINVAL, "%s is written as a folder, which stdout does not take", tool->name);
    if (status >= 0) status = tm_send(tool, &past, &job, err);
    if (status >= 0) *code = say(cli, tool, &job);
    tm_send_clear(&job);
    tm_past_clear(&past);
    return status;
}

static int exec(tm_cli *cli)
{
    const char *to = tm_cli_flag(cli, "--to");
    if (!to) return tm_cli_usage(cli, "where to? --to %s", tm_send_tool_names);
    const tm_send_tool *tool = tm_send_tool_find(to);
    if (!tool) return no_such_tool(cli, to);
    tm_session session = {0};
    tm_error err = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && send_run(cli, session.store, tool, &code, &err) < 0)
        code = tm_cli_fail(cli, &err);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_send = {
    .name = "send",
    .brief = "Write a run (the latest, if none is named) for another tool: TensorBoard, MLflow, W&B, a trace "
             "viewer.",
    .usage = "[RUN [PATH]]",
    .example = "tidemill send r12 --to tensorboard",
    .max = 2,
    .flags = flags,
    .exec = exec,
};
