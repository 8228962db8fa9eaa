// SPDX-License-Identifier: Apache-2.0
// The page of one run: its sections in order, and their contents.
#include <stdio.h>
#include <stdlib.h>

#include "lua/report/parts.h"

const tm_report_means tm_report_quick = {
    .sample_seconds = 0.25, .model_bytes = 32000000, .read_bytes = 4000000};
const tm_report_means tm_report_patient = {
    .sample_seconds = 20, .model_bytes = 2000000000, .read_bytes = 64000000};

static const struct {
    const char *id, *name;
    tm_report_section *write;
} sections[] = {
    {"evaluation", "Evaluation", tm_report_measures}, {"samples", "Samples", tm_report_samples},
    {"curves", "Curves", tm_report_curves},           {"graph", "Graph", tm_report_picture},
    {"timeline", "Timeline", tm_report_timeline},     {"curation", "Curation", tm_report_curation},
    {"nodes", "Nodes", tm_report_nodes},              {"lineage", "Lineage", tm_report_lineage},
    {"facts", "Parameters and code", tm_report_facts},
};

#define N_SECTIONS (sizeof sections / sizeof *sections)

// Runs of the same graph file before this one.
static void read_earlier(tm_report *r)
{
    uint64_t *numbers = NULL, own = strtoull(r->past.run + 1, NULL, 10);
    size_t n = 0;
    const char *graph = json_string_value(json_object_get(r->past.record, "path"));
    if (!graph || tm_run_list(r->store, &numbers, &n, NULL) < 0) return;
    while (n-- > 0 && r->n_earlier < TM_REPORT_EARLIER) {
        char run[32];
        tm_past *past = &r->earlier[r->n_earlier];
        if (numbers[n] >= own) continue;
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        if (tm_past_read(r->store, run, past, NULL) < 0) continue;
        const char *path = json_string_value(json_object_get(past->record, "path"));
        if (path && strcmp(path, graph) == 0 && tm_past_results(past, r->store, NULL) >= 0) r->n_earlier++;
        else tm_past_clear(past);
    }
    tm_free(numbers);
}

static void write_page(const tm_report *r, tm_buf *page)
{
    char title[160];
    tm_buf parts[N_SECTIONS] = {0};
    const char *graph = json_string_value(json_object_get(r->past.record, "graph"));
    snprintf(title, sizeof title, "%s of %.120s: %s", r->past.run, graph ? graph : "a graph",
             tm_past_status(&r->past));
    tm_report_frame(page, title);
    tm_report_head(r, page);
    tm_buf_str(page, "<nav aria-label=\"Contents\"><ul>");
    for (size_t i = 0; i < N_SECTIONS; i++) {
        sections[i].write(r, &parts[i]);
        if (parts[i].size) tm_html(page, "<li><a href=\"#%s\">%s</a></li>", sections[i].id, sections[i].name);
    }
    tm_buf_str(page, "</ul></nav>\n<main id=\"main\">\n");
    for (size_t i = 0; i < N_SECTIONS; i++) {
        page->failed |= parts[i].failed;
        tm_buf_add(page, parts[i].data, parts[i].size);
        tm_buf_clear(&parts[i]);
    }
    tm_html(
        page,
        "</main>\n<footer><p>Made by Tidemill from the journal of %s and what its store has.</p></footer>\n",
        r->past.run);
    tm_report_frame_end(page);
}

tm_status tm_report_page(tm_store *store, const char *run, const tm_report_means *means, tm_buf *page,
                         tm_error *err)
{
    tm_report *r = tm_calloc(1, sizeof *r);
    if (!r) return tm_fail(err, TM_ENOMEM, "no memory for a report");
    r->store = store;
    r->means = *means;
    tm_status status = tm_past_read(store, run, &r->past, err);
    if (status >= 0) {
        status = tm_past_results(&r->past, store, err);
        if (status >= 0) read_earlier(r);
        if (status >= 0) write_page(r, page);
        for (size_t i = 0; i < r->n_earlier; i++) tm_past_clear(&r->earlier[i]);
        tm_past_clear(&r->past);
        if (status >= 0) status = tm_buf_status(page, err);
    }
    tm_free(r);
    return status;
}

tm_status tm_report_leave(tm_store *store, const char *run, char path[TM_PATH_MAX], tm_error *err)
{
    char folder[TM_PATH_MAX];
    tm_buf page = {0};
    TM_TRY(tm_run_folder(store, run, folder, err));
    TM_TRY(tm_path(path, err, "%s/report.html", folder));
    tm_status status = tm_report_page(store, run, &tm_report_quick, &page, err);
    if (status >= 0) status = tm_file_write(path, page.data, page.size, false, err);
    tm_buf_clear(&page);
    return status;
}
