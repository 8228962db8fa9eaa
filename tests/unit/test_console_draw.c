// SPDX-License-Identifier: Apache-2.0
#include "lua/console/console_draw.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>


#define TRAINER                                                                                             \
    {.name = "base", .working = true, .done = 670, .total = 1600, .unit = "steps", .rate = 11.24,           \
     .amount_rate = 11513, .amount_unit = "tokens", .loss = 2.9123, .cached = NAN, .left_s = 82.7,          \
     .memory = 312000000}
#define CURVE                                                                                               \
    {.name = "curve", .done = 1, .total = NAN, .unit = "snapshot", .rate = NAN, .amount_rate = NAN,         \
     .loss = NAN, .cached = 0.5, .left_s = NAN, .memory = 19100000}
#define WAITING {.name = "clean/fuzzy_dedup", .doing = "waits", .rate = NAN, .loss = NAN, .left_s = NAN}

static tm_console_node nodes[] = {TRAINER, CURVE, WAITING};

static tm_console_view a_run(void)
{
    return (tm_console_view){.elapsed_s = 62.4, .left_s = NAN, .all = 31, .done = 12, .cached = 3,
                             .running = 3, .nodes = nodes, .n_nodes = 3,
                             .waiting = {"tuned", "aligned", "final"}, .n_waiting = 16,
                             .warnings = {"base: its worker was killed by signal 9 (Killed); again (1)"},
                             .sample_of = "removed by clean/gopher: gopher.word_count 17",
                             .sample = "postmaster — PostgreSQL\n\ndatabase server\033[31m"};
}

// Of a line of the console without wide characters; its blanks count.
static int cells_of(const tm_buf *line)
{
    int n = 0;
    for (size_t i = 0; i < line->size; i++) n += ((unsigned char)line->data[i] & 0xc0) != 0x80;
    return n;
}

// The frame as one text; and that it is no larger than the window.
static char *draw(const tm_console_view *view, tm_console_look look, tm_buf *out)
{
    tm_console_lines lines = {0};
    tm_console_draw(view, &look, &lines);
    assert_true(lines.n >= 1 && (int)lines.n <= (look.height > 1 ? look.height - 1 : 1));
    tm_buf_reset(out);
    for (size_t i = 0; i < lines.n; i++) {
        tm_buf_add(out, lines.line[i].data, lines.line[i].size);
        tm_buf_char(out, '\n');
        if (!look.colour && look.width > 1)
            assert_true(cells_of(&lines.line[i]) < look.width);
    }
    tm_console_lines_clear(&lines);
    return out->data;
}

static void a_wide_window_shows_everything(void **state)
{
    (void)state;
    tm_console_view view = a_run();
    tm_buf out = {0};
    assert_string_equal(
        draw(&view, (tm_console_look){.width = 150, .height = 30, .utf8 = true}, &out),
        "\n"
        "● base               █████▊────────   41 %  670 of 1,600 steps  11 steps/s  11,513 tokens/s  loss 2.912 "
        "              1 min 23 s left  312 MB\n"
        "○ curve                                     1 snapshot                                                 "
        "  50 % cached                   19 MB\n"
        "○ clean/fuzzy_dedup                         waits\n"
        "next  tuned, aligned, final and 13 more\n"
        "warning  base: its worker was killed by signal 9 (Killed); again (1)\n"
        "removed by clean/gopher: gopher.word_count 17\n"
        "  postmaster — PostgreSQL database server?[31m\n"
        "12 of 31 nodes done (3 cached), 3 running, 16 left  1 min 02 s\n");
    tm_buf_clear(&out);
}

static void a_narrow_window_keeps_what_tells_most(void **state)
{
    (void)state;
    tm_console_view view = a_run();
    tm_buf out = {0};
    assert_string_equal(draw(&view, (tm_console_look){.width = 40, .height = 15, .utf8 = true}, &out),
                        "● base                41 %  loss 2.912\n"
                        "○ curve              1 snapshot\n"
                        "○ clean/fuzzy_dedup  waits\n"
                        "next  tuned, aligned and 14 more\n"
                        "warning  base: its worker was killed b…\n"
                        "removed by clean/gopher: gopher.word_c…\n"
                        "  postmaster — PostgreSQL database\n"
                        "  server?[31m\n"
                        "12/31 done, 3 running  1 min 02 s\n");
    tm_buf_clear(&out);
}

static void without_utf8_every_byte_is_ascii(void **state)
{
    (void)state;
    tm_console_view view = a_run();
    tm_buf out = {0};
    assert_string_equal(draw(&view, (tm_console_look){.width = 80, .height = 24}, &out),
                        "\n"
                        "* base                41 %  670 of 1,600 steps  loss 2.912  1 min 23 s left\n"
                        "- curve                     1 snapshot\n"
                        "- clean/fuzzy_dedup         waits\n"
                        "next  tuned, aligned, final and 13 more\n"
                        "warning  base: its worker was killed by signal 9 (Killed); again (1)\n"
                        "removed by clean/gopher: gopher.word_count 17\n"
                        "  postmaster ? PostgreSQL database server?[31m\n"
                        "12 of 31 nodes done (3 cached), 3 running, 16 left  1 min 02 s\n");
    tm_buf_clear(&out);
}

static void of_many_nodes_the_busy_ones_are_shown(void **state)
{
    (void)state;
    static tm_console_node many[200];
    static char names[200][16];
    for (int i = 0; i < 200; i++) {
        many[i] = (tm_console_node)WAITING;
        snprintf(names[i], sizeof names[i], "node%d", i);
        many[i].name = names[i];
        many[i].working = i == 150;
    }
    tm_console_view view = {
        .all = 210, .done = 10, .running = 200, .nodes = many, .n_nodes = 200, .left_s = NAN};
    tm_buf out = {0};
    assert_string_equal(draw(&view, (tm_console_look){.width = 60, .height = 6}, &out),
                        "- node0    waits\n"
                        "- node1    waits\n"
                        "* node150  waits\n"
                        "  and 197 more\n"
                        "10 of 210 nodes done, 200 running  0 s\n");
    tm_buf_clear(&out);
}

static void a_stopping_run_says_what_the_next_ctrl_c_does(void **state)
{
    (void)state;
    tm_console_view view = a_run();
    tm_buf out = {0};
    view.stopping = 1;
    assert_non_null(strstr(draw(&view, (tm_console_look){.width = 100, .height = 4, .utf8 = true}, &out),
                           "stopping: what is trained so far is saved to go on from; Ctrl-C again kills\n"));
    tm_buf_clear(&out);
}

static void colours_only_where_they_are_wanted(void **state)
{
    (void)state;
    tm_console_view view = a_run();
    tm_buf out = {0};
    tm_console_look look = {.width = 100, .height = 20, .utf8 = true};
    assert_null(strchr(draw(&view, look, &out), '\033'));
    look.colour = true;
    assert_non_null(strstr(draw(&view, look, &out), "\033[33mwarning"));
    tm_buf_clear(&out);
}

// draw() looks at each frame's size.
static void every_window_gets_a_frame_that_fits(void **state)
{
    (void)state;
    tm_console_view view = a_run();
    tm_buf out = {0};
    for (int width = 1; width < 200; width++)
        for (int height = 1; height < 14; height++)
            draw(&view, (tm_console_look){.width = width, .height = height, .utf8 = width % 2}, &out);
    view = (tm_console_view){.left_s = 3, .all = 1, .running = 1};
    draw(&view, (tm_console_look){.width = 80, .height = 24}, &out);
    assert_string_equal(out.data, "\n0 of 1 nodes done, 1 running  0 s, about 3 s left\n");
    tm_buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_window_shows_everything),
        cmocka_unit_test(a_narrow_window_keeps_what_tells_most),
        cmocka_unit_test(without_utf8_every_byte_is_ascii),
        cmocka_unit_test(of_many_nodes_the_busy_ones_are_shown),
        cmocka_unit_test(a_stopping_run_says_what_the_next_ctrl_c_does),
        cmocka_unit_test(colours_only_where_they_are_wanted),
        cmocka_unit_test(every_window_gets_a_frame_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
