// SPDX-License-Identifier: Apache-2.0
// The doctor on the store: what is in it, how much room there is, and what its file system can do.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/journal.h"
#include "engine/store.h"
#include "lua/cli/cli.h"
#include "lua/cli/counts.h"
#include "lua/doctor/doctor.h"

// The folder itself, or the nearest one above that is there.
static void existing(const char *folder, char path[TM_PATH_MAX])
{
    snprintf(path, TM_PATH_MAX, "%s", folder);
    while (!tm_file_exists(path)) {
        char *slash = strrchr(path, '/');
        if (!slash) snprintf(path, TM_PATH_MAX, ".");
        else if (slash == path) path[1] = 0;
        else *slash = 0;
    }
}

// Damaged lines in the journal of the latest run.
static size_t bad_lines(tm_store *store)
{
    tm_journal_reader *reader = NULL;
    json_t *record;
    if (tm_journal_reader_open(store, NULL, &reader, NULL) < 0) return 0;
    while (tm_journal_reader_next(reader, &record, NULL) == TM_OK) json_decref(record);
    size_t bad = tm_journal_reader_bad(reader);
    tm_journal_reader_close(reader);
    return bad;
}

// Opening it reads the key records and their sums; `tidemill verify` reads everything.
static void store(const char *folder, tm_finding *f)
{
    tm_store *opened = NULL;
    tm_error err = {0};
    uint64_t *runs = NULL;
    size_t n = 0;
    tm_finding_say(f, "%s", folder);
    if (!tm_file_exists(folder)) {
        tm_finding_say(f, ": not there yet, the first run makes it");
        return;
    }
    tm_status status = tm_store_open(folder, TM_STORE_READ_ONLY, &opened, &err);
    if (status == TM_ECORRUPT) tm_finding_set(f, TM_FINDING_DAMAGED, err.text, "tidemill verify");
    else if (status < 0)
        tm_finding_set(f, TM_FINDING_MISSING, err.why[0] ? err.why : err.text,
                       err.hint[0] ? err.hint : "name another one with --store");
    if (status < 0) return;
    size_t bad = bad_lines(opened);
    if (tm_run_list(opened, &runs, &n, NULL) == TM_OK)
        tm_finding_say(f, ": version 1, %zu run%s", n, n == 1 ? "" : "s");
    if (bad) {
        tm_finding_say(f, ", %zu damaged line%s in the latest journal", bad, bad == 1 ? "" : "s");
        tm_finding_set(f, TM_FINDING_DAMAGED, "bytes on this disk are not what was written",
                       "tidemill verify reads everything; smartctl -a tells how the disk is");
    }
    tm_free(runs);
    tm_store_close(opened);
}

// ---- the disk ----

static const char *type_name(long type)
{
    static const struct { unsigned long magic; const char *name; } types[] = {
        {0xEF53, "ext4"},       {0x58465342, "xfs"},     {0x9123683E, "btrfs"}, {0x2FC12FC1, "zfs"},
        {0x01021994, "tmpfs"},  {0x6969, "nfs"},         {0xFE534D42, "smb"},   {0xFF534D42, "cifs"},
        {0x794C7630, "overlay"}, {0x65735546, "fuse"},   {0x01021997, "9p"},    {0x4D44, "vfat"},
        {0x2011BAB0, "exfat"},  {0xF2F52010, "f2fs"},    {0x0BD00BD0, "lustre"}, {0x6A656A63, "virtiofs"},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].magic == ((unsigned long)type & 0xFFFFFFFF)) return types[i].name;
    return NULL;
}

static void disk(const char *folder, tm_finding *f)
{
    char path[TM_PATH_MAX], there[16], left[16];
    struct statvfs space;
    struct statfs system;
    existing(folder, path);
    if (statvfs(path, &space) != 0 || statfs(path, &system) != 0) {
        tm_finding_say(f, "%s: %s", path, strerror(errno));
        tm_finding_set(f, TM_FINDING_MISSING, "the store lies there", "name another one with --store");
        return;
    }
    uint64_t available = (uint64_t)space.f_bavail * space.f_frsize;
    const char *name = type_name(system.f_type);
    tm_finding_say(f, "%s of %s are free", tm_size_text(available, left),
                   tm_size_text((uint64_t)space.f_blocks * space.f_frsize, there));
    if (name) tm_finding_say(f, ", %s", name);
    else tm_finding_say(f, ", file system 0x%lx", (unsigned long)system.f_type);
    if (space.f_favail == 0 && space.f_files)
        tm_finding_set(f, TM_FINDING_MISSING, "there is no inode left for a new file", "tidemill gc");
    if (available < 100000000)
        tm_finding_set(f, TM_FINDING_MISSING, "a run stops when the disk is full",
                       "tidemill gc, or --store DIR");
    if (available < 5000000000)
        tm_finding_set(f, TM_FINDING_WARNING, "snapshots of a model of 100 M parameters take 0.4 GB each",
                       "tidemill gc --dry-run says what it would free; --store DIR names another disk");
    if (name && strcmp(name, "tmpfs") == 0)
        tm_finding_set(f, TM_FINDING_WARNING, "the store is in memory and is gone with the next start",
                       "name a folder on a disk with --store");
}

// ---- the file system ----

typedef struct probe {
    char folder[TM_PATH_MAX - 32], a[TM_PATH_MAX], b[TM_PATH_MAX];
    tm_finding *f;
} probe;

static void cannot(probe *p, const char *what, const char *why)
{
    char text[300];
    snprintf(text, sizeof text, "%s does not work there (%s): %s", what, strerror(errno), why);
    tm_finding_set(p->f, TM_FINDING_MISSING, text, "name a folder on a local disk with --store");
}

static void try_file(probe *p)
{
    int fd = tm_sys.open(p->a, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        cannot(p, "making a file", "a run writes its results");
        return;
    }
    if (tm_sys.write(fd, "tide", 4) != 4) cannot(p, "writing", "a run writes its results");
    else if (tm_sys.fsync(fd) != 0) cannot(p, "fsync", "a power cut could lose what was said to be safe");
    else if (tm_sys.flock(fd, LOCK_EX | LOCK_NB) != 0)
        cannot(p, "flock", "two runs could not share the store");
    tm_sys.close(fd);
}

static void try_names(probe *p)
{
    struct stat info;
    char upper[TM_PATH_MAX];
    snprintf(upper, sizeof upper, "%s/A", p->folder);
    if (tm_sys.link(p->a, p->b) != 0) cannot(p, "a hard link", "snapshots are laid out as folders of links");
    else if (tm_sys.rename_new(p->a, p->b) == 0 || errno != EEXIST)
        cannot(p, "renaming without replacing", "two runs could overwrite what the other wrote");
    if (tm_sys.stat(upper, &info) == 0)
        tm_finding_set(p->f, TM_FINDING_WARNING, "names that differ only in case are one file there",
                       "name a folder on another file system with --store");
    tm_finding_say(p->f, "%s",
                   p->f->state == TM_FINDING_OK ? "hard links, fsync, locks, renames that do not replace"
                                                : p->f->why);
}

static void file_system(const char *folder, tm_finding *f)
{
    probe p = {.f = f};
    char at[TM_PATH_MAX];
    tm_error err = {0};
    existing(folder, at);
    if (access(at, W_OK) != 0) {
        tm_finding_say(f, "%s cannot be written to by this user", at);
        tm_finding_set(f, TM_FINDING_MISSING, "a run writes its results there",
                       "chown it, or name another with --store");
        return;
    }
    snprintf(p.folder, sizeof p.folder, "%.3900s/.doctor-%d", at, (int)getpid());
    snprintf(p.a, sizeof p.a, "%s/a", p.folder);
    snprintf(p.b, sizeof p.b, "%s/b", p.folder);
    if (tm_dir_make(p.folder, &err) < 0) {
        tm_finding_say(f, "%s", err.text);
        tm_finding_set(f, TM_FINDING_MISSING, "a run writes its results there",
                       "name another folder with --store");
        return;
    }
    try_file(&p);
    if (f->state == TM_FINDING_OK) try_names(&p);
    else tm_finding_say(f, "%s", f->why);
    tm_dir_remove(p.folder, NULL);
}

const tm_check_row tm_doctor_store[] = {
    {"store", store},
    {"disk", disk},
    {"files", file_system},
    {0},
};
