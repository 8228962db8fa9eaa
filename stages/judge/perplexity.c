// SPDX-License-Identifier: Apache-2.0
// Measuring perplexity in fixed windows.
#include "stages/judge/perplexity.h"

#include <math.h>

#include "stages/train/pack.h"

#define BATCH_TOKENS 4096

// ---- the model ----

// Documents as the packer asks for them: all are there, tokens are made one document at a time.
typedef struct source {
    const tm_texts *texts;
    const tm_tokenizer *tokenizer;
    tm_bpe_ids ids;
    struct share *shares; // of every document
} source;

// What a document has of the sums.
typedef struct share {
    double nats;
    uint64_t n;      // labels
    uint64_t n_seen; // of them
} share;

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    const source *s = ctx;
    (void)want;
    (void)err;
    *have = s->texts->n_documents;
    return TM_OK;
}

// What goes before a document, as in training: what the tokenizer puts there, else the token that ends one.
static int64_t start_of(const tm_tokenizer *t)
{
    return t->start >= 0 ? t->start : t->eos >= 0 ? t->eos : t->bos;
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    source *s = ctx;
    tm_view text = tm_texts_get(s->texts, i).text;
    s->ids.size = 0;
    TM_TRY(tm_bpe_encode(s->tokenizer->encoder, text, TM_BPE_PLAIN, &s->ids, err));
    s->shares[i].n = s->ids.size - (s->ids.size && start_of(s->tokenizer) < 0);
    *document = (tm_document){.ids = s->ids.data, .n = s->ids.size};
    return TM_OK;
}

typedef struct sums {
    double nats;
    uint64_t n;
    uint64_t document; // the one whose labels come next
} sums;

// Labels come in the order of the documents.
static void add_batch(sums *s, share *shares, const tm_tokens *batch, const float *log_probs)
{
    for (int32_t i = 0; i < batch->n_tokens; i++) {
        if (batch->labels[i] < 0) continue;
        while (shares[s->document].n_seen == shares[s->document].n) s->document++;
        share *mine = &shares[s->document];
        double nats = -(double)log_probs[i];
        s->nats += nats;
        mine->nats += nats;
        mine->n_seen++;
        s->n++;
    }
}

static tm_status run_batches(tm_pass *pass, tm_pack *pack, float *log_probs, share *shares, sums *s,
                             tm_error *err)
{
    tm_tokens batch;
    tm_status status;
    while ((status = tm_pack_next(pack, &batch, err)) == TM_OK) {
        tm_loss loss;
        TM_TRY(tm_pass_forward(pass, &batch, err));
        tm_pass_score(pass, &loss, log_probs);
        add_batch(s, shares, &batch, log_probs);
    }
    return status < 0 ? status : TM_OK;
}

// Standard errors are over documents.
static tm_status conclude(const source *from, const sums *s, tm_perplexity *result, tm_error *err)
{
    size_t n = (size_t)from->texts->n_documents;
    double *nats = tm_calloc(3 * n + 1, sizeof *nats);
    if (!nats) return tm_fail(err, TM_ENOMEM, "no memory for %zu documents", n);
    double *tokens = nats + n, *bytes = tokens + n;
    for (size_t i = 0; i < n; i++) {
        nats[i] = from->shares[i].nats;
        tokens[i] = (double)from->shares[i].n;
        bytes[i] = (double)tm_texts_get(from->texts, i).text.size;
    }
    *result = (tm_perplexity){
        .loss = s->nats / (double)s->n,
        .loss_error = tm_measure_ratio(nats, tokens, n).error,
        .bits_per_byte = s->nats / M_LN2 / (double)from->texts->n_bytes,
        .error = tm_measure_ratio(nats, bytes, n).error / M_LN2,
        .n_tokens = s->n,
        .n_bytes = from->texts->n_bytes,
    };
    tm_free(nats);
    return TM_OK;
}

tm_status tm_perplexity_measure(const tm_subject *subject, const tm_texts *texts,
                                const tm_perplexity_options *o, tm_perplexity *result, tm_error *err)
{
    const tm_model *model = subject->model;
    const tm_tokenizer *tokenizer = subject->tokenizer;
    source from = {.texts = texts, .tokenizer = tokenizer};
    if (!texts->n_bytes)
        return tm_fail_as(err, TM_EINVAL, "TM0303", "there is no held-out text to measure on");
    uint32_t length = (uint32_t)o->length < model->config.length ? (uint32_t)o->length : model->config.length;
    tm_pack_options how = {.tokens = length > BATCH_TOKENS ? length : BATCH_TOKENS,
                           .length = length,
                           .bos = start_of(tokenizer),
                           .eos = -1,
                           .whole = true,
                           .epochs = 1};
    tm_documents documents = {&from, reach, get};
    tm_pack *pack = NULL;
    tm_pass *pass = NULL;
    float *log_probs = tm_alloc(how.tokens * sizeof *log_probs);
    from.shares = tm_calloc(texts->n_documents + 1, sizeof *from.shares);
    tm_status status = log_probs && from.shares ? tm_pack_new(&pack, &how, &documents, err)
                                                : tm_fail(err, TM_ENOMEM, "no memory");
    if (status >= 0) status = tm_pass_new(&pass, model, subject->device, TM_PASS_FORWARD, how.tokens, err);
    sums s = {0};
    if (status >= 0) status = run_batches(pass, pack, log_probs, from.shares, &s, err);
    if (status >= 0 && !s.n) status = tm_fail_as(err, TM_EINVAL, "TM0303", "the held-out text has no tokens");
    if (status >= 0) status = conclude(&from, &s, result, err);
    if (pass) tm_pass_free(pass);
    if (pack) tm_pack_free(pack);
    tm_free(log_probs);
    tm_free(from.shares);
    tm_bpe_ids_clear(&from.ids);
    return status;
}
