// SPDX-License-Identifier: Apache-2.0
// The op table: one row per op, with what is true of it on every device.
//
// The table is for those who look at ops and do not call them: tests and benchmarks, the plan's estimates of
// time, documentation. Models call the functions of ops.h.
#pragma once

#include "kernels/device.h"

// How large one call is. What m, n and k mean is in the row's `size`.
typedef struct tm_op_size {
    double m, n, k;
} tm_op_size;

typedef struct tm_op {
    const char *name;   // of the function, without tm_
    const char *brief;  // what it computes
    const char *paper;  // where it is from, or NULL
    const char *size;   // the meaning of m, n, k
    double (*flops)(
        tm_op_size size);  // additions and multiplications; a transcendental function counts as 10
    double (*bytes)(tm_op_size size);  // least traffic: every input once, every output once
    double tolerance;    // of an element against float64, relative to its size plus the root mean square
    const char *why;     // the reason for that tolerance
    bool deterministic;  // the same bits at any number of threads
    size_t entry;        // where its function is in a device's table
} tm_op;

const tm_op *tm_op_table(size_t *count);
const tm_op *tm_op_find(const char *name);  // NULL: there is none

// Whether the device has a function for it.
bool tm_op_supported(const tm_op *op, const tm_device *device);
