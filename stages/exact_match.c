// SPDX-License-Identifier: Apache-2.0
// Answers that a model generates, against the right ones, as a task of tm.evaluate.
#include "stages/judge/answer_text.h"
#include "stages/judge/likelihood.h"
#include "stages/judge/question.h"
#include "stages/model/generate.h"
#include "stages/text/chat_tokens.h"

typedef struct match_options {
    const char *prompt, *answer, *part, *normal;
    int64_t tokens;
    tm_string_list stop;
} match_options;

static const tm_option options[] = {
    {"prompt", TM_OPT_STRING, offsetof(match_options, prompt), "\"{text}\"", 0, 0, NULL,
     "of plain records: what the model goes on from; {text} is the text, {NAME} a field of the meta", 0},
    {"answer", TM_OPT_STRING, offsetof(match_options, answer), "\"answer\"", 0, 0, NULL,
     "of plain records: field of the meta with the right answer", 0},
    {"part", TM_OPT_CHOICE, offsetof(match_options, part), "\"whole\"", 0, 0, TM_ANSWER_PARTS,
     "what of both texts is compared; gsm8k: the number behind the last ####", 0},
    {"normal", TM_OPT_CHOICE, offsetof(match_options, normal), "\"trim\"", 0, 0, TM_NORMALS,
     "what does not count: trim: white space at the ends; words: case, punctuation, articles", 0},
    {"tokens", TM_OPT_INT, offsetof(match_options, tokens), "256", 1, 1 << 20, NULL,
     "tokens of an answer, at most", 0, "..16"},
    {"stop", TM_OPT_LIST, offsetof(match_options, stop), "[]", 0, 0, NULL, "texts that end an answer", 0},
    {0},
};

const tm_value tm_value_exact_match = {
    .name = "exact_match",
    .brief =
        "Generated answers against right ones: exact_match, mean tokens, and how many ended by themselves.",
    .example = "tasks = { math = tm.exact_match { problems.valid, part = \"gsm8k\", tokens = 200 } }",
    .family = "task",
    .inputs = {{"", "documents", TM_PORT_WHOLE | TM_PORT_APART, NULL,
                "conversations (the last answer is the right one), or records with an answer in their meta",
                NULL}},
    .options = options,
    .options_size = sizeof(match_options),
};

#define MAX_ENDS 4

typedef struct player {
    const tm_subject *subject;
    const match_options *o;
    tm_chat *chat; // opened with the first conversation
    tm_decoder *decoder;
    tm_generation how;
    uint32_t ends[MAX_ENDS];
    tm_bpe_ids prompt;
    tm_answer answer;
    tm_buf right, given;
} player;

static tm_status begin(void *texts, const void *unused, tm_work *work, const char *port, tm_error *err)
{
    (void)unused;
    return tm_texts_take(texts, work, port, err);
}

static void add_end(player *p, int64_t id)
{
    for (size_t i = 0; i < p->how.n_ends; i++)
        if (p->ends[i] == (uint32_t)id) return;
    if (id >= 0 && p->how.n_ends < MAX_ENDS) p->ends[p->how.n_ends++] = (uint32_t)id;
}

// ---- a record ----

// The right answer as it is compared. TM_EFORMAT: it has none.
static tm_status set_right(player *p, tm_view text, tm_error *err)
{
    tm_buf_reset(&p->right);
    int part = tm_answer_part_find(p->o->part), normal = tm_normal_find(p->o->normal);
    if (!tm_answer_text(text, (tm_answer_part)part, (tm_normal)normal, &p->right))
        return tm_fail(err, TM_EFORMAT, "its right answer has no %s: %.*s", p->o->part,
                       (int)(text.size < 60 ? text.size : 60), text.data);
    return tm_buf_status(&p->right, err);
}

static tm_status open_chat(player *p, tm_error *err)
{
    int64_t end = -1;
    if (p->chat) return TM_OK;
    TM_TRY(tm_chat_open(&p->chat, p->subject->tokenizer, p->subject->folder, err));
    TM_TRY(tm_chat_end(p->chat, &end, err));
    add_end(p, end);
    return TM_OK;
}

// All messages before the last answer are what the model is asked.
static tm_status ask_conversation(player *p, const json_t *record, tm_error *err)
{
    TM_TRY(open_chat(p, err));
    json_t *messages = json_copy(json_object_get(record, "messages"));
    size_t n = json_array_size(messages);
    while (n && strcmp(json_string_value(json_object_get(json_array_get(messages, n - 1), "role")) ?: "",
                       "assistant") != 0)
        json_array_remove(messages, --n);
    const json_t *content = json_object_get(json_array_get(messages, n ? n - 1 : 0), "content");
    tm_status status = TM_OK;
    if (!n || !json_is_string(content))
        status = tm_fail(err, TM_EFORMAT, "it has no answer");
    else
        status = set_right(p, tm_view_of(json_string_value(content), json_string_length(content)), err);
    if (status >= 0) {
        json_array_remove(messages, n - 1);
        status = tm_chat_prompt(p->chat, messages, json_object_get(record, "tools"), &p->prompt, err);
    }
    json_decref(messages);
    return status;
}

static tm_status ask_text(player *p, const tm_doc *doc, tm_error *err)
{
    json_t *meta = json_loadb(doc->meta.data ? doc->meta.data : "", doc->meta.size, 0, NULL);
    tm_buf text = {0}, right = {0};
    tm_view answer = {0};
    tm_buf_fmt(&text, "{%s}", p->o->answer);
    tm_status status = tm_buf_status(&text, err);
    if (status >= 0 && !json_object_get(meta, p->o->answer))
        status = tm_fail(err, TM_EFORMAT, "it has no field %s", p->o->answer);
    if (status >= 0) status = tm_pattern_fill(text.data, doc, meta, &right, err);
    if (right.data) answer = tm_buf_view(&right);
    if (status >= 0) status = set_right(p, answer, err);
    tm_buf_reset(&text);
    if (status >= 0) status = tm_pattern_fill(p->o->prompt, doc, meta, &text, err);
    if (status == TM_ENOENT) status = TM_EFORMAT;
    tm_view prompt = {text.data ? text.data : "", text.size};
    if (status >= 0) status = tm_prompt_encode(p->subject->tokenizer, prompt, !prompt.size, &p->prompt, err);
    tm_buf_clear(&text);
    tm_buf_clear(&right);
    json_decref(meta);
    return status;
}

static tm_status ask(player *p, const tm_doc *doc, tm_error *err)
{
    static const char head[] = "{\"messages\":";
    uint32_t most = p->subject->model->config.length;
    bool chat = doc->text.size > strlen(head) && memcmp(doc->text.data, head, strlen(head)) == 0;
    json_t *record = chat ? json_loadb(doc->text.data, doc->text.size, 0, NULL) : NULL;
    p->prompt.size = 0;
    tm_status status = record ? ask_conversation(p, record, err) : ask_text(p, doc, err);
    json_decref(record);
    if (status >= 0 && (!p->prompt.size || p->prompt.size >= most))
        status = tm_fail(err, TM_EFORMAT, "its prompt has %zu tokens, the model %u positions", p->prompt.size,
                         most);
    return status;
}

// A decoder with room for prompt and answer; the one from before if it has.
static tm_status make_room(player *p, tm_error *err)
{
    uint64_t most = p->subject->model->config.length, want = p->prompt.size + (uint64_t)p->o->tokens;
    want = (want + 255) / 256 * 256;
    if (want > most) want = most;
    if (p->decoder && (uint64_t)tm_decoder_capacity(p->decoder) >= want) return TM_OK;
    tm_decoder_free(p->decoder);
    p->decoder = NULL;
    return tm_decoder_new(&p->decoder, p->subject->model, p->subject->device, (uint32_t)want, err);
}

// Whether the model gives the right answer.
static tm_status answer(player *p, double *right, tm_error *err)
{
    TM_TRY(make_room(p, err));
    tm_decoder_cut(p->decoder, 0); // what came before decides nothing
    TM_TRY(tm_generate(p->decoder, p->subject->tokenizer->bpe, &p->prompt, &p->how, &p->answer, err));
    tm_view text = {p->answer.text.data ? p->answer.text.data : "", p->answer.text.size};
    tm_buf_reset(&p->given);
    bool there = tm_answer_text(text, (tm_answer_part)tm_answer_part_find(p->o->part),
                                (tm_normal)tm_normal_find(p->o->normal), &p->given);
    *right = there && tm_view_eq(tm_buf_view(&p->given), tm_buf_view(&p->right));
    return tm_buf_status(&p->given, err);
}

// ---- all of them ----

static tm_status play(player *p, const tm_texts *texts, double *right, double *tokens, double *ended,
                      size_t *n, tm_error *err)
{
    tm_left_out left_out = {.work = p->subject->work};
    for (uint64_t i = 0; i < texts->n_documents; i++) {
        tm_doc doc = tm_texts_get(texts, i);
        tm_status status = ask(p, &doc, err);
        if (status < 0) {
            TM_TRY(tm_leave_out(&left_out, doc.id, status, err));
            continue;
        }
        TM_TRY(answer(p, &right[*n], err));
        if (*n == 0)
            tm_work_sample(p->subject->work, doc.text, tm_buf_view(&p->answer.text),
                           right[0] > 0 ? "right" : "wrong");
        tokens[*n] = (double)p->answer.ids.size;
        ended[*n] = p->answer.ended == TM_ENDED_END || p->answer.ended == TM_ENDED_STOP;
        ++*n;
        tm_work_progress(p->subject->work, (double)i + 1, (double)texts->n_documents, "questions");
    }
    return *n ? TM_OK : tm_fail(err, TM_EINVAL, "there is no question with an answer");
}

static tm_status judge(player *p, const tm_texts *texts, tm_measure *results, tm_error *err)
{
    size_t all = (size_t)texts->n_documents, n = 0;
    double *values = tm_calloc(3 * all + 1, sizeof *values);
    if (!values) return tm_fail(err, TM_ENOMEM, "no memory for %zu questions", all);
    tm_status status = play(p, texts, values, values + all, values + 2 * all, &n, err);
    for (int i = 0; status >= 0 && i < 3; i++) results[i] = tm_measure_mean(values + (size_t)i * all, n);
    tm_free(values);
    return status;
}

static tm_status measure(const void *texts, const void *options_, const tm_subject *subject,
                         tm_measure *results, tm_error *err)
{
    const match_options *o = options_;
    player p = {.subject = subject, .o = o};
    p.how = (tm_generation){
        .n_tokens = (uint64_t)o->tokens, .ends = p.ends, .stops = o->stop.items, .n_stops = o->stop.n};
    add_end(&p, subject->tokenizer->eos);
    add_end(&p, subject->model->config.eos);
    tm_status status = judge(&p, texts, results, err);
    tm_decoder_free(p.decoder);
    tm_chat_close(p.chat);
    tm_answer_clear(&p.answer);
    tm_bpe_ids_clear(&p.prompt);
    tm_buf_clear(&p.right);
    tm_buf_clear(&p.given);
    return status;
}

static void end(void *texts)
{
    tm_texts_clear(texts);
}

const tm_task tm_task_exact_match = {
    .name = "exact_match",
    .measures = {"exact_match", "tokens", "ended"},
    .shape = "any",
    .state_size = sizeof(tm_texts),
    .begin = begin,
    .measure = measure,
    .end = end,
};
