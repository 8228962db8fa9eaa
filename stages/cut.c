// SPDX-License-Identifier: Apache-2.0
// Long documents cut into pieces: a book in one file becomes documents that can be sifted and split.
#include "stages/text/pieces.h"
#include "stages/text/shape.h"

typedef struct cut_options {
    int64_t size;
} cut_options;

static const tm_option options[] = {
    {"size", TM_OPT_INT, offsetof(cut_options, size), "4096", 16, 1 << 30, NULL, "bytes of a piece at most",
     0},
    {0},
};

static tm_status check(tm_check *c, tm_error *err)
{
    return tm_shape_text(c, 0, err);
}

static tm_status add(tm_batch *out, tm_doc doc, tm_view piece, size_t n, tm_buf *id, tm_error *err)
{
    tm_buf_reset(id);
    tm_buf_add(id, doc.id.data, doc.id.size);
    tm_buf_fmt(id, "#%zu", n);
    TM_TRY(tm_buf_status(id, err));
    doc.id = tm_buf_view(id);
    doc.text = piece;
    return tm_docs_add(out, &doc, err);
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const cut_options *o = tm_work_options(work);
    tm_buf *id = tm_work_state(work);
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        tm_doc doc = tm_docs_get(in, row);
        tm_view piece;
        if (doc.text.size <= (size_t)o->size) {
            TM_TRY(tm_docs_add(out[0], &doc, err));
            continue;
        }
        for (size_t at = 0, n = 1; tm_piece_next(doc.text, (size_t)o->size, &at, &piece); n++)
            TM_TRY(add(out[0], doc, piece, n, id, err));
    }
    return TM_OK;
}

static void end(tm_work *work)
{
    tm_buf_clear(tm_work_state(work));
}

const tm_stage tm_stage_cut = {
    .name = "cut",
    .brief = "Cut long documents into pieces, at the ends of paragraphs where that is possible.",
    .help =
        "A document of at most `size` bytes stays as it is. Another one becomes pieces with \"#1\", \"#2\" ...\n"
        "behind its id, each as long as it may be: up to the end of a paragraph (a blank line), else of a line,\n"
        "a sentence or a word, unless that leaves less than a quarter of `size`. Blanks between pieces go. A\n"
        "book, or any corpus in one file, needs it before documents are sifted and split.",
    .example = "local docs = tm.split { tm.cut { tm.read { \"book.txt\" } }, valid = 0.1 }",
    .family = "curate",
    .version = 1,
    .traits = TM_STEP,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL}},
    .outputs = {{"", "documents", 0, NULL, "their pieces", NULL}},
    .options = options,
    .options_size = sizeof(cut_options),
    .state_size = sizeof(tm_buf),
    .check = check,
    .map = map,
    .end = end,
};
