// SPDX-License-Identifier: Apache-2.0
#include "stages/text/chat_tokens.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/io.h"

static tm_error err;
static char folder[] = "/tmp/tidemill-chat-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    remove(path);
    if (text) assert_int_equal(tm_file_write(path, text, strlen(text), false, &err), TM_OK);
}

typedef struct opened {
    tm_tokenizer tokenizer;
    tm_chat *chat;
} opened;

// The fixture tokenizer with a configuration and a template file; NULL: no such file.
static tm_status open_with(opened *o, const char *config, const char *template)
{
    tm_buf json = {0};
    assert_int_equal(tm_file_read("tests/fixtures/tokenizer/gpt2.json", &json, &err), TM_OK);
    put("tokenizer.json", json.data);
    tm_buf_clear(&json);
    put("tokenizer_config.json", config);
    put("chat_template.jinja", template);
    o->chat = NULL;
    assert_int_equal(tm_tokenizer_load(&o->tokenizer, folder, &err), TM_OK);
    return tm_chat_open(&o->chat, &o->tokenizer, folder, &err);
}

static void close_it(opened *o)
{
    tm_chat_close(o->chat);
    tm_tokenizer_clear(&o->tokenizer);
}

// All of an example as text, with what is learned between square brackets.
static tm_status shown(opened *o, const char *record, tm_chat_answers which, tm_buf *text)
{
    tm_bpe_ids ids = {0};
    tm_buf mask = {0};
    json_t *json = json_loads(record, 0, NULL);
    tm_status status = tm_chat_example(o->chat, json, which, &ids, &mask, &err);
    tm_buf_reset(text);
    for (size_t i = 0; status >= 0 && i < ids.size; i++) {
        if (mask.data[i] && (!i || !mask.data[i - 1])) tm_buf_char(text, '[');
        tm_view bytes = tm_bpe_bytes(o->tokenizer.bpe, ids.data[i]);
        tm_buf_add(text, bytes.data, bytes.size);
        if (mask.data[i] && (i + 1 == ids.size || !mask.data[i + 1])) tm_buf_char(text, ']');
    }
    json_decref(json);
    tm_bpe_ids_clear(&ids);
    tm_buf_clear(&mask);
    return status;
}

static void shows(opened *o, const char *record, tm_chat_answers which, const char *wanted)
{
    tm_buf text = {0};
    if (shown(o, record, which, &text) < 0) fail_msg("%s", err.text);
    assert_string_equal(text.data, wanted);
    tm_buf_clear(&text);
}

static const char talk[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
    "\"b c\"},{\"role\":\"user\",\"content\":\"d\"},{\"role\":\"assistant\",\"content\":\"e\"}]}";

static void answers_are_learned_up_to_their_end_token(void **state)
{
    (void)state;
    opened o;
    assert_int_equal(open_with(&o, NULL, NULL), TM_OK); // ChatML
    shows(&o, talk, TM_CHAT_ALL,
          "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n[b "
          "c<|im_end|>]\n<|im_start|>user\nd<|im_end|>\n"
          "<|im_start|>assistant\n[e<|im_end|>]\n");
    shows(
        &o, talk, TM_CHAT_LAST,
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb c<|im_end|>\n<|im_start|>user\nd<|im_end|>\n"
        "<|im_start|>assistant\n[e<|im_end|>]\n");
    int64_t end;
    assert_int_equal(tm_chat_end(o.chat, &end, &err), TM_OK);
    assert_int_equal(end, tm_bpe_find(o.tokenizer.bpe, tm_view_str("<|im_end|>")));
    close_it(&o);
}

static void the_template_comes_from_its_file_or_the_configuration(void **state)
{
    static const char config[] =
        "{\"eos_token\":{\"content\":\"<|endoftext|>\"},\"model_max_length\":1000000000000000019884624838656,"
        "\"chat_template\":[{\"name\":\"rag\",\"template\":\"no\"},{\"name\":\"default\",\"template\":"
        "\"{% for m in messages %}{{ m.content }}{{ eos_token if m.role == 'assistant' else '>' }}{% endfor "
        "%}\"}]}";
    (void)state;
    opened o;
    assert_int_equal(open_with(&o, config, NULL), TM_OK);
    assert_true(o.tokenizer.eos >= 0); // although the length is no number that fits
    shows(&o, talk, TM_CHAT_ALL, "a>[b c<|endoftext|>]d>[e<|endoftext|>]");
    close_it(&o);
    assert_int_equal(open_with(&o, config, "{% for m in messages %}({{ m.content }}){% endfor %}"), TM_OK);
    shows(&o, talk, TM_CHAT_ALL, "(a)[(b c)](d)[(e)]");
    close_it(&o);
    assert_int_equal(open_with(&o, NULL, "{{ x | shuffle }}"), TM_EUNSUPPORTED);
    assert_string_equal(err.text, "the chat template: line 1: filter \"shuffle\" is not known here");
    close_it(&o);
}

static void marks_of_the_template_are_taken(void **state)
{
    (void)state;
    opened o;
    assert_int_equal(open_with(&o, NULL,
                               "{% for m in messages %}{{ m.role[0] }}:{% if m.role == 'assistant' %}"
                               "{% generation %}{{ m.content ~ '<|im_end|>!' }}{% endgeneration %}"
                               "{% else %}{{ m.content }}{% endif %};{% endfor %}"),
                     TM_OK);
    shows(&o, talk, TM_CHAT_ALL, "u:a;a:[b c<|im_end|>!];u:d;a:[e<|im_end|>!];");
    shows(&o, talk, TM_CHAT_LAST, "u:a;a:b c<|im_end|>!;u:d;a:[e<|im_end|>!];");
    close_it(&o);
}

// As of models that leave earlier thoughts out.
static void a_template_that_rewrites_earlier_answers_leaves_the_last_alone(void **state)
{
    tm_buf text = {0};
    (void)state;
    opened o;
    assert_int_equal(open_with(&o, NULL,
                               "{% for m in messages %}<{% if m.role == 'assistant' and not loop.last %}"
                               "({{ m.content }}){% else %}{{ m.content }}{% endif %}>{% endfor %}"
                               "{% if add_generation_prompt %}<{% endif %}"),
                     TM_OK);
    assert_int_equal(shown(&o, talk, TM_CHAT_ALL, &text), TM_EFAILED);
    assert_string_equal(err.text, "the template writes message 2 in another way when more follows");
    shows(&o, talk, TM_CHAT_LAST, "<a><(b c)><d><[e>]");
    tm_buf_clear(&text);
    close_it(&o);
}

static void what_stands_behind_the_last_message_alone_is_no_rewriting(void **state)
{
    (void)state;
    opened o; // as Phi-3's
    assert_int_equal(
        open_with(&o, "{\"eos_token\":\"<|endoftext|>\"}",
                  "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>\n{% endfor %}"
                  "{% if add_generation_prompt %}<|im_start|>{% else %}{{ eos_token }}{% endif %}"),
        TM_OK);
    shows(&o, talk, TM_CHAT_ALL,
          "<|im_start|>a<|im_end|>\n<|im_start|>[b c<|im_end|>]\n<|im_start|>d<|im_end|>\n<|im_start|>"
          "[e<|im_end|>\n<|endoftext|>]");
    close_it(&o);
}

static void a_pair_is_a_prompt_and_two_answers(void **state)
{
    (void)state;
    opened o;
    tm_bpe_ids ids[3] = {0};
    tm_buf text = {0};
    static const char *const wanted[] = {"<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n",
                                         "yes<|im_end|>", "no<|im_end|>"};
    json_t *json = json_loads("{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":"
                              "\"assistant\",\"content\":\"yes\"}],\"rejected\":[{\"role\":\"assistant\","
                              "\"content\":\"no\"}]}",
                              0, NULL);
    assert_int_equal(open_with(&o, NULL, NULL), TM_OK);
    assert_int_equal(tm_chat_pair(o.chat, json, &ids[0], &ids[1], &ids[2], &err), TM_OK);
    for (int i = 0; i < 3; i++) {
        tm_buf_reset(&text);
        tm_bpe_decode_bytes(o.tokenizer.bpe, ids[i].data, ids[i].size, false, &text);
        assert_string_equal(text.data, wanted[i]);
    }
    json_object_set(json, "rejected", json_object_get(json, "chosen"));
    assert_int_equal(tm_chat_pair(o.chat, json, &ids[0], &ids[1], &ids[2], &err), TM_EFAILED);
    assert_string_equal(err.text, "both answers are the same");
    for (int i = 0; i < 3; i++) tm_bpe_ids_clear(&ids[i]);
    tm_buf_clear(&text);
    json_decref(json);
    close_it(&o);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return tm_dir_remove(folder, &err) < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_learned_up_to_their_end_token),
        cmocka_unit_test(the_template_comes_from_its_file_or_the_configuration),
        cmocka_unit_test(marks_of_the_template_are_taken),
        cmocka_unit_test(a_template_that_rewrites_earlier_answers_leaves_the_last_alone),
        cmocka_unit_test(what_stands_behind_the_last_message_alone_is_no_rewriting),
        cmocka_unit_test(a_pair_is_a_prompt_and_two_answers),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
