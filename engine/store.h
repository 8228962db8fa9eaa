// SPDX-License-Identifier: Apache-2.0
// The store: where entries, artifacts and keys live. This page: opening it, and objects.
//
//   .tidemill/
//     format                  "tidemill store 1"
//     objects/ab/cdef...      bytes named by their XXH3-128; `.z`: the same bytes in a zstd frame
//     keys                    ledger: which artifact a content key has           (store_key.h)
//     logs/RECIPE/PORT        ledger: entries of a producer that has not ended   (store_log.h)
//     memo/GROUP              ledger: input entry -> output entries              (memo.h)
//     trees/TREE/...          snapshots as folders of hard links                 (store_tree.h)
//     leases/RECIPE           who works on a recipe                              (lease.h)
//     runs/rN/journal         what happened                                      (journal.h)
//     pins/SESSION            what an open store must not lose to gc             (store_gc.h)
//     tmp  trash              files being written; files being deleted
//     lock  gc-lock           gc against publishers; one gc at a time
//
// An object is *visible* to every process when its put returns, *durable* after tm_store_sync of a handle
// that put it (or claimed it). Objects never change: files are mode 0444 and appear by a rename that does not
// replace. Bytes are checked against their name whenever they are read; what does not match is moved aside
// (TM_ECORRUPT) and from then on missing, so the work that makes it runs again.
//
// Threads: put, get, has, size, pin and sync may be called from any thread; everything else one at a time.
#pragma once

#include "engine/base/hash.h"
#include "engine/base/io.h"

typedef struct tm_store tm_store;

// One entry of a log: a chunk, a snapshot (the hash of its tree manifest) or a row group.
typedef struct tm_entry {
    tm_hash hash;
    uint64_t rows;   // records; 1 for a snapshot
    uint64_t bytes;  // canonical, uncompressed; of all its files for a snapshot
} tm_entry;

enum {
    TM_STORE_CREATE = 1,     // make it when the folder is not there (or empty)
    TM_STORE_READ_ONLY = 2,  // never write; pins are not possible
    TM_STORE_NO_KEYS = 4,    // for workers: do not read the key records
    TM_STORE_MAYBE = 8       // where there is none, an empty one that is only read; nothing is made
};

// A store in a folder that this process may not write to is opened TM_STORE_READ_ONLY, unless with CREATE.
// TM_ENOENT: no store there. TM_EFORMAT: made by another version, or no store at all.
tm_status tm_store_open(const char *folder, unsigned flags, tm_store **store, tm_error *err);
void tm_store_close(tm_store *store);  // NULL is fine. Syncs nothing; drops the pins
const char *tm_store_folder(const tm_store *store);

// --- Writing -----------------------------------------------------------------------------------------------
enum {
    TM_PUT_COMPRESS = 1,  // zstd when it helps (not above 64 MiB)
    TM_PUT_FILE = 2       // must be a file of its own, as in a tree: never compressed
};

tm_status tm_store_put(tm_store *store, const void *data, size_t size, unsigned flags, tm_hash *hash,
                       tm_error *err);

// A big object in pieces; it is a raw file. `expected` bytes are reserved on disk at once (0: not known).
// commit and abort free the writer; after a failed add only abort is legal. abort(NULL) is fine.
typedef struct tm_store_writer tm_store_writer;
tm_status tm_store_writer_new(tm_store *store, uint64_t expected, tm_store_writer **writer, tm_error *err);
tm_status tm_store_writer_add(tm_store_writer *writer, const void *data, size_t size, tm_error *err);
tm_status tm_store_writer_commit(tm_store_writer *writer, tm_hash *hash, uint64_t *bytes, tm_error *err);
void tm_store_writer_abort(tm_store_writer *writer);

// A path for a new file or folder in tmp/, unique, swept by gc after this handle is closed.
tm_status tm_store_tmp(tm_store *store, char path[TM_PATH_MAX], tm_error *err);

// An existing file as an object: copied, or with `take` (a file in tmp/) renamed.
tm_status tm_store_put_file(tm_store *store, const char *path, bool take, tm_hash *hash, uint64_t *bytes,
                            tm_error *err);

// Make everything put, claimed or bound through this handle durable: files, then folders, then keys. After
// a failed fsync the bytes are written to a new file, once; when that fails too, the object is removed if
// this handle made it (its writer must put it again), and the call fails with what happened. Where threads
// share a handle one of them is told, on behalf of all.
tm_status tm_store_sync(tm_store *store, tm_error *err);

// Count objects that another process made visible (a worker that died), with all that an artifact or a tree
// refers to, among those the next sync makes durable. TM_ENOENT when something is missing.
tm_status tm_store_claim(tm_store *store, const tm_hash *hashes, size_t count, tm_error *err);

// --- Reading -----------------------------------------------------------------------------------------------
// Bytes of an object; clear after use. Big raw objects are mapped, the rest is memory.
typedef struct tm_blob {
    const char *data;  // NUL-terminated when not mapped
    size_t size;
    bool mapped;
} tm_blob;
tm_status tm_store_get(tm_store *store, tm_hash hash, tm_blob *blob, tm_error *err);  // ENOENT, ECORRUPT
void tm_blob_clear(tm_blob *blob);

bool tm_store_has(tm_store *store, tm_hash hash);  // a stat; does not verify
// Path of an object that is a raw file (put with TM_PUT_FILE or by a writer), for mmap or for other programs;
// not verified. TM_ENOENT when it is missing or not a raw file.
tm_status tm_store_path(tm_store *store, tm_hash hash, char path[TM_PATH_MAX], tm_error *err);
// Read it all and compare with its name; what was checked once by this handle and has the same size, time and
// inode is not read again. A corrupt object is moved aside.
tm_status tm_store_check(tm_store *store, tm_hash hash, tm_error *err);

// Keep an object, and what an artifact or a tree refers to, from gc until this handle closes; pin before you
// look whether it exists. Cheap (one small write); pinning again is free. Where a store is only read there is
// nothing to keep it from, and nothing is done.
tm_status tm_store_pin(tm_store *store, tm_hash hash, tm_error *err);
// Take one pin back: as many as there were pins.
tm_status tm_store_unpin(tm_store *store, tm_hash hash, tm_error *err);
