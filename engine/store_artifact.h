// SPDX-License-Identifier: Apache-2.0
// Artifacts: sealed logs, stored as one object that lists the entries.
//
// The artifact's name is the hash of these bytes (little-endian), so equal kind and entries mean equal
// artifact:
//
//   "tidemill-artifact 1\n"  u32 length, kind  u32 flags  u64 count  { hash[16] u64 rows u64 bytes } * count
#pragma once

#include "engine/store.h"

typedef struct tm_artifact {
    char kind[32];      // name of the port's type: "text", "tokens", "model", "metrics", ...
    bool trees;         // the entries are tree manifests (snapshots)
    tm_entry *entries;  // in log order
    size_t count;
    uint64_t rows;  // sums over the entries
    uint64_t bytes;
} tm_artifact;

// The name alone, without a store. Zero hash (tm_hash_none) without memory.
tm_hash tm_artifact_hash(const char *kind, bool trees, const tm_entry *entries, size_t count);
tm_status tm_artifact_put(tm_store *store, const char *kind, bool trees, const tm_entry *entries,
                          size_t count, tm_hash *hash, tm_error *err);
tm_status tm_artifact_get(tm_store *store, tm_hash hash, tm_artifact *artifact, tm_error *err);
void tm_artifact_clear(tm_artifact *artifact);

// Whether the artifact and the bytes of every entry (for trees: of the manifest and all its files) are there.
bool tm_artifact_complete(tm_store *store, tm_hash hash);
