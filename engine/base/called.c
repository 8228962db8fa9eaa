// SPDX-License-Identifier: Apache-2.0
// Replacing the first word of commands.
#include "engine/base/called.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME "tidemill"
#define LONGEST 200

const char *tm_called(void)
{
    const char *name = getenv("MILL_NAME");
    if (!name || !name[0] || strlen(name) > LONGEST) return NAME;
    for (const unsigned char *at = (const unsigned char *)name; *at; at++)
        if (*at < 32 || *at == 127) return NAME;
    return name;
}

// "tidemill run" at the beginning, in `` or behind a blank; not "a tidemill." or a path.
static bool is_command(const char *text, const char *at)
{
    char before = at > text ? at[-1] : ' ', behind = at[strlen(NAME)] == ' ' ? at[strlen(NAME) + 1] : 0;
    return strchr(" `(\n", before) && ((behind >= 'a' && behind <= 'z') || behind == '-');
}

void tm_called_put(tm_buf *out, const char *text)
{
    const char *name = tm_called(), *from = text;
    for (const char *at; (at = strstr(from, NAME)); from = at + strlen(NAME)) {
        tm_buf_add(out, from, (size_t)(at - from));
        tm_buf_str(out, is_command(text, at) ? name : NAME);
    }
    tm_buf_str(out, from);
}

void tm_called_print(FILE *to, const char *format, ...)
{
    char *text = NULL;
    tm_buf out = {0};
    va_list args;
    va_start(args, format);
    int size = vasprintf(&text, format, args);
    va_end(args);
    if (size < 0) return;
    tm_called_put(&out, text);
    if (tm_buf_status(&out, NULL) >= 0) fwrite(out.data ? out.data : "", 1, out.size, to);
    tm_buf_clear(&out);
    free(text);
}
