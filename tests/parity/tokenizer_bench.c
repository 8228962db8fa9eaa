// SPDX-License-Identifier: Apache-2.0
// Times counting, training, encoding and decoding, in CPU seconds of one thread (other programs do not
// count).
//
// usage: tokenizer_bench KIND SIZE ROUNDS [TEXT [SAVE]]
//
// Without TEXT the text is made up: words by Zipf's law, numbers, punctuation and lines. The tokenizer is
// trained on it and written to SAVE for tokenizer_race.py. Encoding is timed cold (the first round) and warm
// (the best of the others).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/random.h"
#include "stages/format/tokenizer_json.h"
#include "stages/text/bpe_train.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(tm_status status, const tm_error *err)
{
    if (status >= 0) return;
    fprintf(stderr, "%s: %s\n", tm_status_name(status), err->text);
    exit(3);
}

static void read_file(const char *path, tm_buf *text)
{
    FILE *file = fopen(path, "rb");
    char block[1 << 16];
    for (size_t n; file && (n = fread(block, 1, sizeof block, file)) > 0;) tm_buf_add(text, block, n);
    if (!file || text->failed) exit(4);
    fclose(file);
}

// A word is its rank in syllables: the rarer, the longer.
static void add_word(tm_buf *text, uint64_t rank)
{
    static const char *syllables[] = {"ti", "de",  "mill", "wa",  "ter", "whe", "el", "gra",
                                      "in", "sto", "ne",   "ing", "ha",  "r",   "bo", "ur"};
    do tm_buf_str(text, syllables[tm_mix64(rank) % 16]);
    while (rank /= 12);
}

static void make_text(tm_buf *text, size_t size)
{
    for (uint64_t i = 0; text->size < size; i++) {
        double u = tm_random_unit(7, 0, i);
        uint64_t kind = tm_random_below(7, 1, i, 40);
        add_word(text, (uint64_t)exp(u * u * log(60000.0)));
        if (kind == 0) tm_buf_fmt(text, " %u", (unsigned)tm_random_below(7, 2, i, 3000));
        if (kind < 4) tm_buf_str(text, kind < 2 ? "," : kind < 3 ? "'s" : ".\n");
        tm_buf_char(text, ' ');
    }
}

static void time_encoding(const tm_bpe *bpe, tm_view text, int rounds)
{
    tm_error err = {0};
    tm_bpe_ids ids = {0};
    tm_buf back = {0};
    double begin = now(), cold = 0, warm = HUGE_VAL;
    tm_bpe_encoder *encoder = tm_bpe_encoder_new(bpe);
    if (!encoder) exit(4);
    double opened = now() - begin;
    for (int i = 0; i < rounds; i++) {
        ids.size = 0;
        begin = now();
        must(tm_bpe_encode(encoder, text, TM_BPE_PLAIN, &ids, &err), &err);
        double seconds = now() - begin;
        if (i == 0)
            cold = seconds;
        else if (seconds < warm)
            warm = seconds;
    }
    begin = now();
    must(tm_bpe_decode(bpe, ids.data, ids.size, false, &back, &err), &err);
    double mb = (double)text.size / 1e6;
    printf("encode %.1f MB/s cold, %.1f warm (%zu ids); decode %.1f MB/s; encoder %.4f s\n", mb / cold,
           mb / warm, ids.size, mb / (now() - begin), opened);
    tm_bpe_encoder_free(encoder);
    tm_bpe_ids_clear(&ids);
    tm_buf_clear(&back);
}

int main(int argc, char **argv)
{
    tm_error err = {0};
    tm_pretokenizer kind = TM_PRETOKENIZE_GPT2;
    if (argc < 4 || !tm_pretokenizer_find(tm_view_str(argv[1]), &kind))
        return fprintf(stderr, "usage: tokenizer_bench KIND SIZE ROUNDS [TEXT [SAVE]]\n"), 2;
    tm_buf text = {0}, json = {0};
    if (argc > 4)
        read_file(argv[4], &text);
    else
        make_text(&text, 2 << 20);
    tm_bpe *bpe;
    tm_bpe_training options = {.size = strtoul(argv[2], NULL, 10)};
    tm_bpe_counter *counter = tm_bpe_counter_new(kind, false);
    if (!counter) return 4;
    double begin = now();
    must(tm_bpe_counter_add(counter, tm_buf_view(&text), &err), &err);
    double counted = now();
    must(tm_bpe_train(counter, &options, &bpe, &err), &err);
    printf("train %.3f s to count %zu pieces, %.3f s to merge %zu entries\n", counted - begin,
           tm_bpe_counter_pieces(counter), now() - counted, tm_bpe_size(bpe));
    time_encoding(bpe, tm_buf_view(&text), atoi(argv[3]));
    if (argc > 5) {
        must(tm_tokenizer_json_write(bpe, &json, &err), &err);
        FILE *file = fopen(argv[5], "wb");
        if (!file || fwrite(json.data, 1, json.size, file) != json.size || fclose(file)) return 4;
    }
    tm_bpe_counter_free(counter);
    tm_bpe_free(bpe);
    tm_buf_clear(&text);
    tm_buf_clear(&json);
    return 0;
}
