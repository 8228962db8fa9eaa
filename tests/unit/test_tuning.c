// SPDX-License-Identifier: Apache-2.0
#include "stages/format/tuning.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *shape, *system_text = "", *fields;

// The record of a line, or NULL with why not in `bad`; free() it.
static char *record_of(const char *line, const char **bad)
{
    tm_buf text = {0};
    json_t *json = json_loads(line, 0, NULL), *map = fields ? json_loads(fields, 0, NULL) : NULL;
    tm_tuning_options how = {.shape = shape, .fields = map, .system = system_text};
    if (!json) fail_msg("no JSON: %s", line);
    assert_int_equal(tm_tuning_record(json, &how, &text, bad, NULL), TM_OK);
    char *copy = *bad ? NULL : strdup(text.data);
    json_decref(json);
    json_decref(map);
    tm_buf_clear(&text);
    return copy;
}

static void gives(const char *line, const char *record)
{
    const char *bad;
    char *text = record_of(line, &bad);
    if (bad) fail_msg("%s: %s", line, bad);
    assert_string_equal(text, record);
    free(text);
}

static void is_bad(const char *line, const char *why)
{
    const char *bad;
    assert_null(record_of(line, &bad));
    assert_string_equal(bad, why);
}

#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define BOT(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"
#define SYSTEM(text) "{\"role\":\"system\",\"content\":\"" text "\"}"

static void conversations_are_found_in_the_usual_shapes(void **state)
{
    (void)state;
    shape = "chat";
    gives("{\"messages\":[" USER("a") "," BOT("b") "]}", "{\"messages\":[" USER("a") "," BOT("b") "]}");
    gives("{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"}]}",
          "{\"messages\":[" USER("a") "," BOT("b") "]}");
    gives("{\"input\":\"a\",\"output\":\"b\"}", "{\"messages\":[" USER("a") "," BOT("b") "]}");
    gives("{\"prompt\":\"a\",\"completion\":\"b\"}", "{\"messages\":[" USER("a") "," BOT("b") "]}");
    gives("{\"instruction\":\"a\",\"output\":\"b\"}", "{\"messages\":[" USER("a") "," BOT("b") "]}");
    gives("{\"instruction\":\"a\",\"input\":\"c\",\"output\":\"b\"}",
          "{\"messages\":[" USER("a\\n\\nc") "," BOT("b") "]}");
    gives("{\"instruction\":\"a\",\"input\":\"\",\"output\":\"b\"}",
          "{\"messages\":[" USER("a") "," BOT("b") "]}");
    gives("{\"question\":\"a\",\"answer\":\"b\"}", "{\"messages\":[" USER("a") "," BOT("b") "]}");
    gives("{\"prompt\":[" SYSTEM("s") "," USER("a") "],\"completion\":[" BOT("b") "]}",
          "{\"messages\":[" SYSTEM("s") "," USER("a") "," BOT("b") "]}");
}

static void roles_and_contents_take_one_form(void **state)
{
    (void)state;
    shape = "chat";
    gives(
        "{\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}],"
        "\"role\":\"Human\",\"name\":\"Jo\",\"weight\":null},{\"role\":\"model\",\"content\":\"c\"}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"ab\",\"name\":\"Jo\"}," BOT("c") "]}");
    gives("{\"tools\":[{\"type\":\"function\"}],\"messages\":[" USER(
              "a") ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[1]},{\"role\":\"function\","
                   "\"content\":\"r\"}]}",
          "{\"messages\":[" USER(
              "a") ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[1]},"
                   "{\"role\":\"tool\",\"content\":\"r\"}],\"tools\":[{\"type\":\"function\"}]}");
}

static void a_system_text_comes_first_where_there_is_none(void **state)
{
    (void)state;
    shape = "chat";
    gives("{\"system\":\"s\",\"question\":\"a\",\"answer\":\"b\"}",
          "{\"messages\":[" SYSTEM("s") "," USER("a") "," BOT("b") "]}");
    system_text = "t";
    gives("{\"question\":\"a\",\"answer\":\"b\"}",
          "{\"messages\":[" SYSTEM("t") "," USER("a") "," BOT("b") "]}");
    gives("{\"messages\":[" SYSTEM("s") "," USER("a") "," BOT("b") "]}",
          "{\"messages\":[" SYSTEM("s") "," USER("a") "," BOT("b") "]}");
    system_text = "";
}

static void fields_name_what_is_not_found_out(void **state)
{
    (void)state;
    shape = "instruction";
    fields = "{\"prompt\":\"q\",\"answer\":\"a.text\"}";
    gives("{\"q\":\"a\",\"a\":{\"text\":\"b\"},\"prompt\":\"no\"}",
          "{\"messages\":[" USER("a") "," BOT("b") "]}");
    is_bad("{\"q\":\"a\",\"answer\":\"b\",\"a\":1}", "there is no answer");
    fields = NULL;
}

static void preferences_are_found_in_the_usual_shapes(void **state)
{
    static const char wanted[] =
        "{\"prompt\":[" USER("a") "],\"chosen\":[" BOT("b") "],\"rejected\":[" BOT("c") "]}";
    (void)state;
    shape = "preference";
    gives(wanted, wanted);
    gives("{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}", wanted);
    gives("{\"question\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}", wanted);
    gives("{\"prompt\":\"a\",\"chosen_response\":\"b\",\"rejected_response\":\"c\"}", wanted);
    gives("{\"instruction\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}", wanted);
    gives("{\"instruction\":\"a\",\"input\":\"d\",\"chosen\":\"b\",\"rejected\":\"c\"}",
          "{\"prompt\":[" USER("a\\n\\nd") "],\"chosen\":[" BOT("b") "],\"rejected\":[" BOT("c") "]}");
    gives("{\"input\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}", wanted);
    gives("{\"chosen\":[" USER("a") "," BOT("b") "],\"rejected\":[" USER("a") "," BOT("c") "]}", wanted);
    gives("{\"prompt\":\"again\",\"chosen\":[" USER("a") "," BOT("b") "],\"rejected\":[" USER("a") "," BOT(
              "c") "]}",
          wanted);
    gives("{\"prompt\":[" USER("a") "],\"chosen\":\"b\",\"rejected\":" BOT("c") "}", wanted);
    gives("{\"context\":[" USER("a") "],\"completions\":[{\"rank\":1,\"completion\":[" BOT(
              "c") "]},{\"rank\":0,\"completion\":[" BOT("b") "]}]}",
          wanted);
}

static void what_cannot_be_learned_from_is_bad(void **state)
{
    (void)state;
    shape = "chat";
    is_bad("{}", "there is no prompt");
    is_bad("{\"text\":\"a\"}", "there is no prompt");
    is_bad("{\"prompt\":\"a\"}", "there is no answer");
    is_bad("{\"messages\":[]}", "there are no messages");
    is_bad("{\"messages\":[" USER("a") "]}", "there is no answer to learn from");
    is_bad("{\"messages\":[" USER("a") "," BOT("") "]}", "there is no answer to learn from");
    is_bad("{\"messages\":[{\"role\":\"x\",\"content\":\"a\"}]}", "a message has an unknown role");
    is_bad("{\"messages\":[{\"content\":\"a\"}]}", "a message has no role");
    is_bad("{\"messages\":[{\"role\":\"user\"}]}", "a message has no content");
    is_bad("{\"messages\":[{\"role\":\"user\",\"content\":7}]}", "the content of a message is no text");
    is_bad("{\"messages\":[7]}", "a message is no object");
    shape = "preference";
    is_bad("{\"prompt\":\"a\",\"chosen\":\"b\"}", "there is no \"chosen\", or no \"rejected\"");
    is_bad("{\"chosen\":\"b\",\"rejected\":\"c\"}", "there is no prompt");
    is_bad("{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"b\"}", "both answers are the same");
    is_bad("{\"prompt\":[" BOT("a") "],\"chosen\":\"b\",\"rejected\":\"c\"}",
           "the prompt ends with an answer");
    is_bad("{\"chosen\":[" USER("x") "," BOT("b") "],\"rejected\":[" USER("y") "," BOT("c") "]}",
           "the two answers have no prompt in common");
    is_bad("{\"prompt\":\"a\",\"chosen\":[" USER("b") "],\"rejected\":\"c\"}",
           "an answer is not the assistant's");
    is_bad("{\"prompt\":\"a\",\"completions\":[{\"rank\":1,\"completion\":\"c\"}]}",
           "there are not two completions of different rank");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations_are_found_in_the_usual_shapes),
        cmocka_unit_test(roles_and_contents_take_one_form),
        cmocka_unit_test(a_system_text_comes_first_where_there_is_none),
        cmocka_unit_test(fields_name_what_is_not_found_out),
        cmocka_unit_test(preferences_are_found_in_the_usual_shapes),
        cmocka_unit_test(what_cannot_be_learned_from_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
