// SPDX-License-Identifier: Apache-2.0
// Values of templates: memory, building, comparing.
#include "stages/text/template_value.h"

#define BLOCK (64 << 10)

typedef struct tm_tblock {
    struct tm_tblock *next;
    size_t used, size;
    max_align_t data[];
} tm_tblock;

void *tm_tarena_get(tm_tarena *arena, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    tm_tblock *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        arena->full |= arena->limit && arena->total + room > arena->limit;
        if (arena->full) return NULL;
        block = tm_alloc(sizeof *block + room);
        if (!block) return NULL;
        *block = (tm_tblock){.next = arena->blocks, .size = room};
        arena->blocks = block;
        arena->total += room;
    }
    void *memory = (char *)block->data + block->used;
    block->used += size;
    return memory;
}

void tm_tarena_clear(tm_tarena *arena)
{
    while (arena->blocks) {
        tm_tblock *next = arena->blocks->next;
        tm_free(arena->blocks);
        arena->blocks = next;
    }
    arena->total = 0;
}

// ---- building ----

tm_status tm_tv_no_room(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "the template needs too much memory");
}

tm_status tm_tv_list(tm_tarena *arena, tm_tkind kind, size_t n, tm_tval *list, tm_error *err)
{
    tm_tlist *l =
        n < SIZE_MAX / sizeof(tm_tval) / 2 ? tm_tarena_get(arena, sizeof *l + n * sizeof *l->items) : NULL;
    if (!l) return tm_tv_no_room(err);
    *l = (tm_tlist){.n = n, .items = (tm_tval *)(l + 1)};
    *list = (tm_tval){.kind = kind, .list = l};
    return TM_OK;
}

tm_status tm_tv_dict(tm_tarena *arena, tm_tkind kind, tm_tval *dict, tm_error *err)
{
    tm_tdict *d = tm_tarena_get(arena, sizeof *d);
    if (!d) return tm_tv_no_room(err);
    *d = (tm_tdict){0};
    *dict = (tm_tval){.kind = kind, .dict = d};
    return TM_OK;
}

size_t tm_tv_weight(const tm_tval *v)
{
    if (v->kind == TM_TV_STRING) return v->text.size + 4;
    if (tm_tv_sequence(v)) return v->list->weight;
    return v->kind == TM_TV_DICT ? v->dict->weight : 8;
}

static void weigh(const tm_tval *v, size_t *weight, unsigned *depth)
{
    unsigned deep = tm_tv_sequence(v) ? v->list->depth : v->kind == TM_TV_DICT ? v->dict->depth : 0;
    *weight += tm_tv_weight(v);
    if (deep + 1 > *depth) *depth = deep + 1;
}

tm_status tm_tv_seal(tm_tval *v, tm_error *err)
{
    size_t weight = 8;
    unsigned depth = 1;
    bool list = tm_tv_sequence(v);
    for (size_t i = 0; i < (list ? v->list->n : v->dict->n) && weight < TM_TV_WEIGHT; i++) {
        weigh(list ? &v->list->items[i] : &v->dict->values[i], &weight, &depth);
        if (!list) weigh(&v->dict->keys[i], &weight, &depth);
    }
    if (list)
        v->list->weight = weight;
    else
        v->dict->weight = weight;
    if (list)
        v->list->depth = depth;
    else
        v->dict->depth = depth;
    if (weight < TM_TV_WEIGHT && depth <= TM_TV_DEPTH) return TM_OK;
    return tm_fail(err, TM_EFAILED, "a %s is too large or nests too deep", tm_tv_type(v));
}

tm_status tm_tv_copy_text(tm_tarena *arena, tm_view text, tm_tval *out, tm_error *err)
{
    char *copy = tm_tarena_get(arena, text.size);
    if (!copy) return tm_tv_no_room(err);
    if (text.size) memcpy(copy, text.data, text.size);
    *out = tm_tv_text(tm_view_of(copy, text.size));
    return TM_OK;
}

tm_tval *tm_tv_find(const tm_tdict *dict, const tm_tval *key)
{
    for (size_t i = 0; i < dict->n; i++)
        if (tm_tv_equal(&dict->keys[i], key)) return &dict->values[i];
    return NULL;
}

tm_tval *tm_tv_find_text(const tm_tdict *dict, tm_view key)
{
    tm_tval text = tm_tv_text(key);
    return tm_tv_find(dict, &text);
}

tm_status tm_tv_set(tm_tarena *arena, tm_tdict *dict, const tm_tval *key, const tm_tval *value, tm_error *err)
{
    tm_tval *place = tm_tv_find(dict, key);
    if (place) {
        *place = *value;
        return TM_OK;
    }
    if (dict->n == dict->capacity) {
        size_t capacity = dict->capacity ? 2 * dict->capacity : 8;
        tm_tval *keys = tm_tarena_get(arena, 2 * capacity * sizeof *keys);
        if (!keys) return tm_tv_no_room(err);
        if (dict->n) memcpy(keys, dict->keys, dict->n * sizeof *keys);
        if (dict->n) memcpy(keys + capacity, dict->values, dict->n * sizeof *keys);
        dict->capacity = capacity;
        dict->keys = keys;
        dict->values = keys + capacity;
    }
    dict->keys[dict->n] = *key;
    dict->values[dict->n++] = *value;
    return TM_OK;
}

// Members of JSON objects differ, so they are added without looking for equals.
static tm_status object_of(tm_tarena *arena, const json_t *json, tm_tval *out, tm_error *err)
{
    const char *name;
    json_t *value;
    TM_TRY(tm_tv_dict(arena, TM_TV_DICT, out, err));
    tm_tdict *d = out->dict;
    d->capacity = json_object_size(json);
    d->keys = tm_tarena_get(arena, 2 * d->capacity * sizeof *d->keys + 1);
    if (!d->keys) return tm_tv_no_room(err);
    d->values = d->keys + d->capacity;
    json_object_foreach((json_t *)json, name, value)
    {
        TM_TRY(tm_tv_copy_text(arena, tm_view_str(name), &d->keys[d->n], err));
        TM_TRY(tm_tv_json(arena, value, &d->values[d->n], err));
        d->n++;
    }
    return tm_tv_seal(out, err);
}

tm_status tm_tv_json(tm_tarena *arena, const json_t *json, tm_tval *out, tm_error *err)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT: return object_of(arena, json, out, err);
    case JSON_ARRAY:
        TM_TRY(tm_tv_list(arena, TM_TV_LIST, json_array_size(json), out, err));
        for (size_t i = 0; i < out->list->n; i++)
            TM_TRY(tm_tv_json(arena, json_array_get(json, i), &out->list->items[i], err));
        return tm_tv_seal(out, err);
    case JSON_STRING:
        return tm_tv_copy_text(arena, tm_view_of(json_string_value(json), json_string_length(json)), out,
                               err);
    case JSON_INTEGER: *out = tm_tv_int(json_integer_value(json)); return TM_OK;
    case JSON_REAL: *out = (tm_tval){.kind = TM_TV_FLOAT, .number = json_real_value(json)}; return TM_OK;
    case JSON_NULL: *out = (tm_tval){.kind = TM_TV_NONE}; return TM_OK;
    default: *out = tm_tv_bool(json_is_true(json)); return TM_OK;
    }
}

// ---- what Python would say ----

const char *tm_tv_type(const tm_tval *v)
{
    static const char *const names[] = {"undefined", "none", "bool",      "int",  "float", "str",     "list",
                                        "tuple",     "dict", "namespace", "loop", "macro", "function"};
    return names[v->kind];
}

bool tm_tv_truth(const tm_tval *v)
{
    switch (v->kind) {
    case TM_TV_UNDEFINED:
    case TM_TV_NONE: return false;
    case TM_TV_BOOL: return v->truth;
    case TM_TV_INT: return v->integer != 0;
    case TM_TV_FLOAT: return v->number != 0;
    case TM_TV_STRING: return v->text.size != 0;
    case TM_TV_LIST:
    case TM_TV_TUPLE: return v->list->n != 0;
    case TM_TV_DICT: return v->dict->n != 0;
    default: return true;
    }
}

static bool number_of(const tm_tval *v, double *number)
{
    if (v->kind == TM_TV_BOOL)
        *number = v->truth;
    else if (v->kind == TM_TV_INT)
        *number = (double)v->integer;
    else if (v->kind == TM_TV_FLOAT)
        *number = v->number;
    else
        return false;
    return true;
}

static bool equal_dicts(const tm_tdict *a, const tm_tdict *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const tm_tval *other = tm_tv_find(b, &a->keys[i]);
        if (!other || !tm_tv_equal(&a->values[i], other)) return false;
    }
    return true;
}

bool tm_tv_equal(const tm_tval *a, const tm_tval *b)
{
    double x, y;
    if (a->kind == TM_TV_INT && b->kind == TM_TV_INT) return a->integer == b->integer;
    if (number_of(a, &x) && number_of(b, &y)) return x == y;
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case TM_TV_UNDEFINED:
    case TM_TV_NONE: return true;
    case TM_TV_STRING: return tm_view_eq(a->text, b->text);
    case TM_TV_LIST:
    case TM_TV_TUPLE:
        if (a->list->n != b->list->n) return false;
        for (size_t i = 0; i < a->list->n; i++)
            if (!tm_tv_equal(&a->list->items[i], &b->list->items[i])) return false;
        return true;
    case TM_TV_DICT: return equal_dicts(a->dict, b->dict);
    default: return a->thing == b->thing;
    }
}

static tm_status compare_lists(const tm_tlist *a, const tm_tlist *b, int *order, tm_error *err)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (tm_tv_equal(&a->items[i], &b->items[i])) continue;
        return tm_tv_compare(&a->items[i], &b->items[i], order, err);
    }
    *order = (a->n > b->n) - (a->n < b->n);
    return TM_OK;
}

tm_status tm_tv_compare(const tm_tval *a, const tm_tval *b, int *order, tm_error *err)
{
    double x, y;
    if (a->kind == TM_TV_INT && b->kind == TM_TV_INT)
        *order = (a->integer > b->integer) - (a->integer < b->integer);
    else if (number_of(a, &x) && number_of(b, &y))
        *order = (x > y) - (x < y);
    else if (a->kind == TM_TV_STRING && b->kind == TM_TV_STRING) {
        size_t n = a->text.size < b->text.size ? a->text.size : b->text.size;
        int c = n ? memcmp(a->text.data, b->text.data, n) : 0;
        if (!c) c = (a->text.size > b->text.size) - (a->text.size < b->text.size);
        *order = (c > 0) - (c < 0);
    } else if (a->kind == b->kind && tm_tv_sequence(a))
        return compare_lists(a->list, b->list, order, err);
    else
        return tm_fail(err, TM_EFAILED, "%s and %s have no order", tm_tv_type(a), tm_tv_type(b));
    return TM_OK;
}

size_t tm_tv_points(tm_view text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) n += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return n;
}

tm_status tm_tv_length(const tm_tval *v, int64_t *n, tm_error *err)
{
    if (v->kind == TM_TV_STRING)
        *n = (int64_t)tm_tv_points(v->text);
    else if (tm_tv_sequence(v))
        *n = (int64_t)v->list->n;
    else if (v->kind == TM_TV_DICT)
        *n = (int64_t)v->dict->n;
    else if (v->kind == TM_TV_UNDEFINED)
        *n = 0;
    else
        return tm_fail(err, TM_EFAILED, "%s has no length", tm_tv_type(v));
    return TM_OK;
}
