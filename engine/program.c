// SPDX-License-Identifier: Apache-2.0
// Running a program, and the guard above it.
#include "engine/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/io.h"
#include "engine/base/utf8.h"

#define LIFELINE 3        // of the guard
#define NOT_STARTED 127   // exit status of a guard that could not start its program
#define LOOK_MS 100       // how often `stop` is asked
#define LINE_BYTES 900    // the longest line that is told

// ---- the guard ----

static pid_t start_guarded(char **argv)
{
    pid_t pid;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int error = posix_spawnp(&pid, argv[0], NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    if (!error) return pid;
    fprintf(stderr, "%s: %s\n", argv[0], strerror(error));
    return -1;
}

// End as the program did.
static int end_like(int status)
{
    if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

// Kills the children that the guard has now: what the program left in another process group or session is
// among them, as the guard inherits orphans. False if there are none.
static bool kill_children(void)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (n <= 0) return false;
    text[n] = '\0';
    for (char *at = text, *end; *at; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at) break;
        if (*end && pid > 1) kill((pid_t)pid, SIGKILL);  // a number without a blank behind it may be cut
    }
    return true;
}

// The program's group, and whatever else it started. What is killed leaves its own children to the guard.
static void kill_all(pid_t program)
{
    kill(-program, SIGKILL);
    for (int i = 0; i < 1000 && kill_children(); i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        poll(NULL, 0, 1);
    }
}

int tm_program_guard(int argc, char **argv)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    close_range(LIFELINE + 1, ~0u, 0);
    fcntl(LIFELINE, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int signals = signalfd(-1, &child, SFD_CLOEXEC);
    pid_t pid = argc > 2 && signals >= 0 ? start_guarded(argv + 2) : -1;
    if (pid < 0) return NOT_STARTED;
    for (int fd = 0; fd < 3; fd++) close(fd);  // their ends are the program's alone
    int status = 0;
    for (;;) {
        struct pollfd fds[] = {{.fd = LIFELINE, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR) break;
        if (fds[0].revents) break;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            kill_all(pid);
            return end_like(status);
        }
        struct signalfd_siginfo info;
        if (fds[1].revents && read(signals, &info, sizeof info) < 0) break;
    }
    kill_all(pid);
    return NOT_STARTED;
}

// ---- running ----

typedef struct runner {
    const tm_program *program;
    tm_buf *output;
    tm_program_end *end;
    pid_t guard;
    int lifeline, in, out, say;  // our ends, -1 when closed
    size_t written;
    tm_buf line;                 // the line of `say` in the making
} runner;

static void close_end(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static tm_status make_pipe(int *ours, int *theirs, bool we_write, tm_error *err)
{
    int ends[2], high[2];
    if (pipe2(ends, O_CLOEXEC)) return tm_fail_errno(err, "pipe to a program");
    for (int i = 0; i < 2; i++) {
        high[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, 16);  // out of the way of what the guard's ends become
        close(ends[i]);
    }
    *ours = high[we_write];
    *theirs = high[!we_write];
    if (*ours < 0 || *theirs < 0) return tm_fail_errno(err, "pipe to a program");
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    return TM_OK;
}

static tm_status spawn_guard(runner *r, const int theirs[4], tm_error *err)
{
    size_t n = 0;
    while (r->program->argv[n]) n++;
    char **argv = tm_calloc(n + 3, sizeof *argv);
    if (!argv) return tm_fail(err, TM_ENOMEM, "no memory for arguments");
    argv[0] = (char[]){"tidemill"};
    argv[1] = (char[]){TM_PROGRAM_GUARD};
    for (size_t i = 0; i < n; i++) argv[i + 2] = r->program->argv[i];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, theirs[0], 0);
    posix_spawn_file_actions_adddup2(&actions, theirs[1], 1);
    posix_spawn_file_actions_adddup2(&actions, theirs[2], 2);
    posix_spawn_file_actions_adddup2(&actions, theirs[3], LIFELINE);
    posix_spawn_file_actions_addchdir_np(&actions, r->program->folder);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int error = tm_sys.spawn(&r->guard, "/proc/self/exe", &actions, &attributes, argv, r->program->env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    tm_free(argv);
    errno = error;
    return error ? tm_fail_errno(err, "start %s", r->program->argv[0]) : TM_OK;
}

static tm_status start(runner *r, tm_error *err)
{
    int theirs[4] = {-1, -1, -1, -1};
    tm_status status = make_pipe(&r->in, &theirs[0], true, err);
    if (status >= 0 && r->output) status = make_pipe(&r->out, &theirs[1], false, err);
    if (status >= 0) status = make_pipe(&r->say, &theirs[2], false, err);
    if (status >= 0) status = make_pipe(&r->lifeline, &theirs[3], true, err);
    if (status >= 0 && !r->output) theirs[1] = fcntl(theirs[2], F_DUPFD_CLOEXEC, 16);
    if (status >= 0) status = spawn_guard(r, theirs, err);
    for (int i = 0; i < 4; i++) close_end(&theirs[i]);
    return status;
}

// ---- what it says ----

static void end_line(runner *r)
{
    if (!r->line.size) return;
    tm_utf8_mend(r->line.data);
    if (r->program->line) r->program->line(r->program->user, r->line.data);
    char *last = r->end->last;
    size_t n = strlen(last), more = strlen(r->line.data) + 1, size = sizeof r->end->last;
    while (n + more + 1 > size && n) {  // forget the oldest line
        size_t cut = strcspn(last, "\n");
        cut += last[cut] == '\n';
        memmove(last, last + cut, n - cut + 1);
        n -= cut;
    }
    snprintf(last + n, size - n, "%s%s", n ? "\n" : "", r->line.data);
    tm_buf_reset(&r->line);
}

static void add_said(runner *r, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '\n') end_line(r);
        else if (r->line.size < LINE_BYTES) tm_buf_char(&r->line, c == '\t' || c == '\r' ? ' ' : c ? c : '?');
    }
}

// ---- the loop ----

static void write_more(runner *r)
{
    const tm_view *in = &r->program->input;
    while (r->in >= 0 && r->written < in->size) {
        ssize_t n = write(r->in, in->data + r->written, in->size - r->written);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) break;  // it does not want more: its affair
        r->written += (size_t)n;
    }
    close_end(&r->in);
}

// From `out` or `say` until there is nothing now.
static tm_status read_more(runner *r, int *fd, tm_error *err)
{
    char block[65536];
    for (;;) {
        ssize_t n = read(*fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return TM_OK;
        if (n <= 0) {
            close_end(fd);
            return TM_OK;
        }
        if (fd == &r->say) add_said(r, block, (size_t)n);
        else {
            tm_buf_add(r->output, block, (size_t)n);
            if (r->output->size > r->program->max_output)
                return tm_fail_as(err, TM_EFAILED, "TM0416", "the program gave more than %zu MiB",
                                  r->program->max_output >> 20);
            TM_TRY(tm_buf_status(r->output, err));
        }
    }
}

static bool wants_stop(const runner *r)
{
    return r->program->stop && r->program->stop(r->program->user);
}

static tm_status talk(runner *r, tm_error *err)
{
    while (r->out >= 0 || r->say >= 0) {
        struct pollfd fds[] = {{.fd = r->in, .events = POLLOUT},
                               {.fd = r->out, .events = POLLIN},
                               {.fd = r->say, .events = POLLIN}};
        int n = poll(fds, 3, LOOK_MS);
        if (n < 0 && errno != EINTR) return tm_fail_errno(err, "waiting for a program");
        if (wants_stop(r)) return tm_fail(err, TM_ESTOPPED, "stopped");
        if (n <= 0) continue;
        if (fds[0].revents) write_more(r);
        if (fds[1].revents) TM_TRY(read_more(r, &r->out, err));
        if (fds[2].revents) TM_TRY(read_more(r, &r->say, err));
    }
    return TM_OK;
}

// It may go on after it has closed its ends.
static tm_status wait_for_end(runner *r, int *status, tm_error *err)
{
    for (;;) {
        pid_t pid = tm_sys.waitpid(r->guard, status, WNOHANG);
        if (pid == r->guard) {
            r->guard = 0;
            return TM_OK;
        }
        if (pid < 0 && errno != EINTR) return tm_fail_errno(err, "waiting for a program");
        if (wants_stop(r)) return tm_fail(err, TM_ESTOPPED, "stopped");
        poll(NULL, 0, 5);
    }
}

// Whatever is left of it ends now.
static void end_all(runner *r)
{
    close_end(&r->lifeline);
    close_end(&r->in);
    close_end(&r->out);
    close_end(&r->say);
    while (r->guard > 0 && tm_sys.waitpid(r->guard, NULL, 0) < 0 && errno == EINTR) continue;
    tm_buf_clear(&r->line);
}

tm_status tm_program_run(const tm_program *program, tm_buf *output, tm_program_end *end, tm_error *err)
{
    runner r = {
        .program = program, .output = output, .end = end, .lifeline = -1, .in = -1, .out = -1, .say = -1};
    int status = 0;
    *end = (tm_program_end){.status = -1};
    tm_status result = start(&r, err);
    if (result >= 0 && !program->input.size) close_end(&r.in);
    if (result >= 0) result = talk(&r, err);
    if (result >= 0) result = wait_for_end(&r, &status, err);
    if (result >= 0) {
        end_line(&r);
        if (WIFSIGNALED(status)) end->signal = WTERMSIG(status);
        else end->status = WEXITSTATUS(status);
    }
    end_all(&r);
    return result;
}
