// SPDX-License-Identifier: Apache-2.0
// What a file that was written to still needs to be durable, as a thing of its own: noted by the thread that
// writes, synced by a thread that may wait.
//
// Whoever gives one (tm_ledger_unsynced, tm_journal_unsynced, ...) is told of the outcome (tm_ledger_synced,
// ...). More may be written meanwhile: that is the next one's.
#pragma once

#include "engine/base/io.h"

typedef struct tm_unsynced {
    int fd;                         // of its own
    char path[TM_PATH_MAX];         // of the file, for errors
    char folders[2][TM_PATH_MAX];   // to be synced after the file, "" for none
} tm_unsynced;

// A second descriptor of an open file.
tm_status tm_unsynced_note(tm_unsynced *todo, int fd, const char *path, tm_error *err);
// Wait until all of it is durable; closes the descriptor in any case.
tm_status tm_unsynced_sync(tm_unsynced *todo, tm_error *err);
