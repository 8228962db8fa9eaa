// SPDX-License-Identifier: Apache-2.0
// What each model says to the same prompts. The models of the store are asked while the report is made,
// within a limit of time; whoever was not asked is named.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/machine.h"
#include "lua/cli/record.h"
#include "lua/past/recorded_stage.h"
#include "lua/report/parts.h"
#include "stages/model/generate.h"

#define MOST_MODELS 8
#define TOKENS 48
#define PROMPT 160  // bytes

typedef struct prompt {
    char *text;
    bool chat;  // through the chat template
} prompt;

typedef struct speaker {
    const tm_past_node *node;
    const char *why_not;  // not asked, or NULL
    char why[160];
    tm_buf answers[2];
    bool cut[2];  // by the limit of time
} speaker;

typedef struct samples {
    const tm_report *report;
    prompt prompts[2];
    size_t n_prompts;
    speaker speakers[MOST_MODELS];
    size_t n;
    double until; // of the model that is asked
} samples;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// ---- prompts: the beginnings of held-out documents ----

static char *cut_words(tm_view text, size_t most)
{
    size_t n = text.size < most ? text.size : most;
    while (n && n < text.size && text.data[n] != ' ' && text.data[n] != '\n') n--;
    char *copy = n ? tm_alloc(n + 1) : NULL;
    if (!copy) return NULL;
    memcpy(copy, text.data, n);
    copy[n] = 0;
    return copy;
}

// What a user says first in a conversation or a preference, or NULL.
static char *question_of(tm_view text)
{
    json_t *record = text.size && text.data[0] == '{' ? json_loadb(text.data, text.size, 0, NULL) : NULL;
    size_t i;
    json_t *message, *turns = json_object_get(record, "messages");
    char *found = NULL;
    if (!turns) turns = json_object_get(record, "prompt");
    json_array_foreach(turns, i, message)
    {
        const char *role = json_string_value(json_object_get(message, "role"));
        const char *said = json_string_value(json_object_get(message, "content"));
        if (!found && role && said && strcmp(role, "user") == 0 && strlen(said) < 600)
            found = tm_strdup(said);
    }
    json_decref(record);
    return found;
}

static void take_prompt(samples *s, const tm_doc *doc)
{
    char *question = question_of(doc->text);
    bool chat = question != NULL;
    if (!question && doc->text.size > 80 && !strchr("{[<", doc->text.data[0]))
        question = cut_words(doc->text, PROMPT);
    for (size_t i = 0; i < s->n_prompts; i++)
        if (s->prompts[i].chat == chat) {
            tm_free(question);
            return;
        }
    if (question && s->n_prompts < 2) s->prompts[s->n_prompts++] = (prompt){question, chat};
    else tm_free(question);
}

// The first documents of a port.
static void look_into(samples *s, const tm_past_port *port)
{
    const tm_type *type = tm_type_find("documents");
    tm_artifact log = {0};
    tm_blob blob = {0};
    tm_batch *batch = NULL;
    if (!port->there || tm_artifact_get(s->report->store, port->artifact, &log, NULL) < 0) return;
    size_t first = 0;
    while (first < log.count && !log.entries[first].rows) first++;
    if (strcmp(log.kind, "documents") == 0 && first < log.count &&
        tm_store_get(s->report->store, log.entries[first].hash, &blob, NULL) >= 0 &&
        tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, &batch, NULL) >= 0)
        for (size_t row = 0; row < tm_batch_rows(batch) && row < 16; row++) {
            tm_doc doc = tm_docs_get(batch, row);
            take_prompt(s, &doc);
        }
    tm_batch_unref(batch);
    tm_blob_clear(&blob);
    tm_artifact_clear(&log);
}

// Held-out documents first; for what none of them gives, others, the last in the graph first.
static void find_prompts(samples *s)
{
    const tm_past *past = &s->report->past;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < past->n_nodes; i++) {
            const tm_past_node *node = &past->nodes[pass ? past->n_nodes - 1 - i : i];
            for (size_t k = 0; k < node->n_ports && s->n_prompts < 2; k++) {
                bool held = strcmp(node->ports[k].name, "valid") == 0;
                if (pass ? !held && strcmp(node->ports[k].name, "removed") != 0 : held)
                    look_into(s, &node->ports[k]);
            }
        }
}

// ---- models ----

static bool gives_model(const tm_past_node *node)
{
    const tm_stage *stage = tm_recorded_stage(node->plan);
    const char *family = tm_report_family(node);
    bool other = strcmp(family, "judge") == 0 || strcmp(node->stage, "export") == 0;
    return stage && strcmp(stage->outputs[0].type, "model") == 0 && !other && !strchr(node->name, '/');
}

// The last ones of the graph.
static void find_speakers(samples *s)
{
    const tm_past *past = &s->report->past;
    for (size_t i = 0; i < past->n_nodes; i++) {
        const tm_past_port *port = tm_past_port_of(&past->nodes[i], "");
        if (!gives_model(&past->nodes[i]) || !port || !port->there || port->entries <= 0) continue;
        if (s->n == MOST_MODELS) memmove(s->speakers, s->speakers + 1, --s->n * sizeof *s->speakers);
        s->speakers[s->n++] = (speaker){.node = &past->nodes[i]};
    }
}

static bool in_time(void *self, tm_view text)
{
    return now() < ((samples *)self)->until;
}

static tm_status answer(samples *s, speaker *who, size_t i, tm_opened *opened, tm_device *device,
                        tm_error *err)
{
    tm_encoded ids = {0};
    tm_decoder *decoder = NULL;
    tm_answer said = {0};
    const prompt *p = &s->prompts[i];
    bool chat = p->chat && tm_opened_chat(opened, NULL) >= 0;
    tm_generation how = {.sampler = {.top_p = 1, .seed = 1}, .n_tokens = TOKENS, .ends = opened->ends,
                         .hear = in_time, .listener = s};
    tm_status status = tm_text_encode(opened, tm_view_str(p->text), chat ? TM_ENCODE_CHAT : 0, &ids, err);
    how.n_ends = opened->n_ends;
    uint64_t room = ids.ids.size + TOKENS, most = opened->model->config.length;
    if (status >= 0)
        status = tm_decoder_new(&decoder, opened->model, device, (uint32_t)(room < most ? room : most), err);
    if (status >= 0) status = tm_generate(decoder, opened->tokenizer.bpe, &ids.ids, &how, &said, err);
    if (status >= 0) tm_buf_add(&who->answers[i], said.text.data, said.text.size);
    who->cut[i] = status >= 0 && said.ended == TM_ENDED_ASKED;
    tm_answer_clear(&said);
    tm_decoder_free(decoder);
    tm_encoded_clear(&ids);
    return status;
}

static tm_status ask(samples *s, speaker *who, tm_device *device, tm_error *err)
{
    tm_opened opened = {0};
    tm_cli cli = {.store = tm_store_folder(s->report->store)};
    char name[256];
    snprintf(name, sizeof name, "%s:%s", s->report->past.run, who->node->name);
    tm_status status = tm_opened_model(&opened, &cli, name, err);
    for (size_t i = 0; i < s->n_prompts && status >= 0; i++)
        status = answer(s, who, i, &opened, device, err);
    tm_opened_close(&opened);
    return status;
}

// The last made first; each may take an equal part of the time that is left.
static void ask_all(samples *s)
{
    tm_device *device = NULL;
    const tm_report_means *means = &s->report->means;
    double end = now() + means->sample_seconds;
    if (s->n && means->sample_seconds > 0 && tm_device_open_cpu(tm_machine_cores(), &device, NULL) < 0)
        device = NULL;
    for (size_t i = s->n; i-- > 0;) {
        speaker *who = &s->speakers[i];
        tm_error err = {0};
        s->until = now() + (end - now()) / (double)(i + 1);
        const tm_past_port *port = tm_past_port_of(who->node, "");
        if (!device) who->why_not = "this report was made without asking models";
        else if (port->bytes / port->entries > means->model_bytes)
            who->why_not = "it is too large to be asked for this report";
        else if (now() >= end)
            who->why_not = "the time for samples was used up";
        else if (ask(s, who, device, &err) < 0) {
            snprintf(who->why, sizeof who->why, "%.150s", err.text);
            who->why_not = who->why;
        }
    }
    if (device) tm_device_close(device);
}

// ---- on the page ----

static void show_answer(const samples *s, const speaker *who, size_t i, tm_buf *page)
{
    tm_html(page, "<dt>%s <span class=\"about\">%s</span></dt><dd>", who->node->name, who->node->stage);
    if (who->why_not)
        tm_html(page, "<p class=\"about\">Not asked: %s. <code>tidemill generate %s:%s</code></p>",
                who->why_not, s->report->past.run, who->node->name);
    else {
        tm_buf_str(page, "<pre dir=\"auto\">");
        bool blank = tm_html_visible(page, tm_buf_view(&who->answers[i]));
        tm_buf_str(page, "</pre>");
        if (blank) tm_buf_str(page, "<p class=\"about\">White space alone.</p>");
        if (!who->answers[i].size)
            tm_buf_str(page, "<p class=\"about\">It ended at once, without a word.</p>");
        if (who->cut[i])
            tm_buf_str(page, "<p class=\"about\">Cut off: the time for samples was used up.</p>");
    }
    tm_buf_str(page, "</dd>\n");
}

static void show(const samples *s, tm_buf *page)
{
    tm_report_open(page, "samples", "Samples");
    tm_html(
        page,
        "<p>Each model was given the same prompts when this report was made: at most %d tokens, always the likeliest. "
        "Prompts are from the documents of this run, held out where it holds some out.</p>\n",
        TOKENS);
    for (size_t i = 0; i < s->n_prompts; i++) {
        tm_html(page, "<h3>%s</h3><blockquote dir=\"auto\">%s</blockquote><dl class=\"answers\">\n",
                s->prompts[i].chat ? "A question" : "A beginning to go on from", s->prompts[i].text);
        for (size_t k = 0; k < s->n; k++) show_answer(s, &s->speakers[k], i, page);
        tm_buf_str(page, "</dl>\n");
    }
    tm_report_close(page);
}

void tm_report_samples(const tm_report *report, tm_buf *page)
{
    samples *s = tm_calloc(1, sizeof *s);
    if (!s) return;
    s->report = report;
    find_speakers(s);
    if (s->n) find_prompts(s);
    if (s->n_prompts) {
        ask_all(s);
        show(s, page);
    }
    for (size_t i = 0; i < 2; i++) tm_free(s->prompts[i].text);
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < 2; k++) tm_buf_clear(&s->speakers[i].answers[k]);
    tm_free(s);
}
