// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 for one page: connections are read, answered and closed, all from one poll loop.
#include "lua/send/scrape.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/io.h"

enum { CLIENTS = 32, REQUEST = 8192 };
#define PATIENCE_NS 2000000000ll

typedef struct client {
    int fd; // -1: the place is free
    int64_t until_ns;
    char request[REQUEST];
    size_t got;
    tm_buf answer; // empty while the request is not complete
    size_t sent;
} client;

typedef struct server {
    int fd, signals;
    tm_scrape_page *page;
    void *self;
    const char *type;
    client *clients;
} server;

// ---- listening ----

static tm_status split(const char *address, char host[96], char port[16], tm_error *err)
{
    const char *colon = strrchr(address, ':');
    size_t size = colon ? (size_t)(colon - address) : 0;
    size_t digits = colon ? strlen(colon + 1) : 0;
    if (!digits || size >= 96 || digits > 5 || strspn(colon + 1, "0123456789") != digits) {
        tm_fail(err, TM_EINVAL, "\"%s\" is no address to listen at", address);
        tm_hint(err, "HOST:PORT, for one 127.0.0.1:9464");
        return TM_EINVAL;
    }
    bool bare = size >= 2 && address[0] == '[' && address[size - 1] == ']';
    snprintf(host, 96, "%.*s", (int)(bare ? size - 2 : size), address + bare);
    if (!host[0]) snprintf(host, 96, "127.0.0.1");
    snprintf(port, 16, "%s", colon + 1);
    return TM_OK;
}

static void say_where(int fd, char where[96])
{
    struct sockaddr_storage at;
    socklen_t size = sizeof at;
    char host[64] = "", port[16] = "";
    if (getsockname(fd, (struct sockaddr *)&at, &size) == 0)
        getnameinfo((struct sockaddr *)&at, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    bool six = strchr(host, ':') != NULL;
    snprintf(where, 96, "%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
}

tm_status tm_scrape_listen(const char *address, int *fd, char where[96], tm_error *err)
{
    char host[96], port[16];
    struct addrinfo want = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE},
                    *found;
    int yes = 1;
    TM_TRY(split(address, host, port, err));
    int code = getaddrinfo(host, port, &want, &found);
    if (code) return tm_fail(err, TM_EINVAL, "cannot listen at %s: %s", address, gai_strerror(code));
    *fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool good = *fd >= 0 && setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                bind(*fd, found->ai_addr, found->ai_addrlen) == 0 && listen(*fd, 64) == 0;
    tm_status status = good ? TM_OK : tm_fail_errno(err, "cannot listen at %s", address);
    freeaddrinfo(found);
    if (good)
        say_where(*fd, where);
    else if (*fd >= 0)
        close(*fd);
    return status;
}

// ---- a connection ----

static void drop(client *c)
{
    if (c->fd >= 0) close(c->fd);
    tm_buf_clear(&c->answer);
    c->fd = -1;
    c->got = c->sent = 0;
}

static void answer(client *c, const char *status, const char *type, const tm_buf *body, bool head)
{
    tm_buf_fmt(&c->answer, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status, type,
               body->size);
    tm_buf_str(&c->answer, "Connection: close\r\n\r\n");
    if (!head) tm_buf_add(&c->answer, body->data, body->size);
    if (c->answer.failed) drop(c);
}

static void answer_text(client *c, const char *status, const char *text)
{
    tm_buf body = {0};
    tm_buf_str(&body, text);
    answer(c, status, "text/plain; charset=utf-8", &body, false);
    tm_buf_clear(&body);
}

// Whether the path of a request is `path`, whatever its query.
static bool is_path(const char *request, const char *path)
{
    size_t size = strlen(path);
    return strncmp(request, path, size) == 0 && strchr(" ?", request[size]);
}

static void serve_page(server *s, client *c, bool head)
{
    tm_buf text = {0};
    tm_error err = {0};
    tm_status status = s->page(s->self, &text, &err);
    if (status >= 0) status = tm_buf_status(&text, &err);
    if (status >= 0)
        answer(c, "200 OK", s->type, &text, head);
    else {
        tm_buf_reset(&text);
        tm_buf_fmt(&text, "%s\n", err.text);
        answer(c, "503 Service Unavailable", "text/plain; charset=utf-8", &text, head);
    }
    tm_buf_clear(&text);
}

static void serve_request(server *s, client *c)
{
    bool get = strncmp(c->request, "GET ", 4) == 0, head = strncmp(c->request, "HEAD ", 5) == 0;
    const char *path = c->request + (get ? 4 : 5);
    if (!get && !head)
        answer_text(c, "405 Method Not Allowed", "GET /metrics is all there is\n");
    else if (is_path(path, "/metrics"))
        serve_page(s, c, head);
    else
        answer_text(c, "404 Not Found", "GET /metrics is all there is\n");
}

static void receive(server *s, client *c)
{
    ssize_t got = recv(c->fd, c->request + c->got, REQUEST - 1 - c->got, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        drop(c);
        return;
    }
    c->got += (size_t)got;
    c->request[c->got] = 0;
    bool complete = strstr(c->request, "\r\n\r\n") || strstr(c->request, "\n\n");
    if (complete)
        serve_request(s, c);
    else if (c->got == REQUEST - 1)
        answer_text(c, "431 Request Header Fields Too Large", "8 KiB are the limit\n");
}

static void deliver(client *c)
{
    ssize_t sent = send(c->fd, c->answer.data + c->sent, c->answer.size - c->sent, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent >= 0) c->sent += (size_t)sent;
    if (sent >= 0 && c->sent < c->answer.size) return;
    shutdown(c->fd, SHUT_WR);
    drop(c);
}

// ---- the loop ----

static client *place(server *s)
{
    client *oldest = &s->clients[0];
    for (int i = 0; i < CLIENTS; i++) {
        if (s->clients[i].fd < 0) return &s->clients[i];
        if (s->clients[i].until_ns < oldest->until_ns) oldest = &s->clients[i];
    }
    drop(oldest);
    return oldest;
}

static void welcome(server *s)
{
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    client *c = place(s);
    c->fd = fd;
    c->until_ns = tm_time_ns() + PATIENCE_NS;
}

static void attend(server *s, client *c, short events)
{
    if (!(events & (POLLIN | POLLOUT | POLLERR | POLLHUP))) return;
    if (!c->answer.size) receive(s, c);
    if (c->fd >= 0 && c->answer.size) deliver(c);
}

// One round: false when a signal asks to end.
static bool round_of(server *s)
{
    struct pollfd polls[CLIENTS + 2] = {{s->signals, POLLIN, 0}, {s->fd, POLLIN, 0}};
    bool any = false;
    for (int i = 0; i < CLIENTS; i++) {
        client *c = &s->clients[i];
        polls[i + 2] = (struct pollfd){c->fd, c->answer.size ? POLLOUT : POLLIN, 0};
        any = any || c->fd >= 0;
    }
    if (poll(polls, CLIENTS + 2, any ? 200 : -1) < 0 && errno != EINTR) return false;
    struct signalfd_siginfo signal;
    if (polls[0].revents) return read(s->signals, &signal, sizeof signal) < 0; // read: it is dealt with
    for (int i = 0; i < CLIENTS; i++)
        if (s->clients[i].fd >= 0) attend(s, &s->clients[i], polls[i + 2].revents);
    for (int i = 0; i < CLIENTS; i++)
        if (s->clients[i].fd >= 0 && tm_time_ns() > s->clients[i].until_ns) drop(&s->clients[i]);
    if (polls[1].revents) welcome(s);
    return true;
}

tm_status tm_scrape_serve(int fd, tm_scrape_page *page, void *self, const char *type, tm_error *err)
{
    sigset_t end, old;
    sigemptyset(&end);
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, &old);
    server s = {.fd = fd,
                .signals = signalfd(-1, &end, SFD_CLOEXEC),
                .page = page,
                .self = self,
                .type = type,
                .clients = tm_calloc(CLIENTS, sizeof *s.clients)};
    tm_status status = s.clients && s.signals >= 0 ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory to listen");
    for (int i = 0; s.clients && i < CLIENTS; i++) s.clients[i].fd = -1;
    while (status >= 0 && round_of(&s)) continue;
    for (int i = 0; s.clients && i < CLIENTS; i++) drop(&s.clients[i]);
    tm_free(s.clients);
    if (s.signals >= 0) close(s.signals);
    close(fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return status;
}
