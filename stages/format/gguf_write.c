// SPDX-License-Identifier: Apache-2.0
// Writing GGUF files: the header from what was declared, then values as they come.
#include <fcntl.h>

#include "engine/base/io.h"
#include "stages/format/gguf.h"
#include "stages/format/half.h"

#define ALIGNMENT 32
#define PACK_VALUES 8192 // converted at a time; a multiple of every block

static void put_text(tm_buf *out, tm_view text)
{
    tm_buf_le64(out, text.size);
    tm_buf_add(out, text.data ? text.data : "", text.size);
}

static void put_key(tm_gguf_writer *w, const char *key, tm_gguf_kind kind)
{
    put_text(&w->values, tm_view_str(key));
    tm_buf_le32(&w->values, kind);
    w->n_values++;
}

void tm_gguf_put_integer(tm_gguf_writer *w, const char *key, uint32_t value)
{
    put_key(w, key, TM_GGUF_U32);
    tm_buf_le32(&w->values, value);
}

void tm_gguf_put_number(tm_gguf_writer *w, const char *key, double value)
{
    put_key(w, key, TM_GGUF_F32);
    tm_buf_le32(&w->values, tm_float_bits((float)value));
}

void tm_gguf_put_flag(tm_gguf_writer *w, const char *key, bool value)
{
    put_key(w, key, TM_GGUF_BOOL);
    tm_buf_char(&w->values, value);
}

void tm_gguf_put_text(tm_gguf_writer *w, const char *key, tm_view value)
{
    put_key(w, key, TM_GGUF_TEXT);
    put_text(&w->values, value);
}

void tm_gguf_put_list(tm_gguf_writer *w, const char *key, tm_gguf_kind element, uint64_t count)
{
    put_key(w, key, TM_GGUF_LIST);
    tm_buf_le32(&w->values, element);
    tm_buf_le64(&w->values, count);
}

void tm_gguf_add_text(tm_gguf_writer *w, tm_view text)
{
    put_text(&w->values, text);
}

void tm_gguf_add_integer(tm_gguf_writer *w, int32_t value)
{
    tm_buf_le32(&w->values, (uint32_t)value);
}

static tm_status add_space(tm_gguf_writer *w, const tm_gguf_type *type, uint64_t n, tm_error *err)
{
    if (w->n_tensors == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 64;
        void *spaces = tm_realloc(w->spaces, capacity * sizeof *w->spaces);
        if (!spaces) return tm_fail(err, TM_ENOMEM, "no memory for %zu tensors", capacity);
        w->spaces = spaces;
        w->capacity = capacity;
    }
    w->spaces[w->n_tensors++] = (struct tm_gguf_space){type, n};
    return TM_OK;
}

tm_status tm_gguf_put_tensor(tm_gguf_writer *w, const char *name, const tm_gguf_type *type, uint32_t rank,
                             const uint64_t *shape, tm_error *err)
{
    uint64_t n = 1;
    if (strlen(name) >= TM_GGUF_NAME || rank < 1 || rank > TM_GGUF_RANK)
        return tm_fail(err, TM_EINVAL, "tensor %s: names have up to 63 bytes, shapes 1 to 4 dimensions",
                       name);
    if (!type->pack || shape[rank - 1] == 0 || shape[rank - 1] % type->block)
        return tm_fail(err, TM_EINVAL, "tensor %s: rows of %llu cannot be %s", name,
                       (unsigned long long)shape[rank - 1], type->name);
    put_text(&w->infos, tm_view_str(name));
    tm_buf_le32(&w->infos, rank);
    for (uint32_t i = rank; i-- > 0; n *= shape[i]) tm_buf_le64(&w->infos, shape[i]);
    tm_buf_le32(&w->infos, type->id);
    tm_buf_le64(&w->infos, w->offset);
    w->offset += (n / type->block * type->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return add_space(w, type, n, err);
}

static tm_status write_header(tm_gguf_writer *w, tm_error *err)
{
    static const char zeros[ALIGNMENT];
    tm_buf head = {0};
    tm_buf_add(&head, "GGUF", 4);
    tm_buf_le32(&head, 3);
    tm_buf_le64(&head, w->n_tensors);
    tm_buf_le64(&head, w->n_values);
    size_t size = head.size + w->values.size + w->infos.size;
    tm_status status = tm_buf_status(&head, err);
    if (status >= 0) status = tm_fd_write(w->fd, head.data, head.size, w->path, err);
    if (status >= 0) status = tm_fd_write(w->fd, w->values.data, w->values.size, w->path, err);
    if (status >= 0) status = tm_fd_write(w->fd, w->infos.data, w->infos.size, w->path, err);
    if (status >= 0) status = tm_fd_write(w->fd, zeros, -size % ALIGNMENT, w->path, err);
    tm_buf_clear(&head);
    return status;
}

tm_status tm_gguf_begin(tm_gguf_writer *w, const char *path, tm_error *err)
{
    TM_TRY(tm_buf_status(&w->values, err));
    TM_TRY(tm_buf_status(&w->infos, err));
    int fd;
    TM_TRY(tm_fd_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err));
    w->fd = fd;
    w->path = path;
    return write_header(w, err);
}

// Converts and writes `n` values of the tensor at hand.
static tm_status write_part(tm_gguf_writer *w, const tm_gguf_type *type, const float *values, size_t n,
                            tm_error *err)
{
    size_t blocks = n / type->block, bytes = blocks * type->bytes;
    tm_buf_reset(&w->pack);
    if (!tm_buf_reserve(&w->pack, bytes)) return tm_fail(err, TM_ENOMEM, "no memory to convert numbers");
    type->pack(values, w->pack.data, blocks);
    return tm_fd_write(w->fd, w->pack.data, bytes, w->path, err);
}

static tm_status end_tensor(tm_gguf_writer *w, tm_error *err)
{
    static const char zeros[ALIGNMENT];
    const struct tm_gguf_space *space = &w->spaces[w->at++];
    uint64_t bytes = space->n / space->type->block * space->type->bytes;
    w->done = 0;
    return tm_fd_write(w->fd, zeros, -bytes % ALIGNMENT, w->path, err);
}

tm_status tm_gguf_write(tm_gguf_writer *w, const float *values, uint64_t n, tm_error *err)
{
    while (n) {
        const struct tm_gguf_space *space = w->at < w->n_tensors ? &w->spaces[w->at] : NULL;
        if (!space || n % space->type->block)
            return tm_fail(err, TM_EINVAL, "%s: more values than its tensors have, or parts of blocks",
                           w->path);
        uint64_t part = space->n - w->done;
        if (part > n) part = n;
        if (part > PACK_VALUES) part = PACK_VALUES;
        TM_TRY(write_part(w, space->type, values, part, err));
        values += part;
        n -= part;
        w->done += part;
        if (w->done == space->n) TM_TRY(end_tensor(w, err));
    }
    return TM_OK;
}

tm_status tm_gguf_end(tm_gguf_writer *w, tm_error *err)
{
    if (w->at != w->n_tensors)
        return tm_fail(err, TM_EINVAL, "%s: values of %llu tensors are missing", w->path,
                       (unsigned long long)(w->n_tensors - w->at));
    TM_TRY(tm_fd_sync(w->fd, true, w->path, err));
    tm_status status = tm_fd_close(w->fd, w->path, err);
    w->path = NULL;
    return status;
}

void tm_gguf_writer_clear(tm_gguf_writer *w)
{
    if (w->path) tm_sys.close(w->fd);
    tm_buf_clear(&w->values);
    tm_buf_clear(&w->infos);
    tm_buf_clear(&w->pack);
    tm_free(w->spaces);
    *w = (tm_gguf_writer){0};
}
