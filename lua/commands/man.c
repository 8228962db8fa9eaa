// SPDX-License-Identifier: Apache-2.0
// man: the manual page of the program or of a command, as roff.
#include <stdio.h>

#include "engine/base/nearest.h"
#include "lua/editor/manual.h"

static int unknown(const tm_cli *cli, const char *name)
{
    const char *names[128];
    size_t n = 0;
    tm_error err = {0};
    for (const tm_command *const *c = tm_commands; *c && n < 127; c++) names[n++] = (*c)->name;
    names[n] = NULL;
    const char *near = tm_nearest(name, names);
    tm_fail_as(&err, TM_ENOENT, "TM0001", "there is no command \"%s\"", name);
    if (near) tm_hint(&err, "did you mean `tidemill man %s`?", near);
    else tm_hint(&err, "`tidemill --help` lists the commands");
    return tm_cli_fail(cli, &err);
}

static int exec(tm_cli *cli)
{
    const tm_command *command = NULL;
    tm_buf page = {0};
    tm_error err = {0};
    for (const tm_command *const *c = tm_commands; *c && cli->n_args; c++)
        if (strcmp((*c)->name, cli->args[0]) == 0) command = *c;
    if (cli->n_args && !command) return unknown(cli, cli->args[0]);
    tm_manual(command, &page);
    int code = TM_EXIT_OK;
    if (tm_buf_status(&page, &err) < 0) code = tm_cli_fail(cli, &err);
    else if (cli->json) tm_cli_print(cli, json_pack("{s:s}", "page", page.data));
    else fputs(page.data, stdout);
    tm_buf_clear(&page);
    return code;
}

const tm_command tm_command_man = {
    .name = "man",
    .brief = "Print the manual page of a command, or of all, for man(1).",
    .usage = "[COMMAND]",
    .example = "tidemill man run | man -l -",
    .max = 1,
    .exec = exec,
};
