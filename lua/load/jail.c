// SPDX-License-Identifier: Apache-2.0
// Resource limits and the seccomp filter of the graph process.
#include "lua/load/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <seccomp.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

void tm_jail_close_from(int first)
{
    if (close_range((unsigned)first, ~0u, 0) == 0) return;
    long n = sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd < (n > 0 && n < 65536 ? n : 65536); fd++) close(fd);
}

static tm_status limit(int resource, rlim_t soft, rlim_t hard, tm_error *err)
{
    struct rlimit old, limit = {soft, hard};
    if (getrlimit(resource, &old) == 0 && old.rlim_max < hard) limit.rlim_max = old.rlim_max;
    if (limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
    return setrlimit(resource, &limit) == 0 ? TM_OK : tm_fail_errno(err, "cannot set limit %d", resource);
}

static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%lu", &pages) != 1) pages = 0;
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static tm_status set_limits(size_t memory_bytes, tm_error *err)
{
    size_t now = address_space();
    TM_TRY(limit(RLIMIT_CPU, TM_JAIL_CPU_SECONDS, TM_JAIL_CPU_SECONDS + 1, err));
    TM_TRY(limit(RLIMIT_CORE, 0, 0, err));
    TM_TRY(limit(RLIMIT_FSIZE, 0, 0, err));
    TM_TRY(limit(RLIMIT_NOFILE, 4, 4, err));
    TM_TRY(limit(RLIMIT_NPROC, 0, 0, err));
    if (!SANITIZED && now) TM_TRY(limit(RLIMIT_AS, now + memory_bytes, now + memory_bytes, err));
    return TM_OK;
}

// What a single-threaded program needs that computes and talks over what it has open.
static int allow_all(scmp_filter_ctx filter)
{
    static const int calls[] = {
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(brk),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        SCMP_SYS(futex),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(sigaltstack), // the last is a sanitizer's, which looks at its stack at every longjmp
    };
    int status = 0;
    size_t n = sizeof calls / sizeof *calls - !SANITIZED;
    for (size_t i = 0; i < n && status == 0; i++)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    // Memory of its own, never executable.
    if (status == 0)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                                  SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    if (status == 0)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return status;
}

tm_status tm_jail_enter(size_t memory_bytes, tm_error *err)
{
    TM_TRY(set_limits(memory_bytes, err));
    if (prctl(PR_SET_DUMPABLE, SANITIZED, 0, 0, 0) < 0) return tm_fail_errno(err, "cannot forbid tracing");
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter) return tm_fail(err, TM_ENOMEM, "no memory for a system call filter");
    int status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (status == 0) status = allow_all(filter);
    if (status == 0) status = seccomp_load(filter);
    seccomp_release(filter);
    errno = -status;
    return status == 0 ? TM_OK : tm_fail_errno(err, "cannot filter system calls");
}
