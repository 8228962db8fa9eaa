// SPDX-License-Identifier: Apache-2.0
// The top of a report: which run, how it ended, its figures, and why it failed if it did.
#include <stdio.h>
#include <unistd.h>

#include "lua/cli/counts.h"
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

static void failures(const tm_past *past, tm_buf *page)
{
    for (size_t i = 0; i < past->n_nodes; i++) {
        const json_t *failure = past->nodes[i].failure;
        if (!failure) continue;
        const char *hint = json_string_value(json_object_get(failure, "hint"));
        const char *why = json_string_value(json_object_get(failure, "why"));
        tm_html(page, "<div class=\"fault\" role=\"note\"><p><strong>✗ %s failed</strong></p><p>%s</p>",
                past->nodes[i].name, json_string_value(json_object_get(failure, "text")));
        if (why && *why) tm_html(page, "<p>%s</p>", why);
        if (hint && *hint) tm_html(page, "<p>%s</p>", hint);
        tm_html(page, "<p><code>tidemill logs %s:%s</code></p></div>\n", past->run, past->nodes[i].name);
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
