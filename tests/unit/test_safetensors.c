// SPDX-License-Identifier: Apache-2.0
#include "stages/format/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/random.h"

// A file of a header and `n_data` bytes; `length` replaces the header's own length if it is not 0.
static tm_buf file_of(const char *header, size_t n_data, uint64_t length)
{
    tm_buf file = {0};
    tm_buf_le64(&file, length ? length : strlen(header));
    tm_buf_str(&file, header);
    for (size_t i = 0; i < n_data; i++) tm_buf_char(&file, (char)i);
    return file;
}

// Parse in a copy of exactly the file's size, so that a read behind it is an error under a sanitizer.
static tm_status parse(const tm_buf *file, tm_error *err)
{
    tm_safetensors st;
    char *exact = malloc(file->size ? file->size : 1);
    memcpy(exact, file->data, file->size);
    tm_status status = tm_safetensors_parse(&st, tm_view_of(exact, file->size), err);
    if (status == TM_OK) tm_safetensors_close(&st);
    free(exact);
    return status;
}

static void expect_refusal(const char *header, size_t n_data, uint64_t length, const char *text)
{
    tm_error err = {0};
    tm_buf file = file_of(header, n_data, length);
    tm_status status = parse(&file, &err);
    if (status != TM_EFORMAT || !strstr(err.text, text))
        fail_msg("%s\n gave %d \"%s\", expected \"%s\"", header, status, err.text, text);
    tm_buf_clear(&file);
}

#define A_F32_2 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static void every_malformed_file_is_refused_with_its_reason(void **state)
{
    expect_refusal("", 0, 0, "does not begin with {");
    expect_refusal("{}", 0, (uint64_t)1 << 63, "header of");
    expect_refusal("{}", 0, 100000001, "at most");
    expect_refusal("{}", 0, 3, "in a file of");
    expect_refusal("[]", 0, 0, "does not begin with {");
    expect_refusal(" {}", 0, 0, "does not begin with {");
    expect_refusal("{\"a\":1", 0, 0, "not valid JSON");
    expect_refusal("{\"\xff\":1}", 0, 0, "not valid JSON");
    expect_refusal("{} x", 0, 0, "not valid JSON");
    expect_refusal("{" A_F32_2 "," A_F32_2 "}", 8, 0, "not valid JSON");
    expect_refusal("{\"a\":3}", 0, 0, "tensor a: not an object");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, 0, "tensor a");
    expect_refusal("{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, 0,
                   "unknown dtype F33");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, 0, "dimension 0");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, 0, "dimension 0");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, 0, "not a list");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, 0, "lie outside");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, 0, "not a pair");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, 0,
                   "lie outside the 4");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, 0,
                   "needs 12 bytes");
    expect_refusal("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, 0,
                   "no size in bytes");
    expect_refusal("{\"a\":{\"dtype\":\"U8\",\"shape\":[8589934592,8589934592],\"data_offsets\":[0,0]}}", 0,
                   0, "no size in bytes");
    expect_refusal("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, 0,
                   "9 dimensions");
    expect_refusal("{" A_F32_2 ",\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[7,8]}}", 8, 0,
                   "tensor b: begins at 7, expected 8 (overlap)");
    expect_refusal("{" A_F32_2 ",\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[9,10]}}", 10, 0,
                   "tensor b: begins at 9, expected 8 (hole)");
    expect_refusal("{" A_F32_2 "}", 9, 0, "1 bytes follow");
    expect_refusal("{\"__metadata__\":[]}", 0, 0, "__metadata__ is not an object");
    expect_refusal("{\"__metadata__\":{\"a\":{}}}", 0, 0, "__metadata__ a is not a string");
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    tm_buf whole = file_of("{" A_F32_2 "}", 8, 0);
    for (size_t n = 0; n < whole.size; n++) {
        tm_buf cut = {0};
        tm_buf_add(&cut, whole.data, n);
        if (!cut.data) tm_buf_reserve(&cut, 1);
        assert_int_equal(parse(&cut, NULL), TM_EFORMAT);
        tm_buf_clear(&cut);
    }
    assert_int_equal(parse(&whole, NULL), TM_OK);
    tm_buf_clear(&whole);
}

// Read every byte that a parsed file points to.
static unsigned touch(const tm_safetensors *st)
{
    unsigned sum = 0;
    for (size_t i = 0; i < st->n_tensors; i++) {
        const tm_st_tensor *t = &st->tensors[i];
        for (size_t k = 0; k < t->data.size; k++) sum += (unsigned char)t->data.data[k];
        sum += (unsigned)strlen(t->name) + t->rank;
    }
    for (size_t i = 0; i < st->n_meta; i++)
        sum += (unsigned)(strlen(st->meta[i].key) + strlen(st->meta[i].value));
    return sum;
}

static void damage_anywhere_is_refused_or_harmless(void **state)
{
    static const char marks[] = "0123456789{}[]\",:\\-. \xff\x00";
    tm_buf whole = file_of("{" A_F32_2 ",\"b\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[8,14]},"
                           "\"__metadata__\":{\"format\":\"pt\"}}", 14, 0);
    char *copy = malloc(whole.size);
    int accepted = 0;
    for (uint64_t trial = 0; trial < 20000; trial++) {
        memcpy(copy, whole.data, whole.size);
        for (uint64_t n = 0; n <= tm_random_below(1, trial, 0, 3); n++) {
            size_t at = tm_random_below(2, trial, n, whole.size);
            copy[at] = marks[tm_random_below(3, trial, n, sizeof marks)];
        }
        tm_safetensors st;
        tm_status status = tm_safetensors_parse(&st, tm_view_of(copy, whole.size), NULL);
        if (status != TM_OK) {
            assert_int_equal(status, TM_EFORMAT);
            continue;
        }
        accepted++;
        assert_true(touch(&st) > 0);
        tm_safetensors_close(&st);
    }
    assert_true(accepted > 100 && accepted < 10000);
    free(copy);
    tm_buf_clear(&whole);
}

static void scalars_empty_tensors_escapes_and_trailing_blanks_are_read(void **state)
{
    tm_buf file =
        file_of("{\"e\":{\"dtype\":\"F64\",\"shape\":[0,9223372036854775807,4],\"data_offsets\":[0,0]},"
                "\"\\u00e9\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
                "\"__metadata__\":{\"format\":\"pt\"}}   ",
                1, 0);
    tm_safetensors st;
    assert_int_equal(tm_safetensors_parse(&st, tm_buf_view(&file), NULL), TM_OK);
    assert_int_equal(st.n_tensors, 2);
    assert_int_equal(tm_safetensors_find(&st, "\xc3\xa9")->rank, 0);
    assert_int_equal(tm_safetensors_find(&st, "\xc3\xa9")->data.size, 1);
    assert_int_equal(tm_safetensors_find(&st, "e")->data.size, 0);
    assert_string_equal(tm_safetensors_meta(&st, "format"), "pt");
    assert_null(tm_safetensors_find(&st, "x"));
    tm_safetensors_close(&st);
    tm_buf_clear(&file);
}

static void what_is_written_is_read_back_in_aligned_order(void **state)
{
    double wide[1] = {2.5};
    float b[2] = {1, 2}, a[3] = {3, 4, 5};
    uint8_t byte[1] = {7};
    tm_st_tensor tensors[] = {
        {"byte", TM_ST_U8, 1, {1}, tm_view_of(byte, 1)},
        {"b", TM_ST_F32, 2, {1, 2}, tm_view_of(b, 8)},
        {"a", TM_ST_F32, 1, {3}, tm_view_of(a, 12)},
        {"wide", TM_ST_F64, 0, {0}, tm_view_of(wide, 8)},
    };
    char path[] = "/tmp/test_safetensors_XXXXXX";
    close(mkstemp(path));
    tm_st_meta meta = {"step", "12"};
    assert_int_equal(tm_safetensors_write(path, tensors, 4, &meta, 1, NULL), TM_OK);
    tm_safetensors st;
    assert_int_equal(tm_safetensors_open(&st, path, NULL), TM_OK);
    static const char *order[] = {"wide", "a", "b", "byte"};
    for (size_t i = 0; i < 4; i++) assert_string_equal(st.tensors[i].name, order[i]);
    assert_memory_equal(tm_safetensors_find(&st, "a")->data.data, a, 12);
    assert_memory_equal(tm_safetensors_find(&st, "wide")->data.data, wide, 8);
    assert_int_equal(tm_safetensors_find(&st, "b")->shape[1], 2);
    assert_string_equal(tm_safetensors_meta(&st, "format"), "pt");
    assert_string_equal(tm_safetensors_meta(&st, "step"), "12");
    assert_int_equal((uintptr_t)st.tensors[0].data.data % 8, 0);
    tm_safetensors_close(&st);
    unlink(path);
}

static void a_tensor_that_does_not_fit_or_a_name_used_twice_is_not_written(void **state)
{
    float x[2] = {1, 2};
    tm_error err = {0};
    tm_buf header = {0};
    tm_st_tensor wrong = {"w", TM_ST_F32, 1, {3}, tm_view_of(x, 8)};
    assert_int_equal(tm_safetensors_header(&wrong, 1, NULL, 0, &header, &err), TM_EINVAL);
    assert_non_null(strstr(err.text, "tensor w"));
    tm_st_tensor twice[] = {{"t", TM_ST_F32, 1, {2}, tm_view_of(x, 8)},
                            {"t", TM_ST_F32, 1, {2}, tm_view_of(x, 8)}};
    assert_int_equal(tm_safetensors_header(twice, 2, NULL, 0, &header, &err), TM_EINVAL);
    assert_non_null(strstr(err.text, "named t"));
    tm_buf_clear(&header);
}

static void a_missing_file_is_named(void **state)
{
    tm_error err = {0};
    tm_safetensors st;
    assert_int_equal(tm_safetensors_open(&st, "/nonexistent/model.safetensors", &err), TM_ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/model.safetensors"));
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void **state)
{
    tm_buf file = file_of("{" A_F32_2 ",\"__metadata__\":{\"format\":\"pt\"}}", 8, 0);
    for (uint64_t n = 1; n < 20; n++) {
        tm_safetensors st;
        tm_alloc_fail_at(n, false);
        tm_status status = tm_safetensors_parse(&st, tm_buf_view(&file), NULL);
        tm_alloc_fail_at(0, false);
        if (status == TM_OK) {
            tm_safetensors_close(&st);
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, TM_ENOMEM);
    }
    tm_buf_clear(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malformed_file_is_refused_with_its_reason),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(damage_anywhere_is_refused_or_harmless),
        cmocka_unit_test(scalars_empty_tensors_escapes_and_trailing_blanks_are_read),
        cmocka_unit_test(what_is_written_is_read_back_in_aligned_order),
        cmocka_unit_test(a_tensor_that_does_not_fit_or_a_name_used_twice_is_not_written),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(every_failed_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
