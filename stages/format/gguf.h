// SPDX-License-Identifier: Apache-2.0
// GGUF files: a bounded reader over bytes or a mapped file, and a writer that streams.
//
// Layout (github.com/ggml-org/ggml, docs/gguf.md; little-endian): magic `GGUF`, u32 version, u64 counts of
// tensors and of values; the values (key, type, value); per tensor its name, dimensions (first the fastest),
// type and offset; padding to the alignment; the data, each tensor at its offset and padded. Versions 2 and 3
// are read. Refused with TM_EFORMAT, naming key or tensor: what reaches beyond the file, names used twice,
// nested arrays, an alignment that is no power of two, offsets that are not the padded sum of what is before,
// rows that are no whole number of blocks. A number format that is not here is TM_EUNSUPPORTED.
#pragma once

#include "stages/format/gguf_types.h"

#define TM_GGUF_RANK 4
#define TM_GGUF_NAME 64  // bytes of a tensor's name with its NUL

typedef enum {
    TM_GGUF_U8, TM_GGUF_I8, TM_GGUF_U16, TM_GGUF_I16, TM_GGUF_U32, TM_GGUF_I32, TM_GGUF_F32, TM_GGUF_BOOL,
    TM_GGUF_TEXT, TM_GGUF_LIST, TM_GGUF_U64, TM_GGUF_I64, TM_GGUF_F64,
} tm_gguf_kind;

// One key with its value. `data` is the bytes as in the file: of a number itself, of a text its bytes, of a
// list all elements one after the other (texts with their lengths before them).
typedef struct tm_gguf_value {
    tm_view key;
    tm_gguf_kind kind, element;  // element: of a list
    uint64_t count;              // of a list
    tm_view data;
} tm_gguf_value;

typedef struct tm_gguf_tensor {
    tm_view name;
    const tm_gguf_type *type;
    uint32_t rank;                 // 1 .. 4
    uint64_t shape[TM_GGUF_RANK];  // rows first, as in other formats: the file has them in reverse
    tm_view data;
} tm_gguf_tensor;

typedef struct tm_gguf {
    tm_gguf_value *values;  // by key
    size_t n_values;
    tm_gguf_tensor *tensors;  // by name
    size_t n_tensors;
    tm_view map;  // of tm_gguf_open
} tm_gguf;

// Read a file that lies in memory; everything is borrowed from `bytes`, which must outlive `file`. Memory is
// in proportion to the header. `file` needs no clearing on failure.
tm_status tm_gguf_parse(tm_gguf *file, tm_view bytes, tm_error *err);

// Map a file read-only and parse it. Errors name the path.
tm_status tm_gguf_open(tm_gguf *file, const char *path, tm_error *err);
void tm_gguf_close(tm_gguf *file);

const tm_gguf_tensor *tm_gguf_tensor_find(const tm_gguf *file, const char *name);  // or NULL
const tm_gguf_value *tm_gguf_find(const tm_gguf *file, const char *key);           // or NULL

// Values as what is wanted; false if there is none of that key or it is of another kind. Any integer type is
// an integer (false beyond int64), any number a number.
bool tm_gguf_integer(const tm_gguf *file, const char *key, int64_t *value);
bool tm_gguf_number(const tm_gguf *file, const char *key, double *value);
bool tm_gguf_flag(const tm_gguf *file, const char *key, bool *value);
bool tm_gguf_text(const tm_gguf *file, const char *key, tm_view *value);

// The elements of a list of texts: start with `rest` = its data; false at the end.
bool tm_gguf_next_text(tm_view *rest, tm_view *text);
// Element i of a list of I32 or U32.
int64_t tm_gguf_list_integer(const tm_gguf_value *list, uint64_t i);

// ---- writing: values and tensors are declared, then the data goes through in the same order

typedef struct tm_gguf_writer {  // starts as {0}
    tm_buf values, infos, pack;
    uint64_t n_values, n_tensors, offset;
    struct tm_gguf_space {
        const tm_gguf_type *type;
        uint64_t n;  // values
    } *spaces;
    size_t capacity, at;  // the tensor that is being written
    uint64_t done;        // values of it
    int fd;
    const char *path;
} tm_gguf_writer;

void tm_gguf_put_integer(tm_gguf_writer *writer, const char *key, uint32_t value);  // as u32
void tm_gguf_put_number(tm_gguf_writer *writer, const char *key, double value);     // as f32
void tm_gguf_put_flag(tm_gguf_writer *writer, const char *key, bool value);
void tm_gguf_put_text(tm_gguf_writer *writer, const char *key, tm_view value);
// A list; its elements follow, `count` of them, with tm_gguf_add_*.
void tm_gguf_put_list(tm_gguf_writer *writer, const char *key, tm_gguf_kind element, uint64_t count);
void tm_gguf_add_text(tm_gguf_writer *writer, tm_view text);
void tm_gguf_add_integer(tm_gguf_writer *writer, int32_t value);
// `shape` has the rows first. TM_EINVAL: a type that is not written, a row that is no whole number of blocks.
tm_status tm_gguf_put_tensor(tm_gguf_writer *writer, const char *name, const tm_gguf_type *type,
                             uint32_t rank, const uint64_t *shape, tm_error *err);

// Open `path` (which must stay valid) and write all that was declared.
tm_status tm_gguf_begin(tm_gguf_writer *writer, const char *path, tm_error *err);
// The next `n` values of the tensor at hand; whole rows. Goes on with the next tensor when one is full.
tm_status tm_gguf_write(tm_gguf_writer *writer, const float *values, uint64_t n, tm_error *err);
// Sync and close. TM_EINVAL if values are missing.
tm_status tm_gguf_end(tm_gguf_writer *writer, tm_error *err);
void tm_gguf_writer_clear(tm_gguf_writer *writer);  // also after a failure; the file stays as it is then
