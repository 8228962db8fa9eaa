// SPDX-License-Identifier: Apache-2.0
// A table of system calls that goes wrong on request, and one that writes down what happens to the disk.
#pragma once

#include "engine/base/io.h"

// The slots of tm_io that a fault can strike, as bits.
typedef enum {
    CALL_OPEN = 1 << 0,
    CALL_CLOSE = 1 << 1,
    CALL_READ = 1 << 2,   // and pread
    CALL_WRITE = 1 << 3,  // and pwrite
    CALL_SYNC = 1 << 4,   // fsync and fdatasync
    CALL_TRUNCATE = 1 << 5,
    CALL_ALLOCATE = 1 << 6,
    CALL_RENAME = 1 << 7,  // all three
    CALL_LINK = 1 << 8,
    CALL_UNLINK = 1 << 9,  // and rmdir
    CALL_MKDIR = 1 << 10,
    CALL_STAT = 1 << 11,   // and lstat, fstat
    CALL_CHMOD = 1 << 12,  // and touch
    CALL_LIST = 1 << 13,   // opendir, readdir
    CALL_LOCK = 1 << 14,
    CALL_MAP = 1 << 15,
    CALL_RANDOM = 1 << 16,
    CALLS_ALL = (1 << 17) - 1,
    // What changes the file system (an open counts when it may create).
    CALLS_DURABLE = CALL_OPEN | CALL_WRITE | CALL_SYNC | CALL_TRUNCATE | CALL_ALLOCATE | CALL_RENAME |
                    CALL_LINK | CALL_UNLINK | CALL_MKDIR | CALL_CHMOD
} fault_calls;

typedef enum {
    FAULT_ERROR,      // the call fails with `error`
    FAULT_SHORT,      // a transfer moves part of the bytes
    FAULT_TORN_EXIT,  // the process ends inside the call: a write is cut in half, anything else not done
    FAULT_EXIT        // the process ends just after the call
} fault_kind;

typedef struct fault_plan {
    fault_kind kind;
    unsigned calls;   // which count
    uint64_t at;      // the n-th call from now, 1 and up; 0: none, only count
    bool persistent;  // and every one after it
    int error;
} fault_plan;

enum { FAULT_STATUS = 86 };  // exit status of a process that a fault ended

void faults_begin(fault_plan plan);
// Back to the real calls; says how many counted calls there were and whether the fault struck.
uint64_t faults_end(bool *struck);

// --- What a power cut would leave --------------------------------------------------------------------------
// While a recording is on, every change below `folder` is written down with its bytes.
typedef struct recording recording;
recording *recording_begin(const char *folder);
size_t recording_mark(const recording *r);  // how many operations so far
void recording_end(recording *r);           // stop; the recording stays
void recording_free(recording *r);

// Make, in the new folder `to`, one state that a power cut after `count` operations may leave: names and
// bytes that were synced by then are there; of the rest the numbers drawn from `seed` keep some and lose
// some. seed 0 loses all that may be lost.
tm_status recording_replay(const recording *r, size_t count, uint64_t seed, const char *to, tm_error *err);
