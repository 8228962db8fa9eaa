// SPDX-License-Identifier: Apache-2.0
// What the files of the store share; nobody else includes this.
#pragma once

#include <pthread.h>

#include "engine/base/hash_map.h"
#include "engine/ledger.h"
#include "engine/store_key.h"

// No compressed object holds more: bounds what a damaged header can ask for.
enum { TM_PACK_UP_TO = 64 << 20 };

// An object file that is put but not yet durable.
typedef struct tm_pending {
    tm_hash hash;
    bool packed;  // the file has the suffix .z
    bool reused;  // somebody else wrote it, and may have announced it
} tm_pending;

// The key records in memory.
typedef struct tm_key_node {
    tm_record record;
    struct tm_key_node *before;  // the one before with the same own key
    tm_key_port *ports;
    char *json;
} tm_key_node;

typedef struct tm_keys {
    tm_ledger *ledger;
    tm_key_node **nodes;  // in order of the ledger
    size_t count, capacity;
    uint64_t generation;                        // grows when nodes go, so that numbers change
    tm_hash_map by_content, by_recipe, by_own;  // -> index in nodes
} tm_keys;

struct tm_store {
    char folder[TM_PATH_MAX];
    unsigned flags;
    pthread_mutex_t syncing;  // held by the sync at work, over `placed`
    pthread_mutex_t mutex;    // over everything below but keys
    char session[17];         // name of this handle's file in pins/, "" before the first write
    int pin_fd;               // locked for as long as the handle lives; hashes, 16 bytes each, none: unpinned
    uint64_t n_pins;          // places in that file
    uint64_t n_tmp;
    char scratch[240];       // where a handle that only reads makes folders of trees, "" before the first
    tm_hash_map pinned;  // hash -> place in the file << 32 | how often
    tm_pending *pending;
    size_t n_pending, pending_capacity;
    tm_hash_map is_pending;
    bool placed[256];      // objects/ab is known to be durable in objects/
    tm_hash_map verified;  // hash -> stat key of the file that was found good
    tm_keys keys;
};

// Paths. The folder's length leaves room for all of these.
tm_status tm_store_at(const tm_store *store, char path[TM_PATH_MAX], tm_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
tm_status tm_object_path(const tm_store *store, tm_hash hash, bool packed, char path[TM_PATH_MAX],
                         tm_error *err);

// The lock between publishers (LOCK_SH) and gc (LOCK_EX); *fd is closed to leave.
tm_status tm_store_enter(tm_store *store, int operation, int *fd, tm_error *err);
void tm_store_leave(int fd);

// Gives this handle its session: needed before anything is written or pinned.
tm_status tm_store_session(tm_store *store, tm_error *err);
tm_status tm_store_writable(const tm_store *store, tm_error *err);

// Where an object is now: raw or packed. TM_ENOENT.
tm_status tm_object_find(const tm_store *store, tm_hash hash, char path[TM_PATH_MAX], bool *packed,
                         struct stat *info, tm_error *err);
// What an object is, by its first bytes; artifacts and trees are never compressed.
typedef enum { TM_OBJECT_ABSENT, TM_OBJECT_PLAIN, TM_OBJECT_ARTIFACT, TM_OBJECT_TREE } tm_object_kind;
tm_status tm_object_kind_of(const tm_store *store, tm_hash hash, tm_object_kind *kind, tm_error *err);

// Move a bad object into trash and say so; returns TM_ECORRUPT.
tm_status tm_object_condemn(tm_store *store, tm_hash hash, const char *path, tm_error *err);
// A finished file in tmp/ becomes an object (or is removed, when that is there already and good).
tm_status tm_object_publish(tm_store *store, const char *tmp, tm_hash hash, bool packed, tm_error *err);
tm_status tm_pending_add(tm_store *store, tm_pending object, tm_error *err);

tm_status tm_keys_open(tm_store *store, tm_error *err);
void tm_keys_close(tm_store *store);
// Keep the nodes for which `keep` is set (by index) and rewrite the ledger without the others.
tm_status tm_keys_compact(tm_store *store, const bool *keep, tm_error *err);
