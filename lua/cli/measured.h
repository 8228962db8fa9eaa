// SPDX-License-Identifier: Apache-2.0
// Measured numbers with the digits that mean something.
#pragma once

#define TM_MEASURED_TEXT 32

typedef struct tm_measured {
    char value[TM_MEASURED_TEXT];
    char error[TM_MEASURED_TEXT];  // "" where it is not known
} tm_measured;

// "456" and "11", "3.535" and "0.036": two digits of the error, and the value to the same place. Without an
// error (NaN) four significant digits, and whole numbers whole: "2.188", "0.4758", "5633".
tm_measured tm_measured_of(double value, double error);
