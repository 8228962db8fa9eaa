// SPDX-License-Identifier: Apache-2.0
// Sections of the text about errors.
#include "lua/cli/explained.h"

#include <stdio.h>

#include "errors_md.h"

static const char head[] = "# TM";

// The head of the next section at or behind `at`, or NULL.
static const char *next_head(const char *at)
{
    while (at && strncmp(at, head, sizeof head - 1) != 0) {
        at = strchr(at, '\n');
        at += at != NULL;
    }
    return at;
}

static void take(const char *at, tm_explained *found)
{
    const char *title = at + 2 + 6 + 1, *text = strchr(title, '\n');
    const char *end = next_head(text);
    snprintf(found->code, sizeof found->code, "%.6s", at + 2);
    found->title = tm_view_of(title, (size_t)(text - title));
    while (*text == '\n') text++;
    if (!end) end = text + strlen(text);
    while (end > text && end[-1] == '\n') end--;
    found->text = tm_view_of(text, (size_t)(end - text));
}

bool tm_explained_at(size_t i, tm_explained *found)
{
    const char *at = next_head(errors_md);
    while (at && i-- > 0) at = next_head(at + 1);
    if (at) take(at, found);
    return at != NULL;
}

bool tm_explained_find(const char *code, tm_explained *found)
{
    for (size_t i = 0; tm_explained_at(i, found); i++)
        if (strcmp(found->code, code) == 0) return true;
    return false;
}
