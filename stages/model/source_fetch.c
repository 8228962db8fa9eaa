// SPDX-License-Identifier: Apache-2.0
// A model from elsewhere as a checked Hugging Face folder.
#include "engine/base/io.h"
#include "stages/format/tokenizer_gguf.h"
#include "stages/model/model_gguf.h"
#include "stages/model/source_parts.h"
#include "stages/text/tokenizer_folder.h"

static tm_status write_text(const char *folder, const char *name, tm_view text, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_path(path, err, "%s/%s", folder, name));
    return tm_file_write(path, text.data, text.size, false, err);
}

// ---- Hugging Face's files

static tm_status copy_files(const char *from, const char *to, tm_error *err)
{
    tm_names names = {0};
    TM_TRY(tm_dir_list(from, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < names.count; i++) {
        char a[TM_PATH_MAX], b[TM_PATH_MAX];
        if (!tm_model_wants(names.names[i])) continue;
        status = tm_path(a, err, "%s/%s", from, names.names[i]);
        if (status >= 0) status = tm_path(b, err, "%s/%s", to, names.names[i]);
        if (status >= 0) status = tm_file_copy(a, b, 0644, err);
    }
    tm_names_clear(&names);
    return status;
}

static tm_status check_weights(const char *path, tm_model_config *config, tm_error *err)
{
    tm_hf_folder folder;
    TM_TRY(tm_hf_folder_open(&folder, path, err));
    tm_status status = tm_model_check(&folder, config, err);
    tm_hf_folder_close(&folder);
    return status;
}

static tm_view token_text(const tm_bpe *bpe, int64_t id)
{
    return id >= 0 && id < UINT32_MAX ? tm_bpe_text(bpe, (uint32_t)id) : (tm_view){0};
}

// Some folders have no tokenizer_config.json: the ids of config.json say which tokens begin and end.
static tm_status complete_tokenizer(const char *folder, const tm_bpe *bpe, const tm_model_config *config,
                                    tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_buf json = {0};
    TM_TRY(tm_path(path, err, "%s/tokenizer_config.json", folder));
    if (tm_file_exists(path)) return TM_OK;
    tm_tokenizer_config files = {.bos = token_text(bpe, config->bos),
                                 .eos = token_text(bpe, config->eos),
                                 .pad = token_text(bpe, config->pad)};
    tm_status status = tm_tokenizer_config_write(bpe, &files, &json, err);
    if (status >= 0) status = tm_file_write(path, json.data, json.size, false, err);
    tm_buf_clear(&json);
    return status;
}

static tm_status check_tokenizer(const char *folder, const tm_model_config *config, tm_error *err)
{
    tm_tokenizer tokenizer;
    tm_status status = tm_tokenizer_load(&tokenizer, folder, err);
    if (status == TM_ENOENT) {
        tm_fail(err, TM_ENOENT, "there is no tokenizer.json beside its config.json");
        tm_hint(err,
                "AutoTokenizer.from_pretrained(folder).save_pretrained(folder) of transformers writes it");
    }
    TM_TRY(status);
    if (tm_bpe_size(tokenizer.bpe) > config->vocab)
        status = tm_fail(err, TM_EFORMAT, "its tokenizer has %zu ids, its embedding %u rows",
                         tm_bpe_size(tokenizer.bpe), config->vocab);
    if (status >= 0) status = complete_tokenizer(folder, tokenizer.bpe, config, err);
    tm_tokenizer_clear(&tokenizer);
    return status;
}

static tm_status fetch_folder(const char *from, const char *folder, tm_error *err)
{
    tm_model_config config;
    TM_TRY(copy_files(from, folder, err));
    TM_TRY(check_weights(folder, &config, err));
    return check_tokenizer(folder, &config, err);
}

// ---- GGUF

static tm_status write_tokenizer(const tm_gguf_tokenizer *t, const char *folder, tm_error *err)
{
    tm_buf json = {0};
    tm_status status = tm_tokenizer_json_write(t->bpe, &json, err);
    if (status >= 0) status = write_text(folder, "tokenizer.json", tm_buf_view(&json), err);
    tm_buf_reset(&json);
    if (status >= 0) status = tm_tokenizer_config_write(t->bpe, &t->config, &json, err);
    if (status >= 0) status = write_text(folder, "tokenizer_config.json", tm_buf_view(&json), err);
    if (status >= 0 && t->config.chat_template.size)
        status = write_text(folder, "chat_template.jinja", t->config.chat_template, err);
    tm_buf_clear(&json);
    return status;
}

static tm_status write_config(const tm_model_config *config, const char *folder, tm_error *err)
{
    tm_buf json = {0};
    tm_status status = tm_model_config_write(config, &json, err);
    if (status >= 0) status = write_text(folder, "config.json", tm_buf_view(&json), err);
    tm_buf_reset(&json);
    if (status >= 0) status = tm_generation_config_write(config, &json, err);
    if (status >= 0) status = write_text(folder, "generation_config.json", tm_buf_view(&json), err);
    tm_buf_clear(&json);
    return status;
}

static tm_status convert(const tm_gguf *file, tm_gguf_tokenizer *tokenizer, const char *folder, tm_error *err)
{
    tm_model_config config;
    char weights[TM_PATH_MAX];
    TM_TRY(tm_gguf_config(file, &config, err));
    TM_TRY(tm_tokenizer_gguf_read(file, tokenizer, err));
    config.bos = tokenizer->bos;
    config.eos = tokenizer->eos;
    config.pad = tokenizer->pad;
    tokenizer->config.max_length = config.length;
    if (tm_bpe_size(tokenizer->bpe) > config.vocab)
        return tm_fail(err, TM_EFORMAT, "its tokenizer has %zu ids, its embedding %u rows",
                       tm_bpe_size(tokenizer->bpe), config.vocab);
    TM_TRY(write_config(&config, folder, err));
    TM_TRY(write_tokenizer(tokenizer, folder, err));
    TM_TRY(tm_path(weights, err, "%s/model.safetensors", folder));
    return tm_gguf_weights(file, &config, weights, err);
}

static tm_status fetch_gguf(const char *path, const char *folder, tm_error *err)
{
    tm_gguf file;
    tm_gguf_tokenizer tokenizer = {0};
    TM_TRY(tm_gguf_open(&file, path, err));
    tm_status status = convert(&file, &tokenizer, folder, err);
    if (tokenizer.bpe) tm_bpe_free(tokenizer.bpe);
    tm_gguf_close(&file);
    return status < 0 && status != TM_EIO && status != TM_ENOSPC ? tm_error_prefix(err, "%s", path) : status;
}

// Errors about what was unpacked name the archive, and not where it lay for a moment.
static tm_status in_archive(const char *archive, const char *scratch, tm_error *err)
{
    size_t n = strlen(scratch);
    if (err && strncmp(err->text, scratch, n) == 0 && err->text[n] == '/')
        memmove(err->text, err->text + n + 1, strlen(err->text + n + 1) + 1);
    return tm_error_prefix(err, "%s", archive);
}

tm_status tm_model_source_fetch(const tm_model_source *source, const char *folder, const char *scratch,
                                tm_error *err)
{
    tm_model_source found = *source;
    if (source->kind == TM_MODEL_ARCHIVE) TM_TRY(tm_model_unpack(source, scratch, &found, err));
    tm_status status = found.kind == TM_MODEL_GGUF ? fetch_gguf(found.path, folder, err)
                                                   : fetch_folder(found.path, folder, err);
    return status < 0 && source->kind == TM_MODEL_ARCHIVE ? in_archive(source->path, scratch, err) : status;
}
