// SPDX-License-Identifier: Apache-2.0
// One file for the run and one for each node that measures; each record is added by one write.
#include "lua/send/live.h"

#include <fcntl.h>
#include <stdio.h>

#include "engine/journal.h"
#include "lua/send/event_file.h"
#include "lua/send/send.h"

struct tm_live {
    tm_store *store;
    tm_send_job names;
    char folder[TM_PATH_MAX]; // runs/RUN/tensorboard, or "": nothing is written
    int64_t start_ms;
};

tm_live *tm_live_new(tm_store *store)
{
    tm_live *live = tm_calloc(1, sizeof *live);
    if (!live) return NULL;
    live->store = store;
    live->names = (tm_send_job){.sent = json_object(), .taken = json_object()};
    return live;
}

void tm_live_free(tm_live *live)
{
    if (!live) return;
    tm_send_clear(&live->names);
    tm_free(live);
}

static double now(void)
{
    return (double)tm_time_ms() * 1e-3;
}

// Adds records to the file of a node (".": of the run), which is begun if it is not there.
static void add(tm_live *live, const char *name, tm_buf *records)
{
    char path[TM_PATH_MAX];
    tm_buf all = {0};
    int fd = -1;
    bool good = live->folder[0] && tm_path(path, NULL, "%s/%s", live->folder, name) >= 0;
    if (good && !tm_file_exists(path)) good = tm_dir_make(path, NULL) >= 0;
    good = good && tm_path(path, NULL, "%s/%s/events.out.tfevents.%lld.tidemill", live->folder, name,
                           (long long)(live->start_ms / 1000)) >= 0;
    if (good && !tm_file_exists(path)) tm_event_head(&all, (double)live->start_ms * 1e-3);
    tm_buf_add(&all, records->data, records->size);
    good = good && !records->failed && !all.failed &&
           tm_fd_open(path, O_WRONLY | O_CREAT | O_APPEND, 0666, &fd, NULL) >= 0;
    if (good && tm_fd_write(fd, all.data, all.size, path, NULL) < 0) live->folder[0] = 0;
    if (fd >= 0) tm_fd_close(fd, path, NULL);
    tm_buf_clear(&all);
    tm_buf_clear(records);
}

static void begin(tm_live *live, const json_t *fields)
{
    const char *run = json_string_value(json_object_get(fields, "run"));
    char folder[TM_PATH_MAX];
    tm_buf records = {0};
    tm_past past = {.record = (json_t *)fields};
    json_t *params = tm_send_params(&past);
    live->start_ms = tm_time_ms();
    bool good = run && tm_run_folder(live->store, run, folder, NULL) >= 0 &&
                tm_path(live->folder, NULL, "%s/tensorboard", folder) >= 0;
    if (!good) live->folder[0] = 0;
    tm_event_began(&records, now(), run, params);
    add(live, ".", &records);
    json_decref(params);
}

static void note(tm_live *live, const json_t *fields)
{
    const char *node = json_string_value(json_object_get(fields, "node"));
    const char *metric = json_string_value(json_object_get(fields, "name"));
    const json_t *value = json_object_get(fields, "value");
    char tag[128], name[TM_SEND_NAME];
    tm_buf records = {0};
    if (!node || !metric || !json_is_number(value)) return;
    tm_event_scalar(&records, now(), json_integer_value(json_object_get(fields, "step")),
                    tm_event_tag(metric, tag), json_number_value(value));
    add(live, tm_send_name(&live->names, node, ",=+@", name), &records);
}

static void end(tm_live *live, const json_t *fields)
{
    const char *status = json_string_value(json_object_get(fields, "status"));
    tm_buf records = {0};
    tm_event_ended(&records, now(), status && strcmp(status, "done") == 0);
    add(live, ".", &records);
}

void tm_live_event(tm_live *live, const char *event, const json_t *fields)
{
    if (!live) return;
    if (strcmp(event, "run") == 0)
        begin(live, fields);
    else if (strcmp(event, "note") == 0)
        note(live, fields);
    else if (strcmp(event, "end") == 0)
        end(live, fields);
}
