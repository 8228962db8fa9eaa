// SPDX-License-Identifier: Apache-2.0
// Command lines from the records of runs.
#include "lua/past/rerun.h"

#include <stdlib.h>

static void add_quoted(tm_buf *out, const char *text)
{
    bool plain =
        text[0] && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                      "._-/=+:,@%")];
    tm_buf_char(out, ' ');
    if (!plain) tm_buf_char(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            tm_buf_str(out, "'\\''");
        else
            tm_buf_char(out, *text);
    }
    if (!plain) tm_buf_char(out, '\'');
}

void tm_rerun_add(tm_buf *out, const tm_past *past, const tm_past_node *node, const char *store)
{
    size_t i;
    json_t *arg, *args = json_object_get(past->record, "args");
    const char *path = json_string_value(json_object_get(past->record, "path"));
    char *folder = store ? realpath(store, NULL) : NULL;
    tm_buf_str(out, "tidemill run");
    add_quoted(out, path ? path : "graph.lua");
    add_quoted(out, node->name);
    json_array_foreach(args, i, arg)
    {
        const char *value = json_string_value(json_array_get(args, i + 1));
        if (strcmp(json_string_value(arg), "--set") != 0 || !value) continue;
        tm_buf_str(out, " --set");
        add_quoted(out, value);
    }
    if (json_is_true(json_object_get(past->record, "smoke"))) tm_buf_str(out, " --smoke");
    if (store) {
        tm_buf_str(out, " --store");
        add_quoted(out, folder ? folder : store);
    }
    free(folder);
}
