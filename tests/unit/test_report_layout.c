// SPDX-License-Identifier: Apache-2.0
#include "lua/report/layout.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"

#define MOST 120

typedef struct drawing {
    tm_box boxes[MOST];
    tm_line lines[3 * MOST];
    tm_layout layout;
} drawing;

static uint32_t draw_number(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

// A graph without circles: lines go from smaller to larger numbers.
static void random_graph(drawing *d, int n, uint32_t seed)
{
    *d = (drawing){.layout = {.boxes = d->boxes, .n_boxes = n, .lines = d->lines, .gap_x = 20, .gap_y = 30}};
    for (int i = 0; i < n; i++) {
        d->boxes[i].width = 60 + draw_number(&seed) % 120;
        d->boxes[i].height = 30 + draw_number(&seed) % 90;
        for (int k = 0; i && k < 1 + (int)(draw_number(&seed) % 3); k++)
            d->lines[d->layout.n_lines++] = (tm_line){.from = (int)(draw_number(&seed) % (uint32_t)i),
                                                      .to = i};
    }
}

static void check_boxes(const drawing *d)
{
    const tm_layout *l = &d->layout;
    for (int i = 0; i < l->n_boxes; i++) {
        const tm_box *a = &l->boxes[i];
        assert_true(a->x - a->width / 2 > -1e-6 && a->x + a->width / 2 < l->width + 1e-6);
        assert_true(a->y - a->height / 2 > -1e-6 && a->y + a->height / 2 < l->height + 1e-6);
        for (int k = 0; k < i; k++) {
            const tm_box *b = &l->boxes[k];
            bool beside = fabs(a->x - b->x) > (a->width + b->width) / 2 + l->gap_x - 1e-6;
            bool above = fabs(a->y - b->y) > (a->height + b->height) / 2 - 1e-6;
            assert_true(beside || above);
        }
    }
}

static void check_lines(const drawing *d)
{
    for (int i = 0; i < d->layout.n_lines; i++) {
        const tm_line *line = &d->lines[i];
        const tm_box *a = &d->boxes[line->from], *b = &d->boxes[line->to];
        assert_true(a->layer < b->layer);
        assert_int_equal(line->n, 2 * (b->layer - a->layer));
        assert_true(line->xs[0] == a->x && line->ys[0] == a->y + a->height / 2);
        assert_true(line->xs[line->n - 1] == b->x && line->ys[line->n - 1] == b->y - b->height / 2);
        for (int k = 1; k < line->n; k++) assert_true(line->ys[k] >= line->ys[k - 1]);
    }
}

static void boxes_do_not_touch_and_lines_lead_downward_in_any_graph(void **state)
{
    static drawing d;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        random_graph(&d, 2 + (int)(seed * 2 % (MOST - 2)), seed);
        assert_int_equal(tm_layout_make(&d.layout, NULL), TM_OK);
        check_boxes(&d);
        check_lines(&d);
        tm_layout_clear(&d.layout);
    }
}

static void the_same_graph_is_drawn_the_same(void **state)
{
    static drawing a, b;
    random_graph(&a, 80, 7);
    random_graph(&b, 80, 7);
    assert_int_equal(tm_layout_make(&a.layout, NULL), TM_OK);
    assert_int_equal(tm_layout_make(&b.layout, NULL), TM_OK);
    for (int i = 0; i < 80; i++) assert_memory_equal(&a.boxes[i], &b.boxes[i], sizeof a.boxes[i]);
    tm_layout_clear(&a.layout);
    tm_layout_clear(&b.layout);
}

static void crossings_that_can_be_avoided_are(void **state)
{
    drawing d = {.layout = {.boxes = d.boxes, .n_boxes = 6, .lines = d.lines, .gap_x = 20, .gap_y = 30}};
    for (int i = 0; i < 6; i++) d.boxes[i] = (tm_box){.width = 80, .height = 40};
    d.lines[d.layout.n_lines++] = (tm_line){.from = 0, .to = 5};
    d.lines[d.layout.n_lines++] = (tm_line){.from = 1, .to = 4};
    d.lines[d.layout.n_lines++] = (tm_line){.from = 2, .to = 3};
    assert_int_equal(tm_layout_make(&d.layout, NULL), TM_OK);
    assert_int_equal(d.layout.crossings, 0);
    assert_true(d.boxes[0].x == d.boxes[5].x && d.boxes[1].x == d.boxes[4].x && d.boxes[2].x == d.boxes[3].x);
    tm_layout_clear(&d.layout);
}

static void a_chain_is_a_straight_line(void **state)
{
    drawing d = {.layout = {.boxes = d.boxes, .n_boxes = 12, .lines = d.lines, .gap_x = 20, .gap_y = 30}};
    for (int i = 0; i < 12; i++) {
        d.boxes[i] = (tm_box){.width = 60 + 5 * i, .height = 40};
        if (i) d.lines[d.layout.n_lines++] = (tm_line){.from = i - 1, .to = i};
    }
    assert_int_equal(tm_layout_make(&d.layout, NULL), TM_OK);
    for (int i = 1; i < 12; i++) {
        assert_true(fabs(d.boxes[i].x - d.boxes[0].x) < 1e-6);
        assert_int_equal(d.boxes[i].layer, i);
    }
    tm_layout_clear(&d.layout);
}

static void circles_and_lines_from_nowhere_break_nothing(void **state)
{
    drawing d = {.layout = {.boxes = d.boxes, .n_boxes = 4, .lines = d.lines, .gap_x = 20, .gap_y = 30}};
    static const int pairs[][2] = {{0, 1}, {1, 2}, {2, 1}, {3, 3}, {-1, 2}, {0, 9}};
    for (int i = 0; i < 4; i++) d.boxes[i] = (tm_box){.width = 60, .height = 40};
    for (int i = 0; i < 6; i++)
        d.lines[d.layout.n_lines++] = (tm_line){.from = pairs[i][0], .to = pairs[i][1]};
    assert_int_equal(tm_layout_make(&d.layout, NULL), TM_OK);
    check_boxes(&d);
    assert_int_equal(d.lines[0].n, 2);
    for (int i = 3; i < 6; i++) assert_int_equal(d.lines[i].n, 0);
    tm_layout_clear(&d.layout);
    d.layout.n_boxes = d.layout.n_lines = 0;
    assert_int_equal(tm_layout_make(&d.layout, NULL), TM_OK);
    assert_true(d.layout.width == 0 && d.layout.height == 0);
    tm_layout_clear(&d.layout);
}

static void without_memory_it_says_so_and_leaves_nothing(void **state)
{
    static drawing d;
    random_graph(&d, 30, 3);
    tm_status status = TM_ENOMEM;
    uint64_t n = 0;
    while (status == TM_ENOMEM) {
        tm_alloc_fail_at(++n, false);
        status = tm_layout_make(&d.layout, NULL);
        tm_alloc_fail_at(0, false);
        for (int i = 0; status < 0 && i < d.layout.n_lines; i++) assert_null(d.lines[i].xs);
    }
    assert_int_equal(status, TM_OK);
    assert_true(n > 10);
    tm_layout_clear(&d.layout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_do_not_touch_and_lines_lead_downward_in_any_graph),
        cmocka_unit_test(the_same_graph_is_drawn_the_same),
        cmocka_unit_test(crossings_that_can_be_avoided_are),
        cmocka_unit_test(a_chain_is_a_straight_line),
        cmocka_unit_test(without_memory_it_says_so_and_leaves_nothing),
        cmocka_unit_test(circles_and_lines_from_nowhere_break_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
