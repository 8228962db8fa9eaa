// SPDX-License-Identifier: Apache-2.0
// Cuts a stream into lines and maps their fields.
#include "stages/format/jsonl.h"

#define BLOCK (256u << 10)
#define LINE_BYTES (64u << 20)

struct tm_jsonl {
    tm_read_bytes *read;
    void *self;
    tm_jsonl_options options;
    tm_buf bytes; // what is read and not yet given, from `at`
    size_t at;
    uint64_t line, offset; // of the next line
    bool ended;
    tm_buf decoded; // strings with escapes
    tm_buf meta;
};

tm_status tm_jsonl_open(tm_jsonl **out, tm_read_bytes *read, void *self, const tm_jsonl_options *options,
                        tm_error *err)
{
    tm_jsonl *jsonl = *out = tm_calloc(1, sizeof *jsonl);
    if (!jsonl) return tm_fail(err, TM_ENOMEM, "out of memory");
    jsonl->read = read;
    jsonl->self = self;
    jsonl->line = 1;
    if (options) jsonl->options = *options;
    tm_jsonl_options *o = &jsonl->options;
    if (!o->id) o->id = "id";
    if (!o->text) o->text = "text";
    if (!o->source) o->source = "source";
    if (!o->meta) o->meta = "meta";
    if (!o->line_bytes) o->line_bytes = LINE_BYTES;
    return TM_OK;
}

void tm_jsonl_close(tm_jsonl *jsonl)
{
    if (!jsonl) return;
    tm_buf_clear(&jsonl->bytes);
    tm_buf_clear(&jsonl->decoded);
    tm_buf_clear(&jsonl->meta);
    tm_free(jsonl);
}

// ---- lines ----

static tm_status read_more(tm_jsonl *jsonl, tm_error *err)
{
    tm_buf *bytes = &jsonl->bytes;
    if (jsonl->at) {
        memmove(bytes->data, bytes->data + jsonl->at, bytes->size - jsonl->at);
        bytes->size -= jsonl->at;
        jsonl->at = 0;
    }
    if (!tm_buf_reserve(bytes, BLOCK)) return tm_buf_status(bytes, err);
    size_t got = 0;
    TM_TRY(jsonl->read(jsonl->self, bytes->data + bytes->size, BLOCK, &got, err));
    bytes->size += got;
    jsonl->ended = !got;
    return TM_OK;
}

static void take(tm_jsonl *jsonl, size_t n)
{
    jsonl->at += n;
    jsonl->offset += n;
}

// Passes over a line that is too long, to its end; what is in memory of it is dropped.
static tm_status skip_line(tm_jsonl *jsonl, tm_error *err)
{
    for (;;) {
        const char *start = jsonl->bytes.data + jsonl->at;
        size_t left = jsonl->bytes.size - jsonl->at;
        const char *end = left ? memchr(start, '\n', left) : NULL;
        take(jsonl, end ? (size_t)(end - start) + 1 : left);
        if (end || jsonl->ended) return TM_OK;
        TM_TRY(read_more(jsonl, err));
    }
}

// The next line, its end included. TM_DONE at the end of the stream, TM_AGAIN for a line that was too long.
static tm_status next_line(tm_jsonl *jsonl, tm_view *line, tm_error *err)
{
    size_t seen = 0;
    for (;;) {
        size_t left = jsonl->bytes.size - jsonl->at;
        const char *start = left ? jsonl->bytes.data + jsonl->at : NULL;
        const char *end = left > seen ? memchr(start + seen, '\n', left - seen) : NULL;
        if (end || jsonl->ended) {
            if (!left) return TM_DONE;
            *line = tm_view_of(start, end ? (size_t)(end - start) + 1 : left);
            take(jsonl, line->size);
            return line->size > jsonl->options.line_bytes + 1 ? TM_AGAIN : TM_OK;
        }
        if (left > jsonl->options.line_bytes) {
            TM_TRY(skip_line(jsonl, err));
            return TM_AGAIN;
        }
        seen = left;
        TM_TRY(read_more(jsonl, err));
    }
}

static tm_view without_end(tm_view line)
{
    if (line.size && line.data[line.size - 1] == '\n') line.size--;
    if (line.size && line.data[line.size - 1] == '\r') line.size--;
    return line;
}

static bool is_blank(tm_view line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t') return false;
    return true;
}

// ---- fields ----

typedef struct mapping {
    tm_jsonl *jsonl;
    tm_jsonl_row *row;
    tm_view meta; // the meta object as it stands
} mapping;

static const char *take_string(mapping *m, tm_view value, tm_view *field, const char *twice, const char *kind)
{
    if (field->data) return twice;
    if (value.data[0] != '"') return kind;
    *field = tm_json_string(value, &m->jsonl->decoded);
    return NULL;
}

static const char *take_id(mapping *m, tm_view value)
{
    bool number = value.data[0] == '-' || (value.data[0] >= '0' && value.data[0] <= '9');
    if (m->row->id.data) return "two ids";
    if (!number) return take_string(m, value, &m->row->id, "two ids", "the id is no string or number");
    m->row->id = value;
    return NULL;
}

// A field of no other place goes into meta as it stands; key and value lie in the line, with the quotes.
static void add_meta(mapping *m, tm_view key, tm_view value)
{
    tm_buf *meta = &m->jsonl->meta;
    if (meta->size > 1) tm_buf_char(meta, ',');
    tm_buf_add(meta, key.data - 1, key.size + 2);
    tm_buf_char(meta, ':');
    tm_buf_add(meta, value.data, value.size);
}

static const char *map_member(void *self, tm_view key, tm_view value)
{
    mapping *m = self;
    const tm_jsonl_options *names = &m->jsonl->options;
    if (tm_json_key_is(key, names->text) && !names->any_shape)
        return take_string(m, value, &m->row->text, "two texts", "the text is no string");
    if (tm_json_key_is(key, names->id)) return value.data[0] == 'n' ? NULL : take_id(m, value);
    if (tm_json_key_is(key, names->source))
        return value.data[0] == 'n'
                   ? NULL
                   : take_string(m, value, &m->row->source, "two sources", "the source is no string");
    if (tm_json_key_is(key, names->meta) && value.data[0] == '{' && !m->meta.data)
        m->meta = value;
    else if (!names->any_shape)
        add_meta(m, key, value);
    return NULL;
}

// The members of the meta object come last.
static void close_meta(mapping *m)
{
    tm_buf *meta = &m->jsonl->meta;
    tm_view inside = m->meta.data ? tm_view_of(m->meta.data + 1, m->meta.size - 2) : (tm_view){0};
    if (!is_blank(inside)) {
        if (meta->size > 1) tm_buf_char(meta, ',');
        tm_buf_add(meta, inside.data, inside.size);
    }
    tm_buf_char(meta, '}');
    m->row->meta = tm_buf_view(meta);
}

static tm_status map_fields(tm_jsonl *jsonl, tm_jsonl_row *row, tm_error *err)
{
    mapping m = {.jsonl = jsonl, .row = row};
    tm_json_error wrong;
    tm_buf_reset(&jsonl->decoded);
    tm_buf_reset(&jsonl->meta);
    tm_buf_char(&jsonl->meta, '{');
    if (!tm_buf_reserve(&jsonl->decoded, row->bytes.size)) return tm_buf_status(&jsonl->decoded, err);
    if (!tm_json_object(row->bytes, map_member, &m, &wrong)) {
        row->bad = wrong.why;
        row->bad_at = wrong.at;
    } else if (!row->text.data && !jsonl->options.any_shape) {
        row->bad = "no text";
    }
    close_meta(&m);
    return tm_buf_status(&jsonl->meta, err);
}

tm_status tm_jsonl_next(tm_jsonl *jsonl, tm_jsonl_row *row, tm_error *err)
{
    for (;;) {
        tm_view line;
        *row = (tm_jsonl_row){.line = jsonl->line, .offset = jsonl->offset};
        tm_status status = next_line(jsonl, &line, err);
        if (status < 0 || status == TM_DONE) return status;
        jsonl->line++;
        if (status == TM_AGAIN) {
            row->bad = "the line is too long";
            return TM_OK;
        }
        row->bytes = without_end(line);
        if (row->offset == 0 && row->bytes.size >= 3 && !memcmp(row->bytes.data, "\xef\xbb\xbf", 3))
            row->bytes = tm_view_of(row->bytes.data + 3, row->bytes.size - 3);
        if (!is_blank(row->bytes)) return map_fields(jsonl, row, err);
    }
}
