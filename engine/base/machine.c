// SPDX-License-Identifier: Apache-2.0
// Cores and memory, from the scheduler's mask and the files of control groups (version 2, then version 1).
#include "engine/base/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The first one or two numbers of a file; how many there were.
static int read_numbers(const char *path, long long numbers[2])
{
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    int n = fscanf(file, "%lld %lld", &numbers[0], &numbers[1]);
    fclose(file);
    return n;
}

// CPU time over a period, in whole cores rounded up; 0: no limit.
static int quota_cores(void)
{
    long long v[2] = {0}, period[2] = {0};
    if (read_numbers("/sys/fs/cgroup/cpu.max", v) == 2)
        period[0] = v[1];
    else if (read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", v) < 1 ||
             read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period) < 1)
        return 0;
    return v[0] > 0 && period[0] > 0 ? (int)((v[0] + period[0] - 1) / period[0]) : 0;
}

int tm_machine_cores(void)
{
    cpu_set_t set;
    int cores =
        sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = quota_cores();
    if (quota > 0 && quota < cores) cores = quota;
    return cores > 0 ? cores : 1;
}

int64_t tm_machine_memory(void)
{
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE);
    long long limit[2] = {0};
    if ((read_numbers("/sys/fs/cgroup/memory.max", limit) >= 1 ||
         read_numbers("/sys/fs/cgroup/memory/memory.limit_in_bytes", limit) >= 1) &&
        limit[0] > 0 && limit[0] < bytes)
        bytes = limit[0];
    return bytes;
}

int64_t tm_machine_peak(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long long kib = 0;
    while (file && !kib && fgets(line, sizeof line, file)) sscanf(line, "VmHWM: %lld", &kib);
    if (file) fclose(file);
    return kib * 1024;
}

void tm_machine_peak_reset(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}

#ifdef __x86_64__
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

const char *tm_machine_cpu(void)
{
#ifdef __x86_64__
    const char *limit = getenv("TM_CPU");
    bool base = limit && strcmp(limit, "base") == 0, avx2 = limit && strcmp(limit, "avx2") == 0;
    if (!base && !avx2 && has_avx512()) return "avx512";
    if (!base && has_avx2()) return "avx2";
#endif
    return "base";
}
