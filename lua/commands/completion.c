// SPDX-License-Identifier: Apache-2.0
// completion: the scripts that make a shell complete command lines, and the words that they ask for.
#include <stdio.h>

#include "completion_bash.h"
#include "completion_fish.h"
#include "completion_zsh.h"
#include "lua/editor/complete.h"

typedef struct script {
    const char *shell, *text;
} script;

static const script scripts[] = {
    {"bash", completion_bash},
    {"fish", completion_fish},
    {"zsh", completion_zsh},
    {0},
};

// A word and what it is a line, then ":graphs", ":files" or ":folders" where files may stand too.
static int print_words(const tm_cli *cli)
{
    static const char *const files[] = {"", "graphs", "files", "folders"};
    tm_completion c;
    size_t i;
    json_t *row;
    tm_complete(cli->args + 1, cli->n_args - 1, &c);
    if (cli->json)
        return tm_cli_print(cli, json_pack("{s:o, s:s}", "words", c.words, "files", files[c.files]));
    json_array_foreach (c.words, i, row)
        printf("%s\t%s\n", json_string_value(json_object_get(row, "word")),
               json_string_value(json_object_get(row, "about")));
    if (c.files) printf(":%s\n", files[c.files]);
    json_decref(c.words);
    return TM_EXIT_OK;
}

static int exec(tm_cli *cli)
{
    const char *shell = cli->args[0];
    if (strcmp(shell, "words") == 0) return print_words(cli);
    for (const script *s = scripts; s->shell; s++) {
        if (strcmp(s->shell, shell) != 0 || cli->n_args > 1) continue;
        if (cli->json) return tm_cli_print(cli, json_pack("{s:s, s:s}", "shell", shell, "script", s->text));
        fputs(s->text, stdout);
        return TM_EXIT_OK;
    }
    return tm_cli_usage(cli, "it takes bash, zsh or fish, not \"%s\"", cli->args[cli->n_args - 1]);
}

const tm_command tm_command_completion = {
    .name = "completion",
    .brief = "Print a script with which a shell completes lines (words: what could stand at the end of one).",
    .usage = "bash|zsh|fish|words [WORD...]",
    .example = "eval \"$(tidemill completion bash)\"",
    .min = 1,
    .max = -1,
    .exec = exec,
};
