// SPDX-License-Identifier: Apache-2.0
// Texts, packed into batches and scored.
#include "stages/judge/likelihood.h"

#include <ctype.h>

#include "stages/train/pack.h"

#define BATCH_TOKENS 4096 // unless one text is longer

void tm_continuations_clear(tm_continuations *list)
{
    tm_bpe_ids_clear(&list->ids);
    tm_free(list->mask);
    tm_free(list->starts);
    *list = (tm_continuations){0};
}

static tm_status room_for_ids(tm_bpe_ids *ids, size_t more, tm_error *err)
{
    size_t need = ids->size + more, capacity = need + need / 2;
    if (need <= ids->capacity) return TM_OK;
    uint32_t *data = tm_realloc(ids->data, capacity * sizeof *data);
    if (!data) return tm_fail(err, TM_ENOMEM, "no memory for %zu tokens", capacity);
    ids->data = data;
    ids->capacity = capacity;
    return TM_OK;
}

// The ids from the end of the last text on become a text; tokens from number `first` on count, or those that
// `mask` says. The first token of a text never does.
static tm_status finish(tm_continuations *list, size_t first, const char *mask, tm_error *err)
{
    size_t start = list->n ? list->starts[list->n] : 0, n_counted = 0;
    if (list->n + 1 >= list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        size_t *starts = tm_realloc(list->starts, capacity * sizeof *starts);
        if (!starts) return tm_fail(err, TM_ENOMEM, "no memory for %zu texts", capacity);
        list->starts = starts;
        list->capacity = capacity;
        starts[0] = 0;
    }
    if (list->mask_capacity < list->ids.capacity) {
        uint8_t *bytes = tm_realloc(list->mask, list->ids.capacity);
        if (!bytes) return tm_fail(err, TM_ENOMEM, "no memory for %zu tokens", list->ids.capacity);
        list->mask = bytes;
        list->mask_capacity = list->ids.capacity;
    }
    for (size_t i = start; i < list->ids.size; i++) {
        list->mask[i] = i > start && (mask ? mask[i - start] != 0 : i - start >= first);
        n_counted += list->mask[i];
    }
    if (!n_counted)
        return tm_fail_as(err, TM_EINVAL, "TM0303", "it has no tokens to look at behind a first one");
    list->starts[++list->n] = list->ids.size;
    return TM_OK;
}

// Take back what was appended since the last text.
static tm_status back(tm_continuations *list, tm_status status)
{
    if (status < 0) list->ids.size = list->n ? list->starts[list->n] : 0;
    return status;
}

static tm_status append(tm_continuations *list, const tm_bpe_ids *ids, tm_error *err)
{
    TM_TRY(room_for_ids(&list->ids, ids->size, err));
    if (ids->size) memcpy(list->ids.data + list->ids.size, ids->data, ids->size * sizeof *ids->data);
    list->ids.size += ids->size;
    return TM_OK;
}

tm_status tm_continuations_add_ids(tm_continuations *list, const tm_bpe_ids *context,
                                   const tm_bpe_ids *continuation, tm_error *err)
{
    if (!context->size) return tm_fail(err, TM_EINVAL, "it has nothing before its answer");
    tm_status status = append(list, context, err);
    if (status >= 0) status = append(list, continuation, err);
    if (status >= 0) status = finish(list, context->size, NULL, err);
    return back(list, status);
}

tm_status tm_continuations_add_masked(tm_continuations *list, const tm_bpe_ids *ids, const char *mask,
                                      tm_error *err)
{
    tm_status status = append(list, ids, err);
    if (status >= 0) status = finish(list, 0, mask, err);
    return back(list, status);
}

// ---- from texts ----

tm_status tm_prompt_encode(const tm_tokenizer *t, tm_view text, bool must, tm_bpe_ids *ids, tm_error *err)
{
    // What comes before every text; without it, and with nothing else, a token that begins or ends texts.
    int64_t first = t->start >= 0 || !must ? t->start : t->bos >= 0 ? t->bos : t->eos;
    TM_TRY(room_for_ids(ids, 1, err));
    if (first >= 0) ids->data[ids->size++] = (uint32_t)first;
    return tm_bpe_encode(t->encoder, text, TM_BPE_PLAIN, ids, err);
}

static tm_status add_text(tm_continuations *list, const tm_tokenizer *t, tm_view text, size_t n_context,
                          tm_error *err)
{
    size_t begin = list->ids.size;
    TM_TRY(tm_prompt_encode(t, text, n_context == 0, &list->ids, err));
    size_t n = list->ids.size - begin;
    size_t first = n_context + (t->start >= 0 || !n_context);
    // Where context and continuation begin in one token, the last token is the continuation's.
    return finish(list, first < n ? first : n - 1, NULL, err);
}

tm_status tm_continuations_add_text(tm_continuations *list, const tm_tokenizer *t, tm_view context,
                                    tm_view continuation, tm_error *err)
{
    tm_buf text = {0};
    tm_bpe_ids alone = {0};
    tm_buf_add(&text, context.data, context.size);
    tm_buf_add(&text, continuation.data, continuation.size);
    while (context.size && isspace((unsigned char)context.data[context.size - 1])) context.size--;
    tm_status status = tm_buf_status(&text, err);
    if (status >= 0) status = tm_bpe_encode(t->encoder, context, TM_BPE_PLAIN, &alone, err);
    if (status >= 0) status = back(list, add_text(list, t, tm_buf_view(&text), alone.size, err));
    tm_bpe_ids_clear(&alone);
    tm_buf_clear(&text);
    return status;
}

// ---- scoring ----

// Texts as the packer asks for them; the score of a segment is the number of its text.
typedef struct source {
    const tm_continuations *list;
    size_t most; // tokens of one
} source;

static size_t start_of(const source *s, uint64_t i)
{
    size_t start = s->list->starts[i], end = s->list->starts[i + 1];
    return end - start > s->most ? end - s->most : start;
}

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    (void)want;
    (void)err;
    *have = ((const source *)ctx)->list->n;
    return TM_OK;
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    source *s = ctx;
    size_t start = start_of(s, i), end = s->list->starts[i + 1];
    (void)err;
    *document = (tm_document){.ids = s->list->ids.data + start,
                              .mask = s->list->mask + start,
                              .n = end - start,
                              .score = (double)i};
    return TM_OK;
}

static void add_batch(const tm_tokens *batch, const float *log_probs, tm_likelihood *results)
{
    for (int32_t k = 0; k < batch->n_segments; k++) {
        tm_likelihood *r = &results[(size_t)batch->scores[k]];
        for (int32_t i = batch->cu_seqlens[k]; i < batch->cu_seqlens[k + 1]; i++) {
            if (batch->labels[i] < 0) continue;
            r->sum += (double)log_probs[i];
            r->n++;
        }
    }
}

static tm_status score_batches(const tm_subject *subject, tm_pack *pack, tm_pass *pass, float *log_probs,
                               size_t n, tm_likelihood *results, tm_error *err)
{
    tm_tokens batch;
    tm_status status;
    size_t done = 0;
    while ((status = tm_pack_next(pack, &batch, err)) == TM_OK) {
        tm_loss loss;
        TM_TRY(tm_pass_forward(pass, &batch, err));
        tm_pass_score(pass, &loss, log_probs);
        add_batch(&batch, log_probs, results);
        done += (size_t)batch.n_segments;
        tm_work_progress(subject->work, (double)done, (double)n, "texts");
    }
    return status < 0 ? status : TM_OK;
}

static tm_status score_all(const tm_subject *subject, source *from, size_t longest, tm_likelihood *results,
                           tm_error *err)
{
    tm_pack_options how = {.tokens = (uint32_t)(longest > BATCH_TOKENS ? longest : BATCH_TOKENS),
                           .length = (uint32_t)longest - 1,
                           .bos = -1,
                           .eos = -1,
                           .whole = true,
                           .epochs = 1};
    tm_documents documents = {from, reach, get};
    tm_pack *pack = NULL;
    tm_pass *pass = NULL;
    float *log_probs = tm_alloc(how.tokens * sizeof *log_probs);
    tm_status status = log_probs
                           ? tm_pack_new(&pack, &how, &documents, err)
                           : tm_fail(err, TM_ENOMEM, "no memory for %u tokens", how.tokens);
    if (status >= 0)
        status = tm_pass_new(&pass, subject->model, subject->device, TM_PASS_FORWARD, how.tokens, err);
    if (status >= 0) status = score_batches(subject, pack, pass, log_probs, from->list->n, results, err);
    if (pass) tm_pass_free(pass);
    if (pack) tm_pack_free(pack);
    tm_free(log_probs);
    return status;
}

tm_status tm_likelihoods(const tm_subject *subject, const tm_continuations *list, tm_likelihood *results,
                         tm_error *err)
{
    source from = {.list = list, .most = (size_t)subject->model->config.length + 1};
    size_t longest = 0;
    memset(results, 0, list->n * sizeof *results);
    for (size_t i = 0; i < list->n; i++) {
        size_t n = list->starts[i + 1] - start_of(&from, i);
        results[i].cut = start_of(&from, i) != list->starts[i];
        if (n > longest) longest = n;
    }
    return longest ? score_all(subject, &from, longest, results, err) : TM_OK;
}
