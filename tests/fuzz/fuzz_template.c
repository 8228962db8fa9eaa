// SPDX-License-Identifier: Apache-2.0
// Chat templates: any bytes are refused or render, within the bounds, to valid UTF-8 with spans inside it.
#include <stdlib.h>

#include "engine/base/utf8.h"
#include "stages/text/template.h"
#include "tests/fuzz/fuzz.h"

static const char variables[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"\\u00e9\"},{\"role\":\"user\",\"content\":\" a b \"},"
    "{\"role\":\"assistant\",\"content\":\"<think>x</think>y\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
    "\"arguments\":{\"q\":[1,2.5,null]}}}]}],\"tools\":[{\"type\":\"function\"}],\"add_generation_prompt\":"
    "true,"
    "\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_template *template;
    tm_rendering r = {0};
    tm_error err;
    if (tm_template_parse(tm_view_of(data, size), &template, &err) < 0) return 0;
    json_t *given = json_loads(variables, 0, NULL);
    if (tm_template_render(template, given, &r, &err) >= 0) {
        bool utf8 = tm_utf8_valid(tm_view_of(data, size)) == size;
        if (utf8 && r.text.size && tm_utf8_valid(tm_buf_view(&r.text)) != r.text.size) abort();
        for (size_t i = 0; i < r.n_spans; i++)
            if (r.spans[i].from > r.spans[i].to || r.spans[i].to > r.text.size) abort();
    }
    json_decref(given);
    tm_rendering_clear(&r);
    tm_template_free(template);
    return 0;
}
