// SPDX-License-Identifier: Apache-2.0
// Finding out the shape of a line, and bringing it to ours.
#include "stages/format/tuning.h"

#include <stdio.h>
#include <strings.h>

#include "engine/base/json.h"

typedef struct reader {
    json_t *line;
    const tm_tuning_options *options;
    json_t *used;    // names of members of the line that were taken
    const char *bad; // the first reason
} reader;

static void *reject(reader *r, const char *why)
{
    if (!r->bad) r->bad = why;
    return NULL;
}

const char *const *tm_tuning_fields(const char *shape)
{
    static const char *const chat[] = {"messages", "prompt", "answer", "system", "tools", NULL};
    static const char *const preference[] = {"prompt", "chosen", "rejected", "system", "tools", NULL};
    return strcmp(shape, "preference") == 0 ? preference : chat;
}

// ---- members of the line ----

static json_t *take(reader *r, const char *name)
{
    json_t *value = json_object_get(r->line, name);
    if (value) json_object_set_new(r->used, name, json_true());
    return value;
}

// "a.b": b of a, unless there is a member "a.b".
static json_t *take_path(reader *r, const char *path)
{
    char name[128];
    const char *dot = strchr(path, '.');
    if (json_object_get(r->line, path) || !dot || (size_t)(dot - path) >= sizeof name) return take(r, path);
    snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
    json_t *value = take(r, name);
    while (value && dot) {
        const char *next = strchr(dot + 1, '.');
        size_t n = next ? (size_t)(next - dot - 1) : strlen(dot + 1);
        if (n >= sizeof name) return NULL;
        snprintf(name, sizeof name, "%.*s", (int)n, dot + 1);
        value = json_object_get(value, name);
        dot = next;
    }
    return value;
}

// What the field map says for `ours`; else the first of `names` (NULL-terminated) that the line has.
static json_t *field(reader *r, const char *ours, const char *const *names)
{
    const char *mapped = json_string_value(json_object_get(r->options->fields, ours));
    if (mapped) return take_path(r, mapped);
    for (; *names; names++) {
        json_t *value = json_object_get(r->line, *names);
        if (value && !json_is_null(value)) return take(r, *names);
    }
    return NULL;
}
#define FIELD(r, ours, ...) field(r, ours, (const char *const[]){__VA_ARGS__, NULL})

// ---- messages ----

static const char *role_of(const char *given)
{
    static const char *const roles[][2] = {
        {"user", "user"},        {"human", "user"},        {"assistant", "assistant"},
        {"gpt", "assistant"},    {"chatgpt", "assistant"}, {"bot", "assistant"},
        {"model", "assistant"},  {"ai", "assistant"},      {"system", "system"},
        {"developer", "system"}, {"tool", "tool"},         {"function", "tool"},
        {"ipython", "tool"},     {"observation", "tool"},  {"function_response", "tool"},
        {"prompter", "user"},
    };
    for (size_t i = 0; given && i < sizeof roles / sizeof *roles; i++)
        if (strcasecmp(given, roles[i][0]) == 0) return roles[i][1];
    return NULL;
}

// A text, or parts of it: [{"type": "text", "text": ...}].
static json_t *content_of(reader *r, const json_t *value)
{
    size_t i;
    json_t *part;
    tm_buf text = {0};
    if (!value || json_is_null(value)) return json_string("");
    if (json_is_string(value)) return json_incref((json_t *)value);
    if (!json_is_array(value)) return reject(r, "the content of a message is no text");
    json_array_foreach(value, i, part)
    {
        const json_t *words = json_is_string(part) ? part : json_object_get(part, "text");
        if (!json_is_string(words)) break;
        tm_buf_add(&text, json_string_value(words), json_string_length(words));
    }
    bool all = i == json_array_size(value);
    json_t *joined = all ? json_stringn(text.size ? text.data : "", text.size) : NULL;
    tm_buf_clear(&text);
    return all ? joined : reject(r, "the content of a message is no text");
}

static json_t *message_of(const char *role, json_t *content)
{
    return json_pack("{s:s, s:o}", "role", role, "content", content);
}

// {"role", "content"} or {"from", "value"}, with whatever else it has behind these.
static json_t *read_message(reader *r, const json_t *given)
{
    const char *name;
    json_t *value, *role = json_object_get(given, "role"), *content = json_object_get(given, "content");
    if (!role) role = json_object_get(given, "from");
    if (!content) content = json_object_get(given, "value");
    const char *known = role_of(json_string_value(role));
    if (!json_is_object(given)) return reject(r, "a message is no object");
    if (!role) return reject(r, "a message has no role");
    if (!known) return reject(r, "a message has an unknown role");
    bool calls = json_array_size(json_object_get(given, "tool_calls")) > 0;
    if ((!content || json_is_null(content)) && !calls) return reject(r, "a message has no content");
    json_t *text = content_of(r, content);
    json_t *message = text ? message_of(known, text) : NULL;
    json_object_foreach((json_t *)given, name,
                        value) if (message && value != role && value != content && !json_is_null(value))
        json_object_set(message, name, value);
    return message;
}

// A list of messages, or a text as one message of that role. Steals nothing.
static json_t *read_messages(reader *r, const json_t *given, const char *role)
{
    size_t i;
    json_t *item, *list = json_array();
    if (json_is_string(given)) {
        json_array_append_new(list, message_of(role, json_incref((json_t *)given)));
        return list;
    }
    if (json_is_object(given)) {
        json_array_append_new(list, read_message(r, given));
    } else if (!json_is_array(given)) {
        json_decref(list);
        return reject(r, "there are no messages where they are due");
    }
    json_array_foreach(given, i, item)
    {
        json_t *message = r->bad ? NULL : read_message(r, item);
        if (message) json_array_append_new(list, message);
    }
    if (!r->bad && json_array_size(list)) return list;
    json_decref(list);
    return reject(r, "there are no messages");
}

static const char *role_at(const json_t *messages, size_t i)
{
    const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));
    return role ? role : "";
}

static const char *last_role(const json_t *messages)
{
    size_t n = json_array_size(messages);
    return n ? role_at(messages, n - 1) : "";
}

// The line's own system text, or that of the options, before messages that have none.
static void add_system(reader *r, json_t *messages)
{
    const json_t *own = FIELD(r, "system", "system", "system_prompt");
    const char *text = json_string_value(own);
    if (!text || !text[0]) text = r->options->system;
    if (!text || !text[0] || strcmp(role_at(messages, 0), "system") == 0) return;
    json_array_insert_new(messages, 0, message_of("system", json_string(text)));
}

// ---- conversations ----

// An instruction and what it is about, as Alpaca joins them.
static json_t *instruction_of(json_t *instruction, const json_t *input)
{
    const char *more = json_string_value(input);
    if (!json_is_string(instruction) || !more || !more[0]) return json_incref(instruction);
    return json_sprintf("%s\n\n%s", json_string_value(instruction), more);
}

// That of the line, unless the field map names another prompt. A new reference, or NULL.
static json_t *own_instruction(reader *r)
{
    const json_t *instruction = json_object_get(r->line, "instruction");
    if (!instruction || json_is_null(instruction) || json_object_get(r->options->fields, "prompt"))
        return NULL;
    return instruction_of(take(r, "instruction"), take(r, "input"));
}

static json_t *prompt_and_answer(reader *r)
{
    json_t *prompt = own_instruction(r), *answer, *list;
    if (!prompt) prompt = json_incref(FIELD(r, "prompt", "prompt", "question", "input", "query"));
    answer = FIELD(r, "answer", "completion", "answer", "output", "response");
    list = prompt ? read_messages(r, prompt, "user") : reject(r, "there is no prompt");
    json_decref(prompt);
    json_t *told = answer ? read_messages(r, answer, "assistant") : reject(r, "there is no answer");
    if (list && told) json_array_extend(list, told);
    json_decref(told);
    return list;
}

static json_t *conversation(reader *r)
{
    bool pairs = strcmp(r->options->shape, "instruction") == 0;
    json_t *given = pairs ? NULL : FIELD(r, "messages", "messages", "conversations", "conversation");
    json_t *list = given ? read_messages(r, given, "user") : prompt_and_answer(r);
    if (r->bad || !list) {
        json_decref(list);
        return NULL;
    }
    size_t answers = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *message = json_array_get(list, i);
        bool says = json_string_length(json_object_get(message, "content")) > 0 ||
                    json_object_get(message, "tool_calls");
        answers += says && strcmp(role_at(list, i), "assistant") == 0;
    }
    if (!answers) {
        json_decref(list);
        return reject(r, "there is no answer to learn from");
    }
    add_system(r, list);
    return json_pack("{s:o}", "messages", list);
}

// ---- preferences ----

// {"context", "completions": [{"rank", "completion"}, {...}]}: the lower rank is preferred.
static bool ranked(reader *r, json_t **chosen, json_t **rejected)
{
    const json_t *list = take(r, "completions");
    const json_t *a = json_array_get(list, 0), *b = json_array_get(list, 1);
    double x = json_number_value(json_object_get(a, "rank")),
           y = json_number_value(json_object_get(b, "rank"));
    if (json_array_size(list) != 2 || x == y)
        return reject(r, "there are not two completions of different rank");
    *chosen = json_object_get(x < y ? a : b, "completion");
    *rejected = json_object_get(x < y ? b : a, "completion");
    return true;
}

// Whether a list of messages holds what was asked, too.
static bool whole(const json_t *messages)
{
    return json_array_size(messages) > 1 && strcmp(role_at(messages, 0), "assistant") != 0;
}

// Takes the common beginning of two conversations from both.
static json_t *common_beginning(reader *r, json_t *chosen, json_t *rejected)
{
    json_t *prompt = json_array();
    while (json_array_size(chosen) > 1 && json_array_size(rejected) > 1 &&
           json_equal(json_array_get(chosen, 0), json_array_get(rejected, 0))) {
        json_array_append(prompt, json_array_get(chosen, 0));
        json_array_remove(chosen, 0);
        json_array_remove(rejected, 0);
    }
    if (json_array_size(prompt)) return prompt;
    json_decref(prompt);
    return reject(r, "the two answers have no prompt in common");
}

static const char *unfit(const json_t *prompt, const json_t *chosen, const json_t *rejected)
{
    if (strcmp(last_role(prompt), "assistant") == 0) return "the prompt ends with an answer";
    if (json_array_size(chosen) != 1 || json_array_size(rejected) != 1)
        return "an answer is more than one message";
    if (strcmp(role_at(chosen, 0), "assistant") != 0 || strcmp(role_at(rejected, 0), "assistant") != 0)
        return "an answer is not the assistant's";
    return json_equal(chosen, rejected) ? "both answers are the same" : NULL;
}

static json_t *preference(reader *r)
{
    json_t *prompt = NULL, *asked = json_incref(FIELD(r, "prompt", "prompt", "question"));
    if (!asked) asked = own_instruction(r);
    if (!asked) asked = json_incref(FIELD(r, "prompt", "input", "context"));
    json_t *good = FIELD(r, "chosen", "chosen", "chosen_response"),
           *poor = FIELD(r, "rejected", "rejected", "rejected_response");
    bool both = good && poor;
    if (!good && !poor && json_object_get(r->line, "completions"))
        both = ranked(r, &good, &poor) && good && poor;
    if (!both) reject(r, "there is no \"chosen\", or no \"rejected\"");
    json_t *chosen = both ? read_messages(r, good, "assistant") : NULL;
    json_t *rejected = both ? read_messages(r, poor, "assistant") : NULL;
    if (!r->bad && whole(chosen) && whole(rejected))
        prompt = common_beginning(r, chosen, rejected);
    else if (!r->bad)
        prompt = asked ? read_messages(r, asked, "user") : reject(r, "there is no prompt");
    if (!r->bad) r->bad = unfit(prompt, chosen, rejected);
    json_decref(asked);
    if (r->bad) {
        json_decref(prompt);
        json_decref(chosen);
        json_decref(rejected);
        return NULL;
    }
    add_system(r, prompt);
    return json_pack("{s:o, s:o, s:o}", "prompt", prompt, "chosen", chosen, "rejected", rejected);
}

// ---- the whole ----

tm_status tm_tuning_record(json_t *line, const tm_tuning_options *options, tm_buf *text, const char **bad,
                           tm_error *err)
{
    const char *name;
    json_t *unused;
    reader r = {.line = line, .options = options, .used = json_object()};
    json_t *record = strcmp(options->shape, "preference") == 0 ? preference(&r) : conversation(&r);
    json_t *tools = record ? FIELD(&r, "tools", "tools") : NULL;
    if (json_array_size(tools)) json_object_set(record, "tools", tools);
    json_object_foreach(r.used, name, unused) json_object_del(line, name);
    json_decref(r.used);
    *bad = r.bad;
    tm_buf_reset(text);
    if (r.bad) return TM_OK;
    char *dumped = record ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    if (!dumped) return tm_fail(err, TM_ENOMEM, "no memory for a record");
    tm_buf_str(text, dumped);
    tm_json_free(dumped);
    return tm_buf_status(text, err);
}
