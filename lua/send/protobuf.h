// SPDX-License-Identifier: Apache-2.0
// Writing protocol buffers by hand: a message is a buffer to which fields are added.
//
// A message in a message is written into a buffer of its own first, and added with tm_pb_message.
#pragma once

#include "engine/base/bytes.h"

void tm_pb_uint(tm_buf *message, unsigned field, uint64_t value); // int32, int64, uint64, bool, enum
void tm_pb_double(tm_buf *message, unsigned field, double value);
void tm_pb_float(tm_buf *message, unsigned field, float value);
void tm_pb_bytes(tm_buf *message, unsigned field, tm_view bytes);
void tm_pb_text(tm_buf *message, unsigned field, const char *text); // NULL adds nothing
void tm_pb_message(tm_buf *message, unsigned field, tm_buf *inner); // and clears `inner`
