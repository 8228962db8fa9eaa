// SPDX-License-Identifier: Apache-2.0
// The files that a source names: "docs", "corpus/**/*.html", "pages.tar.gz", "manual.deb" -> a root and a
// glob.
#pragma once

#include <jansson.h>

#include "engine/base/file_memory.h"
#include "stages/format/archive.h"

typedef struct tm_corpus {
    char root[TM_PATH_MAX];   // absolute
    char match[512];          // glob over member paths, or ""
    size_t n_folder;          // bytes of `root` that are not of the path as it was written
    char shown[512];          // as the user wrote it
} tm_corpus;

// Take a path as written (relative to `folder`) apart. `match` (may be empty) is a further glob for members.
tm_status tm_corpus_parse(tm_corpus *corpus, const char *folder, const char *path, const char *match,
                          tm_error *err);

// What will be read: adds {"PATH": hash} for every file, PATH relative to the root, to `files`. `memory` may
// be NULL. TM_ENOENT if there is nothing.
tm_status tm_corpus_identity(const tm_corpus *corpus, tm_file_memory *memory, json_t *files, tm_error *err);

// Whether its glob matches nothing in a folder of these files, nor in archives among them. False where that
// is not known: of a file, and where reading fails.
bool tm_corpus_empty(const tm_corpus *corpus, const json_t *files);
