// SPDX-License-Identifier: Apache-2.0
// Digits in groups of three, and sizes.
#include "lua/counts.h"

#include <stdio.h>
#include <string.h>

const char *tm_count_text(int64_t n, char text[TM_COUNT_TEXT])
{
    char digits[24];
    size_t size = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (size_t i = 0; i < size; i++) {
        text[at++] = digits[i];
        size_t left = size - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-') text[at++] = ',';
    }
    text[at] = 0;
    return text;
}

const char *tm_size_text(uint64_t bytes, char text[TM_COUNT_TEXT])
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
    double size = (double)bytes;
    int unit = 0;
    while (size >= 1000 && unit < 4) {
        size /= 1000;
        unit++;
    }
    snprintf(text, TM_COUNT_TEXT, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
    return text;
}
