// SPDX-License-Identifier: Apache-2.0
// Measuring perplexity in fixed windows.
#include "stages/train/perplexity.h"

#include <math.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

#include "stages/train/pack.h"

#define BATCH_TOKENS 4096

// ---- texts ----

tm_status tm_texts_take(tm_texts *texts, tm_work *work, const char *port, tm_error *err)
{
    *texts = (tm_texts){0};
    tm_batch *chunk;
    tm_status status;
    while ((status = tm_take(work, port, &chunk, err)) == TM_OK) {
        tm_batch **chunks = tm_realloc(texts->chunks, (texts->n_chunks + 1) * sizeof *chunks);
        if (!chunks) {
            tm_batch_unref(chunk);
            return tm_fail(err, TM_ENOMEM, "no memory for texts");
        }
        texts->chunks = chunks;
        chunks[texts->n_chunks++] = chunk;
        for (size_t row = 0; row < tm_batch_rows(chunk); row++)
            texts->n_bytes += tm_docs_get(chunk, row).text.size;
    }
    return status < 0 ? status : TM_OK;
}

void tm_texts_clear(tm_texts *texts)
{
    for (size_t i = 0; i < texts->n_chunks; i++) tm_batch_unref(texts->chunks[i]);
    tm_free(texts->chunks);
    *texts = (tm_texts){0};
}

// ---- the yardstick ----

static la_ssize_t count_bytes(struct archive *archive, void *total, const void *data, size_t size)
{
    (void)archive;
    (void)data;
    *(uint64_t *)total += size;
    return (la_ssize_t)size;
}

static bool write_texts(struct archive *archive, const tm_texts *texts)
{
    for (size_t i = 0; i < texts->n_chunks; i++)
        for (size_t row = 0; row < tm_batch_rows(texts->chunks[i]); row++) {
            tm_view text = tm_docs_get(texts->chunks[i], row).text;
            if (archive_write_data(archive, text.data, text.size) < 0) return false;
        }
    return true;
}

tm_status tm_texts_bzip2(const tm_texts *texts, double *bits_per_byte, tm_error *err)
{
    uint64_t total = 0;
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    if (!archive || !entry) {
        archive_entry_free(entry);
        archive_write_free(archive);
        return tm_fail(err, TM_ENOMEM, "no memory for bzip2");
    }
    archive_write_add_filter_bzip2(archive);
    archive_write_set_filter_option(archive, "bzip2", "compression-level", "9");
    archive_write_set_format_raw(archive);
    archive_write_set_bytes_in_last_block(archive, 1);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_pathname(entry, "text");
    bool good = archive_write_open(archive, &total, NULL, count_bytes, NULL) == ARCHIVE_OK &&
                archive_write_header(archive, entry) == ARCHIVE_OK && write_texts(archive, texts) &&
                archive_write_close(archive) == ARCHIVE_OK;
    archive_entry_free(entry);
    archive_write_free(archive);
    if (!good) return tm_fail(err, TM_EIO, "bzip2 failed");
    *bits_per_byte = texts->n_bytes ? (double)total * 8 / (double)texts->n_bytes : 0;
    return TM_OK;
}

// ---- the model ----

// Documents as the packer asks for them: all are there, tokens are made one document at a time.
typedef struct source {
    const tm_texts *texts;
    const tm_tokenizer *tokenizer;
    tm_bpe_ids ids;
    uint64_t n_documents;
    size_t chunk;    // the last one asked for
    uint64_t first;  // its first document
} source;

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    const source *s = ctx;
    (void)want;
    (void)err;
    *have = s->n_documents;
    return TM_OK;
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    source *s = ctx;
    if (i < s->first) s->first = s->chunk = 0;
    while (i - s->first >= tm_batch_rows(s->texts->chunks[s->chunk]))
        s->first += tm_batch_rows(s->texts->chunks[s->chunk++]);
    tm_view text = tm_docs_get(s->texts->chunks[s->chunk], (size_t)(i - s->first)).text;
    s->ids.size = 0;
    TM_TRY(tm_bpe_encode(s->tokenizer->encoder, text, TM_BPE_PLAIN, &s->ids, err));
    *document = (tm_document){.ids = s->ids.data, .n = s->ids.size};
    return TM_OK;
}

typedef struct sums {
    double sum, squares;
    uint64_t n;
} sums;

static void add_batch(sums *s, const tm_tokens *batch, const float *log_probs)
{
    for (int32_t i = 0; i < batch->n_tokens; i++) {
        if (batch->labels[i] < 0) continue;
        double nats = -(double)log_probs[i];
        s->sum += nats;
        s->squares += nats * nats;
        s->n++;
    }
}

static tm_status run_batches(tm_pass *pass, tm_pack *pack, float *log_probs, sums *s, tm_error *err)
{
    tm_tokens batch;
    tm_status status;
    while ((status = tm_pack_next(pack, &batch, err)) == TM_OK) {
        tm_loss loss;
        TM_TRY(tm_pass_forward(pass, &batch, err));
        tm_pass_score(pass, &loss, log_probs);
        add_batch(s, &batch, log_probs);
    }
    return status < 0 ? status : TM_OK;
}

static void conclude(const sums *s, uint64_t n_bytes, tm_perplexity *result)
{
    double n = (double)s->n, mean = s->sum / n;
    double variance = s->squares / n - mean * mean;
    *result = (tm_perplexity){
        .loss = mean,
        .bits_per_byte = s->sum / M_LN2 / (double)n_bytes,
        .error = sqrt((variance > 0 ? variance : 0) / n) * n / M_LN2 / (double)n_bytes,
        .n_tokens = s->n,
        .n_bytes = n_bytes,
    };
}

tm_status tm_perplexity_measure(const tm_model *model, tm_device *device, const tm_tokenizer *tokenizer,
                                const tm_texts *texts, const tm_perplexity_options *o, tm_perplexity *result,
                                tm_error *err)
{
    source from = {.texts = texts, .tokenizer = tokenizer};
    for (size_t i = 0; i < texts->n_chunks; i++) from.n_documents += tm_batch_rows(texts->chunks[i]);
    if (!texts->n_bytes) return tm_fail(err, TM_EINVAL, "there is no held-out text to measure on");
    uint32_t length = (uint32_t)o->length < model->config.length ? (uint32_t)o->length : model->config.length;
    tm_pack_options how = {.tokens = length > BATCH_TOKENS ? length : BATCH_TOKENS,
                           .length = length,
                           .bos = tokenizer->bos >= 0 ? tokenizer->bos : tokenizer->eos,
                           .eos = -1,
                           .whole = true,
                           .epochs = 1};
    tm_documents documents = {&from, reach, get};
    tm_pack *pack = NULL;
    tm_pass *pass = NULL;
    float *log_probs = tm_alloc(how.tokens * sizeof *log_probs);
    tm_status status = log_probs ? tm_pack_new(&pack, &how, &documents, err)
                                 : tm_fail(err, TM_ENOMEM, "no memory");
    if (status >= 0) status = tm_pass_new(&pass, model, device, TM_PASS_FORWARD, how.tokens, err);
    sums s = {0};
    if (status >= 0) status = run_batches(pass, pack, log_probs, &s, err);
    if (status >= 0 && !s.n) status = tm_fail(err, TM_EINVAL, "the held-out text has no tokens");
    if (status >= 0) conclude(&s, texts->n_bytes, result);
    if (pass) tm_pass_free(pass);
    if (pack) tm_pack_free(pack);
    tm_free(log_probs);
    tm_bpe_ids_clear(&from.ids);
    return status;
}
