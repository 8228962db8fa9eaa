// SPDX-License-Identifier: Apache-2.0
// Words for bad lines.
#include "stages/format/line_fault.h"

#include <stdio.h>

#include "engine/base/json.h"
#include "engine/base/nearest.h"

#define SHOWN 8 // names of fields

// " (it has id, body; did you mean "body"?)"
static void add_fields(const json_t *line, const char *field, char *text, size_t size)
{
    const char *name, *near = field ? tm_nearest_key(line, field) : NULL;
    json_t *value;
    size_t at = strlen(text), n = 0, all = json_object_size(line);
    if (!all) snprintf(text + at, size - at, " (it has none)");
    json_object_foreach((json_t *)line, name, value)
    {
        if (n == SHOWN) break;
        snprintf(text + at, size - at, "%s%.40s", n++ ? ", " : " (it has ", name);
        at = strlen(text);
    }
    if (all > n) snprintf(text + at, size - at, " and %zu more", all - n);
    at = strlen(text);
    if (near) snprintf(text + at, size - at, "; did you mean \"%.40s\"?", near);
    at = strlen(text);
    if (all) snprintf(text + at, size - at, ")");
}

void tm_line_fault(const tm_jsonl_row *row, const char *why, const char *field, char *text, size_t size)
{
    json_t *line = NULL;
    tm_error none;
    bool missing = field ? strcmp(why, "no text") == 0 : strncmp(why, "there is no ", 12) == 0;
    if (tm_line_begins_array(row)) {
        snprintf(text, size, "one JSON array, where each line has to be an object");
    } else if (missing && tm_json_parse(row->bytes, &line, &none) >= 0) {
        if (field) snprintf(text, size, "no field \"%.60s\"", field);
        else snprintf(text, size, "%.60s", why);
        add_fields(line, field, text, size);
        json_decref(line);
    } else if (why == row->bad) {
        snprintf(text, size, "%.60s (at byte %zu)", why, row->bad_at);
    } else {
        snprintf(text, size, "%.60s", why);
    }
}

bool tm_line_begins_array(const tm_jsonl_row *row)
{
    size_t i = 0;
    while (i < row->bytes.size && strchr(" \t", row->bytes.data[i])) i++;
    return row->line == 1 && i < row->bytes.size && row->bytes.data[i] == '[';
}
