// SPDX-License-Identifier: Apache-2.0
// The environment of a run.
#include "lua/lock/environment.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/base/file_memory.h"
#include "engine/base/machine.h"
#include "engine/stage.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

// What stands behind "NAME" and `sign` on the first such line of a file, without quotes.
static void read_field(const char *path, const char *name, char sign, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    char line[512];
    text[0] = 0;
    while (file && !text[0] && fgets(line, sizeof line, file)) {
        char *value = strncmp(line, name, strlen(name)) == 0 ? strchr(line, sign) : NULL;
        if (!value) continue;
        value += 1 + strspn(value + 1, " \t\"");
        snprintf(text, size, "%.*s", (int)strcspn(value, "\"\n"), value);
    }
    if (file) fclose(file);
}

static json_t *processor(void)
{
    char model[256];
    read_field("/proc/cpuinfo", "model name", ':', model, sizeof model);
    return json_pack("{s:s, s:s}", "model", model, "kind", tm_machine_cpu());
}

// The hash of the program's file tells builds apart that call themselves by the same version.
static json_t *program(void)
{
    char hex[TM_HASH_HEX] = "";
    tm_hash hash;
    if (tm_file_hash("/proc/self/exe", NULL, &hash, NULL) >= 0) tm_hash_hex(hash, hex);
    return json_pack("{s:s, s:s, s:s}", "version", TM_VERSION, "compiler", COMPILER, "hash", hex);
}

// Rows name their libraries as "gumbo 0.10.1".
static json_t *libraries(void)
{
    json_t *all = json_pack("{s:s}", "libc", gnu_get_libc_version());
    for (const tm_stage *const *row = tm_stages; *row; row++) {
        const char *version = (*row)->libraries ? strchr((*row)->libraries, ' ') : NULL;
        char name[64];
        if (!version) continue;
        snprintf(name, sizeof name, "%.*s", (int)(version - (*row)->libraries), (*row)->libraries);
        json_object_set_new(all, name, json_string(version + 1));
    }
    return all;
}

// Variables of the environment that decide how this program computes.
static json_t *switches(void)
{
    static const char *const names[] = {"TM_CPU"};
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value) json_object_set_new(all, names[i], json_string(value));
    }
    return all;
}

static const char *locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return value;
    }
    return "C";
}

static void zone(char *text, size_t size)
{
    char path[256];
    const char *set = getenv("TZ");
    ssize_t n = set ? 0 : readlink("/etc/localtime", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    const char *name = strstr(path, "zoneinfo/");
    snprintf(text, size, "%s", set ? set : name ? name + 9 : "UTC");
}

json_t *tm_environment(void)
{
    struct utsname system = {0};
    char name[256], where[256];
    uname(&system);
    read_field("/etc/os-release", "PRETTY_NAME", '=', name, sizeof name);
    zone(where, sizeof where);
    json_t *all = json_pack("{s:o, s:i, s:I, s:s, s:s, s:s, s:o, s:o, s:o}", "cpu", processor(), "cores",
                            tm_machine_cores(), "memory", (json_int_t)tm_machine_memory(), "system", name,
                            "kernel", system.release, "machine", system.machine, "program", program(),
                            "libraries", libraries(), "switches", switches());
    if (!all) return json_object();
    json_object_set_new(all, "locale", json_string(locale()));
    json_object_set_new(all, "zone", json_string(where));
    return all;
}
