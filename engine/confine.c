// SPDX-License-Identifier: Apache-2.0
// A system-call filter for workers that parse bytes from outside.
#include "engine/confine.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <seccomp.h>

static const int refused[] = {
    SCMP_SYS(socket),  SCMP_SYS(connect),    SCMP_SYS(bind),      SCMP_SYS(listen),    SCMP_SYS(execve),
    SCMP_SYS(execveat), SCMP_SYS(ptrace),    SCMP_SYS(mount),     SCMP_SYS(umount2),   SCMP_SYS(chown),
    SCMP_SYS(fchown),  SCMP_SYS(lchown),     SCMP_SYS(fchownat),  SCMP_SYS(setuid),    SCMP_SYS(setgid),
    SCMP_SYS(unshare), SCMP_SYS(setns),      SCMP_SYS(kill),      SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev), SCMP_SYS(bpf), SCMP_SYS(init_module), SCMP_SYS(kexec_load), SCMP_SYS(reboot),
    SCMP_SYS(symlink), SCMP_SYS(symlinkat),  SCMP_SYS(mknod),     SCMP_SYS(mknodat),
};

tm_status tm_confine(tm_error *err)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter) return tm_fail(err, TM_ENOMEM, "no memory for a system-call filter");
    int error = 0;
    for (size_t i = 0; !error && i < sizeof refused / sizeof refused[0]; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    if (!error) error = seccomp_load(filter);
    seccomp_release(filter);
    errno = -error;
    return error ? tm_fail_errno(err, "system-call filter of a worker") : TM_OK;
}
