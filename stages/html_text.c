// SPDX-License-Identifier: Apache-2.0
// Pages of HTML to their prose.
#include "stages/text/html.h"
#include "stages/text/sift.h"

#include <math.h>
#include <stdlib.h>

typedef struct html_options {
    bool boilerplate;
    int64_t min_chars;
} html_options;

static const tm_option options[] = {
    {"boilerplate", TM_OPT_BOOL, offsetof(html_options, boilerplate), "false", 0, 0, NULL,
     "keep navigation, footers and the like", 0},
    {"min_chars", TM_OPT_INT, offsetof(html_options, min_chars), "1", 0, 1e9, NULL,
     "remove pages with less text (bytes)", 0},
    {0},
};

static tm_status check(tm_check *c, tm_error *err)
{
    const char *markup = json_string_value(json_object_get(c->inputs[0], "markup"));
    json_object_del(c->outputs[0], "markup");
    if (markup && strcmp(markup, "html") == 0) return TM_OK;
    snprintf(c->fault->fix, sizeof c->fault->fix,
             "read it with tm.read { ..., format = \"html\" }, or leave tm.html_text out");
    return tm_fail(err, TM_EINVAL, "its input is %s, not HTML", markup ? markup : "plain text");
}

static tm_status begin(tm_work *work, tm_error *err)
{
    (void)err;
    *(tm_html_page *)tm_work_state(work) = (tm_html_page){0};
    return TM_OK;
}

static void end(tm_work *work)
{
    tm_html_page_clear(tm_work_state(work));
}

// The document with its text and, as meta data, its title.
static tm_status keep(tm_batch *const *out, tm_doc doc, const tm_html_page *page, tm_error *err)
{
    json_t *meta = doc.meta.size ? json_loadb(doc.meta.data, doc.meta.size, 0, NULL) : NULL;
    if (!meta) meta = json_object();
    if (page->title.size)
        json_object_set_new(meta, "title", json_stringn(page->title.data, page->title.size));
    char *text = json_object_size(meta) ? json_dumps(meta, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(meta);
    doc.meta = tm_view_str(text ? text : "");
    doc.text = tm_buf_view(&page->text);
    tm_status status = tm_docs_add(out[0], &doc, err);
    free(text);
    return status;
}

static tm_status map(tm_work *work, const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    const html_options *o = tm_work_options(work);
    tm_html_page *page = tm_work_state(work);
    tm_html_options how = {.keep_boilerplate = o->boilerplate};
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        tm_doc doc = tm_docs_get(in, row);
        tm_error why = {0};
        tm_status status = tm_html_extract(doc.text, &how, page, &why);
        if (status == TM_ENOMEM) return tm_fail(err, status, "%s", why.text);
        if (status < 0)
            TM_TRY(tm_sift_remove(work, "html_text", out, in, row, "unreadable", NAN, (tm_view){0}, err));
        else if ((int64_t)page->text.size < o->min_chars)
            TM_TRY(tm_sift_remove(work, "html_text", out, in, row, "no_text", (double)page->text.size,
                                  (tm_view){0}, err));
        else TM_TRY(keep(out, doc, page, err));
    }
    return TM_OK;
}

const tm_stage tm_stage_html_text = {
    .name = "html_text",
    .brief = "The prose of HTML pages, without navigation and other boilerplate.",
    .help =
        "Pages are parsed by HTML5's rules, so broken ones never fail. Navigation, forms, footers and blocks that are\n"
        "mostly links are dropped; headings, lists, tables and preformatted text are kept as lines. The page's title goes\n"
        "to meta.title. Pages without text are removed.",
    .paper = "Pomikalek 2011, Removing boilerplate and duplicate content from web corpora (jusText)",
    .example = "local clean = tm.curate { pages, tm.html_text {}, tm.fix_unicode {} }",
    .family = "curate",
    .version = 1,
    .traits = TM_STEP | TM_HOSTILE,
    .libraries = "gumbo " TM_GUMBO_VERSION,
    .inputs = {{"", "documents", 0, NULL, "HTML documents", NULL}},
    .outputs = TM_SIFT_OUTPUTS,
    .options = options,
    .options_size = sizeof(html_options),
    .state_size = sizeof(tm_html_page),
    .check = check,
    .begin = begin,
    .map = map,
    .end = end,
};
