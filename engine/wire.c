// SPDX-License-Identifier: Apache-2.0
// Length-prefixed JSON over a socket.
#include "engine/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define MAX_MESSAGE (64u << 20)

void tm_wire_init(tm_wire *wire, int fd)
{
    *wire = (tm_wire){.fd = fd};
}

void tm_wire_clear(tm_wire *wire)
{
    tm_buf_clear(&wire->in);
    tm_buf_clear(&wire->out);
}

tm_status tm_wire_put(tm_wire *wire, json_t *message, tm_error *err)
{
    char *text = message ? json_dumps(message, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(message);
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for a message");
    size_t size = strlen(text);
    tm_buf_le32(&wire->out, (uint32_t)size);
    tm_buf_add(&wire->out, text, size);
    free(text);
    return tm_buf_status(&wire->out, err);
}

tm_status tm_wire_flush(tm_wire *wire, tm_error *err)
{
    size_t done = 0;
    tm_status status = TM_OK;
    while (done < wire->out.size) {
        ssize_t n = send(wire->fd, wire->out.data + done, wire->out.size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            status = errno == EAGAIN ? TM_AGAIN : tm_fail_errno(err, "message to a worker");
            break;
        }
        done += (size_t)n;
    }
    memmove(wire->out.data, wire->out.data + done, wire->out.size - done);
    wire->out.size -= done;
    return status;
}

// Cut the next complete message out of `in`.
static tm_status cut(tm_wire *wire, json_t **message, tm_error *err)
{
    size_t have = wire->in.size - wire->in_at;
    if (have < 4) return TM_AGAIN;
    uint32_t size = tm_le32(wire->in.data + wire->in_at);
    if (size > MAX_MESSAGE) return tm_fail(err, TM_EFORMAT, "message of %u bytes", size);
    if (have - 4 < size) return TM_AGAIN;
    *message = json_loadb(wire->in.data + wire->in_at + 4, size, JSON_ALLOW_NUL, NULL);
    wire->in_at += 4 + (size_t)size;
    if (wire->in_at == wire->in.size) {
        tm_buf_reset(&wire->in);
        wire->in_at = 0;
    }
    return *message ? TM_OK : tm_fail(err, TM_EFORMAT, "message is no JSON");
}

static tm_status fill(tm_wire *wire, int flags, tm_error *err)
{
    if (wire->in_at > 1u << 16) {
        memmove(wire->in.data, wire->in.data + wire->in_at, wire->in.size - wire->in_at);
        wire->in.size -= wire->in_at;
        wire->in_at = 0;
    }
    if (!tm_buf_reserve(&wire->in, 1u << 16)) return tm_fail(err, TM_ENOMEM, "no memory for a message");
    ssize_t n = recv(wire->fd, wire->in.data + wire->in.size, 1u << 16, flags);
    if (n < 0 && errno == EINTR) return TM_OK;
    if (n < 0) return errno == EAGAIN ? TM_AGAIN : TM_DONE;
    if (n == 0) return TM_DONE;
    wire->in.size += (size_t)n;
    return TM_OK;
}

tm_status tm_wire_poll(tm_wire *wire, json_t **message, tm_error *err)
{
    for (;;) {
        tm_status status = cut(wire, message, err);
        if (status != TM_AGAIN) return status;
        status = fill(wire, MSG_DONTWAIT, err);
        if (status != TM_OK) return status;
    }
}

tm_status tm_wire_send(tm_wire *wire, json_t *message, tm_error *err)
{
    TM_TRY(tm_wire_put(wire, message, err));
    for (;;) {
        tm_status status = tm_wire_flush(wire, err);
        if (status != TM_AGAIN) return status;
        struct pollfd p = {.fd = wire->fd, .events = POLLOUT};
        poll(&p, 1, -1);
    }
}

tm_status tm_wire_receive(tm_wire *wire, json_t **message, tm_error *err)
{
    for (;;) {
        tm_status status = cut(wire, message, err);
        if (status != TM_AGAIN) return status;
        status = fill(wire, 0, err);
        if (status < 0 || status == TM_DONE) return status;
    }
}

void tm_wire_entry(json_t *message, const tm_entry *entry)
{
    char hex[TM_HASH_HEX];
    tm_hash_hex(entry->hash, hex);
    json_object_set_new(message, "hash", json_string(hex));
    json_object_set_new(message, "rows", json_integer((json_int_t)entry->rows));
    json_object_set_new(message, "bytes", json_integer((json_int_t)entry->bytes));
}

bool tm_wire_read_entry(const json_t *message, tm_entry *entry)
{
    const char *hex = json_string_value(json_object_get(message, "hash"));
    entry->rows = (uint64_t)json_integer_value(json_object_get(message, "rows"));
    entry->bytes = (uint64_t)json_integer_value(json_object_get(message, "bytes"));
    return hex && strlen(hex) == 32 && tm_hash_parse(hex, &entry->hash);
}
