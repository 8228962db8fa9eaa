// SPDX-License-Identifier: Apache-2.0
// Two results side by side.
#include "lua/past/diff_results.h"

#include <stdlib.h>

#include "engine/base/json.h"
#include "engine/store_tree.h"
#include "lua/cli/pick.h"
#include "lua/past/before.h"

// ---- records ----

typedef struct known {
    tm_hash id;
    uint64_t content; // of the other columns
    int64_t i;        // place in the log
} known;

typedef struct records {
    const tm_type *type;
    tm_artifact log;
    known *known; // by id, then by place
    size_t n, capacity;
} records;

static uint64_t content_of(const tm_type *type, const tm_batch *batch, size_t row)
{
    uint64_t hash = 0;
    for (size_t col = 1; col < type->n_cols; col++) {
        tm_view v = {0};
        size_t n;
        int64_t i;
        double d;
        switch (type->cols[col].kind) {
        case TM_COL_BYTES: v = tm_batch_get_bytes(batch, col, row); break;
        case TM_COL_U32S:
            v.data = (const char *)tm_batch_get_u32s(batch, col, row, &n);
            v.size = n * sizeof(uint32_t);
            break;
        case TM_COL_I64:
            i = tm_batch_get_i64(batch, col, row);
            v = tm_view_of(&i, sizeof i);
            break;
        case TM_COL_F64:
            d = tm_batch_get_f64(batch, col, row);
            v = tm_view_of(&d, sizeof d);
            break;
        }
        hash = tm_hash64(v.data ? v.data : "", v.size, hash + v.size);
    }
    return hash;
}

static tm_status take(void *arg, const tm_batch *batch, size_t row, tm_error *err)
{
    records *r = arg;
    if (r->n == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 4096;
        known *grown = tm_realloc(r->known, capacity * sizeof *grown);
        if (!grown) return tm_fail(err, TM_ENOMEM, "no memory for %zu records", capacity);
        r->known = grown;
        r->capacity = capacity;
    }
    tm_view id = tm_batch_get_bytes(batch, 0, row);
    r->known[r->n] = (known){
        .id = tm_hash_of(id.data, id.size), .content = content_of(r->type, batch, row), .i = (int64_t)r->n};
    r->n++;
    return TM_OK;
}

static int by_id(const void *a, const void *b)
{
    const known *x = a, *y = b;
    int order = memcmp(&x->id, &y->id, sizeof x->id);
    return order ? order : (x->i > y->i) - (x->i < y->i);
}

static tm_status read_records(tm_store *store, const tm_address *a, records *r, tm_error *err)
{
    *r = (records){.type = a->type};
    if (strcmp(a->type->cols[0].name, "id") != 0)
        return tm_fail(err, TM_EINVAL, "%s have no ids to compare by", a->type->name);
    TM_TRY(tm_artifact_get(store, a->artifact, &r->log, err));
    tm_pick all = {.left = INT64_MAX};
    TM_TRY(tm_pick_rows(store, r->type, &r->log, &all, take, r, err));
    if (r->n) qsort(r->known, r->n, sizeof *r->known, by_id);
    return TM_OK;
}

static void clear_records(records *r)
{
    tm_artifact_clear(&r->log);
    tm_free(r->known);
}

// ---- examples ----

static tm_status show(void *arg, const tm_batch *batch, size_t row, tm_error *err)
{
    json_t *record = arg;
    (void)err;
    json_object_set_new(record, "id", tm_json_from_text(tm_batch_get_bytes(batch, 0, row)));
    return TM_OK;
}

static tm_status show_document(void *arg, const tm_batch *batch, size_t row, tm_error *err)
{
    json_t *record = arg;
    tm_doc doc = tm_docs_get(batch, row);
    json_object_set_new(record, "source", tm_json_from_text(doc.source));
    json_object_set_new(record, "text", tm_json_from_text(doc.text));
    return show(arg, batch, row, err);
}

static tm_status example(tm_store *store, const records *r, int64_t i, json_t **record, tm_error *err)
{
    bool documents = strcmp(r->type->name, "documents") == 0;
    tm_pick one = {.skip = i, .left = 1};
    *record = json_object();
    return tm_pick_rows(store, r->type, &r->log, &one, documents ? show_document : show, *record, err);
}

typedef struct comparison {
    tm_store *store;
    const records *a, *b;
    size_t examples;
    int64_t same, added, removed, changed;
    json_t *diff, *lists;
} comparison;

static tm_status add_example(comparison *c, const char *kind, const records *of, int64_t i, tm_error *err)
{
    json_t *list = json_object_get(c->lists, kind), *record = NULL;
    if (json_array_size(list) >= c->examples) return TM_OK;
    tm_status status = example(c->store, of, i, &record, err);
    json_array_append_new(list, record);
    return status;
}

static tm_status add_change(comparison *c, int64_t before, int64_t after, tm_error *err)
{
    json_t *list = json_object_get(c->lists, "changed"), *old = NULL;
    size_t n = json_array_size(list);
    TM_TRY(add_example(c, "changed", c->b, after, err));
    if (json_array_size(list) == n) return TM_OK;
    json_t *record = json_array_get(list, n);
    tm_status status = example(c->store, c->a, before, &old, err);
    const char *x = json_string_value(json_object_get(old, "text"));
    const char *y = json_string_value(json_object_get(record, "text"));
    if (x && y) {
        json_object_set_new(record, "before", json_string(x));
        json_object_set_new(record, "edits", tm_before_edits(x, y));
    }
    json_decref(old);
    return status;
}

static tm_status merge(comparison *c, tm_error *err)
{
    size_t i = 0, k = 0;
    while (i < c->a->n || k < c->b->n) {
        const known *x = i < c->a->n ? &c->a->known[i] : NULL, *y = k < c->b->n ? &c->b->known[k] : NULL;
        int order = !x ? 1 : !y ? -1 : memcmp(&x->id, &y->id, sizeof x->id);
        i += order <= 0;
        k += order >= 0;
        if (order < 0) {
            c->removed++;
            TM_TRY(add_example(c, "removed", c->a, x->i, err));
        } else if (order > 0) {
            c->added++;
            TM_TRY(add_example(c, "added", c->b, y->i, err));
        } else if (x->content == y->content) {
            c->same++;
        } else {
            c->changed++;
            TM_TRY(add_change(c, x->i, y->i, err));
        }
    }
    return TM_OK;
}

static tm_status diff_records(tm_store *store, const tm_address *a, const tm_address *b, size_t examples,
                              json_t *diff, tm_error *err)
{
    records x, y = {0};
    comparison c = {.store = store, .a = &x, .b = &y, .examples = examples, .diff = diff};
    tm_status status = read_records(store, a, &x, err);
    if (status >= 0) status = read_records(store, b, &y, err);
    c.lists = json_pack("{s:[], s:[], s:[]}", "added", "removed", "changed");
    if (status >= 0) status = merge(&c, err);
    json_object_update_new(diff, json_pack("{s:[I, I], s:I, s:I, s:I, s:I, s:o}", "rows", (json_int_t)x.n,
                                           (json_int_t)y.n, "same", (json_int_t)c.same, "added",
                                           (json_int_t)c.added, "removed", (json_int_t)c.removed, "changed",
                                           (json_int_t)c.changed, "examples", c.lists));
    clear_records(&x);
    clear_records(&y);
    return status;
}

// ---- snapshots ----

static const tm_tree_file *file_named(const tm_tree *tree, const char *name)
{
    for (size_t i = 0; i < tree->count; i++)
        if (strcmp(tree->files[i].name, name) == 0) return &tree->files[i];
    return NULL;
}

static json_t *bytes_of(const tm_tree_file *file)
{
    return file ? json_integer((json_int_t)file->bytes) : json_null();
}

static tm_status read_tree(tm_store *store, const tm_address *a, tm_tree *tree, tm_error *err)
{
    tm_entry entry;
    TM_TRY(tm_address_entry(store, a, &entry, err));
    return tm_tree_get(store, entry.hash, tree, err);
}

static tm_status diff_trees(tm_store *store, const tm_address *a, const tm_address *b, json_t *diff,
                            tm_error *err)
{
    tm_tree x = {0}, y = {0};
    json_int_t same = 0;
    json_t *files = json_object();
    tm_status status = read_tree(store, a, &x, err);
    if (status >= 0) status = read_tree(store, b, &y, err);
    for (size_t i = 0; status >= 0 && i < y.count; i++) {
        const tm_tree_file *old = file_named(&x, y.files[i].name);
        bool equal = old && tm_hash_eq(old->hash, y.files[i].hash);
        same += equal;
        if (!equal)
            json_object_set_new(files, y.files[i].name,
                                json_pack("[o, o]", bytes_of(old), bytes_of(&y.files[i])));
    }
    for (size_t i = 0; status >= 0 && i < x.count; i++)
        if (!file_named(&y, x.files[i].name))
            json_object_set_new(files, x.files[i].name, json_pack("[o, n]", bytes_of(&x.files[i])));
    json_object_set_new(diff, "files", files);
    json_object_set_new(diff, "same", json_integer(same));
    tm_tree_clear(&x);
    tm_tree_clear(&y);
    return status;
}

// ---- either ----

static json_t *address_text(const tm_address *a)
{
    return json_sprintf("%s:%s%s%s%s%s", a->run, a->node, a->port[0] ? "." : "", a->port, a->at[0] ? "@" : "",
                        a->at);
}

static tm_status diff_both(tm_store *store, const tm_address *a, const tm_address *b, size_t examples,
                           json_t *diff, tm_error *err)
{
    if (a->type != b->type)
        return tm_fail(err, TM_EINVAL, "%s gives %s and %s gives %s", a->node, a->type->name, b->node,
                       b->type->name);
    json_object_update_new(diff, json_pack("{s:[o, o], s:s}", "addresses", address_text(a), address_text(b),
                                           "type", a->type->name));
    return a->type->tree ? diff_trees(store, a, b, diff, err)
                         : diff_records(store, a, b, examples, diff, err);
}

tm_status tm_diff_results(tm_store *store, const char *a, const char *b, size_t examples, json_t **diff,
                          tm_error *err)
{
    tm_address x = {0}, y = {0};
    *diff = json_object();
    tm_status status = tm_address_resolve(store, a, &x, err);
    if (status >= 0) status = tm_address_resolve(store, b, &y, err);
    if (status >= 0) status = diff_both(store, &x, &y, examples, *diff, err);
    tm_address_clear(&x);
    tm_address_clear(&y);
    if (status >= 0) return status;
    json_decref(*diff);
    *diff = NULL;
    return status;
}
