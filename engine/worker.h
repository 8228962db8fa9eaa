// SPDX-License-Identifier: Apache-2.0
// The worker process: runs groups that the scheduler sends, one after the other.
//
// It is this same program, spawned with the hidden argument `--worker`; descriptor 3 is the socket to the
// scheduler, descriptor 4 the lifeline: end of file there means that the scheduler is gone, and the worker
// ends at once without publishing anything. A worker writes objects that nothing refers to yet; it never
// binds keys.
#pragma once

#define TM_WORKER_ARG "--worker"
#define TM_WORKER_SOCKET 3
#define TM_WORKER_LIFELINE 4

// Called by main when the first argument is TM_WORKER_ARG; returns the exit status.
int tm_worker_main(void);
