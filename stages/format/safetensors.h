// SPDX-License-Identifier: Apache-2.0
// Safetensors files: a strict reader over bytes or a mapped file, and a writer that copies nothing.
//
// Layout (github.com/huggingface/safetensors): 8 bytes little-endian header length N, N bytes of UTF-8 JSON
// that begin with `{`, then the data. The reader accepts exactly the files whose tensors cover the data from
// its first to its last byte, in order, without hole or overlap; it refuses duplicate names, sizes that
// overflow and headers above 100 MB. Every refusal is TM_EFORMAT and names the tensor.
#pragma once

#include "engine/base/bytes.h"

#define TM_SAFETENSORS_RANK 8  // dimensions of a tensor, at most

// name in the file, bits per element
#define TM_ST_DTYPE_LIST(X)                                                                                  \
    X(BOOL, 8)                                                                                               \
    X(F4, 4) X(F6_E2M3, 6) X(F6_E3M2, 6) X(U8, 8) X(I8, 8) X(F8_E5M2, 8) X(F8_E4M3, 8) X(F8_E8M0, 8)         \
        X(F8_E4M3FNUZ, 8) X(F8_E5M2FNUZ, 8) X(I16, 16) X(U16, 16) X(F16, 16) X(BF16, 16) X(I32, 32)          \
            X(U32, 32) X(F32, 32) X(C64, 64) X(F64, 64) X(I64, 64) X(U64, 64)

typedef enum {
#define TM_ST_ENUM(name, bits) TM_ST_##name,
    TM_ST_DTYPE_LIST(TM_ST_ENUM)
#undef TM_ST_ENUM
} tm_st_dtype;

const char *tm_st_dtype_name(tm_st_dtype dtype);
uint32_t tm_st_dtype_bits(tm_st_dtype dtype);

// One tensor of a file, or one to be written. `data` is little-endian, row-major, and borrowed.
typedef struct tm_st_tensor {
    const char *name;
    tm_st_dtype dtype;
    uint32_t rank;  // 0: a scalar
    uint64_t shape[TM_SAFETENSORS_RANK];
    tm_view data;
} tm_st_tensor;

// A pair of `__metadata__`.
typedef struct tm_st_meta {
    const char *key, *value;
} tm_st_meta;

typedef struct tm_safetensors {
    tm_st_tensor *tensors;  // in the order of their data
    size_t n_tensors;
    tm_st_meta *meta;
    size_t n_meta;
    tm_view bytes;  // the whole file
    struct tm_st_owner *owner;
} tm_safetensors;

// Read a file that lies in memory; the tensors borrow from `bytes`, which must outlive `file`. Nothing is
// copied but the header, so the cost does not depend on the data. `file` needs no clearing on failure.
tm_status tm_safetensors_parse(tm_safetensors *file, tm_view bytes, tm_error *err);

// Map a file read-only and parse it. Errors name the path.
tm_status tm_safetensors_open(tm_safetensors *file, const char *path, tm_error *err);

void tm_safetensors_close(tm_safetensors *file);

// A tensor by name, or NULL; a metadata value by key, or NULL.
const tm_st_tensor *tm_safetensors_find(const tm_safetensors *file, const char *name);
const char *tm_safetensors_meta(const tm_safetensors *file, const char *key);

// Begin a file: sorts `tensors` into the order of the data (alignment descending, then name, so that all are
// naturally aligned) and adds the length and the header to `header`. The file is `header` followed by the
// `data` of each tensor in its new order. `format: pt` is always in the metadata (transformers insists);
// `meta` adds to it. TM_EINVAL names a tensor whose bytes do not fit its shape, or a name used twice.
tm_status tm_safetensors_header(tm_st_tensor *tensors, size_t n_tensors, const tm_st_meta *meta,
                                size_t n_meta, tm_buf *header, tm_error *err);

// The same, and the file written to `path` through a temporary name beside it, synced and renamed.
tm_status tm_safetensors_write(const char *path, tm_st_tensor *tensors, size_t n_tensors,
                               const tm_st_meta *meta, size_t n_meta, tm_error *err);
