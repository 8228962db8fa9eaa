// SPDX-License-Identifier: Apache-2.0
// The op case table: what a case is, and what a spec gives for the modes that run it.
//
//   correct    the op against its float64 reference, on strided views, with the same bits at 1 to 4 threads
//   grad       its gradients against central differences of the reference
//   bench      GFLOP/s and GB/s of the cases marked for it
//   supported  which device has which op
//
// A new op needs a spec (in one of the files beside this one) and a row in the op table; modes come for free.
#pragma once

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/random.h"
#include "kernels/op.h"
#include "kernels/ops.h"

enum { MAX_IN = 5 };

typedef struct op_case {
    const char *name;
    int64_t n[8];  // sizes; each spec says which
    float f[4];    // factors
    bool bench;    // for mode bench only
} op_case;

typedef struct op_shape {
    int64_t rows, cols;
} op_shape;

typedef struct op_spec {
    const char *op;    // its row in the op table
    const char *grad;  // the row of its gradient; NULL: not differentiable
    int n_in;
    bool adds[MAX_IN];    // the gradient of this input is added to what is there
    bool frozen[MAX_IN];  // this input has no gradient
    bool repeats;         // backward calls forward for its statistics (bench takes that time off)
    double spread;        // standard deviation of the inputs; 0 means 1
    void (*shapes)(const op_case *c, op_shape in[], op_shape *out);
    void (*reference)(const op_case *c, const double *const in[], double *out);
    void (*forward)(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out);
    void (*backward)(tm_device *dev, const op_case *c, const tm_mat in[], tm_mat out, tm_mat d_out,
                     const tm_mat d_in[]);
    tm_op_size (*size)(const op_case *c);
    const op_case *cases;  // ends with a NULL name
} op_spec;

// Ends with a NULL op.
extern const op_spec specs_product[], specs_norm[], specs_attention[], specs_activation[], specs_loss[],
    specs_elementwise[], specs_optimiser[];

// An id for row t: the same in an op's call and in its reference.
static inline int32_t id_of(int64_t t, int64_t count)
{
    return (int32_t)tm_random_below(77, 5, (uint64_t)t, (uint64_t)count);
}

// A float array of n for a spec's own use (statistics); the process is short and frees nothing by hand.
void *keep(size_t bytes);
