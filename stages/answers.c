// SPDX-License-Identifier: Apache-2.0
// How well a model predicts the answers of held-out conversations, as a task of tm.evaluate.
#include <math.h>

#include "stages/judge/likelihood.h"
#include "stages/text/chat_tokens.h"

typedef struct answers_options {
    const char *which;
} answers_options;

static const tm_option options[] = {
    {"which", TM_OPT_CHOICE, offsetof(answers_options, which), "\"all\"", 0, 0, "all last",
     "answers of a conversation that count", 0},
    {0},
};

const tm_value tm_value_answers = {
    .name = "answers",
    .brief = "Loss and perplexity of the answers in held-out conversations, over their tokens alone.",
    .example = "tasks = { chat = tm.answers { chat.valid } }",
    .family = "task",
    .inputs = {{"", "documents", TM_PORT_WHOLE | TM_PORT_APART, NULL, "conversations", NULL}},
    .options = options,
    .options_size = sizeof(answers_options),
};

static tm_status begin(void *texts, const void *unused, tm_work *work, const char *port, tm_error *err)
{
    (void)unused;
    return tm_texts_take(texts, work, port, err);
}

typedef struct room {
    tm_bpe_ids ids;
    tm_buf mask;
} room;

static tm_status add_one(tm_chat *chat, const tm_doc *doc, tm_chat_answers which, room *r,
                         tm_continuations *list, tm_error *err)
{
    json_error_t where;
    json_t *record = json_loadb(doc->text.data ? doc->text.data : "", doc->text.size, 0, &where);
    if (!record) return tm_fail(err, TM_EFORMAT, "it is no JSON: %s", where.text);
    r->ids.size = 0;
    tm_buf_reset(&r->mask);
    tm_status status = tm_chat_example(chat, record, which, &r->ids, &r->mask, err);
    json_decref(record);
    return status < 0 ? status : tm_continuations_add_masked(list, &r->ids, r->mask.data, err);
}

static tm_status add_all(const tm_texts *texts, const tm_subject *subject, tm_chat *chat,
                         tm_chat_answers which, tm_continuations *list, tm_error *err)
{
    tm_left_out left_out = {.work = subject->work};
    room r = {0};
    tm_status status = TM_OK;
    for (uint64_t i = 0; status >= 0 && i < texts->n_documents; i++) {
        tm_doc doc = tm_texts_get(texts, i);
        status = add_one(chat, &doc, which, &r, list, err);
        if (status < 0) status = tm_leave_out(&left_out, doc.id, status, err);
    }
    tm_bpe_ids_clear(&r.ids);
    tm_buf_clear(&r.mask);
    if (status < 0 || list->n) return status;
    return tm_fail(err, TM_EINVAL, "there is no conversation with an answer");
}

static tm_status judge(const tm_subject *subject, const tm_continuations *list, tm_measure *results,
                       tm_error *err)
{
    size_t n_cut = 0;
    tm_likelihood *sums = tm_calloc(list->n + 1, sizeof *sums);
    double *nats = tm_calloc(2 * list->n + 1, sizeof *nats);
    tm_status status = sums && nats ? tm_likelihoods(subject, list, sums, err)
                                    : tm_fail(err, TM_ENOMEM, "no memory for %zu conversations", list->n);
    for (size_t i = 0; status >= 0 && i < list->n; i++) {
        nats[i] = -sums[i].sum;
        nats[list->n + i] = (double)sums[i].n;
        n_cut += sums[i].cut;
    }
    if (n_cut)
        tm_work_log(subject->work,
                    "%zu conversations are longer than the model's positions: cut at the front", n_cut);
    if (status >= 0) {
        tm_measure loss = tm_measure_ratio(nats, nats + list->n, list->n);
        results[0] = loss;
        results[1] = (tm_measure){exp(loss.value), exp(loss.value) * loss.error, loss.count};
    }
    tm_free(sums);
    tm_free(nats);
    return status;
}

static tm_status measure(const void *texts, const void *options_, const tm_subject *subject,
                         tm_measure *results, tm_error *err)
{
    const answers_options *o = options_;
    tm_chat_answers which = strcmp(o->which, "last") == 0 ? TM_CHAT_LAST : TM_CHAT_ALL;
    tm_continuations list = {0};
    tm_chat *chat = NULL;
    tm_status status = tm_chat_open(&chat, subject->tokenizer, subject->folder, err);
    if (status >= 0) status = add_all(texts, subject, chat, which, &list, err);
    if (status >= 0) status = judge(subject, &list, results, err);
    tm_chat_close(chat);
    tm_continuations_clear(&list);
    return status;
}

static void end(void *texts)
{
    tm_texts_clear(texts);
}

const tm_task tm_task_answers = {
    .name = "answers",
    .measures = {"loss", "perplexity"},
    .shape = "chat",
    .state_size = sizeof(tm_texts),
    .begin = begin,
    .measure = measure,
    .end = end,
};
