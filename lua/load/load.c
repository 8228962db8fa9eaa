// SPDX-License-Identifier: Apache-2.0
// The parent's side of the graph process: start it, answer it, judge how it ended.
#include "lua/load/load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lua/cli/explained.h"
#include "lua/load/child.h"
#include "lua/load/frame.h"
#include "lua/load/jail.h"
#include "lua/load/load_files.h"
#include "stages/script/sandbox.h"

#define REPORT "please report this graph file as a bug"

enum { WALL_MS = 8000, LOG_LINES = 70000 };

typedef struct talk {
    const tm_graph_source *source;
    tm_graph_files files;
    int fd;              // socket to the child
    pid_t pid;
    tm_trail *trail;     // page that the child writes where it is
    int trail_fd;
    int64_t deadline;    // ms, monotonic
    json_t *log, *result;
    tm_lua_fault *fault;
} talk;

// ---- faults ----

static tm_status fault_set(talk *t, tm_error *err, const char *code, const char *what, const char *fix)
{
    tm_diag *diag = &t->fault->diag;
    TM_DIAG(diag->code, "%s", code);
    TM_DIAG(diag->what, "%s", what);
    TM_DIAG(diag->fix, "%s", fix ? fix : "");
    if (!diag->file[0]) TM_DIAG(diag->file, "%s", tm_graph_files_name(&t->files));
    char place[300];
    snprintf(place, sizeof place, diag->line ? "%s:%d" : "%s", diag->file, diag->line);
    tm_fail(err, TM_EGRAPH, "%s: %.500s", place, what);
    if (fix) tm_hint(err, "%s", fix);
    return TM_EGRAPH;
}

// Put the fault where the child was last seen. The page is the child's, so nothing in it is believed.
static void place_at_trail(talk *t)
{
    tm_trail trail;
    memcpy(&trail, t->trail, sizeof trail);
    trail.file[sizeof trail.file - 1] = 0;
    tm_sandbox_clean(t->fault->diag.file, sizeof t->fault->diag.file, trail.file, strlen(trail.file));
    t->fault->diag.line = trail.line > 0 && t->fault->diag.file[0] ? trail.line : 0;
}

static tm_status fault_of_time(talk *t, tm_error *err, const char *what)
{
    place_at_trail(t);
    return fault_set(t, err, "TM0122", what,
                     "a graph file only describes work: look for what does not end here");
}

static tm_status fault_of_death(talk *t, int status, tm_error *err)
{
    char what[160];
    place_at_trail(t);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
        snprintf(what, sizeof what, "the graph needs more than %d s of CPU time to evaluate",
                 TM_JAIL_CPU_SECONDS);
        return fault_of_time(t, err, what);
    }
    if (WIFSIGNALED(status))
        snprintf(what, sizeof what, "the graph process died of signal %d", WTERMSIG(status));
    else
        snprintf(what, sizeof what, "the graph process ended without an answer (code %d)",
                 WEXITSTATUS(status));
    return fault_set(t, err, "TM0125", what, REPORT);
}

static void copy_field(const json_t *json, const char *key, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(json, key));
    tm_sandbox_clean(to, size, text ? text : "", text ? strlen(text) : 0);
}

// What is said of "tm.split: ..." is looked for in the call of split.
static void find_owner(const char *what, char *owner, size_t size)
{
    size_t n = strncmp(what, "tm.", 3) == 0 ? strspn(what + 3, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
    snprintf(owner, size, "%.*s", what[n ? n + 3 : 0] == ':' ? (int)n : 0, what + 3 * (n > 0));
}

static void read_diag(const json_t *json, tm_diag *diag)
{
    char code[16];
    copy_field(json, "code", code, sizeof code);
    TM_DIAG(diag->code, "%.7s", code);
    copy_field(json, "text", diag->what, sizeof diag->what);
    copy_field(json, "hint", diag->fix, sizeof diag->fix);
    copy_field(json, "word", diag->word, sizeof diag->word);
    copy_field(json, "file", diag->file, sizeof diag->file);
    find_owner(diag->what, diag->owner, sizeof diag->owner);
    diag->line = (int)json_integer_value(json_object_get(json, "line"));
}

static void read_more(const json_t *list, tm_lua_fault *fault)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)list, i, one)
    {
        tm_explained known;
        tm_diag diag = {0};
        read_diag(one, &diag);
        if (fault->n_more < TM_MORE_FAULTS && tm_explained_find(diag.code, &known))
            fault->more[fault->n_more++] = diag;
    }
}

static tm_status fault_of_json(talk *t, const tm_buf *body, tm_error *err)
{
    json_t *json = json_loadb(body->data, body->size, 0, NULL);
    char code[16], what[512], fix[512];
    tm_diag *diag = &t->fault->diag;
    read_diag(json, diag);
    memcpy(what, diag->what, sizeof what);
    memcpy(fix, diag->fix, sizeof fix);
    copy_field(json, "code", code, sizeof code);
    read_more(json_object_get(json, "more"), t->fault);
    const char *trace = json_string_value(json_object_get(json, "traceback"));
    snprintf(t->fault->traceback, sizeof t->fault->traceback, "%s", trace ? trace : "");
    for (char *c = t->fault->traceback; *c; c++)
        if ((unsigned char)*c < 0x20 && *c != '\n') *c = '?';
    json_decref(json);
    tm_explained known;
    if (!tm_explained_find(code, &known))
        return fault_set(t, err, "TM0125", "the graph process gave no answer that can be read", REPORT);
    bool raised = !fix[0] && strcmp(code, "TM0102") == 0;
    if (raised) snprintf(fix, sizeof fix, "print(...) before that line shows what the values are");
    return fault_set(t, err, code, what, fix[0] ? fix : NULL);
}

// ---- the wire ----

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// TM_OK when the socket is ready, TM_DONE when time is up.
static tm_status wait_ready(talk *t, short events, tm_error *err)
{
    for (;;) {
        int64_t left = t->deadline - now_ms();
        if (left <= 0) return TM_DONE;
        struct pollfd poll_fd = {.fd = t->fd, .events = events};
        int n = poll(&poll_fd, 1, (int)left);
        if (n > 0) return TM_OK;
        if (n < 0 && errno != EINTR) return tm_fail_errno(err, "waiting for the graph process");
    }
}

// TM_DONE: time is up, or the other side is gone.
static tm_status put_bytes(talk *t, const char *data, size_t size, tm_error *err)
{
    while (size) {
        ssize_t n = send(t->fd, data, size, MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) {
            tm_status status = wait_ready(t, POLLOUT, err);
            if (status != TM_OK) return status;
        } else if (errno != EINTR) {
            return TM_DONE;
        }
    }
    return TM_OK;
}

static tm_status get_bytes(talk *t, char *data, size_t size, tm_error *err)
{
    while (size) {
        ssize_t n = recv(t->fd, data, size, 0);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            tm_status status = wait_ready(t, POLLIN, err);
            if (status != TM_OK) return status;
        } else if (n == 0 || (errno != EINTR && errno != ECONNRESET)) {  // a reset hides no last words
            return TM_DONE;
        }
    }
    return TM_OK;
}

// A frame of up to two pieces, the first with its NUL if there is a second.
static tm_status put_frame(talk *t, char kind, const char *first, const char *second, size_t n_second,
                           tm_error *err)
{
    char head[TM_FRAME_HEAD];
    size_t n_first = strlen(first) + (second != NULL);
    tm_frame_head(head, kind, n_first + n_second);
    tm_status status = put_bytes(t, head, sizeof head, err);
    if (status == TM_OK) status = put_bytes(t, first, n_first, err);
    if (status == TM_OK && second) status = put_bytes(t, second, n_second, err);
    return status;
}

static tm_status get_frame(talk *t, char *kind, tm_buf *body, tm_error *err)
{
    char head[TM_FRAME_HEAD];
    tm_status status = get_bytes(t, head, sizeof head, err);
    if (status != TM_OK) return status;
    size_t size = tm_le32(head + 1);
    if (size > TM_FRAME_MAX) return tm_fail(err, TM_EFORMAT, "the graph process sends %zu bytes", size);
    tm_buf_reset(body);
    if (!tm_buf_reserve(body, size + 1)) return tm_buf_status(body, err);
    status = get_bytes(t, body->data, size, err);
    body->size = size;
    body->data[size] = 0;
    *kind = head[0];
    return status;
}

// ---- starting ----

// Descriptors that posix_spawn's actions cannot tread on.
static int lift(int fd)
{
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
    if (fd >= 0) close(fd);
    return high;
}

static tm_status make_trail(talk *t, tm_error *err)
{
    t->trail_fd = lift(memfd_create("tidemill-trail", MFD_CLOEXEC));
    if (t->trail_fd < 0 || ftruncate(t->trail_fd, sizeof(tm_trail)) < 0)
        return tm_fail_errno(err, "memory shared with the graph process");
    void *page = mmap(NULL, sizeof(tm_trail), PROT_READ | PROT_WRITE, MAP_SHARED, t->trail_fd, 0);
    if (page == MAP_FAILED) return tm_fail_errno(err, "memory shared with the graph process");
    t->trail = page;
    return TM_OK;
}

// The child's environment: one locale, no threads, and what the loader and a sanitizer need.
static void make_environment(char *list[8], char text[6][1024])
{
    static const char *const kept[] = {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
    size_t n = 2;
    snprintf(text[0], 1024, "LC_ALL=C");
    snprintf(text[1], 1024, "OMP_NUM_THREADS=1");
    for (size_t i = 0; i < 4; i++) {
        const char *value = getenv(kept[i]);
        if (value && snprintf(text[n], 1024, "%s=%s", kept[i], value) < 1024) n++;
    }
    for (size_t i = 0; i < n; i++) list[i] = text[i];
    list[n] = NULL;
}

static int start(talk *t, int child_fd, const char *program)
{
    char text[6][1024], *environment[8];
    char *const arguments[] = {(char[]){"tidemill"}, (char[]){TM_GRAPH_CHILD}, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    make_environment(environment, text);
    if (posix_spawn_file_actions_init(&actions) != 0) return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int fault = posix_spawn_file_actions_adddup2(&actions, child_fd, 0);
    if (!fault) fault = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (!fault && !getenv("ASAN_OPTIONS"))  // a sanitizer's report is to be seen
        fault = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (!fault) fault = posix_spawn_file_actions_adddup2(&actions, t->trail_fd, 3);
    if (!fault) fault = posix_spawn(&t->pid, program, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return fault;
}

static tm_status start_child(talk *t, const char *program, tm_error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return tm_fail_errno(err, "socketpair");
    t->fd = lift(pair[0]);
    int child_fd = lift(pair[1]);
    int fault = t->fd < 0 || child_fd < 0 ? EMFILE : start(t, child_fd, program);
    if (child_fd >= 0) close(child_fd);
    errno = fault;
    if (fault) return tm_fail_errno(err, "cannot start the graph process %s", program);
    if (fcntl(t->fd, F_SETFL, O_NONBLOCK) < 0) return tm_fail_errno(err, "fcntl");
    return TM_OK;
}

// ---- the conversation ----

static tm_status introduce(talk *t, const char *catalogue, const tm_buf *text, tm_error *err)
{
    const tm_graph_source *source = t->source;
    tm_status status = put_frame(t, 'c', catalogue, NULL, 0, err);
    for (size_t i = 0; i < source->n_params && status == TM_OK; i++)
        status = put_frame(t, source->params[i].maybe ? 'm' : 'p', source->params[i].name,
                           source->params[i].text, strlen(source->params[i].text), err);
    if (status != TM_OK) return status;
    return put_frame(t, 's', tm_graph_files_name(&t->files), text->data ? text->data : "", text->size, err);
}

static tm_status serve_file(talk *t, const char *name, tm_error *err)
{
    tm_buf text = {0};
    char path[256];
    tm_error why = {0};
    tm_status status = tm_graph_files_require(&t->files, name, path, &text, &why);
    if (status == TM_OK) status = put_frame(t, 'f', path, text.data ? text.data : "", text.size, err);
    else
        status = put_frame(t, 'n', why.text, why.hint, strlen(why.hint), err);
    tm_buf_clear(&text);
    return status;
}

static void note_line(talk *t, const tm_buf *body)
{
    char line[1024];
    if (json_array_size(t->log) >= LOG_LINES) return;
    tm_sandbox_clean(line, sizeof line, body->data, body->size);
    json_array_append_new(t->log, json_string(line));
    if (t->source->print) t->source->print(t->source->user, line);
}

static tm_status take_result(talk *t, const tm_buf *body, tm_error *err)
{
    t->result = json_loadb(body->data, body->size, 0, NULL);
    static const char *const parts[] = {"nodes", "params", "targets"};
    bool whole = true;
    for (int i = 0; i < 3; i++) whole = whole && json_is_array(json_object_get(t->result, parts[i]));
    return whole ? TM_OK
                 : fault_set(t, err, "TM0125", "the graph process gave no graph",
                             REPORT);
}

// TM_DONE: the child is silent or gone.
static tm_status converse(talk *t, tm_buf *body, tm_error *err)
{
    for (;;) {
        char kind = 0;
        tm_status status = get_frame(t, &kind, body, err);
        if (status != TM_OK) return status;
        if (kind == 'r') status = serve_file(t, body->data, err);
        else if (kind == 'l') note_line(t, body);
        else if (kind == 'x') return fault_of_json(t, body, err);
        else if (kind == 'j') return take_result(t, body, err);
        else return tm_fail(err, TM_EFORMAT, "the graph process sends a message of kind %d", kind);
        if (status != TM_OK) return status;
    }
}

static int end_child(talk *t)
{
    int status = 0;
    struct rusage usage = {0};
    bool late = now_ms() >= t->deadline;
    if (late || t->result) kill(t->pid, SIGKILL);
    while (wait4(t->pid, &status, 0, &usage) < 0 && errno == EINTR) {}
    t->fault->max_rss_kib = usage.ru_maxrss;
    return status;
}

static tm_status evaluate(talk *t, const char *catalogue, const tm_buf *text, tm_error *err)
{
    tm_buf body = {0};
    TM_TRY(make_trail(t, err));
    TM_TRY(start_child(t, t->source->program ? t->source->program : "/proc/self/exe", err));
    tm_status status = introduce(t, catalogue, text, err);
    if (status >= 0) status = converse(t, &body, err);  // also of one that did not listen to the end
    tm_buf_clear(&body);
    shutdown(t->fd, SHUT_RDWR);
    bool late = now_ms() >= t->deadline;
    if (status < 0) kill(t->pid, SIGKILL);
    int ended = end_child(t);
    if (status == TM_DONE && late) return fault_of_time(t, err, "the graph needs more than 8 s to evaluate");
    return status == TM_DONE ? fault_of_death(t, ended, err) : status;
}

static tm_status finish(talk *t, json_t **out, tm_error *err)
{
    json_t *files = tm_graph_files_json(&t->files);
    if (!files || json_object_set(t->result, "log", t->log) < 0 ||
        json_object_set_new(t->result, "files", files) < 0)
        return tm_fail(err, TM_ENOMEM, "no memory for the graph");
    *out = json_incref(t->result);
    return TM_OK;
}

tm_status tm_graph_eval(const tm_graph_source *source, const char *catalogue, json_t **out,
                        tm_lua_fault *fault, tm_error *err)
{
    talk t = {.source = source,
              .fd = -1,
              .trail_fd = -1,
              .fault = fault,
              .log = json_array(),
              .deadline = now_ms() + WALL_MS};
    tm_buf text = {0};
    *fault = (tm_lua_fault){0};
    *out = NULL;
    tm_status status = tm_graph_files_open(&t.files, source->path, source->text, &text, err);
    if (status < 0) {
        TM_DIAG(fault->diag.code, "TM0100");
        TM_DIAG(fault->diag.what, "%.500s", err ? err->text : source->path);
        TM_DIAG(fault->diag.file, "%s", tm_graph_files_name(&t.files));
    } else {
        status = evaluate(&t, catalogue, &text, err);
        if (status == TM_OK) status = finish(&t, out, err);
    }
    if (t.fd >= 0) close(t.fd);
    if (t.trail_fd >= 0) close(t.trail_fd);
    if (t.trail) munmap(t.trail, sizeof *t.trail);
    json_decref(t.log);
    json_decref(t.result);
    tm_buf_clear(&text);
    tm_graph_files_close(&t.files);
    return status;
}
