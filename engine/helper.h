// SPDX-License-Identifier: Apache-2.0
// A thread beside an event loop, for what may wait: syncs, locks that others hold. Tasks are worked off one
// after the other in the order they were put, so what must be durable first is put first.
#pragma once

#include "engine/base/io.h"

typedef struct tm_helper tm_helper;

// The head of the caller's own struct, which lives until `done` has it.
typedef struct tm_task {
    tm_status (*work)(struct tm_task *task, tm_error *err);  // in the helper's thread
    // In the loop's; frees the task.
    void (*done)(struct tm_task *task, tm_status status, const tm_error *err);
    tm_status status;
    tm_error error;
    struct tm_task *next;
} tm_task;

tm_status tm_helper_start(tm_helper **helper, tm_error *err);
// Works off what was put, collects it, what is put meanwhile too, and ends. NULL is fine.
void tm_helper_stop(tm_helper *helper);

int tm_helper_fd(const tm_helper *helper);  // readable when something is to be collected
void tm_helper_put(tm_helper *helper, tm_task *task);
void tm_helper_collect(tm_helper *helper);          // calls `done` of what is finished, in order
size_t tm_helper_pending(const tm_helper *helper);  // put and not yet collected
