// SPDX-License-Identifier: Apache-2.0
// The forms in which a model leaves: one file in stages/export/ and one row for each.
//
// A file ends with `const tm_export_format tm_export_format_NAME`; the build collects the rows, and the stage
// `export` takes its choices, checks and work from them.
#pragma once

#include "engine/base/bytes.h"

// The options of the stage. Those behind `to` belong to formats: a format names in `takes` which of them it
// has, and the stage refuses the others. They are NULL or 0 when not given.
typedef struct tm_export_options {
    const char *format, *to;
    const char *dtype, *device;
    int64_t tp, pp;
} tm_export_options;

typedef struct tm_export_job {
    const char *model;                 // folder of the model's snapshot, to read from
    const char *folder;                // empty, to be filled
    const tm_export_options *options;  // of a format with `dtypes` the dtype is never NULL
} tm_export_job;

typedef struct tm_export_format {
    const char *name;
    const char *brief;   // one sentence
    const char *takes;   // "dtype": options besides format and to, separated by spaces; NULL: none
    const char *dtypes;  // "f32 f16": those it writes, the default first; NULL: it takes no dtype
    // Refuse options that do not go together, before anything runs; `option` then names the guilty one. May
    // be NULL.
    tm_status (*check)(const tm_export_options *options, const char **option, tm_error *err);
    // Errors say what of the model the format cannot hold (TM_EUNSUPPORTED).
    tm_status (*write)(const tm_export_job *job, tm_error *err);
} tm_export_format;

// The rows, by name, and their names with spaces between ("gguf hf"). Made by stages/rows.sh.
extern const tm_export_format *const tm_export_formats[];  // NULL-terminated
extern const char tm_export_format_names[];

const tm_export_format *tm_export_format_find(const char *name);  // or NULL

// Whether `word` is one of the words of `list` (separated by spaces; NULL has none).
bool tm_export_lists(const char *list, const char *word);

// Which of its own options may be given (`given`: names, NULL-terminated), then the format's own check.
// Sets options->dtype to the format's default where it is NULL and the format has one; `dtype` (16 bytes)
// holds it. TM_EINVAL: `option` names the guilty one.
tm_status tm_export_check(const tm_export_format *format, tm_export_options *options,
                          const char *const *given, char dtype[16], const char **option, tm_error *err);
