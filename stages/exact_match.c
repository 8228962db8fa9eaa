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

// A question: what the model is asked, and the right answer as it is compared.
typedef struct question {
    uint64_t document;
    tm_buf right;
} question;

typedef struct player {
    const tm_subject *subject;
    const match_options *o;
    const tm_texts *texts;
    tm_chat *chat; // opened with the first conversation
    tm_generation how;
    uint32_t ends[MAX_ENDS];
    size_t n, n_answered;
    question *questions; // [n], room for every document, and so in what follows
    tm_bpe_ids *prompts;
    double *right, *tokens, *ended; // what is measured, of each question
    tm_buf given;
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
    tm_buf *right = &p->questions[p->n].right;
    tm_buf_reset(right);
    int part = tm_answer_part_find(p->o->part), normal = tm_normal_find(p->o->normal);
    if (!tm_answer_text(text, (tm_answer_part)part, (tm_normal)normal, right))
        return tm_fail(err, TM_EFORMAT, "its right answer has no %s: %.*s", p->o->part,
                       (int)(text.size < 60 ? text.size : 60), text.data);
    return tm_buf_status(right, err);
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
        status = tm_chat_prompt(p->chat, messages, json_object_get(record, "tools"), &p->prompts[p->n], err);
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
    if (status >= 0)
        status = tm_prompt_encode(p->subject->tokenizer, prompt, !prompt.size, &p->prompts[p->n], err);
    tm_buf_clear(&text);
    tm_buf_clear(&right);
    json_decref(meta);
    return status;
}

// Makes a document the next question.
static tm_status ask(player *p, const tm_doc *doc, tm_error *err)
{
    static const char head[] = "{\"messages\":";
    uint32_t most = p->subject->model->config.length;
    bool chat = doc->text.size > strlen(head) && memcmp(doc->text.data, head, strlen(head)) == 0;
    json_t *record = chat ? json_loadb(doc->text.data, doc->text.size, 0, NULL) : NULL;
    tm_bpe_ids *prompt = &p->prompts[p->n];
    prompt->size = 0;
    tm_status status = record ? ask_conversation(p, record, err) : ask_text(p, doc, err);
    json_decref(record);
    if (status >= 0 && (!prompt->size || prompt->size >= most))
        status =
            tm_fail(err, TM_EFORMAT, "its prompt has %zu tokens, the model %u positions", prompt->size, most);
    return status;
}

static tm_status ask_all(player *p, tm_error *err)
{
    tm_left_out left_out = {.work = p->subject->work};
    for (uint64_t i = 0; i < p->texts->n_documents; i++) {
        tm_doc doc = tm_texts_get(p->texts, i);
        tm_status status = ask(p, &doc, err);
        if (status < 0) {
            TM_TRY(tm_leave_out(&left_out, doc.id, status, err));
            continue;
        }
        p->questions[p->n++].document = i;
    }
    return p->n ? TM_OK : tm_fail(err, TM_EINVAL, "there is no question with an answer");
}

// ---- an answer ----

static bool is_right(player *p, size_t i, tm_view text)
{
    tm_buf_reset(&p->given);
    bool there = tm_answer_text(text, (tm_answer_part)tm_answer_part_find(p->o->part),
                                (tm_normal)tm_normal_find(p->o->normal), &p->given);
    return there && tm_view_eq(tm_buf_view(&p->given), tm_buf_view(&p->questions[i].right));
}

static tm_status answered(void *player_, size_t i, const tm_answer *answer, tm_error *err)
{
    player *p = player_;
    tm_view text = {answer->text.data ? answer->text.data : "", answer->text.size};
    p->right[i] = is_right(p, i, text);
    p->tokens[i] = (double)answer->ids.size;
    p->ended[i] = answer->ended == TM_ENDED_END || answer->ended == TM_ENDED_STOP;
    if (i == 0)
        tm_work_sample(p->subject->work, tm_texts_get(p->texts, p->questions[i].document).text, text,
                       p->right[i] > 0 ? "right" : "wrong");
    tm_work_progress(p->subject->work, (double)++p->n_answered, (double)p->n, "questions");
    return tm_buf_status(&p->given, err);
}

// A decoder with room for the longest prompt and its answer.
static tm_status open_decoder(const player *p, tm_decoder **decoder, tm_error *err)
{
    uint64_t most = p->subject->model->config.length, longest = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->prompts[i].size > longest) longest = p->prompts[i].size;
    uint64_t want = (longest + (uint64_t)p->o->tokens + 255) / 256 * 256;
    return tm_decoder_new_wide(decoder, p->subject->model, p->subject->device,
                               (uint32_t)(want < most ? want : most), p->n, err);
}

static tm_status answer_all(player *p, tm_error *err)
{
    tm_decoder *decoder = NULL;
    tm_prompts prompts = {p->prompts, p->n, answered, p};
    tm_status status = open_decoder(p, &decoder, err);
    if (status >= 0) status = tm_generate_all(decoder, p->subject->tokenizer->bpe, &prompts, &p->how, err);
    tm_decoder_free(decoder);
    return status;
}

// ---- all of them ----

static tm_status make_room(player *p, tm_error *err)
{
    size_t all = (size_t)p->texts->n_documents + 1;
    p->questions = tm_calloc(all, sizeof *p->questions);
    p->prompts = tm_calloc(all, sizeof *p->prompts);
    p->right = tm_calloc(3 * all, sizeof *p->right);
    if (!p->questions || !p->prompts || !p->right)
        return tm_fail(err, TM_ENOMEM, "no memory for %zu questions", all);
    p->tokens = p->right + all;
    p->ended = p->tokens + all;
    return TM_OK;
}

static void clear(player *p)
{
    for (uint64_t i = 0; p->questions && i < p->texts->n_documents; i++) tm_buf_clear(&p->questions[i].right);
    for (uint64_t i = 0; p->prompts && i < p->texts->n_documents; i++) tm_bpe_ids_clear(&p->prompts[i]);
    tm_free(p->questions);
    tm_free(p->prompts);
    tm_free(p->right);
    tm_buf_clear(&p->given);
    tm_chat_close(p->chat);
}

static tm_status measure(const void *texts, const void *options_, const tm_subject *subject,
                         tm_measure *results, tm_error *err)
{
    const match_options *o = options_;
    player p = {.subject = subject, .o = o, .texts = texts};
    p.how = (tm_generation){
        .n_tokens = (uint64_t)o->tokens, .ends = p.ends, .stops = o->stop.items, .n_stops = o->stop.n};
    add_end(&p, subject->tokenizer->eos);
    add_end(&p, subject->model->config.eos);
    tm_status status = make_room(&p, err);
    if (status >= 0) status = ask_all(&p, err);
    if (status >= 0) status = answer_all(&p, err);
    const double *measured[] = {p.right, p.tokens, p.ended};
    for (int i = 0; status >= 0 && i < 3; i++) results[i] = tm_measure_mean(measured[i], p.n);
    clear(&p);
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
