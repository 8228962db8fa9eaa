// SPDX-License-Identifier: Apache-2.0
#include "stages/model/config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SIZES                                                                                                \
    "\"num_hidden_layers\":3,\"hidden_size\":48,\"num_attention_heads\":6,\"intermediate_size\":80,"         \
    "\"vocab_size\":97"

static tm_model_config parsed(const char *json)
{
    tm_model_config c;
    tm_error err = {0};
    if (tm_model_config_parse(&c, tm_view_str(json), &err) < 0) fail_msg("%s: %s", json, err.text);
    return c;
}

static void expect_refusal(const char *json, tm_status status, const char *text)
{
    tm_model_config c;
    tm_error err = {0};
    tm_status got = tm_model_config_parse(&c, tm_view_str(json), &err);
    if (got != status || !strstr(err.text, text))
        fail_msg("%s\n gave %d \"%s\", expected \"%s\"", json, got, err.text, text);
}

static void defaults_follow_from_a_few_numbers(void **state)
{
    tm_model_config c = {.layers = 4, .width = 192, .heads = 6, .vocab = 2048};
    assert_int_equal(tm_model_config_complete(&c, NULL), TM_OK);
    assert_string_equal(c.family->name, "llama");
    assert_int_equal(c.kv_heads, 6);
    assert_int_equal(c.head_dim, 32);
    assert_int_equal(c.ffn, 512);
    assert_true(c.norm_eps == 1e-6 && c.rope_theta == 10000 && fabs(c.init_std - 0.0456) < 1e-4);
}

static void impossible_shapes_are_refused_by_name(void **state)
{
    static const struct {
        tm_model_config c;
        const char *text;
    } cases[] = {
        {{.layers = 1, .width = 10, .heads = 4, .vocab = 5}, "width 10 is not a multiple of 4"},
        {{.layers = 1, .width = 12, .heads = 4, .vocab = 5}, "head_dim 3 is odd"},
        {{.layers = 1, .width = 16, .heads = 4, .kv_heads = 3, .vocab = 5}, "not a multiple of 3 kv_heads"},
        {{.width = 16, .heads = 4, .vocab = 5}, "layers must be"},
        {{.layers = 1, .width = 16, .heads = 4}, "vocab must be"},
        {{.layers = 1, .width = 16, .heads = 4, .vocab = 5, .norm_eps = -1}, "norm epsilon"},
        {{.layers = 1, .width = 16, .heads = 4, .vocab = 5, .rope = TM_ROPE_LINEAR}, "rope factor"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tm_error err = {0};
        tm_model_config c = cases[i].c;
        assert_int_equal(tm_model_config_complete(&c, &err), TM_EINVAL);
        if (!strstr(err.text, cases[i].text)) fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].text);
    }
}

static void theta_is_read_from_the_older_and_the_newer_place(void **state)
{
    assert_true(parsed("{\"model_type\":\"llama\"," SIZES "}").rope_theta == 10000);
    assert_true(parsed("{\"model_type\":\"llama\"," SIZES ",\"rope_theta\":500000.0,\"rope_scaling\":null}")
                    .rope_theta == 500000);
    assert_true(parsed("{\"model_type\":\"llama\"," SIZES ",\"rope_parameters\":{\"rope_type\":\"default\","
                       "\"rope_theta\":300}}").rope_theta == 300);
    const char *scaled =
        "{\"model_type\":\"llama\"," SIZES ",\"rope_theta\":5e5,\"rope_scaling\":{\"rope_type\":"
        "\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,"
        "\"original_max_position_embeddings\":8192}}";
    tm_model_config c = parsed(scaled);
    assert_true(c.rope == TM_ROPE_LLAMA3 && c.rope_factor == 8 && c.rope_original == 8192 &&
                c.rope_theta == 5e5);
    c = parsed("{\"model_type\":\"llama\"," SIZES ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0}}");
    assert_true(c.rope == TM_ROPE_LINEAR && c.rope_factor == 2);
}

static void what_is_written_is_read_back(void **state)
{
    static const char *const configs[] = {
        "{\"model_type\":\"llama\"," SIZES
        ",\"tie_word_embeddings\":true,\"eos_token_id\":[5,6],\"attention_bias\":true,"
        "\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":5e5,\"factor\":8,\"low_freq_factor\":1,"
        "\"high_freq_factor\":4,\"original_max_position_embeddings\":32}}",
        "{\"model_type\":\"mistral\"," SIZES ",\"sliding_window\":9,\"rms_norm_eps\":1e-05}",
        "{\"model_type\":\"mistral\"," SIZES ",\"sliding_window\":null}",
        "{\"model_type\":\"qwen2\"," SIZES
        ",\"use_sliding_window\":true,\"sliding_window\":7,\"max_window_layers\":1}",
        "{\"model_type\":\"qwen3\"," SIZES ",\"head_dim\":128,\"sliding_window\":4096}",
    };
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        tm_model_config a = parsed(configs[i]), b;
        tm_buf text = {0}, again = {0};
        assert_int_equal(tm_model_config_write(&a, &text, NULL), TM_OK);
        b = parsed(text.data);
        assert_int_equal(tm_model_config_write(&b, &again, NULL), TM_OK);
        assert_string_equal(text.data, again.data);
        assert_true(a.window == b.window && a.rope == b.rope && a.head_dim == b.head_dim && a.tie == b.tie);
        tm_buf_clear(&text);
        tm_buf_clear(&again);
    }
}

static void windows_follow_the_rules_of_their_families(void **state)
{
    tm_model_config c = parsed("{\"model_type\":\"mistral\"," SIZES "}");
    assert_int_equal(tm_model_config_window(&c, 0), 4096);
    c = parsed("{\"model_type\":\"qwen2\"," SIZES ",\"sliding_window\":7,\"max_window_layers\":1}");
    assert_int_equal(tm_model_config_window(&c, 2), 0);
    c = parsed("{\"model_type\":\"qwen2\"," SIZES ",\"use_sliding_window\":true,\"sliding_window\":7,"
               "\"layer_types\":[\"full_attention\",\"sliding_attention\",\"sliding_attention\"]}");
    assert_int_equal(tm_model_config_window(&c, 0), 0);
    assert_int_equal(tm_model_config_window(&c, 1), 7);
    assert_true(c.qkv_bias);
    expect_refusal("{\"model_type\":\"qwen2\"," SIZES
                   ",\"use_sliding_window\":true,\"sliding_window\":7,\"layer_types\":"
                   "[\"sliding_attention\",\"full_attention\"]}",
                   TM_EUNSUPPORTED, "layer_types");
}

static void a_configuration_that_cannot_be_is_refused_with_its_reason(void **state)
{
    expect_refusal("", TM_EFORMAT, "config.json");
    expect_refusal("[]", TM_EFORMAT, "not an object");
    expect_refusal("{\"model_type\":\"llama\"}", TM_EFORMAT, "num_hidden_layers must be there");
    expect_refusal("{\"model_type\":\"llama\"," SIZES ",\"num_key_value_heads\":4}", TM_EFORMAT,
                   "4 kv_heads");
    expect_refusal("{\"model_type\":\"llama\"," SIZES ",\"num_key_value_heads\":-1}", TM_EFORMAT, "a count");
    expect_refusal("{\"model_type\":\"llama\"," SIZES ",\"vocab_size\":3}", TM_EFORMAT, "duplicate");
    expect_refusal("{\"model_type\":\"mamba\"," SIZES "}", TM_EUNSUPPORTED, "\"mamba\"");
    expect_refusal("{\"model_type\":\"llama\"," SIZES ",\"hidden_act\":\"gelu\"}", TM_EUNSUPPORTED,
                   "\"gelu\"");
    expect_refusal("{\"model_type\":\"llama\"," SIZES
                   ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2}}",
                   TM_EUNSUPPORTED, "\"yarn\"");
    expect_refusal("{\"model_type\":\"llama\"," SIZES ",\"rope_theta\":\"big\"}", TM_EFORMAT,
                   "rope_theta must be a number");
}

static void flops_count_products_of_weights_and_attention(void **state)
{
    tm_model_config c = {.layers = 2, .width = 8, .heads = 2, .kv_heads = 1, .ffn = 10, .vocab = 7};
    assert_int_equal(tm_model_config_complete(&c, NULL), TM_OK);
    double weights = 2 * (8 * 16 + 8 * 8 + 3 * 8 * 10) + 7 * 8;
    assert_true(tm_model_config_flops(&c, 5) == 6 * weights + 2 * 12 * 8 * 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_follow_from_a_few_numbers),
        cmocka_unit_test(impossible_shapes_are_refused_by_name),
        cmocka_unit_test(theta_is_read_from_the_older_and_the_newer_place),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(windows_follow_the_rules_of_their_families),
        cmocka_unit_test(a_configuration_that_cannot_be_is_refused_with_its_reason),
        cmocka_unit_test(flops_count_products_of_weights_and_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
