// SPDX-License-Identifier: Apache-2.0
// The top of a report: which run, how it ended, its figures, and why it failed if it did.
#include <stdio.h>
#include <unistd.h>

#include "lua/cli/counts.h"
#include "lua/cli/failure.h"
#include "lua/lock/git.h"
#include "lua/report/parts.h"

static void figure(tm_buf *page, const char *name, const char *value)
{
    tm_html(page, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

// Bytes of what this run made; of what two nodes gave alike, once.
static int64_t bytes_made(const tm_past *past)
{
    int64_t sum = 0;
    for (size_t i = 0; i < past->n_nodes; i++)
        if (!past->nodes[i].same && strcmp(past->nodes[i].state, "done") == 0 && past->nodes[i].bytes > 0)
            sum += past->nodes[i].bytes;
    return sum;
}

static void figures(const tm_past *past, tm_buf *page)
{
    char text[128], size[TM_COUNT_TEXT];
    int failed = tm_past_count(past, "failed"),
        left = tm_past_count(past, "not run") + tm_past_count(past, "waiting");
    tm_buf_str(page, "<dl class=\"figures\">\n");
    figure(page, "time", tm_duration_text(tm_past_seconds(past), text));
    snprintf(text, sizeof text, "%d run, %d cached", tm_past_count(past, "done"),
             tm_past_count(past, "cached"));
    if (failed) snprintf(text + strlen(text), sizeof text - strlen(text), ", %d failed", failed);
    if (tm_past_count(past, "stopped"))
        snprintf(text + strlen(text), sizeof text - strlen(text), ", %d stopped",
                 tm_past_count(past, "stopped"));
    if (left) snprintf(text + strlen(text), sizeof text - strlen(text), ", %d not run", left);
    figure(page, "nodes", text);
    figure(page, "made", tm_size_text((uint64_t)bytes_made(past), size));
    figure(page, "code", tm_git_text(json_object_get(past->record, "git"), text, sizeof text)[0]
                             ? text : "not under git, or not recorded");
    tm_buf_str(page, "</dl>\n");
}

static const char *str(const json_t *fields, const char *name)
{
    const char *text = json_string_value(json_object_get(fields, name));
    return text ? text : "";
}

// What the terminal said.
static void failure(const tm_past *past, const tm_past_node *group, const json_t *f, tm_buf *page)
{
    const tm_past_node *in = tm_past_find(past, str(f, "in")), *node = in ? in : group;
    const char *code = str(f, "code"), *file = str(node->plan, "file");
    long long line = (long long)json_integer_value(json_object_get(node->plan, "line"));
    tm_html(page,
            "<div class=\"fault\" role=\"note\"><p><strong>✗ %s failed</strong> <span class=\"about\">%s",
            node->name, code);
    if (file[0] && line > 0) tm_html(page, "%s%s:%lld", code[0] ? ", " : "", file, line);
    tm_html(page, "</span></p><p>%s</p>", str(f, "text"));
    if (str(f, "why")[0]) tm_html(page, "<p class=\"words\"><strong>why</strong> %s</p>", str(f, "why"));
    if (str(f, "hint")[0])
        tm_html(page, "<p><strong>fix</strong> %s</p>", str(f, "hint"));
    else
        tm_html(page, "<p><strong>fix</strong> %s, then run it again: it goes on with what is kept</p>",
                tm_failure_remedy(code));
    tm_html(page, "<p><strong>look</strong> <code>tidemill logs %s:%s</code>", past->run, node->name);
    if (code[0]) tm_html(page, ", <code>tidemill explain %s</code>", code);
    tm_buf_str(page, "</p></div>\n");
}

static void failures(const tm_past *past, tm_buf *page)
{
    for (size_t i = 0; i < past->n_nodes; i++) {
        const json_t *own = tm_past_own_failure(&past->nodes[i]);
        if (own) failure(past, &past->nodes[i], own, page);
    }
}

void tm_report_head(const tm_report *report, tm_buf *page)
{
    const tm_past *past = &report->past;
    char date[TM_HTML_NUMBER];
    const char *status = tm_past_status(past);
    size_t i;
    json_t *tag;
    tm_html(page, "<header>\n<p class=\"state %s\">%s %s</p>\n<h1>Run %s</h1>\n", tm_report_class(status),
            tm_report_sign(status), status, past->run);
    tm_html(page, "<p class=\"about\">%s, begun %s",
            json_string_value(json_object_get(past->record, "graph")), tm_report_date(past->start_ms, date));
    json_array_foreach(past->tags, i, tag)
        tm_html(page, " <span class=\"tag\">%s</span>", json_string_value(tag));
    tm_buf_str(page, "</p>\n");
    if (past->note) tm_html(page, "<p class=\"note\">%s</p>\n", past->note);
    figures(past, page);
    failures(past, page);
    if (past->damaged)
        tm_html(page, "<p class=\"fault\">%zu damaged lines of the journal were passed over.</p>\n",
                past->damaged);
    tm_buf_str(page, "</header>\n");
}
