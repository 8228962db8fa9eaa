// SPDX-License-Identifier: Apache-2.0
// The thread beside an event loop.
#include "engine/helper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct queue {
    tm_task *first, *last;
} queue;

struct tm_helper {
    pthread_t thread;
    pthread_mutex_t mutex;  // over the queues and `ending`
    pthread_cond_t filled;
    queue waiting, finished;
    bool ending;
    int fd;
    size_t pending;  // the loop's own
};

static void add(queue *q, tm_task *task)
{
    task->next = NULL;
    if (q->last) q->last->next = task;
    else q->first = task;
    q->last = task;
}

static tm_task *take(queue *q)
{
    tm_task *task = q->first;
    if (!task) return NULL;
    q->first = task->next;
    if (!q->first) q->last = NULL;
    return task;
}

// ---- the thread ----

static tm_task *next_task(tm_helper *h)
{
    pthread_mutex_lock(&h->mutex);
    while (!h->waiting.first && !h->ending) pthread_cond_wait(&h->filled, &h->mutex);
    tm_task *task = take(&h->waiting);
    pthread_mutex_unlock(&h->mutex);
    return task;
}

static void finish(tm_helper *h, tm_task *task)
{
    uint64_t one = 1;
    pthread_mutex_lock(&h->mutex);
    add(&h->finished, task);
    pthread_mutex_unlock(&h->mutex);
    while (write(h->fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

static void *work(void *arg)
{
    tm_helper *h = arg;
    for (tm_task *task = next_task(h); task; task = next_task(h)) {
        task->status = task->work(task, &task->error);
        finish(h, task);
    }
    return NULL;
}

// ---- the loop ----

static tm_status start_thread(tm_helper *h, tm_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);  // signals are for the loop
    int error = pthread_create(&h->thread, NULL, work, h);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error ? tm_fail(err, TM_EIO, "cannot start a thread: %s", strerror(error)) : TM_OK;
}

tm_status tm_helper_start(tm_helper **helper, tm_error *err)
{
    *helper = NULL;
    tm_helper *h = tm_calloc(1, sizeof *h);
    if (!h) return tm_fail(err, TM_ENOMEM, "no memory for a thread");
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->filled, NULL);
    h->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    tm_status status = h->fd < 0 ? tm_fail_errno(err, "eventfd") : start_thread(h, err);
    if (status == TM_OK) {
        *helper = h;
        return TM_OK;
    }
    if (h->fd >= 0) close(h->fd);
    tm_free(h);
    return status;
}

int tm_helper_fd(const tm_helper *helper)
{
    return helper->fd;
}

void tm_helper_put(tm_helper *h, tm_task *task)
{
    h->pending++;
    pthread_mutex_lock(&h->mutex);
    add(&h->waiting, task);
    pthread_cond_signal(&h->filled);
    pthread_mutex_unlock(&h->mutex);
}

void tm_helper_collect(tm_helper *h)
{
    uint64_t n;
    (void)!read(h->fd, &n, sizeof n);
    for (;;) {
        pthread_mutex_lock(&h->mutex);
        tm_task *task = take(&h->finished);
        pthread_mutex_unlock(&h->mutex);
        if (!task) return;
        h->pending--;
        task->done(task, task->status, &task->error);
    }
}

size_t tm_helper_pending(const tm_helper *helper)
{
    return helper->pending;
}

void tm_helper_stop(tm_helper *h)
{
    if (!h) return;
    for (tm_helper_collect(h); h->pending; tm_helper_collect(h))
        poll(&(struct pollfd){.fd = h->fd, .events = POLLIN}, 1, -1);
    pthread_mutex_lock(&h->mutex);
    h->ending = true;
    pthread_cond_signal(&h->filled);
    pthread_mutex_unlock(&h->mutex);
    pthread_join(h->thread, NULL);
    pthread_cond_destroy(&h->filled);
    pthread_mutex_destroy(&h->mutex);
    close(h->fd);
    tm_free(h);
}
