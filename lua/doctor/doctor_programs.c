// SPDX-License-Identifier: Apache-2.0
// The doctor on programs: this one, its libraries, the processes it starts, git, and the terminal.
#include <errno.h>
#include <locale.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>
#include <lua.h>
#include <seccomp.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include "engine/confine.h"
#include "engine/plan.h"
#include "lua/doctor/doctor.h"
#include "lua/load/load.h"
#include "lua/lock/environment.h"

static void program(const char *folder, tm_finding *f)
{
    (void)folder;
    char path[TM_PATH_MAX];
    json_t *environment = tm_environment(), *about = json_object_get(environment, "program");
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    tm_finding_say(f, "tidemill %s%s%.200s (%s)", json_string_value(json_object_get(about, "version")),
                   path[0] ? ", " : "", path, json_string_value(json_object_get(about, "compiler")));
    json_decref(environment);
}

// Versions of the libraries as they run, which need not be those that the program was built with.
static void libraries(const char *folder, tm_finding *f)
{
    (void)folder;
    const char *name;
    json_t *version, *environment = tm_environment();
    const struct scmp_version *seccomp = seccomp_version();
    unsigned xxh = XXH_versionNumber();
    json_object_foreach(json_object_get(environment, "libraries"), name, version)
        if (strncmp(name, "lua", 3) != 0) tm_finding_say(f, "%s %s, ", name, json_string_value(version));
    tm_finding_say(f, "%s, jansson %s, zstd %s, zlib %s, xxhash %u.%u.%u, seccomp %u.%u.%u", LUA_RELEASE,
                   jansson_version_str(), ZSTD_versionString(), zlibVersion(), xxh / 10000, xxh / 100 % 100,
                   xxh % 100, seccomp->major, seccomp->minor, seccomp->micro);
    if (seccomp->major < 2 || (seccomp->major == 2 && seccomp->minor < 5))
        tm_finding_set(f, TM_FINDING_WARNING, "libseccomp before 2.5 does not know newer system calls",
                       "update libseccomp2");
    json_decref(environment);
}

// A child process confines itself, and must then be refused the network.
static void confinement(const char *folder, tm_finding *f)
{
    (void)folder;
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        bool refused = tm_confine(NULL) == TM_OK && socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM;
        _exit(refused ? 0 : 1);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0) continue;
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        tm_finding_say(f, "workers that read foreign files are confined (seccomp)");
        return;
    }
    tm_finding_say(f, "a process cannot confine itself");
    tm_finding_set(f, TM_FINDING_MISSING, "stages that parse files from elsewhere refuse to work unconfined",
                   "a kernel with CONFIG_SECCOMP_FILTER; in a container: not with a profile that forbids seccomp()");
}

// A graph is evaluated, as every command does it: in a process of its own.
static void graphs(const char *folder, tm_finding *f)
{
    (void)folder;
    static const char text[] = "local tm = require \"tidemill\"\n"
                               "return tm.graph { docs = tm.read { \"*.txt\" } }\n";
    const char *tmp = getenv("TMPDIR");
    char path[TM_PATH_MAX];
    json_t *data = NULL, *catalogue = tm_catalogue();
    char *rows = json_dumps(catalogue, JSON_COMPACT);
    tm_lua_fault *fault = calloc(1, sizeof *fault);
    tm_error err = {0};
    snprintf(path, sizeof path, "%.3000s/tidemill-doctor-%d.lua", tmp && *tmp ? tmp : "/tmp", (int)getpid());
    int64_t start = tm_time_ns();
    tm_status status = fault && rows ? tm_file_write(path, text, sizeof text - 1, false, &err) : TM_ENOMEM;
    tm_status written = status;
    if (status == TM_OK)
        status = tm_graph_eval(&(tm_graph_source){.path = path}, rows, &data, fault, &err);
    tm_file_remove(path, NULL);
    if (status == TM_OK) {
        tm_finding_say(f, "one was evaluated in %.0f ms", (double)(tm_time_ns() - start) / 1e6);
    } else {
        tm_finding_say(f, "evaluating one fails: %.200s", err.text);
        tm_finding_set(f, TM_FINDING_MISSING, "every command that takes a graph does this",
                       !tm_file_exists("/proc/self/exe") ? "mount -t proc proc /proc"
                       : written < 0                     ? "make TMPDIR (or /tmp) writable"
                       : err.hint[0]                     ? err.hint
                                                         : "the message says what the system refused");
    }
    json_decref(data);
    json_decref(catalogue);
    free(rows);
    free(fault);
}

static bool in_path(const char *name, char found[TM_PATH_MAX])
{
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t n = strcspn(at, ":");
        bool there = tm_path(found, NULL, "%.*s/%s", (int)n, at, name) == TM_OK && access(found, X_OK) == 0;
        if (there) return true;
        at += n + (at[n] == ':');
    }
    return false;
}

static void git(const char *folder, tm_finding *f)
{
    (void)folder;
    char path[TM_PATH_MAX];
    if (in_path("git", path)) {
        tm_finding_say(f, "%s", path);
        return;
    }
    tm_finding_say(f, "not there");
    tm_finding_set(f, TM_FINDING_WARNING,
                   "runs cannot record whether the work tree was changed, and which files",
                   "apt-get install git");
}

static void terminal(const char *folder, tm_finding *f)
{
    (void)folder;
    struct winsize size = {0};
    const char *term = getenv("TERM");
    bool is_terminal = isatty(2) && ioctl(2, TIOCGWINSZ, &size) == 0;
    locale_t given = newlocale(LC_CTYPE_MASK, "", NULL);
    const char *codeset = given ? nl_langinfo_l(CODESET, given) : "unknown";
    if (!is_terminal) tm_finding_say(f, "none: plain lines are written");
    else
        tm_finding_say(f, "%s, %u columns%s", term ? term : "of no name", size.ws_col,
                       getenv("NO_COLOR") ? ", NO_COLOR" : "");
    tm_finding_say(f, "; characters: %s", strcmp(codeset, "ANSI_X3.4-1968") == 0 ? "ASCII" : codeset);
    if (is_terminal && strcmp(codeset, "UTF-8") != 0)
        tm_finding_set(f, TM_FINDING_WARNING, "texts are UTF-8: other letters than ASCII look wrong",
                       "export LC_ALL=C.UTF-8");
    if (is_terminal && size.ws_col && size.ws_col < 60)
        tm_finding_set(f, TM_FINDING_WARNING, "tables are wider than this window",
                       "make it 80 columns wide or more");
    if (given) freelocale(given);
}

const tm_check_row tm_doctor_programs[] = {
    {"program", program}, {"libraries", libraries}, {"confinement", confinement}, {"graphs", graphs},
    {"git", git},         {"terminal", terminal},   {0},
};
