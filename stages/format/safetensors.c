// SPDX-License-Identifier: Apache-2.0
// Safetensors: parsing with every check of the format, and writing.
#include "stages/format/safetensors.h"

#include <stdlib.h>

#include <jansson.h>

#include "stages/format/content.h"

#define HEADER_MAX 100000000u

struct tm_st_owner {
    json_t *json;  // holds the names and metadata
    void *map;
    size_t map_size;
};

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[] = {
#define ROW(name, bits) {#name, bits},
    TM_ST_DTYPE_LIST(ROW)
#undef ROW
};

#define N_DTYPES (sizeof dtypes / sizeof dtypes[0])

const char *tm_st_dtype_name(tm_st_dtype dtype)
{
    return dtypes[dtype].name;
}

uint32_t tm_st_dtype_bits(tm_st_dtype dtype)
{
    return dtypes[dtype].bits;
}

static bool dtype_parse(const char *name, tm_st_dtype *dtype)
{
    for (size_t i = 0; i < N_DTYPES; i++) {
        if (strcmp(dtypes[i].name, name) == 0) return *dtype = (tm_st_dtype)i, true;
    }
    return false;
}

// Bytes of a tensor; false if the count overflows or the bits end inside a byte.
static bool tensor_bytes(const tm_st_tensor *t, uint64_t *bytes)
{
    uint64_t bits = dtypes[t->dtype].bits;
    bool zero = false;
    for (uint32_t i = 0; i < t->rank; i++) zero |= t->shape[i] == 0;
    for (uint32_t i = 0; i < t->rank && !zero; i++) {
        if (__builtin_mul_overflow(bits, t->shape[i], &bits)) return false;
    }
    if (zero) bits = 0;
    *bytes = bits / 8;
    return bits % 8 == 0;
}

// ---- reading

static tm_status parse_shape(tm_st_tensor *t, const json_t *shape, tm_error *err)
{
    if (!json_is_array(shape)) return tm_fail(err, TM_EFORMAT, "tensor %s: shape is not a list", t->name);
    size_t rank = json_array_size(shape);
    if (rank > TM_SAFETENSORS_RANK)
        return tm_fail(err, TM_EFORMAT, "tensor %s: %zu dimensions, %d at most", t->name, rank,
                       TM_SAFETENSORS_RANK);
    t->rank = (uint32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return tm_fail(err, TM_EFORMAT, "tensor %s: dimension %zu is not a size", t->name, i);
        t->shape[i] = (uint64_t)json_integer_value(dim);
    }
    return TM_OK;
}

static tm_status parse_span(tm_st_tensor *t, const json_t *offsets, tm_view data, tm_error *err)
{
    const json_t *b = json_array_get(offsets, 0), *e = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(b) || !json_is_integer(e))
        return tm_fail(err, TM_EFORMAT, "tensor %s: data_offsets is not a pair of offsets", t->name);
    json_int_t begin = json_integer_value(b), end = json_integer_value(e);
    if (begin < 0 || end < begin || (uint64_t)end > data.size)
        return tm_fail(err, TM_EFORMAT, "tensor %s: offsets %lld..%lld lie outside the %zu bytes of data",
                       t->name, (long long)begin, (long long)end, data.size);
    uint64_t bytes;
    if (!tensor_bytes(t, &bytes))
        return tm_fail(err, TM_EFORMAT, "tensor %s: its shape has no size in bytes", t->name);
    if (bytes != (uint64_t)(end - begin))
        return tm_fail(err, TM_EFORMAT, "tensor %s: shape needs %llu bytes, offsets %lld..%lld hold %lld",
                       t->name, (unsigned long long)bytes, (long long)begin, (long long)end,
                       (long long)(end - begin));
    t->data = tm_view_of(data.data + begin, bytes);
    return TM_OK;
}

static tm_status parse_tensor(tm_st_tensor *t, const char *name, const json_t *value, tm_view data,
                              tm_error *err)
{
    *t = (tm_st_tensor){.name = name};
    if (!json_is_object(value)) return tm_fail(err, TM_EFORMAT, "tensor %s: not an object", name);
    if (json_object_size(value) != 3)
        return tm_fail(err, TM_EFORMAT, "tensor %s: expected dtype, shape and data_offsets alone", name);
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    if (!dtype) return tm_fail(err, TM_EFORMAT, "tensor %s: dtype is missing", name);
    if (!dtype_parse(dtype, &t->dtype))
        return tm_fail(err, TM_EFORMAT, "tensor %s: unknown dtype %.40s", name, dtype);
    TM_TRY(parse_shape(t, json_object_get(value, "shape"), err));
    return parse_span(t, json_object_get(value, "data_offsets"), data, err);
}

static tm_status parse_meta(tm_safetensors *file, json_t *meta, tm_error *err)
{
    if (!json_is_object(meta)) return tm_fail(err, TM_EFORMAT, "__metadata__ is not an object");
    file->meta = tm_calloc(json_object_size(meta) + 1, sizeof *file->meta);
    if (!file->meta) return tm_fail(err, TM_ENOMEM, "no memory for metadata");
    const char *key;
    json_t *value;
    json_object_foreach(meta, key, value)
    {
        if (!json_is_string(value)) return tm_fail(err, TM_EFORMAT, "__metadata__ %s is not a string", key);
        file->meta[file->n_meta++] = (tm_st_meta){key, json_string_value(value)};
    }
    return TM_OK;
}

static int by_offset(const void *a, const void *b)
{
    const tm_st_tensor *x = a, *y = b;
    if (x->data.data != y->data.data) return x->data.data < y->data.data ? -1 : 1;
    if (x->data.size != y->data.size) return x->data.size < y->data.size ? -1 : 1;
    return strcmp(x->name, y->name);
}

static tm_status check_cover(const tm_safetensors *file, tm_view data, tm_error *err)
{
    const char *at = data.data;
    for (size_t i = 0; i < file->n_tensors; i++) {
        const tm_st_tensor *t = &file->tensors[i];
        if (t->data.data != at)
            return tm_fail(err, TM_EFORMAT, "tensor %s: begins at %zu, expected %zu (%s)", t->name,
                           (size_t)(t->data.data - data.data), (size_t)(at - data.data),
                           t->data.data < at ? "overlap" : "hole");
        at += t->data.size;
    }
    if (at != data.data + data.size)
        return tm_fail(err, TM_EFORMAT, "%zu bytes follow the last tensor",
                       data.size - (size_t)(at - data.data));
    return TM_OK;
}

static tm_status parse_header(tm_safetensors *file, json_t *header, tm_view data, tm_error *err)
{
    file->tensors = tm_calloc(json_object_size(header) + 1, sizeof *file->tensors);
    if (!file->tensors) return tm_fail(err, TM_ENOMEM, "no memory for the list of tensors");
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            TM_TRY(parse_meta(file, value, err));
        else
            TM_TRY(parse_tensor(&file->tensors[file->n_tensors++], name, value, data, err));
    }
    qsort(file->tensors, file->n_tensors, sizeof *file->tensors, by_offset);
    return check_cover(file, data, err);
}

tm_status tm_safetensors_parse(tm_safetensors *file, tm_view bytes, tm_error *err)
{
    *file = (tm_safetensors){.bytes = bytes};
    if (bytes.size < 8) return tm_fail(err, TM_EFORMAT, "%zu bytes are too few for a header", bytes.size);
    uint64_t n = tm_le64(bytes.data);
    if (n > HEADER_MAX)
        return tm_fail(err, TM_EFORMAT, "header of %llu bytes, %u at most", (unsigned long long)n,
                       HEADER_MAX);
    if (n > bytes.size - 8)
        return tm_fail(err, TM_EFORMAT, "header of %llu bytes in a file of %zu", (unsigned long long)n,
                       bytes.size);
    if (n < 2 || bytes.data[8] != '{') return tm_fail(err, TM_EFORMAT, "header does not begin with {");
    json_error_t at;
    json_t *header = json_loadb(bytes.data + 8, n, JSON_REJECT_DUPLICATES, &at);
    if (!header)
        return tm_fail(err, json_error_code(&at) == json_error_out_of_memory ? TM_ENOMEM : TM_EFORMAT,
                       "header is not valid JSON at byte %d: %s", at.position, at.text);
    file->owner = tm_calloc(1, sizeof *file->owner);
    if (!file->owner) {
        json_decref(header);
        return tm_fail(err, TM_ENOMEM, "no memory for a safetensors file");
    }
    file->owner->json = header;
    tm_status status = parse_header(file, header, tm_view_of(bytes.data + 8 + n, bytes.size - 8 - n), err);
    if (status < 0) tm_safetensors_close(file);
    return status;
}

tm_status tm_safetensors_open(tm_safetensors *file, const char *path, tm_error *err)
{
    tm_view bytes;
    TM_TRY(tm_content_map(path, &bytes, err));
    tm_status status = tm_safetensors_parse(file, bytes, err);
    if (status < 0) {
        tm_content_unmap(bytes);
        return tm_error_prefix(err, "%s", path);
    }
    file->owner->map = (void *)bytes.data;
    file->owner->map_size = bytes.size;
    return TM_OK;
}

void tm_safetensors_close(tm_safetensors *file)
{
    if (file->owner) {
        json_decref(file->owner->json);
        if (file->owner->map) tm_content_unmap(tm_view_of(file->owner->map, file->owner->map_size));
        tm_free(file->owner);
    }
    tm_free(file->tensors);
    tm_free(file->meta);
    *file = (tm_safetensors){0};
}

const tm_st_tensor *tm_safetensors_find(const tm_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    }
    return NULL;
}

const char *tm_safetensors_meta(const tm_safetensors *file, const char *key)
{
    for (size_t i = 0; i < file->n_meta; i++) {
        if (strcmp(file->meta[i].key, key) == 0) return file->meta[i].value;
    }
    return NULL;
}

// ---- writing

static int by_alignment(const void *a, const void *b)
{
    const tm_st_tensor *x = a, *y = b;
    uint32_t xb = dtypes[x->dtype].bits, yb = dtypes[y->dtype].bits;
    if (xb != yb) return xb > yb ? -1 : 1;
    return strcmp(x->name, y->name);
}

static tm_status check_tensors(const tm_st_tensor *tensors, size_t n, tm_error *err)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes;
        if (!tensor_bytes(&tensors[i], &bytes) || bytes != tensors[i].data.size)
            return tm_fail(err, TM_EINVAL, "tensor %s: %zu bytes do not fit its shape", tensors[i].name,
                           tensors[i].data.size);
    }
    return TM_OK;
}

static json_t *tensor_json(const tm_st_tensor *t, uint64_t begin)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtypes[t->dtype].name, "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + t->data.size));
}

static tm_status header_json(json_t *header, const tm_st_tensor *tensors, size_t n, const tm_st_meta *meta,
                             size_t n_meta, tm_error *err)
{
    json_t *pairs = json_object();
    bool ok = json_object_set_new(header, "__metadata__", pairs) == 0;
    ok &= json_object_set_new(pairs, "format", json_string("pt")) == 0;
    for (size_t i = 0; i < n_meta; i++)
        ok &= json_object_set_new(pairs, meta[i].key, json_string(meta[i].value)) == 0;
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (json_object_get(header, tensors[i].name))
            return tm_fail(err, TM_EINVAL, "two tensors are named %s", tensors[i].name);
        ok &= json_object_set_new(header, tensors[i].name, tensor_json(&tensors[i], at)) == 0;
        at += tensors[i].data.size;
    }
    return ok ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a header (or a name is not UTF-8)");
}

static void add_header(tm_buf *out, const char *text)
{
    size_t size = strlen(text), padded = (size + 7) / 8 * 8;
    tm_buf_le64(out, padded);
    tm_buf_add(out, text, size);
    tm_buf_add(out, "        ", padded - size);
}

tm_status tm_safetensors_header(tm_st_tensor *tensors, size_t n_tensors, const tm_st_meta *meta,
                                size_t n_meta, tm_buf *header, tm_error *err)
{
    TM_TRY(check_tensors(tensors, n_tensors, err));
    if (n_tensors > 0) qsort(tensors, n_tensors, sizeof *tensors, by_alignment);
    json_t *json = json_object();
    if (!json) return tm_fail(err, TM_ENOMEM, "no memory for a header");
    tm_status status = header_json(json, tensors, n_tensors, meta, n_meta, err);
    char *text = status < 0 ? NULL : json_dumps(json, JSON_COMPACT);
    if (status == TM_OK && !text) status = tm_fail(err, TM_ENOMEM, "no memory for a header");
    if (text) add_header(header, text);
    free(text);
    json_decref(json);
    return status < 0 ? status : tm_buf_status(header, err);
}

tm_status tm_safetensors_write(const char *path, tm_st_tensor *tensors, size_t n_tensors,
                               const tm_st_meta *meta, size_t n_meta, tm_error *err)
{
    tm_buf header = {0};
    tm_view *pieces = tm_calloc(n_tensors + 1, sizeof *pieces);
    tm_status status = pieces ? tm_safetensors_header(tensors, n_tensors, meta, n_meta, &header, err)
                              : tm_fail(err, TM_ENOMEM, "no memory for the list of tensors");
    if (status == TM_OK) {
        pieces[0] = tm_buf_view(&header);
        for (size_t i = 0; i < n_tensors; i++) pieces[i + 1] = tensors[i].data;
        status = tm_content_write(path, pieces, n_tensors + 1, err);
    }
    tm_free(pieces);
    tm_buf_clear(&header);
    return status;
}
