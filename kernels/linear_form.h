// SPDX-License-Identifier: Apache-2.0
// How tm_linear multiplies with a weight, for those who tell of it and do not call it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Up to TM_ROWS_ALIKE rows of x are multiplied as dot products with the rows of the weight, unpacked. More of
// them go through blocks of `rows` x `columns` results that lie in registers, over a packed weight.
typedef struct tm_linear_form {
    int rows, columns;
} tm_linear_form;

// For a weight [out, in] on an instruction set by its tm_device_name. False: the program has no code for it.
bool tm_linear_form_of(const char *device, int64_t out, tm_linear_form *form);
