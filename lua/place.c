// SPDX-License-Identifier: Apache-2.0
// Placing results in the file system.
#include "lua/place.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/io.h"
#include "engine/base/json.h"
#include "engine/store_artifact.h"
#include "engine/store_tree.h"
#include "lua/cli/json_text.h"

// Lines of JSON on their way to a file.
typedef struct out_file {
    int fd;
    const char *path;
    tm_buf lines;
} out_file;

static json_t *row_json(const tm_type *type, const tm_batch *batch, size_t row)
{
    json_t *record = json_object();
    for (size_t col = 0; col < type->n_cols; col++) {
        json_t *value = NULL;
        if (type->cols[col].kind == TM_COL_BYTES) {
            value = tm_json_from_text(tm_batch_get_bytes(batch, col, row));
        } else if (type->cols[col].kind == TM_COL_I64) {
            value = json_integer(tm_batch_get_i64(batch, col, row));
        } else if (type->cols[col].kind == TM_COL_F64) {
            double d = tm_batch_get_f64(batch, col, row);
            value = isfinite(d) ? json_real(d) : json_null();
        } else {
            size_t n;
            const uint32_t *ids = tm_batch_get_u32s(batch, col, row, &n);
            value = json_array();
            for (size_t i = 0; i < n; i++) json_array_append_new(value, json_integer(ids[i]));
        }
        json_object_set_new(record, type->cols[col].name, value);
    }
    return record;
}

// JSON of a record as the store has it goes out as it stands, behind the other columns: the members of what
// its text says, and its meta. Empty views: the record is right as it is.
static void put_record(const json_t *record, tm_view members, tm_view meta, tm_buf *lines)
{
    size_t before = lines->size;
    tm_json_text(record, lines);
    lines->failed |= lines->size < before + 2;
    if (lines->failed) return;
    lines->size--;  // the brace
    if (members.size) {
        tm_buf_char(lines, ',');
        tm_buf_add(lines, members.data + 1, members.size - 2);
    }
    if (meta.size) {
        tm_buf_str(lines, ",\"meta\":");
        tm_buf_add(lines, meta.data, meta.size);
    }
    tm_buf_str(lines, "}\n");
}

static bool is_object_on_a_line(tm_view text)
{
    if (!text.size || text.data[0] != '{' || memchr(text.data, '\n', text.size)) return false;
    json_t *json = json_loadb(text.data, text.size, JSON_DECODE_INT_AS_REAL, NULL);
    json_decref(json);
    return json != NULL;
}

// What to write besides the record, which then has it no more; empty if the record is right as it is.
static tm_view take(const tm_type *type, const tm_batch *batch, size_t row, size_t col, json_t *record)
{
    if (type != tm_type_find("documents")) return (tm_view){0};
    tm_view json = tm_batch_get_bytes(batch, col, row);
    if (!json.size && col == TM_DOC_META) json = tm_view_str("{}");
    if (!is_object_on_a_line(json)) return (tm_view){0};
    json_object_del(record, type->cols[col].name);
    return json;
}

static tm_status write_rows(const tm_place_logs *logs, const tm_batch *batch, out_file *file, tm_error *err)
{
    tm_buf_reset(&file->lines);
    for (size_t row = 0; row < tm_batch_rows(batch); row++) {
        json_t *record = row_json(logs->type, batch, row);
        tm_view text = {0}, meta = take(logs->type, batch, row, TM_DOC_META, record);
        if (logs->shape) text = take(logs->type, batch, row, TM_DOC_TEXT, record);
        put_record(record, text, meta, &file->lines);
        json_decref(record);
    }
    TM_TRY(tm_buf_status(&file->lines, err));
    return tm_fd_write(file->fd, file->lines.data, file->lines.size, file->path, err);
}

static tm_status write_lines(tm_store *store, const tm_place_logs *logs, const tm_artifact *log,
                             out_file *file, tm_error *err)
{
    const tm_type *type = logs->type;
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < log->count; i++) {
        tm_blob blob = {0};
        tm_batch *batch = NULL;
        status = tm_store_get(store, log->entries[i].hash, &blob, err);
        if (status >= 0)
            status = tm_batch_decode(tm_view_of(blob.data, blob.size), type->cols, type->n_cols, &batch, err);
        if (status >= 0) status = write_rows(logs, batch, file, err);
        tm_batch_unref(batch);
        tm_blob_clear(&blob);
    }
    return status;
}

static tm_status write_artifact(tm_store *store, const tm_place_logs *logs, size_t i, out_file *file,
                                tm_error *err)
{
    tm_artifact log = {0};
    TM_TRY(tm_artifact_get(store, logs->artifacts[i], &log, err));
    tm_status status = write_lines(store, logs, &log, file, err);
    tm_artifact_clear(&log);
    return status;
}

tm_status tm_place_print(tm_store *store, const tm_place_logs *logs, int fd, const char *name, tm_error *err)
{
    out_file file = {.fd = fd, .path = name};
    tm_status status = TM_OK;
    for (size_t i = 0; i < logs->n && status >= 0; i++) status = write_artifact(store, logs, i, &file, err);
    tm_buf_clear(&file.lines);
    return status;
}

tm_status tm_place_lines(tm_store *store, const tm_place_logs *logs, const char *path, bool replace,
                         tm_error *err)
{
    char part[TM_PATH_MAX];
    if (!replace && tm_file_exists(path))
        return tm_fail_as(err, TM_EEXIST, "TM0306", "%s is there already", path);
    TM_TRY(tm_path(part, err, "%s.%016llx.tmp", path, (unsigned long long)tm_time_ns()));
    int fd;
    TM_TRY(tm_fd_open(part, O_WRONLY | O_CREAT | O_EXCL, 0666, &fd, err));
    tm_status status = tm_place_print(store, logs, fd, part, err);
    tm_status closed = tm_fd_close(fd, part, status >= 0 ? err : NULL);
    if (status >= 0) status = closed;
    if (status >= 0 && tm_sys.rename(part, path)) status = tm_fail_errno(err, "%s", path);
    if (status < 0) tm_sys.unlink(part);
    return status;
}

const char *tm_place_shape(const json_t *node, const char *port)
{
    const json_t *attributes = json_object_get(json_object_get(node, "attributes"), port);
    return json_string_value(json_object_get(attributes, "shape"));
}

// ---- places of the graph ----

// The store remembers where it placed what: its file `placed` has a line with the path and one with the
// artifact each time.
static tm_status list_path(const tm_plan *plan, char path[TM_PATH_MAX], tm_error *err)
{
    return tm_path(path, err, "%s/placed", tm_store_folder(plan->store));
}

static tm_status placed_before(const tm_plan *plan, const char *path, bool *before, tm_hash *last,
                               tm_error *err)
{
    char list[TM_PATH_MAX];
    tm_buf text = {0}, line = {0};
    TM_TRY(list_path(plan, list, err));
    if (tm_file_read(list, &text, NULL) < 0) tm_buf_reset(&text);
    tm_buf_fmt(&line, "\n%s\n", path);
    *before = false;
    *last = (tm_hash){{0}};
    const char *at = text.size && line.data ? text.data : NULL;
    while (at && (at = strstr(at, line.data))) {
        *before = true;
        at += line.size;
        if (!tm_hash_parse(at, last)) *last = (tm_hash){{0}};
        at--;  // the next one may begin with this line's end
    }
    tm_buf_clear(&line);
    tm_buf_clear(&text);
    return TM_OK;
}

static tm_status note_placed(const tm_plan *plan, const char *path, tm_hash artifact, tm_error *err)
{
    char list[TM_PATH_MAX], hex[TM_HASH_HEX];
    tm_buf text = {0};
    TM_TRY(list_path(plan, list, err));
    if (tm_file_read(list, &text, NULL) < 0) tm_buf_reset(&text);
    tm_hash_hex(artifact, hex);
    tm_buf_fmt(&text, "\n%s\n%s\n", path, hex);
    tm_status status = tm_buf_status(&text, err);
    if (status >= 0) status = tm_file_write(list, text.data, text.size, true, err);
    tm_buf_clear(&text);
    return status;
}

static bool last_tree(tm_store *store, tm_hash artifact, tm_tree *tree)
{
    tm_artifact log = {0};
    bool found = !tm_hash_none(artifact) && tm_artifact_get(store, artifact, &log, NULL) >= 0 && log.count &&
                 tm_tree_get(store, log.entries[log.count - 1].hash, tree, NULL) >= 0;
    tm_artifact_clear(&log);
    return found;
}

static bool has_name(const tm_tree *tree, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < tree->count; i++)
        if (strncmp(tree->files[i].name, name, n) == 0 && strchr("/", tree->files[i].name[n])) return true;
    return false;
}

// What people added to a folder since it was placed is theirs: it would be lost with the old folder.
static tm_status refuse_strangers(tm_store *store, const char *path, const tm_hash artifacts[2],
                                  tm_error *err)
{
    tm_tree trees[2] = {0};
    tm_names names = {0};
    for (int i = 0; i < 2; i++)
        if (!last_tree(store, artifacts[i], &trees[i])) trees[i] = (tm_tree){0};
    tm_status status = tm_dir_list(path, &names, err);
    for (size_t i = 0; status >= 0 && i < names.count; i++)
        if (!has_name(&trees[0], names.names[i]) && !has_name(&trees[1], names.names[i])) {
            status = tm_fail(err, TM_EEXIST, "%s/%s was not put there by this store, and would be lost", path,
                             names.names[i]);
            tm_hint(err, "move it elsewhere: the folder is exchanged as a whole");
        }
    tm_names_clear(&names);
    for (int i = 0; i < 2; i++) tm_tree_clear(&trees[i]);
    return status;
}

static tm_status refuse_place(const tm_plan_node *p, const char *path, tm_error *err)
{
    tm_fail(err, TM_EEXIST,
            "%s: `to` names something that is there already and was not put there by this store", path);
    tm_hint(err, "remove %s, or choose another place for %s", path, p->node->name);
    return TM_EEXIST;
}

// The last snapshot as a folder; documents, tokens or metrics as JSON lines.
static tm_status place_output(tm_store *store, const tm_plan_node *p, const char *path, tm_error *err)
{
    const tm_type *type = tm_type_find(p->node->stage->outputs[0].type);
    const char *shape = json_string_value(json_object_get(p->node->attrs[0], "shape"));
    tm_artifact log = {0};
    if (!type->tree)
        return tm_place_lines(store, &(tm_place_logs){type, shape, &p->outputs[0], 1}, path, true, err);
    TM_TRY(tm_artifact_get(store, p->outputs[0], &log, err));
    tm_status status = TM_OK;
    if (!log.count) status = tm_fail(err, TM_ENOENT, "the log has no snapshot");
    else status = tm_tree_place(store, log.entries[log.count - 1].hash, path, TM_PLACE_REPLACE, err);
    tm_artifact_clear(&log);
    return status;
}

static tm_status place_at(const tm_plan *plan, const tm_plan_node *p, const char *path, tm_error *err)
{
    bool before;
    tm_hash both[2] = {p->outputs[0]};
    TM_TRY(placed_before(plan, path, &before, &both[1], err));
    if (!before && tm_file_exists(path) && tm_sys.rmdir(path) != 0) return refuse_place(p, path, err);
    const tm_type *type = tm_type_find(p->node->stage->outputs[0].type);
    if (before && type->tree && tm_file_exists(path)) TM_TRY(refuse_strangers(plan->store, path, both, err));
    TM_TRY(place_output(plan->store, p, path, err));
    return tm_hash_eq(both[0], both[1]) ? TM_OK : note_placed(plan, path, p->outputs[0], err);
}

static tm_status path_of(const tm_plan *plan, const char *to, char path[TM_PATH_MAX], tm_error *err)
{
    bool whole = to[0] == '/';
    return tm_path(path, err, "%s%s%s", whole ? "" : plan->graph->folder, whole ? "" : "/", to);
}

static tm_status place_node(const tm_plan *plan, const tm_plan_node *p, const char *to, json_t *placed,
                            tm_error *err)
{
    char path[TM_PATH_MAX], parent[TM_PATH_MAX];
    TM_TRY(path_of(plan, to, path, err));
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) {
        *slash = 0;
        if (tm_dir_make(parent, err) < 0) return tm_error_prefix(err, "%s", p->node->name);
    }
    if (place_at(plan, p, path, err) < 0) return tm_error_prefix(err, "%s", p->node->name);
    char *real = realpath(path, NULL);
    json_array_append_new(placed, json_pack("{s:s, s:s}", "node", p->node->name, "path", real ? real : path));
    free(real);
    return TM_OK;
}

tm_status tm_place_all(const tm_plan *plan, json_t *placed, tm_error *err)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = tm_plan_canonical(plan, plan->graph->nodes[i]);
        const char *to = tm_node_place(plan->graph->nodes[i]);
        if (p->wanted && p->known && to && to[0]) TM_TRY(place_node(plan, p, to, placed, err));
    }
    return TM_OK;
}

static bool is_empty_folder(const char *path)
{
    tm_names names = {0};
    bool empty = tm_dir_list(path, &names, NULL) >= 0 && names.count == 0;
    tm_names_clear(&names);
    return empty;
}

// Before the result is there: strangers to what lies in the folder now, as far as that is known.
static tm_status known_strangers(tm_store *store, const tm_plan_node *p, const char *path, tm_hash last,
                                 tm_error *err)
{
    tm_hash both[2] = {p->known ? p->outputs[0] : last, last};
    tm_tree tree = {0};
    bool folder = tm_type_find(p->node->stage->outputs[0].type)->tree && last_tree(store, last, &tree);
    tm_tree_clear(&tree);
    return folder ? refuse_strangers(store, path, both, err) : TM_OK;
}

// Whether the folder that there is on the way to a path may be written: what is made goes beside it at first.
static tm_status check_writable(const char *path, tm_error *err)
{
    char folder[TM_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash; (slash = strrchr(folder, '/')) && slash != folder;) {
        *slash = 0;
        if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0) return TM_OK;
        if (errno != ENOENT) return tm_fail_errno(err, "cannot write into %s", folder);
    }
    return TM_OK;
}

static tm_status check_node(const tm_plan *plan, const tm_plan_node *p, const char *to, tm_error *err)
{
    char path[TM_PATH_MAX];
    bool before = false;
    tm_hash last;
    TM_TRY(path_of(plan, to, path, err));
    if (!tm_file_exists(path)) return check_writable(path, err);
    if (is_empty_folder(path)) return TM_OK;
    if (plan->store) TM_TRY(placed_before(plan, path, &before, &last, err));
    if (!before) return refuse_place(p, path, err);
    return known_strangers(plan->store, p, path, last, err);
}

tm_status tm_place_check(const tm_plan *plan, tm_error *err)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = tm_plan_canonical(plan, plan->graph->nodes[i]);
        const char *to = tm_node_place(plan->graph->nodes[i]);
        if (p->wanted && to && to[0] && check_node(plan, p, to, err) < 0)
            return tm_error_prefix(err, "%s", p->node->name);
    }
    return TM_OK;
}
