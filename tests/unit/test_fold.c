// SPDX-License-Identifier: Apache-2.0
#include "lua/cli/fold.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void folds(const char *line, size_t width, size_t indent, const char *expected)
{
    tm_buf out = {0};
    tm_fold(&out, tm_view_str(line), width, indent);
    assert_false(out.failed);
    assert_string_equal(out.size ? out.data : "", expected);
    tm_buf_clear(&out);
}

static void lines_break_between_words(void **state)
{
    (void)state;
    folds("clean  done  48 KB; 478 removed", 24, 4, "clean  done  48 KB; 478\n    removed");
    folds("it fits", 7, 4, "it fits");
    folds("base  resume  options steps 900 -> 5000", 36, 2, "base  resume  options steps 900 ->\n  5000");
    folds("", 10, 2, "");
}

static void a_word_longer_than_a_line_is_broken(void **state)
{
    (void)state;
    folds("a 0123456789012", 10, 2, "a\n  01234567\n  89012");
}

static void colours_take_no_room_and_wide_characters_two_cells(void **state)
{
    (void)state;
    folds("a \033[32mdone\033[0m bc", 9, 2, "a \033[32mdone\033[0m bc");
    folds("水水水 水", 8, 2, "水水水\n  水");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_break_between_words),
        cmocka_unit_test(a_word_longer_than_a_line_is_broken),
        cmocka_unit_test(colours_take_no_room_and_wide_characters_two_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
