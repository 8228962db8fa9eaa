// SPDX-License-Identifier: Apache-2.0
// Renders chat templates for test_template.py: a line of JSON in, {"template": text, "variables": {...}}, a
// line out: {"text": ..., "spans": [[from, to], ...]} (bytes), or {"refused": why}, or {"unknown": why} for
// what this subset of Jinja lacks.
#include <stdio.h>
#include <stdlib.h>

#include "stages/text/template.h"

static json_t *rendered(const json_t *job)
{
    tm_template *template;
    tm_rendering r = {0};
    tm_error err = {0};
    const json_t *source = json_object_get(job, "template");
    tm_view text = tm_view_of(json_string_value(source), json_string_length(source));
    tm_status status = tm_template_parse(text, &template, &err);
    if (status < 0) return json_pack("{s:s}", status == TM_EUNSUPPORTED ? "unknown" : "refused", err.text);
    status = tm_template_render(template, json_object_get(job, "variables"), &r, &err);
    json_t *spans = json_array();
    for (size_t i = 0; i < r.n_spans; i++)
        json_array_append_new(spans,
                              json_pack("[I, I]", (json_int_t)r.spans[i].from, (json_int_t)r.spans[i].to));
    json_t *out = status < 0
                      ? json_pack("{s:s, s:o}", "refused", err.text, "spans", spans)
                      : json_pack("{s:o, s:o}", "text",
                                  json_stringn(r.text.size ? r.text.data : "", r.text.size), "spans", spans);
    tm_rendering_clear(&r);
    tm_template_free(template);
    return out;
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    while ((n = getline(&line, &capacity, stdin)) > 0) {
        json_t *job = json_loadb(line, (size_t)n, 0, NULL), *out = job ? rendered(job) : NULL;
        char *text = out ? json_dumps(out, JSON_COMPACT) : NULL;
        puts(text ? text : "null");
        free(text);
        json_decref(out);
        json_decref(job);
    }
    free(line);
    return 0;
}
