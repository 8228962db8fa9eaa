// SPDX-License-Identifier: Apache-2.0
#include "engine/code.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static json_t *code(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void expect(const char *before, const char *after, const char *difference)
{
    char text[256] = "same";
    json_t *b = code(before), *a = code(after);
    assert_int_equal(tm_code_difference(b, a, text, sizeof text), strcmp(difference, "same") != 0);
    assert_string_equal(text, difference);
    json_decref(b);
    json_decref(a);
}

static void a_changed_token_is_named_with_its_line(void **state)
{
    (void)state;
    expect("{\"$code\":{\"each\":{\"tokens\":[\"(\",\"d\",\")\",\"f\",\"end\"],\"lines\":[1,1,1,2,3]}}}",
           "{\"$code\":{\"each\":{\"file\":\"g.lua\",\"tokens\":[\"(\",\"d\",\")\",\"g\",\"end\"],\"lines\":[1,1,1,7,8]}}}",
           "each changed, line 7 of g.lua: f end -> g end");
}

static void what_a_function_uses_is_named_with_old_and_new_value(void **state)
{
    (void)state;
    expect("{\"$code\":{\"each\":{\"tokens\":[],\"uses\":{\"limit\":3}}}}",
           "{\"$code\":{\"each\":{\"tokens\":[],\"uses\":{\"limit\":4}}}}", "each uses limit: 3 -> 4");
    expect("{\"$code\":{\"each\":{\"tokens\":[],\"uses\":{\"r\":{\"float\":0.5}}}}}",
           "{\"$code\":{\"each\":{\"tokens\":[],\"uses\":{\"r\":{\"library\":\"math.huge\"}}}}}",
           "each uses r: 0.5 -> math.huge");
}

static void places_and_texts_do_not_count(void **state)
{
    (void)state;
    static const char one[] =
        "{\"$code\":{\"each\":{\"file\":\"a.lua\",\"line\":1,\"text\":\"() end\",\"tokens\":[\"(\"],"
        "\"lines\":[1],\"uses\":{}}}}";
    static const char two[] =
        "{\"$code\":{\"each\":{\"file\":\"b.lua\",\"line\":9,\"text\":\"(  ) end\",\"tokens\":[\"(\"],"
        "\"lines\":[9],\"uses\":{}}}}";
    expect(one, two, "same");
    json_t *a = code(one), *b = code(two), *x = tm_code_for_document(a), *y = tm_code_for_document(b);
    assert_false(json_equal(x, y));
    tm_code_strip(x);
    tm_code_strip(y);
    assert_true(json_equal(x, y));
    json_decref(a);
    json_decref(b);
    json_decref(x);
    json_decref(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_token_is_named_with_its_line),
        cmocka_unit_test(what_a_function_uses_is_named_with_old_and_new_value),
        cmocka_unit_test(places_and_texts_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
