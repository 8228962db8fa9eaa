// SPDX-License-Identifier: Apache-2.0
// Documents in the languages that are wanted.
#include "stages/text/language.h"
#include "stages/text/shape.h"
#include "stages/text/sift.h"

typedef struct language_options {
    tm_string_list keep;
    double min;
} language_options;

static const tm_option options[] = {
    {"keep", TM_OPT_LIST, offsetof(language_options, keep), "[\"en\"]", 0, 0, NULL,
     "ISO 639 codes of languages to keep", 0},
    {"min", TM_OPT_NUMBER, offsetof(language_options, min), "0.5", 0, 1, NULL,
     "least share of the text that must be in that language", 0},
    {0},
};

// A code that is never found would remove every document without a word.
static tm_status check(tm_check *c, tm_error *err)
{
    const language_options *o = c->options;
    const char *codes[TM_LANGUAGES];
    tm_language_codes(codes);
    c->fault->option = "keep";
    if (!o->keep.n) {
        snprintf(c->fault->fix, sizeof c->fault->fix, "name one: keep = { \"en\" }");
        return tm_fail(err, TM_EINVAL, "no language is kept: every document would be removed");
    }
    for (size_t i = 0; i < o->keep.n; i++) {
        const char *const *code = codes;
        while (*code && strcmp(*code, o->keep.items[i]) != 0) code++;
        if (*code) continue;
        const char *near = tm_nearest(o->keep.items[i], codes);
        snprintf(c->fault->why, sizeof c->fault->why, "codes are those of ISO 639-1: en, de, zh");
        if (near) snprintf(c->fault->fix, sizeof c->fault->fix, "did you mean \"%s\"?", near);
        return tm_fail(err, TM_EINVAL, "no language has the code \"%.40s\"", o->keep.items[i]);
    }
    c->fault->option = NULL;
    return tm_shape_text(c, 0, err);
}

static bool wanted(const language_options *o, const tm_language *l)
{
    for (size_t i = 0; i < o->keep.n; i++)
        if (strcmp(o->keep.items[i], l->code) == 0) return l->probability >= o->min;
    return false;
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        tm_language l;
        tm_language_detect(tm_docs_get(in, row).text, &l);
        if (wanted(tm_work_options(work), &l)) TM_TRY(tm_sift_keep(out, in, row, err));
        else TM_TRY(tm_sift_remove(work, "language", out, in, row, l.code, l.probability, (tm_view){0}, err));
    }
    return TM_OK;
}

const tm_stage tm_stage_language = {
    .name = "language",
    .brief = "Keep documents in the languages that are wanted.",
    .help =
        "The main language of each document is found by CLD2, from the tables it is built with. A removed document says\n"
        "which language it was taken for (\"un\": none could be told).",
    .paper = "Sites 2013, Compact Language Detector 2",
    .example = "tm.language { keep = { \"en\", \"de\" } }",
    .family = "curate",
    .version = 1,
    .traits = TM_STEP,
    .libraries = "cld2 " TM_CLD2_VERSION,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL}},
    .outputs = TM_SIFT_OUTPUTS,
    .options = options,
    .options_size = sizeof(language_options),
    .check = check,
    .map = map,
};
