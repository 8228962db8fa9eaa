// SPDX-License-Identifier: Apache-2.0
// plan: what a run would do to every node, and why.
#include <stdio.h>
#include <stdlib.h>

#include "lua/cli/counts.h"
#include "lua/cli/fold.h"
#include "lua/cli/session.h"
#include "lua/estimate.h"
#include "lua/place.h"
#include "lua/secrets.h"

#define INDENT 4 // of what goes on in a further line

static const tm_flag flags[] = {TM_GRAPH_FLAGS, TM_CHOICE_FLAGS, TM_LOCK_FLAGS, TM_SMOKE_FLAG, {0}};

// Of a piece of work that will or may run, at its last node: "~ 96 s".
static void time_text(const tm_needs *needs, const tm_plan_node *p, char text[40])
{
    char duration[32];
    const tm_estimate *e = &needs->nodes[p->node->index];
    text[0] = 0;
    if (p->state == TM_CACHED || e->sure == TM_SURE_NONE || e->seconds < 0.05) return;
    snprintf(text, 40, "%s%s", e->sure <= TM_SURE_OTHER ? "~~ " : "~ ",
             tm_duration_text(e->seconds, duration));
}

static void print_needs(const tm_needs *n)
{
    char least[32], most[32], memory[16], disk[16], room[16], text[160];
    tm_buf line = {0};
    if (!n->known && !n->unknown) return;
    tm_buf_fmt(&line, "time    ");
    if (n->known && n->unknown)
        tm_buf_fmt(&line, "at least %s", tm_duration_text(n->least, least));
    else if (n->most > n->least * 1.02 + 0.1)
        tm_buf_fmt(&line, "%s to %s", tm_duration_text(n->least, least), tm_duration_text(n->most, most));
    else
        tm_buf_fmt(&line, "%s",
                   n->known ? tm_duration_text(n->most, most) : "not known: nothing like it was run here");
    if (n->known)
        tm_buf_fmt(&line, ", %s",
                   n->sure == TM_SURE_SAME   ? "from runs of the same work"
                   : n->sure == TM_SURE_NODE ? "in part from runs with other options"
                                             : "in part guessed (~~) from other nodes");
    if (n->unknown && n->known)
        tm_buf_fmt(&line, "; without %d of %d nodes, of which nothing is known", n->unknown,
                   n->known + n->unknown);
    if (tm_buf_status(&line, NULL) >= 0) tm_fold_print(stdout, 8, "%s", line.data);
    tm_buf_clear(&line);
    if (n->memory >= 0)
        tm_fold_print(stdout, 8, "memory  %s in the biggest worker, of %s",
                      tm_size_text((uint64_t)n->memory, memory),
                      tm_size_text((uint64_t)n->memory_there, room));
    if (n->known && n->disk_free >= 0)
        tm_fold_print(stdout, 8, "disk    about %s%s, %s are free", tm_size_text((uint64_t)n->disk, disk),
                      n->unknown ? " and what is not known" : "", tm_size_text((uint64_t)n->disk_free, room));
    if (tm_needs_too_much(n, text, sizeof text)) fprintf(stderr, "warning: %s\n", text);
}

// Of the column of kinds: on a terminal no wider than it must be, for reasons are long.
static int kind_width(const tm_plan *plan)
{
    size_t widest = 0;
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        size_t size = strlen(plan->nodes[i].kind ? plan->nodes[i].kind : "");
        if (plan->nodes[i].wanted && size > widest) widest = size;
    }
    return tm_fold_room(stdout) < TM_FOLD_NONE && widest < 22 ? (int)widest : 22;
}

static void print_plan(const tm_plan *plan, const tm_needs *needs)
{
    int width = 4, kind = kind_width(plan), counts[3] = {0};
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        int n = (int)strlen(plan->graph->nodes[i]->name);
        if (n > width && n <= 40) width = n;
    }
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = tm_plan_canonical(plan, plan->graph->nodes[i]);
        const char *name = plan->graph->nodes[i]->name;
        char time[40];
        if (!p->wanted) continue;
        if (p->node != plan->graph->nodes[i]) {
            tm_fold_print(stdout, INDENT, "%-*s  same as %s", width, name, p->node->name);
            continue;
        }
        counts[p->state]++;
        time_text(needs, p, time);
        if (time[0] || p->reason[0])
            tm_fold_print(stdout, INDENT, "%-*s  %-*s %-*s %s", width, name, kind, p->kind,
                          needs->known ? 14 : 0, time, p->reason);
        else
            tm_fold_print(stdout, INDENT, "%-*s  %s", width, name, p->kind);
    }
    size_t n = tm_plan_count(plan);
    printf("%zu node%s: %d cached, %d to run, %d maybe\n", n, n == 1 ? "" : "s", counts[TM_CACHED],
           counts[TM_RUN], counts[TM_MAYBE]);
    print_needs(needs);
}

static json_t *as_json(const tm_plan *plan, const tm_needs *needs)
{
    json_t *all = tm_plan_json(plan), *nodes = json_object_get(all, "nodes");
    for (size_t g = 0; g < plan->n_groups; g++) {
        const tm_group *group = &plan->groups[g];
        const tm_node *last = plan->nodes[group->nodes[group->n - 1]].node;
        json_t *node = json_object_get(nodes, last->name);
        if (group->state != TM_CACHED && node)
            json_object_set_new(node, "estimate", tm_estimate_json(&needs->nodes[last->index]));
    }
    json_object_set_new(all, "count", json_integer((json_int_t)tm_plan_count(plan)));
    json_object_set_new(all, "needs", tm_needs_json(needs));
    return all;
}

// Of what a run would refuse.
static void warn(const tm_session *session, json_t *all)
{
    tm_error err = {0};
    tm_diags *diags = calloc(1, sizeof *diags);
    if (!diags) return;
    if (tm_place_check(session->plan, &err) < 0) tm_diag_error(tm_diag_add(diags, "", NULL, 0), &err);
    tm_secrets_check(session->plan, diags);
    if (all && diags->n) json_object_set_new(all, "refused", tm_diags_json(diags, session->graph->folder));
    for (size_t i = 0; !all && i < diags->n && i < sizeof diags->items / sizeof *diags->items; i++)
        fprintf(stderr, "warning: a run would be refused: %s\nfix    %s\n", diags->items[i].what,
                diags->items[i].fix);
    free(diags);
}

static int show(const tm_cli *cli, const tm_session *session)
{
    tm_needs needs;
    tm_error err = {0};
    if (tm_needs_of(session->plan, session->home, &needs, &err) < 0) return tm_cli_fail(cli, &err);
    json_t *all = cli->json ? as_json(session->plan, &needs) : NULL;
    if (!all) print_plan(session->plan, &needs);
    warn(session, all);
    if (all) tm_cli_print(cli, all);
    tm_needs_clear(&needs);
    return TM_EXIT_OK;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    int code = tm_session_graph(&session, cli, cli->args[0]);
    if (code == TM_EXIT_OK) code = tm_session_store(&session, cli, TM_STORE_MAYBE);
    if (code == TM_EXIT_OK) code = tm_session_plan(&session, cli, cli->args + 1);
    if (code == TM_EXIT_OK) code = show(cli, &session);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_plan = {
    .name = "plan", .brief = "Say what a run would do to every node, and why, and what it needs.",
    .usage = "GRAPH [NODE...]", .example = "tidemill plan graph.lua --set steps=2000",
    .min = 1, .max = -1, .flags = flags, .exec = exec,
};
