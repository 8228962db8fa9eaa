// SPDX-License-Identifier: Apache-2.0
// The weights of a GGUF file as safetensors, a block of rows at a time.
#include <fcntl.h>
#include <stdlib.h>

#include "engine/base/io.h"
#include "stages/model/model_gguf.h"
#include "stages/model/model_gguf_names.h"

#define BLOCK_BYTES (4 << 20) // converted at a time, at least one row

// One parameter and where it comes from.
typedef struct source {
    const tm_gguf_tensor *tensor;
    uint64_t rows, width; // as they are converted: a vector is one row, unless its values change places
    uint64_t head;        // rows of a head that change places, or 0
} source;

typedef struct conversion {
    const tm_gguf *file;
    const tm_model_config *config;
    const tm_gguf_arch *arch;
    tm_param_map map;
    source *sources;       // by parameter
    tm_st_tensor *tensors; // in the order of the output; `data` has a size and no bytes
    tm_buf block;
} conversion;

static bool keeps(const tm_gguf_type *type, tm_st_dtype *dtype)
{
    *dtype = type->id == 1 ? TM_ST_F16 : type->id == 30 ? TM_ST_BF16 : TM_ST_F32;
    return type->block == 1;
}

static tm_status find_tensor(conversion *c, const tm_param *p, source *s, tm_error *err)
{
    char name[TM_GGUF_NAME];
    uint32_t heads = tm_gguf_heads(c->arch, c->config, p->name);
    if (!tm_gguf_name(p->name, name) || !(s->tensor = tm_gguf_tensor_find(c->file, name)))
        return tm_fail(err, TM_EFORMAT, "tensor %s is missing", name);
    const tm_gguf_tensor *t = s->tensor;
    if (t->rank != p->rank || memcmp(t->shape, p->shape, p->rank * sizeof p->shape[0]) != 0)
        return tm_fail(err, TM_EFORMAT, "tensor %s is [%llu,%llu], expected [%llu,%llu]", name,
                       (unsigned long long)t->shape[0], (unsigned long long)(t->rank > 1 ? t->shape[1] : 1),
                       (unsigned long long)p->shape[0], (unsigned long long)(p->rank > 1 ? p->shape[1] : 1));
    s->head = heads ? p->shape[0] / heads : 0;
    s->rows = p->rank > 1 || heads ? p->shape[0] : 1;
    s->width = p->count / s->rows;
    if (s->width % t->type->block == 0) return TM_OK;
    return tm_fail(err, TM_EFORMAT, "tensor %s: a bias in blocks", name);
}

static tm_status find_tensors(conversion *c, tm_error *err)
{
    size_t n = c->map.n_params, known = tm_gguf_tensor_find(c->file, TM_GGUF_ROPE) ? 1 : 0;
    c->sources = tm_calloc(n, sizeof *c->sources);
    c->tensors = tm_calloc(n, sizeof *c->tensors);
    if (!c->sources || !c->tensors) return tm_fail(err, TM_ENOMEM, "no memory for %zu tensors", n);
    for (size_t i = 0; i < n; i++) {
        const tm_param *p = &c->map.params[i];
        tm_st_tensor *to = &c->tensors[i];
        TM_TRY(find_tensor(c, p, &c->sources[i], err));
        *to = (tm_st_tensor){.name = p->name, .rank = p->rank};
        keeps(c->sources[i].tensor->type, &to->dtype);
        memcpy(to->shape, p->shape, sizeof p->shape);
        to->data.size = p->count * tm_st_dtype_bits(to->dtype) / 8;
    }
    if (c->file->n_tensors == n + known) return TM_OK;
    return tm_fail(err, TM_EFORMAT, "it has %zu tensors, a %s model of its shape %zu", c->file->n_tensors,
                   c->arch->name, n + known);
}

// Rows first .. first + n of a parameter, appended to the block.
static tm_status convert_rows(conversion *c, const source *s, uint64_t first, uint64_t n, tm_error *err)
{
    const tm_gguf_type *type = s->tensor->type;
    tm_st_dtype dtype;
    uint64_t width = s->width;
    uint64_t from_bytes = width / type->block * type->bytes;
    bool copied = keeps(type, &dtype);
    uint64_t to_bytes = width * tm_st_dtype_bits(dtype) / 8;
    tm_buf_reset(&c->block);
    if (!tm_buf_reserve(&c->block, n * to_bytes))
        return tm_fail(err, TM_ENOMEM, "no memory for %llu rows", (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t row = s->head ? tm_gguf_row(first + i, s->head) : first + i;
        const char *from = s->tensor->data.data + row * from_bytes;
        char *to = c->block.data + i * to_bytes;
        if (copied)
            memcpy(to, from, to_bytes);
        else
            type->expand(from, (float *)(void *)to, width / type->block);
    }
    c->block.size = n * to_bytes;
    return TM_OK;
}

static tm_status write_param(conversion *c, const tm_st_tensor *to, int fd, const char *path, tm_error *err)
{
    const source *s = &c->sources[tm_param_find(&c->map, to->name) - c->map.params];
    uint64_t rows = s->rows, row_bytes = to->data.size / rows;
    uint64_t step = row_bytes < BLOCK_BYTES ? BLOCK_BYTES / row_bytes : 1;
    for (uint64_t row = 0; row < rows; row += step) {
        TM_TRY(convert_rows(c, s, row, rows - row < step ? rows - row : step, err));
        TM_TRY(tm_fd_write(fd, c->block.data, c->block.size, path, err));
    }
    return TM_OK;
}

static tm_status write_file(conversion *c, const char *path, tm_error *err)
{
    tm_buf header = {0};
    int fd;
    TM_TRY(tm_fd_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err));
    tm_status status = tm_safetensors_header(c->tensors, c->map.n_params, NULL, 0, &header, err);
    if (status >= 0) status = tm_fd_write(fd, header.data, header.size, path, err);
    for (size_t i = 0; status >= 0 && i < c->map.n_params; i++)
        status = write_param(c, &c->tensors[i], fd, path, err);
    if (status >= 0) status = tm_fd_sync(fd, true, path, err);
    tm_buf_clear(&header);
    tm_status closed = tm_fd_close(fd, path, status < 0 ? NULL : err);
    return status < 0 ? status : closed;
}

tm_status tm_gguf_weights(const tm_gguf *file, const tm_model_config *config, const char *path, tm_error *err)
{
    conversion c = {.file = file, .config = config};
    tm_view name = {0};
    tm_gguf_text(file, "general.architecture", &name);
    c.arch = tm_gguf_arch_named(name);
    if (!c.arch) return tm_fail(err, TM_EUNSUPPORTED, "its architecture is not supported");
    tm_status status = tm_param_map_make(&c.map, config, err);
    if (status >= 0) status = find_tensors(&c, err);
    if (status >= 0) status = write_file(&c, path, err);
    tm_param_map_clear(&c.map);
    tm_free(c.sources);
    tm_free(c.tensors);
    tm_buf_clear(&c.block);
    return status;
}
