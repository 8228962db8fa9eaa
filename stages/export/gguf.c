// SPDX-License-Identifier: Apache-2.0
// A GGUF file, for llama.cpp and its kin: weights, tokenizer and chat template in one.
#include <jansson.h>

#include "engine/base/io.h"
#include "stages/export/export.h"
#include "stages/format/tokenizer_gguf.h"
#include "stages/model/model_gguf.h"
#include "stages/text/tokenizer_folder.h"

#define FILE_NAME "model.gguf"

static tm_status read_template(const char *folder, tm_buf *text, tm_error *err)
{
    json_t *config;
    TM_TRY(tm_tokenizer_config_read(folder, &config, err));
    tm_status status = tm_tokenizer_template(folder, config, text, err);
    json_decref(config);
    return status;
}

static tm_status put_tokenizer(tm_gguf_writer *w, const tm_model *m, const char *folder, tm_error *err)
{
    tm_tokenizer tokenizer;
    tm_buf text = {0};
    TM_TRY(tm_tokenizer_load(&tokenizer, folder, err));
    int64_t bos = tokenizer.bos >= 0 ? tokenizer.bos : m->config.bos;
    int64_t eos = tokenizer.eos >= 0 ? tokenizer.eos : m->config.eos;
    tm_status status = read_template(folder, &text, err);
    if (status >= 0)
        status = tm_tokenizer_gguf_put(tokenizer.bpe, m->config.vocab, bos, eos, m->config.pad,
                                       tm_buf_view(&text), w, err);
    tm_buf_clear(&text);
    tm_tokenizer_clear(&tokenizer);
    return status;
}

static tm_status write_file(tm_gguf_writer *w, const tm_export_job *job, const tm_model *m, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_path(path, err, "%s/" FILE_NAME, job->folder));
    TM_TRY(tm_gguf_put_model(w, m, tm_gguf_type_named(job->options->dtype), err));
    TM_TRY(put_tokenizer(w, m, job->model, err));
    TM_TRY(tm_gguf_begin(w, path, err));
    TM_TRY(tm_gguf_write_model(w, m, err));
    return tm_gguf_end(w, err);
}

static tm_status write_gguf(const tm_export_job *job, tm_error *err)
{
    tm_gguf_writer writer = {0};
    tm_model *model = NULL;
    TM_TRY(tm_model_open(&model, job->model, err));
    tm_status status = write_file(&writer, job, model, err);
    tm_gguf_writer_clear(&writer);
    tm_model_free(model);
    return status;
}

const tm_export_format tm_export_format_gguf = {
    .name = "gguf",
    .brief = "one file for llama.cpp, with tokenizer and chat template",
    .takes = "dtype",
    .dtypes = "f16 f32 q8_0",
    .write = write_gguf,
};
