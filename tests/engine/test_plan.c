// SPDX-License-Identifier: Apache-2.0
// Plans: groups, equal work, what is wanted. What a store changes in a plan is in cache.py and commands.py.
#include <unistd.h>

#include "engine/plan.h"
#include "tests/engine/toy_graph.h"

static char folder[64];
static tm_store *store;
static tm_graph *graph;
static tm_plan *plan;

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/tidemill-test-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    return tm_store_open(folder, TM_STORE_CREATE, &store, &err) == TM_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    tm_plan_free(plan);
    tm_graph_free(graph);
    tm_store_close(store);
    plan = NULL;
    graph = NULL;
    return tm_dir_remove(folder, &err) == TM_OK ? 0 : -1;
}

static tm_status make(const char *text, const tm_plan_options *options)
{
    tm_plan_free(plan);
    tm_graph_free(graph);
    plan = NULL;
    graph = toy_graph(text);
    assert_non_null(graph);
    return tm_plan_make(graph, store, options ? options : &(tm_plan_options){0}, &plan, &err);
}

static const tm_plan_node *node(const char *name)
{
    const tm_node *n = tm_graph_find(graph, name);
    if (!n) fail_msg("no node %s", name);
    return &plan->nodes[n->index];
}

static bool together(const char *a, const char *b)
{
    return node(a)->group == node(b)->group;
}

static void a_chain_of_record_wise_nodes_is_one_group(void **state)
{
    (void)state;
    assert_int_equal(make("n = numbers {\"to\": 9}\n"
                          "a = mark {\"with\": \"1\"} 1:n\n"
                          "b = mark {\"with\": \"2\"} 1:a\n"
                          "c = mark {\"with\": \"3\"} 1:b\n"
                          "s = gather {} 1:c\n"
                          "return s", NULL), TM_OK);
    assert_int_equal(plan->n_groups, 3);
    assert_true(together("mark", "mark.2") && together("mark", "mark.3"));
    assert_false(tm_plan_stores(plan, node("mark"), 0));
    assert_true(tm_plan_stores(plan, node("mark"), 1));
    assert_true(tm_plan_stores(plan, node("mark.3"), 0));
}

static void groups_end_at_forks_named_nodes_stored_ones_and_side_inputs(void **state)
{
    (void)state;
    assert_int_equal(make("n = numbers {\"to\": 9}\n"
                          "a = mark {\"with\": \"1\"} 1:n\n"
                          "b = mark {\"with\": \"2\"} 1:a\n"
                          "s = gather {} 1:a\n"
                          "named = mark {\"with\": \"3\"} 1:b\n"
                          "d = mark {\"with\": \"4\"} 1:named\n"
                          "e = mark {\"with\": \"5\", \"store\": true} 1:d\n"
                          "f = mark {\"with\": \"6\"} 1:e\n"
                          "t = gather {} 1:f\n"
                          "return s named t", NULL), TM_OK);
    assert_false(together("mark", "mark.2"));   // a is read twice
    assert_true(together("mark.2", "named"));   // a named node may end a group
    assert_false(together("named", "mark.3"));  // and none goes on behind it
    assert_false(together("mark.3", "mark.4"));
    assert_false(together("mark.4", "mark.5"));
}

static void a_side_port_does_not_fork_and_does_not_fuse(void **state)
{
    (void)state;
    assert_int_equal(make("n = numbers {\"to\": 9}\n"
                          "a = mark {\"with\": \"1\"} 1:n\n"
                          "b = mark {\"with\": \"2\"} 1:a\n"
                          "c = mark {\"with\": \"3\"} 1:a.removed\n"
                          "s = gather {} 1:b\n"
                          "t = gather {} 1:c\n"
                          "return s t", NULL), TM_OK);
    assert_true(together("mark", "mark.2"));
    assert_false(together("mark", "mark.3"));
}

static void a_long_chain_is_cut_into_groups_that_workers_can_hold(void **state)
{
    (void)state;
    char text[2048] = "n0 = numbers {\"to\": 9}\n";
    for (int i = 1; i <= 20; i++)
        snprintf(text + strlen(text), 64, "n%d = mark {\"with\": \"%d\"} 1:n%d\n", i, i, i - 1);
    strcat(text, "return n20");
    assert_int_equal(make(text, NULL), TM_OK);
    for (size_t i = 0; i < plan->n_groups; i++) assert_true(plan->groups[i].n <= TM_MAX_GROUP);
    assert_int_equal(plan->n_groups, 1 + 3);
}

static void equal_work_is_one_node(void **state)
{
    (void)state;
    assert_int_equal(make("n = numbers {\"to\": 9}\n"
                          "m = numbers {\"to\": 9, \"delay_ms\": 4}\n"
                          "a = mark {} 1:n\n"
                          "b = mark {} 1:m\n"
                          "return a b", NULL), TM_OK);
    assert_int_equal(plan->n_groups, 2);
    assert_ptr_equal(tm_plan_canonical(plan, tm_graph_find(graph, "b")), node("a"));
    assert_true(tm_hash_eq(node("a")->recipe, node("b")->recipe));
}

static void only_what_targets_need_is_wanted(void **state)
{
    (void)state;
    static const char text[] = "n = numbers {\"to\": 9}\n"
                               "a = mark {} 1:n\n"
                               "b = mark {\"with\": \"b\"} 1:n\n"
                               "s = gather {} 1:a\n"
                               "return a b s";
    const char *targets[] = {"b", NULL};
    assert_int_equal(make(text, &(tm_plan_options){.targets = targets}), TM_OK);
    assert_true(node("b")->wanted && node("numbers")->wanted);
    assert_false(node("a")->wanted || node("s")->wanted);
    assert_true(node("b")->chosen);
    assert_false(node("numbers")->chosen);
    assert_int_equal(make(text, &(tm_plan_options){.until = "a"}), TM_OK);
    assert_true(node("a")->wanted && !node("s")->wanted && !node("b")->wanted);
    assert_int_equal(make(text, &(tm_plan_options){.until = "zzz"}), TM_EINVAL);
}

static void the_critical_path_is_deepest(void **state)
{
    (void)state;
    assert_int_equal(make("n = numbers {\"to\": 9}\n"
                          "s = gather {} 1:n\n"
                          "t = gather {\"modulo\": 2} 1:s\n"
                          "u = gather {\"modulo\": 3} 1:n\n"
                          "return t u", NULL), TM_OK);
    assert_int_equal(plan->groups[node("numbers")->group].depth, 3);
    assert_int_equal(plan->groups[node("gather")->group].depth, 2);
    assert_int_equal(plan->groups[node("t")->group].depth, 1);
    assert_int_equal(plan->groups[node("u")->group].depth, 1);
}

#define in_store(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_store(a_chain_of_record_wise_nodes_is_one_group),
        in_store(groups_end_at_forks_named_nodes_stored_ones_and_side_inputs),
        in_store(a_side_port_does_not_fork_and_does_not_fuse),
        in_store(a_long_chain_is_cut_into_groups_that_workers_can_hold),
        in_store(equal_work_is_one_node),
        in_store(only_what_targets_need_is_wanted),
        in_store(the_critical_path_is_deepest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
