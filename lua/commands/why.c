// SPDX-License-Identifier: Apache-2.0
// why: what made a node run, named field by field, from what two runs recorded.
#include <stdio.h>

#include "lua/cli/counts.h"
#include "lua/cli/session.h"
#include "lua/past/cause.h"
#include "lua/past/past_find.h"

static const tm_flag flags[] = {
    {"--run", 'r', "RUN", "of this run (default: the latest that has the node)"},
    {"--than", 0, "RUN",
     "compared with this one (default: the run of this graph before it that has the node; if there is none, "
     "the run of another graph that is most alike)"},
    {0},
};

enum { WIDTH = 90 };

// ---- for people ----

static const char *string_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

static const char *word_for(const char *state, bool again)
{
    if (strcmp(state, "done") == 0) return again ? "reran" : "ran";
    if (strcmp(state, "cached") == 0) return "was cached";
    if (strcmp(state, "not run") == 0) return "was not run";
    if (strcmp(state, "running") == 0) return "is running";
    if (strcmp(state, "stopped") == 0) return "was stopped";
    if (strcmp(state, "waiting") == 0) return "waits";
    return state;
}

static void print_head(const json_t *why)
{
    char took[32];
    const char *before = string_of(why, "before"), *was = string_of(why, "was");
    const json_t *seconds = json_object_get(why, "seconds");
    printf("%s %s in %s", string_of(why, "node"), word_for(string_of(why, "state"), before[0] && was[0]),
           string_of(why, "run"));
    if (seconds || was[0]) printf(" (");
    if (seconds) printf("%s%s", tm_duration_text(json_number_value(seconds), took), was[0] ? "; " : "");
    if (was[0]) printf("%s in %s", strcmp(was, "done") == 0 ? "ran" : was, before);
    printf("%s\n", seconds || was[0] ? ")" : "");
}

static void print_cause(const json_t *cause)
{
    int depth = (int)json_integer_value(json_object_get(cause, "depth"));
    const char *from = json_string_value(json_object_get(cause, "from"));
    const json_t *rows = json_object_get(cause, "rows"), *through = json_object_get(cause, "through");
    size_t i, n = json_array_size(through);
    json_t *one;
    printf(" %*sbecause  ", 2 * depth, "");
    if (from)
        printf("%s is %s", string_of(cause, "field"), string_of(cause, "text"));
    else
        printf("%s %s", string_of(cause, "node"), string_of(cause, "text"));
    if (rows) {
        long long x = (long long)json_integer_value(json_array_get(rows, 0));
        long long y = (long long)json_integer_value(json_array_get(rows, 1));
        if (x != y) printf(", %lld -> %lld records (%+lld)", x, y, y - x);
    }
    if (json_is_true(json_object_get(cause, "new")))
        printf(", an input it did not have");
    else if (from)
        printf(", made anew%s", json_is_true(json_object_get(cause, "above")) ? " as above" : "");
    if (n) printf(", by way of ");
    json_array_foreach((json_t *)through, i, one)
    {
        if (i == 4 && n > 6) printf(", .. %zu more", n - 5);
        if (i < 4 || i == n - 1 || n <= 6) printf("%s%s", i ? ", " : "", json_string_value(one));
    }
    putchar('\n');
}

static void print_list(const char *head, const json_t *names)
{
    size_t i, used = 10;
    json_t *name;
    if (!json_array_size(names)) return;
    printf(" %-8s", head);
    json_array_foreach((json_t *)names, i, name)
    {
        const char *text = json_string_value(name);
        if ((used += strlen(text) + 1) > WIDTH) {
            printf(" and %zu more", json_array_size(names) - i);
            break;
        }
        printf(" %s", text);
    }
    putchar('\n');
}

// What is behind it, one line for each state.
static void print_then(const json_t *then)
{
    static const char *const states[][2] = {{"done", "ran"},      {"cached", "cached"},
                                            {"failed", "failed"}, {"not run", "not run"},
                                            {"running", "runs"},  {"stopped", "stopped"},
                                            {"waiting", "waits"}};
    const char *node;
    json_t *state;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        json_t *names = json_array();
        char head[32];
        json_object_foreach((json_t *)then, node,
                            state) if (strcmp(json_string_value(state), states[i][0]) == 0)
            json_array_append_new(names, json_string(node));
        snprintf(head, sizeof head, "then %s:", states[i][1]);
        print_list(head, names);
        json_decref(names);
    }
}

static void print(const json_t *why)
{
    size_t i;
    json_t *cause, *plan = json_object_get(why, "plan"), *because = json_object_get(why, "because");
    const char *before = string_of(why, "before"), *reason = string_of(plan, "reason");
    bool cached = strcmp(string_of(why, "state"), "cached") == 0;
    print_head(why);
    if (json_is_string(json_object_get(why, "of")))
        printf(" than     %s of %s: no earlier run of this graph has it\n", before, string_of(why, "of"));
    json_array_foreach(because, i, cause) print_cause(cause);
    bool gone = before[0] && !json_array_size(because) && strcmp(string_of(why, "state"), "done") == 0 &&
                (strcmp(reason, "not run before") == 0 || strncmp(reason, "input is made anew", 18) == 0);
    if (gone)
        printf(" because  its result of %s was not in the store any more\n", before);
    else if (!json_array_size(because) || cached)
        printf(" plan     %s%s%s\n", string_of(plan, "state"), reason[0] ? ", " : "", reason);
    if (!before[0] && cached)
        printf(" because  its result is in the store, of the same options and inputs\n");
    else if (!before[0])
        printf(" because  no earlier run of this graph has it\n");
    else if (!json_array_size(because))
        printf(" same     all of it is as in %s\n", before);
    else if (cached)
        printf(" yet      what was there fits: it was made before from just this\n");
    if (json_array_size(because)) print_list("same", json_object_get(why, "same"));
    if (!cached) print_then(json_object_get(why, "then"));
}

// ---- the command ----

static tm_status compare(const tm_cli *cli, tm_store *store, tm_past *now, const tm_past_node *node,
                         tm_past *before, tm_error *err)
{
    const char *than = tm_cli_flag(cli, "--than");
    const tm_past_node *unused;
    tm_status status = than ? tm_past_find_node(store, node->name, than, before, &unused, err)
                            : tm_past_find_before(store, now, node->name, before, err);
    bool other = !than && status == TM_ENOENT;
    if (other) status = tm_past_find_like(store, now, node, before, err);
    if (status < 0 && (than || status != TM_ENOENT)) return status;
    TM_TRY(tm_past_results(now, store, err));
    if (before->record) TM_TRY(tm_past_results(before, store, err));
    json_t *why = tm_cause(now, before->record ? before : NULL, node);
    if (!why) return tm_fail(err, TM_ENOMEM, "no memory to say why");
    if (other && before->record) json_object_set(why, "of", json_object_get(before->record, "graph"));
    if (!cli->json)
        print(why);
    else
        tm_cli_print(cli, json_incref(why));
    json_decref(why);
    return TM_OK;
}

static tm_status why(const tm_cli *cli, tm_store *store, tm_error *err)
{
    const tm_past_node *node;
    tm_past now = {0}, before = {0};
    tm_status status = tm_past_find_node(store, cli->args[0], tm_cli_flag(cli, "--run"), &now, &node, err);
    if (status >= 0) status = compare(cli, store, &now, node, &before, err);
    tm_past_clear(&now);
    tm_past_clear(&before);
    return status;
}

static int exec(tm_cli *cli)
{
    return tm_session_in_store(cli, why);
}

const tm_command tm_command_why = {
    .name = "why",
    .brief = "Say why a node ran (or did not) in the latest or any past run.",
    .usage = "[RUN:]NODE",
    .example = "tidemill why r12:base",
    .min = 1,
    .max = 1,
    .flags = flags,
    .exec = exec,
};
