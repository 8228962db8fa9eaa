// SPDX-License-Identifier: Apache-2.0
// The files of a graph: the graph file and what it requires, all in one folder and below it.
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"

#define TM_GRAPH_FILE_MAX (4u << 20)    // bytes of one file
#define TM_GRAPH_FILES_MAX (16u << 20)  // bytes of all
#define TM_GRAPH_FILES 512              // how many

typedef struct tm_graph_files {
    char name[256];    // of the graph file, without its folder
    int folder;        // descriptor of the folder, or -1
    size_t n, bytes;
    json_t *list;      // [{"path", "hash"}]
} tm_graph_files;

// Read the graph file, or take `given` for what it says if that is not NULL. TM_ENOENT: there is none.
tm_status tm_graph_files_open(tm_graph_files *files, const char *path, const char *given, tm_buf *text,
                              tm_error *err);

// Read the file of module `name`: "a.b" is a/b.lua in the folder of the graph file, and its path is written.
// Names are letters, digits, '_' and '-'; links are not followed, and only plain files are read.
tm_status tm_graph_files_require(tm_graph_files *files, const char *name, char path[256], tm_buf *text,
                                 tm_error *err);

const char *tm_graph_files_name(const tm_graph_files *files);
json_t *tm_graph_files_json(const tm_graph_files *files);  // new reference
void tm_graph_files_close(tm_graph_files *files);
