// SPDX-License-Identifier: Apache-2.0
// Findings of the doctor.
#include "lua/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>

const char *tm_finding_word(tm_finding_state state)
{
    static const char *const words[] = {"ok", "warning", "missing", "damaged"};
    return words[state];
}

void tm_finding_set(tm_finding *f, tm_finding_state state, const char *why, const char *fix)
{
    if (state <= f->state) return;
    f->state = state;
    snprintf(f->why, sizeof f->why, "%s", why);
    snprintf(f->fix, sizeof f->fix, "%s", fix);
}

// Adds to what was found.
void tm_finding_say(tm_finding *f, const char *format, ...)
{
    va_list args;
    size_t at = strlen(f->found);
    va_start(args, format);
    vsnprintf(f->found + at, sizeof f->found - at, format, args);
    va_end(args);
}
