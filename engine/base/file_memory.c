// SPDX-License-Identifier: Apache-2.0
// Remembered hashes of files.
//
// "tidemill files 1" and a newline, u64 XXH3-64 of the rest, then { key[16] hash[16] u64 last used (ms) } per
// file; the key is the hash of what stat says. Little-endian.
#include "engine/base/file_memory.h"

#include <fcntl.h>
#include <stdlib.h>

#include "engine/base/hash_map.h"

enum { PIECE = 1 << 20, ENTRY = 40 };
static const char magic[] = "tidemill files 1\n";
enum { HEAD = sizeof magic - 1 + 8 };
// Times of files may be as coarse as this, and clocks of file servers differ by less.
#define RACY_MS 2500
#define DAY_MS 86400000

typedef struct known {
    tm_hash key, hash;
    int64_t used_ms;
} known;

struct tm_file_memory {
    char path[TM_PATH_MAX];
    known *files;
    size_t count, capacity;
    tm_hash_map places;  // key -> index
    bool news;
};

// ---- the table ----

static bool add(tm_file_memory *m, known file)
{
    uint64_t index;
    if (tm_hash_map_get(&m->places, file.key, &index)) {
        m->files[index] = file;
        return true;
    }
    if (m->count == m->capacity) {
        size_t capacity = m->capacity ? 2 * m->capacity : 256;
        known *grown = tm_realloc(m->files, capacity * sizeof *grown);
        if (!grown) return false;
        m->files = grown;
        m->capacity = capacity;
    }
    if (!tm_hash_map_put(&m->places, file.key, m->count)) return false;
    m->files[m->count++] = file;
    return true;
}

static bool decode(tm_file_memory *m, tm_view text)
{
    if (text.size < HEAD || memcmp(text.data, magic, sizeof magic - 1) != 0) return true;
    if ((text.size - HEAD) % ENTRY || (text.size - HEAD) / ENTRY > TM_FILE_MEMORY_MAX) return true;
    if (tm_hash64(text.data + HEAD, text.size - HEAD, 0) != tm_le64(text.data + HEAD - 8)) return true;
    for (size_t at = HEAD; at < text.size; at += ENTRY) {
        known file = {.used_ms = (int64_t)tm_le64(text.data + at + 32)};
        memcpy(file.key.bytes, text.data + at, 16);
        memcpy(file.hash.bytes, text.data + at + 16, 16);
        if (!add(m, file)) return false;
    }
    return true;
}

// ---- the file ----

tm_status tm_file_memory_open(const char *path, tm_file_memory **memory, tm_error *err)
{
    tm_buf text = {0};
    tm_file_memory *m = *memory = tm_calloc(1, sizeof *m);
    if (!m) return tm_fail(err, TM_ENOMEM, "no memory for the hashes of files");
    tm_status status = tm_path(m->path, err, "%s", path);
    bool there = status >= 0 && tm_file_read(path, &text, NULL) >= 0;
    if (there && !decode(m, tm_buf_view(&text)))
        status = tm_fail(err, TM_ENOMEM, "no memory for the hashes of files");
    tm_buf_clear(&text);
    if (status >= 0) return TM_OK;
    tm_file_memory_close(m);
    *memory = NULL;
    return status;
}

static int latest_first(const void *a, const void *b)
{
    int64_t x = ((const known *)a)->used_ms, y = ((const known *)b)->used_ms;
    return (x < y) - (x > y);
}

tm_status tm_file_memory_save(tm_file_memory *m, tm_error *err)
{
    tm_buf rest = {0}, text = {0};
    if (!m->news) return TM_OK;
    if (m->count > TM_FILE_MEMORY_MAX) {
        qsort(m->files, m->count, sizeof *m->files, latest_first);
        tm_hash_map_clear(&m->places);
        m->count = TM_FILE_MEMORY_MAX;
        for (size_t i = 0; i < m->count; i++) tm_hash_map_put(&m->places, m->files[i].key, i);
    }
    for (size_t i = 0; i < m->count; i++) {
        tm_buf_add(&rest, m->files[i].key.bytes, 16);
        tm_buf_add(&rest, m->files[i].hash.bytes, 16);
        tm_buf_le64(&rest, (uint64_t)m->files[i].used_ms);
    }
    tm_buf_add(&text, magic, sizeof magic - 1);
    tm_buf_le64(&text, tm_hash64(rest.data, rest.size, 0));
    tm_buf_add(&text, rest.data, rest.size);
    tm_status status = rest.failed ? tm_buf_status(&rest, err) : tm_buf_status(&text, err);
    if (status >= 0) status = tm_file_write(m->path, text.data, text.size, false, err);
    if (status >= 0) m->news = false;
    tm_buf_clear(&rest);
    tm_buf_clear(&text);
    return status;
}

void tm_file_memory_close(tm_file_memory *m)
{
    if (!m) return;
    tm_hash_map_clear(&m->places);
    tm_free(m->files);
    tm_free(m);
}

// ---- hashing ----

static tm_hash key_of(const struct stat *info)
{
    int64_t parts[] = {(int64_t)info->st_dev,         (int64_t)info->st_ino,
                       (int64_t)info->st_size,        (int64_t)info->st_mtim.tv_sec,
                       (int64_t)info->st_mtim.tv_nsec, (int64_t)info->st_ctim.tv_sec,
                       (int64_t)info->st_ctim.tv_nsec};
    return tm_hash_of(parts, sizeof parts);
}

static int64_t ms_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool recall(tm_file_memory *m, tm_hash key, tm_hash *hash)
{
    uint64_t index;
    if (!m || !tm_hash_map_get(&m->places, key, &index)) return false;
    int64_t now = tm_time_ms();
    m->news |= now - m->files[index].used_ms > DAY_MS;
    m->files[index].used_ms = now;
    *hash = m->files[index].hash;
    return true;
}

static tm_status read_all(int fd, const char *path, tm_hash *hash, tm_error *err)
{
    tm_hasher *hasher = tm_hasher_new();
    char *piece = tm_alloc(PIECE);
    tm_status status = hasher && piece ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory to hash %s", path);
    size_t got = PIECE;
    for (off_t at = 0; status >= 0 && got == PIECE; at += PIECE) {
        status = tm_fd_pread(fd, piece, PIECE, at, &got, path, err);
        if (status >= 0) tm_hasher_add(hasher, piece, got);
    }
    if (status >= 0) *hash = tm_hasher_end(hasher);
    if (hasher) tm_hasher_free(hasher);
    tm_free(piece);
    return status;
}

// Not a file that changed while it was read, nor one that was changed a moment ago.
static void remember(tm_file_memory *m, int fd, const struct stat *before, int64_t began_ms, tm_hash hash)
{
    struct stat after;
    int64_t mtime = ms_of(before->st_mtim), ctime = ms_of(before->st_ctim);
    if (!m || tm_sys.fstat(fd, &after) != 0) return;
    if (!tm_hash_eq(key_of(before), key_of(&after))) return;
    if ((mtime > ctime ? mtime : ctime) + RACY_MS >= began_ms) return;
    m->news |= add(m, (known){key_of(before), hash, tm_time_ms()});
}

tm_status tm_file_hash(const char *path, tm_file_memory *memory, tm_hash *hash, tm_error *err)
{
    int fd;
    struct stat info;
    int64_t began_ms = tm_time_ms();
    if (memory && tm_sys.stat(path, &info) == 0 && recall(memory, key_of(&info), hash)) return TM_OK;
    TM_TRY(tm_fd_open(path, O_RDONLY, 0, &fd, err));
    bool stated = tm_sys.fstat(fd, &info) == 0;
    tm_status status = read_all(fd, path, hash, err);
    if (status >= 0 && stated) remember(memory, fd, &info, began_ms, *hash);
    tm_sys.close(fd);
    return status;
}
