// SPDX-License-Identifier: Apache-2.0
// What goes so that hardly more gets free than is needed.
#include "lua/room_choose.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// "0011": which of them go.
static const char *chosen(tm_room_item *items, size_t n, uint64_t need, char text[64])
{
    tm_room_choose(items, n, need);
    for (size_t i = 0; i < n; i++) text[i] = items[i].goes ? '1' : '0';
    text[n] = 0;
    return text;
}

static void the_cheapest_for_each_byte_go_until_it_is_enough(void **state)
{
    tm_room_item items[] = {{1, 100, 1, false}, {1, 100, 2, false}, {1, 100, 3, false}, {1, 100, 4, false}};
    char text[64];
    assert_string_equal(chosen(items, 4, 200, text), "1100");
    assert_string_equal(chosen(items, 4, 201, text), "1110");
    assert_string_equal(chosen(items, 4, 0, text), "0000");
    assert_string_equal(chosen(items, 4, 1000, text), "1111");
}

static void what_a_bigger_one_makes_superfluous_stays(void **state)
{
    tm_room_item items[] = {{1, 5, 0.1, false}, {1, 400, 40, false}, {1, 10, 90, false}};
    char text[64];
    assert_string_equal(chosen(items, 3, 55, text), "010");
    assert_string_equal(chosen(items, 3, 403, text), "110");
}

static void a_little_one_goes_before_a_big_one_that_is_dearer_in_all(void **state)
{
    tm_room_item items[] = {{1, 400, 2000, false}, {1, 100, 1000, false}};
    char text[64];
    assert_string_equal(chosen(items, 2, 20, text), "01");
    assert_string_equal(chosen(items, 2, 120, text), "10");
}

static void a_rank_is_touched_only_when_those_below_are_not_enough(void **state)
{
    tm_room_item items[] = {{0, 500, 9000, false}, {1, 100, 1, false}, {3, 100, 0.1, false}};
    char text[64];
    assert_string_equal(chosen(items, 3, 20, text), "100");
    assert_string_equal(chosen(items, 3, 510, text), "110");
    assert_string_equal(chosen(items, 3, 610, text), "111");
}

static void what_has_no_bytes_never_goes(void **state)
{
    tm_room_item items[] = {{1, 0, 0, false}, {1, 10, 1, false}, {1, 0, 2, false}};
    char text[64];
    assert_string_equal(chosen(items, 3, 10, text), "010");
}

static int by_rate(const void *a, const void *b)
{
    const tm_room_item *x = a, *y = b;
    double p = x->cost / (double)x->bytes, q = y->cost / (double)y->bytes;
    return (p > q) - (p < q);
}

static void no_choice_costs_more_than_twice_the_least_or_holds_what_is_superfluous(void **state)
{
    srand(7);
    for (int trial = 0; trial < 400; trial++) {
        tm_room_item items[10];
        uint64_t all = 0;
        for (int i = 0; i < 10; i++) {
            items[i] = (tm_room_item){1, 1 + (uint64_t)(rand() % 100), 1 + rand() % 100, false};
            all += items[i].bytes;
        }
        qsort(items, 10, sizeof *items, by_rate);
        uint64_t need = 1 + (uint64_t)rand() % all, freed = 0;
        tm_room_choose(items, 10, need);
        double least = INFINITY, cost = 0;
        for (unsigned set = 0; set < 1024; set++) {
            uint64_t bytes = 0;
            double sum = 0;
            for (int i = 0; i < 10; i++)
                if (set >> i & 1) bytes += items[i].bytes, sum += items[i].cost;
            if (bytes >= need) least = fmin(least, sum);
        }
        for (int i = 0; i < 10; i++)
            if (items[i].goes) freed += items[i].bytes, cost += items[i].cost;
        assert_true(freed >= need && cost <= 2 * least);
        for (int i = 0; i < 10; i++) assert_false(items[i].goes && freed - items[i].bytes >= need);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cheapest_for_each_byte_go_until_it_is_enough),
        cmocka_unit_test(what_a_bigger_one_makes_superfluous_stays),
        cmocka_unit_test(a_little_one_goes_before_a_big_one_that_is_dearer_in_all),
        cmocka_unit_test(a_rank_is_touched_only_when_those_below_are_not_enough),
        cmocka_unit_test(what_has_no_bytes_never_goes),
        cmocka_unit_test(no_choice_costs_more_than_twice_the_least_or_holds_what_is_superfluous),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
