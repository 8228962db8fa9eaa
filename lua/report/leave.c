// SPDX-License-Identifier: Apache-2.0
// The report that a run leaves, made by a process of its own: whatever happens to it, the run has ended well.
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lua/report/report.h"

#define MOST_SECONDS 10  // then the system ends it

static tm_status write_report(tm_store *store, const char *run, const char *path, tm_error *err)
{
    tm_buf page = {0};
    tm_status status = tm_report_page(store, run, &tm_report_quick, &page, err);
    if (status >= 0) status = tm_file_write(path, page.data, page.size, false, err);
    tm_buf_clear(&page);
    return status;
}

// The child shares the store's locks with the parent, and so closes nothing.
static void make_and_exit(tm_store *store, const char *run, const char *path)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGALRM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm(MOST_SECONDS);
    _exit(write_report(store, run, path, NULL) < 0);
}

tm_status tm_report_leave(tm_store *store, const char *run, char path[TM_PATH_MAX], tm_error *err)
{
    char folder[TM_PATH_MAX];
    int how = 0;
    TM_TRY(tm_run_folder(store, run, folder, err));
    TM_TRY(tm_path(path, err, "%s/report.html", folder));
    pid_t child = fork();
    if (child < 0) return tm_fail_errno(err, "cannot start a process");
    if (child == 0) make_and_exit(store, run, path);
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return TM_OK;
    if (WIFSIGNALED(how))
        tm_fail(err, TM_EFAILED, "the process that made it was ended by signal %d", WTERMSIG(how));
    else tm_fail(err, TM_EFAILED, "it could not be made");
    tm_hint(err, "`tidemill report %s` tries again and says why", run);
    return TM_EFAILED;
}
