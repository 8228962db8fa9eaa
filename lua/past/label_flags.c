// SPDX-License-Identifier: Apache-2.0
// The flags --note and --tag of commands that make a run.
#include "lua/past/label.h"

bool tm_label_good(const tm_cli *cli)
{
    const char *tag, *note = tm_cli_flag(cli, "--note");
    tm_error err;
    json_t *text = note ? json_string(note) : NULL;
    bool good = !note || text;
    if (!good) tm_cli_usage(cli, "the note is not UTF-8 text");
    for (int i = 0; good && (tag = tm_cli_flag_at(cli, "--tag", i)); i++) {
        good = tm_label_check(tag, &err) >= 0;
        if (!good) tm_cli_usage(cli, "%s", err.text);
    }
    json_decref(text);
    return good;
}

void tm_label_say(const tm_cli *cli, json_t *record)
{
    const char *tag, *note = tm_cli_flag(cli, "--note");
    json_t *tags = json_array();
    for (int i = 0; (tag = tm_cli_flag_at(cli, "--tag", i)); i++) tm_label_add(tags, tag);
    if (note && note[0]) json_object_set_new(record, "note", json_string(note));
    if (json_array_size(tags)) json_object_set(record, "tags", tags);
    json_decref(tags);
}
