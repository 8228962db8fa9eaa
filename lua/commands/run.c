// SPDX-License-Identifier: Apache-2.0
// run: bring everything that a graph returns up to date.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/called.h"
#include "engine/run.h"
#include "engine/store_gc.h"
#include "lua/cli/again.h"
#include "lua/cli/failure.h"
#include "lua/cli/session.h"
#include "lua/console/console.h"
#include "lua/console/summary.h"
#include "lua/damage.h"
#include "lua/estimate.h"
#include "lua/load/graph_texts.h"
#include "lua/lock/environment.h"
#include "lua/lock/git.h"
#include "lua/lock/locked.h"
#include "lua/past/kept_metrics.h"
#include "lua/past/label.h"
#include "lua/place.h"
#include "lua/report/report.h"
#include "lua/secrets.h"
#include "lua/send/live.h"

static const tm_flag flags[] = {
    TM_GRAPH_FLAGS,
    TM_CHOICE_FLAGS,
    TM_LOCK_FLAGS,
    TM_SMOKE_FLAG,
    {"--keep-going", 'k', NULL, "after a failure run what does not depend on it"},
    {"--cores", 'j', "N", "lend N cores (default: those this process may use)"},
    {"--console", 0, "live|plain", "what is shown meanwhile (default: live on a terminal, else plain lines)"},
    {"--quiet", 'q', NULL, "no progress, only errors and the summary"},
    TM_LABEL_FLAGS,
    {0},
};

// Facts of this run for its journal.
static json_t *facts(const tm_cli *cli, const tm_session *session)
{
    char *path = realpath(session->graph->file, NULL);
    json_t *args = json_array();
    for (int i = 0; i < cli->n_args; i++) json_array_append_new(args, json_string(cli->args[i]));
    for (int i = 0; i < cli->n_given; i++) {
        json_array_append_new(args, json_string(cli->given[2 * i]));
        if (cli->given[2 * i + 1][0]) json_array_append_new(args, json_string(cli->given[2 * i + 1]));
    }
    json_t *all = json_pack("{s:s, s:o, s:s, s:O?, s:I, s:o}", "path", path ? path : session->graph->file,
                            "args", args, "version", TM_VERSION, "files", session->graph->files, "pid",
                            (json_int_t)getpid(), "environment", tm_environment());
    if (session->graph->smoke) json_object_set_new(all, "smoke", json_true());
    json_t *git = tm_git_state(session->graph->folder, session->graph->files);
    if (git) json_object_set_new(all, "git", git);
    json_object_set_new(all, "texts", tm_graph_texts(session->graph));
    tm_label_say(cli, all);
    free(path);
    return all;
}

// Where results go; and that the commit on record does not say all, if it does not.
static void say_where(const tm_session *session, const json_t *git)
{
    char text[320];
    fprintf(stderr, "store %s\n", tm_store_folder(session->store));
    if (session->graph->smoke)
        fprintf(stderr, "smoke %d records of each source, %s steps of each trainer: no results\n",
                TM_SMOKE_RECORDS, TM_SMOKE_STEPS);
    if (tm_git_dirty(git)) fprintf(stderr, "git   %s\n", tm_git_text(git, text, sizeof text));
}

// What the work will need, if there is any. What will not fit is said before it begins.
static bool look_at_needs(const tm_session *session, tm_needs *needs)
{
    char text[160];
    bool work = false;
    for (size_t g = 0; g < session->plan->n_groups; g++) work |= session->plan->groups[g].state != TM_CACHED;
    if (!work || tm_needs_of(session->plan, session->home, needs, NULL) < 0) return false;
    if (tm_needs_too_much(needs, text, sizeof text)) fprintf(stderr, "warning: %s\n", text);
    return true;
}

static int exit_status(tm_status status, const tm_run_result *result)
{
    if (status == TM_ESTOPPED) return 128 + result->signal;
    switch (status == TM_EFAILED ? result->error.status : status) {
    case TM_OK: return TM_EXIT_OK;
    case TM_ENOSPC:
    case TM_ENOMEM: return TM_EXIT_RESOURCES;
    case TM_ECORRUPT: return TM_EXIT_CORRUPT;
    default: return status < 0 ? TM_EXIT_FAILED : TM_EXIT_OK;
    }
}

// What a smoke run showed, and the run that it was for.
static void print_smoke(const tm_cli *cli, const tm_session *session, tm_status status)
{
    if (!session->graph->smoke || status == TM_ESTOPPED) return;
    if (status >= 0)
        tm_called_print(
            stdout,
            "smoke: every node works on what the others give it (at most %d records of each source, %s"
            " steps of each trainer); numbers mean nothing, and no other run uses them\n"
            "real:  tidemill run",
            TM_SMOKE_RECORDS, TM_SMOKE_STEPS);
    else
        tm_called_print(
            stdout,
            "smoke: at most %d records came from each source; if that alone is the fault: tidemill run",
            TM_SMOKE_RECORDS);
    for (int i = 0; i < cli->n_args; i++) printf(" %s", cli->args[i]);
    for (int i = 0; i < cli->n_given; i++)
        if (strcmp(cli->given[2 * i], "--smoke") != 0)
            printf(" %s%s%s", cli->given[2 * i], cli->given[2 * i + 1][0] ? " " : "", cli->given[2 * i + 1]);
    putchar('\n');
}

// What failed, or could not be put where it is wanted. `diags` has none if all went well.
static void tell(const tm_cli *cli, const tm_session *session, tm_status status, const tm_run_result *result,
                 const tm_error *err, const tm_error *placing, tm_diags *diags)
{
    if (status == TM_EFAILED)
        tm_failure_tell(session->plan, result, err, cli, diags);
    else if (status < 0 && status != TM_ESTOPPED && placing->status >= 0)
        tm_diag_error(tm_diag_add(diags, "", NULL, 0), err);
    if (placing->status < 0) tm_diag_error(tm_diag_add(diags, "", NULL, 0), placing);
    for (size_t i = 0; i < diags->n && i < sizeof diags->items / sizeof *diags->items; i++)
        tm_again_store(cli, diags->items[i].fix, sizeof diags->items[i].fix);
}

static json_t *as_json(const tm_session *session, tm_status status, const tm_run_result *result,
                       const json_t *placed, const json_t *locked, const tm_diags *diags)
{
    json_t *all = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:s, s:O, s:O?}", "run", result->run,
                            "status", tm_summary_state(status), "done", result->done, "cached", result->cached,
                            "failed", result->failed, "not_run", result->skipped, "seconds", result->seconds,
                            "failed_node", result->failed_node, "placed", placed, "locked", locked);
    if (session->graph->smoke) json_object_set_new(all, "smoke", json_true());
    json_t *errors = tm_diags_json(diags, session->graph->folder);
    if (json_array_size(errors)) json_object_set(all, "error", json_array_get(errors, 0));
    if (json_array_size(errors)) json_object_set(all, "errors", errors);
    json_decref(errors);
    return all;
}

// What this run did as a page. A report that could not be written is no failure of the run.
static bool leave_report(const tm_cli *cli, const tm_session *session, const char *run,
                         char path[TM_PATH_MAX])
{
    tm_error err = {0};
    if (tm_report_leave(session->store, run, path, &err) >= 0) return true;
    if (!cli->json) fprintf(stderr, "there is no report of this run: %s\n", err.text);
    return false;
}

// Its results may go, these numbers stay. That they could not be written is no failure of the run either.
static void keep_metrics(const tm_cli *cli, const tm_session *session, const char *run)
{
    tm_error err = {0};
    if (tm_kept_metrics_write(session->store, run, &err) < 0 && !cli->json)
        fprintf(stderr, "the metrics of this run are in its results alone: %s\n", err.text);
}

// What came of one run.
typedef struct outcome {
    tm_status status;
    tm_run_result result;
    tm_error err, placing;
    json_t *placed;
} outcome;

static int finish(tm_cli *cli, tm_session *session, const outcome *o, const json_t *given_up)
{
    const tm_run_result *result = &o->result;
    tm_status status = o->status;
    json_t *placed = o->placed;
    if (!result->run[0]) return tm_cli_fail(cli, &o->err);
    tm_diags *diags = calloc(1, sizeof *diags);
    if (!diags) return TM_EXIT_RESOURCES;
    tell(cli, session, status, result, &o->err, &o->placing, diags);
    json_t *locked = status == TM_OK ? tm_locked_results(session) : NULL;
    char report[TM_PATH_MAX];
    keep_metrics(cli, session, result->run);
    bool reported = leave_report(cli, session, result->run, report);
    if (cli->json) {
        json_t *all = as_json(session, status, result, placed, locked, diags);
        if (reported) json_object_set_new(all, "report", json_string(report));
        if (json_array_size(given_up)) json_object_set(all, "damage_in", (json_t *)given_up);
        tm_cli_print(cli, all);
    } else {
        tm_summary_print(session->plan, status, result, placed);
        print_smoke(cli, session, status);
        if (reported) printf("report: %s\n", report);
        fflush(stdout);
        tm_diags_print(diags, session->graph->folder, stderr, cli->colour);
    }
    free(diags);
    int code = exit_status(status, result);
    int as_pinned = tm_locked_results_print(session, locked, cli->json);
    json_decref(locked);
    return code == TM_EXIT_OK ? as_pinned : code;
}

typedef struct watchers {
    tm_console *console;
    tm_live *live;
    const tm_session *session;
    outcome *outcome;
} watchers;

// A result that is not where it is wanted is a run that failed.
static tm_status settle(void *arg, tm_error *err)
{
    watchers *w = arg;
    outcome *o = w->outcome;
    tm_status status = tm_place_all(w->session->plan, o->placed, &o->placing);
    if (status < 0) *err = o->placing;
    return status;
}

static void watch(void *arg, const char *event, const json_t *fields)
{
    watchers *w = arg;
    tm_console_event(w->console, event, fields);
    tm_live_event(w->live, event, fields);
}

static void tick(void *arg, const tm_run_now *now)
{
    const watchers *w = arg;
    tm_console_tick(w->console, now);
}

// The kind of console asked for; TM_EXIT_USAGE if there is no such kind.
static int console_kind(const tm_cli *cli, tm_console_kind *kind)
{
    const char *text = tm_cli_flag(cli, "--console");
    *kind = TM_CONSOLE_AUTO;
    if (text && strcmp(text, "live") == 0) *kind = TM_CONSOLE_LIVE;
    else if (text && strcmp(text, "plain") == 0) *kind = TM_CONSOLE_PLAIN;
    else if (text) return tm_cli_usage(cli, "--console takes live or plain, not \"%s\"", text);
    if (cli->json || tm_cli_flag(cli, "--quiet")) *kind = TM_CONSOLE_NONE;
    return TM_EXIT_OK;
}

// What would fail at the end, or half-way, is said before any work.
static int check_ahead(const tm_cli *cli, const tm_session *session)
{
    tm_error err = {0};
    if (tm_place_check(session->plan, &err) < 0) return tm_cli_fail(cli, &err);
    tm_diags *diags = calloc(1, sizeof *diags);
    if (!diags) return TM_EXIT_RESOURCES;
    tm_secrets_check(session->plan, diags);
    if (diags->n) tm_cli_diags(cli, diags, session->graph->folder);
    int code = diags->n ? TM_EXIT_FAILED : TM_EXIT_OK;
    free(diags);
    return code;
}

// ---- one run after another, while stored bytes turn out to be damaged ----

enum { MOST_RUNS = 4 };

// Damaged bytes, or what somebody else set aside as damaged a moment ago.
static bool is_damage(const tm_error *err)
{
    return err->status == TM_ECORRUPT || (err->status == TM_ENOENT && strcmp(err->code, "TM0509") == 0);
}

static bool met_damage(const outcome *o)
{
    if (o->status == TM_ESTOPPED) return false;
    return is_damage(o->status == TM_EFAILED ? &o->result.error : &o->err) || is_damage(&o->placing);
}

// Who met damaged bytes has set them aside. Before the next run what else it would meet is looked for: at
// first in what it is going to read, then in the whole store.
static int look_ahead(const tm_cli *cli, tm_session *session, size_t n_runs)
{
    tm_verify_report report;
    tm_error err = {0};
    size_t found = n_runs > 0;
    int code = TM_EXIT_OK;
    tm_status status = TM_OK;
    if (n_runs > 1) status = tm_store_verify(session->store, NULL, NULL, &report, &err);
    while (status >= 0 && found && code == TM_EXIT_OK) {
        status = tm_damage_ahead(session->plan, &found, &err);
        if (status < 0 || !found) break;
        tm_plan_free(session->plan);
        json_decref(session->before);
        session->plan = NULL;
        session->before = NULL;
        code = tm_session_plan(session, cli, cli->args + 1);
    }
    return status < 0 ? tm_cli_fail(cli, &err) : code;
}

static void run_once(const tm_cli *cli, tm_session *session, tm_console_kind kind, int cores, outcome *o)
{
    json_t *about = facts(cli, session);
    if (kind != TM_CONSOLE_NONE) say_where(session, json_object_get(about, "git"));
    tm_needs needs = {0};
    bool known = kind != TM_CONSOLE_NONE && look_at_needs(session, &needs);
    watchers told = {tm_console_new(session->plan, known ? &needs : NULL, kind),
                     tm_live_new(session->store), session, o};
    tm_run_options options = {.cores = cores,
                              .keep_going = tm_cli_flag(cli, "--keep-going") != NULL,
                              .facts = about,
                              .watch = watch,
                              .tick = tick,
                              .settle = settle,
                              .arg = &told};
    *o = (outcome){.placed = json_array()};
    o->status = tm_run_plan(session->plan, &options, &o->result, &o->err);
    tm_console_free(told.console);
    tm_needs_clear(&needs);
    json_decref(about);
    tm_live_free(told.live);
}

static void give_up(const tm_cli *cli, const tm_session *session, const outcome *o, json_t *given_up)
{
    char report[TM_PATH_MAX];
    const char *node = o->result.failed_node;
    keep_metrics(cli, session, o->result.run);
    leave_report(cli, session, o->result.run, report);
    json_array_append_new(given_up, json_string(o->result.run));
    if (cli->json) return;
    fflush(stdout);
    fprintf(stderr,
            "note   %s met damaged bytes of the store%s%s; they are set aside, and a new run makes them again\n",
            o->result.run, node[0] ? " at " : "", node);
}

// `given_up`: the runs before that met damaged bytes; one more there means once more.
static int attempt(tm_cli *cli, tm_console_kind kind, int cores, json_t *given_up)
{
    tm_session session = {0};
    size_t n = json_array_size(given_up);
    int code = tm_session_graph(&session, cli, cli->args[0]);
    if (code == TM_EXIT_OK) code = tm_session_store(&session, cli, TM_STORE_CREATE);
    if (code == TM_EXIT_OK) code = tm_session_plan(&session, cli, cli->args + 1);
    if (code == TM_EXIT_OK) code = look_ahead(cli, &session, n);
    if (code == TM_EXIT_OK) code = check_ahead(cli, &session);
    if (code == TM_EXIT_OK) {
        outcome o;
        run_once(cli, &session, kind, cores, &o);
        bool once_more = o.result.run[0] && met_damage(&o) && n + 1 < MOST_RUNS;
        if (once_more) give_up(cli, &session, &o, given_up);
        else code = finish(cli, &session, &o, given_up);
        json_decref(o.placed);
    }
    tm_session_close(&session);
    return code;
}

static int exec(tm_cli *cli)
{
    double cores = 0;
    tm_console_kind kind;
    if (console_kind(cli, &kind) != TM_EXIT_OK) return TM_EXIT_USAGE;
    if (tm_cli_number(cli, "--cores", 1, &cores) != TM_EXIT_OK) return TM_EXIT_USAGE;
    if (!tm_label_good(cli)) return TM_EXIT_USAGE;
    json_t *given_up = json_array();
    size_t n;
    int code;
    do {
        n = json_array_size(given_up);
        code = attempt(cli, kind, (int)(cores < 4096 ? cores : 4096), given_up);
    } while (json_array_size(given_up) > n);
    json_decref(given_up);
    return code;
}

const tm_command tm_command_run = {
    .name = "run",
    .brief = "Run a graph: make everything it returns, reusing what is there.",
    .usage = "GRAPH [NODE...]",
    .example = "tidemill run graph.lua --set steps=2000",
    .min = 1,
    .max = -1,
    .flags = flags,
    .exec = exec,
};
