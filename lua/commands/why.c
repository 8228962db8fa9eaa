// SPDX-License-Identifier: Apache-2.0
// why: what made a node run, named field by field, from the keys that two runs recorded.
#include <stdio.h>
#include <stdlib.h>

#include "engine/key.h"
#include "lua/runs.h"

static const tm_flag flags[] = {{"--run", 'r', "RUN", "of this run (default: the latest)"}, {0}};

// The run before `view` of the same graph file, or one that has no journal left: record NULL.
static void find_before(tm_store *store, const tm_run_view *view, tm_run_view *before)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    const json_t *path = json_object_get(view->record, "path");
    uint64_t mine = strtoull(view->run + 1, NULL, 10);
    *before = (tm_run_view){0};
    if (tm_run_list(store, &numbers, &n, NULL) < 0) return;
    while (n-- > 0 && !before->record) {
        char run[32];
        if (numbers[n] >= mine) continue;
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n]);
        if (tm_run_view_read(store, run, before, NULL) >= 0 && path &&
            json_equal(json_object_get(before->record, "path"), path))
            break;
        tm_run_view_clear(before);
    }
    tm_free(numbers);
}

static const json_t *planned(const tm_run_view *view, const char *node)
{
    return json_object_get(json_object_get(view->record, "nodes"), node);
}

// The name of the node with this recipe.
static const char *by_recipe(const tm_run_view *view, const json_t *recipe)
{
    const char *name;
    json_t *node;
    json_object_foreach(json_object_get(view->record, "nodes"), name, node)
        if (json_equal(json_object_get(node, "recipe"), recipe)) return name;
    return NULL;
}

typedef struct chain {
    json_t *because;  // list of {"node", "field"}
    const tm_run_view *now, *then;
} chain;

// Follow what differs upstream: a node's own document first, else the first input that differs.
static void explain(chain *c, const char *name, int depth)
{
    const json_t *now = planned(c->now, name), *then = planned(c->then, name);
    char text[320];
    if (!then) {
        json_array_append_new(c->because,
                              json_pack("{s:s, s:s}", "node", name, "field", "it is new in this graph"));
        return;
    }
    if (tm_key_difference(json_object_get(then, "own"), json_object_get(now, "own"), text, sizeof text)) {
        json_array_append_new(c->because, json_pack("{s:s, s:s}", "node", name, "field", text));
        return;
    }
    const char *port;
    json_t *input;
    json_object_foreach(json_object_get(now, "inputs"), port, input)
    {
        const json_t *old = json_object_get(json_object_get(then, "inputs"), port);
        if (json_equal(old, input)) continue;
        const char *from = by_recipe(c->now, json_object_get(input, "recipe"));
        snprintf(text, sizeof text, "its %s%s comes from %.100s, which changed",
                 port[0] ? "input " : "main input", port, from ? from : "elsewhere");
        json_array_append_new(c->because, json_pack("{s:s, s:s}", "node", name, "field", text));
        if (from && depth < 64) explain(c, from, depth + 1);
        return;
    }
}

static const char *state_of(const tm_run_view *view, const char *node)
{
    const char *same = json_string_value(json_object_get(planned(view, node), "same"));
    const char *state = json_string_value(
        json_object_get(json_object_get(view->nodes, same ? same : node), "state"));
    return state ? state : "waiting";
}

static void print_chain(const tm_run_view *now, const tm_run_view *then, const char *node,
                        const json_t *because)
{
    const json_t *plan = planned(now, node);
    size_t i;
    json_t *one;
    const char *reason = json_string_value(json_object_get(plan, "reason"));
    printf("%s: %s in %s (the plan said: %s%s%s)\n", node, state_of(now, node), now->run,
           json_string_value(json_object_get(plan, "state")), reason && reason[0] ? ", " : "",
           reason ? reason : "");
    if (!then->record) printf(" because  there is no earlier run of this graph to compare with\n");
    else if (!json_array_size(because))
        printf(" same     stage, version, options and inputs are those of %s\n", then->run);
    json_array_foreach(because, i, one)
        printf(" %*sbecause  %s: %s\n", (int)i * 2, "", json_string_value(json_object_get(one, "node")),
               json_string_value(json_object_get(one, "field")));
}

static tm_status why(const tm_cli *cli, tm_store *store, const char *node, tm_error *err)
{
    tm_run_view now, then;
    const char *run = tm_cli_flag(cli, "--run");
    TM_TRY(tm_run_view_read(store, run, &now, err));
    tm_status status = TM_OK;
    if (!planned(&now, node)) {
        const char *near = tm_nearest_key(json_object_get(now.record, "nodes"), node);
        status = tm_fail(err, TM_ENOENT, "run %s has no node \"%s\"", now.run, node);
        if (near) tm_hint(err, "did you mean \"%s\"?", near);
    } else {
        find_before(store, &now, &then);
        chain c = {json_array(), &now, &then};
        if (then.record) explain(&c, node, 0);
        if (cli->json)
            tm_cli_print(cli,
                         json_pack("{s:s, s:s, s:s, s:s?, s:O, s:O?}", "node", node, "run", now.run, "state",
                                   state_of(&now, node), "before", then.record ? then.run : NULL, "because",
                                   c.because, "plan", planned(&now, node)));
        else print_chain(&now, &then, node, c.because);
        json_decref(c.because);
        tm_run_view_clear(&then);
    }
    tm_run_view_clear(&now);
    return status;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_error err = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && why(cli, session.store, cli->args[0], &err) < 0) code = tm_cli_fail(cli, &err);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_why = {
    .name = "why", .brief = "Say why a node ran (or did not) in the latest or any past run.", .usage = "NODE",
    .example = "tidemill why base --run r12", .min = 1, .max = 1, .flags = flags, .exec = exec,
};
