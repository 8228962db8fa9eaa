// SPDX-License-Identifier: Apache-2.0
// The thread pool that all ops share.
//
// Work is a number of tiles that depends on shapes alone; threads take tiles as they become free. Since a
// tile computes the same thing whoever takes it, results have the same bits at any number of threads. The
// caller works too: a pool of 1 has no threads at all. Idle threads spin for a few microseconds and then
// sleep, and a run never waits for a thread that has not yet started on it, so that two processes can share
// the cores.
#pragma once

#include "engine/base/status.h"

typedef struct tm_pool tm_pool;

// One tile of a run. `lane` < tm_pool_threads() is held by one thread at a time: use it to pick scratch
// memory, never to decide what is computed.
typedef void tm_tile_fn(void *arg, int64_t tile, int lane);

// `threads` >= 1, the calling thread included.
tm_status tm_pool_new(int threads, tm_pool **pool, tm_error *err);
void tm_pool_free(tm_pool *pool);  // NULL is fine

// Change the number of threads between two runs: a trainer gives up a core at a step boundary. On failure the
// pool keeps the threads it could start.
tm_status tm_pool_resize(tm_pool *pool, int threads, tm_error *err);
int tm_pool_threads(const tm_pool *pool);

// Call fn for every tile in 0 .. n_tiles, in any order, on any thread; returns when all are done. One run at
// a time, and none from inside a tile.
void tm_pool_run(tm_pool *pool, int64_t n_tiles, tm_tile_fn *fn, void *arg);
