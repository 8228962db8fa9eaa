// SPDX-License-Identifier: Apache-2.0
// The loop of generation.
#include "stages/model/generate.h"

#include "stages/text/stop.h"

typedef struct generation {
    tm_decoder *decoder;
    const tm_generation *how;
    uint32_t vocab;
    tm_answer *answer;
    tm_bpe_ids all; // prompt and answer
    size_t n_prompt;
    size_t room;        // for tokens of the answer
    tm_choice *choices; // scratch
    tm_bpe_stream stream;
    tm_stop stop;
    tm_buf piece; // of text, before stop strings
    bool over;    // answer->ended is set
} generation;

const char *tm_ended_name(tm_ended ended)
{
#define NAME(name, text) text,
    static const char *const names[] = {TM_ENDED_LIST(NAME)};
#undef NAME
    return names[ended];
}

void tm_answer_clear(tm_answer *answer)
{
    tm_bpe_ids_clear(&answer->ids);
    tm_buf_clear(&answer->text);
    tm_free(answer->log_probs);
    *answer = (tm_answer){0};
}

static void end(generation *g, tm_ended why)
{
    if (!g->over) g->answer->ended = why;
    g->over = true;
}

static bool ends(const tm_generation *how, uint32_t id)
{
    for (size_t i = 0; i < how->n_ends; i++) {
        if (how->ends[i] == id) return true;
    }
    return false;
}

// What became certain of the text since `before` goes to the listener.
static void tell(generation *g, size_t before)
{
    const tm_buf *text = &g->answer->text;
    if (!g->how->hear || text->failed) return;
    tm_view piece = {text->data ? text->data + before : "", text->size - before};
    if (!g->how->hear(g->how->listener, piece)) end(g, TM_ENDED_ASKED);
}

// A piece of text through the stop strings.
static void say(generation *g)
{
    size_t before = g->answer->text.size;
    tm_stop_put(&g->stop, tm_buf_view(&g->piece), &g->answer->text);
    tm_buf_reset(&g->piece);
    if (g->stop.found) end(g, TM_ENDED_STOP);
    tell(g, before);
}

static void add(generation *g, uint32_t id, const float *logits)
{
    tm_answer *a = g->answer;
    if (a->log_probs) a->log_probs[a->ids.size] = tm_log_prob(logits, g->vocab, (int32_t)id);
    a->ids.data[a->ids.size++] = id;
    g->all.data[g->all.size++] = id;
    if (ends(g->how, id)) {
        end(g, TM_ENDED_END);
        return;
    }
    tm_bpe_stream_put(&g->stream, id, &g->piece);
    say(g);
    if (a->ids.size == g->how->n_tokens) end(g, TM_ENDED_TOKENS);
    if (a->ids.size == g->room) end(g, TM_ENDED_FULL);
}

// The next token.
static void choose(generation *g, const float *logits)
{
    tm_seen seen = {g->all.data, g->all.size};
    uint64_t draw = g->how->draw + g->answer->ids.size;
    add(g, (uint32_t)tm_sample(&g->how->sampler, draw, logits, g->vocab, seen, g->choices), logits);
}

static int32_t last(const generation *g)
{
    return (int32_t)g->all.data[g->all.size - 1];
}

// Reads the prompt, and chooses the first token.
static tm_status begin(generation *g, tm_error *err)
{
    const float *logits;
    if (g->how->n_tokens == 0) end(g, TM_ENDED_TOKENS);
    if (g->over) return TM_OK;
    TM_TRY(tm_decoder_read(g->decoder, g->all.data, (int32_t)g->all.size, &logits, &g->answer->n_kept, err));
    choose(g, logits);
    return TM_OK;
}

static tm_status loop(generation *g, tm_error *err)
{
    TM_TRY(begin(g, err));
    while (!g->over) {
        const float *logits;
        TM_TRY(tm_decoder_feed(g->decoder, &(int32_t){last(g)}, 1, &logits, err));
        choose(g, logits);
    }
    return TM_OK;
}

// The last characters, when no more can follow.
static void finish(generation *g)
{
    size_t before = g->answer->text.size;
    tm_bpe_stream_end(&g->stream, &g->piece);
    tm_stop_put(&g->stop, tm_buf_view(&g->piece), &g->answer->text);
    tm_stop_end(&g->stop, &g->answer->text);
    if (g->stop.found) g->answer->ended = TM_ENDED_STOP;
    g->answer->stop = g->stop.found;
    if (g->answer->text.size > before) tell(g, before);
}

static tm_status prepare(generation *g, const tm_bpe_ids *prompt, tm_error *err)
{
    size_t capacity = (size_t)tm_decoder_capacity(g->decoder);
    if (!prompt->size) return tm_fail(err, TM_EINVAL, "the prompt is empty");
    if (prompt->size >= capacity)
        return tm_fail(err, TM_EINVAL, "the prompt has %zu tokens, and there are %zu positions", prompt->size,
                       capacity);
    g->n_prompt = prompt->size;
    g->room = capacity - prompt->size;
    size_t most = g->how->n_tokens < g->room ? (size_t)g->how->n_tokens : g->room;
    g->all.data = tm_calloc(prompt->size + most, sizeof *g->all.data);
    g->answer->ids.data = tm_calloc(most + 1, sizeof *g->answer->ids.data);
    g->choices = tm_calloc(g->vocab, sizeof *g->choices);
    if (g->how->log_probs) g->answer->log_probs = tm_calloc(most + 1, sizeof *g->answer->log_probs);
    if (!g->all.data || !g->answer->ids.data || !g->choices || (g->how->log_probs && !g->answer->log_probs))
        return tm_fail(err, TM_ENOMEM, "no memory for %zu tokens", prompt->size + most);
    memcpy(g->all.data, prompt->data, prompt->size * sizeof *prompt->data);
    g->all.size = prompt->size;
    g->answer->ids.capacity = most + 1;
    return TM_OK;
}

static generation generation_of(tm_decoder *decoder, const tm_bpe *bpe, const tm_generation *how,
                                tm_answer *answer)
{
    return (generation){
        .decoder = decoder,
        .how = how,
        .vocab = tm_decoder_model(decoder)->config.vocab,
        .answer = answer,
        .stream = {.bpe = bpe, .skip_special = true},
        .stop = {.strings = how->stops, .n_strings = how->n_stops},
    };
}

static void clear(generation *g)
{
    tm_stop_clear(&g->stop);
    tm_buf_clear(&g->piece);
    tm_bpe_ids_clear(&g->all);
    tm_free(g->choices);
}

tm_status tm_generate(tm_decoder *decoder, const tm_bpe *bpe, const tm_bpe_ids *prompt,
                      const tm_generation *how, tm_answer *answer, tm_error *err)
{
    generation g = generation_of(decoder, bpe, how, answer);
    tm_answer_clear(answer);
    tm_status status = prepare(&g, prompt, err);
    if (status >= 0) status = loop(&g, err);
    if (status >= 0) finish(&g);
    if (status >= 0) status = tm_buf_status(&answer->text, err);
    clear(&g);
    return status;
}

// ---- many

// A sequence of the decoder, and the prompt that it is at work on.
typedef struct place {
    generation g;
    tm_answer answer;
    size_t prompt;
    bool busy;
} place;

typedef struct many {
    tm_decoder *decoder;
    const tm_bpe *bpe;
    const tm_prompts *prompts;
    const tm_generation *how;
    place places[TM_ROWS_ALIKE];
    size_t next; // prompt
} many;

static void leave(place *p)
{
    clear(&p->g);
    tm_answer_clear(&p->answer);
    *p = (place){0};
}

// Tells of an answer that is over.
static tm_status settle(many *m, place *p, tm_error *err)
{
    if (!p->g.over) return TM_OK;
    finish(&p->g);
    tm_status status = tm_buf_status(&p->answer.text, err);
    if (status >= 0) status = m->prompts->answered(m->prompts->listener, p->prompt, &p->answer, err);
    leave(p);
    return status;
}

// Gives every free place a prompt, until there are no more.
static tm_status fill(many *m, tm_error *err)
{
    for (int32_t i = 0; i < tm_decoder_width(m->decoder); i++) {
        place *p = &m->places[i];
        while (!p->busy && m->next < m->prompts->n) {
            p->busy = true;
            p->prompt = m->next++;
            p->g = generation_of(m->decoder, m->bpe, m->how, &p->answer);
            tm_decoder_turn(m->decoder, i);
            tm_decoder_cut(m->decoder, 0);
            TM_TRY(prepare(&p->g, &m->prompts->prompts[p->prompt], err));
            TM_TRY(begin(&p->g, err));
            TM_TRY(settle(m, p, err));
        }
    }
    return TM_OK;
}

// One token for all that are at work; `*n` gets their number.
static tm_status step(many *m, int32_t *n, tm_error *err)
{
    int32_t busy[TM_ROWS_ALIKE], ids[TM_ROWS_ALIKE];
    const float *logits;
    *n = 0;
    for (int32_t i = 0; i < tm_decoder_width(m->decoder); i++) {
        if (!m->places[i].busy) continue;
        ids[*n] = last(&m->places[i].g);
        busy[(*n)++] = i;
    }
    if (*n == 0) return TM_OK;
    TM_TRY(tm_decoder_step(m->decoder, busy, ids, *n, &logits, err));
    for (int32_t i = 0; i < *n; i++) {
        place *p = &m->places[busy[i]];
        choose(&p->g, logits + (size_t)i * p->g.vocab);
        TM_TRY(settle(m, p, err));
    }
    return TM_OK;
}

tm_status tm_generate_all(tm_decoder *decoder, const tm_bpe *bpe, const tm_prompts *prompts,
                          const tm_generation *how, tm_error *err)
{
    many m = {.decoder = decoder, .bpe = bpe, .prompts = prompts, .how = how};
    tm_status status = TM_OK;
    int32_t busy = 1;
    while (status >= 0 && busy > 0) {
        status = fill(&m, err);
        if (status >= 0) status = step(&m, &busy, err);
    }
    for (int32_t i = 0; i < TM_ROWS_ALIKE; i++) leave(&m.places[i]);
    return status;
}
