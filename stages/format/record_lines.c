// SPDX-License-Identifier: Apache-2.0
// One record, one line.
#include "stages/format/record_lines.h"

#include <stdlib.h>

#include "engine/base/json.h"

static const char *const shapes[] = {"documents", "chat", "preference", NULL};
static const char *const parts[][4] = {{"text"}, {"messages", "tools"}, {"prompt", "chosen", "rejected"}};

int tm_record_shape_find(const char *name)
{
    for (int i = 0; name && shapes[i]; i++)
        if (strcmp(shapes[i], name) == 0) return i;
    return -1;
}

// ---- writing ----

static void add_text(tm_buf *line, const char *name, tm_view text)
{
    tm_buf_fmt(line, ",\"%s\":", name);
    tm_json_quote(text, line);
}

tm_status tm_record_write(const tm_doc *doc, tm_record_shape shape, tm_buf *line, tm_error *err)
{
    tm_buf_str(line, "{\"id\":");
    tm_json_quote(doc->id, line);
    if (shape == TM_RECORD_TEXT) add_text(line, "text", doc->text);
    else {
        if (doc->text.size < 2 || doc->text.data[0] != '{' || doc->text.data[1] != '"')
            return tm_fail(err, TM_EFORMAT, "record %.*s is no %s", (int)doc->id.size, doc->id.data,
                           shapes[shape]);
        tm_buf_char(line, ',');
        tm_buf_add(line, doc->text.data + 1, doc->text.size - 2);
    }
    if (doc->source.size) add_text(line, "source", doc->source);
    tm_buf_str(line, ",\"meta\":");
    if (doc->meta.size) tm_buf_add(line, doc->meta.data, doc->meta.size);
    else tm_buf_str(line, "{}");
    tm_buf_str(line, "}\n");
    return tm_buf_status(line, err);
}

// ---- reading ----

// A message with its role and content first and the rest as it came.
static json_t *message_in_order(const json_t *message)
{
    const json_t *role = json_object_get(message, "role"), *content = json_object_get(message, "content");
    json_t *ordered = json_is_string(role) && json_is_string(content) ? json_object() : NULL;
    if (!ordered) return NULL;
    json_object_set(ordered, "role", (json_t *)role);
    json_object_set(ordered, "content", (json_t *)content);
    json_object_update_missing(ordered, (json_t *)message);
    return ordered;
}

static json_t *messages_in_order(const json_t *list)
{
    json_t *ordered = json_is_array(list) && json_array_size(list) ? json_array() : NULL, *message;
    size_t i;
    if (!ordered) return NULL;
    json_array_foreach(list, i, message)
    {
        json_t *one = message_in_order(message);
        if (!one) {
            json_decref(ordered);
            return NULL;
        }
        json_array_append_new(ordered, one);
    }
    return ordered;
}

static tm_status add_dump(const json_t *json, size_t flags, tm_buf *bytes, tm_error *err)
{
    char *text = json_dumps(json, flags | JSON_COMPACT | JSON_ENCODE_ANY);
    if (text) tm_buf_str(bytes, text);
    tm_json_free(text);
    return text ? tm_buf_status(bytes, err) : tm_fail(err, TM_ENOMEM, "no memory for a record");
}

// The text column of a conversation or a preference.
static tm_status add_shaped(const json_t *json, tm_record_shape shape, tm_buf *bytes, tm_error *err)
{
    json_t *record = json_object();
    tm_status status = record ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a record");
    for (int i = 0; status >= 0 && parts[shape][i]; i++) {
        json_t *part = json_object_get(json, parts[shape][i]);
        bool tools = strcmp(parts[shape][i], "tools") == 0;
        if (tools && !part) continue;
        json_t *ordered = tools ? json_incref(part) : messages_in_order(part);
        if (ordered) json_object_set_new(record, parts[shape][i], ordered);
        else
            status = tm_fail(err, TM_EFORMAT,
                             "\"%s\" is no list of messages {\"role\": ..., \"content\": ...}",
                             parts[shape][i]);
    }
    if (status >= 0) status = add_dump(record, 0, bytes, err);
    json_decref(record);
    return status;
}

static tm_status check_names(const json_t *json, tm_record_shape shape, tm_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)json, name, value)
    {
        bool known = strcmp(name, "id") == 0 || strcmp(name, "source") == 0 || strcmp(name, "meta") == 0;
        for (int i = 0; parts[shape][i]; i++) known |= strcmp(name, parts[shape][i]) == 0;
        if (known) continue;
        tm_fail(err, TM_EFORMAT, "a record has no field \"%.60s\"", name);
        tm_hint(err, "put it into \"meta\"");
        return TM_EFORMAT;
    }
    return TM_OK;
}

typedef struct range {
    size_t at, size;
    bool there;
} range;

static tm_status add_string(const json_t *json, const char *name, bool must, tm_buf *bytes, range *r,
                            tm_error *err)
{
    const json_t *value = json_object_get(json, name);
    r->at = bytes->size;
    if (!value && !must) return TM_OK;
    if (!json_is_string(value))
        return tm_fail(err, TM_EFORMAT, value ? "\"%s\" is no text" : "there is no \"%s\"", name);
    tm_buf_add(bytes, json_string_value(value), json_string_length(value));
    r->size = bytes->size - r->at;
    r->there = true;
    return TM_OK;
}

static tm_status add_meta(const json_t *json, tm_buf *bytes, range *r, tm_error *err)
{
    const json_t *meta = json_object_get(json, "meta");
    r->at = bytes->size;
    r->there = meta != NULL;
    if (!meta || (json_is_object(meta) && !json_object_size(meta))) return TM_OK;
    if (!json_is_object(meta)) return tm_fail(err, TM_EFORMAT, "\"meta\" is no object");
    TM_TRY(add_dump(meta, JSON_SORT_KEYS, bytes, err));
    r->size = bytes->size - r->at;
    return TM_OK;
}

static tm_view view_of(const tm_buf *bytes, const range *r)
{
    return r->there ? tm_view_of(bytes->data ? bytes->data + r->at : "", r->size) : (tm_view){0};
}

static tm_status read_fields(const json_t *json, tm_record_shape shape, tm_record *record, tm_error *err)
{
    tm_buf *bytes = &record->bytes;
    range id = {0}, text = {.there = true}, source = {0}, meta = {0};
    if (!json_is_object(json)) return tm_fail(err, TM_EFORMAT, "it is no JSON object");
    TM_TRY(check_names(json, shape, err));
    TM_TRY(add_string(json, "id", false, bytes, &id, err));
    text.at = bytes->size;
    if (shape == TM_RECORD_TEXT) TM_TRY(add_string(json, "text", true, bytes, &text, err));
    else TM_TRY(add_shaped(json, shape, bytes, err));
    text.size = bytes->size - text.at;
    TM_TRY(add_string(json, "source", false, bytes, &source, err));
    TM_TRY(add_meta(json, bytes, &meta, err));
    TM_TRY(tm_buf_status(bytes, err));
    record->doc = (tm_doc){view_of(bytes, &id), view_of(bytes, &text), view_of(bytes, &source),
                           view_of(bytes, &meta)};
    return TM_OK;
}

tm_status tm_record_read(tm_view line, tm_record_shape shape, tm_record *record, tm_error *err)
{
    json_t *json = NULL;
    tm_buf_reset(&record->bytes);
    record->doc = (tm_doc){0};
    TM_TRY(tm_json_parse(line, &json, err));
    tm_status status = read_fields(json, shape, record, err);
    json_decref(json);
    return status;
}

void tm_record_clear(tm_record *record)
{
    tm_buf_clear(&record->bytes);
    record->doc = (tm_doc){0};
}
