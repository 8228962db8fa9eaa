// SPDX-License-Identifier: Apache-2.0
// Questions, and the patterns of prompts.
#include "stages/judge/question.h"

#include <stdlib.h>

#define SHOWN_BAD 20

// ---- patterns ----

static tm_status add_field(tm_view name, const tm_doc *doc, const json_t *meta, tm_buf *out, tm_error *err)
{
    if (tm_view_eq(name, tm_view_str("text"))) {
        tm_buf_add(out, doc->text.data, doc->text.size);
        return TM_OK;
    }
    const json_t *value = json_object_getn(meta, name.data, name.size);
    if (!value) return tm_fail(err, TM_ENOENT, "there is no field %.*s", (int)name.size, name.data);
    if (json_is_string(value)) {
        tm_buf_add(out, json_string_value(value), json_string_length(value));
        return TM_OK;
    }
    char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!shown) return tm_fail(err, TM_ENOMEM, "no memory for a field");
    tm_buf_str(out, shown);
    free(shown);
    return TM_OK;
}

tm_status tm_pattern_fill(const char *pattern, const tm_doc *doc, const json_t *meta, tm_buf *out,
                          tm_error *err)
{
    for (const char *at = pattern; *at;) {
        size_t plain = strcspn(at, "{");
        tm_buf_add(out, at, plain);
        at += plain;
        if (!*at) break;
        if (at[1] == '{') {
            tm_buf_char(out, '{');
            at += 2;
            continue;
        }
        const char *close = strchr(at, '}');
        if (!close) return tm_fail(err, TM_EINVAL, "the pattern has a brace that is not closed: %.40s", at);
        TM_TRY(add_field(tm_view_of(at + 1, (size_t)(close - at - 1)), doc, meta, out, err));
        at = close + 1;
    }
    return tm_buf_status(out, err);
}

// ---- one record ----

static void question_clear(tm_question *q)
{
    for (size_t i = 0; q->choices && i < q->n_choices; i++) tm_free(q->choices[i]);
    tm_free(q->choices);
    tm_free(q->lengths);
    tm_free(q->prompt);
    *q = (tm_question){0};
}

static size_t count_characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n ? n : 1;
}

static tm_status read_choices(const json_t *list, tm_question *q, tm_error *err)
{
    size_t n = json_array_size(list), i;
    json_t *choice;
    if (!n) return tm_fail(err, TM_EFORMAT, "it has no choices");
    q->choices = tm_calloc(n, sizeof *q->choices);
    q->lengths = tm_calloc(n, sizeof *q->lengths);
    if (!q->choices || !q->lengths) return tm_fail(err, TM_ENOMEM, "no memory for choices");
    json_array_foreach((json_t *)list, i, choice)
    {
        if (!json_is_string(choice) || !json_string_length(choice))
            return tm_fail(err, TM_EFORMAT, "choice %zu is no text", i + 1);
        q->choices[i] = tm_strdup(json_string_value(choice));
        if (!q->choices[i]) return tm_fail(err, TM_ENOMEM, "no memory for choices");
        q->lengths[i] = count_characters(q->choices[i]);
        q->n_choices = i + 1;
    }
    return TM_OK;
}

static bool find_text(const json_t *list, const char *text, size_t *place)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)list, i, one)
    {
        if (!json_is_string(one) || strcmp(json_string_value(one), text) != 0) continue;
        *place = i;
        return true;
    }
    return false;
}

// A number counts from 0; a text is a label if there are labels, else a letter, else the choice itself.
static tm_status read_answer(const json_t *answer, const json_t *list, const json_t *labels, tm_question *q,
                             tm_error *err)
{
    const char *text = json_string_value(answer);
    if (json_is_integer(answer))
        q->answer = (size_t)json_integer_value(answer);
    else if (!text)
        return tm_fail(err, TM_EFORMAT, "it has no answer");
    else if (find_text(labels, text, &q->answer))
        return TM_OK;
    else if (find_text(list, text, &q->answer))
        return TM_OK;
    else if (!labels && text[0] >= 'A' && text[0] <= 'Z' && !text[1])
        q->answer = (size_t)(text[0] - 'A');
    else
        return tm_fail(err, TM_EFORMAT, "its answer \"%.40s\" is none of the choices", text);
    if (q->answer < q->n_choices) return TM_OK;
    return tm_fail(err, TM_EFORMAT, "its answer is beyond its %zu choices", q->n_choices);
}

static tm_status read_question(const tm_doc *doc, const json_t *meta, const tm_question_options *o,
                               tm_question *q, tm_error *err)
{
    const json_t *given = json_object_get(meta, o->choices);
    const json_t *list = json_is_object(given) ? json_object_get(given, "text") : given;
    const json_t *labels = json_is_object(given) ? json_object_get(given, "label") : NULL;
    tm_buf prompt = {0};
    TM_TRY(read_choices(list, q, err));
    TM_TRY(read_answer(json_object_get(meta, o->answer), list, labels, q, err));
    tm_status status = tm_pattern_fill(o->prompt, doc, meta, &prompt, err);
    if (status >= 0 && !prompt.data) tm_buf_str(&prompt, "");
    if (status >= 0) status = tm_buf_status(&prompt, err);
    if (status < 0) tm_buf_clear(&prompt);
    q->prompt = prompt.data;
    return status;
}

// ---- all of them ----

void tm_questions_clear(tm_questions *questions)
{
    for (size_t i = 0; i < questions->n; i++) question_clear(&questions->items[i]);
    tm_free(questions->items);
    *questions = (tm_questions){0};
}

tm_status tm_questions_read(tm_questions *questions, const tm_texts *texts, const tm_question_options *o,
                            tm_work *work, tm_error *err)
{
    uint64_t n_bad = 0;
    tm_error why = {0};
    questions->items = tm_calloc(texts->n_documents + 1, sizeof *questions->items);
    if (!questions->items) return tm_fail(err, TM_ENOMEM, "no memory for questions");
    for (uint64_t i = 0; i < texts->n_documents; i++) {
        tm_doc doc = tm_texts_get(texts, i);
        tm_question *q = &questions->items[questions->n];
        json_t *meta = json_loadb(doc.meta.data ? doc.meta.data : "", doc.meta.size, 0, NULL);
        tm_status status = read_question(&doc, meta, o, q, &why);
        json_decref(meta);
        if (status >= 0)
            questions->n++;
        else
            question_clear(q);
        if (status == TM_ENOMEM || status == TM_EINVAL) return tm_fail(err, status, "%s", why.text);
        if (status < 0 && n_bad++ < SHOWN_BAD)
            tm_work_log(work, "%.*s is left out: %s", (int)doc.id.size, doc.id.data, why.text);
    }
    if (n_bad) tm_work_count(work, "bad_records", (int64_t)n_bad);
    if (questions->n) return TM_OK;
    return tm_fail_as(err, TM_EINVAL, "TM0303", "there is no record with choices and an answer%s%s",
                      n_bad ? "; the last: " : "", why.text);
}
