// SPDX-License-Identifier: Apache-2.0
// Names to folders, and what lies in them.
#include "lua/model/opened.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lua/cli/address.h"
#include "stages/model/source.h"

// A file of the folder as JSON, or NULL.
static json_t *read_json(const char *folder, const char *name)
{
    char path[TM_PATH_MAX];
    tm_buf bytes = {0};
    json_t *json = NULL;
    if (tm_path(path, NULL, "%s/%s", folder, name) >= 0 && tm_file_read(path, &bytes, NULL) >= 0)
        json = json_loadb(bytes.data ? bytes.data : "", bytes.size, 0, NULL);
    tm_buf_clear(&bytes);
    return json;
}

static void add_end(tm_opened *o, const json_t *id)
{
    json_int_t value = json_integer_value(id);
    if (json_is_integer(id) && value >= 0 && value < TM_BPE_IDS_MAX && o->n_ends < TM_OPENED_ENDS)
        o->ends[o->n_ends++] = (uint32_t)value;
}

// `eos_token_id` is a number or a list of them.
static void find_ends(tm_opened *o)
{
    static const char *const names[] = {"generation_config.json", "config.json",
                                        "base/generation_config.json", "base/config.json",
                                        NULL}; // the last two: of a folder with an adapter
    for (size_t i = 0; names[i] && !o->n_ends; i++) {
        json_t *json = read_json(o->folder, names[i]), *given = json_object_get(json, "eos_token_id");
        for (size_t k = 0; k < json_array_size(given); k++) add_end(o, json_array_get(given, k));
        add_end(o, given);
        json_decref(json);
    }
    if (!o->n_ends && o->tokenizer.eos >= 0) o->ends[o->n_ends++] = (uint32_t)o->tokenizer.eos;
}

static tm_status load_plan(tm_opened *o, const char *path, tm_error *err)
{
    tm_device *device;
    TM_TRY(tm_device_open_cpu(1, &device, err));
    tm_status status = tm_plan_file_open(&o->plan, path, tm_device_name(device), err);
    tm_device_close(device);
    return status < 0 ? status : tm_plan_file_model(&o->plan, &o->model, err);
}

static tm_status load_model(tm_opened *o, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_path(path, err, "%s/model.plan", o->folder));
    if (tm_plan_file_is(path)) return load_plan(o, path, err);
    TM_TRY(tm_model_open(&o->model, o->folder, err));
    return tm_model_halve(o->model, err);
}

// A file, or a folder with a GGUF file alone.
static bool is_packed(const char *path)
{
    struct stat info;
    char file[TM_PATH_MAX];
    return stat(path, &info) == 0 && (S_ISREG(info.st_mode) || tm_model_gguf_alone(path, file));
}

// A GGUF file or an archive as a folder for a moment.
static tm_status unpack(tm_opened *o, const char *path, tm_error *err)
{
    tm_model_source source;
    char rest[TM_PATH_MAX];
    const char *place = getenv("TMPDIR");
    TM_TRY(tm_model_source_find(&source, NULL, path, "", err));
    TM_TRY(tm_path(o->scratch, err, "%s/tidemill-XXXXXX", place && *place ? place : "/tmp"));
    if (!mkdtemp(o->scratch)) {
        tm_status status = tm_fail_errno(err, "cannot make the folder %s", o->scratch);
        o->scratch[0] = 0;
        return status;
    }
    TM_TRY(tm_path(o->folder, err, "%s/model", o->scratch));
    TM_TRY(tm_path(rest, err, "%s/rest", o->scratch));
    TM_TRY(tm_dir_make(o->folder, err));
    TM_TRY(tm_dir_make(rest, err));
    return tm_model_source_fetch(&source, o->folder, rest, err);
}

static tm_status load_tokenizer(tm_opened *o, const char *name, tm_error *err)
{
    tm_status status = tm_tokenizer_load(&o->tokenizer, o->folder, err);
    if (status == TM_ENOENT) tm_hint(err, "%s has no tokenizer.json beside its weights", name);
    if (status >= 0) find_ends(o);
    if (status >= 0) tm_chat_open(&o->chat, &o->tokenizer, o->folder, &o->chat_error);
    return status;
}

// A folder with a tokenizer alone, where a model is due.
static tm_status check_model(const tm_opened *o, const char *name, tm_error *err)
{
    static const char *const files[] = {"config.json", "adapter_config.json", "model.plan"};
    char path[TM_PATH_MAX];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (tm_path(path, NULL, "%s/%s", o->folder, files[i]) < 0 || tm_file_exists(path)) return TM_OK;
    if (tm_path(path, NULL, "%s/tokenizer.json", o->folder) < 0 || !tm_file_exists(path)) return TM_OK;
    tm_fail_as(err, TM_EINVAL, "TM0510", "%s is a tokenizer, where a model is due", name);
    tm_hint(err, "name a node that trains (`tidemill status` lists the nodes), or a folder of a model");
    return TM_EINVAL;
}

static tm_status open_all(tm_opened *o, const tm_cli *cli, const char *name, bool model, tm_error *err)
{
    *o = (tm_opened){.tokenizer = {.bos = -1, .eos = -1, .start = -1}};
    tm_store *store = NULL;
    tm_status status =
        is_packed(name) ? unpack(o, name, err) : tm_address_folder(cli, name, &store, o->folder, err);
    if (status >= 0 && model) status = check_model(o, name, err);
    if (status >= 0) status = load_tokenizer(o, name, err);
    if (status >= 0 && model) status = load_model(o, err);
    if (o->scratch[0]) tm_dir_remove(o->scratch, NULL);
    tm_store_close(store);
    return status;
}

tm_status tm_opened_tokenizer(tm_opened *o, const tm_cli *cli, const char *name, tm_error *err)
{
    return open_all(o, cli, name, false, err);
}

tm_status tm_opened_model(tm_opened *o, const tm_cli *cli, const char *name, tm_error *err)
{
    return open_all(o, cli, name, true, err);
}

tm_status tm_opened_chat(tm_opened *o, tm_error *err)
{
    int64_t end;
    if (!o->chat && err) *err = o->chat_error;
    if (!o->chat) return o->chat_error.status;
    TM_TRY(tm_chat_end(o->chat, &end, err));
    for (size_t i = 0; i < o->n_ends; i++)
        if (o->ends[i] == end) return TM_OK;
    if (end >= 0 && o->n_ends < TM_OPENED_ENDS) o->ends[o->n_ends++] = (uint32_t)end;
    return TM_OK;
}

void tm_opened_close(tm_opened *o)
{
    if (o->model) tm_model_free(o->model);
    tm_plan_file_close(&o->plan);
    tm_chat_close(o->chat);
    if (o->folder[0]) tm_tokenizer_clear(&o->tokenizer);
    *o = (tm_opened){0};
}
