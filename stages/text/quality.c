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

// clang-format off
const tm_quality_filter tm_quality_filters[] = {
    // name                        measures                                                kind  English  min     max
    {"non_alpha_numeric",        "characters that are no letter, digit or end mark",       CHARS,  true,  LOW,   0.25,   non_alpha_numeric},
    {"symbols_to_words",         "words that are an ellipsis or mostly #",                 CHARS,  false, LOW,   0.1,    symbols_to_words},
    {"numbers",                  "characters that are digits",                             CHARS,  false, LOW,   0.15,   numbers},
    {"urls",                     "characters inside URLs",                                 CHARS,  false, LOW,   0.2,    urls},
    {"white_space",              "characters that are white space",                        CHARS,  false, LOW,   0.25,   white_space},
    {"parentheses",              "characters that are brackets",                           CHARS,  false, LOW,   0.1,    parentheses},
    {"boilerplate_string",       "paragraphs about cookies, privacy or terms of use",      CHARS,  false, LOW,   0.4,    boilerplate_string},
    {"repeated_lines",           "distinct lines among lines",                             REPEAT, false, 0.7,   HIGH,   repeated_lines},
    {"repeated_paragraphs",      "distinct paragraphs among paragraphs",                   REPEAT, false, 0.7,   HIGH,   repeated_paragraphs},
    {"repeated_lines_char",      "characters in distinct lines",                           REPEAT, false, 0.8,   HIGH,   repeated_lines_char},
    {"repeated_paragraphs_char", "characters in distinct paragraphs",                      REPEAT, false, 0.8,   HIGH,   repeated_paragraphs_char},
    {"word_count",               "words",                                                  CHARS,  false, 50,    100000, word_count},
    {"punctuation",              "lines that do not end with an end mark",                 CHARS,  false, LOW,   0.85,   punctuation},
    {"mean_word_length",         "mean length of words",                                   CHARS,  false, 3,     10,     mean_word_length},
    {"long_word",                "length of the longest word",                             CHARS,  false, LOW,   1000,   long_word},
    {"ellipsis",                 "lines that end with an ellipsis",                        CHARS,  false, LOW,   0.3,    ellipsis},
    {"words_without_alphabets",  "words with a letter",                                    CHARS,  true,  0.8,   HIGH,   words_without_alphabets},
    {"common_english_words",     "common English words, at most 2 are counted",            CHARS,  true,  2,     HIGH,   common_english_words},
    {"bullets",                  "lines that begin with a bullet",                         CHARS,  false, LOW,   0.9,    bullets},
    {"pornographic_urls",        "1 when a URL says so",                                   CHARS,  false, LOW,   0,      pornographic_urls},
    {"top_2grams",               "characters in the most frequent 2-gram",                 REPEAT, false, LOW,   0.2,    top_2grams},
    {"top_3grams",               "characters in the most frequent 3-gram",                 REPEAT, false, LOW,   0.18,   top_3grams},
    {"top_4grams",               "characters in the most frequent 4-gram",                 REPEAT, false, LOW,   0.16,   top_4grams},
    {"duplicate_5grams",         "characters in 5-grams seen before",                      REPEAT, false, LOW,   0.15,   duplicate_5grams},
    {"duplicate_6grams",         "characters in 6-grams seen before",                      REPEAT, false, LOW,   0.14,   duplicate_6grams},
    {"duplicate_7grams",         "characters in 7-grams seen before",                      REPEAT, false, LOW,   0.13,   duplicate_7grams},
    {"duplicate_8grams",         "characters in 8-grams seen before",                      REPEAT, false, LOW,   0.12,   duplicate_8grams},
    {"duplicate_9grams",         "characters in 9-grams seen before",                      REPEAT, false, LOW,   0.11,   duplicate_9grams},
    {"duplicate_10grams",        "characters in 10-grams seen before",                     REPEAT, false, LOW,   0.1,    duplicate_10grams},
};
// clang-format on

const size_t tm_quality_filter_count = sizeof tm_quality_filters / sizeof *tm_quality_filters;
