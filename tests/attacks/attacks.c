// SPDX-License-Identifier: Apache-2.0
// Every hostile graph file in this folder ends soon, within bounds, and with a fault that names it.
//
// The first line of a file is `-- CODE` or `-- CODE:LINE`; CODE|CODE where it depends on the machine which
// bound is reached first. An attack that is defused without a fault of its own raises one ("held: ..."), so
// that a file which evaluates to a graph has got through.
#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "lua/load/child.h"
#include "lua/load/load.h"

#define FOLDER "tests/attacks"
#ifdef __SANITIZE_ADDRESS__
#define MAX_RSS_KIB (1 << 20)  // shadow and quarantine come on top
#else
#define MAX_RSS_KIB (300 << 10)
#endif

static const char catalogue[] =
    "{\"stages\":[{\"name\":\"read\",\"outputs\":[\"\"],\"step\":false},"
    "{\"name\":\"gopher\",\"outputs\":[\"\",\"removed\"],\"step\":true},"
    "{\"name\":\"split\",\"outputs\":[\"train\",\"valid\"],\"step\":false}],\"values\":[{\"name\":\"llama\"}]}";

typedef struct expected {
    char codes[32];
    int line;
} expected;

static bool read_expected(const char *path, expected *want)
{
    char first[64] = "";
    FILE *file = fopen(path, "r");
    if (!file) return false;
    bool read = fgets(first, sizeof first, file) != NULL;
    fclose(file);
    *want = (expected){"TM0101", 0};  // compiled Lua cannot say
    if (read && first[0] == '-') return sscanf(first, "-- %31[A-Z0-9|]:%d", want->codes, &want->line) >= 1;
    return read;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// Complain, and give false, if the file does not end as it must.
static bool ends_as_expected(const char *name)
{
    char path[512];
    expected want;
    tm_error err = {0};
    tm_lua_fault fault;
    json_t *graph;
    snprintf(path, sizeof path, FOLDER "/%s", name);
    if (!read_expected(path, &want)) return false;
    double begin = seconds();
    tm_status status = tm_graph_eval(&(tm_graph_source){.path = path}, catalogue, &graph, &fault, &err);
    double took = seconds() - begin;
    bool right = status == TM_EGRAPH && strlen(fault.diag.code) == 6 && strstr(want.codes, fault.diag.code) &&
                 strcmp(fault.diag.file, name) == 0 && (want.line == 0 || fault.diag.line == want.line) &&
                 (fault.diag.line > 0 || strcmp(want.codes, "TM0101") == 0) && took < 10 &&
                 fault.max_rss_kib < MAX_RSS_KIB;
    for (const char *c = fault.diag.what; *c; c++) right = right && !iscntrl((unsigned char)*c);
    if (!right || getenv("TM_ATTACKS"))
        printf("%s %s: %s %s:%d \"%.80s\", %.2f s, %ld KiB\n", right ? "#" : "# WRONG", name, fault.diag.code,
               fault.diag.file, fault.diag.line, fault.diag.what, took, fault.max_rss_kib);
    json_decref(graph);
    return right;
}

static void every_attack_ends_with_a_fault_that_names_its_file(void **state)
{
    (void)state;
    struct dirent **names;
    int n = scandir(FOLDER, &names, NULL, alphasort), n_attacks = 0, n_wrong = 0;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        size_t size = strlen(names[i]->d_name);
        if (size > 4 && strcmp(names[i]->d_name + size - 4, ".lua") == 0) {
            n_attacks++;
            n_wrong += !ends_as_expected(names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    assert_int_equal(n_wrong, 0);
    assert_true(n_attacks >= 40);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], TM_GRAPH_CHILD) == 0) return tm_graph_child();
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_attack_ends_with_a_fault_that_names_its_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
