// SPDX-License-Identifier: Apache-2.0
// Reading what a chain kept and removed.
#include "lua/report/documents.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/utf8.h"
#include "engine/type.h"
#include "stages/text/rules.h"

#define MOST_REASONS 64
#define EXAMPLE 420  // bytes of a text that are shown

typedef tm_status on_document(void *self, const tm_doc *doc, tm_error *err);

typedef struct reader {
    const tm_report *report;
    tm_documents *into;
    const tm_past_node *step;  // that removed what is read
    tm_quality_document measured;
    bool repetition;           // some reason needs it
} reader;

static void add_number(tm_numbers *list, double v)
{
    if (list->n == list->capacity) {
        size_t more = list->capacity ? 2 * list->capacity : 64;
        double *grown = tm_realloc(list->v, more * sizeof *grown);
        if (!grown) return;
        list->v = grown;
        list->capacity = more;
    }
    list->v[list->n++] = v;
}

static char *clipped(tm_view text, size_t most)
{
    size_t n = text.size;
    if (n > most) {
        n = most;
        while (n && ((unsigned char)text.data[n] & 0xc0) == 0x80) n--;
    }
    char *copy = tm_alloc(n + 1);
    if (!copy) return NULL;
    memcpy(copy, text.data ? text.data : "", n);
    for (size_t i = 0; i < n; i++)
        if (!copy[i]) copy[i] = ' ';
    copy[n] = 0;
    return copy;
}

static void show(tm_shown *s, const tm_doc *doc, const json_t *meta)
{
    const char *of = json_string_value(json_object_get(meta, "of"));
    const json_t *value = json_object_get(meta, "value");
    *s = (tm_shown){.source = clipped(doc->source, 300),
                    .text = clipped(doc->text, EXAMPLE),
                    .bytes = doc->text.size,
                    .of = of ? tm_strdup(of) : NULL,
                    .value = json_is_number(value) ? json_number_value(value) : NAN};
}

// ---- logs ----

static tm_status each_chunk(reader *r, tm_hash hash, on_document *on, tm_error *err)
{
    const tm_type *type = tm_type_find("documents");
    tm_blob blob = {0};
    tm_batch *batch = NULL;
    tm_status status = TM_OK;
    if (tm_store_get(r->report->store, hash, &blob, NULL) >= 0 &&
        tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, &batch, NULL) >= 0)
        for (size_t row = 0; row < tm_batch_rows(batch) && status >= 0; row++) {
            tm_doc doc = tm_docs_get(batch, row);
            status = on(r, &doc, err);
        }
    tm_batch_unref(batch);
    tm_blob_clear(&blob);
    return status;
}

// What is not there any more is not shown.
static tm_status each_document(reader *r, const tm_past_node *node, const char *port, on_document *on,
                               tm_error *err)
{
    const tm_past_port *p = tm_past_port_of(node, port);
    tm_artifact log = {0};
    tm_status status = TM_OK;
    if (!p || !p->there || tm_artifact_get(r->report->store, p->artifact, &log, NULL) < 0) return TM_OK;
    for (size_t i = 0; i < log.count && status >= 0 && strcmp(log.kind, "documents") == 0;
         i += r->into->every)
        if (log.entries[i].rows) status = each_chunk(r, log.entries[i].hash, on, err);
    tm_artifact_clear(&log);
    return status;
}

static size_t find_stride(const reader *r, const tm_past_node *const *steps, size_t n)
{
    int64_t bytes = 0, most = r->report->means.read_bytes > 0 ? r->report->means.read_bytes : 1;
    for (size_t i = 0; i < n; i++) {
        const tm_past_port *removed = tm_past_port_of(steps[i], "removed");
        if (removed && removed->there) bytes += removed->bytes;
    }
    const tm_past_port *kept = tm_past_port_of(steps[n - 1], "");
    if (kept && kept->there) bytes += kept->bytes;
    return (size_t)(bytes / most) + 1;
}

// ---- what was removed ----

// The bounds of a rule as the step had them: its own options over those of the table.
static void find_bounds(const tm_past_node *step, tm_reason *reason)
{
    const json_t *options = json_object_get(json_object_get(step->plan, "own"), "options");
    const json_t *bounds = json_object_get(options, "bounds");
    const char *items[64];
    tm_rules_options given = {.english = true};
    tm_rules *rules = tm_calloc(1, sizeof *rules);
    for (size_t i = 0; i < json_array_size(bounds) && i < 64; i++) {
        const char *text = json_string_value(json_array_get(bounds, i));
        if (text) items[given.bounds.n++] = text;
    }
    given.bounds.items = items;
    reason->min = reason->filter->min;
    reason->max = reason->filter->max;
    if (rules && tm_rules_make(rules, &given, reason->filter->kind, NULL, NULL) >= 0)
        for (size_t i = 0; i < rules->n; i++)
            if (rules->rules[i].filter == reason->filter) {
                reason->min = rules->rules[i].min;
                reason->max = rules->rules[i].max;
            }
    if (rules) tm_rules_clear(rules);
    tm_free(rules);
}

static tm_reason *reason_of(reader *r, const char *name)
{
    tm_documents *d = r->into;
    for (size_t i = 0; i < d->n_reasons; i++)
        if (strcmp(d->reasons[i].name, name) == 0) return &d->reasons[i];
    if (d->n_reasons == MOST_REASONS) return NULL;
    tm_reason *reason = &d->reasons[d->n_reasons++];
    const char *dot = strchr(name, '.');
    bool rules = strcmp(r->step->stage, "gopher") == 0 || strcmp(r->step->stage, "repetition") == 0;
    snprintf(reason->name, sizeof reason->name, "%s", name);
    reason->filter = rules && dot ? tm_quality_find(dot + 1) : NULL;
    if (reason->filter) find_bounds(r->step, reason);
    return reason;
}

static tm_status on_removed(void *self, const tm_doc *doc, tm_error *err)
{
    reader *r = self;
    json_t *meta = doc->meta.size ? json_loadb(doc->meta.data, doc->meta.size, 0, NULL) : NULL;
    const char *why = json_string_value(json_object_get(meta, "removed"));
    const json_t *value = json_object_get(meta, "value");
    tm_reason *reason = reason_of(r, why ? why : r->step->stage);
    add_number(&r->into->removed_bytes, (double)doc->text.size);
    if (reason) {
        reason->n++;
        if (json_is_number(value)) add_number(&reason->removed, json_number_value(value));
        if (reason->n_examples < 2) show(&reason->examples[reason->n_examples++], doc, meta);
    }
    json_decref(meta);
    return TM_OK;
}

// ---- what was kept ----

static tm_status on_kept(void *self, const tm_doc *doc, tm_error *err)
{
    reader *r = self;
    tm_documents *d = r->into;
    add_number(&d->kept_bytes, (double)doc->text.size);
    if (d->n_kept < 3 && d->kept_bytes.n % 7 == 1) show(&d->kept[d->n_kept++], doc, NULL);
    bool any = false;
    for (size_t i = 0; i < d->n_reasons; i++) any |= d->reasons[i].filter != NULL;
    if (!any || tm_utf8_valid(doc->text) != doc->text.size) return TM_OK;
    TM_TRY(tm_quality_measure(&r->measured, doc->text, r->repetition, err));
    for (size_t i = 0; i < d->n_reasons; i++)
        if (d->reasons[i].filter) add_number(&d->reasons[i].kept, d->reasons[i].filter->score(&r->measured));
    return TM_OK;
}

static int by_count(const void *a, const void *b)
{
    const tm_reason *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

tm_status tm_documents_read(const tm_report *report, const tm_past_node *const *steps, size_t n,
                            tm_documents *d, tm_error *err)
{
    reader r = {.report = report, .into = d};
    tm_status status = TM_OK;
    *d = (tm_documents){.reasons = tm_calloc(MOST_REASONS, sizeof *d->reasons)};
    if (!d->reasons) return tm_fail(err, TM_ENOMEM, "no memory to look at documents");
    d->every = find_stride(&r, steps, n);
    for (size_t i = 0; i < n && status >= 0; i++) {
        r.step = steps[i];
        status = each_document(&r, steps[i], "removed", on_removed, err);
    }
    for (size_t i = 0; i < d->n_reasons; i++)
        r.repetition |= d->reasons[i].filter && d->reasons[i].filter->kind == TM_QUALITY_REPETITION;
    if (status >= 0) status = each_document(&r, steps[n - 1], "", on_kept, err);
    tm_quality_document_clear(&r.measured);
    qsort(d->reasons, d->n_reasons, sizeof *d->reasons, by_count);
    return status;
}

static void clear_shown(tm_shown *s)
{
    tm_free(s->source);
    tm_free(s->text);
    tm_free(s->of);
}

void tm_documents_clear(tm_documents *d)
{
    for (size_t i = 0; i < d->n_reasons; i++) {
        for (int k = 0; k < d->reasons[i].n_examples; k++) clear_shown(&d->reasons[i].examples[k]);
        tm_free(d->reasons[i].removed.v);
        tm_free(d->reasons[i].kept.v);
    }
    for (int k = 0; k < d->n_kept; k++) clear_shown(&d->kept[k]);
    tm_free(d->reasons);
    tm_free(d->kept_bytes.v);
    tm_free(d->removed_bytes.v);
    *d = (tm_documents){0};
}
