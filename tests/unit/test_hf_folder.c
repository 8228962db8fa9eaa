// SPDX-License-Identifier: Apache-2.0
#include "stages/format/hf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "stages/model/model.h"

static char root[64];

static int make_root(void **state)
{
    strcpy(root, "/tmp/test_hf_folder_XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static const char *in(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void put(const char *name, const char *text)
{
    tm_view piece = tm_view_str(text);
    assert_int_equal(tm_content_write(in(name), &piece, 1, NULL), TM_OK);
}

static void expect_refusal(tm_status status, const char *text)
{
    tm_hf_folder folder;
    tm_error err = {0};
    tm_status got = tm_hf_folder_open(&folder, root, &err);
    if (got != status || !strstr(err.text, text))
        fail_msg("gave %d \"%s\", expected \"%s\"", got, err.text, text);
}

static void what_is_written_is_read_back(void **state)
{
    float a[2] = {1, 2}, b[3] = {3, 4, 5};
    tm_st_tensor tensors[] = {{"b", TM_ST_F32, 1, {3}, tm_view_of(b, 12)},
                              {"a", TM_ST_F32, 1, {2}, tm_view_of(a, 8)}};
    tm_view pieces[] = {tm_view_str("{\"x\":"), tm_view_str("1}")};
    tm_content extra = {"tokenizer.json", pieces, 2};
    tm_hf_model model = {
        .config = tm_view_str("{}"), .tensors = tensors, .n_tensors = 2, .extras = &extra, .n_extras = 1};
    assert_int_equal(tm_hf_folder_write(root, &model, NULL), TM_OK);
    tm_hf_folder folder;
    tm_view bytes;
    assert_int_equal(tm_hf_folder_open(&folder, root, NULL), TM_OK);
    assert_true(tm_view_eq(folder.config, tm_view_str("{}")));
    assert_int_equal(folder.n_tensors, 2);
    assert_memory_equal(tm_hf_folder_find(&folder, "b")->data.data, b, 12);
    assert_string_equal(tm_hf_folder_tensor(&folder, 0)->name, "a");
    assert_null(tm_hf_folder_tensor(&folder, 2));
    assert_int_equal(tm_hf_folder_file(&folder, "tokenizer.json", &bytes, NULL), TM_OK);
    assert_true(tm_view_eq(bytes, tm_view_str("{\"x\":1}")));
    tm_content_unmap(bytes);
    assert_int_equal(tm_hf_folder_file(&folder, "generation_config.json", &bytes, NULL), TM_ENOENT);
    tm_hf_folder_close(&folder);
}

static void a_name_used_twice_or_leading_out_of_the_folder_is_refused(void **state)
{
    tm_view piece = tm_view_str("x");
    tm_content bad[] = {{"../up", &piece, 1}, {"config.json", &piece, 1}, {"", &piece, 1}};
    for (int i = 0; i < 3; i++) {
        tm_hf_model model = {.config = piece, .extras = &bad[i], .n_extras = 1};
        tm_hf_files files;
        assert_int_equal(tm_hf_files_make(&files, &model, NULL), TM_EINVAL);
    }
}

static void shards_are_found_through_their_index(void **state)
{
    float a[2] = {1, 2}, b[1] = {3};
    tm_st_tensor x = {"x", TM_ST_F32, 1, {2}, tm_view_of(a, 8)},
                 y = {"y", TM_ST_F32, 1, {1}, tm_view_of(b, 4)};
    put("config.json", "{}");
    expect_refusal(TM_ENOENT, "model.safetensors");
    assert_int_equal(tm_safetensors_write(in("one.safetensors"), &x, 1, NULL, 0, NULL), TM_OK);
    assert_int_equal(tm_safetensors_write(in("two.safetensors"), &y, 1, NULL, 0, NULL), TM_OK);
    put("model.safetensors.index.json",
        "{\"weight_map\":{\"y\":\"two.safetensors\",\"x\":\"one.safetensors\"}}");
    tm_hf_folder folder;
    assert_int_equal(tm_hf_folder_open(&folder, root, NULL), TM_OK);
    assert_int_equal(folder.n_shards, 2);
    assert_memory_equal(tm_hf_folder_find(&folder, "y")->data.data, b, 4);
    assert_string_equal(tm_hf_folder_tensor(&folder, 1)->name, "x");
    tm_hf_folder_close(&folder);
    put("model.safetensors.index.json",
        "{\"weight_map\":{\"z\":\"two.safetensors\",\"x\":\"one.safetensors\"}}");
    expect_refusal(TM_EFORMAT, "tensor z is not in two.safetensors");
    put("model.safetensors.index.json", "{\"weight_map\":{\"x\":\"one.safetensors\"}}");
    tm_safetensors_write(in("one.safetensors"), (tm_st_tensor[]){x, y}, 2, NULL, 0, NULL);
    expect_refusal(TM_EFORMAT, "names 1 tensors, the shards hold 2");
    put("model.safetensors.index.json", "{\"weight_map\":{\"x\":\"../one.safetensors\"}}");
    expect_refusal(TM_EFORMAT, "lies in no file of the folder");
    put("model.safetensors.index.json", "{\"weight_map\":{\"x\":\"three.safetensors\"}}");
    expect_refusal(TM_ENOENT, "three.safetensors");
    put("model.safetensors.index.json", "{}");
    expect_refusal(TM_EFORMAT, "no weight_map");
}

static tm_model *small_model(bool tie)
{
    tm_model *m;
    tm_device *dev;
    tm_model_config c = {.layers = 1,
                         .width = 8,
                         .heads = 2,
                         .ffn = 12,
                         .vocab = 7,
                         .tie = tie,
                         .bos = -1,
                         .eos = 3,
                         .pad = -1};
    assert_int_equal(tm_device_open_cpu(1, &dev, NULL), TM_OK);
    assert_int_equal(tm_model_init(&m, &c, dev, 5, NULL), TM_OK);
    tm_device_close(dev);
    return m;
}

static tm_status reload(tm_model **m, tm_error *err)
{
    tm_hf_folder folder;
    TM_TRY(tm_hf_folder_open(&folder, root, err));
    tm_status status = tm_model_load(m, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

static void a_model_is_read_back_bit_for_bit(void **state)
{
    tm_model *m = small_model(true), *again;
    assert_int_equal(tm_model_write(m, root, NULL, 0, NULL), TM_OK);
    assert_int_equal(reload(&again, NULL), TM_OK);
    assert_memory_equal(m->params, again->params, m->map.n_floats * sizeof(float));
    assert_int_equal(again->config.eos, 3);
    assert_int_equal(access(in("generation_config.json"), R_OK), 0);
    tm_model_free(m);
    tm_model_free(again);
}

// Write a model's tensors after `change` has had them.
static void write_changed(const tm_model *m, size_t (*change)(tm_st_tensor *tensors, size_t n))
{
    tm_st_tensor tensors[32];
    tm_param_tensors(&m->map, m->params, "", NULL, tensors);
    size_t n = change(tensors, m->map.n_params);
    assert_int_equal(tm_safetensors_write(in("model.safetensors"), tensors, n, NULL, 0, NULL), TM_OK);
}

static size_t drop_last(tm_st_tensor *t, size_t n)
{
    return n - 1;
}

static size_t rename_norm(tm_st_tensor *t, size_t n)
{
    t[n] = t[n - 1];
    t[n].name = "model.extra.weight";
    return n + 1;
}

static size_t add_head(tm_st_tensor *t, size_t n)
{
    t[n] = t[0];
    t[n].name = "lm_head.weight";
    return n + 1;
}

static size_t add_other_head(tm_st_tensor *t, size_t n)
{
    static const float other[56];
    t[n] = t[0];
    t[n].name = "lm_head.weight";
    t[n].data = tm_view_of(other, sizeof other);
    return n + 1;
}

static size_t transpose(tm_st_tensor *t, size_t n)
{
    t[0].shape[0] = 8, t[0].shape[1] = 7;
    return n;
}

static void weights_that_do_not_fit_the_shape_are_refused_by_name(void **state)
{
    tm_model *m = small_model(true), *again;
    tm_error err = {0};
    assert_int_equal(tm_model_write(m, root, NULL, 0, NULL), TM_OK);
    write_changed(m, drop_last);
    assert_int_equal(reload(&again, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "model.norm.weight is missing"));
    write_changed(m, rename_norm);
    assert_int_equal(reload(&again, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "model.extra.weight belongs to no part of a llama model"));
    write_changed(m, transpose);
    assert_int_equal(reload(&again, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "is [8,7], expected [7,8]"));
    write_changed(m, add_other_head);
    assert_int_equal(reload(&again, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "lm_head.weight is not the embedding"));
    write_changed(m, add_head);
    assert_int_equal(reload(&again, NULL), TM_OK);
    tm_model_free(again);
    tm_model_free(m);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_read_back),
        CASE(a_name_used_twice_or_leading_out_of_the_folder_is_refused),
        CASE(shards_are_found_through_their_index),
        CASE(a_model_is_read_back_bit_for_bit),
        CASE(weights_that_do_not_fit_the_shape_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
