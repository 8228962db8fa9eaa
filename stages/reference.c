// SPDX-License-Identifier: Apache-2.0
// Log-probabilities of preferred and rejected answers under a reference model.
#include "engine/stage.h"
#include "stages/model/pass.h"
#include "stages/train/feed.h"

#define BATCH_TOKENS 4096 // unless one pair is longer

typedef struct reference {
    tm_device *device;
    tm_model *model;
} reference;

static tm_status begin(tm_work *work, tm_error *err)
{
    reference *r = tm_work_state(work);
    tm_snapshot snapshot;
    tm_status status = tm_take_tree(work, "model", &snapshot, err);
    if (status == TM_DONE) return tm_fail(err, TM_ENOENT, "there is no reference model");
    TM_TRY(status);
    TM_TRY(tm_device_open_cpu(tm_work_cores(work), &r->device, err));
    return tm_model_open_apart(&r->model, snapshot.folder, err); // with its adapter, as training computes
}

static void end(tm_work *work)
{
    reference *r = tm_work_state(work);
    if (r->model) tm_model_free(r->model);
    if (r->device) tm_device_close(r->device);
}

// ---- a chunk of pairs as documents; their score is the number of the row ----

typedef struct source {
    const tm_batch *pairs;
    tm_pair_room room;
} source;

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    *have = tm_batch_rows(((source *)ctx)->pairs);
    return TM_OK;
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    source *s = ctx;
    TM_TRY(tm_pair_document(s->pairs, (size_t)i, false, &s->room, document, err));
    document->score = s->room.rejected.score = (double)i;
    return TM_OK;
}

// Texts that the model has positions for, and answers that there are.
static bool fits(const tm_batch *pairs, size_t row, size_t length, size_t *longest)
{
    size_t prompt, chosen, rejected;
    (void)tm_batch_get_u32s(pairs, TM_PAIR_PROMPT, row, &prompt);
    (void)tm_batch_get_u32s(pairs, TM_PAIR_CHOSEN, row, &chosen);
    (void)tm_batch_get_u32s(pairs, TM_PAIR_REJECTED, row, &rejected);
    size_t longer = prompt + (chosen > rejected ? chosen : rejected);
    size_t shorter = prompt + (chosen > rejected ? rejected : chosen);
    if (!chosen || !rejected || shorter < 2 || longer > length + 1) return false;
    if (longer > *longest) *longest = longer;
    return true;
}

// ---- scores ----

typedef struct scores {
    double *sums;     // [rows, 2] chosen and rejected
    bool *there;      // [rows]
    float *log_probs; // [tokens of a batch]
} scores;

static void add_batch(const tm_tokens *batch, scores *s)
{
    for (int32_t k = 0; k < batch->n_segments; k++) {
        size_t row = (size_t)batch->scores[k];
        double sum = 0;
        for (int32_t i = batch->cu_seqlens[k]; i < batch->cu_seqlens[k + 1]; i++)
            if (batch->labels[i] >= 0) sum += (double)s->log_probs[i];
        s->sums[2 * row + (size_t)(k % 2)] = sum;
        s->there[row] = true;
    }
}

static tm_status score_batches(tm_work *work, tm_pack *pack, tm_pass *pass, scores *s, tm_error *err)
{
    const reference *r = tm_work_state(work);
    tm_tokens batch;
    tm_status status;
    while ((status = tm_pack_next(pack, &batch, err)) == TM_OK) {
        tm_loss loss;
        TM_TRY(tm_pool_resize(tm_device_pool(r->device), tm_work_cores(work), err));
        TM_TRY(tm_pass_forward(pass, &batch, err));
        tm_pass_score(pass, &loss, s->log_probs);
        add_batch(&batch, s);
    }
    return status < 0 ? status : TM_OK;
}

static tm_status score_all(tm_work *work, source *from, size_t longest, scores *s, tm_error *err)
{
    const reference *r = tm_work_state(work);
    tm_pack_options how = {
        .tokens = (uint32_t)(2 * longest > BATCH_TOKENS ? 2 * longest : BATCH_TOKENS),
        .length = (uint32_t)longest - 1,
        .bos = -1,
        .eos = -1,
        .whole = true,
        .epochs = 1,
    };
    tm_documents documents = {from, reach, get};
    tm_pack *pack = NULL;
    tm_pass *pass = NULL;
    s->log_probs = tm_alloc(how.tokens * sizeof *s->log_probs);
    tm_status status = s->log_probs ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for %u tokens", how.tokens);
    if (status >= 0) status = tm_pack_new(&pack, &how, &documents, err);
    if (status >= 0) status = tm_pass_new(&pass, r->model, r->device, TM_PASS_FORWARD, how.tokens, err);
    if (status >= 0) status = score_batches(work, pack, pass, s, err);
    if (pass) tm_pass_free(pass);
    if (pack) tm_pack_free(pack);
    return status;
}

static tm_status put_row(const tm_batch *in, size_t row, const double sums[2], tm_batch *out, tm_error *err)
{
    size_t n;
    tm_batch_add_bytes(out, TM_PAIR_ID, tm_batch_get_bytes(in, TM_PAIR_ID, row));
    for (size_t col = TM_PAIR_PROMPT; col <= TM_PAIR_REJECTED; col++) {
        const uint32_t *ids = tm_batch_get_u32s(in, col, row, &n);
        tm_batch_add_u32s(out, col, ids, n);
    }
    tm_batch_add_f64(out, TM_PAIR_REF_CHOSEN, sums[0]);
    tm_batch_add_f64(out, TM_PAIR_REF_REJECTED, sums[1]);
    return tm_batch_row(out, err);
}

static tm_status put_rows(tm_work *work, const tm_batch *in, const scores *s, tm_batch *out, tm_error *err)
{
    int64_t n_removed = 0;
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        if (s->there[row])
            TM_TRY(put_row(in, row, &s->sums[2 * row], out, err));
        else
            n_removed++;
    }
    if (!n_removed) return TM_OK;
    tm_work_count(work, "removed.reference.length", n_removed);
    tm_work_log(work,
                "%lld pairs have no answer, or a text longer than the model's positions: they are left out",
                (long long)n_removed);
    return TM_OK;
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const reference *r = tm_work_state(work);
    source from = {.pairs = in};
    size_t rows = tm_batch_rows(in), longest = 0;
    scores s = {.sums = tm_calloc(rows + 1, 2 * sizeof *s.sums),
                .there = tm_calloc(rows + 1, sizeof *s.there)};
    tm_status status = s.sums && s.there ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for %zu pairs", rows);
    for (size_t row = 0; row < rows; row++) (void)fits(in, row, r->model->config.length, &longest);
    if (status >= 0 && longest) status = score_all(work, &from, longest, &s, err);
    if (status >= 0) status = put_rows(work, in, &s, out[0], err);
    tm_pair_room_clear(&from.room);
    tm_free(s.sums);
    tm_free(s.there);
    tm_free(s.log_probs);
    return status;
}

const tm_stage tm_stage_reference = {
    .name = "reference",
    .brief = "Log-probabilities of both answers of pairs under a reference model.",
    .help = "tm.dpo has this stage put before its data, with the model it is given, so that the reference is "
            "computed once and\n"
            "not at every step. The sums run over the tokens of an answer, in nats. An adapter of the model "
            "counts. Pairs with a\n"
            "text longer than the model's positions are left out and counted.",
    .example = "local scored = tm.reference { prefs.train, model = tuned }",
    .family = "align",
    .version = 1,
    .traits = TM_NUMERIC | TM_ELASTIC,
    .inputs = {{"", "pairs", 0, NULL, "pairs of answers", "tokenize_pairs"},
               {"model", "model", TM_PORT_WHOLE, NULL, "the reference", NULL}},
    .outputs = {{"", "scored_pairs", 0, NULL, "the pairs with two sums each", NULL}},
    .state_size = sizeof(reference),
    .begin = begin,
    .map = map,
    .end = end,
};
