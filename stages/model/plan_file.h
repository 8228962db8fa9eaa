// SPDX-License-Identifier: Apache-2.0
// Plan files: a model built ahead of time for the device that will run it, in one file that is mapped, not
// read.
//
//   header    64 bytes: "TMPLAN1\n", offset and size of manifest and weights, length of the file, XXH3 of
//             these
//   manifest  JSON: config (config.json), stamp, kernels, memory. Kernels are the ops of a forward pass, and
//             of each matrix how it is multiplied: with up to few.tokens rows as dot products, with more in
//             blocks of results in registers, by instruction set (kernels/linear_form.h)
//   weights   the parameter slab as passes use it, fused q|k|v and gate|up, fp32, from a page on
//
// All integers are little-endian; all offsets are checked before use. Opening costs no reading of weights.
// The stamp names what must be the same where the plan is opened (format, layout of the slab, ops): on a
// difference the error names both sides and the command that builds it anew. Our own format; no other program
// reads it.
#pragma once

#include "stages/model/model.h"

typedef struct tm_plan_build {
    const char *device;     // tm_device_name of what it is built for, or "cpu" for any
    uint32_t prompt_tokens; // tokens of a prompt taken at once, and
    uint64_t activations;   // the bytes of a pass over them: the memory plan
} tm_plan_build;

// Write `model` (without an adapter) to `path`.
tm_status tm_plan_file_write(const tm_model *model, const tm_plan_build *build, const char *path,
                             tm_error *err);

typedef struct tm_plan_file {
    tm_view bytes; // the mapping
    struct json_t *manifest;
} tm_plan_file;

// Whether a file begins as a plan does.
bool tm_plan_file_is(const char *path);

// Map and check a plan for a device, by its tm_device_name. TM_EFORMAT: damaged; TM_EUNSUPPORTED: another
// stamp, or a better processor than this one is needed.
tm_status tm_plan_file_open(tm_plan_file *plan, const char *path, const char *device, tm_error *err);
void tm_plan_file_close(tm_plan_file *plan);

// Its model: parameters lie in the mapping and cannot be written; the plan must outlive it.
tm_status tm_plan_file_model(const tm_plan_file *plan, tm_model **model, tm_error *err);
