// SPDX-License-Identifier: Apache-2.0
// Marking: artifacts lead to entries, trees to files, records and cursors to what they name.
#include "engine/store_mark.h"

#include "engine/base/json.h"
#include "engine/store_artifact.h"
#include "engine/store_hollow.h"
#include "engine/store_tree.h"

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "out of memory marking what is reachable");
}

// Values in `marks`. An object that was not there when we came past may be there later, with all it leads to.
enum { TAKEN_BACK = 0, WALKED = 1, ABSENT = 2 };

static uint64_t mark_of(const tm_marks *m, tm_hash hash)
{
    uint64_t value = TAKEN_BACK;
    tm_hash_map_get(&m->table, hash, &value);
    return value;
}

bool tm_marked(const tm_marks *m, tm_hash hash)
{
    return mark_of(m, hash) != TAKEN_BACK;
}

struct tm_mark_was {
    tm_hash hash;
    uint64_t mark;
};

static tm_status note_trial(tm_marks *m, tm_hash hash, tm_error *err)
{
    if (m->n_trial == m->trial_capacity) {
        size_t capacity = m->trial_capacity ? 2 * m->trial_capacity : 256;
        struct tm_mark_was *grown = tm_realloc(m->trial, capacity * sizeof *grown);
        if (!grown) return no_memory(err);
        m->trial = grown;
        m->trial_capacity = capacity;
    }
    m->trial[m->n_trial++] = (struct tm_mark_was){hash, mark_of(m, hash)};
    return TM_OK;
}

// Mark with a value; the bytes of an object count once.
static tm_status set_mark(tm_marks *m, tm_hash hash, uint64_t value, tm_error *err)
{
    char path[TM_PATH_MAX];
    bool packed, first = !tm_marked(m, hash);
    struct stat info;
    if (m->on_trial) TM_TRY(note_trial(m, hash, err));
    if (!tm_hash_map_put(&m->table, hash, value)) return no_memory(err);
    if (first && m->counting && tm_object_find(m->store, hash, path, &packed, &info, NULL) == TM_OK)
        m->bytes += (uint64_t)info.st_size;
    return TM_OK;
}

// TM_AGAIN when it was marked before.
static tm_status mark(tm_marks *m, tm_hash hash, tm_error *err)
{
    return mark_of(m, hash) == WALKED ? TM_AGAIN : set_mark(m, hash, WALKED, err);
}

// What is missing or damaged leads nowhere; any other failure ends gc, because it would delete too much.
static bool leads_nowhere(tm_marks *m, tm_hash hash, tm_status status)
{
    if (status == TM_ENOENT || status == TM_ECORRUPT) tm_hash_map_put(&m->table, hash, ABSENT);  // has a slot
    return status == TM_ENOENT || status == TM_ECORRUPT || status == TM_EFORMAT;
}

static tm_status mark_tree(tm_marks *m, tm_hash hash, tm_error *err)
{
    tm_tree tree;
    tm_status status = mark(m, hash, err);
    if (status != TM_OK) return status < 0 ? status : TM_OK;
    status = tm_tree_get(m->store, hash, &tree, err);
    if (status < 0) return leads_nowhere(m, hash, status) ? TM_OK : status;
    for (size_t i = 0; i < tree.count && status >= 0; i++) status = mark(m, tree.files[i].hash, err);
    tm_tree_clear(&tree);
    return status < 0 ? status : TM_OK;
}

tm_status tm_mark_artifact(tm_marks *m, tm_hash hash, tm_error *err)
{
    tm_artifact a;
    tm_status status = mark(m, hash, err);
    if (status != TM_OK) return status < 0 ? status : TM_OK;
    status = tm_artifact_get(m->store, hash, &a, err);
    if (status < 0) return leads_nowhere(m, hash, status) ? TM_OK : status;
    for (size_t i = 0; i < a.count && status >= 0; i++)
        status = a.trees ? mark_tree(m, a.entries[i].hash, err) : mark(m, a.entries[i].hash, err);
    tm_artifact_clear(&a);
    return status < 0 ? status : TM_OK;
}

tm_status tm_mark_any(tm_marks *m, tm_hash hash, tm_error *err)
{
    tm_object_kind kind;
    if (mark_of(m, hash) == WALKED) return TM_OK;
    TM_TRY(tm_object_kind_of(m->store, hash, &kind, err));
    if (kind == TM_OBJECT_ARTIFACT) return tm_mark_artifact(m, hash, err);
    if (kind == TM_OBJECT_TREE) return mark_tree(m, hash, err);
    tm_status status = mark(m, hash, err);
    if (status >= 0 && kind == TM_OBJECT_ABSENT) tm_hash_map_put(&m->table, hash, ABSENT);
    return status < 0 ? status : TM_OK;
}

tm_status tm_mark_refs(tm_marks *m, const char *text, tm_error *err)
{
    if (!strstr(text, "\"refs\"")) return TM_OK;
    json_t *all, *ref;
    size_t i;
    tm_status status = tm_json_parse(tm_view_str(text), &all, err);
    if (status < 0) return status == TM_EFORMAT ? TM_OK : status;
    json_t *refs = json_object_get(all, "refs");
    json_array_foreach (refs, i, ref) {
        tm_hash hash;
        const char *hex = json_string_value(ref);
        if (hex && strlen(hex) == 32 && tm_hash_parse(hex, &hash)) status = tm_mark_any(m, hash, err);
        if (status < 0) break;
    }
    json_decref(all);
    return status;
}

// Marked, but not what it leads to; whoever leads to all of it walks it yet.
static tm_status mark_alone(tm_marks *m, tm_hash hash, tm_error *err)
{
    return tm_marked(m, hash) ? TM_OK : set_mark(m, hash, ABSENT, err);
}

// Of hollow entries the manifest stays.
static tm_status mark_kept(tm_marks *m, tm_hash artifact, const json_t *kept, tm_error *err)
{
    tm_artifact a;
    TM_TRY(mark_alone(m, artifact, err));
    tm_status status = tm_artifact_get(m->store, artifact, &a, err);
    if (status < 0) return leads_nowhere(m, artifact, status) ? TM_OK : status;
    for (size_t i = 0; i < a.count && status >= 0; i++)
        status = tm_hollow_has(kept, a.entries[i].hash) ? mark_tree(m, a.entries[i].hash, err)
                                                        : mark_alone(m, a.entries[i].hash, err);
    tm_artifact_clear(&a);
    return status < 0 ? status : TM_OK;
}

tm_status tm_mark_record(tm_marks *m, const tm_record *record, tm_error *err)
{
    json_t *doc = NULL;
    tm_status status = TM_OK;
    if (strstr(record->json, "\"kept\"")) status = tm_json_parse(tm_view_str(record->json), &doc, err);
    if (status < 0 && status != TM_EFORMAT) return status;
    status = TM_OK;
    for (size_t i = 0; i < record->n_ports && status >= 0; i++) {
        const json_t *kept = tm_hollow_kept(doc, record->ports[i].name);
        status = kept ? mark_kept(m, record->ports[i].artifact, kept, err)
                      : tm_mark_artifact(m, record->ports[i].artifact, err);
    }
    json_decref(doc);
    TM_TRY(status);
    return tm_mark_refs(m, record->json, err);
}

// What was marked since the trial began is as it was, the last change first.
static void take_back(tm_marks *m, uint64_t bytes)
{
    for (size_t i = m->n_trial; i-- > 0;)
        tm_hash_map_put(&m->table, m->trial[i].hash, m->trial[i].mark);  // has a slot
    m->bytes = bytes;
}

tm_status tm_mark_trial(tm_marks *m, const tm_record *record, uint64_t limit, bool *fits, tm_error *err)
{
    uint64_t before = m->bytes;
    m->on_trial = true;
    m->n_trial = 0;
    tm_status status = tm_mark_record(m, record, err);
    m->on_trial = false;
    *fits = m->bytes <= limit;
    if (!*fits && status >= 0) take_back(m, before);
    return status;
}

tm_status tm_mark_apart(tm_marks *m, const tm_record *const *records, size_t n, uint64_t *bytes,
                        tm_error *err)
{
    uint64_t before = m->bytes;
    tm_status status = TM_OK;
    m->on_trial = true;
    m->n_trial = 0;
    for (size_t i = 0; i < n && status >= 0; i++) {
        uint64_t already = m->bytes;
        status = tm_mark_record(m, records[i], err);
        bytes[i] = m->bytes - already;
    }
    m->on_trial = false;
    take_back(m, before);
    return status;
}

void tm_marks_clear(tm_marks *m)
{
    tm_hash_map_clear(&m->table);
    tm_free(m->trial);
    *m = (tm_marks){0};
}
