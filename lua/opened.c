// SPDX-License-Identifier: Apache-2.0
// Names to folders, and what lies in them.
#include "lua/opened.h"

#include <stdio.h>

#include "lua/address.h"

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

static tm_status load_model(tm_opened *o, tm_error *err)
{
    tm_hf_folder files;
    TM_TRY(tm_hf_folder_open(&files, o->folder, err));
    tm_status status = tm_model_load(&o->model, &files, err);
    tm_hf_folder_close(&files);
    return status < 0 ? status : tm_model_halve(o->model, err);
}

tm_status tm_opened_tokenizer(tm_opened *o, const tm_cli *cli, const char *name, tm_error *err)
{
    *o = (tm_opened){.tokenizer = {.bos = -1, .eos = -1, .start = -1}};
    TM_TRY(tm_address_folder(cli, name, o->folder, err));
    tm_status status = tm_tokenizer_load(&o->tokenizer, o->folder, err);
    if (status == TM_ENOENT) tm_hint(err, "%s has no tokenizer.json beside its weights", name);
    TM_TRY(status);
    find_ends(o);
    return TM_OK;
}

tm_status tm_opened_model(tm_opened *o, const tm_cli *cli, const char *name, tm_error *err)
{
    TM_TRY(tm_opened_tokenizer(o, cli, name, err));
    return load_model(o, err);
}

void tm_opened_close(tm_opened *o)
{
    if (o->model) tm_model_free(o->model);
    if (o->folder[0]) tm_tokenizer_clear(&o->tokenizer);
    *o = (tm_opened){0};
}
