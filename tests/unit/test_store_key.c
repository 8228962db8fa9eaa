// SPDX-License-Identifier: Apache-2.0
// Key records: first binding wins, looking up, other processes.
#include "engine/store_key.h"
#include "tests/unit/store_fixture.h"

static tm_hash h(const char *name)
{
    return tm_hash_of(name, strlen(name));
}

static tm_bind_outcome bind_as(tm_store *s, const char *own, const char *recipe, const char *content,
                               const char *artifact, bool replace)
{
    tm_key_port port = {"out", h(artifact)};
    tm_record r = {.own = h(own),
                   .recipe = h(recipe),
                   .content = h(content),
                   .epoch = 3,
                   .ports = &port,
                   .n_ports = 1,
                   .json = "{\"node\":\"clean\"}"};
    tm_bind_outcome outcome;
    OK(tm_key_bind(s, &r, replace, &outcome, &err));
    return outcome;
}

static void check(tm_store *s)
{
    const tm_record *r = tm_key_by_content(s, h("c1"));
    assert_non_null(r);
    assert_true(tm_hash_eq(r->ports[0].artifact, h("A")));
    assert_string_equal(r->ports[0].name, "out");
    assert_string_equal(r->json, "{\"node\":\"clean\"}");
    assert_int_equal(r->epoch, 3);
    assert_true(r->time_ms > 0);
    r = tm_key_by_recipe(s, h("r1"));
    assert_true(tm_hash_eq(r->content, h("c2")));
    r = tm_key_by_own(s, h("o"));
    assert_true(tm_hash_eq(r->content, h("c2")));
    r = tm_key_before(s, r);
    assert_true(tm_hash_eq(r->content, h("c1")));
    assert_null(tm_key_before(s, r));
    assert_null(tm_key_by_content(s, h("other")));
    assert_int_equal(tm_key_count(s), 2);
    assert_true(tm_hash_eq(tm_key_at(s, 0)->content, h("c1")));
    assert_null(tm_key_at(s, 2));
}

static void records_are_found_by_every_key_also_after_opening_again(void **state)
{
    tm_store *s = fresh(state);
    assert_int_equal(bind_as(s, "o", "r1", "c1", "A", false), TM_BIND_WON);
    assert_int_equal(bind_as(s, "o", "r1", "c2", "B", false), TM_BIND_WON);
    check(s);
    OK(tm_store_sync(s, &err));
    tm_store_close(s);
    check(reopen(state, TM_STORE_READ_ONLY));
}

static void the_first_binding_wins(void **state)
{
    tm_store *s = fresh(state);
    assert_int_equal(bind_as(s, "o", "r", "c", "A", false), TM_BIND_WON);
    assert_int_equal(bind_as(s, "o", "r", "c", "A", false), TM_BIND_SAME);
    assert_int_equal(tm_key_count(s), 1);
    assert_int_equal(bind_as(s, "o", "r", "c", "B", false), TM_BIND_DIFFERENT);
    assert_true(tm_hash_eq(tm_key_by_content(s, h("c"))->ports[0].artifact, h("A")));
    assert_int_equal(bind_as(s, "o", "r", "c", "B", true), TM_BIND_DIFFERENT);
    assert_true(tm_hash_eq(tm_key_by_content(s, h("c"))->ports[0].artifact, h("B")));
}

static void an_alias_is_recorded(void **state)
{
    tm_store *s = fresh(state);
    bind_as(s, "o", "r1", "c", "A", false);
    assert_int_equal(bind_as(s, "o", "r2", "c", "A", false), TM_BIND_SAME);
    assert_true(tm_hash_eq(tm_key_by_recipe(s, h("r2"))->content, h("c")));
    assert_non_null(tm_key_by_recipe(s, h("r1")));
}

static void two_handles_agree_on_the_winner(void **state)
{
    tm_store *s = fresh(state), *t;
    OK(tm_store_open(store_path, 0, &t, &err));
    assert_int_equal(bind_as(s, "o", "r", "c", "A", false), TM_BIND_WON);
    assert_null(tm_key_by_content(t, h("c")));
    OK(tm_key_refresh(t, &err));
    assert_non_null(tm_key_by_content(t, h("c")));
    assert_int_equal(bind_as(t, "o", "r", "d", "B", false), TM_BIND_WON);
    assert_int_equal(bind_as(s, "o", "r", "d", "C", false), TM_BIND_DIFFERENT);
    tm_store_close(t);
}

static void a_dropped_record_is_gone_for_everybody(void **state)
{
    tm_store *s = fresh(state);
    bind_as(s, "o", "r", "c1", "A", false);
    bind_as(s, "o", "r", "c2", "B", false);
    bind_as(s, "o", "r", "c3", "C", false);
    OK(tm_key_drop(s, h("c2"), &err));
    OK(tm_key_drop(s, h("never"), &err));
    for (int again = 0; again < 2; again++) {
        assert_null(tm_key_by_content(s, h("c2")));
        assert_int_equal(tm_key_count(s), 2);
        const tm_record *r = tm_key_by_own(s, h("o"));
        assert_true(tm_hash_eq(r->content, h("c3")));
        assert_true(tm_hash_eq(tm_key_before(s, r)->content, h("c1")));
        tm_store_close(s);
        s = reopen(state, 0);
    }
    assert_int_equal(bind_as(s, "o", "r", "c2", "D", false), TM_BIND_WON);
}

static void records_with_many_ports_and_none_are_kept(void **state)
{
    tm_store *s = fresh(state);
    tm_key_port ports[5];
    tm_bind_outcome outcome;
    for (int i = 0; i < 5; i++) {
        snprintf(ports[i].name, sizeof ports[i].name, "port%d", i);
        ports[i].artifact = tm_hash_of(&i, sizeof i);
    }
    tm_record five = {.content = h("five"), .ports = ports, .n_ports = 5, .time_ms = 77};
    tm_record none = {.content = h("none")};
    OK(tm_key_bind(s, &five, false, &outcome, &err));
    OK(tm_key_bind(s, &none, false, &outcome, &err));
    tm_store_close(s);
    s = reopen(state, 0);
    const tm_record *r = tm_key_by_content(s, h("five"));
    assert_int_equal(r->n_ports, 5);
    assert_int_equal(r->time_ms, 77);
    assert_string_equal(r->json, "{}");
    for (int i = 0; i < 5; i++) assert_string_equal(r->ports[i].name, ports[i].name);
    assert_int_equal(tm_key_by_content(s, h("none"))->n_ports, 0);
}

static void a_store_opened_for_a_worker_reads_no_keys(void **state)
{
    tm_store *s = fresh(state);
    bind_as(s, "o", "r", "c", "A", false);
    tm_store_close(s);
    s = reopen(state, TM_STORE_NO_KEYS);
    assert_int_equal(tm_key_count(s), 0);
    tm_record r = {.content = h("x")};
    tm_bind_outcome outcome;
    assert_int_equal(tm_key_bind(s, &r, false, &outcome, &err), TM_EINVAL);
    OK(tm_store_sync(s, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(records_are_found_by_every_key_also_after_opening_again),
        in_folder(the_first_binding_wins),
        in_folder(an_alias_is_recorded),
        in_folder(two_handles_agree_on_the_winner),
        in_folder(a_dropped_record_is_gone_for_everybody),
        in_folder(records_with_many_ports_and_none_are_kept),
        in_folder(a_store_opened_for_a_worker_reads_no_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
