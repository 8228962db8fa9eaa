// SPDX-License-Identifier: Apache-2.0
// Messages between the scheduler and a worker: u32 length, then that many bytes of compact JSON, over a
// socket.
//
//   worker -> scheduler                         scheduler -> worker
//   {"op":"next","port":P,"i":N}                {"op":"entry",...entry} | {"op":"end"}
//   {"op":"ready"}          (map)               {"op":"map","i":N,...entry} | {"op":"end"} | {"op":"sync"}
//   {"op":"mapped","i":N,"ports":[...]}
//   {"op":"put","port":P,...entry}
//   {"op":"durable","n":N}  all puts before the N-th are
//   {"op":"cores","n":N}    lease given back    {"op":"cores","n":N}   lease changed
//   {"op":"count"|"progress"|"note"|"log"|"sample"...}   {"op":"stop"}
//   {"op":"done"} | {"op":"failed",...}         {"op":"work",...group}
//
// An entry is {"hash":hex,"rows":N,"bytes":N} and, of a snapshot, "step".
#pragma once

#include <jansson.h>

#include "engine/base/io.h"
#include "engine/store.h"

typedef struct tm_wire {
    int fd;
    tm_buf in, out;
    size_t in_at;  // bytes of `in` already taken
} tm_wire;

void tm_wire_init(tm_wire *wire, int fd);
void tm_wire_clear(tm_wire *wire);  // does not close the descriptor

// Queue a message (stolen). tm_wire_flush writes what the socket takes: TM_OK all gone, TM_AGAIN some left.
tm_status tm_wire_put(tm_wire *wire, json_t *message, tm_error *err);
tm_status tm_wire_flush(tm_wire *wire, tm_error *err);

// The next complete message that has arrived, without waiting: TM_OK, TM_AGAIN, or TM_DONE when the peer is
// gone.
tm_status tm_wire_poll(tm_wire *wire, json_t **message, tm_error *err);

// Blocking forms, for the worker.
tm_status tm_wire_send(tm_wire *wire, json_t *message, tm_error *err);
tm_status tm_wire_receive(tm_wire *wire, json_t **message, tm_error *err);  // TM_DONE: the peer is gone

void tm_wire_entry(json_t *message, const tm_entry *entry);           // add an entry's fields
bool tm_wire_read_entry(const json_t *message, tm_entry *entry);
