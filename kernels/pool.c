// SPDX-License-Identifier: Apache-2.0
// Threads take tiles by an atomic counter; idle ones sleep on a futex.
//
// A run is open while its caller still has tiles to hand out. A thread joins an open run and leaves it; the
// caller closes it and waits for those that joined. All of that is one word: number of the run (upper 32
// bits), whether it is open (bit 31), how many threads are in it (lower bits).
#include "kernels/pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/bytes.h"

#define OPEN 0x80000000u
#define INSIDE 0x7fffffffu

enum { spins = 1000, max_threads = 1024 };

typedef struct worker {
    tm_pool *pool;
    pthread_t thread;
    int lane;
} worker;

struct tm_pool {
    _Atomic uint64_t state;  // see above
    _Atomic uint32_t bell;   // rung for sleeping threads: a run opened, or the pool ends
    _Atomic uint32_t sleepers;
    _Atomic uint32_t left;  // rung for the caller when the last thread leaves a closed run
    _Atomic bool ending;
    char pad[64];
    _Atomic int64_t next;  // alone on its cache line
    char pad_after[64];
    int64_t n_tiles;
    tm_tile_fn *fn;
    void *arg;
    worker *workers;  // threads - 1 of them
    int threads;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void pause_cpu(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

static void tiles_take(tm_pool *pool, int lane)
{
    for (;;) {
        int64_t tile = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (tile >= pool->n_tiles) return;
        pool->fn(pool->arg, tile, lane);
    }
}

// Join the open run, if it is not the one already seen; false if there is none.
static bool run_join(tm_pool *pool, uint32_t *seen)
{
    uint64_t state = atomic_load(&pool->state);
    while ((state & OPEN) && (uint32_t)(state >> 32) != *seen)
        if (atomic_compare_exchange_weak(&pool->state, &state, state + 1)) {
            *seen = (uint32_t)(state >> 32);
            return true;
        }
    return false;
}

static void run_leave(tm_pool *pool)
{
    uint64_t before = atomic_fetch_sub(&pool->state, 1);
    if ((before & (OPEN | INSIDE)) == 1) {
        atomic_fetch_add(&pool->left, 1);
        futex_wake(&pool->left, 1);
    }
}

// Wait a little, then sleep until the bell rings.
static void idle(tm_pool *pool, uint32_t seen)
{
    uint32_t bell = atomic_load(&pool->bell);
    for (int i = 0; i < spins; i++) {
        uint64_t state = atomic_load_explicit(&pool->state, memory_order_relaxed);
        if (((state & OPEN) && (uint32_t)(state >> 32) != seen) || atomic_load(&pool->ending)) return;
        pause_cpu();
    }
    atomic_fetch_add(&pool->sleepers, 1);
    uint64_t state = atomic_load(&pool->state);
    bool work = (state & OPEN) && (uint32_t)(state >> 32) != seen;
    if (!work && !atomic_load(&pool->ending)) futex_wait(&pool->bell, bell);
    atomic_fetch_sub(&pool->sleepers, 1);
}

static void *worker_main(void *arg)
{
    worker *self = arg;
    tm_pool *pool = self->pool;
    uint32_t seen = 0;
    while (!atomic_load(&pool->ending)) {
        if (run_join(pool, &seen)) {
            tiles_take(pool, self->lane);
            run_leave(pool);
        } else {
            idle(pool, seen);
        }
    }
    return NULL;
}

static void bell_ring(tm_pool *pool)
{
    atomic_fetch_add(&pool->bell, 1);
    if (atomic_load(&pool->sleepers) > 0) futex_wake(&pool->bell, INT32_MAX);
}

static void threads_stop(tm_pool *pool)
{
    atomic_store(&pool->ending, true);
    bell_ring(pool);
    for (int i = 0; i < pool->threads - 1; i++) pthread_join(pool->workers[i].thread, NULL);
    atomic_store(&pool->ending, false);
    pool->threads = 1;
}

static tm_status threads_start(tm_pool *pool, int threads, tm_error *err)
{
    worker *workers = tm_realloc(pool->workers, sizeof *workers * (size_t)threads);
    if (workers == NULL) return tm_fail(err, TM_ENOMEM, "no memory for a pool of %d threads", threads);
    pool->workers = workers;
    for (int i = 0; i < threads - 1; i++) {
        workers[i] = (worker){.pool = pool, .lane = i + 1};
        errno = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (errno != 0) return tm_fail_errno(err, "cannot start thread %d of %d", i + 2, threads);
        pool->threads = i + 2;
    }
    return TM_OK;
}

tm_status tm_pool_resize(tm_pool *pool, int threads, tm_error *err)
{
    if (threads < 1 || threads > max_threads)
        return tm_fail(err, TM_EINVAL, "a pool has 1 to %d threads, not %d", max_threads, threads);
    if (threads == pool->threads) return TM_OK;
    threads_stop(pool);
    return threads_start(pool, threads, err);
}

tm_status tm_pool_new(int threads, tm_pool **pool, tm_error *err)
{
    tm_pool *made = tm_calloc(1, sizeof *made);
    if (made == NULL) return tm_fail(err, TM_ENOMEM, "no memory for a thread pool");
    made->threads = 1;
    tm_status status = tm_pool_resize(made, threads, err);
    if (status < 0) {
        tm_pool_free(made);
        return status;
    }
    *pool = made;
    return TM_OK;
}

void tm_pool_free(tm_pool *pool)
{
    if (pool == NULL) return;
    threads_stop(pool);
    tm_free(pool->workers);
    tm_free(pool);
}

int tm_pool_threads(const tm_pool *pool)
{
    return pool->threads;
}

static void run_close(tm_pool *pool)
{
    atomic_fetch_and(&pool->state, ~(uint64_t)OPEN);
    for (int i = 0; i < spins; i++) {
        if ((atomic_load(&pool->state) & INSIDE) == 0) return;
        pause_cpu();
    }
    for (;;) {
        uint32_t left = atomic_load(&pool->left);
        if ((atomic_load(&pool->state) & INSIDE) == 0) return;
        futex_wait(&pool->left, left);
    }
}

void tm_pool_run(tm_pool *pool, int64_t n_tiles, tm_tile_fn *fn, void *arg)
{
    if (pool->threads == 1 || n_tiles <= 1) {
        for (int64_t tile = 0; tile < n_tiles; tile++) fn(arg, tile, 0);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    pool->n_tiles = n_tiles;
    atomic_store(&pool->next, 0);
    uint64_t run = (atomic_load(&pool->state) >> 32) + 1;
    atomic_store(&pool->state, (uint32_t)run == 0 ? (uint64_t)1 << 32 | OPEN : run << 32 | OPEN);
    bell_ring(pool);
    tiles_take(pool, 0);
    run_close(pool);
}
