// SPDX-License-Identifier: Apache-2.0
// Multiple choice by log-likelihood, as a task of tm.evaluate.
#include <math.h>

#include "stages/judge/likelihood.h"
#include "stages/judge/question.h"

static const tm_option options[] = {
    {"prompt", TM_OPT_STRING, offsetof(tm_question_options, prompt), "\"{text}\"", 0, 0, NULL,
     "what comes before a choice; {text} is the text of the record, {NAME} a field of its meta", 0},
    {"choices", TM_OPT_STRING, offsetof(tm_question_options, choices), "\"choices\"", 0, 0, NULL,
     "field with the choices: a list of texts, or an object with lists `text` and `label`", 0},
    {"answer", TM_OPT_STRING, offsetof(tm_question_options, answer), "\"answer\"", 0, 0, NULL,
     "field with the right one: its number from 0, its label, a letter, or its text", 0},
    {"between", TM_OPT_STRING, offsetof(tm_question_options, between), "\" \"", 0, 0, NULL,
     "what stands between prompt and choice", 0},
    {0},
};

const tm_value tm_value_multiple_choice = {
    .name = "multiple_choice",
    .brief = "Multiple choice by likelihood: acc, acc_norm (by character), and logp of the right choice.",
    .example =
        "tasks = { arc = tm.multiple_choice { questions, prompt = \"Question: {question}\\nAnswer:\" } }",
    .family = "task",
    .inputs = {{"", "documents", TM_PORT_WHOLE | TM_PORT_APART, NULL, "records with choices in their meta",
                NULL}},
    .options = options,
    .options_size = sizeof(tm_question_options),
};

typedef struct state {
    tm_texts texts;
    tm_questions questions;
} state;

static tm_status begin(void *of_task, const void *o, tm_work *work, const char *port, tm_error *err)
{
    state *s = of_task;
    TM_TRY(tm_texts_take(&s->texts, work, port, err));
    return tm_questions_read(&s->questions, &s->texts, o, work, err);
}

static tm_status tokenize(const state *s, const tm_question_options *o, const tm_subject *subject,
                          tm_continuations *list, tm_error *err)
{
    tm_buf text = {0};
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < s->questions.n; i++) {
        const tm_question *q = &s->questions.items[i];
        for (size_t k = 0; status >= 0 && k < q->n_choices; k++) {
            tm_buf_reset(&text);
            tm_buf_str(&text, o->between);
            tm_buf_str(&text, q->choices[k]);
            status = tm_buf_status(&text, err);
            if (status >= 0)
                status = tm_continuations_add_text(list, subject->tokenizer, tm_view_str(q->prompt),
                                                   tm_buf_view(&text), err);
        }
    }
    tm_buf_clear(&text);
    return status;
}

// The likeliest of a question's choices, each sum divided by the characters of the choice if `by_length`; the
// first of equals.
static size_t likeliest(const tm_question *q, const tm_likelihood *sums, bool by_length)
{
    size_t best = 0;
    double best_sum = -INFINITY;
    for (size_t k = 0; k < q->n_choices; k++) {
        double sum = by_length ? sums[k].sum / (double)q->lengths[k] : sums[k].sum;
        if (!(sum > best_sum)) continue;
        best = k;
        best_sum = sum;
    }
    return best;
}

static tm_status judge(const state *s, const tm_subject *subject, const tm_continuations *list,
                       tm_measure *results, tm_error *err)
{
    size_t n = s->questions.n, at = 0, n_cut = 0;
    tm_likelihood *sums = tm_calloc(list->n + 1, sizeof *sums);
    double *right = tm_calloc(3 * n + 1, sizeof *right);
    tm_status status = sums && right ? tm_likelihoods(subject, list, sums, err)
                                     : tm_fail(err, TM_ENOMEM, "no memory for %zu choices", list->n);
    for (size_t i = 0; status >= 0 && i < n; i++) {
        const tm_question *q = &s->questions.items[i];
        for (size_t k = 0; k < q->n_choices; k++) n_cut += sums[at + k].cut;
        right[i] = likeliest(q, sums + at, false) == q->answer;
        right[n + i] = likeliest(q, sums + at, true) == q->answer;
        right[2 * n + i] = sums[at + q->answer].sum;
        at += q->n_choices;
    }
    if (n_cut)
        tm_work_log(subject->work, "%zu texts are longer than the model's positions: cut at the front",
                    n_cut);
    for (size_t m = 0; status >= 0 && m < 3; m++) results[m] = tm_measure_mean(right + m * n, n);
    tm_free(sums);
    tm_free(right);
    return status;
}

static tm_status measure(const void *of_task, const void *o, const tm_subject *subject, tm_measure *results,
                         tm_error *err)
{
    tm_continuations list = {0};
    tm_status status = tokenize(of_task, o, subject, &list, err);
    if (status >= 0) status = judge(of_task, subject, &list, results, err);
    tm_continuations_clear(&list);
    return status;
}

static void end(void *of_task)
{
    state *s = of_task;
    tm_questions_clear(&s->questions);
    tm_texts_clear(&s->texts);
}

const tm_task tm_task_multiple_choice = {
    .name = "multiple_choice",
    .measures = {"acc", "acc_norm", "logp"},
    .state_size = sizeof(state),
    .begin = begin,
    .measure = measure,
    .end = end,
};
