// SPDX-License-Identifier: Apache-2.0
// Records of event files. Field numbers are those of tensorflow's event.proto, summary.proto, tensor.proto
// and of the hparams plugin's plugin_data.proto.
#include "lua/send/event_file.h"

#include <stdio.h>

#include "lua/send/protobuf.h"
#include "lua/send/send.h"

// CRC-32C (Castagnoli), bit by bit: event files are small.
static uint32_t crc32c(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint32_t masked(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

// Adds an event to the file and clears it.
static void record(tm_buf *file, tm_buf *event)
{
    uint64_t size = event->size; // little-endian, as this machine is
    tm_buf_le64(file, size);
    tm_buf_le32(file, masked(crc32c(&size, sizeof size)));
    tm_buf_add(file, event->data, event->size);
    tm_buf_le32(file, masked(crc32c(event->data, event->size)));
    if (event->failed) file->failed = true;
    tm_buf_clear(event);
}

void tm_event_head(tm_buf *file, double wall)
{
    tm_buf event = {0};
    tm_pb_double(&event, 1, wall);
    tm_pb_text(&event, 3, "brain.Event:2");
    record(file, &event);
}

// An event with one summary value, which is cleared.
static void summary(tm_buf *file, double wall, int64_t step, tm_buf *value)
{
    tm_buf event = {0}, all = {0};
    tm_pb_message(&all, 1, value);
    tm_pb_double(&event, 1, wall);
    if (step) tm_pb_uint(&event, 2, (uint64_t)step);
    tm_pb_message(&event, 5, &all);
    record(file, &event);
}

void tm_event_scalar(tm_buf *file, double wall, int64_t step, const char *tag, double number)
{
    tm_buf value = {0};
    tm_pb_text(&value, 1, tag);
    tm_pb_float(&value, 2, (float)number);
    summary(file, wall, step, &value);
}

static void metadata(tm_buf *value, const char *plugin, tm_buf *content)
{
    tm_buf data = {0}, meta = {0};
    tm_pb_text(&data, 1, plugin);
    if (content) tm_pb_message(&data, 2, content);
    tm_pb_message(&meta, 1, &data);
    tm_pb_message(value, 9, &meta);
}

void tm_event_text(tm_buf *file, double wall, const char *tag, const char *text)
{
    tm_buf value = {0}, tensor = {0}, shape = {0}, dim = {0};
    tm_pb_text(&value, 1, tag);
    metadata(&value, "text", NULL);
    tm_pb_uint(&tensor, 1, 7); // DT_STRING
    tm_pb_uint(&dim, 1, 1);
    tm_pb_message(&shape, 2, &dim);
    tm_pb_message(&tensor, 2, &shape);
    tm_pb_text(&tensor, 8, text);
    tm_pb_message(&value, 8, &tensor);
    summary(file, wall, 0, &value);
}

// A parameter as google.protobuf.Value.
static void param_value(tm_buf *to, const json_t *value)
{
    if (json_is_number(value))
        tm_pb_double(to, 2, json_number_value(value));
    else if (json_is_boolean(value))
        tm_pb_uint(to, 4, json_is_true(value));
    else if (json_is_string(value))
        tm_pb_text(to, 3, json_string_value(value));
    else
        tm_pb_uint(to, 1, 0);
}

static void hparams(tm_buf *file, double wall, const char *tag, unsigned field, tm_buf *info)
{
    tm_buf value = {0}, content = {0};
    tm_pb_message(&content, field, info);
    tm_pb_text(&value, 1, tag);
    metadata(&value, "hparams", &content);
    summary(file, wall, 0, &value);
}

void tm_event_began(tm_buf *file, double wall, const char *group, const json_t *params)
{
    tm_buf info = {0};
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)params, name, one)
    {
        tm_buf entry = {0}, value = {0};
        tm_pb_text(&entry, 1, name);
        param_value(&value, one);
        tm_pb_message(&entry, 2, &value);
        tm_pb_message(&info, 1, &entry);
    }
    tm_pb_text(&info, 4, group);
    tm_pb_double(&info, 5, wall);
    hparams(file, wall, "_hparams_/session_start_info", 3, &info);
}

void tm_event_ended(tm_buf *file, double wall, bool good)
{
    tm_buf info = {0};
    tm_pb_uint(&info, 1, good ? 1 : 2); // STATUS_SUCCESS, STATUS_FAILURE
    tm_pb_double(&info, 2, wall);
    hparams(file, wall, "_hparams_/session_end_info", 4, &info);
}

const char *tm_event_tag(const char *metric, char tag[128])
{
    snprintf(tag, 128, "%s", metric);
    char *dot = strchr(tag, '.');
    while (dot && !tm_send_parts(tag, dot)) dot = strchr(dot + 1, '.');
    if (dot) *dot = '/';
    return tag;
}
