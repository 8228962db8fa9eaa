// SPDX-License-Identifier: Apache-2.0
// Open logs and memos: resume, cut, follow.
#include <unistd.h>

#include "engine/memo.h"
#include "engine/store_log.h"
#include "tests/unit/store_fixture.h"

static tm_hash h(const char *name)
{
    return tm_hash_of(name, strlen(name));
}

static tm_entry entry(int i)
{
    return (tm_entry){tm_hash_of(&i, sizeof i), 10 + (uint64_t)i, 1000};
}

static tm_log *open_log(tm_store *s)
{
    tm_log *log;
    OK(tm_log_open(s, h("recipe"), "out", &log, &err));
    return log;
}

static void a_killed_producer_finds_its_entries_and_cursors(void **state)
{
    tm_store *s = fresh(state);
    tm_log *log = open_log(s);
    assert_int_equal(tm_log_count(log), 0);
    OK(tm_log_sync(log, &err));
    OK(tm_log_append(log, entry(0), "{\"at\":1}", &err));
    OK(tm_log_append(log, entry(1), NULL, &err));
    OK(tm_log_sync(log, &err));
    tm_log_close(log);
    log = open_log(s);
    assert_int_equal(tm_log_count(log), 2);
    assert_string_equal(tm_log_cursor(log, 0), "{\"at\":1}");
    assert_string_equal(tm_log_cursor(log, 1), "");
    tm_entry e = tm_log_entry(log, 1), expected = entry(1);
    assert_memory_equal(&e, &expected, sizeof e);
    tm_log_close(log);
}

static void a_cut_opens_a_new_generation_for_followers(void **state)
{
    tm_store *s = fresh(state);
    tm_log *log = open_log(s), *follower = open_log(s);
    for (int i = 0; i < 4; i++) OK(tm_log_append(log, entry(i), NULL, &err));
    OK(tm_log_refresh(follower, &err));
    assert_int_equal(tm_log_count(follower), 4);
    uint64_t generation = tm_log_generation(follower);
    OK(tm_log_cut(log, 2, &err));
    OK(tm_log_append(log, entry(9), NULL, &err));
    OK(tm_log_refresh(follower, &err));
    assert_int_equal(tm_log_generation(follower), generation + 1);
    assert_int_equal(tm_log_count(follower), 3);
    assert_int_equal(tm_log_entry(follower, 2).rows, 19);
    tm_log_close(log);
    log = open_log(s);
    assert_int_equal(tm_log_count(log), 3);
    tm_log_close(log);
    tm_log_close(follower);
}

static void a_damaged_entry_ends_the_log_there(void **state)
{
    tm_store *s = fresh(state);
    tm_log *log = open_log(s);
    char path[TM_PATH_MAX], hex[TM_HASH_HEX];
    tm_hash_hex(h("recipe"), hex);
    snprintf(path, sizeof path, "%s/logs/%s/out", store_path, hex);
    struct stat info;
    for (int i = 0; i < 4; i++) {
        if (i == 1) assert_int_equal(stat(path, &info), 0);
        OK(tm_log_append(log, entry(i), NULL, &err));
    }
    tm_log_close(log);
    damage(path, (size_t)info.st_size + 20);  // entry 1
    log = open_log(s);
    assert_int_equal(tm_log_count(log), 1);
    OK(tm_log_append(log, entry(11), NULL, &err));
    tm_log_close(log);
    log = open_log(s);
    assert_int_equal(tm_log_count(log), 2);
    assert_int_equal(tm_log_entry(log, 1).rows, 21);
    tm_log_close(log);
}

static void a_damaged_cut_brings_nothing_back(void **state)
{
    tm_store *s = fresh(state);
    tm_log *log = open_log(s);
    char path[TM_PATH_MAX], hex[TM_HASH_HEX];
    tm_hash_hex(h("recipe"), hex);
    snprintf(path, sizeof path, "%s/logs/%s/out", store_path, hex);
    struct stat info;
    for (int i = 0; i < 3; i++) OK(tm_log_append(log, entry(i), NULL, &err));
    assert_int_equal(stat(path, &info), 0);
    OK(tm_log_cut(log, 1, &err));
    OK(tm_log_append(log, entry(11), NULL, &err));
    tm_log_close(log);
    damage(path, (size_t)info.st_size + 20);  // the cut
    log = open_log(s);
    assert_int_equal(tm_log_count(log), 2);
    assert_int_equal(tm_log_entry(log, 1).rows, 21);
    tm_log_close(log);
}

static void a_dropped_log_begins_empty(void **state)
{
    tm_store *s = fresh(state);
    tm_log *log = open_log(s);
    OK(tm_log_append(log, entry(0), NULL, &err));
    tm_log_close(log);
    OK(tm_log_drop(s, h("recipe"), &err));
    OK(tm_log_drop(s, h("recipe"), &err));
    log = open_log(s);
    assert_int_equal(tm_log_count(log), 0);
    tm_log_close(log);
    assert_int_equal(tm_log_open(s, h("recipe"), "../x", &log, &err), TM_EINVAL);
}

static void a_memo_gives_the_outputs_of_an_input(void **state)
{
    tm_store *s = fresh(state);
    tm_memo *memo;
    tm_entry kept[2] = {entry(1), entry(2)};
    OK(tm_memo_open(s, h("group"), 2, &memo, &err));
    assert_null(tm_memo_find(memo, h("input")));
    OK(tm_memo_add(memo, h("input"), (tm_memo_port[]){{kept, 2}, {NULL, 0}}, &err));
    OK(tm_memo_add(memo, h("empty"), (tm_memo_port[]){{NULL, 0}, {NULL, 0}}, &err));
    OK(tm_memo_sync(memo, &err));
    for (int again = 0; again < 2; again++) {
        const tm_memo_port *ports = tm_memo_find(memo, h("input"));
        assert_non_null(ports);
        assert_int_equal(ports[0].count, 2);
        assert_memory_equal(ports[0].entries, kept, sizeof kept);
        assert_int_equal(ports[1].count, 0);
        assert_non_null(tm_memo_find(memo, h("empty")));
        assert_int_equal(tm_memo_count(memo), 2);
        tm_memo_close(memo);
        OK(tm_memo_open(s, h("group"), 2, &memo, &err));
    }
    tm_entry other = entry(7);
    OK(tm_memo_add(memo, h("input"), (tm_memo_port[]){{&other, 1}, {&other, 1}}, &err));
    assert_int_equal(tm_memo_find(memo, h("input"))[1].count, 1);
    tm_memo_close(memo);
}

static void ten_thousand_memos_are_found(void **state)
{
    tm_store *s = fresh(state);
    tm_memo *memo;
    OK(tm_memo_open(s, h("group"), 1, &memo, &err));
    for (int i = 0; i < 10000; i++) {
        tm_entry e = entry(i);
        OK(tm_memo_add(memo, entry(-i - 1).hash, &(tm_memo_port){&e, 1}, &err));
    }
    tm_memo_close(memo);
    OK(tm_memo_open(s, h("group"), 1, &memo, &err));
    for (int i = 0; i < 10000; i++) {
        const tm_memo_port *p = tm_memo_find(memo, entry(-i - 1).hash);
        assert_non_null(p);
        assert_true(tm_hash_eq(p->entries[0].hash, entry(i).hash));
    }
    tm_memo_close(memo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_killed_producer_finds_its_entries_and_cursors),
        in_folder(a_cut_opens_a_new_generation_for_followers),
        in_folder(a_damaged_entry_ends_the_log_there),
        in_folder(a_damaged_cut_brings_nothing_back),
        in_folder(a_dropped_log_begins_empty),
        in_folder(a_memo_gives_the_outputs_of_an_input),
        in_folder(ten_thousand_memos_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
