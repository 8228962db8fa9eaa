// SPDX-License-Identifier: Apache-2.0
// Leases: one locked file per recipe key.
//
// The file holds one line, written in place: <16 hex digits: XXH3-64 of the JSON> {"epoch":..}, padded.
#include "engine/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/base/json.h"
#include "engine/store_impl.h"

enum { LINE = 512 };

struct tm_lease {
    int fd;
    uint64_t epoch;
};

static tm_status lease_path(tm_store *store, tm_hash recipe, char path[TM_PATH_MAX], tm_error *err)
{
    char hex[TM_HASH_HEX];
    tm_hash_hex(recipe, hex);
    return tm_store_at(store, path, err, "leases/%s", hex);
}

// --- What is inside ----------------------------------------------------------------------------------------
static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static json_int_t number(const json_t *all, const char *key)
{
    return json_integer_value(json_object_get(all, key));
}

// TM_EFORMAT when the file is new, or damaged.
static tm_status parse_holder(const char *line, tm_lease_holder *holder, tm_error *err)
{
    json_t *all;
    if (strlen(line) < 17) return TM_EFORMAT;
    size_t n = strcspn(line + 17, "\n");
    if (strtoull(line, NULL, 16) != tm_hash64(line + 17, n, 0)) return TM_EFORMAT;
    TM_TRY(tm_json_parse(tm_view_of(line + 17, n), &all, err));
    *holder = (tm_lease_holder){
        .epoch = (uint64_t)number(all, "epoch"), .pid = number(all, "pid"), .time_ms = number(all, "t")};
    copy_text(holder->run, sizeof holder->run, json_string_value(json_object_get(all, "run")));
    copy_text(holder->host, sizeof holder->host, json_string_value(json_object_get(all, "host")));
    json_decref(all);
    return TM_OK;
}

static tm_status read_line(int fd, const char *path, char line[LINE + 1], tm_error *err)
{
    size_t got;
    TM_TRY(tm_fd_pread(fd, line, LINE, 0, &got, path, err));
    line[got] = 0;
    return TM_OK;
}

static char *holder_text(const tm_lease_holder *h)
{
    json_t *all = json_object();
    bool good = json_object_set_new(all, "epoch", json_integer((json_int_t)h->epoch)) == 0 &&
                json_object_set_new(all, "pid", json_integer(h->pid)) == 0 &&
                json_object_set_new(all, "t", json_integer(h->time_ms)) == 0 &&
                json_object_set_new(all, "run", json_string(h->run)) == 0 &&
                json_object_set_new(all, "host", json_string(h->host)) == 0;
    char *text = good ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

static tm_status write_holder(int fd, const char *path, const tm_lease_holder *h, tm_error *err)
{
    char line[LINE + 1], *text = holder_text(h);
    if (!text) return tm_fail(err, TM_ENOMEM, "out of memory writing %s", path);
    int n = snprintf(line, sizeof line, "%016" PRIx64 " %s", tm_hash64(text, strlen(text), 0), text);
    tm_json_free(text);
    if (n < 0 || n >= LINE) return tm_fail(err, TM_EINVAL, "the name of the run is too long for %s", path);
    memset(line + n, ' ', (size_t)(LINE - n));
    line[n] = line[LINE - 1] = '\n';
    return tm_fd_pwrite(fd, line, LINE, 0, path, err);
}

// --- Taking ------------------------------------------------------------------------------------------------
// Open and lock; TM_EBUSY when another has it. gc removes idle lease files, so the name is looked at again.
static tm_status lock_file(const char *path, int *fd, tm_error *err)
{
    for (;;) {
        struct stat a, b;
        TM_TRY(tm_fd_open(path, O_RDWR | O_CREAT, 0666, fd, err));
        tm_status status = tm_fd_try_lock(*fd, LOCK_EX, path, err);
        if (status == TM_EBUSY) return status;
        if (status == TM_OK && tm_sys.fstat(*fd, &a) != 0)
            status = tm_fail_errno(err, "cannot stat %s", path);
        if (status == TM_OK && tm_sys.stat(path, &b) == 0 && a.st_ino == b.st_ino) return TM_OK;
        tm_sys.close(*fd);
        *fd = -1;
        TM_TRY(status);
    }
}

static tm_status hold(tm_lease *lease, const char *path, const char *run, tm_error *err)
{
    char line[LINE + 1];
    tm_lease_holder h = {0};
    TM_TRY(read_line(lease->fd, path, line, err));
    // An unreadable epoch may have been any number: the clock in seconds is beyond all of them.
    tm_status status = parse_holder(line, &h, err);
    if (status == TM_EFORMAT) h.epoch = line[0] ? (uint64_t)tm_time_ms() / 1000 : 0;
    else TM_TRY(status);
    h = (tm_lease_holder){.epoch = h.epoch + 1, .pid = getpid(), .time_ms = tm_time_ms()};
    copy_text(h.run, sizeof h.run, run);
    if (gethostname(h.host, sizeof h.host - 1) != 0) copy_text(h.host, sizeof h.host, "?");
    lease->epoch = h.epoch;
    return write_holder(lease->fd, path, &h, err);
}

static tm_status busy(int fd, const char *path, tm_lease_holder *holder, tm_error *err)
{
    char line[LINE + 1];
    tm_lease_holder h = {0};
    if (read_line(fd, path, line, NULL) < 0 || parse_holder(line, &h, NULL) < 0)
        copy_text(h.run, sizeof h.run, "?");
    if (holder) *holder = h;
    return tm_fail(err, TM_EBUSY, "run %s (process %lld on %s) is working on this", h.run, (long long)h.pid,
                   h.host);
}

tm_status tm_lease_try(tm_store *store, tm_hash recipe, const char *run, tm_lease **lease,
                       tm_lease_holder *holder, tm_error *err)
{
    char path[TM_PATH_MAX];
    *lease = NULL;
    TM_TRY(tm_store_writable(store, err));
    TM_TRY(lease_path(store, recipe, path, err));
    tm_lease *l = tm_calloc(1, sizeof *l);
    if (!l) return tm_fail(err, TM_ENOMEM, "out of memory for a lease");
    l->fd = -1;
    tm_status status = lock_file(path, &l->fd, err);
    if (status == TM_EBUSY) busy(l->fd, path, holder, err);
    if (status == TM_OK) status = hold(l, path, run, err);
    if (status < 0) tm_lease_release(l);
    else *lease = l;
    return status;
}

uint64_t tm_lease_epoch(const tm_lease *lease)
{
    return lease->epoch;
}

void tm_lease_release(tm_lease *lease)
{
    if (!lease) return;
    if (lease->fd >= 0) tm_sys.close(lease->fd);
    tm_free(lease);
}

tm_status tm_lease_look(tm_store *store, tm_hash recipe, tm_lease_holder *holder, tm_error *err)
{
    char path[TM_PATH_MAX], line[LINE + 1];
    int fd;
    *holder = (tm_lease_holder){0};
    TM_TRY(lease_path(store, recipe, path, err));
    TM_TRY(tm_fd_open(path, O_RDONLY, 0, &fd, err));
    tm_status status = tm_fd_try_lock(fd, LOCK_SH, path, err);
    if (status == TM_OK) status = tm_fail(err, TM_ENOENT, "nobody holds %s", path);
    else if (status == TM_EBUSY) status = read_line(fd, path, line, err);
    if (status == TM_OK && parse_holder(line, holder, NULL) < 0)
        copy_text(holder->run, sizeof holder->run, "?");
    tm_sys.close(fd);
    return status;
}
