// SPDX-License-Identifier: Apache-2.0
// Formats by name, and which options a format takes.
#include "stages/export/export.h"

#include <stdio.h>

const tm_export_format *tm_export_format_find(const char *name)
{
    for (size_t i = 0; tm_export_formats[i]; i++)
        if (strcmp(tm_export_formats[i]->name, name) == 0) return tm_export_formats[i];
    return NULL;
}

bool tm_export_lists(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at && *at; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strcspn(at, " ") == n && memcmp(at, word, n) == 0) return true;
    }
    return false;
}

static tm_status check_dtype(const tm_export_format *format, tm_export_options *options, char dtype[16],
                             tm_error *err)
{
    if (!format->dtypes) return TM_OK;
    if (!options->dtype) {
        snprintf(dtype, 16, "%.*s", (int)strcspn(format->dtypes, " "), format->dtypes);
        options->dtype = dtype;
    }
    if (tm_export_lists(format->dtypes, options->dtype)) return TM_OK;
    tm_fail(err, TM_EINVAL, "format \"%s\" has no dtype \"%.40s\"", format->name, options->dtype);
    tm_hint(err, "one of: %s", format->dtypes);
    return TM_EINVAL;
}

tm_status tm_export_check(const tm_export_format *format, tm_export_options *options,
                          const char *const *given, char dtype[16], const char **option, tm_error *err)
{
    for (; *given; given++) {
        if (tm_export_lists(format->takes, *given)) continue;
        *option = *given;
        tm_fail(err, TM_EINVAL, "format \"%s\" takes no %s", format->name, *given);
        if (format->takes) tm_hint(err, "it takes: %s", format->takes);
        return TM_EINVAL;
    }
    *option = "dtype";
    TM_TRY(check_dtype(format, options, dtype, err));
    *option = NULL;
    return format->check ? format->check(options, option, err) : TM_OK;
}
