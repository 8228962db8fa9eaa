// SPDX-License-Identifier: Apache-2.0
// Finding the model in an archive, and unpacking it alone.
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>

#include "stages/format/archive.h"
#include "stages/model/source_parts.h"

#define BLOCK (1 << 20)

static const tm_archive_options limits = {.member_bytes = (uint64_t)1 << 40,
                                          .total_bytes = (uint64_t)1 << 41};

// What the members of an archive are to us.
typedef struct search {
    char chosen[1024]; // path of a GGUF file, or of a config.json
    tm_buf candidates; // for the error
    int n;
} search;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_gguf(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && strcasecmp(path + n - 5, ".gguf") == 0;
}

static void look_at(search *s, const tm_model_source *source, const char *path)
{
    if (!is_gguf(path) && strcmp(base_name(path), "config.json") != 0) return;
    if (source->match[0] && !tm_glob_match(source->match, path)) return;
    if (strlen(path) >= sizeof s->chosen) return;
    if (s->n++ == 0) snprintf(s->chosen, sizeof s->chosen, "%s", path);
    if (s->n <= 5) tm_buf_fmt(&s->candidates, "%s%s", s->n > 1 ? ", " : "", path);
}

static tm_status choose(const search *s, const tm_model_source *source, tm_error *err)
{
    if (s->n == 1) return TM_OK;
    if (s->n == 0) {
        tm_fail(err, TM_EINVAL, "%s holds no model%s%s", source->path,
                source->match[0] ? " that matches " : "", source->match);
        tm_hint(err, "a model is a folder with config.json, a GGUF file, or an archive with one of them");
        return TM_EINVAL;
    }
    tm_fail(err, TM_EINVAL, "%s holds %d models: %s%s", source->path, s->n,
            s->candidates.data ? s->candidates.data : "", s->n > 5 ? " ..." : "");
    tm_hint(err, "say which with match = \"%s\"", s->chosen);
    return TM_EINVAL;
}

static tm_status find_model(const tm_model_source *source, search *s, tm_error *err)
{
    tm_archive *archive;
    tm_member member;
    tm_status status;
    TM_TRY(tm_archive_open(&archive, source->path, &tm_files_disk, &limits, err));
    while ((status = tm_archive_next(archive, &member, err)) == TM_OK)
        if (member.packed) look_at(s, source, member.path);
    tm_archive_close(archive);
    TM_TRY(status);
    TM_TRY(tm_buf_status(&s->candidates, err));
    return choose(s, source, err);
}

// ---- unpacking

static tm_status write_member(tm_archive *archive, const char *path, char *block, tm_error *err)
{
    int fd;
    size_t got = 0;
    TM_TRY(tm_fd_open(path, O_WRONLY | O_CREAT | O_EXCL, 0644, &fd, err));
    tm_status status;
    do {
        status = tm_archive_read(archive, block, BLOCK, &got, err);
        if (status >= 0 && got) status = tm_fd_write(fd, block, got, path, err);
    } while (status >= 0 && got);
    tm_status closed = tm_fd_close(fd, path, status < 0 ? NULL : err);
    return status < 0 ? status : closed;
}

// The name that a member gets: of a GGUF model the one file, of a folder its files beside config.json.
static const char *name_of(const search *s, const char *path)
{
    const char *name = base_name(path), *chosen = base_name(s->chosen);
    if (is_gguf(s->chosen)) return strcmp(path, s->chosen) == 0 ? "model.gguf" : NULL;
    bool beside = name - path == chosen - s->chosen && memcmp(path, s->chosen, (size_t)(name - path)) == 0;
    return beside && tm_model_wants(name) ? name : NULL;
}

static tm_status unpack(const tm_model_source *source, const search *s, const char *scratch, char *block,
                        tm_error *err)
{
    tm_archive *archive;
    tm_member member;
    tm_status status;
    TM_TRY(tm_archive_open(&archive, source->path, &tm_files_disk, &limits, err));
    while ((status = tm_archive_next(archive, &member, err)) == TM_OK) {
        char path[TM_PATH_MAX];
        const char *name = name_of(s, member.path);
        if (!name) continue;
        status = tm_path(path, err, "%s/%s", scratch, name);
        if (status >= 0) status = write_member(archive, path, block, err);
        if (status < 0) break;
    }
    tm_archive_close(archive);
    return status < 0 ? status : TM_OK;
}

tm_status tm_model_unpack(const tm_model_source *source, const char *scratch, tm_model_source *found,
                          tm_error *err)
{
    search s = {0};
    char *block = tm_alloc(BLOCK);
    tm_status status = block ? find_model(source, &s, err) : tm_fail(err, TM_ENOMEM, "no memory to unpack");
    if (status >= 0) status = unpack(source, &s, scratch, block, err);
    tm_free(block);
    tm_buf_clear(&s.candidates);
    *found = (tm_model_source){.kind = is_gguf(s.chosen) ? TM_MODEL_GGUF : TM_MODEL_FOLDER};
    TM_TRY(status);
    return tm_path(found->path, err, "%s%s", scratch, is_gguf(s.chosen) ? "/model.gguf" : "");
}
