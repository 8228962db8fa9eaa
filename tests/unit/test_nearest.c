// SPDX-License-Identifier: Apache-2.0
#include "engine/base/nearest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/base/io.h"

static char folder[64];

static void touch(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int make(void **state)
{
    char path[200];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tidemill-nearest-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/corpus", folder);
    if (mkdir(path, 0700)) return -1;
    touch("graph.lua");
    touch("corpus/pages.txt");
    return 0;
}

static int clear(void **state)
{
    (void)state;
    return tm_dir_remove(folder, NULL);
}

static void near(const char *path, const char *expected)
{
    char found[256] = "";
    assert_int_equal(tm_nearest_path(folder, path, found, sizeof found), expected[0] != 0);
    assert_string_equal(found, expected);
}

static void each_part_of_a_path_that_is_missing_becomes_the_nearest(void **state)
{
    (void)state;
    near("grahp.lua", "graph.lua");
    near("corpsu/pages.txt", "corpus/pages.txt");
    near("corpsu/page.txt", "corpus/pages.txt");
    near("./grahp.lua", "./graph.lua");
    near("corpsu//pages.txt", "corpus//pages.txt");
}

static void a_pattern_stays_as_it_is(void **state)
{
    (void)state;
    near("corpsu/*.txt", "corpus/*.txt");
    near("corpsu/**/*.html", "corpus/**/*.html");
}

static void nothing_is_made_up(void **state)
{
    (void)state;
    near("graph.lua", "");
    near("elsewhere/pages.txt", "");
    near("corpsu/tides.html", "");
    near("", "");
    char small[6];
    assert_false(tm_nearest_path(folder, "grahp.lua", small, sizeof small));
}

static void of_names_with_the_same_beginning_the_shorter_is_nearer(void **state)
{
    static const char *const names[] = {"base.data", "base", "baseline", NULL};
    (void)state;
    assert_string_equal(tm_nearest("bas", names), "base");
}

static void an_absolute_path_needs_no_folder(void **state)
{
    char path[200], right[200], found[256];
    (void)state;
    snprintf(path, sizeof path, "%s/grahp.lua", folder);
    snprintf(right, sizeof right, "%s/graph.lua", folder);
    assert_true(tm_nearest_path(NULL, path, found, sizeof found));
    assert_string_equal(found, right);
}

static void without_memory_nothing_is_near(void **state)
{
    char found[256];
    (void)state;
    for (uint64_t n = 1; n < 20; n++) {
        tm_alloc_fail_at(n, false);
        if (tm_nearest_path(folder, "corpsu/page.txt", found, sizeof found))
            assert_string_equal(found, "corpus/pages.txt");
    }
    tm_alloc_fail_at(0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_of_a_path_that_is_missing_becomes_the_nearest),
        cmocka_unit_test(a_pattern_stays_as_it_is),
        cmocka_unit_test(nothing_is_made_up),
        cmocka_unit_test(of_names_with_the_same_beginning_the_shorter_is_nearer),
        cmocka_unit_test(an_absolute_path_needs_no_folder),
        cmocka_unit_test(without_memory_nothing_is_near),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
