// SPDX-License-Identifier: Apache-2.0
// Digits in groups of three, units, faults, and what a node made.
#include "lua/cli/counts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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

const char *tm_size_text(uint64_t bytes, char text[16])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", NULL};
    double n = (double)bytes;
    int unit = 0;
    for (; n >= 999.5 && units[unit + 1]; unit++) n /= 1000;
    snprintf(text, 16, "%.*f %s", unit && n < 9.95 ? 1 : 0, n, units[unit]);
    return text;
}

static const char *seconds_text(double seconds, char text[TM_COUNT_TEXT])
{
    int digits = seconds < 0.095 ? 2 : seconds < 9.95 ? 1 : 0;
    int size = snprintf(text, TM_COUNT_TEXT, "%.*f", digits, seconds);
    while (digits && text[size - 1] == '0') text[--size] = 0;
    if (text[size - 1] == '.') text[--size] = 0;
    return strcat(text, " s");
}

const char *tm_duration_text(double seconds, char text[TM_COUNT_TEXT])
{
    if (!(seconds >= 0)) return strcpy(text, "-");
    if (seconds < 59.5) return seconds_text(seconds, text);
    long long s = llround(seconds < 1e15 ? seconds : 1e15);
    if (s < 3600) snprintf(text, TM_COUNT_TEXT, "%lld min %02lld s", s / 60, s % 60);
    else if (s < 86400) snprintf(text, TM_COUNT_TEXT, "%lld h %02lld min", s / 3600, s % 3600 / 60);
    else snprintf(text, TM_COUNT_TEXT, "%lld d %02lld h", s / 86400, s % 86400 / 3600);
    return text;
}

static bool reads_back(const char *text, double number)
{
    bool single = (double)(float)number == number;
    return single ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number;
}

const char *tm_exact_text(double number, char text[TM_COUNT_TEXT])
{
    int digits = 0;
    if (fabs(number) < 1e15 && number == floor(number)) snprintf(text, TM_COUNT_TEXT, "%.0f", number);
    else
        do snprintf(text, TM_COUNT_TEXT, "%.*g", ++digits, number);
        while (digits < 17 && !reads_back(text, number));
    return text;
}

const char *tm_unit_text(int64_t n, const char *unit, char text[TM_COUNT_TEXT])
{
    snprintf(text, TM_COUNT_TEXT, "%s", unit);
    size_t size = strlen(text);
    if (n == 1 && size && text[size - 1] == 's') text[size - 1] = 0;
    return text;
}

const char *tm_count_fault(const char *name, int64_t n, char text[TM_COUNT_TEXT * 2])
{
    static const char *const faults[][3] = {{"bad_lines", "line", "could not be used"},
                                            {"empty_files", "file", "empty"},
                                            {"binary_files", "file", "of bytes that are no text"},
                                            {"encoded_files", "file", "not UTF-8: tm.fix_unicode mends that"},
                                            {"links", "link", "not followed"},
                                            {"bad_records", "record", "could not be used"},
                                            {"overlong", "text", "longer than `length`"},
                                            {"long_warmup", NULL, "the warmup takes most of the steps"}};
    char count[TM_COUNT_TEXT];
    for (size_t i = 0; n && i < sizeof faults / sizeof *faults; i++) {
        if (strcmp(faults[i][0], name) != 0) continue;
        if (!faults[i][1]) return faults[i][2];
        snprintf(text, TM_COUNT_TEXT * 2, "%s %s%s %s", tm_count_text(n, count), faults[i][1],
                 n == 1 ? "" : "s", faults[i][2]);
        return text;
    }
    return NULL;
}

const char *tm_made_text(const tm_stage *stage, const json_t *fields, char text[96])
{
    const tm_type *type = stage ? tm_type_find(stage->outputs[0].type) : NULL;
    bool tree = type && type->tree;
    char size[16];
    long long n = (long long)json_integer_value(json_object_get(fields, tree ? "entries" : "rows"));
    snprintf(text, 96, "%lld %s%s, %s", n, tree ? type->entry : "record", n == 1 ? "" : "s",
             tm_size_text((uint64_t)json_integer_value(json_object_get(fields, "bytes")), size));
    return text;
}
