// SPDX-License-Identifier: Apache-2.0
// Documents without near duplicates: sign all, cluster, and keep the first of each cluster.
#include "stages/text/minhash.h"
#include "stages/text/sift.h"

#include <math.h>

typedef struct fuzzy_options {
    double threshold;
    int64_t seed;
} fuzzy_options;

static const tm_option options[] = {
    {"threshold", TM_OPT_NUMBER, offsetof(fuzzy_options, threshold), "0.8", 0, 1, NULL,
     "Jaccard similarity of 5-word shingles from which two documents are the same", 0},
    {"seed", TM_OPT_INT, offsetof(fuzzy_options, seed), "1", 0, 0x1p53, NULL, "of the hash functions", 0},
    {0},
};

typedef struct fuzzy {
    tm_minhash *hashes;
    tm_minhash_index *index;
    tm_buf signatures;  // TM_MINHASH_VALUES u32 per document
    tm_buf ids;         // one behind the other
    tm_buf ends;        // u64 per document: where its id ends in `ids`
    double threshold;
} fuzzy;

static const uint32_t *signature(const fuzzy *f, uint32_t i)
{
    return (const uint32_t *)(const void *)(f->signatures.data + (size_t)i * TM_MINHASH_VALUES * 4);
}

static tm_view id_of(const fuzzy *f, uint32_t i)
{
    const uint64_t *ends = (const uint64_t *)(const void *)f->ends.data;
    uint64_t begin = i ? ends[i - 1] : 0;
    return tm_view_of(f->ids.data + begin, ends[i] - begin);
}

// Candidates share a band; the signatures estimate how similar they are.
static tm_status same(void *self, uint32_t a, uint32_t b, bool *is_same, tm_error *err)
{
    const fuzzy *f = self;
    (void)err;
    *is_same = tm_minhash_similarity(signature(f, a), signature(f, b)) >= f->threshold;
    return TM_OK;
}

static tm_status sign_batch(fuzzy *f, const tm_batch *in, tm_error *err)
{
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        tm_doc doc = tm_docs_get(in, row);
        uint32_t values[TM_MINHASH_VALUES];
        uint64_t keys[TM_MINHASH_BANDS];
        size_t n_shingles;
        TM_TRY(tm_minhash_sign(f->hashes, doc.text, values, &n_shingles, err));
        tm_minhash_bands(values, keys);
        TM_TRY(tm_minhash_index_add(f->index, n_shingles ? keys : NULL, err));
        tm_buf_add(&f->signatures, values, sizeof values);
        tm_buf_add(&f->ids, doc.id.data, doc.id.size);
        uint64_t end = f->ids.size;
        tm_buf_add(&f->ends, &end, sizeof end);
    }
    TM_TRY(tm_buf_status(&f->ids, err));
    TM_TRY(tm_buf_status(&f->ends, err));
    return tm_buf_status(&f->signatures, err);
}

static tm_status sign_all(tm_work *work, fuzzy *f, tm_error *err)
{
    tm_batch *in;
    tm_status status;
    while ((status = tm_take(work, "", &in, err)) == TM_OK) {
        status = sign_batch(f, in, err);
        tm_batch_unref(in);
        tm_work_progress(work, (double)tm_minhash_index_count(f->index), 0, "documents signed");
        TM_TRY(status);
    }
    return status < 0 ? status : TM_OK;
}

static tm_status emit_batch(tm_work *work, const fuzzy *f, const uint32_t *first, size_t *at,
                            const tm_batch *in, tm_error *err)
{
    tm_batch *out[2] = {tm_work_batch(work, ""), tm_work_batch(work, "removed")};
    tm_status status = out[0] && out[1] ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a batch");
    for (size_t row = 0; status >= 0 && row < tm_batch_rows(in); row++, ++*at) {
        uint32_t to = first[*at];
        if (to == *at) status = tm_sift_keep(out, in, row, err);
        else
            status = tm_sift_remove(work, "fuzzy_dedup", out, in, row, "near_duplicate",
                                    tm_minhash_similarity(signature(f, to), signature(f, (uint32_t)*at)),
                                    id_of(f, to), err);
    }
    if (status < 0) {
        tm_batch_unref(out[0]);
        tm_batch_unref(out[1]);
        return status;
    }
    status = tm_put(work, "", out[0], err);
    tm_status second = tm_put(work, "removed", out[1], err);
    return status < 0 ? status : second;
}

static tm_status emit_all(tm_work *work, fuzzy *f, const uint32_t *first, tm_error *err)
{
    tm_batch *in;
    size_t at = 0;
    tm_status status;
    TM_TRY(tm_rewind(work, "", err));
    while ((status = tm_take(work, "", &in, err)) == TM_OK) {
        status = emit_batch(work, f, first, &at, in, err);
        tm_batch_unref(in);
        TM_TRY(status);
    }
    return status < 0 ? status : TM_OK;
}

static tm_status dedup(tm_work *work, fuzzy *f, tm_error *err)
{
    TM_TRY(sign_all(work, f, err));
    size_t n = tm_minhash_index_count(f->index);
    uint32_t *first = tm_calloc(n + 1, sizeof *first);
    if (!first) return tm_fail(err, TM_ENOMEM, "no memory for %zu documents", n);
    tm_minhash_check check = {same, f};
    tm_status status = tm_minhash_index_cluster(f->index, &check, first, err);
    if (status >= 0) status = emit_all(work, f, first, err);
    tm_free(first);
    return status;
}

static tm_status run(tm_work *work, tm_error *err)
{
    const fuzzy_options *o = tm_work_options(work);
    fuzzy f = {.hashes = tm_minhash_new((uint64_t)o->seed),
               .index = tm_minhash_index_new(),
               .threshold = o->threshold};
    tm_status status = f.hashes && f.index ? dedup(work, &f, err)
                                           : tm_fail(err, TM_ENOMEM, "no memory for signatures");
    tm_minhash_free(f.hashes);
    tm_minhash_index_free(f.index);
    tm_buf_clear(&f.signatures);
    tm_buf_clear(&f.ids);
    tm_buf_clear(&f.ends);
    return status;
}

const tm_stage tm_stage_fuzzy_dedup = {
    .name = "fuzzy_dedup",
    .brief = "Remove near duplicates (MinHash of 5-word shingles, 14 bands of 8).",
    .help =
        "Every document gets a signature of 112 hash minima. Documents that share one of 14 bands are candidates; those\n"
        "whose signatures agree in at least `threshold` of their values are the same, and the first in log order is\n"
        "kept. A removed document says which one it is like (meta.of). Memory: about 600 bytes a document.\n"
        "Bands of 8 values make candidates of 92 % of the pairs that are alike to 0.8, of 56 % at 0.7 and of\n"
        "21 % at 0.6, so a lower threshold finds more, but not all.",
    .paper = "Broder 1997, On the resemblance and containment of documents",
    .example = "tm.fuzzy_dedup { threshold = 0.8 }",
    .family = "curate",
    .version = 2,
    .traits = TM_STEP,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL}},
    .outputs = TM_SIFT_OUTPUTS,
    .options = options,
    .options_size = sizeof(fuzzy_options),
    .run = run,
};
