// SPDX-License-Identifier: Apache-2.0
// Models from elsewhere: one tiny model in every form is the same model; what is no model is refused.
#include "stages/model/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stages/export/export.h"
#include "stages/format/gguf.h"
#include "stages/model/model.h"
#include "stages/text/tokenizer_folder.h"

#define MODELS "tests/fixtures/models"

static char root[64];

static int make_root(void **state)
{
    strcpy(root, "/tmp/test_source_XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    return tm_dir_remove(root, NULL) == TM_OK ? 0 : -1;
}

static const char *in(const char *name)
{
    static char path[16][256];
    static int next;
    char *at = path[next++ % 16];
    snprintf(at, sizeof path[0], "%s/%s", root, name);
    return at;
}

static tm_status fetch(const char *path, const char *match, const char *folder, tm_error *err)
{
    tm_model_source source;
    tm_dir_remove(folder, NULL);
    tm_dir_remove(in("scratch"), NULL);
    tm_dir_make(folder, NULL);
    tm_dir_make(in("scratch"), NULL);
    TM_TRY(tm_model_source_find(&source, NULL, path, match, err));
    return tm_model_source_fetch(&source, folder, in("scratch"), err);
}

static tm_model *load(const char *path)
{
    tm_hf_folder folder;
    tm_model *m = NULL;
    tm_error err = {0};
    if (tm_hf_folder_open(&folder, path, &err) < 0 || tm_model_load(&m, &folder, &err) < 0)
        fail_msg("%s", err.text);
    tm_hf_folder_close(&folder);
    return m;
}

static void shell(const char *format, const char *a, const char *b)
{
    char command[1024];
    snprintf(command, sizeof command, format, a, b);
    assert_int_equal(system(command), 0);
}

// Numbers and tokenizer of a fetched folder are those of the fixture `whole`.
static void expect_whole(const char *folder)
{
    tm_model *a = load(MODELS "/whole"), *b = load(folder);
    tm_tokenizer tokenizer;
    assert_int_equal(a->map.n_floats, b->map.n_floats);
    assert_memory_equal(a->params, b->params, a->map.n_floats * sizeof *a->params);
    tm_model_config want = a->config, got = b->config;
    got.init_std = want.init_std;
    assert_memory_equal(&got, &want, sizeof want);
    assert_int_equal(tm_tokenizer_load(&tokenizer, folder, NULL), TM_OK);
    assert_true(tm_bpe_size(tokenizer.bpe) == 360 && tokenizer.bos == 1 && tokenizer.eos == 2);
    tm_tokenizer_clear(&tokenizer);
    tm_model_free(a);
    tm_model_free(b);
}

static void expect_fetch(const char *path, const char *match)
{
    tm_error err = {0};
    if (fetch(path, match, in("out"), &err) < 0) fail_msg("%s: %s", path, err.text);
    expect_whole(in("out"));
}

static void refuses(const char *path, const char *match, tm_status status, const char *why)
{
    tm_error err = {0};
    tm_status got = fetch(path, match, in("out"), &err);
    if (got != status || !strstr(err.text, why))
        fail_msg("gave %d \"%s\", expected \"%s\"", got, err.text, why);
}

static void the_same_model_comes_out_of_every_form(void **state)
{
    expect_fetch(MODELS "/whole", "");
    expect_fetch(MODELS "/shards", "");
    expect_fetch(MODELS "/old", "");
    expect_fetch(MODELS "/tiny.gguf", "");
}

static void weights_of_a_folder_keep_their_bytes(void **state)
{
    assert_int_equal(fetch(MODELS "/shards", "", in("out"), NULL), TM_OK);
    shell("diff -r %s %s", MODELS "/shards", in("out"));
}

static void a_gguf_file_brings_its_chat_template(void **state)
{
    tm_buf a = {0};
    expect_fetch(MODELS "/tiny.gguf", "");
    assert_int_equal(tm_file_read(in("out/chat_template.jinja"), &a, NULL), TM_OK);
    assert_non_null(strstr(a.data, "<|im_start|>assistant"));
    tm_buf_clear(&a);
}

static void a_folder_with_one_gguf_file_alone_is_that_file(void **state)
{
    shell("mkdir %s/alone && cp " MODELS "/tiny.gguf %s/alone/model.gguf", root, root);
    expect_fetch(in("alone"), "");
    shell("cp %s/alone/model.gguf %s/alone/other.gguf", root, root);
    refuses(in("alone"), "", TM_EINVAL, "holds no config.json");
}

static void archives_are_looked_into(void **state)
{
    shell("cd " MODELS " && tar czf %s/one.tar.gz whole%s", root, "");
    expect_fetch(in("one.tar.gz"), "");
    shell("cd " MODELS " && tar cf %s/more.tar tiny.gguf old shards%s", root, "");
    refuses(in("more.tar"), "", TM_EINVAL, "holds 3 models: ");
    refuses(in("more.tar"), "*.bin", TM_EINVAL, "holds no model that matches *.bin");
    expect_fetch(in("more.tar"), "*.gguf");
    shell("cd " MODELS " && tar cf %s/bad.tar blocks.gguf%s", root, "");
    refuses(in("bad.tar"), "", TM_EFORMAT, "bad.tar: model.gguf: llama.block_count is missing");
    expect_fetch(in("more.tar"), "old/*");
    expect_fetch(in("more.tar"), "shards/config.json");
    assert_false(tm_file_exists(in("scratch/model.gguf")));
}

static void what_is_no_model_is_refused(void **state)
{
    refuses(in("nothing"), "", TM_ENOENT, "is not there");
    refuses("tests/fixtures", "", TM_EINVAL, "holds no config.json");
    refuses(MODELS "/whole", "*.gguf", TM_EINVAL, "leave `match` out");
    refuses("tests/fixtures/llama", "", TM_ENOENT, "no tokenizer.json");
    refuses(MODELS "/blocks.gguf", "", TM_EFORMAT, "llama.block_count is missing");
    refuses("meson.build", "", TM_EINVAL, "holds no model");
}

// The fixture `whole` with one change made by sed.
static void refuses_changed(const char *file, const char *edit, tm_status status, const char *why)
{
    shell("rm -rf %s && cp -r " MODELS "/whole %s", in("changed"), in("changed"));
    shell("sed -i '%s' %s", edit, in(file));
    refuses(in("changed"), "", status, why);
}

static void folders_that_contradict_themselves_are_refused(void **state)
{
    refuses_changed("changed/config.json", "s/\"vocab_size\": 360/\"vocab_size\": 361/", TM_EFORMAT,
                    "tensor model.embed_tokens.weight is [360,16], expected [361,16]");
    refuses_changed("changed/config.json", "s/\"num_hidden_layers\": 1/\"num_hidden_layers\": 2/", TM_EFORMAT,
                    "tensor model.layers.1.self_attn.q_proj.weight is missing");
    refuses_changed("changed/config.json", "s/\"llama\"/\"mamba\"/", TM_EUNSUPPORTED, "mamba");
    refuses_changed("changed/config.json", "s/\"tie_word_embeddings\": true/\"tie_word_embeddings\": false/",
                    TM_EFORMAT, "tensor lm_head.weight is missing");
    shell("cp %s %s", MODELS "/whole/config.json", in("changed/config.json"));
    shell("cp %s %s", "tests/fixtures/tokenizer/gpt2.json", in("changed/tokenizer.json"));
    refuses(in("changed"), "", TM_EFORMAT, "its tokenizer has 400 ids, its embedding 360 rows");
}

static void export_to_gguf(const char *folder, const char *to, const char *dtype)
{
    tm_export_options options = {.format = "gguf", .dtype = dtype};
    tm_export_job job = {.model = folder, .folder = to, .options = &options};
    tm_error err = {0};
    tm_dir_remove(to, NULL);
    tm_dir_make(to, NULL);
    if (tm_export_format_find("gguf")->write(&job, &err) < 0) fail_msg("%s", err.text);
}

static void what_is_exported_to_gguf_comes_back_bit_for_bit(void **state)
{
    assert_int_equal(fetch(MODELS "/shards", "", in("model"), NULL), TM_OK);
    export_to_gguf(in("model"), in("gguf"), "f32");
    expect_fetch(in("gguf/model.gguf"), "");
    export_to_gguf(in("model"), in("gguf"), "f16");
    expect_fetch(in("gguf/model.gguf"), "");
    export_to_gguf(in("model"), in("gguf"), "q8_0"); // rows of 16 and 24: no blocks of 32, so all is f16
    expect_fetch(in("gguf/model.gguf"), "");
}

// A tensor of the file just exported has the bytes of one in the folder it came from.
static void expect_rows(const char *name, const char *param)
{
    tm_gguf gguf;
    tm_hf_folder folder;
    assert_int_equal(tm_gguf_open(&gguf, in("gguf/model.gguf"), NULL), TM_OK);
    assert_int_equal(tm_hf_folder_open(&folder, in("model"), NULL), TM_OK);
    assert_true(tm_view_eq(tm_gguf_tensor_find(&gguf, name)->data, tm_hf_folder_find(&folder, param)->data));
    tm_gguf_close(&gguf);
    tm_hf_folder_close(&folder);
}

static void architectures_without_the_reordering_come_back_too(void **state)
{
    static const char small[] =
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []},"
        " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true},"
        " \"decoder\": {\"type\": \"ByteLevel\"}}";
    shell("cp -r %s %s", "tests/fixtures/llama_qwen3", in("model"));
    assert_int_equal(tm_file_write(in("model/tokenizer.json"), small, sizeof small - 1, false, NULL), TM_OK);
    export_to_gguf(in("model"), in("gguf"), "f32");
    expect_rows("blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight");
    tm_error err = {0};
    if (fetch(in("gguf/model.gguf"), "", in("out"), &err) < 0) fail_msg("%s", err.text);
    tm_model *a = load("tests/fixtures/llama_qwen3"), *b = load(in("out"));
    assert_memory_equal(a->params, b->params, a->map.n_floats * sizeof *a->params);
    assert_true(b->config.rope == TM_ROPE_LLAMA3 && b->config.rope_original == 32 &&
                b->config.rope_factor == 4);
    tm_model_free(a);
    tm_model_free(b);
}

static void formats_take_their_own_options_alone(void **state)
{
    tm_export_options hf = {.format = "hf"}, gguf = {.format = "gguf", .dtype = "int3"};
    static const char *const given[] = {"dtype", NULL};
    const char *option = NULL;
    char dtype[16];
    tm_error err = {0};
    assert_int_equal(tm_export_check(tm_export_format_find("hf"), &hf, given, dtype, &option, &err),
                     TM_EINVAL);
    assert_string_equal(option, "dtype");
    option = NULL;
    assert_int_equal(tm_export_check(tm_export_format_find("gguf"), &gguf, given, dtype, &option, &err),
                     TM_EINVAL);
    assert_string_equal(err.hint, "one of: f16 f32 q8_0");
    gguf.dtype = NULL;
    assert_int_equal(tm_export_check(tm_export_format_find("gguf"), &gguf, given + 1, dtype, &option, &err),
                     TM_OK);
    assert_string_equal(gguf.dtype, "f16");
    assert_null(tm_export_format_find("guff"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        TEST(the_same_model_comes_out_of_every_form),
        TEST(weights_of_a_folder_keep_their_bytes),
        TEST(a_gguf_file_brings_its_chat_template),
        TEST(a_folder_with_one_gguf_file_alone_is_that_file),
        TEST(archives_are_looked_into),
        TEST(what_is_no_model_is_refused),
        TEST(folders_that_contradict_themselves_are_refused),
        TEST(what_is_exported_to_gguf_comes_back_bit_for_bit),
        TEST(architectures_without_the_reordering_come_back_too),
        TEST(formats_take_their_own_options_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
