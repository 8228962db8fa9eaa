// SPDX-License-Identifier: Apache-2.0
// What people say about a run: a note, and tags. A run begins with those of its command line, in its record;
// what is said later is in the file `label` beside its journal, and counts instead.
#pragma once

#include <jansson.h>

#include "engine/store.h"
#include "lua/cli/cli.h"

// *note (NULL: none; tm_free) and *tags (an array of strings, sorted). A damaged file is as if it was not
// there.
tm_status tm_label_read(tm_store *store, const char *run, const json_t *record, char **note, json_t **tags,
                        tm_error *err);
// Durable when it returns.
tm_status tm_label_write(tm_store *store, const char *run, const char *note, const json_t *tags,
                         tm_error *err);

// A tag is letters, digits and . _ - / of at most 40 bytes, and no name of a run. TM_EINVAL says so.
tm_status tm_label_check(const char *tag, tm_error *err);
// Add or take out; whether it changed anything.
bool tm_label_add(json_t *tags, const char *tag);
bool tm_label_drop(json_t *tags, const char *tag);

// The flags of a command that makes a run. `good` prints what is wrong with them; `say` puts what they say
// into the record of the run.
#define TM_LABEL_FLAGS                                                                           \
    {"--note", 'm', "TEXT", "what the run is for: shown by runs, diff and in its report"},       \
    {"--tag", 't', "TAG", "a tag to find the run by (may be given several times)"}
bool tm_label_good(const tm_cli *cli);
void tm_label_say(const tm_cli *cli, json_t *record);
