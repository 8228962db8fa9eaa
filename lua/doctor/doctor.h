// SPDX-License-Identifier: Apache-2.0
// What `tidemill doctor` looks at: a row per check, each a function that fills in a finding.
#pragma once

#include "engine/base/io.h"

typedef enum {
    TM_FINDING_OK,
    TM_FINDING_WARNING, // it works, but not as well as it could
    TM_FINDING_MISSING, // a run would fail, or could lose work
    TM_FINDING_DAMAGED, // bytes on the disk are not what they were
} tm_finding_state;

typedef struct tm_finding {
    tm_finding_state state;
    char found[400]; // what is there, in a line
    char why[300];   // why it matters, if it is not as it should be
    char fix[300];   // how to get it
} tm_finding;

typedef struct tm_check_row {
    const char *name;
    // `folder`: of the store, which need not be there yet.
    void (*look)(const char *folder, tm_finding *finding);
} tm_check_row;

// Each table ends with a row without a name.
extern const tm_check_row tm_doctor_machine[];  // processor, cores, memory, GPU, limits, clock
extern const tm_check_row tm_doctor_store[];    // the store, its disk and file system
extern const tm_check_row tm_doctor_programs[]; // this program, its libraries, its processes, git, terminal

const char *tm_finding_word(tm_finding_state state);
// Raise the state, say why and how to mend it; what is said first stays.
void tm_finding_set(tm_finding *finding, tm_finding_state state, const char *why, const char *fix);
void tm_finding_say(tm_finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
