// SPDX-License-Identifier: Apache-2.0
// Parameters, code, environment, and the command that does it again.
#include <stdio.h>

#include "lua/cli/counts.h"
#include "lua/lock/git.h"
#include "lua/report/parts.h"

static void parameters(const tm_past *past, tm_buf *page)
{
    size_t i;
    json_t *one, *all = json_object_get(past->record, "params");
    if (!json_array_size(all)) return;
    tm_buf_str(page, "<h3>Parameters</h3>\n");
    tm_report_wide(page, "Parameters");
    tm_buf_str(page,
               "<table><caption>Parameters of the graph; ● marks those that were set</caption><thead><tr>"
               "<th scope=\"col\">name</th><th scope=\"col\">value</th>"
               "<th scope=\"col\">default</th><th scope=\"col\">what it is</th></tr></thead><tbody>\n");
    json_array_foreach(all, i, one)
    {
        bool set = !json_equal(json_object_get(one, "value"), json_object_get(one, "default"));
        tm_html(page, "<tr><th scope=\"row\">%s</th><td%s>", json_string_value(json_object_get(one, "name")),
                set ? " class=\"best\"" : "");
        tm_report_value(page, json_object_get(one, "value"));
        tm_buf_str(page, set ? " <span role=\"img\" aria-label=\"set\">●</span></td><td>" : "</td><td>");
        tm_report_value(page, json_object_get(one, "default"));
        tm_html(page, "</td><td>%s</td></tr>\n", json_string_value(json_object_get(one, "doc")));
    }
    tm_buf_str(page, "</tbody></table></div>\n");
}

// As a shell takes it.
static void word(tm_buf *page, const char *text)
{
    bool plain =
        *text &&
        !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%")];
    if (plain) {
        tm_html(page, " %s", text);
        return;
    }
    tm_buf_str(page, " &#39;");
    for (; *text; text++)
        if (*text == '\'') tm_html(page, "%s", "'\\''");
        else {
            size_t n = strcspn(text, "'");
            tm_html_text(page, tm_view_of(text, n));
            text += n - 1;
        }
    tm_buf_str(page, "&#39;");
}

static void again(const tm_past *past, tm_buf *page)
{
    size_t i;
    json_t *arg;
    const json_t *git = json_object_get(past->record, "git");
    const char *commit = json_string_value(json_object_get(git, "commit"));
    tm_buf_str(page, "<h3>Do it again</h3>\n<pre tabindex=\"0\"><code>");
    if (commit) tm_html(page, "git checkout %s\n", commit);
    tm_buf_str(page, "tidemill run");
    json_array_foreach(json_object_get(past->record, "args"), i, arg) word(page, json_string_value(arg));
    tm_buf_str(page, "</code></pre>\n");
    if (tm_git_dirty(git))
        tm_buf_str(
            page,
            "<p>The work tree was not as it was committed: the commit alone does not give this run.</p>\n");
}

static void row(tm_buf *page, const char *name, const char *text)
{
    if (text && *text) tm_html(page, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n", name, text);
}

static void code(const tm_past *past, tm_buf *page)
{
    const json_t *git = json_object_get(past->record, "git");
    const char *hex;
    char text[160];
    size_t i;
    json_t *file;
    row(page, "graph file", json_string_value(json_object_get(past->record, "path")));
    row(page, "commit", json_string_value(json_object_get(git, "commit")));
    row(page, "branch", json_string_value(json_object_get(git, "branch")));
    if (git) row(page, "work tree", tm_git_dirty(git) ? tm_git_text(git, text, sizeof text) : "as committed");
    else row(page, "work tree", "not under git, or not recorded");
    json_array_foreach(json_object_get(past->record, "files"), i, file)
    {
        hex = json_string_value(json_object_get(file, "hash"));
        tm_html(page, "<tr><th scope=\"row\">%s</th><td><code>%s</code></td></tr>\n",
                json_string_value(json_object_get(file, "path")), hex);
    }
    json_array_foreach(json_object_get(git, "files"), i, file) row(page, "changed", json_string_value(file));
}

static void environment(const tm_past *past, tm_buf *page)
{
    const json_t *all = json_object_get(past->record, "environment");
    const json_t *program = json_object_get(all, "program"), *cpu = json_object_get(all, "cpu");
    char text[TM_COUNT_TEXT];
    const char *name;
    json_t *one;
    row(page, "tidemill", json_string_value(json_object_get(past->record, "version")));
    row(page, "compiler", json_string_value(json_object_get(program, "compiler")));
    row(page, "processor", json_string_value(json_object_get(cpu, "model")));
    row(page, "instructions", json_string_value(json_object_get(cpu, "kind")));
    tm_html(page, "<tr><th scope=\"row\">cores lent</th><td>%lld</td></tr>\n",
            (long long)json_integer_value(json_object_get(past->record, "cores")));
    if (json_is_integer(json_object_get(all, "memory")))
        row(page, "memory", tm_size_text((uint64_t)json_integer_value(json_object_get(all, "memory")), text));
    row(page, "system", json_string_value(json_object_get(all, "system")));
    row(page, "kernel", json_string_value(json_object_get(all, "kernel")));
    json_object_foreach(json_object_get(all, "libraries"), name, one) row(page, name, json_string_value(one));
    json_object_foreach(json_object_get(all, "switches"), name, one) row(page, name, json_string_value(one));
}

static void begin_table(tm_buf *page, const char *title, const char *caption)
{
    tm_html(page, "<div><h3>%s</h3>\n", title);
    tm_report_wide(page, title);
    tm_html(
        page,
        "<table><caption>%s</caption><thead><tr><th scope=\"col\">what</th><th scope=\"col\">value</th></tr>"
        "</thead><tbody>\n",
        caption);
}

void tm_report_facts(const tm_report *report, tm_buf *page)
{
    const tm_past *past = &report->past;
    tm_report_open(page, "facts", "Parameters, code and environment");
    again(past, page);
    parameters(past, page);
    tm_buf_str(page, "<div class=\"pair\">\n");
    begin_table(page, "Code", "What the run was given, by content");
    code(past, page);
    tm_buf_str(page, "</tbody></table></div></div>\n");
    begin_table(page, "Environment", "Where it ran");
    environment(past, page);
    tm_buf_str(page, "</tbody></table></div></div>\n</div>\n");
    tm_report_close(page);
}
