// SPDX-License-Identifier: Apache-2.0
// What a run was: its record, the event "run" of its journal.
#pragma once

#include <jansson.h>

#include "engine/store.h"

// The "run" record of a run's journal (a new reference), or NULL.
json_t *tm_run_record(tm_store *store, const char *run);
