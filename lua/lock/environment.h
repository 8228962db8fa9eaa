// SPDX-License-Identifier: Apache-2.0
// What a run stands on besides its graph and its inputs: machine, system, program, libraries, switches.
//
//   {"cpu": {"model", "kind"}, "cores", "memory", "system", "kernel", "machine": "x86_64",
//    "program": {"version", "compiler", "hash"}, "libraries": {"gumbo": "0.10.1", ...},
//    "switches": {"TM_CPU": "avx2"}, "locale", "zone"}
//
// It names neither the host nor the user. Libraries are those that decide bytes: what rows of stages name,
// and the C library, whose functions numeric stages call.
#pragma once

#include <jansson.h>

json_t *tm_environment(void);  // a new reference
