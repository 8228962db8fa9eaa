// SPDX-License-Identifier: Apache-2.0
// The first event of a journal.
#include "lua/past/run_record.h"

#include <string.h>

#include "engine/journal.h"

json_t *tm_run_record(tm_store *store, const char *run)
{
    tm_journal_reader *reader = NULL;
    json_t *record = NULL;
    if (tm_journal_reader_open(store, run, &reader, NULL) < 0) return NULL;
    while (tm_journal_reader_next(reader, &record, NULL) == TM_OK) {
        const char *event = json_string_value(json_object_get(record, "event"));
        if (event && strcmp(event, "run") == 0) break;
        json_decref(record);
        record = NULL;
    }
    tm_journal_reader_close(reader);
    return record;
}
