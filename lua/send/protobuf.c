// SPDX-License-Identifier: Apache-2.0
// The wire format of protocol buffers.
#include "lua/send/protobuf.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void varint(tm_buf *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) tm_buf_char(to, (char)(value | 0x80));
    tm_buf_char(to, (char)value);
}

static void head(tm_buf *message, unsigned field, unsigned kind)
{
    varint(message, (uint64_t)field << 3 | kind);
}

void tm_pb_uint(tm_buf *message, unsigned field, uint64_t value)
{
    head(message, field, VARINT);
    varint(message, value);
}

void tm_pb_double(tm_buf *message, unsigned field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    head(message, field, FIXED64);
    tm_buf_le64(message, bits);
}

void tm_pb_float(tm_buf *message, unsigned field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    head(message, field, FIXED32);
    tm_buf_le32(message, bits);
}

void tm_pb_bytes(tm_buf *message, unsigned field, tm_view bytes)
{
    head(message, field, BYTES);
    varint(message, bytes.size);
    tm_buf_add(message, bytes.data, bytes.size);
}

void tm_pb_text(tm_buf *message, unsigned field, const char *text)
{
    if (text) tm_pb_bytes(message, field, tm_view_str(text));
}

void tm_pb_message(tm_buf *message, unsigned field, tm_buf *inner)
{
    if (inner->failed) message->failed = true;
    tm_pb_bytes(message, field, tm_buf_view(inner));
    tm_buf_clear(inner);
}
