// SPDX-License-Identifier: Apache-2.0
// What a path to a model names, and which of its files count.
#include "stages/model/source.h"

#include <fcntl.h>
#include <stdio.h>

#include "engine/base/nearest.h"
#include "stages/format/corpus.h"
#include "stages/model/source_parts.h"

static bool begins_gguf(const char *path)
{
    char magic[4];
    size_t got = 0;
    int fd;
    if (tm_fd_open(path, O_RDONLY, 0, &fd, NULL) < 0) return false;
    bool is =
        tm_fd_pread(fd, magic, 4, 0, &got, path, NULL) == TM_OK && got == 4 && memcmp(magic, "GGUF", 4) == 0;
    tm_sys.close(fd);
    return is;
}

static tm_status no_model(const tm_model_source *source, tm_error *err)
{
    char adapter[TM_PATH_MAX];
    bool is_adapter =
        tm_path(adapter, NULL, "%s/adapter_config.json", source->path) == TM_OK && tm_file_exists(adapter);
    tm_fail(err, TM_EINVAL, "%s holds %s", source->path,
            is_adapter ? "an adapter, and not the model it belongs to" : "no config.json");
    if (is_adapter)
        tm_hint(err, "put it on its model: tm.adapter { tm.model { \"BASE\" }, path = \"ADAPTER\" }");
    else
        tm_hint(err, "name a folder as transformers saves it, a GGUF file, or an archive with one of them");
    return TM_EINVAL;
}

bool tm_model_gguf_alone(const char *folder, char file[TM_PATH_MAX])
{
    tm_names names = {0};
    size_t n = 0;
    if (tm_path(file, NULL, "%s/config.json", folder) < 0 || tm_file_exists(file)) return false;
    if (tm_dir_list(folder, &names, NULL) < 0) return false;
    for (size_t i = 0; i < names.count; i++) {
        size_t length = strlen(names.names[i]);
        if (length <= 5 || strcmp(names.names[i] + length - 5, ".gguf") != 0) continue;
        if (tm_path(file, NULL, "%s/%s", folder, names.names[i]) >= 0 && begins_gguf(file)) n++;
        else n += 2; // what cannot be told apart is none
    }
    tm_names_clear(&names);
    return n == 1;
}

static tm_status look_into_folder(tm_model_source *source, tm_error *err)
{
    char file[TM_PATH_MAX];
    TM_TRY(tm_path(file, err, "%s/config.json", source->path));
    if (tm_file_exists(file)) return TM_OK;
    if (!tm_model_gguf_alone(source->path, file)) return no_model(source, err);
    source->kind = TM_MODEL_GGUF;
    return tm_path(source->path, err, "%s", file);
}

static tm_status missing(const tm_model_source *source, const char *folder, const char *path, tm_error *err)
{
    char near[TM_PATH_MAX];
    const char *at = strchr(path, ':');
    tm_fail(err, TM_ENOENT, "\"%s\" is not there (looked at %s)", path, source->path);
    if (at && strncmp(path, "hf", 2) == 0)
        tm_hint(err, "models are not fetched from the network: download the files and name their folder");
    else if (tm_nearest_path(folder, path, near, sizeof near))
        tm_hint(err, "did you mean \"%.300s\"?", near);
    else
        tm_hint(err, path[0] == '/' ? "put it there, or give another path"
                                     : "paths are relative to the graph file");
    return TM_ENOENT;
}

tm_status tm_model_source_find(tm_model_source *source, const char *folder, const char *path,
                               const char *match, tm_error *err)
{
    struct stat info;
    *source = (tm_model_source){.kind = TM_MODEL_FOLDER};
    bool beside = path[0] != '/' && folder;
    TM_TRY(tm_path(source->path, err, "%s%s%s", beside ? folder : "", beside ? "/" : "", path));
    if (strlen(match) >= sizeof source->match) return tm_fail(err, TM_EINVAL, "`match` is too long");
    snprintf(source->match, sizeof source->match, "%s", match);
    if (tm_sys.stat(source->path, &info)) return missing(source, folder, path, err);
    if (S_ISDIR(info.st_mode))
        TM_TRY(look_into_folder(source, err));
    else
        source->kind = begins_gguf(source->path) ? TM_MODEL_GGUF : TM_MODEL_ARCHIVE;
    if (match[0] && source->kind != TM_MODEL_ARCHIVE)
        return tm_fail(err, TM_EINVAL, "%s is no archive: leave `match` out", source->path);
    return TM_OK;
}

// ---- files

static const char *const tokenizer_files[] = {"tokenizer.json",          "tokenizer_config.json",
                                              "special_tokens_map.json", "added_tokens.json",
                                              "chat_template.jinja",     NULL};
static const char *const model_files[] = {"config.json", "generation_config.json",
                                          "model.safetensors.index.json", NULL};

static bool listed(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

bool tm_model_wants(const char *name)
{
    static const char tail[] = ".safetensors";
    size_t n = strlen(name);
    bool weights =
        strncmp(name, "model", 5) == 0 && n > sizeof tail && strcmp(name + n - (sizeof tail - 1), tail) == 0;
    return weights || listed(model_files, name) || listed(tokenizer_files, name);
}

static tm_status add_hash(const char *path, tm_file_memory *memory, json_t *files, tm_error *err)
{
    tm_corpus one = {0};
    TM_TRY(tm_path(one.root, err, "%s", path));
    return tm_corpus_identity(&one, memory, files, err);
}

tm_status tm_model_source_identity(const tm_model_source *source, tm_file_memory *memory, json_t *files,
                                   tm_error *err)
{
    tm_names names = {0};
    if (source->kind != TM_MODEL_FOLDER) return add_hash(source->path, memory, files, err);
    TM_TRY(tm_dir_list(source->path, &names, err));
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < names.count; i++) {
        char path[TM_PATH_MAX];
        if (!tm_model_wants(names.names[i])) continue;
        status = tm_path(path, err, "%s/%s", source->path, names.names[i]);
        if (status >= 0) status = add_hash(path, memory, files, err);
    }
    tm_names_clear(&names);
    return status;
}

static tm_status copy_if_there(const char *from, const char *to, const char *name, tm_error *err)
{
    char a[TM_PATH_MAX], b[TM_PATH_MAX];
    TM_TRY(tm_path(a, err, "%s/%s", from, name));
    TM_TRY(tm_path(b, err, "%s/%s", to, name));
    return tm_file_exists(a) ? tm_file_copy(a, b, 0644, err) : TM_OK;
}

tm_status tm_model_copy_files(const char *from, const char *to, const char *const *names, tm_error *err)
{
    for (; *names; names++) TM_TRY(copy_if_there(from, to, *names, err));
    return TM_OK;
}

tm_status tm_model_copy_tokenizer(const char *from, const char *to, tm_error *err)
{
    return tm_model_copy_files(from, to, tokenizer_files, err);
}
