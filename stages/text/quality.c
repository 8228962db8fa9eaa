// SPDX-License-Identifier: Apache-2.0
// The table of quality filters is at the end; above it, one line a filter.
#include "stages/text/quality.h"

#include <math.h>

typedef tm_quality_document doc;

// A share; `empty` when there is nothing to take a share of.
static double share(uint64_t part, uint64_t whole, double empty)
{
    return whole ? (double)part / (double)whole : empty;
}

static double of_chars(uint64_t part, const doc *d)
{
    return share(part, d->stat.n_chars, 1);
}

static double of_words(uint64_t part, const doc *d, double empty)
{
    return share(part, d->stat.words.count, empty);
}

static double of_lines(uint64_t part, const doc *d)
{
    return share(part, d->stat.lines.count, 1);
}

static double non_alpha_numeric(const doc *d)
{
    return of_chars(d->stat.n_chars - d->stat.n_alnum, d);
}
static double symbols_to_words(const doc *d)
{
    return of_words(d->stat.n_symbol_words, d, 1);
}
static double numbers(const doc *d)
{
    return of_chars(d->stat.n_digits, d);
}
static double urls(const doc *d)
{
    return of_chars(d->stat.n_url_chars, d);
}
static double bullets(const doc *d)
{
    return of_lines(d->stat.n_bullet_lines, d);
}
static double white_space(const doc *d)
{
    return of_chars(d->stat.n_white, d);
}
static double parentheses(const doc *d)
{
    return of_chars(d->stat.n_brackets, d);
}
static double long_word(const doc *d)
{
    return d->stat.longest_word;
}
static double word_count(const doc *d)
{
    return (double)d->stat.words.count;
}
static double mean_word_length(const doc *d)
{
    return of_words(d->stat.n_word_chars, d, 0);
}
static double punctuation(const doc *d)
{
    return of_lines(d->stat.n_open_lines, d);
}
static double ellipsis(const doc *d)
{
    return of_lines(d->stat.n_ellipsis_lines, d);
}
static double words_without_alphabets(const doc *d)
{
    return of_words(d->stat.n_alpha_words, d, 0);
}
static double pornographic_urls(const doc *d)
{
    return d->stat.has_porn_url;
}

static double boilerplate_string(const doc *d)
{
    return d->stat.has_lorem ? 1 : share(d->stat.n_policy_paragraphs, d->stat.paragraphs.count, 1);
}

// Counting stops at two, as in Curator.
static double common_english_words(const doc *d)
{
    return d->stat.n_common_words < 2 ? (double)d->stat.n_common_words : 2;
}

static double repeated_lines(const doc *d)
{
    return d->repetition.unique_lines;
}
static double repeated_paragraphs(const doc *d)
{
    return d->repetition.unique_paragraphs;
}
static double repeated_lines_char(const doc *d)
{
    return d->repetition.unique_line_chars;
}
static double repeated_paragraphs_char(const doc *d)
{
    return d->repetition.unique_paragraph_chars;
}
static double top_2grams(const doc *d)
{
    return d->repetition.top[2];
}
static double top_3grams(const doc *d)
{
    return d->repetition.top[3];
}
static double top_4grams(const doc *d)
{
    return d->repetition.top[4];
}
static double duplicate_5grams(const doc *d)
{
    return d->repetition.duplicate[5];
}
static double duplicate_6grams(const doc *d)
{
    return d->repetition.duplicate[6];
}
static double duplicate_7grams(const doc *d)
{
    return d->repetition.duplicate[7];
}
static double duplicate_8grams(const doc *d)
{
    return d->repetition.duplicate[8];
}
static double duplicate_9grams(const doc *d)
{
    return d->repetition.duplicate[9];
}
static double duplicate_10grams(const doc *d)
{
    return d->repetition.duplicate[10];
}

const tm_quality_filter *tm_quality_find(const char *name)
{
    for (size_t i = 0; i < tm_quality_filter_count; i++)
        if (!strcmp(tm_quality_filters[i].name, name)) return &tm_quality_filters[i];
    return NULL;
}

tm_status tm_quality_measure(tm_quality_document *document, tm_view text, bool repetition, tm_error *err)
{
    TM_TRY(tm_textstat_scan(&document->stat, text, err));
    if (!repetition) return TM_OK;
    if (!document->scratch) document->scratch = tm_repetition_scratch_new();
    if (!document->scratch) return tm_fail(err, TM_ENOMEM, "out of memory");
    return tm_repetition_measure(&document->stat, document->scratch, &document->repetition, err);
}

void tm_quality_document_clear(tm_quality_document *document)
{
    tm_textstat_clear(&document->stat);
    tm_repetition_scratch_free(document->scratch);
    *document = (tm_quality_document){0};
}

bool tm_quality_substring(tm_view text, tm_view what, tm_substring_place place)
{
    if (what.size > text.size) return false;
    if (what.size == 0) return true;
    switch (place) {
    case TM_SUBSTRING_PREFIX: return !memcmp(text.data, what.data, what.size);
    case TM_SUBSTRING_SUFFIX: return !memcmp(text.data + text.size - what.size, what.data, what.size);
    case TM_SUBSTRING_ANY: return memmem(text.data, text.size, what.data, what.size) != NULL;
    }
    return false;
}

#define CHARS TM_QUALITY_CHARACTERS
#define REPEAT TM_QUALITY_REPETITION
#define LOW (-INFINITY)
#define HIGH INFINITY

// Name (of the row, and of its function above), kind, English only, bounds, what is measured.
#define ROW(name, kind, english, min, max, measures) {#name, measures, kind, english, min, max, name}

// clang-format off
const tm_quality_filter tm_quality_filters[] = {
    ROW(non_alpha_numeric,        CHARS,  true,  LOW,  0.25,   "characters not letter, digit or end mark"),
    ROW(symbols_to_words,         CHARS,  false, LOW,  0.1,    "words that are an ellipsis or mostly #"),
    ROW(numbers,                  CHARS,  false, LOW,  0.15,   "characters that are digits"),
    ROW(urls,                     CHARS,  false, LOW,  0.2,    "characters inside URLs"),
    ROW(white_space,              CHARS,  false, LOW,  0.25,   "characters that are white space"),
    ROW(parentheses,              CHARS,  false, LOW,  0.1,    "characters that are brackets"),
    ROW(boilerplate_string,       CHARS,  false, LOW,  0.4,    "paragraphs on cookies, privacy, terms"),
    ROW(repeated_lines,           REPEAT, false, 0.7,  HIGH,   "distinct lines among lines"),
    ROW(repeated_paragraphs,      REPEAT, false, 0.7,  HIGH,   "distinct paragraphs among paragraphs"),
    ROW(repeated_lines_char,      REPEAT, false, 0.8,  HIGH,   "characters in distinct lines"),
    ROW(repeated_paragraphs_char, REPEAT, false, 0.8,  HIGH,   "characters in distinct paragraphs"),
    ROW(word_count,               CHARS,  false, 50,   100000, "words"),
    ROW(punctuation,              CHARS,  false, LOW,  0.85,   "lines that do not end with an end mark"),
    ROW(mean_word_length,         CHARS,  false, 3,    10,     "mean length of words"),
    ROW(long_word,                CHARS,  false, LOW,  1000,   "length of the longest word"),
    ROW(ellipsis,                 CHARS,  false, LOW,  0.3,    "lines that end with an ellipsis"),
    ROW(words_without_alphabets,  CHARS,  true,  0.8,  HIGH,   "words with a letter"),
    ROW(common_english_words,     CHARS,  true,  2,    HIGH,   "common English words, at most 2 are counted"),
    ROW(bullets,                  CHARS,  false, LOW,  0.9,    "lines that begin with a bullet"),
    ROW(pornographic_urls,        CHARS,  false, LOW,  0,      "1 when a URL says so"),
    ROW(top_2grams,               REPEAT, false, LOW,  0.2,    "characters in the most frequent 2-gram"),
    ROW(top_3grams,               REPEAT, false, LOW,  0.18,   "characters in the most frequent 3-gram"),
    ROW(top_4grams,               REPEAT, false, LOW,  0.16,   "characters in the most frequent 4-gram"),
    ROW(duplicate_5grams,         REPEAT, false, LOW,  0.15,   "characters in 5-grams seen before"),
    ROW(duplicate_6grams,         REPEAT, false, LOW,  0.14,   "characters in 6-grams seen before"),
    ROW(duplicate_7grams,         REPEAT, false, LOW,  0.13,   "characters in 7-grams seen before"),
    ROW(duplicate_8grams,         REPEAT, false, LOW,  0.12,   "characters in 8-grams seen before"),
    ROW(duplicate_9grams,         REPEAT, false, LOW,  0.11,   "characters in 9-grams seen before"),
    ROW(duplicate_10grams,        REPEAT, false, LOW,  0.1,    "characters in 10-grams seen before"),
};
// clang-format on

const size_t tm_quality_filter_count = sizeof tm_quality_filters / sizeof *tm_quality_filters;
