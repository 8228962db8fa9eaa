// SPDX-License-Identifier: Apache-2.0
// Going through the records of a log.
#include "lua/cli/pick.h"

#include <stdlib.h>

#include "engine/base/random.h"

// ---- chunks ----

static tm_status read_chunk(tm_store *store, const tm_type *type, tm_hash hash, tm_batch **batch,
                            tm_error *err)
{
    tm_blob blob = {0};
    tm_status status = tm_store_get(store, hash, &blob, err);
    if (status == TM_ENOENT)
        tm_hint(err, "it was made inside a group and only its hash is kept; `store = true` on the node keeps "
                     "its bytes");
    if (status >= 0)
        status = tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, batch, err);
    tm_blob_clear(&blob);
    return status;
}

static bool has_ids(const tm_type *type)
{
    return !type->tree && type->n_cols && strcmp(type->cols[0].name, "id") == 0;
}

// ---- ids ----

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(tm_hash));
}

static tm_hash hash_of(tm_view id)
{
    return tm_hash_of(id.data, id.size);
}

static tm_status add_ids(const tm_batch *batch, tm_ids *ids, tm_error *err)
{
    size_t rows = tm_batch_rows(batch);
    if (ids->n + rows > ids->capacity) {
        size_t capacity = 2 * (ids->n + rows);
        tm_hash *grown = tm_realloc(ids->sorted, capacity * sizeof *grown);
        if (!grown) return tm_fail(err, TM_ENOMEM, "no memory for %zu ids", capacity);
        ids->sorted = grown;
        ids->capacity = capacity;
    }
    for (size_t row = 0; row < rows; row++)
        ids->sorted[ids->n++] = hash_of(tm_batch_get_bytes(batch, 0, row));
    return TM_OK;
}

tm_status tm_ids_read(tm_store *store, const tm_type *type, const tm_artifact *log, tm_ids *ids,
                      tm_error *err)
{
    if (!has_ids(type)) return tm_fail(err, TM_EINVAL, "%s have no ids to compare by", type->name);
    for (size_t i = 0; i < log->count; i++) {
        tm_batch *batch = NULL;
        tm_status status = read_chunk(store, type, log->entries[i].hash, &batch, err);
        if (status >= 0) status = add_ids(batch, ids, err);
        tm_batch_unref(batch);
        TM_TRY(status);
    }
    if (ids->n) qsort(ids->sorted, ids->n, sizeof *ids->sorted, by_bytes);
    return TM_OK;
}

void tm_ids_clear(tm_ids *ids)
{
    tm_free(ids->sorted);
    *ids = (tm_ids){0};
}

static bool ids_have(const tm_ids *ids, tm_view id)
{
    tm_hash hash = hash_of(id);
    return ids->n && bsearch(&hash, ids->sorted, ids->n, sizeof hash, by_bytes);
}

// ---- what fits ----

static bool has_text(const tm_type *type, const tm_batch *batch, size_t row, const char *text)
{
    for (size_t col = 0; col < type->n_cols; col++) {
        if (type->cols[col].kind != TM_COL_BYTES) continue;
        tm_view v = tm_batch_get_bytes(batch, col, row);
        if (v.size && memmem(v.data, v.size, text, strlen(text))) return true;
    }
    return false;
}

static bool fits(const tm_pick *pick, const tm_type *type, const tm_batch *batch, size_t row)
{
    if (pick->id || pick->without) {
        tm_view id = tm_batch_get_bytes(batch, 0, row);
        size_t n = pick->id ? strlen(pick->id) : 0;
        if (n && (id.size < n || memcmp(id.data, pick->id, n) != 0)) return false;
        if (pick->without && ids_have(pick->without, id)) return false;
    }
    if (pick->step && tm_batch_get_i64(batch, TM_MET_STEP, row) != *pick->step) return false;
    return !pick->text || has_text(type, batch, row, pick->text);
}

static bool filters(const tm_pick *pick)
{
    return pick->text || pick->id || pick->without || pick->step;
}

// ---- a walk over all that fits ----

typedef struct walk {
    tm_store *store;
    const tm_type *type;
    const tm_artifact *log;
    const tm_pick *pick;
    // Whether somebody wants one of the next n that fit; only asked where nothing is filtered.
    bool (*wants)(void *arg, int64_t first, int64_t n);
    tm_status (*take)(void *arg, const tm_batch *batch, size_t row, int64_t i, tm_error *err); // TM_DONE ends
    void *arg;
} walk;

static tm_status walk_chunk(const walk *w, size_t entry, int64_t *i, tm_error *err)
{
    tm_batch *batch = NULL;
    tm_status status = read_chunk(w->store, w->type, w->log->entries[entry].hash, &batch, err);
    for (size_t row = 0; status == TM_OK && row < tm_batch_rows(batch); row++)
        if (fits(w->pick, w->type, batch, row)) status = w->take(w->arg, batch, row, (*i)++, err);
    tm_batch_unref(batch);
    return status;
}

static tm_status walk_log(const walk *w, tm_error *err)
{
    int64_t i = 0;
    for (size_t entry = 0; entry < w->log->count; entry++) {
        int64_t rows = (int64_t)w->log->entries[entry].rows;
        if (!filters(w->pick) && !w->wants(w->arg, i, rows)) {
            i += rows;
            continue;
        }
        tm_status status = walk_chunk(w, entry, &i, err);
        if (status != TM_OK) return status == TM_DONE ? TM_OK : status;
    }
    return TM_OK;
}

// ---- a window ----

typedef struct window {
    tm_pick *pick;
    tm_pick_row *each;
    void *arg;
    int64_t first;
} window;

static bool window_wants(void *arg, int64_t first, int64_t n)
{
    const window *w = arg;
    return w->pick->left > 0 && first + n > w->first;
}

static tm_status window_take(void *arg, const tm_batch *batch, size_t row, int64_t i, tm_error *err)
{
    window *w = arg;
    if (i < w->first) return TM_OK;
    if (w->pick->left <= 0) return TM_DONE;
    w->pick->left--;
    return w->each(w->arg, batch, row, err);
}

// ---- by chance: the `left` whose keys are least ----

typedef struct drawn {
    uint64_t key;
    int64_t i;
} drawn;

typedef struct sample {
    tm_pick *pick;
    tm_pick_row *each;
    void *arg;
    drawn *drawn; // while drawing by key, then by place
    size_t n, most, next;
} sample;

static void draw(sample *s, int64_t i)
{
    uint64_t key = tm_random_u64(s->pick->seed, 0, (uint64_t)i);
    size_t at = s->n;
    if (!s->most || (at == s->most && s->drawn[at - 1].key <= key)) return;
    if (at == s->most)
        at--;
    else
        s->n++;
    for (; at > 0 && s->drawn[at - 1].key > key; at--) s->drawn[at] = s->drawn[at - 1];
    s->drawn[at] = (drawn){key, i};
}

static bool all_wanted(void *arg, int64_t first, int64_t n)
{
    (void)arg, (void)first, (void)n;
    return true;
}

static tm_status draw_take(void *arg, const tm_batch *batch, size_t row, int64_t i, tm_error *err)
{
    (void)batch, (void)row, (void)err;
    draw(arg, i);
    return TM_OK;
}

static bool sample_wants(void *arg, int64_t first, int64_t n)
{
    const sample *s = arg;
    return s->next < s->n && s->drawn[s->next].i < first + n;
}

static tm_status sample_take(void *arg, const tm_batch *batch, size_t row, int64_t i, tm_error *err)
{
    sample *s = arg;
    if (s->next == s->n) return TM_DONE;
    if (s->drawn[s->next].i != i) return TM_OK;
    s->next++;
    return s->each(s->arg, batch, row, err);
}

static int by_place(const void *a, const void *b)
{
    const drawn *x = a, *y = b;
    return (x->i > y->i) - (x->i < y->i);
}

static tm_status take_sample(walk *w, tm_pick *pick, tm_pick_row *each, void *arg, tm_error *err)
{
    int64_t most = pick->left < (int64_t)w->log->rows ? pick->left : (int64_t)w->log->rows;
    sample s = {.pick = pick, .each = each, .arg = arg, .most = (size_t)(most > 0 ? most : 0)};
    s.drawn = tm_calloc(s.most + 1, sizeof *s.drawn);
    if (!s.drawn) return tm_fail(err, TM_ENOMEM, "no memory for a sample of %zu", s.most);
    w->arg = &s;
    w->wants = all_wanted;
    w->take = draw_take;
    tm_status status = TM_OK;
    if (filters(pick))
        status = walk_log(w, err);
    else
        for (int64_t i = 0; i < (int64_t)w->log->rows; i++) draw(&s, i);
    qsort(s.drawn, s.n, sizeof *s.drawn, by_place);
    w->wants = sample_wants;
    w->take = sample_take;
    if (status >= 0) status = walk_log(w, err);
    tm_free(s.drawn);
    return status;
}

tm_status tm_pick_rows(tm_store *store, const tm_type *type, const tm_artifact *log, tm_pick *pick,
                       tm_pick_row *each, void *arg, tm_error *err)
{
    window own = {.pick = pick, .each = each, .arg = arg, .first = pick->skip};
    walk w = {.store = store,
              .type = type,
              .log = log,
              .pick = pick,
              .arg = &own,
              .wants = window_wants,
              .take = window_take};
    if ((pick->id || pick->without) && !has_ids(type))
        return tm_fail(err, TM_EINVAL, "%s have no ids", type->name);
    return pick->sample ? take_sample(&w, pick, each, arg, err) : walk_log(&w, err);
}
