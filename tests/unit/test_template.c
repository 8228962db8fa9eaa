// SPDX-License-Identifier: Apache-2.0
#include "stages/text/template.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/io.h"
#include "tests/unit/text_fixture.h"

static tm_error err;

static tm_status render_with(const char *source, const json_t *variables, tm_rendering *r)
{
    tm_template *template;
    err = (tm_error){0};
    TM_TRY(tm_template_parse(tm_view_str(source), &template, &err));
    tm_status status = tm_template_render(template, variables, r, &err);
    tm_template_free(template);
    return status;
}

static void check_case(json_t *row)
{
    tm_rendering r = {0};
    tm_buf source = {0};
    char path[256];
    const char *name = json_string_value(json_object_get(row, "template"));
    const json_t *text = json_object_get(row, "text"), *spans = json_object_get(row, "spans");
    snprintf(path, sizeof path, "tests/fixtures/templates/%s", name);
    assert_int_equal(tm_file_read(path, &source, &err), TM_OK);
    if (render_with(source.data, json_object_get(row, "variables"), &r) < 0)
        fail_msg("%s: %s", name, err.text);
    if (!tm_view_eq(tm_buf_view(&r.text), tm_view_of(json_string_value(text), json_string_length(text))))
        fail_msg("%s gives \"%s\", not \"%s\"", name, r.text.data, json_string_value(text));
    assert_int_equal(r.n_spans, json_array_size(spans));
    for (size_t i = 0; i < r.n_spans; i++) {
        assert_int_equal(r.spans[i].from, json_integer_value(json_array_get(json_array_get(spans, i), 0)));
        assert_int_equal(r.spans[i].to, json_integer_value(json_array_get(json_array_get(spans, i), 1)));
    }
    tm_rendering_clear(&r);
    tm_buf_clear(&source);
}

static void templates_of_published_models_give_what_transformers_gives(void **state)
{
    (void)state;
    assert_true(fixture_lines("tests/fixtures/templates/cases.jsonl", check_case) >= 40);
}

// Renders with two messages.
static tm_status render(const char *source, tm_rendering *r)
{
    json_t *given = json_loads("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},"
                               "{\"role\":\"assistant\",\"content\":\"ho\"}]}",
                               0, NULL);
    tm_status status = render_with(source, given, r);
    json_decref(given);
    return status;
}

static void gives(const char *source, const char *text)
{
    tm_rendering r = {0};
    if (render(source, &r) < 0) fail_msg("%s: %s", source, err.text);
    assert_string_equal(r.text.data ? r.text.data : "", text);
    tm_rendering_clear(&r);
}

static void refused(const char *source, tm_status status, const char *why)
{
    tm_rendering r = {0};
    assert_int_equal(render(source, &r), status);
    if (!strstr(err.text, why)) fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    tm_rendering_clear(&r);
}

static void white_space_goes_as_in_jinja(void **state)
{
    (void)state;
    gives("  {% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb");
    gives("x  {%- if true -%}  \n y {%- endif %}\n\nz", "xy\nz");
    gives("a {# c #}\nb{{ 1 }}\nc", "a b1\nc");
    gives(" {%+ if true %}\nx{% endif +%}\ny", " x\ny");
}

static void items_are_put_in_order(void **state)
{
    (void)state;
    gives("{{ [3, 1, 2] | sort }}{{ ['b', 'A', 'a'] | sort(reverse=true) }}", "[1, 2, 3]['b', 'A', 'a']");
    gives("{% for m in [{'n': 2, 'x': 1}, {'n': 1}, {'n': 2, 'x': 3}] | sort(attribute='n') %}{{ m.x }};"
          "{% endfor %}",
          ";1;3;");
    gives("{{ [3, 1, 2] | min }}{{ ['b', 'B', 'a'] | max }}{{ [] | max }}", "1b");
}

static void what_is_added_to_safe_text_is_escaped(void **state)
{
    (void)state;
    gives("{{ '<b>' | safe + \"<'\" }}{{ '\"&' + ('<' | safe) }}", "<b>&lt;&#39;&#34;&amp;<");
    gives("{{ '<' ~ ('>' | safe) ~ '&' }}{{ '<' + '>' }}{{ '<' | safe }}", "<>&<><");
}

static void what_is_no_jinja_here_is_refused_before_anything_is_rendered(void **state)
{
    (void)state;
    refused("a\n{{ x | shuffle }}", TM_EUNSUPPORTED, "line 2: filter \"shuffle\" is not known here");
    refused("{% include 'x' %}", TM_EUNSUPPORTED, "statement \"include\"");
    refused("{{ x is divisible }}", TM_EUNSUPPORTED, "test \"divisible\"");
    refused("{% for x in y recursive %}{% endfor %}", TM_EUNSUPPORTED, "recursive");
    refused("{% if x %}", TM_EFORMAT, "line 1: elif is expected");
    refused("{{ 'x }}", TM_EFORMAT, "a text does not end");
    refused("{{ 1 + }}", TM_EFORMAT, "a value is expected, not }}");
    refused("{# x", TM_EFORMAT, "a comment does not end");
}

static void nothing_but_data_can_be_reached(void **state)
{
    (void)state;
    refused("{{ ''.__class__.__mro__ }}", TM_EFAILED, "'__class__' is undefined");
    refused("{{ messages.append(1) }}", TM_EFAILED, "list has no method 'append' here");
    refused("{% set messages[0].role = 'x' %}", TM_EFORMAT, "is expected");
    refused("{% set messages.x = 1 %}", TM_EFAILED, "only members of a namespace can be set");
    refused("{{ open('/etc/passwd') }}", TM_EFAILED, "'open' is undefined");
    gives("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024");
}

static void a_template_that_refuses_says_why(void **state)
{
    (void)state;
    refused("{{ raise_exception('roles must alternate') }}", TM_EFAILED,
            "the template refuses: roles must alternate");
}

static void rendering_ends_whatever_the_template_does(void **state)
{
    (void)state;
    refused("{% set l = range(9999) | list %}{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}",
            TM_EFAILED, "takes too long");
    refused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", TM_EFAILED, "nests too deep");
    refused("{% set n = namespace(x='y') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
            TM_EFAILED, "too");
    refused("{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}",
            TM_EFAILED, "too large or nests too deep");
    refused("{% set n = namespace(x=[]) %}{% for i in range(999) %}{% set n.x = [n.x] %}{% endfor %}",
            TM_EFAILED, "too large or nests too deep");
    refused("{% for i in range(9999) %}{{ 'x' * 99999 }}{% endfor %}", TM_EFAILED, "too much");
    refused("{{ 'x' * 999999999999 }}", TM_EFAILED, "too large");
    refused("{{ range(999999999) }}", TM_EFAILED, "longer than");
}

static void a_source_that_nests_deep_is_refused(void **state)
{
    char source[40000];
    (void)state;
    snprintf(source, sizeof source, "{{ %0*d }}", 30000, 1);
    memset(source + 3, '(', 15000);
    memset(source + 3 + 15000, ')', 15000);
    refused(source, TM_EFORMAT, "nests too deep");
    for (size_t i = 0; i < 3000; i++) memcpy(source + i * 10, "{% if 1 %}", 11);
    refused(source, TM_EFORMAT, "nests too deep");
    for (size_t i = 0; i < 4000; i++) memcpy(source + i * 4, i ? "not " : "{{  ", 5);
    strcat(source, "1 }}");
    refused(source, TM_EFORMAT, "nests too deep");
}

static void generation_blocks_are_spans_of_the_text(void **state)
{
    (void)state;
    tm_rendering r = {0};
    assert_int_equal(render("{% for m in messages %}<{% if m.role == 'assistant' %}{% generation %}"
                            "{{ m.content }}|{% endgeneration %}{% endif %}>{% endfor %}",
                            &r),
                     TM_OK);
    assert_string_equal(r.text.data, "<><ho|>");
    assert_int_equal(r.n_spans, 1);
    assert_int_equal(r.spans[0].from, 3);
    assert_int_equal(r.spans[0].to, 6);
    tm_rendering_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_of_published_models_give_what_transformers_gives),
        cmocka_unit_test(white_space_goes_as_in_jinja),
        cmocka_unit_test(items_are_put_in_order),
        cmocka_unit_test(what_is_added_to_safe_text_is_escaped),
        cmocka_unit_test(what_is_no_jinja_here_is_refused_before_anything_is_rendered),
        cmocka_unit_test(nothing_but_data_can_be_reached),
        cmocka_unit_test(a_template_that_refuses_says_why),
        cmocka_unit_test(rendering_ends_whatever_the_template_does),
        cmocka_unit_test(a_source_that_nests_deep_is_refused),
        cmocka_unit_test(generation_blocks_are_spans_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
