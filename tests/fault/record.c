// SPDX-License-Identifier: Apache-2.0
// Writing down what happens to the disk, and what a power cut may leave of it.
//
// The model is harsher than file systems are. A folder is a table of names, each with a history; a file is a
// sequence of changes. After a power cut a name has any value it had since its folder was last synced, each
// name for itself, so a rename may be done by half; a file has any subset of the changes since it was last
// synced, a lost write leaves zeros where the file is longer. An object of either kind exists if some name
// leads to it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/random.h"
#include "tests/fault/faults.h"

enum { MAX_FD = 1024, NONE = -1 };

typedef enum { OP_NAME, OP_DATA, OP_SIZE, OP_SYNC } op_kind;

typedef struct op {
    op_kind kind;
    int node;        // the folder, or the file
    char name[128];  // OP_NAME: in that folder
    int target;      // OP_NAME: the node it leads to from now on, or NONE
    uint64_t at;     // OP_DATA: offset; OP_SIZE: size, at least `at` when `grow`
    size_t size;
    char *bytes;
    bool grow;
} op;

typedef struct node {
    dev_t dev;
    ino_t ino;
    bool folder;
} node;

struct recording {
    char folder[TM_PATH_MAX];
    tm_io real;
    op *ops;
    size_t n_ops, ops_capacity;
    node *nodes;
    size_t n_nodes, nodes_capacity;
    int of_fd[MAX_FD];  // node, or NONE
};

static recording *now;

static void *must(void *memory)
{
    if (!memory) abort();
    return memory;
}

// --- Nodes -------------------------------------------------------------------------------------------------
static int add_node(const struct stat *info)
{
    if (now->n_nodes == now->nodes_capacity) {
        now->nodes_capacity = now->nodes_capacity ? 2 * now->nodes_capacity : 256;
        now->nodes = must(realloc(now->nodes, now->nodes_capacity * sizeof *now->nodes));
    }
    now->nodes[now->n_nodes] = (node){info->st_dev, info->st_ino, S_ISDIR(info->st_mode)};
    return (int)now->n_nodes++;
}

// The latest node with this inode: numbers are used again after a file is gone.
static int find_node(const struct stat *info)
{
    for (size_t i = now->n_nodes; i-- > 0;)
        if (now->nodes[i].ino == info->st_ino && now->nodes[i].dev == info->st_dev) return (int)i;
    return NONE;
}

static int node_at(const char *path)
{
    struct stat info;
    return now->real.lstat(path, &info) == 0 ? find_node(&info) : NONE;
}

// The folder of a path and the name in it; NONE when that folder is not watched.
static int split(const char *path, const char **name)
{
    char parent[TM_PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash) return NONE;
    *slash = 0;
    *name = path + (slash - parent) + 1;
    return node_at(parent);
}

// --- Operations --------------------------------------------------------------------------------------------
static op *add_op(op_kind kind, int of)
{
    if (now->n_ops == now->ops_capacity) {
        now->ops_capacity = now->ops_capacity ? 2 * now->ops_capacity : 1024;
        now->ops = must(realloc(now->ops, now->ops_capacity * sizeof *now->ops));
    }
    op *o = &now->ops[now->n_ops++];
    *o = (op){.kind = kind, .node = of, .target = NONE};
    return o;
}

static void note_name(const char *path, int target)
{
    const char *name;
    int folder = split(path, &name);
    if (folder == NONE) return;
    op *o = add_op(OP_NAME, folder);
    snprintf(o->name, sizeof o->name, "%s", name);
    o->target = target;
}

static void note_data(int fd, const void *data, ssize_t size, off_t at)
{
    if (size <= 0 || fd >= MAX_FD || now->of_fd[fd] == NONE) return;
    op *o = add_op(OP_DATA, now->of_fd[fd]);
    o->at = (uint64_t)at;
    o->size = (size_t)size;
    o->bytes = must(malloc(o->size));
    memcpy(o->bytes, data, o->size);
}

static void note_size(int of, uint64_t size, bool grow)
{
    if (of == NONE) return;
    op *o = add_op(OP_SIZE, of);
    o->at = size;
    o->grow = grow;
}

static void note_new(const char *path)
{
    struct stat info;
    const char *name;
    if (split(path, &name) == NONE || now->real.lstat(path, &info) != 0) return;
    note_name(path, add_node(&info));
}

// --- The calls ---------------------------------------------------------------------------------------------
static int r_open(const char *path, int flags, mode_t mode)
{
    struct stat info;
    bool fresh = flags & O_CREAT && now->real.lstat(path, &info) != 0;
    int fd = now->real.open(path, flags, mode);
    if (fd < 0 || fd >= MAX_FD) return fd;
    if (fresh) note_new(path);
    now->of_fd[fd] = now->real.fstat(fd, &info) == 0 ? find_node(&info) : NONE;
    if (flags & O_TRUNC && !fresh) note_size(now->of_fd[fd], 0, false);
    return fd;
}

static int r_close(int fd)
{
    if (fd >= 0 && fd < MAX_FD) now->of_fd[fd] = NONE;
    return now->real.close(fd);
}

static ssize_t r_write(int fd, const void *data, size_t size)
{
    ssize_t n = now->real.write(fd, data, size);
    note_data(fd, data, n, n > 0 ? lseek(fd, 0, SEEK_CUR) - n : 0);
    return n;
}

static ssize_t r_pwrite(int fd, const void *data, size_t size, off_t at)
{
    ssize_t n = now->real.pwrite(fd, data, size, at);
    note_data(fd, data, n, at);
    return n;
}

static int r_sync(int fd)
{
    int rc = now->real.fsync(fd);
    if (rc == 0 && fd < MAX_FD && now->of_fd[fd] != NONE) add_op(OP_SYNC, now->of_fd[fd]);
    return rc;
}

static int r_ftruncate(int fd, off_t size)
{
    int rc = now->real.ftruncate(fd, size);
    if (rc == 0) note_size(now->of_fd[fd], (uint64_t)size, false);
    return rc;
}

static int r_fallocate(int fd, int mode, off_t at, off_t size)
{
    int rc = now->real.fallocate(fd, mode, at, size);
    if (rc == 0) note_size(now->of_fd[fd], (uint64_t)(at + size), true);
    return rc;
}

static int r_rename(const char *from, const char *to)
{
    int moved = node_at(from), rc = now->real.rename(from, to);
    if (rc != 0) return rc;
    note_name(to, moved);
    note_name(from, NONE);
    return 0;
}

static int r_rename_new(const char *from, const char *to)
{
    int moved = node_at(from), rc = now->real.rename_new(from, to);
    if (rc != 0) return rc;
    note_name(to, moved);
    note_name(from, NONE);
    return 0;
}

static int r_rename_swap(const char *a, const char *b)
{
    int of_a = node_at(a), of_b = node_at(b), rc = now->real.rename_swap(a, b);
    if (rc != 0) return rc;
    note_name(a, of_b);
    note_name(b, of_a);
    return 0;
}

static int r_link(const char *from, const char *to)
{
    int rc = now->real.link(from, to);
    if (rc == 0) note_name(to, node_at(from));
    return rc;
}

static int r_unlink(const char *path)
{
    int rc = now->real.unlink(path);
    if (rc == 0) note_name(path, NONE);
    return rc;
}

static int r_rmdir(const char *path)
{
    int rc = now->real.rmdir(path);
    if (rc == 0) note_name(path, NONE);
    return rc;
}

static int r_mkdir(const char *path, mode_t mode)
{
    int rc = now->real.mkdir(path, mode);
    if (rc == 0) note_new(path);
    return rc;
}

recording *recording_begin(const char *folder)
{
    struct stat info;
    recording *r = must(calloc(1, sizeof *r));
    snprintf(r->folder, sizeof r->folder, "%s", folder);
    for (int i = 0; i < MAX_FD; i++) r->of_fd[i] = NONE;
    r->real = tm_sys;
    now = r;
    if (stat(folder, &info) != 0) abort();
    add_node(&info);
    tm_sys.open = r_open;
    tm_sys.close = r_close;
    tm_sys.write = r_write;
    tm_sys.pwrite = r_pwrite;
    tm_sys.fsync = tm_sys.fdatasync = r_sync;
    tm_sys.ftruncate = r_ftruncate;
    tm_sys.fallocate = r_fallocate;
    tm_sys.rename = r_rename;
    tm_sys.rename_new = r_rename_new;
    tm_sys.rename_swap = r_rename_swap;
    tm_sys.link = r_link;
    tm_sys.unlink = r_unlink;
    tm_sys.rmdir = r_rmdir;
    tm_sys.mkdir = r_mkdir;
    return r;
}

size_t recording_mark(const recording *r)
{
    return r->n_ops;
}

void recording_end(recording *r)
{
    tm_sys = r->real;
    now = NULL;
}

void recording_free(recording *r)
{
    for (size_t i = 0; i < r->n_ops; i++) free(r->ops[i].bytes);
    free(r->ops);
    free(r->nodes);
    free(r);
}

// --- After the power cut -----------------------------------------------------------------------------------
typedef struct replay {
    const recording *r;
    size_t count;
    uint64_t seed;
    size_t *floor;              // per node: operations before this one are on disk
    char (*made)[TM_PATH_MAX];  // per file node: the first path it was made at, or ""
} replay;

// Whether an operation that no sync covers reached the disk.
static bool lucky(const replay *p, size_t i)
{
    return p->seed && tm_random_below(p->seed, 1, i, 100) < p->seed % 4 * 33;
}

static bool on_disk(const replay *p, size_t i)
{
    return i < p->floor[p->r->ops[i].node] || lucky(p, i);
}

static tm_status make_file(replay *p, int of, const char *path, tm_error *err)
{
    if (p->made[of][0])
        return tm_sys.link(p->made[of], path) == 0 ? TM_OK : tm_fail_errno(err, "link %s", path);
    tm_buf bytes = {0};
    for (size_t i = 0; i < p->count; i++) {
        const op *o = &p->r->ops[i];
        if (o->node != of || o->kind == OP_NAME || o->kind == OP_SYNC || !on_disk(p, i)) continue;
        size_t need = o->kind == OP_DATA ? o->at + o->size : o->at;
        if (o->kind == OP_SIZE && !o->grow && need < bytes.size) bytes.size = need;
        while (bytes.size < need) tm_buf_char(&bytes, 0);
        if (o->kind == OP_DATA) memcpy(bytes.data + o->at, o->bytes, o->size);
    }
    tm_status status = tm_file_write(path, bytes.data, bytes.size, false, err);
    tm_buf_clear(&bytes);
    snprintf(p->made[of], sizeof *p->made, "%s", path);
    return status;
}

// Whether a later operation on the same name reached the disk too.
static bool outdone(const replay *p, size_t i)
{
    const op *o = &p->r->ops[i];
    for (size_t k = i + 1; k < p->count; k++) {
        const op *later = &p->r->ops[k];
        if (later->kind == OP_NAME && later->node == o->node && strcmp(later->name, o->name) == 0 &&
            on_disk(p, k))
            return true;
    }
    return false;
}

static tm_status make_folder(replay *p, int of, const char *path, int depth, tm_error *err)
{
    TM_TRY(tm_dir_make(path, err));
    for (size_t i = 0; i < p->count; i++) {
        const op *o = &p->r->ops[i];
        char inside[TM_PATH_MAX];
        if (o->kind != OP_NAME || o->node != of || o->target == NONE || !on_disk(p, i) || outdone(p, i))
            continue;
        TM_TRY(tm_path(inside, err, "%s/%s", path, o->name));
        if (!p->r->nodes[o->target].folder) TM_TRY(make_file(p, o->target, inside, err));
        else if (depth < 16) TM_TRY(make_folder(p, o->target, inside, depth + 1, err));
    }
    return TM_OK;
}

tm_status recording_replay(const recording *r, size_t count, uint64_t seed, const char *to, tm_error *err)
{
    replay p = {r, count, seed, must(calloc(r->n_nodes, sizeof(size_t))),
                must(calloc(r->n_nodes, TM_PATH_MAX))};
    for (size_t i = 0; i < count; i++)
        if (r->ops[i].kind == OP_SYNC) p.floor[r->ops[i].node] = i;
    tm_status status = make_folder(&p, 0, to, 0, err);
    free(p.floor);
    free(p.made);
    return status;
}
