// SPDX-License-Identifier: Apache-2.0
// Messages between scheduler and worker over a socket that cuts them anywhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/wire.h"

typedef struct pair {
    int fds[2];
    tm_wire a, b;
} pair;

static tm_error err;

static int begin(void **state)
{
    pair *p = calloc(1, sizeof *p);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, p->fds)) return -1;
    tm_wire_init(&p->a, p->fds[0]);
    tm_wire_init(&p->b, p->fds[1]);
    *state = p;
    return 0;
}

static int end(void **state)
{
    pair *p = *state;
    tm_wire_clear(&p->a);
    tm_wire_clear(&p->b);
    for (int i = 0; i < 2; i++)
        if (p->fds[i] >= 0) close(p->fds[i]);
    free(p);
    return 0;
}

static void expect(tm_wire *wire, const char *op)
{
    json_t *message = NULL;
    assert_int_equal(tm_wire_poll(wire, &message, &err), TM_OK);
    assert_string_equal(json_string_value(json_object_get(message, "op")), op);
    json_decref(message);
}

static void messages_arrive_in_order(void **state)
{
    pair *p = *state;
    json_t *message = NULL;
    assert_int_equal(tm_wire_poll(&p->b, &message, &err), TM_AGAIN);
    for (int i = 0; i < 3; i++)
        tm_wire_put(&p->a, json_pack("{s:s}", "op", i == 0 ? "one" : i == 1 ? "two" : "three"), &err);
    assert_int_equal(tm_wire_flush(&p->a, &err), TM_OK);
    expect(&p->b, "one");
    expect(&p->b, "two");
    expect(&p->b, "three");
    assert_int_equal(tm_wire_poll(&p->b, &message, &err), TM_AGAIN);
}

static void a_message_that_comes_byte_by_byte_is_whole_at_its_last_byte(void **state)
{
    pair *p = *state;
    static const char bytes[] = "\14\0\0\0{\"op\":\"end\"}";
    enum { N = sizeof bytes - 1 };
    for (size_t i = 0; i < N; i++) {
        json_t *message = NULL;
        assert_int_equal(write(p->fds[0], bytes + i, 1), 1);
        assert_int_equal(tm_wire_poll(&p->b, &message, &err), i + 1 < N ? TM_AGAIN : TM_OK);
        json_decref(message);
    }
}

static void a_message_bigger_than_the_socket_takes_several_flushes(void **state)
{
    pair *p = *state;
    size_t n = 3 << 20;
    char *big = malloc(n + 1);
    memset(big, 'x', n);
    big[n] = 0;
    tm_wire_put(&p->a, json_pack("{s:s}", "op", big), &err);
    assert_int_equal(tm_wire_flush(&p->a, &err), TM_AGAIN);
    json_t *message = NULL;
    tm_status got = TM_AGAIN;
    while (got == TM_AGAIN) {
        tm_wire_flush(&p->a, &err);
        got = tm_wire_poll(&p->b, &message, &err);
    }
    assert_int_equal(got, TM_OK);
    assert_int_equal(json_string_length(json_object_get(message, "op")), n);
    json_decref(message);
    free(big);
}

static void what_is_no_message_is_refused(void **state)
{
    pair *p = *state;
    json_t *message = NULL;
    assert_int_equal(write(p->fds[0], "\3\0\0\0{x}", 7), 7);
    assert_int_equal(tm_wire_poll(&p->b, &message, &err), TM_EFORMAT);
    assert_null(message);
    assert_int_equal(write(p->fds[0], "\377\377\377\377", 4), 4);
    assert_int_equal(tm_wire_poll(&p->b, &message, &err), TM_EFORMAT);
}

static void the_end_of_the_peer_comes_after_its_last_message(void **state)
{
    pair *p = *state;
    json_t *message = NULL;
    assert_int_equal(tm_wire_send(&p->a, json_pack("{s:s}", "op", "last"), &err), TM_OK);
    close(p->fds[0]);
    p->fds[0] = -1;
    assert_int_equal(tm_wire_receive(&p->b, &message, &err), TM_OK);
    json_decref(message);
    assert_int_equal(tm_wire_receive(&p->b, &message, &err), TM_DONE);
    assert_int_equal(tm_wire_poll(&p->b, &message, &err), TM_DONE);
    assert_int_equal(tm_wire_send(&p->b, json_pack("{s:s}", "op", "late"), &err), TM_EIO);
}

static void an_entry_survives_the_way(void **state)
{
    (void)state;
    tm_entry entry = {tm_hash_of("x", 1), 12, 1ull << 40}, back = {0};
    json_t *message = json_pack("{s:s}", "op", "put");
    tm_wire_entry(message, &entry);
    assert_true(tm_wire_read_entry(message, &back));
    assert_true(tm_hash_eq(entry.hash, back.hash));
    assert_true(back.rows == 12 && back.bytes == 1ull << 40);
    json_object_set_new(message, "hash", json_string("00"));
    assert_false(tm_wire_read_entry(message, &back));
    json_decref(message);
}

#define with_pair(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_pair(messages_arrive_in_order),
        with_pair(a_message_that_comes_byte_by_byte_is_whole_at_its_last_byte),
        with_pair(a_message_bigger_than_the_socket_takes_several_flushes),
        with_pair(what_is_no_message_is_refused),
        with_pair(the_end_of_the_peer_comes_after_its_last_message),
        cmocka_unit_test(an_entry_survives_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
