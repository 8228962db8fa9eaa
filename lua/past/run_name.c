// SPDX-License-Identifier: Apache-2.0
// Runs by number or tag.
#include "lua/past/run_name.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/nearest.h"
#include "engine/journal.h"
#include "lua/past/label.h"
#include "lua/past/run_record.h"

static bool is_number(const char *text)
{
    return text[0] == 'r' && text[1] && !text[1 + strspn(text + 1, "0123456789")];
}

bool tm_run_name_is(const char *text)
{
    return is_number(text) || strcmp(text, "latest") == 0;
}

// The tags of a run, into `all`; whether `tag` is one of them.
static bool has_tag(tm_store *store, const char *run, const char *tag, json_t *all)
{
    json_t *record = tm_run_record(store, run), *tags = NULL, *one;
    char *note = NULL;
    size_t i;
    bool has = false;
    tm_label_read(store, run, record, &note, &tags, NULL);
    json_array_foreach(tags, i, one)
    {
        has |= strcmp(json_string_value(one), tag) == 0;
        json_object_set_new(all, json_string_value(one), json_true());
    }
    tm_free(note);
    json_decref(tags);
    json_decref(record);
    return has;
}

static tm_status unknown(const char *text, const json_t *tags, tm_error *err)
{
    const char *names[257], *near, *tag;
    size_t n = 0;
    json_t *unused;
    json_object_foreach((json_t *)tags, tag, unused) if (n < 256) names[n++] = tag;
    names[n] = NULL;
    near = tm_nearest(text, names);
    tm_fail_as(err, TM_ENOENT, "TM0505", "there is no run or tag \"%.60s\"", text);
    if (near) tm_hint(err, "did you mean %s?", near);
    else tm_hint(err, "a run is named as r12 is; `tidemill runs` lists them with their tags");
    return TM_ENOENT;
}

tm_status tm_run_name(tm_store *store, const char *text, char run[32], tm_error *err)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    if (is_number(text)) {
        snprintf(run, 32, "%s", text);
        return TM_OK;
    }
    TM_TRY(tm_run_list(store, &numbers, &n, err));
    bool found = false;
    json_t *tags = json_object();
    while (n-- > 0 && !found) {
        snprintf(run, 32, "r%llu", (unsigned long long)numbers[n]);
        found = strcmp(text, "latest") == 0 || has_tag(store, run, text, tags);
    }
    tm_status status = found ? TM_OK : unknown(text, tags, err);
    tm_free(numbers);
    json_decref(tags);
    return status;
}
