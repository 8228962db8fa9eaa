// SPDX-License-Identifier: Apache-2.0
// How people name a run on the command line: r12, `latest`, or a tag (then the latest run that has it).
#pragma once

#include "engine/store.h"

// Whether this names a run by itself, whatever tags there are: r12 or latest.
bool tm_run_name_is(const char *text);

// TM_ENOENT with the nearest tag. Does not look whether r12 is there: who reads it will.
tm_status tm_run_name(tm_store *store, const char *text, char run[32], tm_error *err);
