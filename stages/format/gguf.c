// SPDX-License-Identifier: Apache-2.0
// Reading GGUF files within bounds.
#include "stages/format/gguf.h"

#include <stdlib.h>

#include "stages/format/content.h"
#include "stages/format/half.h"

#define VALUE_MIN 13  // bytes that the shortest value takes
#define TENSOR_MIN 32 // likewise a tensor's entry
#define MOST_VALUES ((uint64_t)1 << 53)

// What is still to be read. Nothing is read beyond `left`.
typedef struct cursor {
    const char *at;
    uint64_t left;
} cursor;

static bool take(cursor *c, uint64_t n, tm_view *bytes)
{
    if (n > c->left) return false;
    *bytes = tm_view_of(c->at, n);
    c->at += n;
    c->left -= n;
    return true;
}

static bool take32(cursor *c, uint32_t *value)
{
    tm_view bytes;
    if (!take(c, 4, &bytes)) return false;
    *value = tm_le32(bytes.data);
    return true;
}

static bool take64(cursor *c, uint64_t *value)
{
    tm_view bytes;
    if (!take(c, 8, &bytes)) return false;
    *value = tm_le64(bytes.data);
    return true;
}

static bool take_text(cursor *c, tm_view *text)
{
    uint64_t n;
    return take64(c, &n) && take(c, n, text);
}

static tm_status cut_short(const char *what, uint64_t i, tm_error *err)
{
    return tm_fail(err, TM_EFORMAT, "the file ends within %s %llu", what, (unsigned long long)i + 1);
}

// ---- values

static const struct {
    const char *name;
    uint8_t bytes;
} kinds[] = {
    [TM_GGUF_U8] = {"u8", 1},      [TM_GGUF_I8] = {"i8", 1},     [TM_GGUF_U16] = {"u16", 2},
    [TM_GGUF_I16] = {"i16", 2},    [TM_GGUF_U32] = {"u32", 4},   [TM_GGUF_I32] = {"i32", 4},
    [TM_GGUF_F32] = {"f32", 4},    [TM_GGUF_BOOL] = {"bool", 1}, [TM_GGUF_TEXT] = {"string", 0},
    [TM_GGUF_LIST] = {"array", 0}, [TM_GGUF_U64] = {"u64", 8},   [TM_GGUF_I64] = {"i64", 8},
    [TM_GGUF_F64] = {"f64", 8},
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

static bool take_texts(cursor *c, uint64_t n)
{
    tm_view text;
    for (uint64_t i = 0; i < n; i++)
        if (!take_text(c, &text)) return false;
    return true;
}

static tm_status take_list(cursor *c, tm_gguf_value *v, tm_error *err)
{
    uint32_t element;
    int shown = v->key.size < 80 ? (int)v->key.size : 80;
    if (!take32(c, &element) || !take64(c, &v->count))
        return tm_fail(err, TM_EFORMAT, "%.*s: the file ends within it", shown, v->key.data);
    if (element >= N_KINDS || element == TM_GGUF_LIST)
        return tm_fail(err, TM_EFORMAT, "%.*s: a list of type %u", shown, v->key.data, element);
    v->element = (tm_gguf_kind)element;
    const char *start = c->at;
    uint64_t bytes = 0;
    bool fits = element == TM_GGUF_TEXT
                    ? v->count <= c->left / 8 && take_texts(c, v->count)
                    : !__builtin_mul_overflow(v->count, (uint64_t)kinds[element].bytes, &bytes) &&
                          take(c, bytes, &v->data);
    if (!fits)
        return tm_fail(err, TM_EFORMAT, "%.*s: a list of %llu reaches beyond the file", shown, v->key.data,
                       (unsigned long long)v->count);
    v->data = tm_view_of(start, (size_t)(c->at - start));
    return TM_OK;
}

static tm_status take_value(cursor *c, uint64_t i, tm_gguf_value *v, tm_error *err)
{
    uint32_t kind;
    *v = (tm_gguf_value){0};
    if (!take_text(c, &v->key) || !take32(c, &kind)) return cut_short("value", i, err);
    int shown = v->key.size < 80 ? (int)v->key.size : 80;
    if (kind >= N_KINDS)
        return tm_fail(err, TM_EFORMAT, "%.*s: there is no type %u", shown, v->key.data, kind);
    v->kind = (tm_gguf_kind)kind;
    if (kind == TM_GGUF_LIST) return take_list(c, v, err);
    if (kind == TM_GGUF_TEXT ? take_text(c, &v->data) : take(c, kinds[kind].bytes, &v->data)) return TM_OK;
    return tm_fail(err, TM_EFORMAT, "%.*s: the file ends within it", shown, v->key.data);
}

static int order(tm_view a, tm_view b)
{
    int by_bytes = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return by_bytes ? by_bytes : (a.size > b.size) - (a.size < b.size);
}

static int by_key(const void *a, const void *b)
{
    return order(((const tm_gguf_value *)a)->key, ((const tm_gguf_value *)b)->key);
}

static tm_status take_values(tm_gguf *file, cursor *c, uint64_t n, tm_error *err)
{
    if (n > c->left / VALUE_MIN)
        return tm_fail(err, TM_EFORMAT, "%llu values in a file of so few bytes", (unsigned long long)n);
    file->values = tm_calloc(n + 1, sizeof *file->values);
    if (!file->values) return tm_fail(err, TM_ENOMEM, "no memory for %llu values", (unsigned long long)n);
    for (; file->n_values < n; file->n_values++)
        TM_TRY(take_value(c, file->n_values, &file->values[file->n_values], err));
    qsort(file->values, n, sizeof *file->values, by_key);
    for (uint64_t i = 1; i < n; i++) {
        tm_view key = file->values[i].key;
        if (order(key, file->values[i - 1].key) == 0)
            return tm_fail(err, TM_EFORMAT, "key %.*s occurs twice", key.size < 80 ? (int)key.size : 80,
                           key.data);
    }
    return TM_OK;
}

// ---- tensors

static tm_status take_shape(cursor *c, tm_gguf_tensor *t, tm_error *err)
{
    uint64_t n = 1;
    if (!take32(c, &t->rank) || t->rank < 1 || t->rank > TM_GGUF_RANK)
        return tm_fail(err, TM_EFORMAT, "tensor %.*s: %u dimensions, expected 1 to 4", (int)t->name.size,
                       t->name.data, t->rank);
    for (uint32_t i = 0; i < t->rank; i++) {
        uint64_t *dim = &t->shape[t->rank - 1 - i];
        if (!take64(c, dim))
            return tm_fail(err, TM_EFORMAT, "tensor %.*s: the file ends within its entry", (int)t->name.size,
                           t->name.data);
        if (__builtin_mul_overflow(n, *dim, &n) || n > MOST_VALUES)
            return tm_fail(err, TM_EFORMAT, "tensor %.*s: its shape has no size", (int)t->name.size,
                           t->name.data);
    }
    return TM_OK;
}

static tm_status find_type(tm_gguf_tensor *t, uint32_t id, tm_error *err)
{
    t->type = tm_gguf_type_of(id);
    if (t->type) return TM_OK;
    tm_fail(err, TM_EUNSUPPORTED, "tensor %.*s: its number format (ggml type %u) is not read",
            (int)t->name.size, t->name.data, id);
    tm_hint(err, "take the same model as F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K or Q6_K");
    return TM_EUNSUPPORTED;
}

// Reads one entry; `begin` is the offset of its data, and moves behind it.
static tm_status take_tensor(cursor *c, uint64_t i, uint64_t alignment, uint64_t *begin, tm_gguf_tensor *t,
                             tm_error *err)
{
    uint32_t id;
    uint64_t offset;
    if (!take_text(c, &t->name)) return cut_short("tensor", i, err);
    if (t->name.size < 1 || t->name.size >= TM_GGUF_NAME || memchr(t->name.data, 0, t->name.size))
        return tm_fail(err, TM_EFORMAT, "tensor %llu has a name of %zu bytes, expected 1 to 63",
                       (unsigned long long)i + 1, t->name.size);
    TM_TRY(take_shape(c, t, err));
    if (!take32(c, &id) || !take64(c, &offset)) return cut_short("tensor", i, err);
    TM_TRY(find_type(t, id, err));
    if (t->shape[t->rank - 1] % t->type->block)
        return tm_fail(err, TM_EFORMAT, "tensor %.*s: rows of %llu are no whole number of %s blocks",
                       (int)t->name.size, t->name.data, (unsigned long long)t->shape[t->rank - 1],
                       t->type->name);
    if (offset != *begin)
        return tm_fail(err, TM_EFORMAT, "tensor %.*s: its data begins at %llu, expected %llu",
                       (int)t->name.size, t->name.data, (unsigned long long)offset,
                       (unsigned long long)*begin);
    uint64_t n = 1;
    for (uint32_t k = 0; k < t->rank; k++) n *= t->shape[k];
    t->data.size = n / t->type->block * t->type->bytes;
    *begin += (t->data.size + alignment - 1) / alignment * alignment;
    return TM_OK;
}

// Sets the data of all tensors, which lie one after the other in `data`.
static tm_status place(tm_gguf *file, tm_view data, uint64_t alignment, tm_error *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < file->n_tensors; i++) {
        tm_gguf_tensor *t = &file->tensors[i];
        if (at > data.size || t->data.size > data.size - at)
            return tm_fail(err, TM_EFORMAT, "tensor %.*s: its data reaches beyond the file",
                           (int)t->name.size, t->name.data);
        t->data.data = data.data + at;
        at += (t->data.size + alignment - 1) / alignment * alignment;
    }
    return TM_OK;
}

static int by_name(const void *a, const void *b)
{
    return order(((const tm_gguf_tensor *)a)->name, ((const tm_gguf_tensor *)b)->name);
}

static tm_status take_tensors(tm_gguf *file, cursor *c, uint64_t n, tm_view bytes, tm_error *err)
{
    int64_t alignment = 32;
    if (tm_gguf_find(file, "general.alignment") &&
        (!tm_gguf_integer(file, "general.alignment", &alignment) || alignment < 1 || alignment > 1 << 20 ||
         (alignment & (alignment - 1))))
        return tm_fail(err, TM_EFORMAT, "general.alignment is no power of two up to 2^20");
    if (n > c->left / TENSOR_MIN)
        return tm_fail(err, TM_EFORMAT, "%llu tensors in a file of so few bytes", (unsigned long long)n);
    file->tensors = tm_calloc(n + 1, sizeof *file->tensors);
    if (!file->tensors) return tm_fail(err, TM_ENOMEM, "no memory for %llu tensors", (unsigned long long)n);
    uint64_t begin = 0, step = (uint64_t)alignment;
    for (; file->n_tensors < n; file->n_tensors++)
        TM_TRY(take_tensor(c, file->n_tensors, step, &begin, &file->tensors[file->n_tensors], err));
    uint64_t header = (uint64_t)(c->at - bytes.data), start = (header + step - 1) / step * step;
    if (start > bytes.size) start = bytes.size;
    tm_view data = tm_view_of(bytes.data + start, bytes.size - start);
    TM_TRY(place(file, data, step, err));
    qsort(file->tensors, n, sizeof *file->tensors, by_name);
    for (uint64_t i = 1; i < n; i++) {
        tm_view name = file->tensors[i].name;
        if (order(name, file->tensors[i - 1].name) == 0)
            return tm_fail(err, TM_EFORMAT, "tensor %.*s occurs twice", (int)name.size, name.data);
    }
    return TM_OK;
}

// ---- the file

static tm_status check_version(uint32_t version, tm_error *err)
{
    if (version == 2 || version == 3) return TM_OK;
    bool swapped = version == 2u << 24 || version == 3u << 24;
    return tm_fail(err, TM_EUNSUPPORTED, "%s",
                   swapped        ? "a big-endian GGUF file"
                   : version == 1 ? "GGUF version 1, from before mid 2023"
                                  : "an unknown version of GGUF");
}

static tm_status parse(tm_gguf *file, tm_view bytes, tm_error *err)
{
    cursor c = {bytes.data, bytes.size};
    uint32_t version;
    uint64_t n_tensors, n_values;
    tm_view magic;
    if (!take(&c, 4, &magic) || memcmp(magic.data, "GGUF", 4) != 0)
        return tm_fail(err, TM_EFORMAT, "it does not begin with GGUF");
    if (!take32(&c, &version)) return tm_fail(err, TM_EFORMAT, "the file ends within its header");
    TM_TRY(check_version(version, err));
    if (!take64(&c, &n_tensors) || !take64(&c, &n_values))
        return tm_fail(err, TM_EFORMAT, "the file ends within its header");
    TM_TRY(take_values(file, &c, n_values, err));
    return take_tensors(file, &c, n_tensors, bytes, err);
}

tm_status tm_gguf_parse(tm_gguf *file, tm_view bytes, tm_error *err)
{
    *file = (tm_gguf){0};
    tm_status status = parse(file, bytes, err);
    if (status < 0) tm_gguf_close(file);
    return status;
}

tm_status tm_gguf_open(tm_gguf *file, const char *path, tm_error *err)
{
    tm_view bytes;
    *file = (tm_gguf){0};
    TM_TRY(tm_content_map(path, &bytes, err));
    tm_status status = tm_gguf_parse(file, bytes, err);
    if (status < 0) {
        tm_content_unmap(bytes);
        return tm_error_prefix(err, "%s", path);
    }
    file->map = bytes;
    return TM_OK;
}

void tm_gguf_close(tm_gguf *file)
{
    tm_free(file->values);
    tm_free(file->tensors);
    tm_content_unmap(file->map);
    *file = (tm_gguf){0};
}

// ---- looking things up

const tm_gguf_tensor *tm_gguf_tensor_find(const tm_gguf *file, const char *name)
{
    tm_gguf_tensor key = {.name = tm_view_str(name)};
    return file->n_tensors ? bsearch(&key, file->tensors, file->n_tensors, sizeof key, by_name) : NULL;
}

const tm_gguf_value *tm_gguf_find(const tm_gguf *file, const char *name)
{
    tm_gguf_value key = {.key = tm_view_str(name)};
    return file->n_values ? bsearch(&key, file->values, file->n_values, sizeof key, by_key) : NULL;
}

static bool integer_at(const char *at, tm_gguf_kind kind, int64_t *value)
{
    uint64_t bits = 0;
    memcpy(&bits, at, kinds[kind].bytes);
    switch (kind) {
    case TM_GGUF_I8: *value = (int8_t)bits; return true;
    case TM_GGUF_I16: *value = (int16_t)bits; return true;
    case TM_GGUF_I32: *value = (int32_t)bits; return true;
    case TM_GGUF_U8:
    case TM_GGUF_U16:
    case TM_GGUF_U32:
    case TM_GGUF_U64:
    case TM_GGUF_I64: *value = (int64_t)bits; return kind == TM_GGUF_I64 || bits <= INT64_MAX;
    default: return false;
    }
}

bool tm_gguf_integer(const tm_gguf *file, const char *key, int64_t *value)
{
    const tm_gguf_value *v = tm_gguf_find(file, key);
    return v && integer_at(v->data.data, v->kind, value);
}

bool tm_gguf_number(const tm_gguf *file, const char *key, double *value)
{
    const tm_gguf_value *v = tm_gguf_find(file, key);
    int64_t whole;
    if (v && v->kind == TM_GGUF_F32) return *value = (double)tm_bits_float(tm_le32(v->data.data)), true;
    if (v && v->kind == TM_GGUF_F64) return memcpy(value, v->data.data, 8), true;
    if (!tm_gguf_integer(file, key, &whole)) return false;
    *value = (double)whole;
    return true;
}

bool tm_gguf_flag(const tm_gguf *file, const char *key, bool *value)
{
    const tm_gguf_value *v = tm_gguf_find(file, key);
    if (!v || v->kind != TM_GGUF_BOOL) return false;
    *value = v->data.data[0] != 0;
    return true;
}

bool tm_gguf_text(const tm_gguf *file, const char *key, tm_view *value)
{
    const tm_gguf_value *v = tm_gguf_find(file, key);
    if (!v || v->kind != TM_GGUF_TEXT) return false;
    *value = v->data;
    return true;
}

bool tm_gguf_next_text(tm_view *rest, tm_view *text)
{
    cursor c = {rest->data, rest->size};
    if (!take_text(&c, text)) return false;
    *rest = tm_view_of(c.at, c.left);
    return true;
}

int64_t tm_gguf_list_integer(const tm_gguf_value *list, uint64_t i)
{
    int64_t value = -1;
    if (i < list->count) integer_at(list->data.data + i * kinds[list->element].bytes, list->element, &value);
    return value;
}
