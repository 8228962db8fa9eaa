// SPDX-License-Identifier: Apache-2.0
// Brings models in, takes them out and runs them, for test_model.py.
//
//   model_probe import PATH MATCH FOLDER SCRATCH   a model from elsewhere as a Hugging Face folder
//   model_probe export FOLDER FORMAT DTYPE TO      a model's folder as a file (DTYPE "-": the default)
//   model_probe logits FOLDER                      frames of ids -> frames of logits, [ids, vocabulary] f32
//   model_probe greedy FOLDER COUNT END            frames of ids -> frames of up to COUNT ids, up to END
//
// A frame is its size in bytes (32 bits, little-endian) and the bytes; ids are 32 bits each.
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/io.h"
#include "stages/export/export.h"
#include "stages/model/decode.h"
#include "stages/model/pass.h"
#include "stages/model/source.h"

static bool read_frame(tm_buf *frame)
{
    uint32_t size;
    if (fread(&size, 1, 4, stdin) != 4) return false;
    tm_buf_reset(frame);
    if (!tm_buf_reserve(frame, size) || fread(frame->data, 1, size, stdin) != size) exit(4);
    frame->size = size;
    return true;
}

static void write_frame(const void *data, size_t size)
{
    uint32_t size32 = (uint32_t)size;
    if (fwrite(&size32, 1, 4, stdout) != 4 || fwrite(data, 1, size, stdout) != size) exit(4);
}

static tm_status import(char **argv, tm_error *err)
{
    tm_model_source source;
    TM_TRY(tm_dir_make(argv[4], err));
    TM_TRY(tm_dir_make(argv[5], err));
    TM_TRY(tm_model_source_find(&source, NULL, argv[2], argv[3], err));
    return tm_model_source_fetch(&source, argv[4], argv[5], err);
}

static tm_status export(char **argv, tm_error *err)
{
    static const char *const none[] = {NULL};
    const tm_export_format *format = tm_export_format_find(argv[3]);
    tm_export_options options = {.format = argv[3], .dtype = argv[4][0] == '-' ? NULL : argv[4]};
    const char *option;
    char dtype[16];
    if (!format) return tm_fail(err, TM_EINVAL, "no format %s", argv[3]);
    TM_TRY(tm_export_check(format, &options, none, dtype, &option, err));
    TM_TRY(tm_dir_make(argv[5], err));
    tm_export_job job = {.model = argv[2], .folder = argv[5], .options = &options};
    return format->write(&job, err);
}

static tm_status load(tm_model **m, const char *path, tm_error *err)
{
    tm_hf_folder folder;
    TM_TRY(tm_hf_folder_open(&folder, path, err));
    tm_status status = tm_model_load(m, &folder, err);
    tm_hf_folder_close(&folder);
    return status;
}

static tm_status logits_of(tm_model *m, tm_device *dev, const tm_buf *frame, tm_error *err)
{
    int32_t n = (int32_t)(frame->size / 4), bounds[2] = {0, n};
    int32_t *numbers = calloc(2 * (size_t)n, sizeof *numbers); // positions, then labels
    float *logits = calloc((size_t)n * m->config.vocab, sizeof *logits);
    tm_tokens batch = {n, 1, (const int32_t *)(void *)frame->data, numbers + n, numbers, bounds};
    tm_pass *pass = NULL;
    for (int32_t i = 0; i < n; i++) {
        numbers[i] = i;
        numbers[n + i] = -1;
    }
    tm_status status = tm_pass_new(&pass, m, dev, TM_PASS_FORWARD, (uint32_t)n, err);
    if (status == TM_OK) status = tm_pass_forward(pass, &batch, err);
    if (status == TM_OK) tm_pass_logits(pass, 0, n, logits);
    if (status == TM_OK) write_frame(logits, (size_t)n * m->config.vocab * sizeof *logits);
    if (pass) tm_pass_free(pass);
    free(numbers);
    free(logits);
    return status;
}

static int32_t highest(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

static tm_status greedy(tm_model *m, tm_device *dev, const tm_buf *frame, int count, int32_t end,
                        tm_error *err)
{
    int32_t n = (int32_t)(frame->size / 4);
    int32_t *chosen = calloc((size_t)count + 1, sizeof *chosen);
    const float *logits;
    tm_decoder *d;
    TM_TRY(tm_decoder_new(&d, m, dev, (uint32_t)(n + count), err));
    tm_status status = tm_decoder_feed(d, (const int32_t *)(void *)frame->data, n, &logits, err);
    int at = 0;
    while (status == TM_OK && at < count) {
        chosen[at] = highest(logits, m->config.vocab);
        if (chosen[at++] == end) break;
        status = tm_decoder_feed(d, &chosen[at - 1], 1, &logits, err);
    }
    tm_decoder_free(d);
    if (status == TM_OK) write_frame(chosen, (size_t)at * sizeof *chosen);
    free(chosen);
    return status;
}

static tm_status run_model(int argc, char **argv, tm_error *err)
{
    tm_device *dev;
    tm_model *m;
    tm_buf frame = {0};
    TM_TRY(tm_device_open_cpu(2, &dev, err));
    TM_TRY(load(&m, argv[2], err));
    tm_status status = TM_OK;
    while (status == TM_OK && read_frame(&frame))
        status = argc == 5 ? greedy(m, dev, &frame, atoi(argv[3]), atoi(argv[4]), err)
                           : logits_of(m, dev, &frame, err);
    tm_buf_clear(&frame);
    tm_model_free(m);
    tm_device_close(dev);
    return status;
}

static tm_status run(int argc, char **argv, tm_error *err)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (argc == 6 && strcmp(what, "import") == 0) return import(argv, err);
    if (argc == 6 && strcmp(what, "export") == 0) return export(argv, err);
    if (argc == 3 && strcmp(what, "logits") == 0) return run_model(argc, argv, err);
    if (argc == 5 && strcmp(what, "greedy") == 0) return run_model(argc, argv, err);
    return tm_fail(err, TM_EINVAL, "see the head of tests/parity/model_probe.c");
}

int main(int argc, char **argv)
{
    tm_error err = {0};
    if (run(argc, argv, &err) == TM_OK) return 0;
    fprintf(stderr, "model_probe: %s\n", err.text);
    return 1;
}
