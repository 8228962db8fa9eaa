// SPDX-License-Identifier: Apache-2.0
// logs: what a run, or one node of it, said and did.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lua/cli/counts.h"
#include "lua/cli/session.h"
#include "lua/past/past.h"
#include "lua/past/past_find.h"
#include "lua/past/run_name.h"

static const tm_flag flags[] = {
    {"--follow", 'f', NULL, "wait for more, until the run ends"},
    {"--workers", 'w', NULL, "also what the worker processes wrote to their stderr"},
    {0},
};

// "r12:node", "r12" or "node".
static void split(const char *text, char run[64], char node[192])
{
    const char *colon = text ? strchr(text, ':') : NULL;
    run[0] = node[0] = 0;
    if (!text) return;
    bool is_run = text[0] == 'r' && text[1] && !text[1 + strspn(text + 1, "0123456789")];
    if (is_run || colon) snprintf(run, 64, "%.*s", colon ? (int)(colon - text) : 63, text);
    if (!is_run) snprintf(node, 192, "%s", colon ? colon + 1 : text);
}

// What is no node of the latest run may be one of an earlier run, or a tag.
static tm_status read_past(tm_store *store, const char *run, char node[192], tm_past *past, tm_error *err)
{
    char other[32] = "";
    tm_past earlier = {0};
    tm_error missing = {0};
    const tm_past_node *found;
    TM_TRY(tm_past_read(store, run[0] ? run : NULL, past, err));
    if (run[0] || !node[0] || tm_past_find(past, node)) return TM_OK;
    if (tm_past_find_node(store, node, NULL, &earlier, &found, &missing) >= 0) {
        tm_past_clear(past);
        *past = earlier;
        return TM_OK;
    }
    tm_past_clear(&earlier);
    if (tm_run_name(store, node, other, NULL) < 0) {
        if (err) *err = missing;
        return missing.status;
    }
    node[0] = 0;
    tm_past_clear(past);
    return tm_past_read(store, other, past, err);
}

static bool about(const json_t *event, const char *node)
{
    const char *name = json_string_value(json_object_get(event, "node"));
    size_t i;
    json_t *one;
    if (!node[0]) return true;
    if (name && strcmp(name, node) == 0) return true;
    json_array_foreach(json_object_get(event, "nodes"), i, one)
        if (json_is_string(one) && strcmp(json_string_value(one), node) == 0) return true;
    return false;
}

static void print_line(const tm_cli *cli, json_t *event)
{
    const char *kind = json_string_value(json_object_get(event, "event"));
    const char *node = json_string_value(json_object_get(event, "node"));
    if (cli->json) {
        tm_cli_print(cli, json_incref(event));
        return;
    }
    char when[32] = "", took[TM_COUNT_TEXT];
    time_t t = (time_t)(json_integer_value(json_object_get(event, "t")) / 1000);
    struct tm parts;
    if (localtime_r(&t, &parts)) strftime(when, sizeof when, "%H:%M:%S", &parts);
    const char *text = json_string_value(json_object_get(event, "text"));
    long long rows = (long long)json_integer_value(json_object_get(event, "rows"));
    printf("%s %-10s %-24s ", when, kind, node ? node : "");
    if (text) printf("%s", text);
    else if (strcmp(kind, "note") == 0)
        printf("step %lld  %s %.4f", (long long)json_integer_value(json_object_get(event, "step")),
               json_string_value(json_object_get(event, "name")),
               json_number_value(json_object_get(event, "value")));
    else if (strcmp(kind, "entry") == 0)
        printf("entry %lld  %lld record%s, %lld bytes",
               (long long)json_integer_value(json_object_get(event, "i")), rows, rows == 1 ? "" : "s",
               (long long)json_integer_value(json_object_get(event, "bytes")));
    else if (strcmp(kind, "sample") == 0)
        printf("%s: %s", json_string_value(json_object_get(event, "verdict")),
               json_string_value(json_object_get(event, "made")));
    else if (strcmp(kind, "sealed") == 0)
        printf("%s, %lld record%s",
               tm_duration_text(json_number_value(json_object_get(event, "seconds")), took), rows,
               rows == 1 ? "" : "s");
    putchar('\n');
}

static bool is_alive(const tm_past *past)
{
    pid_t pid = (pid_t)json_integer_value(json_object_get(past->record, "pid"));
    return past->alive && (tm_sys.kill(pid, 0) == 0 || errno == EPERM);
}

// The lines of a run, or of one node; with --follow until the run ends or its process is gone.
static tm_status follow(const tm_cli *cli, tm_store *store, const tm_past *past, const char *node,
                        tm_error *err)
{
    tm_journal_reader *reader = NULL;
    if (node[0] && !tm_past_find(past, node))
        return tm_past_unknown_node(store, past->run, node, err);
    TM_TRY(tm_journal_reader_open(store, past->run, &reader, err));
    bool wait = tm_cli_flag(cli, "--follow") != NULL, ended = false;
    while (!ended) {
        json_t *event;
        tm_status status = tm_journal_reader_next(reader, &event, err);
        if (status == TM_AGAIN && wait) {
            fflush(stdout);
            wait = is_alive(past);  // once more, for what came in between
            usleep(200000);
            continue;
        }
        if (status != TM_OK) break;
        const char *kind = json_string_value(json_object_get(event, "event"));
        ended = kind && strcmp(kind, "end") == 0;
        bool head = kind && strcmp(kind, "run") == 0;
        if (!head && about(event, node) && (!node[0] || !ended)) print_line(cli, event);
        json_decref(event);
    }
    tm_journal_reader_close(reader);
    return TM_OK;
}

static tm_status worker_logs(tm_store *store, const char *run, tm_error *err)
{
    char folder[TM_PATH_MAX], path[TM_PATH_MAX];
    tm_names names = {0};
    TM_TRY(tm_run_folder(store, run, folder, err));
    TM_TRY(tm_dir_list(folder, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        tm_buf text = {0};
        if (strncmp(names.names[i], "worker.", 7) != 0 ||
            tm_path(path, NULL, "%s/%s", folder, names.names[i]) < 0)
            continue;
        if (tm_file_read(path, &text, NULL) >= 0 && text.size)
            printf("--- %s\n%s", names.names[i], text.data);
        tm_buf_clear(&text);
    }
    tm_names_clear(&names);
    return TM_OK;
}

static int exec(tm_cli *cli)
{
    char run[64], node[192];
    tm_session session = {0};
    tm_past past = {0};
    tm_error err = {0};
    split(cli->args[0], run, node);
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK) {
        tm_status status = read_past(session.store, run, node, &past, &err);
        if (status >= 0) status = follow(cli, session.store, &past, node, &err);
        if (status >= 0 && tm_cli_flag(cli, "--workers")) status = worker_logs(session.store, past.run, &err);
        if (status < 0) code = tm_cli_fail(cli, &err);
        tm_past_clear(&past);
    }
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_logs = {
    .name = "logs", .brief = "Show what a run, or one node of it, said and did.", .usage = "[RUN|[RUN:]NODE]",
    .example = "tidemill logs r12:base -f", .max = 1, .flags = flags, .exec = exec,
};
