// SPDX-License-Identifier: Apache-2.0
// Ledgers: order, torn tails, damage, several writers, replacement.
#include <unistd.h>

#include "engine/ledger.h"
#include "tests/unit/store_fixture.h"

typedef struct seen {
    char text[4096];  // payloads, each followed by '|'; "!" for a reset
} seen;

static tm_status take(tm_view payload, void *arg, tm_error *e)
{
    seen *s = arg;
    size_t n = strlen(s->text);
    if (!payload.data) strcpy(s->text, "!");
    else snprintf(s->text + n, sizeof s->text - n, "%.*s|", (int)payload.size, payload.data);
    return TM_OK;
}

static const char *file(void)
{
    static char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%s/ledger", root);
    return path;
}

static tm_ledger *open_it(seen *s)
{
    tm_ledger *l;
    s->text[0] = 0;
    OK(tm_ledger_open(file(), "test", take, s, &l, &err));
    return l;
}

static void add(tm_ledger *l, const char *text)
{
    OK(tm_ledger_append(l, text, strlen(text), &err));
}

static void expect(const char *text)
{
    seen s;
    tm_ledger_close(open_it(&s));
    assert_string_equal(s.text, text);
}

static long size_of(void)
{
    struct stat info;
    assert_int_equal(stat(file(), &info), 0);
    return (long)info.st_size;
}

static void records_come_back_in_order(void **state)
{
    seen s;
    tm_ledger *l = open_it(&s);
    assert_string_equal(s.text, "");
    add(l, "one");
    add(l, "");
    add(l, "three333");
    OK(tm_ledger_sync(l, &err));
    tm_ledger_close(l);
    expect("one||three333|");
}

static void a_torn_tail_is_not_read_and_the_next_append_cuts_it(void **state)
{
    seen s;
    tm_ledger *l = open_it(&s);
    add(l, "one");
    long one = size_of();
    add(l, "a longer second one");
    long two = size_of();
    tm_ledger_close(l);
    for (long cut = one; cut < two; cut++) {
        tm_buf bytes = {0};
        OK(tm_file_read(file(), &bytes, &err));
        assert_int_equal(truncate(file(), cut), 0);
        expect("one|");
        l = open_it(&s);
        add(l, "new");
        tm_ledger_close(l);
        expect("one|new|");
        OK(tm_file_write(file(), bytes.data, bytes.size, false, &err));
        tm_buf_clear(&bytes);
    }
    expect("one|a longer second one|");
}

static void every_flipped_bit_loses_at_most_its_own_record(void **state)
{
    seen s;
    tm_ledger *l = open_it(&s);
    add(l, "first");
    long from = size_of();
    add(l, "second");
    long to = size_of();
    add(l, "third");
    tm_ledger_close(l);
    for (long at = from; at < to; at++) {
        damage(file(), (size_t)at);
        l = open_it(&s);
        // Padding is not covered by the sum: nothing is lost when it changes.
        if (at < to - 2) {
            assert_string_equal(s.text, "first|third|");
            assert_int_equal(tm_ledger_bad_bytes(l), to - from);
        }
        tm_ledger_close(l);
        damage(file(), (size_t)at);
    }
    for (long at = 0; at < 24; at++) {
        damage(file(), (size_t)at);
        expect("first|second|third|");
        damage(file(), (size_t)at);
    }
    damage(file(), 9);
    l = open_it(&s);
    add(l, "fourth");  // writes the head anew
    tm_ledger_close(l);
    assert_int_equal(tm_ledger_open(file(), "other", take, &s, &l, &err), TM_EFORMAT);
    expect("first|second|third|fourth|");
}

static void a_record_copied_elsewhere_is_not_a_record(void **state)
{
    seen s;
    tm_buf bytes = {0};
    tm_ledger *l = open_it(&s);
    add(l, "one");
    tm_ledger_close(l);
    OK(tm_file_read(file(), &bytes, &err));
    tm_buf_add(&bytes, bytes.data + 24, 24);
    OK(tm_file_write(file(), bytes.data, bytes.size, false, &err));
    tm_buf_clear(&bytes);
    expect("one|");
}

static void two_handles_see_one_another(void **state)
{
    seen a, b;
    tm_ledger *x = open_it(&a), *y = open_it(&b);
    add(x, "1");
    add(y, "2");
    add(x, "3");
    assert_string_equal(b.text, "1|");
    OK(tm_ledger_refresh(y, &err));
    assert_string_equal(b.text, "1|3|");
    assert_string_equal(a.text, "2|");
    tm_ledger_close(x);
    tm_ledger_close(y);
    expect("1|2|3|");
}

static void a_replaced_file_is_read_anew(void **state)
{
    seen a, b;
    tm_ledger *x = open_it(&a), *y = open_it(&b);
    add(x, "1");
    add(x, "2");
    OK(tm_ledger_refresh(y, &err));
    OK(tm_ledger_lock(x, &err));
    OK(tm_ledger_replace(x, (tm_view[]){tm_view_str("two")}, 1, &err));
    tm_ledger_unlock(x);
    OK(tm_ledger_refresh(y, &err));
    assert_string_equal(b.text, "!two|");
    add(y, "3");
    add(x, "4");
    assert_string_equal(a.text, "3|");
    tm_ledger_close(x);
    tm_ledger_close(y);
    expect("two|3|4|");
}

static void large_records_and_many_records_are_read(void **state)
{
    seen s;
    tm_ledger *l = open_it(&s);
    char *big = malloc(3 << 20);
    memset(big, 'x', 3 << 20);
    OK(tm_ledger_append(l, big, 3 << 20, &err));
    for (int i = 0; i < 50000; i++) OK(tm_ledger_append(l, big, 40, &err));
    OK(tm_ledger_append(l, "end", 3, &err));
    uint64_t bytes = tm_ledger_bytes(l);
    tm_ledger_close(l);
    free(big);
    l = open_it(&s);
    assert_int_equal(tm_ledger_bytes(l), bytes);
    assert_int_equal(tm_ledger_bad_bytes(l), 0);
    tm_ledger_close(l);
}

// As a reader sees it who copies pages while others write: an early frame incomplete, a later one whole.
static int stale_reads;

static ssize_t stale_pread(int fd, void *data, size_t size, off_t at)
{
    ssize_t n = pread(fd, data, size, at);
    if (n >= 48 && stale_reads-- > 0) memset((char *)data + 17, 0, 4);
    return n;
}

static void a_frame_that_is_being_written_is_not_passed_over(void **state)
{
    seen a, b;
    tm_ledger *writer = open_it(&a), *reader = open_it(&b);
    add(writer, "0");
    OK(tm_ledger_refresh(reader, &err));
    add(writer, "first");
    add(writer, "second");
    stale_reads = 1;
    tm_sys.pread = stale_pread;
    OK(tm_ledger_refresh(reader, &err));
    assert_int_equal(stale_reads, -1);
    assert_string_equal(b.text, "0|first|second|");
    assert_int_equal(tm_ledger_bad_bytes(reader), 0);
    tm_ledger_close(writer);
    tm_ledger_close(reader);
}

static void a_file_of_another_kind_is_refused(void **state)
{
    seen s;
    tm_ledger *l = open_it(&s);
    add(l, "one");
    tm_ledger_close(l);
    assert_int_equal(tm_ledger_open(file(), "other", take, &s, &l, &err), TM_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(records_come_back_in_order),
        in_folder(a_torn_tail_is_not_read_and_the_next_append_cuts_it),
        in_folder(every_flipped_bit_loses_at_most_its_own_record),
        in_folder(a_record_copied_elsewhere_is_not_a_record),
        in_folder(two_handles_see_one_another),
        in_folder(a_replaced_file_is_read_anew),
        in_folder(large_records_and_many_records_are_read),
        in_folder(a_frame_that_is_being_written_is_not_passed_over),
        in_folder(a_file_of_another_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
