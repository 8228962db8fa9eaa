// SPDX-License-Identifier: Apache-2.0
// GGUF files: what is refused, what is written, number formats, tokenizers.
#include "stages/format/gguf.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/io.h"
#include "stages/format/half.h"
#include "stages/format/safetensors.h"
#include "stages/format/tokenizer_gguf.h"

#define MODELS "tests/fixtures/models/"

// ---- files made by hand

typedef struct file {
    tm_buf bytes;
} file;

static void text(file *f, const char *t)
{
    tm_buf_le64(&f->bytes, strlen(t));
    tm_buf_str(&f->bytes, t);
}

static file begin(uint64_t n_tensors, uint64_t n_values)
{
    file f = {{0}};
    tm_buf_add(&f.bytes, "GGUF\3\0\0\0", 8);
    tm_buf_le64(&f.bytes, n_tensors);
    tm_buf_le64(&f.bytes, n_values);
    return f;
}

static void value32(file *f, const char *key, uint32_t kind, uint32_t value)
{
    text(f, key);
    tm_buf_le32(&f->bytes, kind);
    tm_buf_le32(&f->bytes, value);
}

static void tensor(file *f, const char *name, uint64_t dim, uint32_t type, uint64_t offset)
{
    text(f, name);
    tm_buf_le32(&f->bytes, 1);
    tm_buf_le64(&f->bytes, dim);
    tm_buf_le32(&f->bytes, type);
    tm_buf_le64(&f->bytes, offset);
}

static void pad(file *f, size_t data)
{
    while (f->bytes.size % 32) tm_buf_char(&f->bytes, 0);
    for (size_t i = 0; i < data; i++) tm_buf_char(&f->bytes, (char)i);
}

static void refuses(file *f, tm_status status, const char *why)
{
    tm_gguf gguf;
    tm_error err = {0};
    tm_status got = tm_gguf_parse(&gguf, tm_buf_view(&f->bytes), &err);
    if (got != status || !strstr(err.text, why))
        fail_msg("gave %d \"%s\", expected \"%s\"", got, err.text, why);
    tm_buf_clear(&f->bytes);
}

static void what_contradicts_itself_is_refused(void **state)
{
    file f = {{0}};
    tm_buf_str(&f.bytes, "GGUM");
    refuses(&f, TM_EFORMAT, "does not begin with GGUF");
    f = begin(0, 0);
    f.bytes.data[4] = 1;
    refuses(&f, TM_EUNSUPPORTED, "version 1");
    f = begin(0, 0);
    memcpy(f.bytes.data + 4, "\0\0\0\3", 4);
    refuses(&f, TM_EUNSUPPORTED, "big-endian");
    f = begin(0, UINT64_MAX);
    refuses(&f, TM_EFORMAT, "values in a file of so few bytes");
    f = begin(UINT64_MAX / 2, 0);
    refuses(&f, TM_EFORMAT, "tensors in a file of so few bytes");
    f = begin(0, 2);
    value32(&f, "a", TM_GGUF_U32, 1);
    value32(&f, "a", TM_GGUF_U32, 1);
    refuses(&f, TM_EFORMAT, "key a occurs twice");
    f = begin(0, 1);
    value32(&f, "a", 13, 1);
    refuses(&f, TM_EFORMAT, "a: there is no type 13");
    f = begin(1, 1);
    value32(&f, "general.alignment", TM_GGUF_U32, 24);
    tensor(&f, "t", 4, 0, 0);
    pad(&f, 16);
    refuses(&f, TM_EFORMAT, "general.alignment");
}

static void lists_that_nest_or_reach_beyond_the_file_are_refused(void **state)
{
    file f = begin(0, 1);
    value32(&f, "list", TM_GGUF_LIST, TM_GGUF_LIST);
    tm_buf_le64(&f.bytes, 1);
    refuses(&f, TM_EFORMAT, "list: a list of type 9");
    f = begin(0, 1);
    value32(&f, "list", TM_GGUF_LIST, TM_GGUF_U64);
    tm_buf_le64(&f.bytes, (uint64_t)1 << 61);
    refuses(&f, TM_EFORMAT, "list: a list of 2305843009213693952 reaches beyond the file");
    f = begin(0, 1);
    value32(&f, "list", TM_GGUF_LIST, TM_GGUF_TEXT);
    tm_buf_le64(&f.bytes, 2);
    text(&f, "one");
    tm_buf_le64(&f.bytes, 99);
    refuses(&f, TM_EFORMAT, "list: a list of 2 reaches beyond the file");
}

static void tensors_that_do_not_lie_one_after_the_other_are_refused(void **state)
{
    file f = begin(2, 0);
    tensor(&f, "a", 4, 0, 0);
    tensor(&f, "b", 4, 0, 16);
    pad(&f, 64);
    refuses(&f, TM_EFORMAT, "tensor b: its data begins at 16, expected 32");
    f = begin(1, 0);
    tensor(&f, "a", 8, 0, 0);
    pad(&f, 31);
    refuses(&f, TM_EFORMAT, "tensor a: its data reaches beyond the file");
    f = begin(1, 0);
    tensor(&f, "a", 33, 8, 0);
    pad(&f, 68);
    refuses(&f, TM_EFORMAT, "tensor a: rows of 33 are no whole number of q8_0 blocks");
    f = begin(1, 0);
    tensor(&f, "a", 32, 99, 0);
    pad(&f, 64);
    refuses(&f, TM_EUNSUPPORTED, "ggml type 99");
    f = begin(2, 0);
    tensor(&f, "a", 8, 0, 0);
    tensor(&f, "a", 8, 0, 32);
    pad(&f, 64);
    refuses(&f, TM_EFORMAT, "tensor a occurs twice");
    f = begin(1, 0);
    tensor(&f, "a", (uint64_t)1 << 60, 0, 0);
    pad(&f, 32);
    refuses(&f, TM_EFORMAT, "tensor a: its shape has no size");
}

static void a_file_cut_anywhere_is_refused_or_read_within_its_bytes(void **state)
{
    tm_buf bytes = {0};
    assert_int_equal(tm_file_read(MODELS "blocks.gguf", &bytes, NULL), TM_OK);
    for (size_t n = 0; n < bytes.size; n += n < 900 ? 1 : 97) {
        tm_gguf gguf;
        char *part = malloc(n + 1);
        memcpy(part, bytes.data, n);
        if (tm_gguf_parse(&gguf, tm_view_of(part, n), NULL) == TM_OK)
            fail_msg("%zu of %zu bytes were taken for a whole file", n, bytes.size);
        free(part);
    }
    tm_buf_clear(&bytes);
}

// ---- number formats

static void every_number_format_reads_as_the_gguf_package_reads_it(void **state)
{
    tm_gguf gguf;
    tm_safetensors expect;
    assert_int_equal(tm_gguf_open(&gguf, MODELS "blocks.gguf", NULL), TM_OK);
    assert_int_equal(tm_safetensors_open(&expect, MODELS "blocks.safetensors", NULL), TM_OK);
    for (size_t i = 0; tm_gguf_type_at(i); i++) {
        const tm_gguf_type *type = tm_gguf_type_at(i);
        const tm_gguf_tensor *t = tm_gguf_tensor_find(&gguf, type->name);
        const tm_st_tensor *want = tm_safetensors_find(&expect, type->name);
        float got[512];
        assert_non_null(t);
        assert_ptr_equal(t->type, type);
        type->expand(t->data.data, got, 512 / type->block);
        for (size_t k = 0; k < 512; k++) {
            float value;
            memcpy(&value, want->data.data + 4 * k, 4);
            if (!(fabsf(got[k] - value) <= 2e-7f * fabsf(value)))
                fail_msg("%s value %zu is %.9g, expected %.9g", type->name, k, got[k], value);
        }
    }
    tm_gguf_close(&gguf);
    tm_safetensors_close(&expect);
}

static void what_is_packed_has_the_bytes_of_the_gguf_package(void **state)
{
    tm_gguf gguf;
    tm_safetensors expect;
    float source[512];
    assert_int_equal(tm_gguf_open(&gguf, MODELS "blocks.gguf", NULL), TM_OK);
    assert_int_equal(tm_safetensors_open(&expect, MODELS "blocks.safetensors", NULL), TM_OK);
    memcpy(source, tm_safetensors_find(&expect, "source")->data.data, sizeof source);
    for (size_t i = 0; tm_gguf_type_at(i); i++) {
        const tm_gguf_type *type = tm_gguf_type_at(i);
        if (!type->pack) continue;
        char bytes[sizeof source];
        tm_view want = tm_gguf_tensor_find(&gguf, type->name)->data;
        type->pack(source, bytes, 512 / type->block);
        assert_memory_equal(bytes, want.data, want.size);
    }
    tm_gguf_close(&gguf);
    tm_safetensors_close(&expect);
}

static void halves_round_to_the_nearest_and_ties_to_even(void **state)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float value = tm_f16_float((uint16_t)bits), next = tm_f16_float((uint16_t)(bits + 1));
        if (isnan(value)) continue;
        assert_int_equal(tm_float_f16(value), bits);
        if (isinf(value) || isinf(next) || isnan(next) || bits == 0x7fff) continue;
        float middle = value + (next - value) / 2;
        assert_int_equal(tm_float_f16(middle), bits & 1 ? bits + 1 : bits);
        assert_int_equal(tm_float_f16(nextafterf(middle, value)), bits);
        assert_int_equal(tm_float_f16(nextafterf(middle, next)), bits + 1);
    }
    assert_int_equal(tm_float_f16(65519.99f), 0x7bff);
    assert_int_equal(tm_float_f16(65520.0f), 0x7c00);
    assert_true(isnan(tm_f16_float(tm_float_f16(NAN))));
}

// ---- writing

static void what_is_written_is_read_back(void **state)
{
    char path[] = "/tmp/test_gguf_XXXXXX";
    close(mkstemp(path));
    tm_gguf_writer w = {0};
    float values[128];
    uint64_t shape[2] = {2, 64};
    for (int i = 0; i < 128; i++) values[i] = (float)i - 64;
    tm_gguf_put_integer(&w, "count", 7);
    tm_gguf_put_number(&w, "number", 0.5);
    tm_gguf_put_flag(&w, "flag", true);
    tm_gguf_put_text(&w, "text", tm_view_str("tide"));
    tm_gguf_put_list(&w, "list", TM_GGUF_TEXT, 2);
    tm_gguf_add_text(&w, tm_view_str("a"));
    tm_gguf_add_text(&w, tm_view_str(""));
    assert_int_equal(tm_gguf_put_tensor(&w, "b", tm_gguf_type_named("q8_0"), 2, shape, NULL), TM_OK);
    assert_int_equal(tm_gguf_put_tensor(&w, "a", tm_gguf_type_named("f32"), 1, (uint64_t[]){3}, NULL), TM_OK);
    assert_int_equal(tm_gguf_put_tensor(&w, "c", tm_gguf_type_named("q8_0"), 1, (uint64_t[]){3}, NULL),
                     TM_EINVAL);
    assert_int_equal(tm_gguf_begin(&w, path, NULL), TM_OK);
    assert_int_equal(tm_gguf_write(&w, values, 64, NULL), TM_OK);
    assert_int_equal(tm_gguf_end(&w, NULL), TM_EINVAL);
    assert_int_equal(tm_gguf_write(&w, values + 64, 64, NULL), TM_OK);
    assert_int_equal(tm_gguf_write(&w, values, 3, NULL), TM_OK);
    assert_int_equal(tm_gguf_write(&w, values, 1, NULL), TM_EINVAL);
    assert_int_equal(tm_gguf_end(&w, NULL), TM_OK);
    tm_gguf_writer_clear(&w);

    tm_gguf gguf;
    tm_view found;
    int64_t count;
    double number;
    bool flag;
    assert_int_equal(tm_gguf_open(&gguf, path, NULL), TM_OK);
    assert_true(tm_gguf_integer(&gguf, "count", &count) && count == 7);
    assert_true(tm_gguf_number(&gguf, "number", &number) && number == 0.5);
    assert_true(tm_gguf_flag(&gguf, "flag", &flag) && flag);
    assert_true(tm_gguf_text(&gguf, "text", &found) && tm_view_eq(found, tm_view_str("tide")));
    assert_false(tm_gguf_text(&gguf, "count", &found));
    tm_view rest = tm_gguf_find(&gguf, "list")->data;
    assert_true(tm_gguf_next_text(&rest, &found) && found.size == 1);
    assert_true(tm_gguf_next_text(&rest, &found) && found.size == 0);
    assert_false(tm_gguf_next_text(&rest, &found));
    const tm_gguf_tensor *a = tm_gguf_tensor_find(&gguf, "a"), *b = tm_gguf_tensor_find(&gguf, "b");
    assert_int_equal(a->data.size, 12);
    assert_int_equal((a->data.data - gguf.map.data) % 32, 0);
    assert_true(b->rank == 2 && b->shape[0] == 2 && b->shape[1] == 64);
    tm_gguf_close(&gguf);
    unlink(path);
}

// ---- tokenizers

static tm_bpe *open_json(const char *name)
{
    char path[128];
    tm_buf json = {0};
    tm_bpe *bpe = NULL;
    snprintf(path, sizeof path, "tests/fixtures/tokenizer/%s.json", name);
    assert_int_equal(tm_file_read(path, &json, NULL), TM_OK);
    assert_int_equal(tm_tokenizer_json_read(tm_buf_view(&json), &bpe, NULL), TM_OK);
    tm_buf_clear(&json);
    return bpe;
}

// The values of a tokenizer as a file that has nothing else.
static tm_status through_gguf(const tm_bpe *bpe, int64_t bos, tm_gguf_tokenizer *out, tm_error *err)
{
    char path[] = "/tmp/test_gguf_XXXXXX";
    tm_gguf_writer w = {0};
    tm_gguf gguf;
    close(mkstemp(path));
    tm_status status = tm_tokenizer_gguf_put(bpe, (uint32_t)tm_bpe_size(bpe) + 3, bos, 2, -1,
                                             tm_view_str("{{ messages }}"), &w, err);
    if (status == TM_OK) status = tm_gguf_begin(&w, path, err);
    if (status == TM_OK) status = tm_gguf_end(&w, err);
    tm_gguf_writer_clear(&w);
    if (status == TM_OK) {
        assert_int_equal(tm_gguf_open(&gguf, path, NULL), TM_OK);
        status = tm_tokenizer_gguf_read(&gguf, out, err);
        if (status == TM_OK)
            assert_true(tm_view_eq(out->config.chat_template, tm_view_str("{{ messages }}")));
        tm_gguf_close(&gguf);
    }
    unlink(path);
    return status;
}

static void tokenizers_come_back_from_gguf_as_they_were(void **state)
{
    static const char *const names[] = {"gpt2", "smollm2"};
    for (size_t i = 0; i < 2; i++) {
        tm_bpe *bpe = open_json(names[i]);
        tm_gguf_tokenizer back;
        tm_buf before = {0}, after = {0};
        assert_int_equal(through_gguf(bpe, 0, &back, NULL), TM_OK);
        assert_int_equal(tm_tokenizer_json_write(bpe, &before, NULL), TM_OK);
        assert_int_equal(tm_tokenizer_json_write(back.bpe, &after, NULL), TM_OK);
        assert_string_equal(before.data, after.data);
        assert_true(back.bos == 0 && back.eos == 2 && back.pad == -1);
        tm_buf_clear(&before);
        tm_buf_clear(&after);
        tm_bpe_free(back.bpe);
        tm_bpe_free(bpe);
    }
}

static void a_begin_token_before_every_text_is_kept(void **state)
{
    tm_bpe *bpe = open_json("llama3");
    tm_gguf_tokenizer back;
    assert_int_equal(through_gguf(bpe, 0, &back, NULL), TM_OK);
    const tm_bpe_spec *spec = tm_bpe_parts(back.bpe);
    assert_true(spec->n_prefix == 1 && spec->prefix[0] == 0 && spec->n_suffix == 0);
    assert_true(spec->ignore_merges);
    tm_bpe_free(back.bpe);
    assert_int_equal(through_gguf(bpe, 1, &back, NULL), TM_OK);
    assert_true(back.bos == 0 && tm_bpe_parts(back.bpe)->n_prefix == 1);
    tm_bpe_free(back.bpe);
    tm_bpe_free(bpe);
}

// The same with a token behind every text.
static tm_bpe *ending_with(const tm_bpe *bpe, uint32_t id, tm_bpe **other)
{
    tm_bpe_spec spec = *tm_bpe_parts(bpe);
    spec.suffix = &id;
    spec.n_suffix = 1;
    assert_int_equal(tm_bpe_new(&spec, other, NULL), TM_OK);
    return *other;
}

static void tokenizers_that_gguf_would_change_are_refused(void **state)
{
    tm_gguf_tokenizer back;
    tm_error err = {0};
    tm_bpe *other, *bpe = open_json("qwen2"); // has a token that takes white space
    assert_int_equal(through_gguf(bpe, 0, &back, &err), TM_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "<tool>"));
    tm_bpe_free(bpe);
    bpe = open_json("gpt2");
    assert_int_equal(through_gguf(ending_with(bpe, 1, &other), 0, &back, &err), TM_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "puts other tokens around a text"));
    tm_bpe_free(other);
    tm_bpe_spec spec = *tm_bpe_parts(bpe);
    spec.ignore_merges = true;
    spec.n_merges /= 2; // whole pieces that merging does not make any more
    assert_int_equal(tm_bpe_new(&spec, &other, NULL), TM_OK);
    assert_int_equal(through_gguf(other, 0, &back, &err), TM_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "merges of whole pieces"));
    tm_bpe_free(other);
    spec.n_merges = tm_bpe_parts(bpe)->n_merges; // all are made: it makes no difference
    assert_int_equal(tm_bpe_new(&spec, &other, NULL), TM_OK);
    assert_int_equal(through_gguf(other, 0, &back, &err), TM_OK);
    tm_bpe_free(back.bpe);
    tm_bpe_free(other);
    tm_bpe_free(bpe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(lists_that_nest_or_reach_beyond_the_file_are_refused),
        cmocka_unit_test(tensors_that_do_not_lie_one_after_the_other_are_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_refused_or_read_within_its_bytes),
        cmocka_unit_test(every_number_format_reads_as_the_gguf_package_reads_it),
        cmocka_unit_test(what_is_packed_has_the_bytes_of_the_gguf_package),
        cmocka_unit_test(halves_round_to_the_nearest_and_ties_to_even),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(tokenizers_come_back_from_gguf_as_they_were),
        cmocka_unit_test(a_begin_token_before_every_text_is_kept),
        cmocka_unit_test(tokenizers_that_gguf_would_change_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
