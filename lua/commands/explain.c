// SPDX-License-Identifier: Apache-2.0
// explain: what the code of an error means, its causes, an example, and how to mend it.
#include <ctype.h>
#include <stdio.h>

#include "engine/base/called.h"
#include "engine/base/nearest.h"
#include "lua/cli/cli.h"
#include "lua/cli/explained.h"

enum { MOST = 200 }; // codes

static json_t *as_json(const tm_explained *e)
{
    return json_pack("{s:s, s:s%, s:s%}", "code", e->code, "title", e->title.data, e->title.size, "text",
                     e->text.data, e->text.size);
}

static int list(const tm_cli *cli)
{
    tm_explained e;
    json_t *all = json_array();
    for (size_t i = 0; tm_explained_at(i, &e); i++) {
        if (cli->json)
            json_array_append_new(all, as_json(&e));
        else
            printf("%s  %.*s\n", e.code, (int)e.title.size, e.title.data);
    }
    if (cli->json) return tm_cli_print(cli, json_pack("{s:o}", "codes", all));
    json_decref(all);
    tm_called_print(stdout, "\n`tidemill explain CODE` tells more\n");
    return TM_EXIT_OK;
}

// "tm201", "201" and "TM0201]" are TM0201: what people copy from a message.
static void read_code(const char *text, char code[32])
{
    char letters[32];
    size_t n = 0;
    if (*text == '[') text++;
    while (isalnum((unsigned char)*text) && n < 24) letters[n++] = (char)toupper((unsigned char)*text++);
    letters[n] = 0;
    const char *digits = strncmp(letters, "TM", 2) == 0 ? letters + 2 : letters;
    bool number = *digits && strspn(digits, "0123456789") == strlen(digits) && strlen(digits) <= 4;
    if (number)
        snprintf(code, 32, "TM%.*s%.4s", (int)(4 - strlen(digits)), "0000", digits);
    else
        snprintf(code, 32, "%s", letters);
}

static int unknown(const tm_cli *cli, const char *text, const char *code)
{
    tm_error err = {0};
    tm_explained all[MOST];
    const char *names[MOST + 1];
    size_t n = 0;
    while (n < MOST && tm_explained_at(n, &all[n])) {
        names[n] = all[n].code;
        n++;
    }
    names[n] = NULL;
    const char *near = tm_nearest(code, names);
    tm_fail_as(&err, TM_ENOENT, "TM0008", "there is no code %.60s", text);
    if (near)
        tm_hint(&err, "did you mean %s?", near);
    else
        tm_hint(&err, "`tidemill explain` lists them");
    return tm_cli_fail(cli, &err);
}

static int exec(tm_cli *cli)
{
    tm_explained e;
    char code[32];
    if (!cli->n_args) return list(cli);
    read_code(cli->args[0], code);
    if (!tm_explained_find(code, &e)) return unknown(cli, cli->args[0], code);
    if (cli->json) return tm_cli_print(cli, as_json(&e));
    printf("%s: %.*s\n", e.code, (int)e.title.size, e.title.data);
    if (e.text.size) printf("\n%.*s\n", (int)e.text.size, e.text.data);
    return TM_EXIT_OK;
}

const tm_command tm_command_explain = {
    .name = "explain",
    .brief = "Tell what the code of an error means, its causes, and how to mend it.",
    .usage = "[CODE]",
    .example = "tidemill explain TM0201",
    .max = 1,
    .exec = exec,
};
