// SPDX-License-Identifier: Apache-2.0
// Machine facts: what `at = { cores=, memory=, retries=, timeout= }` asks for a group.
#include "engine/run_internal.h"

// What a group is taken to need that does not say.
#define DEFAULT_MEMORY (256LL << 20)
#define DEFAULT_RETRIES 2

// The greatest wish of the group's nodes; -1 when none has it.
static double wish(const run *r, const run_group *g, const char *name)
{
    double most = -1;
    for (int i = 0; i < g->plan->n; i++) {
        const json_t *value = json_object_get(group_node(r, g, i)->at, name);
        double number = strcmp(name, "memory") == 0 ? (double)tm_at_bytes(value) : json_number_value(value);
        if (value && number > most) most = number;
    }
    return most;
}

int group_cores(const run *r, const run_group *g)
{
    double cores = wish(r, g, "cores");
    return cores >= 1 ? (int)cores : 0;
}

int group_retries(const run *r, const run_group *g)
{
    double retries = wish(r, g, "retries");
    return retries >= 0 ? (int)retries : DEFAULT_RETRIES;
}

double group_timeout(const run *r, const run_group *g)
{
    double seconds = wish(r, g, "timeout");
    return seconds > 0 ? seconds : 0;
}

int64_t group_memory(const run *r, const run_group *g)
{
    double bytes = wish(r, g, "memory");
    return bytes > 0 ? (int64_t)bytes : DEFAULT_MEMORY;
}

// A group that needs more than there is runs when nothing else does; and when all others only wait for
// entries, what they wait for may be this one.
bool group_fits(const run *r, const run_group *g)
{
    int64_t used = 0;
    for (size_t i = 0; i < r->n_order; i++)
        if (r->order[i]->state == GROUP_ACTIVE) used += group_memory(r, r->order[i]);
    return used == 0 || used + group_memory(r, g) <= r->memory || run_free_cores(r) == r->cores;
}
