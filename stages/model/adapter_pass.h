// SPDX-License-Identifier: Apache-2.0
// What an adapter adds to a pass: one call for each group of linears, beside the frozen product.
#pragma once

#include "stages/model/adapter.h"

// Dropout of one forward pass: a function of (seed, draw, layer, group, element), so that the backward pass
// and a resumed run see the same.
typedef struct tm_adapter_noise {
    float rate;  // 0: none
    uint64_t seed, draw;
} tm_adapter_noise;

// One group of one layer. `x` [T, in] is its input, `h` [T, ranks] takes drop(x) A^T, `room` [T, in] is
// scratch (unused without noise). Does nothing where the group has no adapter.
typedef struct tm_adapter_call {
    const tm_adapter *adapter;
    uint32_t layer;
    tm_lora_group group;
    tm_adapter_noise noise;
    tm_mat x, h, room;
} tm_adapter_call;

// y [T, outputs of the group] += scale * h B^T, each linear in its columns.
void tm_adapter_forward(tm_device *dev, const tm_adapter_call *call, tm_mat y);

// With h of the forward call: gradients of A and B are added to `grads` (a slab of the adapter's map), that
// of x to `dx`, unless it has no data. `dh` [T, ranks] is scratch.
void tm_adapter_backward(tm_device *dev, const tm_adapter_call *call, float *grads, tm_mat dx, tm_mat dy,
                         tm_mat dh);
