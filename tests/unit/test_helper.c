// SPDX-License-Identifier: Apache-2.0
// The thread beside an event loop.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <poll.h>
#include <semaphore.h>

#include "engine/helper.h"

typedef struct note {
    tm_task task;
    int number, *order, *n;
    sem_t *gate;             // waited for, if any
    tm_helper *follow;       // puts another task when done
} note;

static tm_status work(tm_task *task, tm_error *err)
{
    note *t = (note *)task;
    if (t->gate) sem_wait(t->gate);
    return t->number == 13 ? tm_fail(err, TM_EIO, "task %d", t->number) : TM_OK;
}

static void done(tm_task *task, tm_status status, const tm_error *err);

static note *new_note(int number, int *order, int *n)
{
    note *t = calloc(1, sizeof *t);
    assert_non_null(t);
    *t = (note){.task = {.work = work, .done = done}, .number = number, .order = order, .n = n};
    return t;
}

static void done(tm_task *task, tm_status status, const tm_error *err)
{
    note *t = (note *)task;
    t->order[(*t->n)++] = status < 0 ? -t->number : t->number;
    if (status < 0) assert_string_equal(err->text, "task 13");
    if (t->follow) tm_helper_put(t->follow, &new_note(t->number + 100, t->order, t->n)->task);
    free(t);
}

static tm_helper *start(void)
{
    tm_helper *h;
    tm_error err = {0};
    assert_int_equal(tm_helper_start(&h, &err), TM_OK);
    return h;
}

static void tasks_are_done_in_order_and_failures_are_told(void **state)
{
    (void)state;
    tm_helper *h = start();
    int order[20], n = 0;
    for (int i = 0; i < 20; i++) tm_helper_put(h, &new_note(i, order, &n)->task);
    assert_int_equal(tm_helper_pending(h), 20);
    tm_helper_stop(h);
    assert_int_equal(n, 20);
    for (int i = 0; i < 20; i++) assert_int_equal(order[i], i == 13 ? -13 : i);
}

static void the_loop_goes_on_while_a_task_waits(void **state)
{
    (void)state;
    tm_helper *h = start();
    int order[2], n = 0;
    sem_t gate;
    sem_init(&gate, 0, 0);
    note *t = new_note(1, order, &n);
    t->gate = &gate;
    tm_helper_put(h, &t->task);
    tm_helper_collect(h);
    assert_int_equal(n, 0);
    assert_int_equal(poll(&(struct pollfd){.fd = tm_helper_fd(h), .events = POLLIN}, 1, 0), 0);
    sem_post(&gate);
    assert_int_equal(poll(&(struct pollfd){.fd = tm_helper_fd(h), .events = POLLIN}, 1, 5000), 1);
    tm_helper_collect(h);
    assert_int_equal(n, 1);
    assert_int_equal(tm_helper_pending(h), 0);
    tm_helper_stop(h);
    sem_destroy(&gate);
}

static void stopping_waits_for_what_finished_tasks_put(void **state)
{
    (void)state;
    tm_helper *h = start();
    int order[4], n = 0;
    note *t = new_note(7, order, &n);
    t->follow = h;
    tm_helper_put(h, &t->task);
    tm_helper_stop(h);
    assert_int_equal(n, 2);
    assert_int_equal(order[1], 107);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_are_done_in_order_and_failures_are_told),
        cmocka_unit_test(the_loop_goes_on_while_a_task_waits),
        cmocka_unit_test(stopping_waits_for_what_finished_tasks_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
