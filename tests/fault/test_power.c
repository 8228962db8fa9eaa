// SPDX-License-Identifier: Apache-2.0
// The power goes: whatever was not synced may be lost, in any combination, and nothing announced is.
#include "engine/base/random.h"
#include "tests/fault/fixture.h"

enum { MAX_TOLD = 16 };

// A life, its operations, and how many of them had happened at each promise.
typedef struct life {
    recording *rec;
    size_t mark[MAX_TOLD];
    promises made[MAX_TOLD];
    size_t count;
} life;

static void tell(const promises *made, void *arg)
{
    life *l = arg;
    l->mark[l->count] = recording_mark(l->rec);
    l->made[l->count++] = *made;
}

// `lives` runs in a row in one store, all of it recorded.
static life record(int lives)
{
    life l = {0};
    promises done = {0};
    l.rec = recording_begin(root);
    tm_status status = TM_OK;
    for (int i = 0; i < lives && status == TM_OK; i++)
        status = scenario_run(folder, RUN_WORK | RUN_GC, &done, tell, &l, &err);
    recording_end(l.rec);
    if (status < 0) fail_msg("%s", err.text);
    return l;
}

static promises promised_by(const life *l, size_t count)
{
    promises made = {0};
    for (size_t i = 0; i < l->count; i++)
        if (l->mark[i] <= count) made = l->made[i];
    return made;
}

static void cut_power(const life *l, size_t count, uint64_t seed)
{
    char to[TM_PATH_MAX];
    const char *what;
    promises made = promised_by(l, count);
    OK(tm_dir_remove(root, &err));
    OK(recording_replay(l->rec, count, seed, root, &err));
    snprintf(to, sizeof to, "%s/store", root);
    if (!scenario_kept(to, &made, &what, &err))
        fail_msg("power cut after %zu operations, seed %llu: %s not kept: %s", count,
                 (unsigned long long)seed, what, err.text);
}

static void a_power_cut_loses_nothing_announced(void **state)
{
    life l = record(1);
    size_t all = recording_mark(l.rec);
    assert_true(all > 100);
    for (size_t count = 0; count <= all; count++) cut_power(&l, count, 0);
    recording_free(l.rec);
}

static void any_subset_of_what_was_not_synced_may_survive(void **state)
{
    const char *more = getenv("TIDEMILL_FAULT_STATES");
    uint64_t states = more ? strtoull(more, NULL, 10) : 400;
    life l = record(2);
    size_t all = recording_mark(l.rec);
    for (uint64_t seed = 1; seed <= states; seed++) cut_power(&l, tm_random_below(9, 0, seed, all + 1), seed);
    recording_free(l.rec);
}

static void a_store_works_again_after_a_power_cut(void **state)
{
    life l = record(1);
    size_t all = recording_mark(l.rec);
    for (uint64_t seed = 1; seed <= 150; seed++) {
        size_t count = tm_random_below(10, 0, seed, all + 1);
        cut_power(&l, count, seed);
        must_succeed("power cut, seed", seed);
    }
    recording_free(l.rec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_power_cut_loses_nothing_announced),
        in_folder(any_subset_of_what_was_not_synced_may_survive),
        in_folder(a_store_works_again_after_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
