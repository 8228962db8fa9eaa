// SPDX-License-Identifier: Apache-2.0
// The doctor on the machine: processor, cores, memory, GPU, limits, clock.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/machine.h"
#include "lua/cli/cli.h"
#include "lua/cli/counts.h"
#include "lua/doctor/doctor.h"
#include "lua/lock/environment.h"

static void processor(const char *folder, tm_finding *f)
{
    (void)folder;
    json_t *environment = tm_environment();
    const char *model = json_string_value(json_object_get(json_object_get(environment, "cpu"), "model"));
    const char *kind = tm_machine_cpu(), *limit = getenv("TM_CPU");
    tm_finding_say(f, "%s; kernels for %s", model && *model ? model : "unknown model",
                   strcmp(kind, "base") == 0 ? "any x86-64" : kind);
    if (limit && *limit) tm_finding_say(f, ", held to that by TM_CPU=%s", limit);
    if (strcmp(kind, "base") == 0)
        tm_finding_set(f, TM_FINDING_WARNING, "training without AVX2 takes several times as long",
                       limit && *limit ? "unset TM_CPU" : "use a machine with AVX2 (2013 and later)");
    json_decref(environment);
}

static void cores(const char *folder, tm_finding *f)
{
    (void)folder;
    int usable = tm_machine_cores(), there = (int)sysconf(_SC_NPROCESSORS_ONLN);
    tm_finding_say(f, "%d", usable);
    if (usable < there)
        tm_finding_say(f, " of %d: this process is held to them (affinity, or its control group)", there);
    if (usable == 1)
        tm_finding_set(f, TM_FINDING_WARNING, "stages cannot work side by side on one core",
                       "give the container or the machine a second one");
}

// A field of /proc/meminfo in bytes, or 0.
static uint64_t meminfo(const char *name)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0) sscanf(line + strlen(name), ": %llu", &kib);
    if (file) fclose(file);
    return (uint64_t)kib * 1024;
}

static void memory(const char *folder, tm_finding *f)
{
    (void)folder;
    char usable[16], there[16], free_now[16];
    uint64_t mine = (uint64_t)tm_machine_memory(), all = meminfo("MemTotal"), now = meminfo("MemAvailable");
    tm_finding_say(f, "%s", tm_size_text(mine, usable));
    if (mine < all) tm_finding_say(f, " of %s: the control group holds it to that", tm_size_text(all, there));
    if (now) tm_finding_say(f, "; %s are free now", tm_size_text(now < mine ? now : mine, free_now));
    if (mine < 2000000000)
        tm_finding_set(f, TM_FINDING_WARNING, "a trainer holds weights, gradients and its tokens in memory",
                       "use smaller models and batches, or 2 GB and more");
    else if (now && now < 500000000)
        tm_finding_set(f, TM_FINDING_WARNING, "a worker that finds no memory fails, and is tried again",
                       "end other programs first");
}

// ---- GPU ----

// The first line of a file that begins with `name`, behind its colon.
static bool field_of(const char *path, const char *name, char *text, size_t size)
{
    char line[256];
    FILE *file = fopen(path, "re");
    text[0] = 0;
    while (file && !text[0] && fgets(line, sizeof line, file)) {
        char *value = strncmp(line, name, strlen(name)) == 0 ? strchr(line, ':') : NULL;
        if (value)
            snprintf(text, size, "%.*s", (int)strcspn(value + 1, "\n"), value + 1 + strspn(value + 1, " \t"));
    }
    if (file) fclose(file);
    text[strcspn(text, "\n")] = 0;
    return text[0] != 0;
}

static int nvidia(tm_finding *f)
{
    static const char *const root = "/proc/driver/nvidia/gpus";
    char path[300], model[128], driver[128];
    int n = 0;
    tm_names names = {0};
    if (tm_dir_list(root, &names, NULL) == TM_OK)
        for (size_t i = 0; i < names.count; i++) {
            snprintf(path, sizeof path, "%s/%.200s/information", root, names.names[i]);
            if (!field_of(path, "Model", model, sizeof model)) continue;
            tm_finding_say(f, "%s%s", n++ ? ", " : "", model);
        }
    tm_names_clear(&names);
    if (n && field_of("/proc/driver/nvidia/version", "NVRM version", driver, sizeof driver))
        tm_finding_say(f, " (driver: %.80s)", driver);
    return n;
}

static void gpu(const char *folder, tm_finding *f)
{
    (void)folder;
    int n = nvidia(f);
    if (!n && tm_file_exists("/dev/nvidia0"))
        n += (tm_finding_say(f, "an NVIDIA device without its driver"), 1);
    if (!n && tm_file_exists("/dev/kfd")) n += (tm_finding_say(f, "an AMD device"), 1);
    if (!n) tm_finding_say(f, "none");
    tm_finding_say(f, "; this build computes on the processor and uses none");
}

// ---- limits, clock ----

static void limits(const char *folder, tm_finding *f)
{
    (void)folder;
    struct rlimit files = {0}, space = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_AS, &space);
    if (files.rlim_cur == RLIM_INFINITY) tm_finding_say(f, "any number of open files");
    else tm_finding_say(f, "%llu open files", (unsigned long long)files.rlim_cur);
    if (files.rlim_cur < 512)
        tm_finding_set(f, TM_FINDING_WARNING,
                       "a run has a socket for each worker and files of its store open", "ulimit -n 1024");
    if (space.rlim_cur != RLIM_INFINITY) {
        char text[16];
        tm_finding_say(f, ", %s of address space", tm_size_text(space.rlim_cur, text));
        tm_finding_set(f, TM_FINDING_WARNING, "models are mapped into the address space",
                       "ulimit -v unlimited");
    }
}

static void clock_is_right(const char *folder, tm_finding *f)
{
    (void)folder;
    char text[64];
    struct stat self = {0};
    struct timespec now = {0}, up = {0};
    struct tm utc;
    tm_sys.clock(CLOCK_REALTIME, &now);
    tm_sys.clock(CLOCK_MONOTONIC, &up);
    time_t seconds = now.tv_sec;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
    tm_finding_say(f, "%s", text);
    if (tm_sys.stat("/proc/self/exe", &self) == 0 && seconds + 86400 < self.st_mtime)
        tm_finding_set(f, TM_FINDING_WARNING,
                       "it is set to before this program was made: ages of results (gc --keep-days) are wrong",
                       "timedatectl set-ntp true, or date -s");
}

const tm_check_row tm_doctor_machine[] = {
    {"processor", processor}, {"cores", cores},   {"memory", memory},
    {"gpu", gpu},             {"limits", limits}, {"clock", clock_is_right},
    {0},
};
