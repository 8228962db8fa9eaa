// SPDX-License-Identifier: Apache-2.0
// The table of port types.
#include "engine/type.h"

static const tm_col documents[] = {
    [TM_DOC_ID] = {"id", TM_COL_BYTES},
    [TM_DOC_TEXT] = {"text", TM_COL_BYTES},
    [TM_DOC_SOURCE] = {"source", TM_COL_BYTES},
    [TM_DOC_META] = {"meta", TM_COL_BYTES},
};
static const tm_col tokens[] = {
    [TM_TOK_ID] = {"id", TM_COL_BYTES},
    [TM_TOK_IDS] = {"ids", TM_COL_U32S},
    [TM_TOK_BYTES] = {"bytes", TM_COL_I64},
};
static const tm_col examples[] = {
    [TM_EXA_ID] = {"id", TM_COL_BYTES},
    [TM_EXA_IDS] = {"ids", TM_COL_U32S},
    [TM_EXA_MASK] = {"mask", TM_COL_BYTES},
};
static const tm_col scored_pairs[] = {
    [TM_PAIR_ID] = {"id", TM_COL_BYTES},
    [TM_PAIR_PROMPT] = {"prompt", TM_COL_U32S},
    [TM_PAIR_CHOSEN] = {"chosen", TM_COL_U32S},
    [TM_PAIR_REJECTED] = {"rejected", TM_COL_U32S},
    [TM_PAIR_REF_CHOSEN] = {"ref_chosen", TM_COL_F64},
    [TM_PAIR_REF_REJECTED] = {"ref_rejected", TM_COL_F64},
};
static const tm_col metrics[] = {
    [TM_MET_STEP] = {"step", TM_COL_I64},   [TM_MET_NAME] = {"name", TM_COL_BYTES},
    [TM_MET_VALUE] = {"value", TM_COL_F64}, [TM_MET_ERROR] = {"error", TM_COL_F64},
    [TM_MET_COUNT] = {"count", TM_COL_I64},
};

#define COLS(a) a, sizeof(a) / sizeof((a)[0])
static const tm_type types[] = {
    {"documents", "Texts with id, source and meta data.", "chunk", false, COLS(documents)},
    {"tokens", "Documents as ids of one tokenizer.", "chunk", false, COLS(tokens)},
    {"examples", "Texts to learn as ids, with what of them is learned.", "chunk", false, COLS(examples)},
    {"pairs", "Two answers to one prompt, as ids.", "chunk", false, scored_pairs, TM_PAIR_REF_CHOSEN},
    {"scored_pairs", "Pairs with log-probabilities under a reference model.", "chunk", false,
     COLS(scored_pairs)},
    {"metrics", "Named numbers by step.", "chunk", false, COLS(metrics)},
    {"tokenizer", "A folder with tokenizer.json.", "snapshot", true, NULL, 0},
    {"model", "A Hugging Face model folder.", "snapshot", true, NULL, 0},
    {"folder", "Any folder of files.", "snapshot", true, NULL, 0},
};

const tm_type *tm_type_at(size_t i)
{
    return i < sizeof types / sizeof types[0] ? &types[i] : NULL;
}

const tm_type *tm_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0) return &types[i];
    return NULL;
}

tm_status tm_docs_add(tm_batch *docs, const tm_doc *doc, tm_error *err)
{
    tm_batch_add_bytes(docs, TM_DOC_ID, doc->id);
    tm_batch_add_bytes(docs, TM_DOC_TEXT, doc->text);
    tm_batch_add_bytes(docs, TM_DOC_SOURCE, doc->source);
    tm_batch_add_bytes(docs, TM_DOC_META, doc->meta);
    return tm_batch_row(docs, err);
}

tm_doc tm_docs_get(const tm_batch *docs, size_t row)
{
    return (tm_doc){
        .id = tm_batch_get_bytes(docs, TM_DOC_ID, row),
        .text = tm_batch_get_bytes(docs, TM_DOC_TEXT, row),
        .source = tm_batch_get_bytes(docs, TM_DOC_SOURCE, row),
        .meta = tm_batch_get_bytes(docs, TM_DOC_META, row),
    };
}

tm_status tm_metrics_add(tm_batch *batch, const tm_metric *metric, tm_error *err)
{
    tm_batch_add_i64(batch, TM_MET_STEP, metric->step);
    tm_batch_add_bytes(batch, TM_MET_NAME, metric->name);
    tm_batch_add_f64(batch, TM_MET_VALUE, metric->value);
    tm_batch_add_f64(batch, TM_MET_ERROR, metric->error);
    tm_batch_add_i64(batch, TM_MET_COUNT, metric->count);
    return tm_batch_row(batch, err);
}

tm_metric tm_metrics_get(const tm_batch *batch, size_t row)
{
    return (tm_metric){
        .step = tm_batch_get_i64(batch, TM_MET_STEP, row),
        .name = tm_batch_get_bytes(batch, TM_MET_NAME, row),
        .value = tm_batch_get_f64(batch, TM_MET_VALUE, row),
        .error = tm_batch_get_f64(batch, TM_MET_ERROR, row),
        .count = tm_batch_get_i64(batch, TM_MET_COUNT, row),
    };
}
