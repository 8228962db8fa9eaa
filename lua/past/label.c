// SPDX-License-Identifier: Apache-2.0
// Notes and tags of runs.
#include "lua/past/label.h"

#include <stdio.h>

#include "engine/base/io.h"
#include "engine/base/json.h"
#include "engine/journal.h"
#include "lua/past/run_name.h"

enum { MAX_TAG = 40 };

static tm_status label_path(tm_store *store, const char *run, char path[TM_PATH_MAX], tm_error *err)
{
    char folder[TM_PATH_MAX];
    TM_TRY(tm_run_folder(store, run, folder, err));
    return tm_path(path, err, "%s/label", folder);
}

// The file's object, or NULL.
static json_t *read_file(const char *path)
{
    tm_buf text = {0};
    json_t *label = NULL;
    if (tm_file_read(path, &text, NULL) >= 0) tm_json_parse(tm_buf_view(&text), &label, NULL);
    tm_buf_clear(&text);
    if (json_is_object(label)) return label;
    json_decref(label);
    return NULL;
}

tm_status tm_label_read(tm_store *store, const char *run, const json_t *record, char **note, json_t **tags,
                        tm_error *err)
{
    char path[TM_PATH_MAX];
    size_t i;
    json_t *tag;
    TM_TRY(label_path(store, run, path, err));
    json_t *file = read_file(path);
    const json_t *from = file ? file : record;
    const char *text = json_string_value(json_object_get(from, "note"));
    *note = text && text[0] ? tm_strdup(text) : NULL;
    *tags = json_array();
    json_array_foreach(json_object_get(from, "tags"), i, tag) if (json_is_string(tag))
        tm_label_add(*tags, json_string_value(tag));
    bool good = *tags && (*note || !text || !text[0]);
    json_decref(file);
    return good ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for the note of run %s", run);
}

tm_status tm_label_write(tm_store *store, const char *run, const char *note, const json_t *tags,
                         tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(label_path(store, run, path, err));
    json_t *label = json_pack("{s:s, s:O}", "note", note ? note : "", "tags", tags);
    char *text = label ? json_dumps(label, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(label);
    if (!text) return tm_fail(err, TM_EINVAL, "the note is not UTF-8 text");
    tm_status status = tm_file_write(path, text, strlen(text), true, err);
    tm_json_free(text);
    return status;
}

tm_status tm_label_check(const char *tag, tm_error *err)
{
    size_t n = strlen(tag);
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    if (tm_run_name_is(tag))
        return tm_fail(err, TM_EINVAL, "\"%.60s\" is no tag: it is how a run is named", tag);
    if (n && n <= MAX_TAG && tag[0] != '-' && strspn(tag, letters) == n) return TM_OK;
    return tm_fail(err, TM_EINVAL, "\"%.60s\" is no tag: letters, digits and . _ - / (not - first), up to %d",
                   tag, MAX_TAG);
}

static size_t find_tag(const json_t *tags, const char *tag, int *order)
{
    size_t i;
    json_t *one;
    *order = 1;
    json_array_foreach((json_t *)tags, i, one) if ((*order = strcmp(json_string_value(one), tag)) >= 0) break;
    return i;
}

bool tm_label_add(json_t *tags, const char *tag)
{
    int order;
    size_t at = find_tag(tags, tag, &order);
    return order != 0 && json_array_insert_new(tags, at, json_string(tag)) == 0;
}

bool tm_label_drop(json_t *tags, const char *tag)
{
    int order;
    size_t at = find_tag(tags, tag, &order);
    return order == 0 && json_array_remove(tags, at) == 0;
}
