// SPDX-License-Identifier: Apache-2.0
// The graph process: takes the source, shuts itself in, evaluates, answers.
#include "lua/load/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jansson.h>

#include "lua/load/child_host.h"
#include "lua/load/frame.h"
#include "lua/load/jail.h"
#include "tidemill_lua.h"

enum { TALK = 0, TRAIL = 3, LOG_BYTES = 64 << 10 };

// ---- frames ----

static void send_bytes(const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(TALK, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(1);  // nobody listens
        data += n;
        size -= (size_t)n;
    }
}

void tm_child_send(char kind, const char *data, size_t size)
{
    char head[TM_FRAME_HEAD];
    tm_frame_head(head, kind, size);
    send_bytes(head, sizeof head);
    send_bytes(data, size);
}

static void receive_bytes(char *data, size_t size)
{
    while (size) {
        ssize_t n = read(TALK, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(1);
        data += n;
        size -= (size_t)n;
    }
}

char tm_child_receive(tm_buf *body)
{
    char head[TM_FRAME_HEAD];
    receive_bytes(head, sizeof head);
    size_t size = tm_le32(head + 1);
    tm_buf_reset(body);
    if (size > TM_FRAME_MAX || !tm_buf_reserve(body, size + 1)) _exit(1);
    receive_bytes(body->data, size);
    body->size = size;
    body->data[size] = 0;
    return head[0];
}

// ---- what is sent ----

static void send_json(char kind, const json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (!text) _exit(1);
    tm_child_send(kind, text, strlen(text));
    free(text);
}

static json_t *fault_json(const tm_fault *fault)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s}", "code", fault->code, "text", fault->text, "hint",
                     fault->hint, "word", fault->word, "file", fault->file, "line", fault->line, "traceback",
                     fault->traceback);
}

static void send_fault(const tm_fault *fault)
{
    json_t *json = fault_json(fault);
    send_json('x', json);
    json_decref(json);
}

// After mistakes the fault that ended the evaluation may follow from them, and is told only if it cannot.
static void send_faults(const tm_child *child, const tm_fault *fault)
{
    json_t *first = json_array_get(child->mistakes, 0), *more = json_array();
    if (!first) send_fault(fault);
    for (size_t i = 1; i < json_array_size(child->mistakes); i++)
        json_array_append(more, json_array_get(child->mistakes, i));
    if (first && strcmp(fault->code, "TM0103") == 0) json_array_append_new(more, fault_json(fault));
    if (first) json_object_set(first, "more", more);
    if (first) send_json('x', first);
    json_decref(more);
}

static void print_line(void *user, const char *text, size_t size)
{
    tm_child *child = user;
    char line[1024];
    tm_sandbox_clean(line, sizeof line, text, size);
    if (child->log_bytes >= LOG_BYTES) return;
    child->log_bytes += strlen(line) + 1;
    if (child->log_bytes >= LOG_BYTES)
        snprintf(line, sizeof line, "(more than 64 KiB: the rest is left out)");
    tm_child_send('l', line, strlen(line));
}

// ---- evaluation ----

// Leaves the parameters and the targets, as JSON, on the stack.
static bool evaluate(tm_child *child, const char *name, const char *text, size_t size)
{
    tm_sandbox *box = child->box;
    if (!tm_child_open_host(child)) return false;
    if (!tm_sandbox_load_trusted(box, "tidemill", tidemill_lua, sizeof tidemill_lua - 1)) return false;
    tm_child_push_host(child);
    if (!tm_sandbox_call(box, 1, 2)) return false;
    tm_child_set_module(child);
    if (!tm_child_keep_file(child, name, text, size) || !tm_sandbox_load(box, name, text, size)) return false;
    if (!tm_sandbox_call(box, 0, 1)) return false;
    tm_child_push_finish(child);
    lua_insert(box->L, -2);
    return tm_sandbox_call(box, 1, 2);
}

static void receive_all(tm_child *child, tm_buf *source)
{
    for (;;) {
        char kind = tm_child_receive(source);
        if (kind == 's') return;
        size_t name = strlen(source->data);
        if (kind == 'c') child->catalogue = json_loadb(source->data, source->size, 0, NULL);
        else if ((kind == 'p' || kind == 'm') && name < source->size)
            json_object_set_new(kind == 'p' ? child->overrides : child->maybe, source->data,
                                json_string(source->data + name + 1));
        else _exit(1);
    }
}

static tm_trail *map_trail(void)
{
    void *page = mmap(NULL, sizeof(tm_trail), PROT_READ | PROT_WRITE, MAP_SHARED, TRAIL, 0);
    return page == MAP_FAILED ? NULL : page;
}

int tm_graph_child(void)
{
    tm_child child = {.overrides = json_object(), .maybe = json_object(), .mistakes = json_array()};
    tm_buf source = {0};
    tm_error err = {0};
    tm_jail_close_from(TRAIL + 1);
    tm_trail *trail = map_trail();
    if (!trail || !child.overrides || !child.maybe || !child.mistakes) return 1;
    receive_all(&child, &source);
    tm_fault fault = {.code = "TM0126"};
    size_t name = strlen(source.data) + 1;
    if (tm_jail_enter(TM_SANDBOX_MEMORY + (96u << 20), &err) < 0) {
        snprintf(fault.text, sizeof fault.text, "the graph process cannot be closed off: %s", err.text);
        send_fault(&fault);
        return 0;
    }
    child.box = child.catalogue ? tm_sandbox_new(TM_SANDBOX_MEMORY, TM_SANDBOX_STEPS, trail) : NULL;
    if (!child.box) return 1;
    child.box->user = &child;
    child.box->print = print_line;
    if (evaluate(&child, source.data, source.data + name, source.size - name)) tm_child_send_result(&child);
    else send_faults(&child, &child.box->fault);
    _exit(0);
}
