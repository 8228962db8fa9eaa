// SPDX-License-Identifier: Apache-2.0
// A run read from its journal and the store.
#include "lua/past/past.h"

#include <math.h>
#include <unistd.h>

#include "engine/stage.h"
#include "engine/store_key.h"
#include "engine/type.h"
#include "lua/past/label.h"
#include "tests/unit/store_fixture.h"

static tm_journal *journal;
static char run[32];

static void say(const char *event, json_t *fields)
{
    OK(tm_journal_append(journal, event, fields, &err));
    json_decref(fields);
}

static json_t *planned(const char *stage, const char *recipe)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:{}, s:i}", "stage", stage, "state", "run", "reason",
                     "not run before", "recipe", recipe, "inputs", "group", 0);
}

static void start_run(tm_store *s, json_t *nodes)
{
    OK(tm_journal_create(s, run, &journal, &err));
    say("run", json_pack("{s:s, s:o, s:s, s:i, s:s, s:[s, s]}", "graph", "g.lua", "nodes", nodes, "run", run,
                         "pid", (int)getpid(), "note", "as begun", "tags", "b", "a"));
}

static json_t *of_nodes(const char *first, const char *second)
{
    json_t *f = json_pack("{s:s, s:[s]}", "node", second ? second : first, "nodes", first);
    if (second) json_array_append_new(json_object_get(f, "nodes"), json_string(second));
    return f;
}

static json_t *note(const char *node, int step, const char *name, double value)
{
    return json_pack("{s:s, s:i, s:s, s:f}", "node", node, "step", step, "name", name, "value", value);
}

static json_t *sealed(const char *first, const char *second, int rows)
{
    json_t *f = of_nodes(first, second);
    json_object_update_new(f, json_pack("{s:f, s:i, s:i, s:i, s:{s:{s:i}}, s:i}", "seconds", 1.5, "entries",
                                        2, "rows", rows, "bytes", 10 * rows, "counts", first, "lines", 7,
                                        "memory", 1000));
    return f;
}

static json_t *three_nodes(void)
{
    return json_pack("{s:o, s:o, s:o}", "read", planned("read", "00"), "clean", planned("gopher", "01"),
                     "base", planned("pretrain", "02"));
}

static void a_run_is_read_with_its_executions_and_metrics(void **state)
{
    tm_store *s = fresh(state);
    tm_past past;
    start_run(s, three_nodes());
    say("start", of_nodes("read", "clean"));
    say("sealed", sealed("read", "clean", 12));
    say("start", of_nodes("base", NULL));
    say("note", note("base", 10, "train.loss", 3));
    say("died", json_pack("{s:s, s:s}", "node", "base", "text", "killed"));
    say("note", note("base", 20, "train.loss", 2));
    say("note", note("base", 10, "train.loss", 3.5));
    say("failed", json_pack("{s:s, s:[s], s:s}", "node", "base", "nodes", "base", "text", "NaN"));
    say("end", json_pack("{s:s, s:f, s:i}", "status", "failed", "seconds", 4.5, "done", 2));
    OK(tm_past_read(s, NULL, &past, &err));
    assert_string_equal(past.run, run);
    assert_int_equal(past.n_nodes, 3);
    const tm_past_node *clean = tm_past_find(&past, "clean"), *base = tm_past_find(&past, "base");
    assert_string_equal(past.nodes[1].name, "clean");
    assert_string_equal(clean->state, "done");
    assert_int_equal(clean->rows, 12);
    assert_int_equal(clean->memory, 1000);
    assert_int_equal(clean->n_spans, 1);
    assert_true(clean->spans[0].begin_ms >= 0 && clean->spans[0].end_ms >= clean->spans[0].begin_ms);
    assert_int_equal(json_integer_value(json_object_get(tm_past_find(&past, "read")->counts, "lines")), 7);
    assert_string_equal(base->state, "failed");
    assert_string_equal(json_string_value(json_object_get(base->failure, "text")), "NaN");
    assert_int_equal(base->deaths, 1);
    const tm_past_series *loss = tm_past_metric(base, "train.loss");
    assert_int_equal(loss->n, 2);
    assert_int_equal(loss->steps[0], 10);
    assert_true(loss->values[0] == 3.5 && loss->values[1] == 2 && isnan(loss->errors[1]));
    assert_null(tm_past_find(&past, "bade"));
    assert_string_equal(tm_past_status(&past), "failed");
    assert_true(tm_past_seconds(&past) == 4.5);
    tm_past_clear(&past);
    tm_journal_close(journal);
}

static void a_live_run_is_read_as_far_as_it_is_and_further_later(void **state)
{
    tm_store *s = fresh(state);
    tm_past past;
    start_run(s, three_nodes());
    say("start", of_nodes("read", NULL));
    OK(tm_past_read(s, run, &past, &err));
    assert_string_equal(tm_past_status(&past), "running");
    assert_string_equal(tm_past_find(&past, "read")->state, "running");
    assert_int_equal(tm_past_find(&past, "read")->spans[0].end_ms, -1);
    assert_string_equal(tm_past_find(&past, "base")->state, "waiting");
    say("sealed", sealed("read", NULL, 3));
    say("end", json_pack("{s:s}", "status", "done"));
    OK(tm_past_more(&past, &err));
    assert_string_equal(tm_past_find(&past, "read")->state, "done");
    assert_string_equal(tm_past_status(&past), "done");
    tm_past_clear(&past);
    tm_journal_close(journal);
}

static void damaged_lines_are_counted_and_cost_only_themselves(void **state)
{
    tm_store *s = fresh(state);
    tm_past past;
    char path[TM_PATH_MAX];
    struct stat info;
    start_run(s, three_nodes());
    snprintf(path, sizeof path, "%s/runs/%s/journal", store_path, run);
    assert_int_equal(stat(path, &info), 0);
    say("start", of_nodes("read", NULL));
    say("sealed", sealed("read", NULL, 3));
    damage(path, (size_t)info.st_size + 30);
    OK(tm_past_read(s, run, &past, &err));
    assert_int_equal(past.damaged, 1);
    assert_string_equal(tm_past_find(&past, "read")->state, "done");
    assert_int_equal(tm_past_find(&past, "read")->n_spans, 0);
    tm_past_clear(&past);
    damage(path, 30); // what the run was
    assert_int_equal(tm_past_read(s, run, &past, &err), TM_ENOENT);
    assert_non_null(strstr(err.hint, "2 damaged"));
    tm_journal_close(journal);
}

static void ten_thousand_nodes_are_all_there(void **state)
{
    enum { N = 10000 };
    tm_store *s = fresh(state);
    tm_past past;
    char name[32], recipe[40];
    json_t *nodes = json_object();
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "trials/lr=%d", i);
        snprintf(recipe, sizeof recipe, "%032d", i);
        json_object_set_new(nodes, name, planned("pretrain", recipe));
    }
    start_run(s, nodes);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "trials/lr=%d", i);
        say("start", of_nodes(name, NULL));
        say("note", note(name, 5, "valid.loss", i));
        say("sealed", sealed(name, NULL, i));
    }
    OK(tm_past_read(s, run, &past, &err));
    OK(tm_past_results(&past, s, &err));
    assert_int_equal(past.n_nodes, N);
    for (int i = 0; i < N; i += 777) {
        snprintf(name, sizeof name, "trials/lr=%d", i);
        const tm_past_node *node = tm_past_find(&past, name);
        assert_int_equal(node->rows, i);
        assert_true(tm_past_metric(node, "valid.loss")->values[0] == i);
    }
    tm_past_clear(&past);
    tm_journal_close(journal);
}

// A metrics log of one row, and a record of it.
static void bind_metrics(tm_store *s, const char *recipe, double value, double error)
{
    const tm_type *type = tm_type_find("metrics");
    tm_batch *batch = tm_batch_new(type->cols, type->n_cols);
    tm_metric m = {.step = 20, .name = tm_view_str("valid.loss"), .value = value, .error = error, .count = 9};
    tm_buf bytes = {0};
    tm_entry entry = {.rows = 1};
    tm_key_port port = {.name = "metrics"};
    tm_record record = {.ports = &port, .n_ports = 1, .json = "{}"};
    tm_bind_outcome outcome;
    OK(tm_metrics_add(batch, &m, &err));
    OK(tm_batch_encode(batch, &bytes, &err));
    OK(tm_store_put(s, bytes.data, bytes.size, 0, &entry.hash, &err));
    entry.bytes = bytes.size;
    OK(tm_artifact_put(s, "metrics", false, &entry, 1, &port.artifact, &err));
    assert_true(tm_hash_parse(recipe, &record.recipe));
    OK(tm_key_bind(s, &record, false, &outcome, &err));
    tm_batch_unref(batch);
    tm_buf_clear(&bytes);
}

static void results_of_cached_nodes_come_from_the_store_with_their_errors(void **state)
{
    static const char recipe[] = "0123456789abcdef0123456789abcdef";
    tm_store *s = fresh(state);
    tm_past past;
    bind_metrics(s, recipe, 1.75, 0.25);
    start_run(s, json_pack("{s:o}", "base", planned("pretrain", recipe)));
    say("cached", of_nodes("base", NULL));
    OK(tm_past_read(s, run, &past, &err));
    assert_null(tm_past_metric(&past.nodes[0], "valid.loss"));
    OK(tm_past_results(&past, s, &err));
    const tm_past_series *loss = tm_past_metric(&past.nodes[0], "valid.loss");
    assert_non_null(loss);
    assert_true(loss->values[0] == 1.75 && loss->errors[0] == 0.25);
    assert_int_equal(loss->steps[0], 20);
    assert_int_equal(loss->counts[0], 9);
    assert_int_equal(loss->times[0], -1);
    assert_int_equal(tm_past_port_of(&past.nodes[0], "metrics")->rows, 1);
    assert_string_equal(past.nodes[0].state, "cached");
    tm_past_clear(&past);
    tm_journal_close(journal);
}

static void a_label_counts_instead_of_what_the_run_began_with(void **state)
{
    tm_store *s = fresh(state);
    tm_past past;
    start_run(s, three_nodes());
    OK(tm_past_read(s, run, &past, &err));
    assert_string_equal(past.note, "as begun");
    assert_string_equal(json_string_value(json_array_get(past.tags, 0)), "a");
    assert_true(tm_label_add(past.tags, "c"));
    assert_false(tm_label_add(past.tags, "c"));
    assert_true(tm_label_drop(past.tags, "a"));
    OK(tm_label_write(s, run, "later", past.tags, &err));
    tm_past_clear(&past);
    OK(tm_past_read(s, run, &past, &err));
    assert_string_equal(past.note, "later");
    assert_int_equal(json_array_size(past.tags), 2);
    assert_string_equal(json_string_value(json_array_get(past.tags, 1)), "c");
    tm_past_clear(&past);
    assert_int_equal(tm_label_check("a b", &err), TM_EINVAL);
    OK(tm_label_check("paper/table-2", &err));
    tm_journal_close(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_run_is_read_with_its_executions_and_metrics),
        in_folder(a_live_run_is_read_as_far_as_it_is_and_further_later),
        in_folder(damaged_lines_are_counted_and_cost_only_themselves),
        in_folder(ten_thousand_nodes_are_all_there),
        in_folder(results_of_cached_nodes_come_from_the_store_with_their_errors),
        in_folder(a_label_counts_instead_of_what_the_run_began_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
