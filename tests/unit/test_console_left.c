// SPDX-License-Identifier: Apache-2.0
#include "lua/console/console_left.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// base -> curve (which reads its snapshots as they come), base -> tuned -> exam. Each is a group.
enum { BASE, CURVE, TUNED, EXAM, N };

typedef struct fixture {
    tm_link links[N];
    tm_node nodes[N], *list[N];
    tm_graph graph;
    tm_plan_node planned[N];
    tm_group groups[N];
    tm_plan plan;
    tm_estimate estimates[N];
    tm_needs needs;
    tm_console_part parts[N];
} fixture;

static void reads(fixture *f, int node, int from)
{
    f->links[node] = (tm_link){.from = &f->nodes[from]};
    f->nodes[node].links = &f->links[node];
    f->nodes[node].n_links = 1;
}

// Nothing is done; earlier runs took 100, 5, 30 and 10 s after the inputs had ended.
static void set_up(fixture *f)
{
    static const double tails[N] = {100, 5, 30, 10};
    *f = (fixture){0};
    for (int i = 0; i < N; i++) {
        f->nodes[i].index = i;
        f->list[i] = &f->nodes[i];
        f->planned[i] = (tm_plan_node){.node = &f->nodes[i], .same = i, .group = i};
        f->groups[i] = (tm_group){.nodes = {i}, .n = 1};
        f->estimates[i] = (tm_estimate){.sure = TM_SURE_NODE, .tail = tails[i]};
        f->parts[i].left_s = NAN;
    }
    reads(f, CURVE, BASE);
    reads(f, TUNED, BASE);
    reads(f, EXAM, TUNED);
    f->graph = (tm_graph){.nodes = f->list, .n_nodes = N};
    f->plan = (tm_plan){.graph = &f->graph, .nodes = f->planned, .groups = f->groups, .n_groups = N};
    f->needs.nodes = f->estimates;
}

static double left(const fixture *f)
{
    return tm_console_left(&f->plan, &f->needs, f->parts);
}

static void the_longest_way_decides(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    assert_float_equal(left(&f), 140, 1e-9);
    f.estimates[CURVE].tail = 60;
    assert_float_equal(left(&f), 160, 1e-9);
}

static void the_pace_of_this_run_counts_more_than_earlier_ones(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    f.parts[BASE].left_s = 20;
    assert_float_equal(left(&f), 60, 1e-9);
    f.parts[CURVE].left_s = 3;  // of the snapshots there are; more will come
    assert_float_equal(left(&f), 60, 1e-9);
}

static void what_is_over_takes_no_more(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    f.parts[BASE].over = f.parts[CURVE].over = true;
    f.parts[TUNED].since_s = 12;
    assert_float_equal(left(&f), 28, 1e-9);
    f.parts[TUNED].since_s = 50;  // longer than ever
    assert_float_equal(left(&f), 10, 1e-9);
    f.parts[TUNED].over = f.parts[EXAM].over = true;
    assert_float_equal(left(&f), 0, 1e-9);
}

static void what_never_ran_is_not_known(void **state)
{
    (void)state;
    fixture f;
    set_up(&f);
    f.estimates[EXAM].sure = TM_SURE_NONE;
    assert_true(isnan(left(&f)));
    f.parts[EXAM].left_s = 4;  // but its pace is seen now
    assert_float_equal(left(&f), 130, 1e-9);
    assert_true(isnan(tm_console_left(&f.plan, NULL, f.parts)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_way_decides),
        cmocka_unit_test(the_pace_of_this_run_counts_more_than_earlier_ones),
        cmocka_unit_test(what_is_over_takes_no_more),
        cmocka_unit_test(what_never_ran_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
