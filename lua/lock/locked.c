// SPDX-License-Identifier: Apache-2.0
// Holding a command to tidemill.lock.
#include "lua/lock/locked.h"

#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/again.h"
#include "lua/cli/counts.h"
#include "lua/lock/lock.h"

#define MAX_SHOWN 40

static const char *string_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static void show(const json_t *fact, char text[128])
{
    const json_t *hash = json_is_object(fact) ? json_object_get(fact, "hash") : fact;
    if (!hash) hash = fact;
    const char *word = json_string_value(hash);
    char size[16] = "", *dump = word ? NULL : json_dumps(hash, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    if (json_object_get(fact, "bytes"))
        tm_size_text((uint64_t)json_integer_value(json_object_get(fact, "bytes")), size);
    bool long_hash = word && strlen(word) == 32 && strspn(word, "0123456789abcdef") == 32;
    snprintf(text, 128, "%.*s%s%s", long_hash ? 8 : 80, word ? word : dump ? dump : "nothing",
             size[0] ? ", " : "", size);
    free(dump);
}

// "lr 0.003 -> 0.001" of a node, "pinned 0.003, is 0.001" of anything else.
static void say(const json_t *one, char text[400])
{
    char pinned[128], now[128];
    const char *said = string_of(one, "text");
    bool numeric = json_is_true(json_object_get(one, "numeric"));
    show(json_object_get(one, "pinned"), pinned);
    show(json_object_get(one, "now"), now);
    if (said[0]) snprintf(text, 400, "%s", said);
    else
        snprintf(text, 400, "pinned %s, is %s%s", pinned, now,
                 numeric ? " (numeric, another kind of processor)" : "");
}

static void print_differences(const json_t *list, FILE *out)
{
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        char text[400];
        if (i == MAX_SHOWN) break;
        say(one, text);
        fprintf(out, "  %-11s %-28s %s\n", string_of(one, "what"), string_of(one, "name"), text);
    }
    size_t n = json_array_size(list);
    if (n > MAX_SHOWN) fprintf(out, "  and %zu more (--json has all)\n", n - MAX_SHOWN);
}

// "param lr: pinned 0.003, is 0.001; ...", as many as there is room for.
static void join_differences(const json_t *list, char *text, size_t size)
{
    size_t i, n = 0;
    json_t *one;
    text[0] = 0;
    json_array_foreach(list, i, one)
    {
        char said[400];
        if (size - n < 256) break;
        say(one, said);
        n += (size_t)snprintf(text + n, size - n, "%s%s %.60s: %.140s", n ? "; " : "", string_of(one, "what"),
                              string_of(one, "name"), said);
    }
    if (i < json_array_size(list)) snprintf(text + n, size - n, "; and %zu more", json_array_size(list) - i);
}

// Pinned parameters that the graph still has.
static json_t *sets_of(const tm_session *session)
{
    json_t *sets = json_object(), *param, *pinned = json_object_get(session->locked, "set");
    size_t i;
    json_array_foreach(session->graph->params, i, param)
    {
        const char *name = string_of(param, "name");
        if (json_object_get(pinned, name)) json_object_set(sets, name, json_object_get(pinned, name));
    }
    return sets;
}

static void say_refusal(tm_diag *d, const tm_session *session, const tm_cli *cli, const char *graph,
                        const json_t *list)
{
    char text[200], pin[200];
    size_t n = json_array_size(list);
    json_t *sets = sets_of(session);
    TM_DIAG(d->code, "TM0320");
    TM_DIAG(d->what, "%.150s is not what %.60s pins, of its run %s: %zu difference%s", graph, session->lock,
            string_of(session->locked, "run"), n, n == 1 ? "" : "s");
    TM_DIAG(d->fix, "bring back what was pinned; or accept what is there: `tidemill run %.150s%s`, then"
                    " `%s`", graph,
            tm_again_sets(cli, sets, NULL, text, sizeof text), tm_again_pin(cli, pin, sizeof pin));
    if (n == 1 || cli->json) join_differences(list, d->why, sizeof d->why);
    json_decref(sets);
}

static int refuse(const tm_session *session, const tm_cli *cli, const char *graph, json_t *list)
{
    tm_diags diags = {.n = 1};
    json_t *environment = tm_lock_differences_environment(session->locked);
    say_refusal(&diags.items[0], session, cli, graph, list);
    if (cli->json) {
        json_t *errors = tm_diags_json(&diags, NULL);
        tm_cli_print(cli, json_pack("{s:O, s:o, s:O, s:O}", "error", json_array_get(errors, 0), "errors",
                                    errors, "differences", list, "environment", environment));
    } else {
        if (json_array_size(list) > 1) print_differences(list, stderr);
        print_differences(environment, stderr);
        tm_diags_print(&diags, NULL, stderr, cli->colour);
    }
    json_decref(environment);
    json_decref(list);
    return TM_EXIT_LOCKED;
}

static int take_section(tm_session *session, const tm_cli *cli, const char *graph, const char *path)
{
    json_t *lock = NULL;
    tm_error err = {0};
    char pin[200];
    tm_again_pin(cli, pin, sizeof pin);
    if (tm_lock_read(path, &lock, &err) < 0) {
        if (err.status == TM_ENOENT) tm_hint(&err, "run the graph, then `%s`", pin);
        return tm_cli_fail(cli, &err);
    }
    json_t *section = json_object_get(json_object_get(lock, "graphs"), tm_lock_name(graph));
    session->locked = json_incref(section);
    json_decref(lock);
    if (section) return TM_EXIT_OK;
    tm_fail_as(&err, TM_ENOENT, "TM0509", "%s pins nothing of %s", path, tm_lock_name(graph));
    tm_hint(&err, "run the graph, then `%s`", pin);
    return tm_cli_fail(cli, &err);
}

int tm_locked_begin(tm_session *session, const tm_cli *cli, const char *graph)
{
    char path[TM_PATH_MAX];
    tm_error err = {0};
    if (!tm_cli_flag(cli, "--locked") && !tm_cli_flag(cli, "--lock")) return TM_EXIT_OK;
    if (tm_cli_flag(cli, "--smoke"))
        return tm_cli_usage(cli, "a smoke run makes nothing that could be locked");
    if (tm_lock_path(graph, tm_cli_flag(cli, "--lock"), path, &err) < 0) return tm_cli_fail(cli, &err);
    const char *given = tm_cli_flag(cli, "--lock");
    session->lock = given ? given : "tidemill.lock";
    int code = take_section(session, cli, graph, path);
    if (code == TM_EXIT_OK) session->set = json_incref(json_object_get(session->locked, "set"));
    return code;
}

int tm_locked_check(const tm_session *session, const tm_cli *cli)
{
    if (!session->locked) return TM_EXIT_OK;
    json_t *list = tm_lock_differences(session->locked, session->graph);
    if (json_array_size(list)) return refuse(session, cli, session->graph->file, list);
    json_decref(list);
    list = tm_lock_differences_environment(session->locked);
    if (json_array_size(list) && !cli->json) {
        fprintf(stderr, "%s: pinned elsewhere; numeric results may differ in their last bits\n",
                session->lock);
        print_differences(list, stderr);
    }
    json_decref(list);
    return TM_EXIT_OK;
}

json_t *tm_locked_results(const tm_session *session)
{
    int same, behind;
    if (!session->locked) return NULL;
    json_t *list = tm_lock_differences_results(session->locked, session->plan, &same, &behind);
    return json_pack("{s:i, s:i, s:o, s:o}", "same", same, "behind", behind, "differences", list,
                     "environment", tm_lock_differences_environment(session->locked));
}

int tm_locked_results_print(const tm_session *session, const json_t *results, bool quiet)
{
    const json_t *list = json_object_get(results, "differences");
    size_t i, n = json_array_size(list), explained = 0;
    json_t *one;
    int behind = (int)json_integer_value(json_object_get(results, "behind"));
    int same = (int)json_integer_value(json_object_get(results, "same"));
    if (!results) return TM_EXIT_OK;
    json_array_foreach(list, i, one) explained += json_is_true(json_object_get(one, "numeric"));
    if (!quiet) {
        printf("%s: results of %d node%s as in its run %s", session->lock, same, same == 1 ? "" : "s",
               json_string_value(json_object_get(session->locked, "run")));
        if (n) printf("; %zu differ%s, and %d made of them", n, n == 1 ? "s" : "", behind);
        putchar('\n');
        print_differences(list, stdout);
    }
    return n > explained ? TM_EXIT_LOCKED : TM_EXIT_OK;
}
