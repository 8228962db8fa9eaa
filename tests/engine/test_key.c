// SPDX-License-Identifier: Apache-2.0
// Keys: what belongs to them, what does not, and the first difference in words.
#include "engine/key.h"
#include "tests/engine/toy_graph.h"

static tm_hash own_of(const char *text, const char *name)
{
    tm_graph *g = toy_graph(text);
    json_t *doc = tm_key_own_doc(tm_graph_find(g, name));
    tm_hash hash = tm_key_hash(doc);
    json_decref(doc);
    tm_graph_free(g);
    return hash;
}

static tm_hash family_of(const char *text, const char *name)
{
    tm_graph *g = toy_graph(text);
    json_t *doc = tm_key_family_doc(tm_graph_find(g, name));
    tm_hash hash = tm_key_hash(doc);
    json_decref(doc);
    tm_graph_free(g);
    return hash;
}

static void options_that_matter_change_the_key_and_others_do_not(void **state)
{
    (void)state;
    tm_hash plain = own_of("n = numbers {\"to\": 9}\nreturn n", "n");
    assert_true(tm_hash_eq(plain, own_of("n = numbers {\"to\": 9, \"delay_ms\": 5}\nreturn n", "n")));
    assert_true(tm_hash_eq(plain, own_of("n = numbers {\"cut\": 10, \"to\": 9.0}\nreturn n", "n")));
    assert_true(tm_hash_eq(plain, own_of("x = numbers {\"to\": 9}\nreturn x", "x")));
    assert_false(tm_hash_eq(plain, own_of("n = numbers {\"to\": 8}\nreturn n", "n")));
    assert_false(tm_hash_eq(plain, own_of("n = numbers {\"to\": 9, \"note\": \"x\"}\nreturn n", "n")));
}

static void a_family_leaves_out_how_far_a_run_goes(void **state)
{
    (void)state;
    static const char base[] = "n = numbers {\"to\": 9}\nm = learn {\"steps\": 5} data:n\nreturn m";
    static const char longer[] = "n = numbers {\"to\": 9}\nm = learn {\"steps\": 9} data:n\nreturn m";
    static const char other[] =
        "n = numbers {\"to\": 9}\nm = learn {\"steps\": 5, \"rate\": 0.1} data:n\nreturn m";
    assert_false(tm_hash_eq(own_of(base, "m"), own_of(longer, "m")));
    assert_true(tm_hash_eq(family_of(base, "m"), family_of(longer, "m")));
    assert_false(tm_hash_eq(family_of(base, "m"), family_of(other, "m")));
    assert_false(tm_hash_eq(family_of(base, "m"), own_of(base, "m")));
}

static void a_key_once_given_is_given_again(void **state)
{
    (void)state;
    json_t *doc = json_pack("{s:s, s:i, s:{s:f, s:b}}", "stage", "x", "version", 1, "options", "rate", 0.1,
                            "b", 1);
    char hex[TM_HASH_HEX];
    tm_hash_hex(tm_key_hash(doc), hex);
    assert_string_equal(hex, "351018dc9f1cda44090dc1f7808a6eb7");
    json_decref(doc);
}

static void inputs_count_with_their_ports_and_selectors(void **state)
{
    (void)state;
    tm_graph *g = toy_graph(
        "n = numbers {\"to\": 9}\nm = learn {\"steps\": 5} data:n\ns = score {} 1:m\nreturn s");
    tm_link link = tm_graph_find(g, "s")->links[0];
    tm_hash hash = tm_hash_of("x", 1);
    json_t *last = tm_key_input(&link, "hash", hash);
    link.select = (tm_select){.kind = TM_SELECT_LATEST};
    json_t *latest = tm_key_input(&link, "hash", hash);
    link.select = (tm_select){.kind = TM_SELECT_EACH, .every = 5};
    json_t *each = tm_key_input(&link, "hash", hash);
    assert_true(json_equal(last, latest));
    assert_false(json_equal(last, each));
    json_t *one = json_pack("{s:O}", "a", last), *two = json_pack("{s:O}", "b", last);
    assert_false(tm_hash_eq(tm_key_with_inputs(hash, one), tm_key_with_inputs(hash, two)));
    json_decref(one);
    json_decref(two);
    json_decref(last);
    json_decref(latest);
    json_decref(each);
    tm_graph_free(g);
}

static void differs(const char *before, const char *after, const char *words)
{
    json_t *b = json_loads(before, 0, NULL), *a = json_loads(after, 0, NULL);
    char text[256] = "";
    assert_true(tm_key_difference(b, a, text, sizeof text));
    assert_string_equal(text, words);
    json_decref(a);
    json_decref(b);
}

static void a_difference_is_said_in_words(void **state)
{
    (void)state;
    char text[256];
    json_t *same = json_loads("{\"a\": [1, {\"b\": 2}]}", 0, NULL);
    assert_false(tm_key_difference(same, same, text, sizeof text));
    json_decref(same);
    differs("{\"options\": {\"threshold\": 0.8}}", "{\"options\": {\"threshold\": 0.7}}",
            "options threshold 0.8 -> 0.7");
    differs("{\"version\": 1}", "{\"version\": 2}", "version 1 -> 2");
    differs("{\"options\": {\"options\": {\"least\": 1}}}", "{\"options\": {\"options\": {\"least\": 2}}}",
            "options least 1 -> 2");
    differs("{\"options\": {}}", "{\"options\": {\"new\": \"x\"}}", "options new none -> \"x\"");
    differs("{\"options\": {\"old\": true}}", "{\"options\": {}}", "options old true -> none");
    differs("{\"h\": \"00112233445566778899aabbccddeeff\"}", "{\"h\": \"ffeeddccbbaa99887766554433221100\"}",
            "h 0011 -> ffee");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_matter_change_the_key_and_others_do_not),
        cmocka_unit_test(a_family_leaves_out_how_far_a_run_goes),
        cmocka_unit_test(a_key_once_given_is_given_again),
        cmocka_unit_test(inputs_count_with_their_ports_and_selectors),
        cmocka_unit_test(a_difference_is_said_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
