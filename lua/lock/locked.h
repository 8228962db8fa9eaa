// SPDX-License-Identifier: Apache-2.0
// --locked: nothing is done unless all that decides what comes out is as tidemill.lock pins it.
#pragma once

#include "lua/cli/session.h"

// Before the graph is evaluated: read the lock, and have the pinned parameters taken where the command line
// sets none.
int tm_locked_begin(tm_session *session, const tm_cli *cli, const char *graph);
// With the graph: compare it. If it differs, prints how and gives TM_EXIT_LOCKED.
int tm_locked_check(const tm_session *session, const tm_cli *cli);
// After a run: {"same", "behind", "differences": [...], "environment": [...]}, a new reference; NULL without
// --locked. `_print` says it, and gives TM_EXIT_LOCKED if something differs that nothing explains.
json_t *tm_locked_results(const tm_session *session);
int tm_locked_results_print(const tm_session *session, const json_t *results, bool quiet);
