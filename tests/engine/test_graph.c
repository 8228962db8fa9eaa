// SPDX-License-Identifier: Apache-2.0
// Graphs from data: order, names, and mistakes that are pointed at.
#include "tests/engine/toy_graph.h"

static void nodes_come_after_what_they_read(void **state)
{
    (void)state;
    tm_graph *g = toy_graph("n = numbers {\"to\": 9}\n"
                            "a = mark {} 1:n\n"
                            "s = gather {} 1:a\n"
                            "j = both {} 1:a with:s\n"
                            "return j");
    assert_non_null(g);
    assert_int_equal(g->n_nodes, 4);
    for (size_t i = 0; i < g->n_nodes; i++) {
        assert_int_equal(g->nodes[i]->index, i);
        for (size_t l = 0; l < g->nodes[i]->n_links; l++)
            assert_true(g->nodes[i]->links[l].from->index < (int)i);
    }
    tm_graph_free(g);
}

static void what_nobody_returns_is_left_out(void **state)
{
    (void)state;
    tm_graph *g = toy_graph("n = numbers {\"to\": 9}\n"
                            "a = mark {} 1:n\n"
                            "b = mark {\"with\": \"b\"} 1:n\n"
                            "return a");
    assert_int_equal(g->n_nodes, 2);
    assert_null(tm_graph_find(g, "b"));
    tm_graph_free(g);
}

static void returned_names_are_used_and_the_rest_are_numbered(void **state)
{
    (void)state;
    tm_graph *g = toy_graph("n = numbers {\"to\": 9}\n"
                            "a = mark {\"with\": \"1\"} 1:n\n"
                            "b = mark {\"with\": \"2\"} 1:a\n"
                            "c = mark {\"with\": \"3\"} 1:b\n"
                            "mark = gather {} 1:c\n"
                            "return mark c");
    assert_non_null(tm_graph_find(g, "numbers"));
    assert_string_equal(tm_graph_find(g, "mark")->stage->name, "gather");
    assert_string_equal(tm_graph_find(g, "mark.2")->stage->name, "mark");
    assert_int_equal(tm_graph_find(g, "mark.3")->line, 3);
    assert_true(tm_graph_find(g, "c")->named);
    assert_false(tm_graph_find(g, "mark.2")->named);
    tm_graph_free(g);
}

static void steps_are_named_after_their_curate(void **state)
{
    (void)state;
    json_t *data = toy_data("n = numbers {\"to\": 9}\n"
                            "a = mark {} 1:n\n"
                            "b = mark {} 1:a\n"
                            "clean = gather {} 1:b\n"
                            "return clean");
    for (size_t i = 1; i < 3; i++)
        json_object_set_new(json_array_get(json_object_get(data, "nodes"), i), "curate", json_integer(3));
    tm_graph *g = NULL;
    assert_int_equal(tm_graph_build(data, ".", NULL, &g, &diags, &err), TM_OK);
    assert_non_null(tm_graph_find(g, "clean/mark"));
    assert_non_null(tm_graph_find(g, "clean/mark.2"));
    tm_graph_free(g);
    json_decref(data);
}

static void options_are_canonical_and_parsed(void **state)
{
    (void)state;
    tm_graph *g = toy_graph("n = numbers {\"to\": 5e1}\nreturn n");
    const tm_node *n = tm_graph_find(g, "n");
    assert_int_equal(json_integer_value(json_object_get(n->options, "to")), 50);
    assert_int_equal(json_integer_value(json_object_get(n->options, "cut")), 10);
    assert_non_null(n->parsed);
    tm_graph_free(g);
}

static void faulty(const char *text, const char *code, int line, const char *what, const char *fix)
{
    tm_graph *g = toy_graph(text);
    assert_null(g);
    if (!diags.n) fail_msg("no diagnostic: %s: %s", tm_status_name(err.status), err.text);
    const tm_diag *d = &diags.items[0];
    assert_string_equal(d->code, code);
    assert_int_equal(d->line, line);
    if (!strstr(d->what, what)) fail_msg("\"%s\" does not say \"%s\"", d->what, what);
    if (fix && !strstr(d->fix, fix)) fail_msg("\"%s\" does not say \"%s\"", d->fix, fix);
}

static void mistakes_are_pointed_at(void **state)
{
    (void)state;
    faulty("n = numbers {\"too\": 9}\nreturn n", "TM0201", 1, "there is no option \"too\"",
           "did you mean \"to\"?");
    faulty("n = numbers {}\nreturn n", "TM0204", 1, "option \"to\" is required", "add `to = ...`");
    faulty("n = numbers {\"to\": 9}\na = mark {}\nreturn a", "TM0209", 2, "mark needs its main input",
           "tm.mark");
    faulty("n = numbers {\"to\": 9}\na = mark {\"1\": 7} \nreturn a", "TM0210", 2,
           "its main input takes documents", NULL);
    faulty("n = numbers {\"to\": 9}\na = mark {} 1:n.more\nreturn a", "TM0213", 2, "has no port \"more\"",
           NULL);
    faulty("n = numbers {\"to\": 9}\nm = learn {\"steps\": 5} data:n\na = mark {} 1:m\nreturn a", "TM0211", 3,
           "takes documents, but tm.learn gives model", NULL);
}

static void a_selector_on_documents_is_refused(void **state)
{
    (void)state;
    json_t *data = toy_data("n = numbers {\"to\": 9}\na = mark {} 1:n\nreturn a");
    json_t *a = json_array_get(json_object_get(data, "nodes"), 1);
    json_t *ref = json_object_get(json_object_get(json_object_get(a, "args"), "1"), "$ref");
    json_object_set_new(ref, "select", json_pack("{s:s}", "kind", "each"));
    tm_graph *g = NULL;
    diags = (tm_diags){0};
    assert_int_equal(tm_graph_build(data, ".", NULL, &g, &diags, &err), TM_EGRAPH);
    assert_string_equal(diags.items[0].code, "TM0214");
    json_decref(data);
}

// A chain of trainers whose tokenizer ports all stand for that of the first.
#define CHAIN                                       \
    "n = numbers {\"to\": 9}\n"                      \
    "v = vocab {} 1:n\n"                             \
    "a = teach {} data:n tokenizer:v\n"              \
    "b = align {} 1:a data:n\n"                      \
    "c = align {} 1:b data:n\n"

static void an_alias_stands_for_what_flows_into_the_input(void **state)
{
    (void)state;
    tm_graph *g = toy_graph(CHAIN "d = teach {} data:n tokenizer:c.tokenizer\nreturn d a c.tokenizer");
    const tm_node *v = tm_graph_find(g, "v") ? tm_graph_find(g, "v") : tm_graph_find(g, "c.tokenizer");
    assert_ptr_equal(tm_node_link(tm_graph_find(g, "d"), "tokenizer")->from, v);
    assert_string_equal(v->stage->name, "vocab");
    assert_ptr_equal(g->targets[2].node, v);
    assert_int_equal(g->n_nodes, 4);  // n v a d: a tokenizer needs no training of b and c
    tm_graph_free(g);
}

static void an_alias_of_nothing_is_refused(void **state)
{
    (void)state;
    faulty("n = numbers {\"to\": 9}\na = teach {} data:n\nb = align {} 1:a data:n\n"
           "c = teach {} data:n tokenizer:b.tokenizer\nreturn c",
           "TM0215", 4, "tm.align has no tokenizer", "tm.vocab");
    assert_non_null(strstr(diags.items[0].why, "input tokenizer of tm.teach"));
}

static void conversions_follow_each_other_and_share_what_the_consumer_has(void **state)
{
    (void)state;
    tm_graph *g = toy_graph(CHAIN "return c b");
    const tm_node *c = tm_graph_find(g, "c"), *scored = tm_node_link(c, "data")->from;
    assert_string_equal(scored->name, "c.data");
    assert_string_equal(scored->stage->name, "to_scored");
    assert_ptr_equal(tm_node_link(scored, "reference")->from, tm_graph_find(g, "b"));
    const tm_node *pairs = tm_node_link(scored, "")->from;
    assert_string_equal(pairs->name, "c.data.pairs");
    assert_string_equal(tm_node_link(pairs, "")->from->stage->name, "numbers");
    assert_string_equal(tm_node_link(pairs, "tokenizer")->from->stage->name, "vocab");
    tm_graph_free(g);
}

static void a_fault_of_a_conversion_points_at_the_input_it_stands_before(void **state)
{
    (void)state;
    faulty("n = numbers {\"to\": 9}\nbad = vocab {} 1:n\na = teach {} data:n tokenizer:bad\n"
           "b = align {} 1:a data:n\nreturn b bad",
           "TM0220", 4, "tm.align: input data: this tokenizer is bad", NULL);
    assert_string_equal(diags.items[0].owner, "align");
    assert_string_equal(diags.items[0].word, "data");
    faulty("n = numbers {\"to\": 9}\na = teach {} data:n\nb = align {} 1:a data:n\nreturn b", "TM0209", 3,
           "tm.align: input data: tm.to_pairs needs its input tokenizer", NULL);
}

static void all_mistakes_are_counted(void **state)
{
    (void)state;
    assert_null(toy_graph("n = numbers {}\nm = numbers {}\no = numbers {}\nreturn n m o"));
    assert_int_equal(diags.n, 3);
    assert_int_equal(err.status, TM_EGRAPH);
    assert_string_equal(err.text, "the graph has 3 errors");
}

static void a_chain_of_many_nodes_needs_no_deep_stack(void **state)
{
    enum { N = 60000 };
    (void)state;
    json_t *nodes = json_array();
    for (int i = 0; i < N; i++) {
        json_t *args = i ? json_pack("{s:{s:{s:i, s:s}}}", "1", "$ref", "node", i - 1, "out", "")
                         : json_pack("{s:i}", "to", 1);
        json_array_append_new(nodes,
                              json_pack("{s:i, s:s, s:i, s:s, s:o}", "id", i, "stage", i ? "mark" : "numbers",
                                        "line", i + 1, "file", "g.lua", "args", args));
    }
    json_t *data = json_pack("{s:o, s:[[s, {s:i, s:s}]]}", "nodes", nodes, "targets", "end", "node", N - 1,
                             "out", "");
    tm_graph *g = NULL;
    diags = (tm_diags){0};
    assert_int_equal(tm_graph_build(data, ".", NULL, &g, &diags, &err), TM_OK);
    assert_int_equal(g->n_nodes, N);
    assert_non_null(tm_graph_find(g, "mark.59998"));
    tm_graph_free(g);
    json_decref(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_come_after_what_they_read),
        cmocka_unit_test(what_nobody_returns_is_left_out),
        cmocka_unit_test(returned_names_are_used_and_the_rest_are_numbered),
        cmocka_unit_test(steps_are_named_after_their_curate),
        cmocka_unit_test(options_are_canonical_and_parsed),
        cmocka_unit_test(mistakes_are_pointed_at),
        cmocka_unit_test(a_selector_on_documents_is_refused),
        cmocka_unit_test(an_alias_stands_for_what_flows_into_the_input),
        cmocka_unit_test(an_alias_of_nothing_is_refused),
        cmocka_unit_test(conversions_follow_each_other_and_share_what_the_consumer_has),
        cmocka_unit_test(a_fault_of_a_conversion_points_at_the_input_it_stands_before),
        cmocka_unit_test(all_mistakes_are_counted),
        cmocka_unit_test(a_chain_of_many_nodes_needs_no_deep_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
