// SPDX-License-Identifier: Apache-2.0
#include "stages/format/tokenizer_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "stages/text/bpe_train.h"

#define FOLDER "tests/fixtures/tokenizer/"

static tm_buf read_file(const char *path)
{
    tm_buf text = {0};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;) tm_buf_add(&text, block, n);
    fclose(file);
    return text;
}

static tm_bpe *open_fixture(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    tm_buf json = read_file(path);
    tm_bpe *bpe = NULL;
    tm_error err = {0};
    if (tm_tokenizer_json_read(tm_buf_view(&json), &bpe, &err) < 0) fail_msg("%s: %s", path, err.text);
    tm_buf_clear(&json);
    return bpe;
}

static json_t *open_cases(void)
{
    json_t *cases = json_load_file(FOLDER "cases.json", JSON_ALLOW_NUL, NULL);
    assert_non_null(cases);
    return cases;
}

static tm_view text_of(const json_t *row, const char *key)
{
    const json_t *text = json_object_get(row, key);
    return tm_view_of(json_string_value(text), json_string_length(text));
}

static void check_case(const tm_bpe *bpe, tm_bpe_encoder *encoder, const json_t *row)
{
    tm_bpe_ids ids = {0};
    tm_buf text = {0};
    const json_t *want = json_object_get(row, "ids");
    assert_int_equal(tm_bpe_encode(encoder, text_of(row, "text"), TM_BPE_TEMPLATE, &ids, NULL), TM_OK);
    assert_int_equal(ids.size, json_array_size(want));
    for (size_t i = 0; i < ids.size; i++)
        assert_int_equal(ids.data[i], json_integer_value(json_array_get(want, i)));
    assert_int_equal(tm_bpe_decode(bpe, ids.data, ids.size, true, &text, NULL), TM_OK);
    assert_true(tm_view_eq(tm_buf_view(&text), text_of(row, "decoded")));
    tm_bpe_ids_clear(&ids);
    tm_buf_clear(&text);
}

static void ids_and_decoding_are_those_of_hugging_face(void **state)
{
    json_t *cases = open_cases(), *rows, *row;
    const char *name;
    size_t i, n = 0;
    json_object_foreach(cases, name, rows)
    {
        if (strcmp(name, "corpus") == 0) continue;
        tm_bpe *bpe = open_fixture(name);
        tm_bpe_encoder *encoder = tm_bpe_encoder_new(bpe);
        json_array_foreach(rows, i, row) check_case(bpe, encoder, row), n++;
        tm_bpe_encoder_free(encoder);
        tm_bpe_free(bpe);
    }
    assert_true(n > 100);
    json_decref(cases);
}

static void training_gives_the_file_of_hugging_face_byte_for_byte(void **state)
{
    static const struct {
        const char *name;
        tm_pretokenizer kind;
        size_t size;
    } rows[] = {{"gpt2", TM_PRETOKENIZE_GPT2, 400}, {"smollm2", TM_PRETOKENIZE_SMOLLM2, 360}};
    const tm_view special[] = {tm_view_str("<|endoftext|>"), tm_view_str("<|im_start|>"),
                               tm_view_str("<|im_end|>")};
    json_t *cases = open_cases(), *corpus = json_object_get(cases, "corpus"), *text;
    for (size_t k = 0; k < 2; k++) {
        char path[256];
        snprintf(path, sizeof path, FOLDER "%s.json", rows[k].name);
        tm_buf want = read_file(path), json = {0};
        tm_bpe_counter *counter = tm_bpe_counter_new(rows[k].kind, false);
        size_t i;
        json_array_foreach(corpus, i, text)
            assert_int_equal(tm_bpe_counter_add(counter, tm_view_str(json_string_value(text)), NULL), TM_OK);
        tm_bpe *bpe;
        tm_bpe_training options = {.size = rows[k].size, .special = special, .n_special = 3};
        assert_int_equal(tm_bpe_train(counter, &options, &bpe, NULL), TM_OK);
        assert_int_equal(tm_tokenizer_json_write(bpe, &json, NULL), TM_OK);
        assert_true(tm_view_eq(tm_buf_view(&json), tm_buf_view(&want)));
        tm_bpe_free(bpe);
        tm_bpe_counter_free(counter);
        tm_buf_clear(&json);
        tm_buf_clear(&want);
    }
    json_decref(cases);
}

static void a_written_file_reads_as_the_same_tokenizer(void **state)
{
    static const char *names[] = {"gpt2", "llama3", "qwen2", "smollm2"};
    for (size_t i = 0; i < 4; i++) {
        tm_bpe *bpe = open_fixture(names[i]), *again;
        tm_buf json = {0}, json2 = {0};
        assert_int_equal(tm_tokenizer_json_write(bpe, &json, NULL), TM_OK);
        assert_int_equal(tm_tokenizer_json_read(tm_buf_view(&json), &again, NULL), TM_OK);
        assert_int_equal(tm_tokenizer_json_write(again, &json2, NULL), TM_OK);
        assert_true(tm_view_eq(tm_buf_view(&json), tm_buf_view(&json2)));
        const tm_bpe_spec *a = tm_bpe_parts(bpe), *b = tm_bpe_parts(again);
        assert_int_equal(a->n_vocab, b->n_vocab);
        assert_int_equal(a->n_merges, b->n_merges);
        assert_int_equal(a->n_added, b->n_added);
        assert_int_equal(a->n_prefix, b->n_prefix);
        assert_int_equal(a->pretokenizer, b->pretokenizer);
        assert_int_equal(a->nfc, b->nfc);
        tm_bpe_free(bpe);
        tm_bpe_free(again);
        tm_buf_clear(&json);
        tm_buf_clear(&json2);
    }
}

// A small tokenizer.json around some of its parts.
static tm_status read_with(const char *rest, const char *model, tm_error *err)
{
    tm_buf json = {0};
    tm_bpe *bpe = NULL;
    tm_buf_fmt(&json, "{\"version\": \"1.0\", %s, \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {%s}}",
               rest, model);
    tm_status status = tm_tokenizer_json_read(tm_buf_view(&json), &bpe, err);
    tm_bpe_free(bpe);
    tm_buf_clear(&json);
    return status;
}

#define PRE "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}"
#define MODEL "\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [[\"a\", \"b\"]]"

static void what_would_give_other_ids_is_refused_by_name(void **state)
{
    static const struct {
        const char *rest, *model, *said;
        tm_status status;
    } rows[] = {
        {PRE, MODEL, "", TM_OK},
        {PRE, "\"type\": \"WordPiece\"", "WordPiece", TM_EUNSUPPORTED},
        {PRE, MODEL ", \"dropout\": 0.1", "dropout", TM_EUNSUPPORTED},
        {PRE, MODEL ", \"end_of_word_suffix\": \"</w>\"", "end_of_word_suffix", TM_EUNSUPPORTED},
        {PRE, MODEL ", \"byte_fallback\": true", "byte_fallback", TM_EUNSUPPORTED},
        {PRE, MODEL ", \"unk_token\": \"x\"", "\"x\"", TM_EFORMAT},
        {PRE ", \"normalizer\": {\"type\": \"Lowercase\"}", MODEL, "Lowercase", TM_EUNSUPPORTED},
        {PRE ", \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}]}", MODEL, "",
         TM_OK},
        {"\"pre_tokenizer\": {\"type\": \"Whitespace\"}", MODEL, "pre_tokenizer", TM_EUNSUPPORTED},
        {"\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
         "{\"Regex\": "
         "\"\\\\w+\"}, \"behavior\": \"Isolated\", \"invert\": false}, {\"type\": \"ByteLevel\", "
         "\"use_regex\": false, "
         "\"add_prefix_space\": false}]}",
         MODEL, "\\w+", TM_EUNSUPPORTED},
        {PRE ", \"post_processor\": {\"type\": \"Whatever\"}", MODEL, "Whatever", TM_EUNSUPPORTED},
        {PRE, "\"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": [\"a b\"]", "\"ab\"", TM_EFORMAT},
        {PRE, "\"vocab\": {\"a\": 0, \"b\": 0}, \"merges\": []", "same id", TM_EFORMAT},
        {PRE, "\"vocab\": {\"a\": 99999999}, \"merges\": []", "number below", TM_EFORMAT},
        {PRE, "\"vocab\": {\"a\": 0}, \"merges\": [\"a c\"]", "\"c\"", TM_EFORMAT},
        {PRE, "\"vocab\": {\"a\": 0}, \"merges\": [\"a a a\"]", "merge 0", TM_EFORMAT},
        {PRE, "\"vocab\": {\"a\": 0}", "merges", TM_EFORMAT},
        {PRE ", \"added_tokens\": [{\"id\": 7, \"content\": \"<s>\"}]", MODEL, "its place is 3", TM_EFORMAT},
        {PRE ", \"added_tokens\": [{\"id\": 3, \"content\": \"\"}]", MODEL, "empty", TM_EFORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tm_error err = {0};
        tm_status status = read_with(rows[i].rest, rows[i].model, &err);
        if (status != rows[i].status || !strstr(err.text, rows[i].said))
            fail_msg("row %zu: %s: %s", i, tm_status_name(status), err.text);
    }
}

static void damaged_json_says_where(void **state)
{
    tm_bpe *bpe;
    tm_error err = {0};
    assert_int_equal(tm_tokenizer_json_read(tm_view_str("{\n\"model\": }"), &bpe, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "line 2"));
    tm_buf deep = {0};
    for (int i = 0; i < 100000; i++) tm_buf_char(&deep, '[');
    assert_int_equal(tm_tokenizer_json_read(tm_buf_view(&deep), &bpe, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "nested"));
    assert_int_equal(tm_tokenizer_json_read((tm_view){0}, &bpe, &err), TM_EFORMAT);
    tm_buf_clear(&deep);
}

static void every_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
    tm_buf json = read_file(FOLDER "qwen2.json");
    tm_view text = tm_view_str(
        "a <tool> e\u0323\u0307 word the tide the mill and the harbour brings it all ------------");
    tm_bpe_ids want = {0};
    uint64_t done, n = 0;
    for (bool more = true; more; n++) {  // round 0 without a failure
        tm_bpe *bpe = NULL;
        tm_bpe_ids ids = {0};
        tm_alloc_fail_at(n, false);
        tm_status status = tm_tokenizer_json_read(tm_buf_view(&json), &bpe, NULL);
        tm_bpe_encoder *encoder = bpe ? tm_bpe_encoder_new(bpe) : NULL;
        if (encoder) status = tm_bpe_encode(encoder, text, 0, &ids, NULL);
        done = tm_alloc_fail_at(0, false);
        tm_bpe_encoder_free(encoder);
        tm_bpe_free(bpe);
        if (n == 0) {
            want = ids;
            continue;
        }
        more = done >= n;
        if (!encoder && bpe) status = TM_ENOMEM;
        assert_int_equal(status, done >= n ? TM_ENOMEM : TM_OK);
        assert_int_equal(ids.size, status == TM_OK ? want.size : 0);
        if (ids.size) assert_memory_equal(ids.data, want.data, ids.size * 4);
        tm_bpe_ids_clear(&ids);
    }
    assert_true(want.size > 10 && n > 50);
    tm_bpe_ids_clear(&want);
    tm_buf_clear(&json);
}

static void the_config_names_special_tokens_that_exist(void **state)
{
    tm_bpe *bpe = open_fixture("gpt2");
    tm_buf json = {0};
    tm_error err = {0};
    tm_tokenizer_config config = {.eos = tm_view_str("<|endoftext|>"),
                                  .max_length = 512,
                                  .chat_template = tm_view_str("{{ messages }}")};
    assert_int_equal(tm_tokenizer_config_write(bpe, &config, &json, &err), TM_OK);
    json_t *root = json_loadb(json.data, json.size, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(root, "eos_token")), "<|endoftext|>");
    assert_int_equal(json_integer_value(json_object_get(root, "model_max_length")), 512);
    assert_int_equal(json_object_size(json_object_get(root, "added_tokens_decoder")), 3);
    assert_null(json_object_get(root, "bos_token"));
    json_decref(root);
    config.pad = tm_view_str("<pad>");
    assert_int_equal(tm_tokenizer_config_write(bpe, &config, &json, &err), TM_EINVAL);
    assert_non_null(strstr(err.text, "<pad>"));
    tm_buf_clear(&json);
    tm_bpe_free(bpe);
}

static void a_start_token_goes_before_every_text_and_changes_nothing_else(void **state)
{
    static const char *const names[] = {"gpt2", "qwen2"};
    for (int i = 0; i < 2; i++) {
        tm_bpe *bpe = open_fixture(names[i]), *again = NULL;
        tm_buf json = {0}, started = {0}, text = {0};
        tm_error err = {0};
        tm_view token = tm_bpe_text(bpe, 7);
        assert_int_equal(tm_tokenizer_json_write(bpe, &json, &err), TM_OK);
        assert_int_equal(tm_tokenizer_json_start(tm_buf_view(&json), token, 7, &started, &err), TM_OK);
        assert_int_equal(tm_tokenizer_json_read(tm_buf_view(&started), &again, &err), TM_OK);
        const tm_bpe_spec *had = tm_bpe_parts(bpe), *has = tm_bpe_parts(again);
        assert_int_equal(has->n_prefix, had->n_prefix + 1);
        assert_int_equal(has->prefix[had->n_prefix], 7);
        assert_int_equal(has->n_suffix, had->n_suffix);
        assert_int_equal(tm_bpe_size(again), tm_bpe_size(bpe));
        assert_int_equal(tm_tokenizer_json_start(tm_view_str("[1"), token, 7, &text, &err), TM_EFORMAT);
        tm_buf_clear(&json);
        tm_buf_clear(&started);
        tm_buf_clear(&text);
        tm_bpe_free(bpe);
        tm_bpe_free(again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_decoding_are_those_of_hugging_face),
        cmocka_unit_test(training_gives_the_file_of_hugging_face_byte_for_byte),
        cmocka_unit_test(a_written_file_reads_as_the_same_tokenizer),
        cmocka_unit_test(what_would_give_other_ids_is_refused_by_name),
        cmocka_unit_test(damaged_json_says_where),
        cmocka_unit_test(every_failed_allocation_is_an_error_and_leaks_nothing),
        cmocka_unit_test(the_config_names_special_tokens_that_exist),
        cmocka_unit_test(a_start_token_goes_before_every_text_and_changes_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
