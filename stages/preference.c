// SPDX-License-Identifier: Apache-2.0
// Which of two answers a model finds likelier, as a task of tm.evaluate.
#include "stages/judge/likelihood.h"
#include "stages/text/chat_tokens.h"

typedef struct preference_options {
    bool per_token;
} preference_options;

static const tm_option options[] = {
    {"per_token", TM_OPT_BOOL, offsetof(preference_options, per_token), "false", 0, 0, NULL,
     "compare means over tokens and not sums, so that length does not decide", 0},
    {0},
};

const tm_value tm_value_preference = {
    .name = "preference",
    .brief =
        "How often a model finds the chosen answer of a pair likelier (accuracy), and by how much (margin).",
    .example = "tasks = { pref = tm.preference { prefs.valid } }",
    .family = "task",
    .inputs = {{"", "documents", TM_PORT_WHOLE | TM_PORT_APART, NULL, "preferences", NULL}},
    .options = options,
    .options_size = sizeof(preference_options),
};

static tm_status begin(void *texts, const void *unused, tm_work *work, const char *port, tm_error *err)
{
    (void)unused;
    return tm_texts_take(texts, work, port, err);
}

// Text 2i is the chosen answer of pair i, text 2i + 1 the rejected one.
static tm_status add_pair(tm_chat *chat, const tm_doc *doc, tm_bpe_ids ids[3], tm_continuations *list,
                          tm_error *err)
{
    json_error_t where;
    json_t *record = json_loadb(doc->text.data ? doc->text.data : "", doc->text.size, 0, &where);
    if (!record) return tm_fail(err, TM_EFORMAT, "it is no JSON: %s", where.text);
    for (int i = 0; i < 3; i++) ids[i].size = 0;
    tm_status status = tm_chat_pair(chat, record, &ids[0], &ids[1], &ids[2], err);
    json_decref(record);
    if (status >= 0 && (!ids[1].size || !ids[2].size)) return tm_fail(err, TM_EFORMAT, "an answer is empty");
    if (status >= 0) status = tm_continuations_add_ids(list, &ids[0], &ids[1], err);
    return status < 0 ? status : tm_continuations_add_ids(list, &ids[0], &ids[2], err);
}

static tm_status add_all(const tm_texts *texts, const tm_subject *subject, tm_chat *chat,
                         tm_continuations *list, tm_error *err)
{
    tm_left_out left_out = {.work = subject->work};
    tm_bpe_ids ids[3] = {0};
    tm_status status = TM_OK;
    for (uint64_t i = 0; status >= 0 && i < texts->n_documents; i++) {
        tm_doc doc = tm_texts_get(texts, i);
        status = add_pair(chat, &doc, ids, list, err);
        if (status < 0) status = tm_leave_out(&left_out, doc.id, status, err);
    }
    for (int i = 0; i < 3; i++) tm_bpe_ids_clear(&ids[i]);
    if (status < 0 || list->n) return status;
    return tm_fail(err, TM_EINVAL, "there is no pair to judge by");
}

// What is compared of an answer.
static double weight(const tm_likelihood *l, bool per_token)
{
    return per_token ? l->sum / (double)l->n : l->sum;
}

static tm_status judge(const tm_subject *subject, const tm_continuations *list, bool per_token,
                       tm_measure *results, tm_error *err)
{
    size_t n = list->n / 2, n_cut = 0;
    tm_likelihood *sums = tm_calloc(list->n + 1, sizeof *sums);
    double *right = tm_calloc(2 * n + 1, sizeof *right);
    tm_status status = sums && right ? tm_likelihoods(subject, list, sums, err)
                                     : tm_fail(err, TM_ENOMEM, "no memory for %zu pairs", n);
    for (size_t i = 0; status >= 0 && i < n; i++) {
        double chosen = weight(&sums[2 * i], per_token), rejected = weight(&sums[2 * i + 1], per_token);
        right[i] = chosen > rejected;
        right[n + i] = chosen - rejected;
        n_cut += sums[2 * i].cut || sums[2 * i + 1].cut;
    }
    if (n_cut)
        tm_work_log(subject->work, "%zu pairs are longer than the model's positions: cut at the front",
                    n_cut);
    if (status >= 0) {
        results[0] = tm_measure_mean(right, n);
        results[1] = tm_measure_mean(right + n, n);
    }
    tm_free(sums);
    tm_free(right);
    return status;
}

static tm_status measure(const void *texts, const void *options_, const tm_subject *subject,
                         tm_measure *results, tm_error *err)
{
    const preference_options *o = options_;
    tm_continuations list = {0};
    tm_chat *chat = NULL;
    tm_status status = tm_chat_open(&chat, subject->tokenizer, subject->folder, err);
    if (status >= 0) status = add_all(texts, subject, chat, &list, err);
    if (status >= 0) status = judge(subject, &list, o->per_token, results, err);
    tm_chat_close(chat);
    tm_continuations_clear(&list);
    return status;
}

static void end(void *texts)
{
    tm_texts_clear(texts);
}

const tm_task tm_task_preference = {
    .name = "preference",
    .measures = {"accuracy", "margin"},
    .shape = "preference",
    .state_size = sizeof(tm_texts),
    .begin = begin,
    .measure = measure,
    .end = end,
};
