// SPDX-License-Identifier: Apache-2.0
// Drives the tokenizer for test_tokenizer.py: texts in on stdin, ids, texts or files out on stdout.
//
//   tokenizer_probe encode FILE FLAGS          frames of text -> frames of ids (FLAGS: 1 template, 2 plain)
//   tokenizer_probe decode FILE SKIP           frames of ids -> frames of text (SKIP: 1 leaves out special
//   ones) tokenizer_probe stream FILE SKIP           the same, one id at a time tokenizer_probe write FILE ->
//   the tokenizer.json that we write for it tokenizer_probe cut KIND                   frames of text ->
//   frames of ends of pieces tokenizer_probe train KIND NFC SIZE MIN [SPECIAL...]   frames of text ->
//   tokenizer.json tokenizer_probe race FILE TEXT ROUNDS      -> best seconds of the first round and of the
//   later ones tokenizer_probe race_train KIND SIZE TEXT  -> seconds to count, seconds to merge
//
// A frame is its size in bytes (32 bits, little-endian) and the bytes; ids are 32 bits each.
#include <stdio.h>
#include <stdlib.h>

#include "stages/format/tokenizer_json.h"
#include "stages/text/bpe_train.h"

static _Noreturn void fail(const tm_error *err)
{
    fprintf(stderr, "%s: %s\n", tm_status_name(err->status), err->text);
    exit(3);
}

static void must(tm_status status, const tm_error *err)
{
    if (status < 0) fail(err);
}

static tm_buf read_file(const char *path)
{
    tm_buf text = {0};
    FILE *file = fopen(path, "rb");
    char block[1 << 16];
    for (size_t n; file && (n = fread(block, 1, sizeof block, file)) > 0;) tm_buf_add(&text, block, n);
    if (!file || text.failed) exit(4);
    fclose(file);
    return text;
}

static bool read_frame(tm_buf *frame)
{
    uint32_t size;
    if (fread(&size, 1, 4, stdin) != 4) return false;
    tm_buf_reset(frame);
    if (!tm_buf_reserve(frame, size) || fread(frame->data, 1, size, stdin) != size) exit(4);
    frame->size = size;
    frame->data[size] = 0;
    return true;
}

static void write_frame(const void *data, size_t size)
{
    uint32_t size32 = (uint32_t)size;
    if (fwrite(&size32, 1, 4, stdout) != 4 || fwrite(data, 1, size, stdout) != size) exit(4);
}

static tm_bpe *open_tokenizer(const char *path)
{
    tm_error err = {0};
    tm_bpe *bpe = NULL;
    tm_buf json = read_file(path);
    must(tm_tokenizer_json_read(tm_buf_view(&json), &bpe, &err), &err);
    tm_buf_clear(&json);
    return bpe;
}

static void encode(const tm_bpe *bpe, unsigned flags)
{
    tm_error err = {0};
    tm_buf text = {0};
    tm_bpe_ids ids = {0};
    tm_bpe_encoder *encoder = tm_bpe_encoder_new(bpe);
    while (encoder && read_frame(&text)) {
        ids.size = 0;
        must(tm_bpe_encode(encoder, tm_buf_view(&text), flags, &ids, &err), &err);
        write_frame(ids.data ? ids.data : (uint32_t *)"", ids.size * 4);
    }
    tm_bpe_encoder_free(encoder);
    tm_bpe_ids_clear(&ids);
    tm_buf_clear(&text);
}

static void decode(const tm_bpe *bpe, bool skip, bool streamed)
{
    tm_error err = {0};
    tm_buf frame = {0}, text = {0};
    while (read_frame(&frame)) {
        tm_buf_reset(&text);
        const uint32_t *ids = (const uint32_t *)frame.data;
        tm_bpe_stream stream = {.bpe = bpe, .skip_special = skip};
        for (size_t i = 0; streamed && i < frame.size / 4; i++) tm_bpe_stream_put(&stream, ids[i], &text);
        if (streamed)
            tm_bpe_stream_end(&stream, &text);
        else
            must(tm_bpe_decode(bpe, ids, frame.size / 4, skip, &text, &err), &err);
        write_frame(text.data ? text.data : "", text.size);
    }
    tm_buf_clear(&frame);
    tm_buf_clear(&text);
}

static void write_json(const tm_bpe *bpe)
{
    tm_error err = {0};
    tm_buf json = {0};
    must(tm_tokenizer_json_write(bpe, &json, &err), &err);
    fwrite(json.data, 1, json.size, stdout);
    tm_buf_clear(&json);
}

static tm_pretokenizer kind_of(const char *name)
{
    tm_pretokenizer kind = TM_PRETOKENIZE_WHOLE;
    if (!tm_pretokenizer_find(tm_view_str(name), &kind)) exit(5);
    return kind;
}

static void cut(tm_pretokenizer kind)
{
    tm_buf text = {0};
    while (read_frame(&text)) {
        tm_buf out = {0};
        for (size_t at = 0; at < text.size;)
            tm_buf_le32(&out, (uint32_t)(at = tm_pretokenize_next(kind, tm_buf_view(&text), at)));
        write_frame(out.data ? out.data : "", out.size);
        tm_buf_clear(&out);
    }
    tm_buf_clear(&text);
}

static void train(int argc, char **argv)
{
    tm_error err = {0};
    tm_view special[64];
    tm_bpe_training options = {
        .size = strtoul(argv[4], NULL, 10), .min_frequency = strtoul(argv[5], NULL, 10), .special = special};
    for (int i = 6; i < argc && options.n_special < 64; i++)
        special[options.n_special++] = tm_view_str(argv[i]);
    tm_bpe_counter *counter = tm_bpe_counter_new(kind_of(argv[2]), argv[3][0] == '1');
    tm_buf text = {0};
    while (counter && read_frame(&text)) must(tm_bpe_counter_add(counter, tm_buf_view(&text), &err), &err);
    tm_bpe *bpe = NULL;
    must(tm_bpe_train(counter, &options, &bpe, &err), &err);
    write_json(bpe);
    tm_bpe_free(bpe);
    tm_bpe_counter_free(counter);
    tm_buf_clear(&text);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    bool is_train = strcmp(what, "train") == 0, is_cut = strcmp(what, "cut") == 0;
    if (is_train && argc >= 6) return train(argc, argv), 0;
    if (is_cut) return cut(kind_of(argv[2])), 0;
    if (argc < 3 || is_train) return fprintf(stderr, "see the head of tests/parity/tokenizer_probe.c\n"), 2;
    tm_bpe *bpe = open_tokenizer(argv[2]);
    int number = argc > 3 ? atoi(argv[3]) : 0;
    if (strcmp(what, "encode") == 0) encode(bpe, (unsigned)number);
    if (strcmp(what, "decode") == 0 || strcmp(what, "stream") == 0) decode(bpe, number, what[0] == 's');
    if (strcmp(what, "write") == 0) write_json(bpe);
    tm_bpe_free(bpe);
    return 0;
}
