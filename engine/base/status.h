// SPDX-License-Identifier: Apache-2.0
// Status codes and the error that travels with them.
//
// A function that can fail returns tm_status and takes a `tm_error *err` as its last parameter. The place
// that notices a failure writes the text, once, with tm_fail(); everybody above passes the code upward with
// TM_TRY(). Positive codes are flow, not failure. `err` may be NULL where the caller wants the code alone.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// code, value, what it means in one line
#define TM_STATUS_LIST(X)                                                      \
    X(OK, 0, "success")                                                        \
    X(AGAIN, 1, "nothing to do now; call again")                               \
    X(DONE, 2, "the sequence has ended")                                       \
    X(EINVAL, -1, "an argument or option is wrong")                            \
    X(ENOMEM, -2, "out of memory")                                             \
    X(EIO, -3, "the system failed a call")                                     \
    X(EFORMAT, -4, "bytes do not have the expected format")                    \
    X(ENOENT, -5, "a thing that was named does not exist")                     \
    X(EEXIST, -6, "a thing that was to be new exists")                         \
    X(EGRAPH, -7, "the graph is wrong")                                        \
    X(ECORRUPT, -8, "stored bytes do not match their hash")                    \
    X(ENOSPC, -9, "no space left")                                             \
    X(ESTOPPED, -10, "stopped on request")                                     \
    X(EFAILED, -11, "a stage failed")                                          \
    X(EUNSUPPORTED, -12, "valid, but not supported here")                      \
    X(EBUSY, -13, "held by another run")                                       \
    X(ERETRY, -14, "temporary; trying again may succeed")

typedef enum {
#define TM_STATUS_ENUM(name, value, text) TM_##name = value,
    TM_STATUS_LIST(TM_STATUS_ENUM)
#undef TM_STATUS_ENUM
} tm_status;

// What went wrong, in words for the user: `text` says what and where with the actual values; `why` and `hint`
// (may be empty) why and how to mend it. All are UTF-8, whatever they were made of: they travel as JSON.
// `sys` is an errno, or 0.
typedef struct tm_error {
    tm_status status;
    int sys;
    char code[8]; // "TM0412", the class of failure (see docs/errors); "": that of its status
    char text[1024];
    char hint[512];
    char why[512];
} tm_error;

// Name of a code ("EFORMAT"); its meaning in one line.
const char *tm_status_name(tm_status status);
const char *tm_status_text(tm_status status);

// Record code and text in `err` (if not NULL) and return the code, for `return tm_fail(err, ...)`.
tm_status tm_fail(tm_error *err, tm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The same with a class of its own instead of that of its status.
tm_status tm_fail_as(tm_error *err, tm_status status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// The same for a failed system call: appends ": strerror(errno)", and maps ENOSPC/EDQUOT, ENOMEM and ENOENT
// to their own codes, everything else to TM_EIO.
tm_status tm_fail_errno(tm_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Add the remedy, the reason, or the class to an error that is already set.
void tm_hint(tm_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tm_why(tm_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tm_error_class(tm_error *err, const char *code);

// The code of an error: its own, or what stands for failures of its status.
const char *tm_error_code(const tm_error *err);

// Put "prefix: " before the text of an error that is already set; returns its status.
tm_status tm_error_prefix(tm_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Every `what` in the text of an error that is already set becomes `with`: a copy's path that of its source.
void tm_error_replace(tm_error *err, const char *what, const char *with);

#define TM_TRY(call)                                                           \
    do {                                                                       \
        tm_status tm_try_status_ = (call);                                     \
        if (tm_try_status_ < 0) return tm_try_status_;                         \
    } while (0)

// Misuse by our own code: prints and aborts, in every build.
_Noreturn void tm_bug(const char *file, int line, const char *what);
#define tm_assert(cond) ((cond) ? (void)0 : tm_bug(__FILE__, __LINE__, #cond))
