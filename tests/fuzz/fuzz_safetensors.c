// SPDX-License-Identifier: Apache-2.0
// Safetensors: tensors cover the data once and in order, and what is written for them reads as the same file.
#include "stages/format/safetensors.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static void check_again(tm_safetensors *file)
{
    tm_buf bytes = {0};
    tm_safetensors again;
    tm_st_tensor *tensors = calloc(file->n_tensors + 1, sizeof *tensors);
    memcpy(tensors, file->tensors, file->n_tensors * sizeof *tensors);
    if (tm_safetensors_header(tensors, file->n_tensors, file->meta, file->n_meta, &bytes, NULL) < 0) abort();
    for (size_t i = 0; i < file->n_tensors; i++)
        tm_buf_add(&bytes, tensors[i].data.data, tensors[i].data.size);
    if (tm_safetensors_parse(&again, tm_buf_view(&bytes), NULL) < 0) abort();
    for (size_t i = 0; i < file->n_tensors; i++) {
        const tm_st_tensor *t = tm_safetensors_find(&again, file->tensors[i].name);
        if (!t || !tm_view_eq(t->data, file->tensors[i].data)) abort();
    }
    tm_safetensors_close(&again);
    tm_buf_clear(&bytes);
    free(tensors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_safetensors file;
    if (tm_safetensors_parse(&file, tm_view_of(data, size), NULL) < 0) return 0;
    size_t total = 0;
    for (size_t i = 0; i < file.n_tensors; i++) total += file.tensors[i].data.size;
    if (total + 8 > size) abort();
    if (!tm_safetensors_meta(&file, "format")) check_again(&file);
    tm_safetensors_close(&file);
    return 0;
}
