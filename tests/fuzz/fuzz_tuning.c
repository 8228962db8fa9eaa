// SPDX-License-Identifier: Apache-2.0
// Lines of tuning data: any bytes are refused or give a canonical record, and that one reads as itself.
#include "stages/format/tuning.h"

#include <stdlib.h>

#include "engine/base/json.h"
#include "tests/fuzz/fuzz.h"

static void read_as(const char *shape, const uint8_t *data, size_t size)
{
    tm_tuning_options how = {.shape = shape, .system = ""};
    tm_buf text = {0}, again = {0};
    const char *bad;
    json_t *line = NULL;
    if (tm_json_parse(tm_view_of(data, size), &line, NULL) < 0 || !json_is_object(line)) {
        json_decref(line);
        return;
    }
    if (tm_tuning_record(line, &how, &text, &bad, NULL) >= 0 && !bad) {
        json_t *record = NULL;
        if (tm_json_parse(tm_buf_view(&text), &record, NULL) < 0) abort();
        if (strcmp(shape, "instruction") == 0) how.shape = "chat";
        if (tm_tuning_record(record, &how, &again, &bad, NULL) < 0 || bad) abort();
        if (!tm_view_eq(tm_buf_view(&text), tm_buf_view(&again))) abort();
        json_decref(record);
    }
    json_decref(line);
    tm_buf_clear(&text);
    tm_buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as("chat", data, size);
    read_as("instruction", data, size);
    read_as("preference", data, size);
    return 0;
}
