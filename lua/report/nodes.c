// SPDX-License-Identifier: Apache-2.0
// Every node in a row: state, time, what it made, disk, cores, memory, and why it ran.
#include <stdio.h>

#include "lua/cli/counts.h"
#include "lua/report/parts.h"

static void inputs(const tm_report *report, const tm_past_node *node, tm_buf *page)
{
    const char *port;
    json_t *input;
    bool first = true;
    json_object_foreach(json_object_get(node->plan, "inputs"), port, input)
    {
        const tm_past_node *maker = tm_report_maker(report, input);
        if (!maker) continue;
        if (!first) tm_buf_str(page, ", ");
        tm_report_source(page, maker, input);
        first = false;
    }
}

static void amount(tm_buf *page, int64_t n, bool size)
{
    char text[TM_COUNT_TEXT];
    tm_html(page, "<td class=\"n\" data-v=\"%lld\">%s</td>", (long long)n,
            n < 0 ? "–" : size ? tm_size_text((uint64_t)n, text) : tm_count_text(n, text));
}

// Why it ran. Of a plan's doubts, what came of them is known by now.
static void why(const tm_past_node *node, tm_buf *page)
{
    bool plain = strcmp(node->planned, "run") == 0 || strcmp(node->planned, "maybe") == 0;
    if (!tm_report_executed(node)) return;
    if (!plain) tm_html(page, "%s%s", node->planned, node->reason[0] ? ": " : "");
    tm_html_text(page, tm_view_of(node->reason, strcspn(node->reason, ";")));
}

static void row(const tm_report *report, const tm_past_node *node, bool measured, tm_buf *page)
{
    char text[96];
    tm_html(page, "<tr id=\"node-%d\"><th scope=\"row\">%s</th><td>%s</td><td class=\"%s\">%s %s</td>",
            (int)(node - report->past.nodes), node->name, node->stage, tm_report_class(node->state),
            tm_report_sign(node->state), node->state);
    tm_html(page, "<td class=\"n\" data-v=\"%.3f\">%s</td>", node->seconds,
            node->seconds >= 0 ? tm_duration_text(node->seconds, text) : "–");
    tm_html(page, "<td>%s</td>", tm_report_made(node, text));
    amount(page, node->bytes, true);
    if (measured) {
        amount(page, node->cores, false);
        amount(page, node->memory, true);
    }
    tm_buf_str(page, "<td class=\"fold\">");
    inputs(report, node, page);
    tm_buf_str(page, "</td><td class=\"fold\">");
    why(node, page);
    tm_buf_str(page, "</td></tr>\n");
}

static bool measures(const tm_past *past)
{
    for (size_t i = 0; i < past->n_nodes; i++)
        if (past->nodes[i].cores >= 0 || past->nodes[i].memory >= 0) return true;
    return false;
}

void tm_report_nodes(const tm_report *report, tm_buf *page)
{
    const tm_past *past = &report->past;
    bool measured = measures(past);
    if (!past->n_nodes) return;
    tm_report_open(page, "nodes", "Nodes: time and disk");
    tm_report_wide(page, "Nodes");
    tm_html(
        page,
        "<table class=\"sort\"><caption>Every "
        "node of the graph. Fused nodes are executed together, and the last of them has their time%s"
        "</caption><thead><tr><th scope=\"col\">node</th><th scope=\"col\">stage</th><th scope=\"col\">state</th>"
        "<th scope=\"col\" class=\"n\">time</th><th scope=\"col\">made</th><th scope=\"col\" class=\"n\">bytes</th>",
        measured ? "; cores are the most lent at once, memory the most that a worker took" : "");
    if (measured)
        tm_buf_str(page, "<th scope=\"col\" class=\"n\">cores</th><th scope=\"col\" class=\"n\">memory</th>");
    tm_buf_str(page, "<th scope=\"col\">from</th><th scope=\"col\">why it ran</th></tr></thead><tbody>\n");
    size_t n = past->n_nodes < TM_REPORT_ROWS ? past->n_nodes : TM_REPORT_ROWS;
    for (size_t i = 0; i < n; i++) row(report, &past->nodes[i], measured, page);
    tm_buf_str(page, "</tbody></table></div>\n");
    if (n < past->n_nodes)
        tm_html(page, "<p>The first %zu of %zu nodes; <code>tidemill status %s</code> has them all.</p>\n", n,
                past->n_nodes, past->run);
    tm_report_close(page);
}
