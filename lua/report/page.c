// SPDX-License-Identifier: Apache-2.0
// The page of one run: its sections in order, and their contents.
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/session.h"
#include "lua/report/parts.h"

const tm_report_means tm_report_quick = {
    .sample_seconds = 0.25, .model_bytes = 32000000, .read_bytes = 4000000};
const tm_report_means tm_report_patient = {
    .sample_seconds = 10, .model_bytes = 2000000000, .read_bytes = 64000000};

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

#define MOST_LOOKED 40  // runs, for earlier ones of the same graph
#define N_SECTIONS (sizeof sections / sizeof *sections)

// Whether a run is one of that graph file; then it is read.
static bool read_if_of(tm_store *store, const char *run, const char *graph, tm_past *past)
{
    json_t *record = tm_run_record(store, run);
    const char *path = json_string_value(json_object_get(record, "path"));
    bool same = path && strcmp(path, graph) == 0;
    json_decref(record);
    if (!same || tm_past_read(store, run, past, NULL) < 0) return false;
    if (tm_past_results(past, store, NULL) >= 0) return true;
    tm_past_clear(past);
    return false;
}

// Runs of the same graph file before this one.
static void read_earlier(tm_report *r)
{
    uint64_t *numbers = NULL, own = strtoull(r->past.run + 1, NULL, 10);
    size_t n = 0, looked = 0;
    const char *graph = json_string_value(json_object_get(r->past.record, "path"));
    if (!graph || tm_run_list(r->store, &numbers, &n, NULL) < 0) return;
    while (n-- > 0 && r->n_earlier < TM_REPORT_EARLIER && looked < MOST_LOOKED) {
        char run[32];
        if (numbers[n] >= own) continue;
        looked++;
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        r->n_earlier += read_if_of(r->store, run, graph, &r->earlier[r->n_earlier]);
    }
    tm_free(numbers);
}

// Of nodes that are the same work, the first.
static json_t *index_makers(const tm_past *past)
{
    json_t *makers = json_object();
    for (size_t i = 0; i < past->n_nodes; i++) {
        const char *recipe = json_string_value(json_object_get(past->nodes[i].plan, "recipe"));
        if (recipe && !json_object_get(makers, recipe))
            json_object_set_new(makers, recipe, json_integer((json_int_t)i));
    }
    return makers;
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
        tm_report_share(&r->past);
        r->makers = index_makers(&r->past);
        if (status >= 0) write_page(r, page);
        for (size_t i = 0; i < r->n_earlier; i++) tm_past_clear(&r->earlier[i]);
        tm_past_clear(&r->past);
        json_decref(r->makers);
        if (status >= 0) status = tm_buf_status(page, err);
    }
    tm_free(r);
    return status;
}
