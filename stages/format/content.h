// SPDX-License-Identifier: Apache-2.0
// The content of files: mapped for reading, or a list of pieces to be written without joining them.
#pragma once

#include "engine/base/bytes.h"

// A file as it is to be written: a name without folders, and the pieces whose concatenation is its content.
// Pieces are borrowed.
typedef struct tm_content {
    const char *name;
    const tm_view *pieces;
    size_t n_pieces;
} tm_content;

// Map a file read-only; an empty file gives an empty view with no mapping. TM_ENOENT, TM_EIO name the path.
tm_status tm_content_map(const char *path, tm_view *bytes, tm_error *err);
void tm_content_unmap(tm_view bytes);

// Write `path` through `path.tmp`, sync, rename: a reader sees the old file or the whole new one.
tm_status tm_content_write(const char *path, const tm_view *pieces, size_t n_pieces, tm_error *err);
