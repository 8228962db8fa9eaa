// SPDX-License-Identifier: Apache-2.0
// tag: say something about a run: tags to find it by, and a note.
#include <stdio.h>

#include "lua/cli/session.h"
#include "lua/past/label.h"
#include "lua/past/past.h"

static const tm_flag flags[] = {
    {"--drop", 'd', "TAG", "take a tag away (may be given several times)"},
    {"--note", 'm', "TEXT", "the note, in place of the one that is there; \"\": none"},
    {0},
};

static void print(const tm_cli *cli, const tm_past *past)
{
    size_t i;
    json_t *tag;
    if (cli->json) {
        tm_cli_print(cli,
                     json_pack("{s:s, s:s?, s:O}", "run", past->run, "note", past->note, "tags", past->tags));
        return;
    }
    printf("%s:", past->run);
    json_array_foreach(past->tags, i, tag) printf(" %s", json_string_value(tag));
    if (past->note)
        printf("%s \"%s\"", json_array_size(past->tags) ? "," : "", past->note);
    else if (!json_array_size(past->tags))
        printf(" no tags and no note");
    putchar('\n');
}

// A leading + is for those who expect it.
static tm_status change(const tm_cli *cli, tm_past *past, bool *changed, tm_error *err)
{
    const char *text;
    for (int i = 1; i < cli->n_args; i++) {
        text = cli->args[i] + (cli->args[i][0] == '+');
        TM_TRY(tm_label_check(text, err));
        *changed |= tm_label_add(past->tags, text);
    }
    for (int i = 0; (text = tm_cli_flag_at(cli, "--drop", i)); i++) {
        if (!tm_label_drop(past->tags, text))
            return tm_fail_as(err, TM_ENOENT, "TM0505", "%s has no tag \"%.60s\"", past->run, text);
        *changed = true;
    }
    if (!(text = tm_cli_flag(cli, "--note"))) return TM_OK;
    tm_free(past->note);
    past->note = text[0] ? tm_strdup(text) : NULL;
    *changed = true;
    return TM_OK;
}

static tm_status tag(const tm_cli *cli, tm_store *store, tm_error *err)
{
    tm_past past;
    bool changed = false;
    TM_TRY(tm_past_read(store, cli->args[0], &past, err));
    tm_status status = change(cli, &past, &changed, err);
    if (status >= 0 && changed) status = tm_label_write(store, past.run, past.note, past.tags, err);
    if (status >= 0) print(cli, &past);
    tm_past_clear(&past);
    return status;
}

static int exec(tm_cli *cli)
{
    return tm_session_in_store(cli, tag);
}

const tm_command tm_command_tag = {
    .name = "tag",
    .brief = "Give a run tags and a note, or show those it has.",
    .usage = "RUN [TAG...]",
    .example = "tidemill tag r12 baseline --note \"rank 16, new chats\"",
    .min = 1,
    .max = -1,
    .flags = flags,
    .exec = exec,
};
