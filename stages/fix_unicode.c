// SPDX-License-Identifier: Apache-2.0
// Texts that went through the wrong decoder, repaired.
#include "stages/text/shape.h"
#include "stages/text/sift.h"
#include "stages/text/unicode.h"

typedef struct fix_options {
    const char *unescape, *normalization;
    bool ligatures, width, quotes, line_breaks;
} fix_options;

static const tm_option options[] = {
    {"unescape", TM_OPT_CHOICE, offsetof(fix_options, unescape), "\"auto\"", 0, 0, "auto never always",
     "HTML entities (auto: until the first line with a <)", 0},
    {"ligatures", TM_OPT_BOOL, offsetof(fix_options, ligatures), "false", 0, 0, NULL,
     "split ligatures into letters", 0},
    {"width", TM_OPT_BOOL, offsetof(fix_options, width), "false", 0, 0, NULL,
     "full-width letters to plain ones", 0},
    {"quotes", TM_OPT_BOOL, offsetof(fix_options, quotes), "false", 0, 0, NULL,
     "curled quotes to straight ones", 0},
    {"line_breaks", TM_OPT_BOOL, offsetof(fix_options, line_breaks), "false", 0, 0, NULL,
     "all line ends to \\n", 0},
    {"normalization", TM_OPT_CHOICE, offsetof(fix_options, normalization), "\"none\"", 0, 0, "none nfc nfkc",
     "Unicode normal form", 0},
    {0},
};

typedef struct fixer {
    tm_unicode *unicode;
    tm_buf text;
} fixer;

static tm_status check(tm_check *c, tm_error *err)
{
    return tm_shape_text(c, 0, err);
}

static tm_status begin(tm_work *work, tm_error *err)
{
    const fix_options *o = tm_work_options(work);
    fixer *f = tm_work_state(work);
    tm_unicode_options how = tm_unicode_defaults;
    how.unescape_html = strcmp(o->unescape, "never") == 0    ? TM_UNESCAPE_NEVER
                        : strcmp(o->unescape, "always") == 0 ? TM_UNESCAPE_ALWAYS
                                                             : TM_UNESCAPE_AUTO;
    how.normalization = strcmp(o->normalization, "nfc") == 0    ? TM_NORMAL_NFC
                        : strcmp(o->normalization, "nfkc") == 0 ? TM_NORMAL_NFKC
                                                                : TM_NORMAL_NONE;
    how.fix_latin_ligatures = o->ligatures;
    how.fix_character_width = o->width;
    how.uncurl_quotes = o->quotes;
    how.fix_line_breaks = o->line_breaks;
    f->unicode = tm_unicode_new(&how);
    return f->unicode ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for Unicode tables");
}

static void end(tm_work *work)
{
    fixer *f = tm_work_state(work);
    if (f->unicode) tm_unicode_free(f->unicode);
    tm_buf_clear(&f->text);
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    fixer *f = tm_work_state(work);
    int64_t n_changed = 0;
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        bool changed = false;
        tm_buf_reset(&f->text);
        TM_TRY(tm_unicode_fix(f->unicode, tm_docs_get(in, row).text, &f->text, &changed, err));
        n_changed += changed;
        TM_TRY(tm_sift_keep_text(out, in, row, tm_buf_view(&f->text), err));
    }
    if (n_changed) tm_work_count(work, "repaired", n_changed);
    return TM_OK;
}

const tm_stage tm_stage_fix_unicode = {
    .name = "fix_unicode",
    .brief = "Repair text that was decoded wrongly: mojibake, entities, control characters.",
    .help =
        "Works as ftfy with the settings of NeMo Curator's UnicodeReformatter. Bytes that are no UTF-8 become U+FFFD, so\n"
        "everything behind this stage sees valid UTF-8. Nothing is removed.",
    .paper = "Speer 2019, ftfy, zenodo.2591652",
    .example = "tm.fix_unicode {}",
    .family = "curate",
    .version = 1,
    .traits = TM_STEP,
    .inputs = {{"", "documents", 0, NULL, "documents", NULL}},
    .outputs = {{"", "documents", 0, NULL, "the same documents, repaired", NULL}},
    .options = options,
    .options_size = sizeof(fix_options),
    .state_size = sizeof(fixer),
    .check = check,
    .begin = begin,
    .map = map,
    .end = end,
};
