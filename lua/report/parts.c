// SPDX-License-Identifier: Apache-2.0
// What the sections of a report share.
#include "lua/report/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/store_key.h"
#include "lua/cli/counts.h"
#include "lua/cli/json_text.h"
#include "lua/past/recorded_stage.h"
#include "report_css.h"
#include "report_js.h"
#include "report_policy.h"

void tm_report_open(tm_buf *page, const char *id, const char *title)
{
    tm_html(page, "<section id=\"%s\" aria-labelledby=\"%s-h\"><h2 id=\"%s-h\">%s</h2>\n", id, id, id, title);
}

void tm_report_close(tm_buf *page)
{
    tm_buf_str(page, "</section>\n");
}

void tm_report_wide(tm_buf *page, const char *label)
{
    tm_html(page, "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"%s\">", label);
}

void tm_report_frame(tm_buf *page, const char *title)
{
    tm_buf_str(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    tm_html(page, "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n", report_policy);
    tm_buf_str(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n");
    tm_html(page, "<title>%s</title>\n<style>", title);
    tm_buf_str(page, report_css);
    tm_buf_str(
        page,
        "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n"
        "<svg class=\"hidden\" aria-hidden=\"true\"><title>hatching</title><defs><pattern id=\"hatch\" class=\"hatch\" "
        "width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\"><rect width=\"5\" height=\"5\"/>"
        "<path d=\"M-1 6L6 -1\"/></pattern></defs></svg>\n");
}

void tm_report_frame_end(tm_buf *page)
{
    tm_buf_str(page, "<script>");
    tm_buf_str(page, report_js);
    tm_buf_str(page, "</script>\n</body>\n</html>\n");
}

static const struct {
    const char *state, *sign, *class;
} states[] = {
    {"done", "✓", "done"},     {"cached", "≡", "cached"},  {"failed", "✗", "failed"},
    {"running", "▸", "other"}, {"stopped", "■", "other"},  {"interrupted", "■", "failed"},
    {"waiting", "…", "other"}, {"not run", "–", "other"},  {NULL, "·", "other"},
};

const char *tm_report_sign(const char *state)
{
    size_t i = 0;
    while (states[i].state && strcmp(states[i].state, state) != 0) i++;
    return states[i].sign;
}

const char *tm_report_class(const char *state)
{
    size_t i = 0;
    while (states[i].state && strcmp(states[i].state, state) != 0) i++;
    return states[i].class;
}

const tm_past_node *tm_report_chain(const tm_past *past, const tm_past_node *node)
{
    char name[256];
    const char *slash = strrchr(node->name, '/');
    if (!slash) return NULL;
    snprintf(name, sizeof name, "%.*s", (int)(slash - node->name), node->name);
    return tm_past_find(past, name);
}

const tm_past_node *tm_report_maker(const tm_report *report, const json_t *input)
{
    const char *recipe = json_string_value(json_object_get(input, "recipe"));
    const json_t *at = recipe ? json_object_get(report->makers, recipe) : NULL;
    return at ? &report->past.nodes[json_integer_value(at)] : NULL;
}

void tm_report_source(tm_buf *page, const tm_past_node *maker, const json_t *input)
{
    const char *out = json_string_value(json_object_get(input, "out"));
    tm_html(page, "%s%s%s", maker->name, out && *out ? "." : "", out ? out : "");
}

bool tm_report_executed(const tm_past_node *node)
{
    return node->n_spans > 0;
}

void tm_report_share(tm_past *past)
{
    for (size_t i = 0; i < past->n_nodes; i++)
        if (past->nodes[i].same) past->nodes[i].state = tm_past_work(past, &past->nodes[i])->state;
}

// The bytes of the first n letters.
static size_t letters_size(const char *text, int n)
{
    size_t size = 0;
    for (; text[size] && n; n--)
        do size++;
        while (((unsigned char)text[size] & 0xc0) == 0x80);
    return size;
}

const char *tm_report_cut(const char *whole, int most, char text[256])
{
    int n = 0;
    for (const char *at = whole; *at; at += letters_size(at, 1)) n++;
    if (n <= most) return whole;
    int head = (most - 1) / 2, tail = most - 1 - head;
    const char *end = whole + letters_size(whole, n - tail);
    snprintf(text, 256, "%.*s…%s", (int)letters_size(whole, head), whole, end);
    return text;
}

const char *tm_report_family(const tm_past_node *node)
{
    const tm_stage *stage = tm_recorded_stage(node->plan);
    return stage ? stage->family : "";
}

void tm_report_value(tm_buf *page, const json_t *value)
{
    const char *kind = json_string_value(json_object_get(value, "$value")), *name;
    json_t *part;
    bool first = true;
    if (json_is_string(value)) tm_html(page, "%s", json_string_value(value));
    else if (!value || json_is_null(value)) tm_buf_str(page, "–");
    else if (kind) {
        tm_html(page, "%s {", kind);
        json_object_foreach((json_t *)value, name, part)
        {
            if (strcmp(name, "$value") == 0) continue;
            tm_html(page, "%s %s = ", first ? "" : ",", name);
            first = false;
            tm_report_value(page, part);
        }
        tm_buf_str(page, first ? "}" : " }");
    } else if (json_is_number(value)) {
        char text[TM_COUNT_TEXT];
        tm_html(page, "%s", tm_exact_text(json_number_value(value), text));
    } else {
        tm_buf text = {0};
        tm_json_text(value, &text);
        tm_html(page, "%s", text.data ? text.data : "");
        page->failed |= text.failed;
        tm_buf_clear(&text);
    }
}

const char *tm_report_date(int64_t ms, char text[TM_HTML_NUMBER])
{
    struct tm parts;
    time_t t = (time_t)(ms / 1000);
    text[0] = 0;
    if (localtime_r(&t, &parts)) strftime(text, TM_HTML_NUMBER, "%Y-%m-%d %H:%M:%S", &parts);
    return text;
}

const char *tm_report_made(const tm_past_node *node, char text[96])
{
    char count[TM_COUNT_TEXT];
    const tm_stage *stage = tm_recorded_stage(node->plan);
    const tm_type *type = stage ? tm_type_find(stage->outputs[0].type) : NULL;
    bool tree = type && type->tree;
    int64_t n = tree ? node->entries : node->rows;
    text[0] = 0;
    if (type && n >= 0)
        snprintf(text, 96, "%s %s%s", tm_count_text(n, count), tree ? type->entry : "record",
                 n == 1 ? "" : "s");
    return text;
}

const tm_record *tm_report_record(const tm_report *report, const tm_past_node *node)
{
    tm_hash recipe;
    const char *hex = json_string_value(json_object_get(node->plan, "recipe"));
    return hex && tm_hash_parse(hex, &recipe) ? tm_key_by_recipe(report->store, recipe) : NULL;
}
