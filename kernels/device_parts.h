// SPDX-License-Identifier: Apache-2.0
// The inside of a device, for device.c and dispatch.c alone.
#pragma once

#include "kernels/entries.h"

typedef struct tm_scratch_block {
    struct tm_scratch_block *below;
    size_t capacity, used;  // bytes after this head
} tm_scratch_block;

struct tm_device {
    const tm_entries *entries;  // an op is missing where its entry is NULL
    const char *name;
    tm_pool *pool;
    tm_scratch_block *scratch;  // top of the stack of blocks
    size_t pushed, peak;        // bytes pushed now, and at most so far
    tm_error failure;
};
