// SPDX-License-Identifier: Apache-2.0
// Trees: snapshots that open as folders. A manifest object names the files; its hash is the tree's name.
//
//   "tidemill-tree 1\n" {"attributes":{...},"files":[["config.json","<32 hex>",1234],...]}
//
// Files are sorted by name; the JSON is compact with sorted keys, so equal contents mean equal names.
#pragma once

#include <jansson.h>

#include "engine/store.h"

typedef struct tm_tree_file {
    char *name;  // relative, '/' between folders, no "." or ".." or empty part
    tm_hash hash;
    uint64_t bytes;
} tm_tree_file;

typedef struct tm_tree {
    tm_tree_file *files;  // sorted by name
    size_t count;
    json_t *attributes;  // an object (step, prefix key, dtype, ...), borrowed by tm_tree_put
} tm_tree;

// Files are objects put before, as files of their own. `files` need not be sorted. attributes NULL: {}.
tm_status tm_tree_put(tm_store *store, const tm_tree *tree, tm_hash *hash, tm_error *err);
tm_status tm_tree_get(tm_store *store, tm_hash hash, tm_tree *tree, tm_error *err);
void tm_tree_clear(tm_tree *tree);
bool tm_tree_complete(tm_store *store, tm_hash hash);  // the manifest and all its files are there (by stat)
// The same where what could not be found out (no memory, an I/O error) must not count as missing.
tm_status tm_tree_look(tm_store *store, tm_hash hash, bool *complete, tm_error *err);

// Take a folder (best: in tmp/, see tm_store_tmp) into the store: its files are moved, the folder is removed.
tm_status tm_tree_put_folder(tm_store *store, const char *folder, json_t *attributes, tm_entry *entry,
                             tm_error *err);

// The folder trees/TREE of read-only hard links, made on first use; in a store that is only read, a folder of
// symbolic links in $TMPDIR that goes when the handle is closed. Pin the tree before.
tm_status tm_tree_folder(tm_store *store, tm_hash hash, char path[TM_PATH_MAX], tm_error *err);

enum {
    TM_PLACE_LINK = 1,    // hard links where the file system allows; else copies
    TM_PLACE_REPLACE = 2  // exchange with what is there (the old one is removed); else TM_EEXIST
};
// Put the files where people want them; the folder appears complete or not at all. Bytes are verified.
tm_status tm_tree_place(tm_store *store, tm_hash hash, const char *folder, unsigned flags, tm_error *err);
