// SPDX-License-Identifier: Apache-2.0
// diff: what is different between two runs, or two results.
#include <stdio.h>

#include "lua/cli/counts.h"
#include "lua/cli/json_text.h"
#include "lua/cli/session.h"
#include "lua/cli/table.h"
#include "lua/past/before.h"
#include "lua/past/diff_results.h"
#include "lua/past/diff_runs.h"
#include "lua/past/fact.h"
#include "lua/past/graph_name.h"
#include "lua/past/run_name.h"

static const tm_flag flags[] = {
    {"--full", 0, NULL, "all changed lines, nodes and metrics, also those of training batches"},
    {0},
};

enum { MAX_LINES = 12, MAX_NODES = 12, WIDEST = 32 };

typedef struct printer {
    tm_table *table;
    const char *section; // of the last row
    bool full;
} printer;

// ---- rows ----

static void cell(printer *p, const char *text)
{
    bool cut = !p->full && strlen(text) > WIDEST;
    tm_table_cell(p->table, "%.*s%s", cut ? WIDEST - 2 : (int)strlen(text), text, cut ? ".." : "");
}

static void row(printer *p, const char *section, const char *name, const char *before, const char *after,
                const char *note)
{
    bool again = p->section && strcmp(p->section, section) == 0;
    tm_table_cell(p->table, "%s", again ? "" : section);
    tm_table_cell(p->table, "%s", name);
    cell(p, before);
    cell(p, after);
    tm_table_cell(p->table, "%s", note);
    p->section = section;
}

static const char *text_of(const json_t *value, char text[128])
{
    if (json_is_string(value)) {
        snprintf(text, 128, "%.100s", json_string_value(value));
    } else if (json_is_number(value)) {
        tm_number_text(json_number_value(value), text);
    } else {
        const char *kind = json_string_value(json_object_get(value, "$value"));
        tm_buf dump = {0};
        if (kind) tm_buf_fmt(&dump, "%s {..}", kind);
        else if (value && !json_is_null(value)) tm_json_text(value, &dump);
        snprintf(text, 128, "%.100s", dump.data ? dump.data : "-");
        tm_buf_clear(&dump);
    }
    return text;
}

static void pair_row(printer *p, const char *section, const char *name, const json_t *pair, const char *note)
{
    char before[128], after[128];
    row(p, section, name, text_of(json_array_get(pair, 0), before), text_of(json_array_get(pair, 1), after),
        note);
}

static const char *string_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text ? text : "";
}

// ---- sections ----

static void print_code(printer *p, const json_t *all)
{
    const char *path;
    json_t *code;
    json_object_foreach((json_t *)all, path, code)
    {
        char before[16], after[16], note[96] = "";
        const json_t *hashes = json_object_get(code, "hashes"), *lines = json_object_get(code, "lines");
        const char *x = json_string_value(json_array_get(hashes, 0));
        const char *y = json_string_value(json_array_get(hashes, 1));
        snprintf(before, sizeof before, "%.6s", x ? x : "-");
        snprintf(after, sizeof after, "%.6s", y ? y : "-");
        if (lines)
            snprintf(note, sizeof note, "+%lld -%lld lines, at %lld",
                     (long long)json_integer_value(json_object_get(code, "added")),
                     (long long)json_integer_value(json_object_get(code, "removed")),
                     (long long)json_integer_value(json_object_get(json_array_get(lines, 0), "line")));
        row(p, "code", path, before, after, lines ? note : x && y ? "the text is not on record" : "");
    }
}

static void print_differences(printer *p, const char *section, const char *node, const json_t *list)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)list, i, one)
    {
        char name[200], before[128], after[128];
        const char *field = string_of(one, "field");
        snprintf(name, sizeof name, "%s%s%s", node, node[0] ? " " : "", field);
        bool values = json_object_get(one, "before") || json_object_get(one, "after");
        const char *text = string_of(one, "text");
        if (values)
            row(p, section, name, text_of(json_object_get(one, "before"), before),
                text_of(json_object_get(one, "after"), after), "");
        else
            row(p, section, name, "", "",
                strncmp(text, field, strlen(field)) == 0 ? text + strlen(field) + 1 : text);
    }
}

static void print_names(printer *p, const json_t *names, bool gone)
{
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)names, i, name)
    {
        if (!p->full && i == MAX_NODES) {
            char more[64];
            snprintf(more, sizeof more, "and %zu more (--full)", json_array_size(names) - i);
            row(p, "nodes", more, "", "", "");
            break;
        }
        row(p, "nodes", json_string_value(name), gone ? "there" : "-", gone ? "-" : "there", "");
    }
}

static void print_nodes(printer *p, const json_t *all)
{
    const char *node;
    json_t *one, *inputs = json_object_get(all, "inputs"), *nodes = json_object_get(all, "nodes");
    int n = 0;
    json_object_foreach(inputs, node, one) row(p, "inputs", node, "", "", string_of(one, "text"));
    print_names(p, json_object_get(nodes, "removed"), true);
    print_names(p, json_object_get(nodes, "added"), false);
    json_object_foreach(json_object_get(nodes, "changed"), node, one) if (p->full || n++ < MAX_NODES)
        print_differences(p, "nodes", node, one);
    if (n > MAX_NODES) {
        char more[64];
        snprintf(more, sizeof more, "and %d more (--full)", n - MAX_NODES);
        row(p, "nodes", more, "", "", "");
    }
}

static void print_records(printer *p, const json_t *all)
{
    const char *node;
    json_t *pair;
    json_object_foreach((json_t *)all, node, pair)
    {
        char note[32];
        json_int_t n = json_integer_value(json_array_get(pair, 0)),
                   m = json_integer_value(json_array_get(pair, 1));
        snprintf(note, sizeof note, "%+lld", (long long)(m - n));
        pair_row(p, "records", node, pair, note);
    }
}

static void metric_text(const json_t *value, char text[128])
{
    char number[32], at[32] = "";
    const json_t *v = json_object_get(value, "value");
    long long step = (long long)json_integer_value(json_object_get(value, "step"));
    if (step > 0) snprintf(at, sizeof at, " @%lld", step);
    snprintf(text, 128, "%s%s",
             json_is_number(v)     ? tm_number_text(json_number_value(v), number)
             : json_is_null(value) ? "-"
                                   : "nan",
             at);
}

static void print_metrics(printer *p, const json_t *all)
{
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)all, name, one)
    {
        char before[128], after[128], note[128] = "";
        const json_t *x = json_object_get(one, "before"), *y = json_object_get(one, "after");
        const json_t *difference = json_object_get(one, "difference"), *ex = json_object_get(x, "error");
        const char *verdict = string_of(one, "verdict");
        metric_text(x, before);
        metric_text(y, after);
        if (json_is_number(difference)) {
            size_t at = (size_t)snprintf(note, sizeof note, "%+.3g", json_number_value(difference));
            if (verdict[0])
                snprintf(note + at, sizeof note - at, "  %s (+-%.2g, +-%.2g)", verdict, json_number_value(ex),
                         json_number_value(json_object_get(y, "error")));
        }
        row(p, "metrics", name, before, after, note);
    }
}

static void print_room(printer *p, const json_t *all)
{
    char text[2][40];
    const json_t *seconds = json_object_get(all, "seconds"), *bytes = json_object_get(all, "bytes");
    for (size_t i = 0; i < 2; i++) tm_duration_text(json_number_value(json_array_get(seconds, i)), text[i]);
    row(p, "time", "", text[0], text[1], "");
    for (size_t i = 0; i < 2; i++)
        snprintf(text[i], sizeof text[i], "%lld (%lld cached)",
                 (long long)json_integer_value(json_array_get(json_object_get(all, "ran"), i)),
                 (long long)json_integer_value(json_array_get(json_object_get(all, "cached"), i)));
    row(p, "ran", "", text[0], text[1], "");
    for (size_t i = 0; i < 2; i++) {
        char size[16];
        snprintf(text[i], sizeof text[i], "%s",
                 tm_size_text((uint64_t)json_integer_value(json_array_get(bytes, i)), size));
    }
    row(p, "disk", "", text[0], text[1], "");
}

static void heading(printer *p, const json_t *run)
{
    char text[160];
    const char *note = string_of(run, "note"),
               *tag = json_string_value(json_array_get(json_object_get(run, "tags"), 0));
    const char *said = note[0] ? note : tag ? tag : "";
    snprintf(text, sizeof text, "%s%s%.40s%s", string_of(run, "run"), said[0] ? " \"" : "", said,
             said[0] ? "\"" : "");
    tm_table_column(p->table, text, false);
}

static void print_changed_lines(const json_t *all, bool full)
{
    const char *path;
    json_t *code, *line;
    json_object_foreach((json_t *)all, path, code)
    {
        size_t i;
        const json_t *lines = json_object_get(code, "lines");
        if (json_array_size(lines)) printf("\n%s\n", path);
        json_array_foreach((json_t *)lines, i, line)
        {
            if (!full && i == MAX_LINES) {
                printf("      .. %zu more lines (--full)\n", json_array_size(lines) - i);
                break;
            }
            printf("%5lld %s %s\n", (long long)json_integer_value(json_object_get(line, "line")),
                   string_of(line, "kind"), string_of(line, "text"));
        }
    }
}

static void print(const json_t *all, bool full)
{
    printer p = {.table = tm_table_new(), .full = full};
    const char *name;
    json_t *pair, *runs = json_object_get(all, "runs"), *git = json_object_get(all, "git");
    const json_t *x = json_array_get(runs, 0), *y = json_array_get(runs, 1);
    tm_table_column(p.table, "", false);
    tm_table_column(p.table, "", false);
    heading(&p, x);
    heading(&p, y);
    tm_table_column(p.table, "", false);
    if (strcmp(string_of(x, "status"), "done") != 0 || strcmp(string_of(y, "status"), "done") != 0)
        row(&p, "status", "", string_of(x, "status"), string_of(y, "status"), "");
    const char *a = string_of(x, "path"), *b = string_of(y, "path");
    int apart = tm_graph_apart(a, b);
    if (strcmp(a, b) != 0) row(&p, "graph", "", tm_graph_tail(a, apart), tm_graph_tail(b, apart), "");
    json_object_foreach(json_object_get(all, "params"), name, pair) pair_row(&p, "params", name, pair, "");
    if (!json_equal(json_array_get(git, 0), json_array_get(git, 1))) pair_row(&p, "git", "", git, "");
    print_code(&p, json_object_get(all, "code"));
    print_nodes(&p, all);
    print_records(&p, json_object_get(all, "records"));
    print_metrics(&p, json_object_get(all, "metrics"));
    long long same = (long long)json_integer_value(json_object_get(all, "same_metrics"));
    char text[64];
    snprintf(text, sizeof text, "%lld the same", same);
    if (same) row(&p, "metrics", text, "", "", "");
    print_differences(&p, "machine", "", json_object_get(all, "environment"));
    print_room(&p, all);
    tm_table_print(p.table, stdout);
    tm_table_free(p.table);
    print_changed_lines(json_object_get(all, "code"), full);
}

// ---- two results ----

static void print_example(const json_t *record, const char *sign, bool full)
{
    const char *text = string_of(record, "text");
    const json_t *edits = json_object_get(record, "edits");
    int shown = full || strlen(text) <= 160 ? (int)strlen(text) : 160;
    while (shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80) shown--;
    printf("%s %s  %s\n", sign, string_of(record, "id"), string_of(record, "source"));
    if (edits)
        tm_before_print(edits, full);
    else if (text[0])
        printf("%.*s\n", shown, text);
}

static void print_records_diff(const json_t *diff, bool full)
{
    static const char *const kinds[][2] = {{"removed", "-"}, {"added", "+"}, {"changed", "~"}};
    for (int k = 0; k < 3; k++)
        printf("%s%lld %s", k ? ", " : "", (long long)json_integer_value(json_object_get(diff, kinds[k][0])),
               kinds[k][0]);
    printf(", %lld the same\n", (long long)json_integer_value(json_object_get(diff, "same")));
    for (int k = 0; k < 3; k++) {
        size_t i;
        json_t *record;
        json_array_foreach(json_object_get(json_object_get(diff, "examples"), kinds[k][0]), i, record)
            print_example(record, kinds[k][1], full);
    }
}

static void print_files_diff(const json_t *diff)
{
    const char *name;
    json_t *pair;
    tm_table *t = tm_table_new();
    tm_table_column(t, "file", false);
    tm_table_column(t, "before", true);
    tm_table_column(t, "after", true);
    json_object_foreach(json_object_get(diff, "files"), name, pair)
    {
        tm_table_cell(t, "%s", name);
        for (size_t i = 0; i < 2; i++) {
            char size[16];
            const json_t *bytes = json_array_get(pair, i);
            tm_table_cell(t, "%s",
                          json_is_null(bytes)
                              ? "-"
                              : tm_size_text((uint64_t)json_integer_value(bytes), size));
        }
    }
    tm_table_print(t, stdout);
    tm_table_free(t);
    printf("%lld files the same\n", (long long)json_integer_value(json_object_get(diff, "same")));
}

static tm_status diff_addresses(const tm_cli *cli, tm_store *store, const char *a, const char *b,
                                tm_error *err)
{
    bool full = tm_cli_flag(cli, "--full") != NULL;
    json_t *diff;
    TM_TRY(tm_diff_results(store, a, b, full ? 100 : 3, &diff, err));
    const json_t *addresses = json_object_get(diff, "addresses");
    if (!cli->json)
        printf("%s -> %s  %s: ", json_string_value(json_array_get(addresses, 0)),
               json_string_value(json_array_get(addresses, 1)), string_of(diff, "type"));
    if (cli->json)
        tm_cli_print(cli, json_incref(diff));
    else if (json_object_get(diff, "examples"))
        print_records_diff(diff, full);
    else {
        putchar('\n');
        print_files_diff(diff);
    }
    json_decref(diff);
    return TM_OK;
}

// ---- the command ----

static tm_status diff_runs(const tm_cli *cli, tm_store *store, tm_error *err)
{
    tm_past a = {0}, b = {0};
    bool full = tm_cli_flag(cli, "--full") != NULL;
    tm_status status = tm_past_read(store, cli->args[0], &a, err);
    if (status >= 0) status = tm_past_results(&a, store, err);
    if (status >= 0) status = tm_past_read(store, cli->args[1], &b, err);
    if (status >= 0) status = tm_past_results(&b, store, err);
    if (status >= 0) {
        json_t *all = tm_diff_runs(&a, &b, full);
        if (!cli->json)
            print(all, full);
        else
            tm_cli_print(cli, json_incref(all));
        json_decref(all);
    }
    tm_past_clear(&a);
    tm_past_clear(&b);
    return status;
}

static bool is_run(tm_store *store, const char *text)
{
    char run[32];
    return tm_run_name(store, text, run, NULL) >= 0;
}

// Two runs; two addresses; or two runs and a node, which is its result in one and in the other.
static tm_status diff(const tm_cli *cli, tm_store *store, tm_error *err)
{
    const char *const *args = cli->args;
    if (cli->n_args == 3) {
        char a[400], b[400];
        snprintf(a, sizeof a, "%.100s:%.250s", args[0], args[2]);
        snprintf(b, sizeof b, "%.100s:%.250s", args[1], args[2]);
        return diff_addresses(cli, store, a, b, err);
    }
    bool colon = strchr(args[0], ':') || strchr(args[1], ':');
    if (colon || (!is_run(store, args[0]) && !is_run(store, args[1])))
        return diff_addresses(cli, store, args[0], args[1], err);
    return diff_runs(cli, store, err);
}

static int exec(tm_cli *cli)
{
    return tm_session_in_store(cli, diff);
}

const tm_command tm_command_diff = {
    .name = "diff",
    .brief = "Say what is different between two runs (parameters, code, inputs, metrics ..) or two results.",
    .usage = "RUN RUN [NODE] | ADDRESS ADDRESS",
    .example = "tidemill diff r11 r12",
    .min = 2,
    .max = 3,
    .flags = flags,
    .exec = exec,
};
