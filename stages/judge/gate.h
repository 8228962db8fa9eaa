// SPDX-License-Identifier: Apache-2.0
// The work of tm.gate, which has a row for every type that it lets pass.
#pragma once

#include "engine/stage.h"

typedef struct tm_gate_options {
    const char *require;
} tm_gate_options;

extern const tm_option tm_gate_option_table[];

tm_status tm_gate_check(tm_check *check, tm_error *err);
tm_status tm_gate_run(tm_work *work, tm_error *err);
