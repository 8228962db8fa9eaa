// SPDX-License-Identifier: Apache-2.0
// What all tools share: names, parameters and facts of a run.
#include "lua/send/send.h"

#include <stdio.h>
#include <stdlib.h>

const tm_send_tool *tm_send_tool_find(const char *name)
{
    for (int i = 0; tm_send_tools[i]; i++)
        if (strcmp(tm_send_tools[i]->name, name) == 0) return tm_send_tools[i];
    return NULL;
}

tm_status tm_send(const tm_send_tool *tool, tm_past *past, tm_send_job *job, tm_error *err)
{
    job->past = past;
    job->sent = json_object();
    job->taken = json_object();
    if (!job->sent || !job->taken) return tm_fail(err, TM_ENOMEM, "no memory to send a run");
    return tool->write(job, err);
}

void tm_send_clear(tm_send_job *job)
{
    json_decref(job->sent);
    json_decref(job->taken);
    *job = (tm_send_job){0};
}

// ---- names ----

static bool stays(unsigned char c, const char *also)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && (strchr("_-./", c) || strchr(also, c)));
}

// At most 200 bytes, so that there is room for what tells two names apart.
static void plain_name(const char *name, const char *also, char text[TM_SEND_NAME])
{
    size_t n = 0;
    bool begin = true;
    for (; *name && n < 200; name++) {
        unsigned char c = (unsigned char)*name;
        if ((c & 0xc0) == 0x80) continue; // the rest of a letter that takes several bytes
        if (begin && (c == '.' || c == '/')) text[n++] = '_';
        text[n++] = stays(c, also) ? (char)c : '_';
        begin = c == '/';
    }
    if (begin) text[n++] = '_';
    text[n] = 0;
}

static void remember(tm_send_job *job, const char *name, const char *text)
{
    json_object_set_new(job->sent, name, json_string(text));
    json_object_set_new(job->taken, text, json_string(name));
    if (strcmp(name, text) == 0) return;
    if (!job->changed++) {
        snprintf(job->example[0], TM_SEND_NAME, "%s", name);
        snprintf(job->example[1], TM_SEND_NAME, "%s", text);
    }
}

const char *tm_send_name(tm_send_job *job, const char *name, const char *also, char text[TM_SEND_NAME])
{
    const char *known = json_string_value(json_object_get(job->sent, name));
    if (known) {
        snprintf(text, TM_SEND_NAME, "%s", known);
        return text;
    }
    plain_name(name, also, text);
    size_t size = strlen(text);
    for (int i = 2; json_object_get(job->taken, text); i++)
        snprintf(text + size, TM_SEND_NAME - size, "_%d", i);
    remember(job, name, text);
    return text;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

bool tm_send_parts(const char *name, const char *dot)
{
    return dot == name || !digit(dot[-1]) || !digit(dot[1]);
}

// ---- what is sent ----

const tm_past_node *tm_send_next_node(const tm_past *past, size_t *at)
{
    while (*at < past->n_nodes) {
        const tm_past_node *node = &past->nodes[(*at)++];
        if (!node->same && node->n_series) return node;
    }
    return NULL;
}

json_t *tm_send_params(const tm_past *past)
{
    json_t *all = json_object(), *one;
    size_t i;
    json_array_foreach(json_object_get(past->record, "params"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name) json_object_set(all, name, json_object_get(one, "value"));
    }
    return all;
}

static void add_text(json_t *facts, const char *name, const json_t *value)
{
    tm_buf text = {0};
    if (!value) return;
    tm_send_text(&text, value);
    if (text.data) json_object_set_new(facts, name, json_string(text.data));
    tm_buf_clear(&text);
}

static json_t *command_of(const tm_past *past)
{
    tm_buf text = {0};
    size_t i;
    json_t *arg;
    tm_buf_str(&text, "tidemill run");
    json_array_foreach(json_object_get(past->record, "args"), i, arg)
    {
        tm_buf_char(&text, ' ');
        tm_send_text(&text, arg);
    }
    json_t *command = json_string(text.data ? text.data : "");
    tm_buf_clear(&text);
    return command;
}

json_t *tm_send_facts(const tm_past *past)
{
    const json_t *git = json_object_get(past->record, "git");
    const json_t *cpu = json_object_get(json_object_get(past->record, "environment"), "cpu");
    json_t *facts = json_object();
    add_text(facts, "run", json_object_get(past->record, "run"));
    add_text(facts, "graph", json_object_get(past->record, "graph"));
    add_text(facts, "version", json_object_get(past->record, "version"));
    add_text(facts, "git.commit", json_object_get(git, "commit"));
    add_text(facts, "git.branch", json_object_get(git, "branch"));
    add_text(facts, "git.changed_files", json_object_get(git, "changed"));
    add_text(facts, "cpu", json_object_get(cpu, "model"));
    add_text(facts, "cores", json_object_get(past->record, "cores"));
    json_object_set_new(facts, "command", command_of(past));
    json_object_set_new(facts, "status", json_string(tm_past_status(past)));
    if (past->note) json_object_set_new(facts, "note", json_string(past->note));
    return facts;
}

void tm_send_text(tm_buf *text, const json_t *value)
{
    char *json = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    tm_buf_str(text, json_is_string(value) ? json_string_value(value) : json ? json : "");
    free(json);
}

void tm_send_title(const tm_past *past, char title[TM_SEND_NAME])
{
    const char *path = json_string_value(json_object_get(past->record, "graph"));
    const char *slash = path ? strrchr(path, '/') : NULL;
    snprintf(title, TM_SEND_NAME, "%s", slash ? slash + 1 : path ? path : "graph");
    char *dot = strrchr(title, '.');
    if (dot && dot != title) *dot = 0;
}

void tm_send_id(const tm_past *past, char id[33])
{
    tm_buf text = {0};
    const char *path = json_string_value(json_object_get(past->record, "path"));
    tm_buf_fmt(&text, "%s %lld %s", past->run, (long long)past->start_ms, path ? path : "");
    tm_hash_hex(tm_hash_of(text.data, text.size), id);
    tm_buf_clear(&text);
}

tm_status tm_send_file(const char *folder, const char *name, const tm_buf *bytes, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_buf_status(bytes, err));
    TM_TRY(tm_path(path, err, "%s/%s", folder, name));
    char *slash = strrchr(path, '/');
    *slash = 0;
    TM_TRY(tm_dir_make(path, err));
    *slash = '/';
    return tm_file_write(path, bytes->data ? bytes->data : "", bytes->size, false, err);
}
