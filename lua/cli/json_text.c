// SPDX-License-Identifier: Apache-2.0
// Values as text.
#include "lua/cli/json_text.h"

#include <math.h>

#include "engine/base/json.h"
#include "lua/cli/counts.h"

// A number with a fraction stays one: "1.0".
static void add_real(double number, tm_buf *out)
{
    char text[TM_COUNT_TEXT];
    tm_exact_text(number, text);
    tm_buf_str(out, isfinite(number) ? text : "null");
    if (isfinite(number) && !strpbrk(text, ".e")) tm_buf_str(out, ".0");
}

static void add_object(const json_t *object, tm_buf *out)
{
    const char *name;
    json_t *value;
    bool first = true;
    tm_buf_char(out, '{');
    json_object_foreach((json_t *)object, name, value)
    {
        if (!first) tm_buf_char(out, ',');
        tm_json_quote(tm_view_str(name), out);
        tm_buf_char(out, ':');
        tm_json_text(value, out);
        first = false;
    }
    tm_buf_char(out, '}');
}

static void add_array(const json_t *array, tm_buf *out)
{
    size_t i;
    json_t *value;
    tm_buf_char(out, '[');
    json_array_foreach((json_t *)array, i, value)
    {
        if (i) tm_buf_char(out, ',');
        tm_json_text(value, out);
    }
    tm_buf_char(out, ']');
}

void tm_json_text(const json_t *value, tm_buf *out)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT: add_object(value, out); return;
    case JSON_ARRAY: add_array(value, out); return;
    case JSON_STRING:
        tm_json_quote(tm_view_of(json_string_value(value), json_string_length(value)), out);
        return;
    case JSON_INTEGER: tm_buf_fmt(out, "%lld", (long long)json_integer_value(value)); return;
    case JSON_REAL: add_real(json_real_value(value), out); return;
    case JSON_TRUE: tm_buf_str(out, "true"); return;
    case JSON_FALSE: tm_buf_str(out, "false"); return;
    case JSON_NULL: tm_buf_str(out, "null"); return;
    }
}
