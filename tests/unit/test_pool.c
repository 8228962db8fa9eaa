// SPDX-License-Identifier: Apache-2.0
// The thread pool: every tile once, lanes apart, any number of threads.
#include <stdarg.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "kernels/pool.h"

enum { TILES = 1000, LANES_MOST = 8 };

typedef struct work {
    _Atomic int count[TILES];
    _Atomic int in_lane[LANES_MOST];
    _Atomic int clashes, lane_most;
} work;

static void tile(void *arg, int64_t t, int lane)
{
    work *w = arg;
    if (atomic_fetch_add(&w->in_lane[lane], 1) != 0) atomic_fetch_add(&w->clashes, 1);
    atomic_fetch_add(&w->count[t], 1);
    int most = atomic_load(&w->lane_most);
    while (lane > most && !atomic_compare_exchange_weak(&w->lane_most, &most, lane)) {
    }
    atomic_fetch_sub(&w->in_lane[lane], 1);
}

static void expect_each_tile_once(tm_pool *pool, int64_t n)
{
    static work w;
    memset(&w, 0, sizeof w);
    tm_pool_run(pool, n, tile, &w);
    for (int64_t t = 0; t < TILES; t++) assert_int_equal(atomic_load(&w.count[t]), t < n ? 1 : 0);
    assert_int_equal(atomic_load(&w.clashes), 0);
    assert_true(atomic_load(&w.lane_most) < tm_pool_threads(pool));
}

static void every_tile_runs_once_at_any_number_of_threads(void **state)
{
    for (int threads = 1; threads <= 5; threads++) {
        tm_pool *pool = NULL;
        assert_int_equal(tm_pool_new(threads, &pool, NULL), TM_OK);
        assert_int_equal(tm_pool_threads(pool), threads);
        for (int64_t n = 0; n <= TILES; n = n < 4 ? n + 1 : n * 3) expect_each_tile_once(pool, n);
        tm_pool_free(pool);
    }
}

static void many_short_runs_in_a_row_finish(void **state)
{
    tm_pool *pool = NULL;
    assert_int_equal(tm_pool_new(3, &pool, NULL), TM_OK);
    for (int i = 0; i < 3000; i++) expect_each_tile_once(pool, 2 + i % 5);
    tm_pool_free(pool);
}

static void threads_that_sleep_wake_up(void **state)
{
    tm_pool *pool = NULL;
    assert_int_equal(tm_pool_new(2, &pool, NULL), TM_OK);
    for (int i = 0; i < 5; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        expect_each_tile_once(pool, 50);
    }
    tm_pool_free(pool);
}

static void idle_threads_use_no_processor_time(void **state)
{
    tm_pool *pool = NULL;
    assert_int_equal(tm_pool_new(4, &pool, NULL), TM_OK);
    expect_each_tile_once(pool, 50);
    bool idle = false;
    for (int i = 0; !idle && i < 50; i++) {  // on a busy machine they may come to rest later
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        clock_t before = clock();
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        idle = clock() - before < CLOCKS_PER_SEC / 50;
    }
    assert_true(idle);
    tm_pool_free(pool);
}

static void the_number_of_threads_changes_between_runs(void **state)
{
    tm_pool *pool = NULL;
    assert_int_equal(tm_pool_new(2, &pool, NULL), TM_OK);
    const int sizes[] = {1, 4, 3, 1, 2};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tm_pool_resize(pool, sizes[i], NULL), TM_OK);
        assert_int_equal(tm_pool_threads(pool), sizes[i]);
        expect_each_tile_once(pool, 100);
    }
    tm_pool_free(pool);
}

static void a_pool_without_threads_is_refused(void **state)
{
    tm_pool *pool = NULL;
    tm_error err = {0};
    assert_int_equal(tm_pool_new(0, &pool, &err), TM_EINVAL);
    assert_string_equal(err.text, "a pool has 1 to 1024 threads, not 0");
    assert_null(pool);
}

static void failed_allocations_are_reported(void **state)
{
    for (uint64_t n = 1; n <= 2; n++) {
        tm_pool *pool = NULL;
        tm_alloc_fail_at(n, false);
        assert_int_equal(tm_pool_new(2, &pool, NULL), TM_ENOMEM);
        tm_alloc_fail_at(0, false);
        assert_null(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile_runs_once_at_any_number_of_threads),
        cmocka_unit_test(many_short_runs_in_a_row_finish),
        cmocka_unit_test(threads_that_sleep_wake_up),
        cmocka_unit_test(idle_threads_use_no_processor_time),
        cmocka_unit_test(the_number_of_threads_changes_between_runs),
        cmocka_unit_test(a_pool_without_threads_is_refused),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
