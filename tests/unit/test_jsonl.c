// SPDX-License-Identifier: Apache-2.0
#include "stages/format/jsonl.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

// A stream over memory that gives at most `step` bytes at a time.
typedef struct stream {
    tm_view bytes;
    size_t at, step, fail_at;
} stream;

static tm_status stream_read(void *self, void *data, size_t size, size_t *got, tm_error *err)
{
    stream *s = self;
    if (s->fail_at && s->at >= s->fail_at) return tm_fail(err, TM_EIO, "broken stream");
    size_t left = s->bytes.size - s->at;
    *got = left < size ? left : size;
    if (*got > s->step) *got = s->step;
    memcpy(data, s->bytes.data + s->at, *got);
    s->at += *got;
    return TM_OK;
}

static void add_view(tm_buf *out, const char *name, tm_view v)
{
    if (!v.data) return;
    tm_buf_fmt(out, " %s=", name);
    tm_buf_add(out, v.data, v.size);
}

// "line:offset fields" or "line!why" for every row, one per line.
static tm_status rows(tm_view bytes, size_t step, const tm_jsonl_options *options, tm_buf *out)
{
    stream s = {.bytes = bytes, .step = step};
    tm_jsonl *in;
    tm_jsonl_row row;
    tm_error err;
    tm_status status = tm_jsonl_open(&in, stream_read, &s, options, &err);
    if (status < 0) return status;
    while ((status = tm_jsonl_next(in, &row, &err)) == TM_OK) {
        if (row.bad) tm_buf_fmt(out, "%llu!%s\n", (unsigned long long)row.line, row.bad);
        if (row.bad) continue;
        tm_buf_fmt(out, "%llu:%llu", (unsigned long long)row.line, (unsigned long long)row.offset);
        add_view(out, "id", row.id);
        add_view(out, "text", row.text);
        add_view(out, "source", row.source);
        add_view(out, "meta", row.meta);
        tm_buf_char(out, '\n');
    }
    tm_jsonl_close(in);
    return status;
}

static void expect(const char *lines, const tm_jsonl_options *options, const char *expected)
{
    static const size_t steps[] = {1, 7, 1 << 20};
    for (size_t i = 0; i < 3; i++) {
        tm_buf out = {0};
        assert_int_equal(rows(tm_view_str(lines), steps[i], options, &out), TM_DONE);
        assert_string_equal(out.data ? out.data : "", expected);
        tm_buf_clear(&out);
    }
}

static void fields_are_mapped_and_the_rest_is_meta(void **state)
{
    (void)state;
    expect("{\"text\":\"a\\nb \\u00e9\\ud83d\\udca9\",\"id\":7}\n\n \r\n"
           "{ \"url\" : [1, {\"x\":2}], \"text\":\"t\", \"source\":\"s\", \"meta\":{\"k\":1}, "
           "\"id\":\"x\\/y\" }\r\n"
           "{\"t\\u0065xt\":\"last\",\"id\":null,\"meta\":3}",
           NULL,
           "1:0 id=7 text=a\nb \xc3\xa9\xf0\x9f\x92\xa9 meta={}\n"
           "4:46 id=x/y text=t source=s meta={\"url\":[1, {\"x\":2}],\"k\":1}\n"
           "5:127 text=last meta={\"meta\":3}\n");
}

static void field_names_can_be_chosen(void **state)
{
    (void)state;
    tm_jsonl_options options = {.text = "content", .id = "uid", .source = "url", .meta = "extra"};
    expect("{\"content\":\"c\",\"text\":\"t\",\"uid\":\"u\",\"url\":\"w\",\"extra\":{}}\n", &options,
           "1:0 id=u text=c source=w meta={\"text\":\"t\"}\n");
}

static void a_bad_line_is_reported_and_the_next_one_read(void **state)
{
    (void)state;
    expect("{\"text\":\"a\xff\"}\n[1]\n{\"text\":1}\n{\"id\":1}\n{\"text\":\"a\",\"text\":\"b\"}\n{\"text\":"
           "\"\\ud800\"}\n"
           "{\"text\":\"x\ty\"}\n{\"text\":\"x\" \"y\":1}\n{\"text\":\"x\"} "
           "1\n{\"text\":\"x\",}\n{\"text\":01}\n"
           "{\"text\":\"good\"}\n{\"text\":\"open",
           NULL,
           "1!not UTF-8\n2!no JSON object\n3!the text is no string\n4!no text\n5!two texts\n6!lone surrogate "
           "escape\n"
           "7!control character in a string\n8!comma or closing bracket is missing\n9!something follows the "
           "object\n"
           "10!key is missing\n11!the text is no string\n12:155 text=good meta={}\n"
           "13!string is not closed\n");
}

static void a_line_that_is_too_long_is_passed_over(void **state)
{
    (void)state;
    tm_jsonl_options options = {.line_bytes = 20};
    expect(
        "{\"text\":\"0123456789\"}\n{\"text\":\"012345678\"}\n{\"text\":\"0123456789abcdefghijklmnopqrs\"}\n{"
        "\"text\":\"x\"}",
        &options,
        "1!the line is too long\n2:22 text=012345678 meta={}\n3!the line is too long\n4:84 text=x meta={}\n");
}

static void a_byte_order_mark_at_the_start_is_no_text(void **state)
{
    (void)state;
    expect("\xef\xbb\xbf{\"text\":\"x\"}\n\xef\xbb\xbf{\"text\":\"x\"}\n", NULL,
           "1:0 text=x meta={}\n2!no JSON object\n");
}

static void any_shape_gives_the_line_for_others_to_take_apart(void **state)
{
    (void)state;
    expect("{\"messages\":[{\"text\":1}],\"id\":\"a\"}", &(tm_jsonl_options){.any_shape = true},
           "1:0 id=a meta={}\n");
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    tm_buf line = {0}, out = {0};
    tm_buf_str(&line, "{\"text\":\"x\",\"d\":");
    for (int i = 0; i < 127; i++) tm_buf_char(&line, '[');
    for (int i = 0; i < 127; i++) tm_buf_char(&line, ']');
    tm_buf_str(&line, "}\n{\"text\":\"x\",\"d\":");
    for (int i = 0; i < 1000000; i++) tm_buf_char(&line, '[');
    assert_int_equal(rows(tm_buf_view(&line), 1 << 20, NULL, &out), TM_DONE);
    assert_memory_equal(out.data, "1:0 text=x", 10);
    assert_non_null(strstr(out.data, "2!nested too deeply"));
    tm_buf_clear(&line);
    tm_buf_clear(&out);
}

static const char *ignore_member(void *self, tm_view key, tm_view value)
{
    (void)self;
    (void)key;
    (void)value;
    return NULL;
}

static bool ours_accepts(tm_view text)
{
    tm_json_error wrong;
    return tm_json_object(text, ignore_member, NULL, &wrong);
}

static bool jansson_accepts(tm_view text)
{
    json_t *value = json_loadb(text.data, text.size, JSON_ALLOW_NUL, NULL);
    bool is = json_is_object(value);
    json_decref(value);
    return is;
}

static void it_accepts_what_jansson_accepts(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        ("{\"a\":[1,-2.5e+3,true,false,null,\"\\u00e9\\n\"],\"b\":{\"c\":{}},\"d\":\"h\xc3\xa9 \xe2\x82\xac "
         "\xf0\x9f\x92\xa9\"}"),
        "{}",
        "{ \"x\" : 0 , \"y\" : [ ] }",
        "{\"n\":-0.0,\"m\":1E5,\"k\":\"\\ud83d\\udca9\\\\\\\"\\/\"}",
    };
    static const char alphabet[] = "{}[]\",:\\u0eE+-.1trn \t\xc3\xa9\xed\xa0\x01";
    uint32_t x = 12345;
    size_t n_accepted = 0;
    for (int round = 0; round < 40000; round++) {
        char text[128];
        const char *seed = seeds[round % 4];
        size_t size = strlen(seed);
        memcpy(text, seed, size);
        for (int edit = (int)((x = x * 1664525 + 1013904223) >> 30); edit >= 0; edit--) {
            x = x * 1664525 + 1013904223;
            size_t at = (x >> 8) % size;
            x = x * 1664525 + 1013904223;
            if (x >> 31 && size > 2)
                memmove(text + at, text + at + 1, --size - at);
            else
                text[at] = alphabet[(x >> 8) % (sizeof alphabet - 1)];
        }
        bool ours = ours_accepts(tm_view_of(text, size)), theirs = jansson_accepts(tm_view_of(text, size));
        n_accepted += ours;
        if (ours != theirs) fail_msg("%.*s: ours %d, jansson %d", (int)size, text, ours, theirs);
    }
    assert_true(n_accepted > 1000);
}

static void a_failing_stream_and_a_failing_allocation_are_errors(void **state)
{
    (void)state;
    stream s = {.bytes = tm_view_str("{\"text\":\"a\\n\"}\n"), .step = 4, .fail_at = 8};
    tm_jsonl *in;
    tm_jsonl_row row;
    tm_error err = {0};
    assert_int_equal(tm_jsonl_open(&in, stream_read, &s, NULL, &err), TM_OK);
    assert_int_equal(tm_jsonl_next(in, &row, &err), TM_EIO);
    tm_jsonl_close(in);
    tm_status status = TM_ENOMEM;
    for (uint64_t n = 1; status == TM_ENOMEM && n < 50; n++) {
        tm_buf out = {0};
        tm_buf_reserve(&out, 4096);
        tm_alloc_fail_at(n, false);
        status = rows(s.bytes, 100, NULL, &out);
        tm_alloc_fail_at(0, false);
        tm_buf_clear(&out);
    }
    assert_int_equal(status, TM_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_mapped_and_the_rest_is_meta),
        cmocka_unit_test(field_names_can_be_chosen),
        cmocka_unit_test(a_bad_line_is_reported_and_the_next_one_read),
        cmocka_unit_test(a_line_that_is_too_long_is_passed_over),
        cmocka_unit_test(a_byte_order_mark_at_the_start_is_no_text),
        cmocka_unit_test(any_shape_gives_the_line_for_others_to_take_apart),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(it_accepts_what_jansson_accepts),
        cmocka_unit_test(a_failing_stream_and_a_failing_allocation_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
