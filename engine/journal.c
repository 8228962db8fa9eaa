// SPDX-License-Identifier: Apache-2.0
// Journals of runs.
#include "engine/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/json.h"
#include "engine/store_impl.h"

enum { SUM = 16, MAX_LINE = 16 << 20, WINDOW = 64 << 10 };

struct tm_journal {
    char path[TM_PATH_MAX];
    int fd;
    uint64_t end;
    bool dirty, torn, broken;
};

// --- Runs --------------------------------------------------------------------------------------------------
static bool run_number(const char *name, uint64_t *number)
{
    char *end;
    if (name[0] != 'r' || name[1] < '1' || name[1] > '9') return false;
    *number = strtoull(name + 1, &end, 10);
    return *end == 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

tm_status tm_run_list(tm_store *store, uint64_t **numbers, size_t *count, tm_error *err)
{
    char path[TM_PATH_MAX];
    tm_names names;
    *numbers = NULL;
    *count = 0;
    TM_TRY(tm_store_at(store, path, err, "runs"));
    TM_TRY(tm_dir_list(path, &names, err));
    uint64_t *all = tm_alloc(names.count * sizeof *all);
    for (size_t i = 0; all && i < names.count; i++) *count += run_number(names.names[i], &all[*count]);
    tm_names_clear(&names);
    if (!all) return tm_fail(err, TM_ENOMEM, "out of memory listing runs");
    qsort(all, *count, sizeof *all, by_number);
    *numbers = all;
    return TM_OK;
}

tm_status tm_run_folder(tm_store *store, const char *run, char path[TM_PATH_MAX], tm_error *err)
{
    uint64_t number;
    if (!run_number(run, &number))
        return tm_fail_as(err, TM_EINVAL, "TM0505", "\"%.40s\" is not a run, as \"r12\" is", run);
    return tm_store_at(store, path, err, "runs/%s", run);
}

static tm_status last_run(tm_store *store, uint64_t *last, tm_error *err)
{
    uint64_t *numbers;
    size_t count;
    TM_TRY(tm_run_list(store, &numbers, &count, err));
    *last = count ? numbers[count - 1] : 0;
    tm_free(numbers);
    return TM_OK;
}

// --- Writing -----------------------------------------------------------------------------------------------
static tm_status new_run(tm_store *store, char run[32], char path[TM_PATH_MAX], tm_error *err)
{
    uint64_t number;
    TM_TRY(last_run(store, &number, err));
    for (;;) {
        snprintf(run, 32, "r%" PRIu64, ++number);
        TM_TRY(tm_run_folder(store, run, path, err));
        if (tm_sys.mkdir(path, 0777) == 0) return TM_OK;
        if (errno != EEXIST) return tm_fail_errno(err, "cannot make folder %s", path);
    }
}

static tm_status open_journal(tm_store *store, const char *run, int flags, tm_journal **journal,
                              tm_error *err)
{
    tm_journal *j = tm_calloc(1, sizeof *j);
    if (!j) return tm_fail(err, TM_ENOMEM, "out of memory opening a journal");
    j->fd = -1;
    tm_status status = tm_store_at(store, j->path, err, "runs/%s/journal", run);
    if (status == TM_OK) status = tm_fd_open(j->path, O_RDWR | flags, 0666, &j->fd, err);
    if (status < 0) tm_journal_close(j);
    else *journal = j;
    return status;
}

static tm_status create(tm_store *store, char run[32], tm_journal **journal, tm_error *err)
{
    char folder[TM_PATH_MAX], runs[TM_PATH_MAX];
    *journal = NULL;
    TM_TRY(tm_store_writable(store, err));
    TM_TRY(new_run(store, run, folder, err));
    TM_TRY(tm_store_at(store, runs, err, "runs"));
    TM_TRY(open_journal(store, run, O_CREAT | O_EXCL, journal, err));
    tm_status status = tm_dir_sync(folder, err);
    if (status == TM_OK) status = tm_dir_sync(runs, err);
    if (status < 0) {
        tm_journal_close(*journal);
        *journal = NULL;
    }
    return status;
}

tm_status tm_journal_create(tm_store *store, char run[32], tm_journal **journal, tm_error *err)
{
    tm_status status = create(store, run, journal, err);
    if (status < 0) run[0] = 0;
    return status;
}

// The end of the last whole line.
static tm_status find_end(tm_journal *journal, uint64_t *end, tm_error *err)
{
    struct stat info;
    if (tm_sys.fstat(journal->fd, &info) != 0) return tm_fail_errno(err, "cannot stat %s", journal->path);
    char window[4096];
    for (*end = (uint64_t)info.st_size; *end > 0;) {
        size_t n = *end < sizeof window ? (size_t)*end : sizeof window, got;
        TM_TRY(tm_fd_pread(journal->fd, window, n, (off_t)(*end - n), &got, journal->path, err));
        for (size_t i = got; i > 0; i--)
            if (window[i - 1] == '\n') {
                *end = *end - n + i;
                return TM_OK;
            }
        *end -= n;
    }
    return TM_OK;
}

tm_status tm_journal_resume(tm_store *store, const char *run, tm_journal **journal, tm_error *err)
{
    char folder[TM_PATH_MAX];
    *journal = NULL;
    TM_TRY(tm_store_writable(store, err));
    TM_TRY(tm_run_folder(store, run, folder, err));
    tm_journal *j = NULL;
    TM_TRY(open_journal(store, run, 0, &j, err));
    tm_status status = find_end(j, &j->end, err);
    if (status < 0) {
        tm_journal_close(j);
        return status;
    }
    j->torn = true;
    *journal = j;
    return TM_OK;
}

void tm_journal_close(tm_journal *journal)
{
    if (!journal) return;
    if (journal->fd >= 0) tm_sys.close(journal->fd);
    tm_free(journal);
}

static tm_status make_line(const char *event, json_t *fields, tm_buf *line, tm_error *err)
{
    json_t *record = json_object();
    bool good = json_object_set_new(record, "t", json_integer(tm_time_ms())) == 0 &&
                json_object_set_new(record, "event", json_string(event)) == 0 &&
                (!fields || json_object_update_missing(record, fields) == 0);
    char *text = good ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    if (!text) return tm_fail(err, TM_ENOMEM, "out of memory for a line of the journal");
    size_t n = strlen(text);
    tm_buf_fmt(line, "%016" PRIx64 " ", tm_hash64(text, n, 0));
    tm_buf_add(line, text, n);
    tm_buf_char(line, '\n');
    tm_json_free(text);
    return tm_buf_status(line, err);
}

// What a failed append (ours, or of a process that died) left behind the last whole line.
static tm_status cut_tail(tm_journal *journal, tm_error *err)
{
    if (!journal->torn) return TM_OK;
    if (tm_sys.ftruncate(journal->fd, (off_t)journal->end) != 0)
        return tm_fail_errno(err, "cannot cut %s", journal->path);
    journal->torn = false;
    return TM_OK;
}

tm_status tm_journal_append(tm_journal *journal, const char *event, json_t *fields, tm_error *err)
{
    tm_buf line = {0};
    tm_status status = make_line(event, fields, &line, err);
    if (status == TM_OK) status = cut_tail(journal, err);
    if (status == TM_OK) {
        status = tm_fd_pwrite(journal->fd, line.data, line.size, (off_t)journal->end, journal->path, err);
        if (status == TM_OK) journal->end += line.size;
        else journal->torn = true;
        journal->dirty = true;
    }
    if (journal->torn) cut_tail(journal, NULL);
    tm_buf_clear(&line);
    return status;
}

static tm_status must_be_whole(const tm_journal *journal, tm_error *err)
{
    if (!journal->broken) return TM_OK;
    return tm_fail(err, TM_EIO, "%s could not be made durable before; start again", journal->path);
}

tm_status tm_journal_sync(tm_journal *journal, tm_error *err)
{
    TM_TRY(must_be_whole(journal, err));
    if (!journal->dirty) return TM_OK;
    tm_status status = tm_fd_sync(journal->fd, true, journal->path, err);
    journal->dirty = false;
    tm_journal_synced(journal, status);
    return status;
}

tm_status tm_journal_unsynced(tm_journal *journal, tm_unsynced *todo, tm_error *err)
{
    TM_TRY(must_be_whole(journal, err));
    if (!journal->dirty) return TM_DONE;
    TM_TRY(tm_unsynced_note(todo, journal->fd, journal->path, err));
    journal->dirty = false;
    return TM_OK;
}

void tm_journal_synced(tm_journal *journal, tm_status outcome)
{
    journal->broken |= outcome < 0;
}

// --- Reading -----------------------------------------------------------------------------------------------
struct tm_journal_reader {
    char path[TM_PATH_MAX];
    int fd;
    uint64_t at;    // of the bytes behind the window
    tm_buf window;  // bytes not yet passed on, from `from`
    size_t from;
    size_t bad;
};

static tm_status open_reader(tm_store *store, const char *run, tm_journal_reader *r, tm_error *err)
{
    char folder[TM_PATH_MAX], name[32];
    uint64_t last;
    if (!run) {
        TM_TRY(last_run(store, &last, err));
        if (last == 0)
            return tm_fail_as(err, TM_ENOENT, "TM0505", "there are no runs in %s yet",
                              tm_store_folder(store));
        snprintf(name, sizeof name, "r%" PRIu64, last);
        run = name;
    }
    TM_TRY(tm_run_folder(store, run, folder, err));
    TM_TRY(tm_store_at(store, r->path, err, "runs/%s/journal", run));
    tm_status status = tm_fd_open(r->path, O_RDONLY, 0, &r->fd, err);
    if (status == TM_ENOENT)
        return tm_fail_as(err, TM_ENOENT, "TM0505", "there is no run %s in %s", run, tm_store_folder(store));
    return status;
}

tm_status tm_journal_reader_open(tm_store *store, const char *run, tm_journal_reader **reader, tm_error *err)
{
    *reader = NULL;
    tm_journal_reader *r = tm_calloc(1, sizeof *r);
    if (!r) return tm_fail(err, TM_ENOMEM, "out of memory reading a journal");
    r->fd = -1;
    tm_status status = open_reader(store, run, r, err);
    if (status < 0) tm_journal_reader_close(r);
    else *reader = r;
    return status;
}

void tm_journal_reader_close(tm_journal_reader *reader)
{
    if (!reader) return;
    if (reader->fd >= 0) tm_sys.close(reader->fd);
    tm_buf_clear(&reader->window);
    tm_free(reader);
}

// More bytes behind those in the window; *got 0 at the end of the file.
static tm_status load(tm_journal_reader *r, size_t *got, tm_error *err)
{
    if (r->from > 0) {
        memmove(r->window.data, r->window.data + r->from, r->window.size - r->from);
        r->window.size -= r->from;
        r->from = 0;
    }
    if (!tm_buf_reserve(&r->window, WINDOW)) {
        r->window.failed = false;
        return tm_fail(err, TM_ENOMEM, "out of memory reading %s", r->path);
    }
    TM_TRY(tm_fd_pread(r->fd, r->window.data + r->window.size, WINDOW, (off_t)r->at, got, r->path, err));
    r->window.size += *got;
    r->at += *got;
    return TM_OK;
}

static bool good_line(const char *line, size_t size)
{
    char sum[SUM + 1];
    if (size < SUM + 3 || line[SUM] != ' ' || line[SUM + 1] != '{') return false;
    snprintf(sum, sizeof sum, "%016" PRIx64, tm_hash64(line + SUM + 1, size - SUM - 1, 0));
    return memcmp(sum, line, SUM) == 0;
}

// Where in the line its record begins; `size` when there is none. A line that lost its end runs into the next
// one, so a good record may stand behind some rubbish.
static size_t find_record(const char *line, size_t size)
{
    size_t i = 0;
    while (i < size && !good_line(line + i, size - i)) i++;
    return i;
}

// One whole line, without its end. TM_AGAIN: damaged, and counted.
static tm_status take_line(tm_journal_reader *r, const char *line, size_t size, json_t **record,
                           tm_error *err)
{
    size_t at = find_record(line, size);
    tm_status status = TM_EFORMAT;
    if (at < size) status = tm_json_parse(tm_view_of(line + at + SUM + 1, size - at - SUM - 1), record, err);
    if (status == TM_ENOMEM) return status;
    r->bad += at > 0 || status < 0;
    r->from += size + 1;
    return status < 0 ? TM_AGAIN : TM_OK;
}

tm_status tm_journal_reader_next(tm_journal_reader *reader, json_t **record, tm_error *err)
{
    *record = NULL;
    for (size_t searched = 0;;) {
        char *start = reader->window.data ? reader->window.data + reader->from : NULL;
        size_t left = reader->window.size - reader->from, got;
        char *end = left > searched ? memchr(start + searched, '\n', left - searched) : NULL;
        if (end) {
            tm_status status = take_line(reader, start, (size_t)(end - start), record, err);
            if (status != TM_AGAIN) return status;
            searched = 0;
            continue;
        }
        searched = left;
        TM_TRY(load(reader, &got, err));
        if (got == 0) {  // a line without its end is read anew: its writer may have failed and cut it
            reader->at -= reader->window.size;
            tm_buf_reset(&reader->window);
            return TM_AGAIN;
        }
        if (reader->window.size > MAX_LINE) {  // no record is that long: skip what has no end
            reader->from = reader->window.size;
            searched = 0;
        }
    }
}

size_t tm_journal_reader_bad(const tm_journal_reader *reader)
{
    return reader->bad;
}
