// SPDX-License-Identifier: Apache-2.0
// report: what a run did, as one HTML file.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lua/cli/session.h"
#include "lua/past/run_name.h"
#include "lua/report/report.h"

static const tm_flag flags[] = {
    {"--out", 'o', "FILE", "write here (default: report.html beside the run's journal; \"-\": stdout)"},
    {"--compare", 0, NULL, "two runs side by side"},
    {"--samples", 0, "SECONDS", "let the models speak for so long at most (default 10; 0: not at all)"},
    {"--open", 0, NULL, "show it in the browser"},
    {0},
};

typedef struct job {
    const tm_cli *cli;
    tm_store *store;
    bool two;
    double samples;
    char runs[2][32], path[TM_PATH_MAX];
} job;

// Which runs, and where the report goes if nobody says.
static tm_status find_runs(job *j, tm_error *err)
{
    const char *out = tm_cli_flag(j->cli, "--out");
    char folder[TM_PATH_MAX];
    for (int i = 0; i < 1 + j->two; i++)
        TM_TRY(tm_run_name(j->store, j->cli->args[i] ? j->cli->args[i] : "latest", j->runs[i], err));
    if (out) return tm_path(j->path, err, "%s", out);
    if (j->two) return tm_path(j->path, err, "%s-%s.html", j->runs[0], j->runs[1]);
    TM_TRY(tm_run_folder(j->store, j->runs[0], folder, err));
    return tm_path(j->path, err, "%s/report.html", folder);
}

static tm_status make(const job *j, tm_buf *page, tm_error *err)
{
    tm_report_means means = tm_report_patient;
    means.sample_seconds = j->samples;
    if (j->two) return tm_report_compare(j->store, j->runs[0], j->runs[1], page, err);
    return tm_report_page(j->store, j->runs[0], &means, page, err);
}

// The desktop knows which browser. Its output is none of ours.
static tm_status show(const char *path, tm_error *err)
{
    int how = 0;
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(127);
        execlp("xdg-open", "xdg-open", path, (char *)NULL);
        _exit(127);
    }
    if (child < 0) return tm_fail_errno(err, "cannot start xdg-open");
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return TM_OK;
    tm_fail(err, TM_EUNSUPPORTED, "xdg-open could not show %s", path);
    tm_hint(err, "open that file in a browser; it needs nothing else");
    return TM_EUNSUPPORTED;
}

static tm_status put(const tm_cli *cli, const tm_buf *page, const char *path, tm_error *err)
{
    if (strcmp(path, "-") == 0) {
        bool good = fwrite(page->data, 1, page->size, stdout) == page->size && fflush(stdout) == 0;
        return good ? TM_OK : tm_fail_errno(err, "cannot write to stdout");
    }
    TM_TRY(tm_file_write(path, page->data, page->size, false, err));
    char *whole = realpath(path, NULL);
    if (cli->json)
        tm_cli_print(cli,
                     json_pack("{s:s, s:I}", "path", whole ? whole : path, "bytes", (json_int_t)page->size));
    else
        printf("%s\n", path);
    tm_status status = tm_cli_flag(cli, "--open") ? show(whole ? whole : path, err) : TM_OK;
    free(whole);
    return status;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_error err = {0};
    tm_buf page = {0};
    job j = {.cli = cli, .two = tm_cli_flag(cli, "--compare"), .samples = tm_report_patient.sample_seconds};
    if (tm_cli_number(cli, "--samples", 0, &j.samples) != TM_EXIT_OK) return TM_EXIT_USAGE;
    if (j.two && cli->n_args != 2) return tm_cli_usage(cli, "--compare takes two runs");
    if (!j.two && cli->n_args > 1)
        return tm_cli_usage(cli, "one run has one report; --compare puts two side by side");
    int code = tm_session_store(&session, cli, 0);
    j.store = session.store;
    if (code == TM_EXIT_OK) {
        tm_status status = find_runs(&j, &err);
        if (status >= 0) status = make(&j, &page, &err);
        if (status == TM_ENOENT && !err.hint[0])
            tm_hint(&err, "`tidemill runs` lists the runs of this store");
        if (status >= 0) status = put(cli, &page, j.path, &err);
        if (status < 0) code = tm_cli_fail(cli, &err);
    }
    tm_buf_clear(&page);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_report = {
    .name = "report",
    .brief = "Write what a run did as one HTML file: graph, times, curves, documents, measures, samples.",
    .usage = "[RUN [RUN]]",
    .example = "tidemill report r1 --out report.html",
    .max = 2,
    .flags = flags,
    .exec = exec,
};
