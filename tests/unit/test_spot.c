// SPDX-License-Identifier: Apache-2.0
// Where faults point in the text of a graph file.
#include "engine/spot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

// `place`: "line:column:length" of the spot for a file of this text, seen from line 1.
static void points(const char *text, const char *owner, const char *word, const char *place)
{
    char path[] = "/tmp/tidemill-spot-XXXXXX", got[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    tm_spot spot;
    assert_true(tm_spot_find(path, 1, owner, word, &spot));
    snprintf(got, sizeof got, "%d:%d:%zu", spot.line, spot.column, spot.length);
    tm_buf_clear(&spot.text);
    unlink(path);
    assert_string_equal(got, place);
}

static void an_option_is_found_inside_the_braces_of_its_constructor(void **state)
{
    (void)state;
    points("local valid = tm.split { docs, valid = 2 }", "split", "valid", "1:32:5");
    points("tm.split { tm.take { valid = 1 }, valid = 2 }", "split", "valid", "1:35:5");
    points("tm.split {\n  docs,\n  valid = 2,\n}", "split", "valid", "3:3:5");
    points("tm.split({ valid = 2 })", "split", "valid", "1:12:5");
}

static void strings_and_comments_hide_no_option(void **state)
{
    (void)state;
    points("tm.split { \"valid = }\", -- valid = 1 }\n valid = 2 }", "split", "valid", "2:2:5");
    points("tm.split { 'it\\'s valid = ', [[ } valid = ]], valid = 2 }", "split", "valid", "1:47:5");
    points("tm.split { --[[ } valid = 1 ]] valid = 2 }", "split", "valid", "1:32:5");
}

static void the_second_call_of_a_line_is_found_if_it_has_the_option(void **state)
{
    (void)state;
    points("tm.split { a }, tm.split { b, valid = 2 }", "split", "valid", "1:31:5");
}

static void text_is_found_where_no_option_is(void **state)
{
    (void)state;
    points("local read = tm.read { \"a/read.txt\" }", "read", "a/read.txt", "1:25:10");
    points("tm.learn { docs:at(3) }", "learn", "at", "1:17:2");
}

static void without_the_word_it_is_the_constructor(void **state)
{
    (void)state;
    points("  local x = tm.split { docs }", "split", "valid", "1:16:5");
    points("  local x = tm.split { docs }", "split", "", "1:16:5");
    points("  local x = make(docs)", "split", "valid", "1:3:1");
    points("  local x = make(docs)", "", "make", "1:13:4");
}

static void braces_that_never_close_end_with_the_text(void **state)
{
    (void)state;
    points("tm.split { { { \"", "split", "valid", "1:4:5");
    points("tm.split { valid", "split", "valid", "1:12:5");
    points("split", "split", "valid", "1:1:5");
}

static void a_line_that_is_not_there_gives_nothing(void **state)
{
    tm_spot spot;
    (void)state;
    assert_false(tm_spot_find("/nowhere/graph.lua", 1, "split", "valid", &spot));
    assert_int_equal(spot.text.size, 0);
    tm_buf_clear(&spot.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_option_is_found_inside_the_braces_of_its_constructor),
        cmocka_unit_test(strings_and_comments_hide_no_option),
        cmocka_unit_test(the_second_call_of_a_line_is_found_if_it_has_the_option),
        cmocka_unit_test(text_is_found_where_no_option_is),
        cmocka_unit_test(without_the_word_it_is_the_constructor),
        cmocka_unit_test(braces_that_never_close_end_with_the_text),
        cmocka_unit_test(a_line_that_is_not_there_gives_nothing),
    };
    return cmocka_run_group_tests_name("spot", tests, NULL, NULL);
}
