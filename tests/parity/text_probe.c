// SPDX-License-Identifier: Apache-2.0
// Drives the text functions for test_text.py and text_race.py: texts in on stdin, results out on stdout.
//
//   text_probe unicode          frames of text -> frames of repaired text
//   text_probe quality          frames of text -> frames of scores, 64-bit floats in the order of the table
//   text_probe filters          -> names of the filters with their default bounds
//   text_probe sign             frames of text -> frames of signatures, 112 32-bit numbers
//   text_probe jaccard          pairs of frames -> frames of one 64-bit float
//   text_probe html             frames of HTML -> frames of text
//   text_probe race OP ROUNDS   frames of text -> "OP bytes best-seconds" (OP: the above, language, exact,
//   jsonl)
//
// A frame is its size in bytes (32 bits, little-endian) and the bytes.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "stages/format/jsonl.h"
#include "stages/text/exact.h"
#include "stages/text/html.h"
#include "stages/text/language.h"
#include "stages/text/minhash.h"
#include "stages/text/quality.h"
#include "stages/text/unicode.h"

typedef struct probe {
    tm_unicode *unicode;
    tm_quality_document document;
    tm_minhash *minhash;
    tm_html_page page;
    tm_exact *exact;
    tm_view previous;
} probe;

typedef tm_status operation(probe *p, tm_view text, tm_buf *out, tm_error *err);

static tm_status do_unicode(probe *p, tm_view text, tm_buf *out, tm_error *err)
{
    return tm_unicode_fix(p->unicode, text, out, NULL, err);
}

static tm_status do_quality(probe *p, tm_view text, tm_buf *out, tm_error *err)
{
    TM_TRY(tm_quality_measure(&p->document, text, true, err));
    for (size_t i = 0; i < tm_quality_filter_count; i++) {
        double score = tm_quality_filters[i].score(&p->document);
        tm_buf_add(out, &score, sizeof score);
    }
    return TM_OK;
}

static tm_status do_sign(probe *p, tm_view text, tm_buf *out, tm_error *err)
{
    uint32_t signature[TM_MINHASH_VALUES];
    size_t n_shingles;
    TM_TRY(tm_minhash_sign(p->minhash, text, signature, &n_shingles, err));
    tm_buf_add(out, signature, sizeof signature);
    return TM_OK;
}

static tm_status do_jaccard(probe *p, tm_view text, tm_buf *out, tm_error *err)
{
    double similarity = 0;
    if (p->previous.data) {
        TM_TRY(tm_minhash_jaccard(p->minhash, p->previous, text, &similarity, err));
        tm_buf_add(out, &similarity, sizeof similarity);
    }
    p->previous = p->previous.data ? (tm_view){0} : text;
    return TM_OK;
}

static tm_status do_html(probe *p, tm_view text, tm_buf *out, tm_error *err)
{
    TM_TRY(tm_html_extract(text, NULL, &p->page, err));
    tm_buf_add(out, p->page.text.data, p->page.text.size);
    return TM_OK;
}

static tm_status do_language(probe *p, tm_view text, tm_buf *out, tm_error *err)
{
    (void)p;
    (void)err;
    tm_language language;
    tm_language_detect(text, &language);
    tm_buf_fmt(out, "%s %.2f %d", language.code, language.probability, language.reliable);
    return TM_OK;
}

static tm_status do_exact(probe *p, tm_view text, tm_buf *out, tm_error *err)
{
    bool first;
    TM_TRY(tm_exact_add(p->exact, text, &first, err));
    tm_buf_char(out, first ? '1' : '0');
    return TM_OK;
}

typedef struct lines {
    tm_view text;
    size_t at;
} lines;

static tm_status read_lines(void *self, void *data, size_t size, size_t *got, tm_error *err)
{
    (void)err;
    lines *l = self;
    *got = l->text.size - l->at < size ? l->text.size - l->at : size;
    memcpy(data, l->text.data + l->at, *got);
    l->at += *got;
    return TM_OK;
}

static tm_status do_jsonl(probe *p, tm_view text, tm_buf *out, tm_error *err)
{
    (void)p;
    lines l = {.text = text};
    tm_jsonl *in;
    tm_jsonl_row row;
    tm_status status;
    size_t n = 0, bad = 0;
    TM_TRY(tm_jsonl_open(&in, read_lines, &l, NULL, err));
    while ((status = tm_jsonl_next(in, &row, err)) == TM_OK) {
        n++;
        bad += row.bad != NULL;
    }
    tm_jsonl_close(in);
    tm_buf_fmt(out, "%zu %zu", n, bad);
    return status;
}

static const struct {
    const char *name;
    operation *run;
} operations[] = {
    {"unicode", do_unicode}, {"quality", do_quality},   {"sign", do_sign},   {"jaccard", do_jaccard},
    {"html", do_html},       {"language", do_language}, {"exact", do_exact}, {"jsonl", do_jsonl},
};

static operation *find(const char *name)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(operations[i].name, name)) return operations[i].run;
    fprintf(stderr, "no operation %s\n", name);
    exit(2);
}

static double now(void) // CPU time: other programs do not count
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// All of stdin: frames one after the other.
static tm_buf read_all(void)
{
    tm_buf all = {0};
    char block[1 << 16];
    for (size_t n; (n = fread(block, 1, sizeof block, stdin)) > 0;) tm_buf_add(&all, block, n);
    if (all.failed) exit(4);
    return all;
}

static bool next_frame(const tm_buf *all, size_t *at, tm_view *frame)
{
    if (*at + 4 > all->size) return false;
    uint32_t size = tm_le32(all->data + *at);
    if (size > all->size - *at - 4) exit(4);
    *frame = tm_view_of(all->data + *at + 4, size);
    *at += 4 + (size_t)size;
    return true;
}

static void must(tm_status status, const tm_error *err)
{
    if (status >= 0) return;
    fprintf(stderr, "%s: %s\n", tm_status_name(status), err->text);
    exit(3);
}

static void run_frames(probe *p, operation *run, const tm_buf *all)
{
    tm_buf out = {0};
    tm_error err = {0};
    tm_view frame;
    for (size_t at = 0; next_frame(all, &at, &frame);) {
        tm_buf_reset(&out);
        must(run(p, frame, &out, &err), &err);
        uint32_t size = (uint32_t)out.size;
        if (run == do_jaccard && !size) continue;
        fwrite(&size, 4, 1, stdout);
        fwrite(out.data, 1, out.size, stdout);
    }
    tm_buf_clear(&out);
}

static void race(probe *p, const char *name, int rounds, const tm_buf *all)
{
    operation *run = find(name);
    tm_buf out = {0};
    tm_error err = {0};
    tm_view frame;
    size_t n_bytes = 0;
    double best = 1e30;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        n_bytes = 0;
        for (size_t at = 0; next_frame(all, &at, &frame); n_bytes += frame.size) {
            tm_buf_reset(&out);
            must(run(p, frame, &out, &err), &err);
        }
        double took = now() - start;
        if (took < best) best = took;
    }
    printf("%s %zu %.6f\n", name, n_bytes, best);
    tm_buf_clear(&out);
}

static void print_filters(void)
{
    for (size_t i = 0; i < tm_quality_filter_count; i++)
        printf("%s %g %g\n", tm_quality_filters[i].name, tm_quality_filters[i].min,
               tm_quality_filters[i].max);
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    if (!strcmp(argv[1], "filters")) {
        print_filters();
        return 0;
    }
    probe p = {.unicode = tm_unicode_new(NULL), .minhash = tm_minhash_new(1), .exact = tm_exact_new()};
    if (!p.unicode || !p.minhash || !p.exact) return 4;
    tm_buf all = read_all();
    if (!strcmp(argv[1], "race") && argc == 4)
        race(&p, argv[2], atoi(argv[3]), &all);
    else
        run_frames(&p, find(argv[1]), &all);
    tm_unicode_free(p.unicode);
    tm_quality_document_clear(&p.document);
    tm_minhash_free(p.minhash);
    tm_html_page_clear(&p.page);
    tm_exact_free(p.exact);
    tm_buf_clear(&all);
    return 0;
}
