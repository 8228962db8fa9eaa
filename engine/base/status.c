// SPDX-License-Identifier: Apache-2.0
// Status codes and error texts.
#include "engine/base/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"

const char *tm_status_name(tm_status status)
{
    switch (status) {
#define ROW(name, value, text) case TM_##name: return #name;
        TM_STATUS_LIST(ROW)
#undef ROW
    }
    return "?";
}

const char *tm_status_text(tm_status status)
{
    switch (status) {
#define ROW(name, value, text) case TM_##name: return text;
        TM_STATUS_LIST(ROW)
#undef ROW
    }
    return "unknown status";
}

static void set(tm_error *err, tm_status status, int sys, const char *format, va_list args)
{
    err->status = status;
    err->sys = sys;
    err->hint[0] = err->why[0] = err->code[0] = 0;
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    if (sys && n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(sys));
    tm_utf8_mend(err->text);
}

tm_status tm_fail(tm_error *err, tm_status status, const char *format, ...)
{
    if (!err) return status;
    va_list args;
    va_start(args, format);
    set(err, status, 0, format, args);
    va_end(args);
    return status;
}

tm_status tm_fail_as(tm_error *err, tm_status status, const char *code, const char *format, ...)
{
    if (!err) return status;
    va_list args;
    va_start(args, format);
    set(err, status, 0, format, args);
    va_end(args);
    tm_error_class(err, code);
    return status;
}

static tm_status status_of_errno(int sys)
{
    switch (sys) {
    case ENOSPC:
    case EDQUOT: return TM_ENOSPC;
    case ENOMEM: return TM_ENOMEM;
    case ENOENT: return TM_ENOENT;
    default: return TM_EIO;
    }
}

tm_status tm_fail_errno(tm_error *err, const char *format, ...)
{
    int sys = errno;
    tm_status status = status_of_errno(sys);
    if (!err) return status;
    va_list args;
    va_start(args, format);
    set(err, status, sys, format, args);
    va_end(args);
    if (status == TM_ENOSPC)
        tm_hint(err, "free some space there, or run `tidemill gc --to SIZE`, then run again");
    if (sys == EACCES || sys == EPERM)
        tm_hint(err, "see with `ls -l` who may and change it with chmod or chown, or name another place");
    if (sys == EROFS) tm_hint(err, "nothing can be written in that file system: name another place");
    return status;
}

void tm_hint(tm_error *err, const char *format, ...)
{
    if (!err) return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    tm_utf8_mend(err->hint);
}

void tm_why(tm_error *err, const char *format, ...)
{
    if (!err) return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->why, sizeof err->why, format, args);
    va_end(args);
    tm_utf8_mend(err->why);
}

void tm_error_class(tm_error *err, const char *code)
{
    if (err) snprintf(err->code, sizeof err->code, "%s", code);
}

const char *tm_error_code(const tm_error *err)
{
    if (err->code[0]) return err->code;
    switch (err->status) {
    case TM_ENOENT: return "TM0302";
    case TM_EFORMAT: return "TM0304";
    case TM_EUNSUPPORTED: return "TM0305";
    case TM_EEXIST: return "TM0306";
    case TM_EFAILED: return "TM0401";
    case TM_ENOMEM: return "TM0402";
    case TM_ESTOPPED: return "TM0406";
    case TM_ENOSPC: return "TM0420";
    case TM_EIO: return "TM0421";
    case TM_ERETRY: return "TM0422";
    case TM_ECORRUPT: return "TM0502";
    case TM_EBUSY: return "TM0504";
    default: return "TM0006";
    }
}

tm_status tm_error_prefix(tm_error *err, const char *format, ...)
{
    if (!err) return TM_EFAILED;
    char rest[sizeof err->text];
    memcpy(rest, err->text, sizeof rest);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", rest);
    tm_utf8_mend(err->text);
    return err->status;
}

void tm_error_replace(tm_error *err, const char *what, const char *with)
{
    char *at = err ? strstr(err->text, what) : NULL;
    size_t n = strlen(what), m = strlen(with);
    for (; at && n; at = strstr(at + m, what)) {
        size_t rest = strlen(at + n) + 1;
        if ((size_t)(at - err->text) + m + rest > sizeof err->text) return;
        memmove(at + m, at + n, rest);
        memcpy(at, with, m);
    }
}

void tm_bug(const char *file, int line, const char *what)
{
    fprintf(stderr, "tidemill: bug at %s:%d: %s does not hold\n", file, line, what);
    abort();
}
