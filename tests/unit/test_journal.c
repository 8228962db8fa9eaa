// SPDX-License-Identifier: Apache-2.0
// Journals: numbers, lines, damage, following a live run.
#include <unistd.h>

#include "engine/journal.h"
#include "tests/unit/store_fixture.h"

static void add(tm_journal *j, const char *event, int n)
{
    json_t *fields = json_pack("{s:i}", "n", n);
    OK(tm_journal_append(j, event, fields, &err));
    json_decref(fields);
}

// "start:1 node:2 ..." of what can be read now; `reader` may be NULL for a new one.
static const char *events(tm_store *s, tm_journal_reader *reader)
{
    static char text[4096];
    tm_journal_reader *r = reader;
    json_t *record;
    tm_status status;
    text[0] = 0;
    if (!r) OK(tm_journal_reader_open(s, NULL, &r, &err));
    while ((status = tm_journal_reader_next(r, &record, &err)) == TM_OK) {
        size_t n = strlen(text);
        assert_true(json_integer_value(json_object_get(record, "t")) > 1700000000000);
        snprintf(text + n, sizeof text - n, "%s:%d ", json_string_value(json_object_get(record, "event")),
                 (int)json_integer_value(json_object_get(record, "n")));
        json_decref(record);
    }
    assert_int_equal(status, TM_AGAIN);
    if (!reader) tm_journal_reader_close(r);
    return text;
}

static const char *journal_path(const char *run)
{
    static char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%s/runs/%s/journal", store_path, run);
    return path;
}

static long size_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (long)info.st_size;
}

static void runs_are_numbered_from_one(void **state)
{
    tm_store *s = fresh(state);
    char run[32];
    for (int i = 1; i <= 11; i++) {
        tm_journal *j;
        char expected[32];
        OK(tm_journal_create(s, run, &j, &err));
        snprintf(expected, sizeof expected, "r%d", i);
        assert_string_equal(run, expected);
        tm_journal_close(j);
    }
    uint64_t *numbers;
    size_t count;
    OK(tm_run_list(s, &numbers, &count, &err));
    assert_int_equal(count, 11);
    for (size_t i = 0; i < count; i++) assert_int_equal(numbers[i], i + 1);
    tm_free(numbers);
    tm_journal_reader *r;
    assert_int_equal(tm_journal_reader_open(s, "r99", &r, &err), TM_ENOENT);
    assert_int_equal(tm_journal_reader_open(s, "../r1", &r, &err), TM_EINVAL);
}

static void what_was_written_is_read(void **state)
{
    tm_store *s = fresh(state);
    tm_journal *j;
    char run[32];
    OK(tm_journal_create(s, run, &j, &err));
    add(j, "start", 1);
    add(j, "node", 2);
    OK(tm_journal_append(j, "end", NULL, &err));
    OK(tm_journal_sync(j, &err));
    tm_journal_close(j);
    assert_string_equal(events(s, NULL), "start:1 node:2 end:0 ");
}

static void a_live_run_can_be_followed(void **state)
{
    tm_store *s = fresh(state);
    tm_journal *j;
    tm_journal_reader *r;
    char run[32];
    OK(tm_journal_create(s, run, &j, &err));
    OK(tm_journal_reader_open(s, run, &r, &err));
    assert_string_equal(events(s, r), "");
    add(j, "a", 1);
    assert_string_equal(events(s, r), "a:1 ");
    // Half a line is not there yet.
    FILE *f = fopen(journal_path(run), "ab");
    fputs("0123456789", f);
    fclose(f);
    assert_string_equal(events(s, r), "");
    tm_journal_close(j);
    OK(tm_journal_resume(s, run, &j, &err));
    add(j, "b", 2);
    assert_string_equal(events(s, r), "b:2 ");
    assert_int_equal(tm_journal_reader_bad(r), 0);
    tm_journal_reader_close(r);
    tm_journal_close(j);
}

static void a_torn_tail_is_cut_when_the_run_goes_on(void **state)
{
    tm_store *s = fresh(state);
    tm_journal *j;
    char run[32];
    OK(tm_journal_create(s, run, &j, &err));
    add(j, "a", 1);
    long one = size_of(journal_path(run));
    add(j, "b", 2);
    long two = size_of(journal_path(run));
    tm_journal_close(j);
    for (long cut = two - 1; cut >= one; cut -= 7) {
        assert_int_equal(truncate(journal_path(run), cut), 0);
        assert_string_equal(events(s, NULL), "a:1 ");
    }
    assert_int_equal(truncate(journal_path(run), two + 1000), 0);
    OK(tm_journal_resume(s, run, &j, &err));
    add(j, "c", 3);
    tm_journal_close(j);
    assert_string_equal(events(s, NULL), "a:1 c:3 ");
    assert_int_equal(size_of(journal_path(run)), two);  // "c" is as long as "b", and nothing is behind it
}

static void damaged_lines_are_passed_over_and_counted(void **state)
{
    tm_store *s = fresh(state);
    tm_journal *j;
    tm_journal_reader *r;
    char run[32];
    OK(tm_journal_create(s, run, &j, &err));
    add(j, "a", 1);
    long one = size_of(journal_path(run));
    add(j, "b", 2);
    long two = size_of(journal_path(run));
    add(j, "c", 3);
    tm_journal_close(j);
    for (long at = one; at < two - 1; at++) {
        damage(journal_path(run), (size_t)at);
        OK(tm_journal_reader_open(s, run, &r, &err));
        assert_string_equal(events(s, r), "a:1 c:3 ");
        assert_true(tm_journal_reader_bad(r) >= 1);
        tm_journal_reader_close(r);
        damage(journal_path(run), (size_t)at);
    }
    damage(journal_path(run), (size_t)two - 1);  // the end of the line: its successor is found within
    assert_string_equal(events(s, NULL), "a:1 c:3 ");
}

static void a_long_journal_is_read_whole(void **state)
{
    tm_store *s = fresh(state);
    tm_journal *j;
    tm_journal_reader *r;
    json_t *record;
    char run[32];
    OK(tm_journal_create(s, run, &j, &err));
    json_t *big = json_object();
    char *text = calloc(1, 200001);
    memset(text, 'x', 200000);
    json_object_set_new(big, "text", json_string(text));
    OK(tm_journal_append(j, "big", big, &err));
    for (int i = 0; i < 5000; i++) add(j, "e", i);
    OK(tm_journal_reader_open(s, NULL, &r, &err));
    for (int i = -1; i < 5000; i++) {
        OK(tm_journal_reader_next(r, &record, &err));
        if (i >= 0) assert_int_equal(json_integer_value(json_object_get(record, "n")), i);
        json_decref(record);
    }
    assert_int_equal(tm_journal_reader_next(r, &record, &err), TM_AGAIN);
    tm_journal_reader_close(r);
    tm_journal_close(j);
    json_decref(big);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(runs_are_numbered_from_one),
        in_folder(what_was_written_is_read),
        in_folder(a_live_run_can_be_followed),
        in_folder(a_torn_tail_is_cut_when_the_run_goes_on),
        in_folder(damaged_lines_are_passed_over_and_counted),
        in_folder(a_long_journal_is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
