// SPDX-License-Identifier: Apache-2.0
// What each result was made from: the stage and its version, and its inputs by content.
#include <stdio.h>

#include "engine/store_key.h"
#include "lua/report/parts.h"

#define MOST_FILES 6

// The first digits; all of them for those who point at them.
static void hash(tm_buf *page, const char *hex)
{
    tm_html(page, "<code title=\"%s\">", hex);
    tm_html_text(page, tm_view_of(hex, strlen(hex) < 12 ? strlen(hex) : 12));
    tm_buf_str(page, "</code>");
}

// One file on a line of its own; more than a few are counted.
static void file(tm_buf *page, const char *name, const json_t *hex, int *n, bool first)
{
    if (!json_is_string(hex) || ++*n > MOST_FILES) return;
    if (*n > 1 || !first) tm_buf_str(page, "<br>");
    tm_html(page, "%s ", name);
    hash(page, json_string_value(hex));
}

static void files(const json_t *groups, bool first, tm_buf *page)
{
    const char *group, *name;
    json_t *members, *hex;
    int n = 0;
    json_object_foreach((json_t *)groups, group, members)
    {
        file(page, group, members, &n, first);
        json_object_foreach(members, name, hex) file(page, name, hex, &n, first);
    }
    if (n > MOST_FILES) tm_html(page, "<br>and %d more files", n - MOST_FILES);
}

static void inputs(const tm_report *report, const tm_past_node *node, const json_t *by_hash, tm_buf *page)
{
    const char *port;
    json_t *input;
    bool first = true;
    json_object_foreach(json_object_get(node->plan, "inputs"), port, input)
    {
        const tm_past_node *maker = tm_report_maker(report, input);
        const char *hex = json_string_value(json_object_get(json_object_get(by_hash, port), "hash"));
        if (!first) tm_buf_str(page, "<br>");
        tm_html(page, "%s%s", port, port[0] ? ": " : "");
        first = false;
        bool link = maker && maker - report->past.nodes < TM_REPORT_ROWS && tm_report_record(report, maker);
        if (link) tm_html(page, "<a href=\"#made-%d\">", (int)(maker - report->past.nodes));
        if (maker) tm_report_source(page, maker, input);
        tm_buf_str(page, link ? "</a> " : " ");
        if (hex) hash(page, hex);
    }
    files(json_object_get(json_object_get(node->plan, "own"), "files"), first, page);
}

static void row(const tm_report *report, const tm_past_node *node, const tm_record *record, tm_buf *page)
{
    char hex[TM_HASH_HEX], date[TM_HTML_NUMBER];
    json_t *facts = json_loads(record->json, 0, NULL);
    const json_t *own = json_object_get(node->plan, "own");
    const char *libraries = json_string_value(json_object_get(own, "libraries"));
    const char *run = json_string_value(json_object_get(facts, "run"));
    tm_html(page, "<tr id=\"made-%d\"><th scope=\"row\">%s</th><td>%s %lld%s%s</td><td>",
            (int)(node - report->past.nodes), node->name, node->stage,
            (long long)json_integer_value(json_object_get(own, "version")), libraries ? ", " : "",
            libraries ? libraries : "");
    for (size_t i = 0; i < record->n_ports; i++) {
        tm_hash_hex(record->ports[i].artifact, hex);
        if (i) tm_buf_str(page, "<br>");
        tm_html(page, "%s%s", record->ports[i].name, record->ports[i].name[0] ? " " : "");
        hash(page, hex);
    }
    tm_buf_str(page, "</td><td>");
    inputs(report, node, json_object_get(facts, "inputs"), page);
    tm_html(page, "</td><td>%s%s%s</td></tr>\n", run ? run : "", run ? ", " : "",
            tm_report_date(record->time_ms, date));
    json_decref(facts);
}

void tm_report_lineage(const tm_report *report, tm_buf *page)
{
    const tm_past *past = &report->past;
    bool open = false;
    for (size_t i = 0; i < past->n_nodes && i < TM_REPORT_ROWS; i++) {
        const tm_record *record = tm_report_record(report, &past->nodes[i]);
        if (!record) continue;
        if (!open) {
            tm_report_open(page, "lineage", "Lineage");
            tm_buf_str(page, "<details><summary>What each result was made from, by content</summary>\n");
            tm_report_wide(page, "Lineage");
            tm_buf_str(
                page,
                "<table><caption>Results are named by "
                "the hash of their bytes; equal names are equal bytes</caption><thead><tr><th scope=\"col\">node</th>"
                "<th scope=\"col\">stage and version</th><th scope=\"col\">result</th>"
                "<th scope=\"col\">made from</th><th scope=\"col\">first made</th></tr></thead><tbody>\n");
            open = true;
        }
        row(report, &past->nodes[i], record, page);
    }
    if (open) {
        tm_buf_str(page, "</tbody></table></div></details>\n");
        if (past->n_nodes > TM_REPORT_ROWS)
            tm_html(page, "<p>Of the first %d of %zu nodes.</p>\n", TM_REPORT_ROWS, past->n_nodes);
        tm_report_close(page);
    }
}
