// SPDX-License-Identifier: Apache-2.0
// Hashes of files, remembered by what the file system says of them, so that a corpus is not read anew for
// every plan.
//
// A file is known by device, inode, size, and the times of its last change to the nanosecond (contents and
// inode). As git does with its index, a hash is kept only if both times lay well before it was made: a file
// that is written twice within a tick of the clock would look the same. The memory is one file that is
// replaced as a whole: a sum guards it, a damaged one is as good as none, and of two that are written at once
// one is lost, which costs a reading.
#pragma once

#include "engine/base/hash.h"
#include "engine/base/io.h"

typedef struct tm_file_memory tm_file_memory;

enum { TM_FILE_MEMORY_MAX = 1 << 18 };  // files; those not used for longest are forgotten

tm_status tm_file_memory_open(const char *path, tm_file_memory **memory, tm_error *err);
// Write it down if there is news. Its folder must be there.
tm_status tm_file_memory_save(tm_file_memory *memory, tm_error *err);
void tm_file_memory_close(tm_file_memory *memory);  // NULL is fine; saves nothing

// XXH3-128 of the bytes of a file. `memory` may be NULL: then it is read.
tm_status tm_file_hash(const char *path, tm_file_memory *memory, tm_hash *hash, tm_error *err);
