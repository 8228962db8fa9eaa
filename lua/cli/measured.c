// SPDX-License-Identifier: Apache-2.0
// Digits by the error.
#include "lua/cli/measured.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDEST 1e7 // numbers from here on are written as 1.234e+07
#define PLACES 6   // behind the point at most; smaller errors are written as 1.2e-09

// The decimal exponent of a number that is rounded to so many digits: 2 of 996 with three, 3 with two.
static int exponent_of(double number, int digits)
{
    char text[TM_MEASURED_TEXT];
    snprintf(text, sizeof text, "%.*e", digits - 1, fabs(number));
    return atoi(strchr(text, 'e') + 1);
}

static void write_alone(double value, char text[TM_MEASURED_TEXT])
{
    if (isnan(value))
        strcpy(text, "nan");
    else if (isinf(value))
        strcpy(text, value < 0 ? "-inf" : "inf");
    else if (fabs(value) >= WIDEST)
        snprintf(text, TM_MEASURED_TEXT, "%.3e", value);
    else if (value == floor(value) || exponent_of(value, 4) >= 3)
        snprintf(text, TM_MEASURED_TEXT, "%.0f", value);
    else
        snprintf(text, TM_MEASURED_TEXT, "%#.4g", value);
}

tm_measured tm_measured_of(double value, double error)
{
    tm_measured m = {0};
    if (!isfinite(value) || !(error > 0) || isinf(error)) {
        write_alone(value, m.value);
        if (error == 0) strcpy(m.error, "0");
        return m;
    }
    int places = 1 - exponent_of(error, 2);
    bool plain = fabs(value) < WIDEST && error < WIDEST && places <= PLACES;
    if (places < 0) places = 0;
    if (!plain)
        write_alone(value, m.value);
    else
        snprintf(m.value, sizeof m.value, "%.*f", places, value);
    snprintf(m.error, sizeof m.error, plain ? "%.*f" : "%.*e", plain ? places : 1, error);
    return m;
}
