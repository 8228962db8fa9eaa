// SPDX-License-Identifier: Apache-2.0
// Key records: the ledger and its tables.
//
// Payload: u8 what, then for BOUND: own[16] recipe[16] content[16] u64 epoch u64 time_ms u32 n_ports u32 json
// bytes { name[24] artifact[16] } * n_ports json; for DROPPED: content[16].
#include "engine/store_key.h"

#include <sys/file.h>

#include "engine/store_impl.h"

enum { BOUND = 1, DROPPED = 2, HEAD = 1 + 3 * 16 + 8 + 8 + 4 + 4, PORT = 40 };

// --- Records as bytes --------------------------------------------------------------------------------------
static void encode(tm_buf *out, const tm_record *record)
{
    const char *json = record->json ? record->json : "{}";
    tm_buf_char(out, BOUND);
    tm_buf_add(out, record->own.bytes, 16);
    tm_buf_add(out, record->recipe.bytes, 16);
    tm_buf_add(out, record->content.bytes, 16);
    tm_buf_le64(out, record->epoch);
    tm_buf_le64(out, (uint64_t)record->time_ms);
    tm_buf_le32(out, (uint32_t)record->n_ports);
    tm_buf_le32(out, (uint32_t)strlen(json));
    for (size_t i = 0; i < record->n_ports; i++) {
        tm_buf_add(out, record->ports[i].name, sizeof record->ports[i].name);
        tm_buf_add(out, record->ports[i].artifact.bytes, 16);
    }
    tm_buf_str(out, json);
}

// NULL without memory, or (*bad) when the bytes are no record. One allocation holds it all.
static tm_key_node *decode(tm_view p, bool *bad)
{
    uint64_t n_ports = p.size >= HEAD ? tm_le32(p.data + 65) : 0;
    uint64_t n_json = p.size >= HEAD ? tm_le32(p.data + 69) : 0;
    *bad = p.size < HEAD || HEAD + n_ports * PORT + n_json != p.size;
    if (*bad) return NULL;
    tm_key_node *node = tm_alloc(sizeof *node + n_ports * sizeof *node->ports + n_json + 1);
    if (!node) return NULL;
    *node = (tm_key_node){0};
    node->ports = (tm_key_port *)(node + 1);
    node->json = (char *)(node->ports + n_ports);
    tm_record *r = &node->record;
    memcpy(r->own.bytes, p.data + 1, 16);
    memcpy(r->recipe.bytes, p.data + 17, 16);
    memcpy(r->content.bytes, p.data + 33, 16);
    r->epoch = tm_le64(p.data + 49);
    r->time_ms = (int64_t)tm_le64(p.data + 57);
    for (size_t i = 0; i < n_ports; i++) {
        const char *port = p.data + HEAD + i * PORT;
        memcpy(node->ports[i].name, port, sizeof node->ports[i].name);
        node->ports[i].name[sizeof node->ports[i].name - 1] = 0;
        memcpy(node->ports[i].artifact.bytes, port + 24, 16);
    }
    memcpy(node->json, p.data + p.size - n_json, n_json);
    node->json[n_json] = 0;
    r->ports = node->ports;
    r->n_ports = n_ports;
    r->json = node->json;
    return node;
}

// --- Tables ------------------------------------------------------------------------------------------------
static tm_key_node *look(const tm_keys *keys, const tm_hash_map *map, tm_hash key)
{
    uint64_t index;
    if (!tm_hash_map_get(map, key, &index)) return NULL;
    return keys->nodes[index];
}

static bool index_node(tm_keys *keys, size_t i)
{
    tm_key_node *node = keys->nodes[i];
    node->before = look(keys, &keys->by_own, node->record.own);
    return tm_hash_map_put(&keys->by_content, node->record.content, i) &&
           tm_hash_map_put(&keys->by_recipe, node->record.recipe, i) &&
           tm_hash_map_put(&keys->by_own, node->record.own, i);
}

static void clear_tables(tm_keys *keys)
{
    tm_hash_map_clear(&keys->by_content);
    tm_hash_map_clear(&keys->by_recipe);
    tm_hash_map_clear(&keys->by_own);
}

static void clear_nodes(tm_keys *keys)
{
    clear_tables(keys);
    for (size_t i = 0; i < keys->count; i++) tm_free(keys->nodes[i]);
    keys->generation += keys->count > 0;
    keys->count = 0;
}

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "out of memory for key records");
}

static tm_status index_all(tm_keys *keys, tm_error *err)
{
    clear_tables(keys);
    for (size_t i = 0; i < keys->count; i++)
        if (!index_node(keys, i)) return no_memory(err);
    return TM_OK;
}

// Takes the node, also when it fails.
static tm_status add_node(tm_keys *keys, tm_key_node *node, tm_error *err)
{
    if (keys->count == keys->capacity) {
        size_t capacity = keys->capacity ? 2 * keys->capacity : 64;
        tm_key_node **grown = tm_realloc(keys->nodes, capacity * sizeof *grown);
        if (!grown) {
            tm_free(node);
            return no_memory(err);
        }
        keys->nodes = grown;
        keys->capacity = capacity;
    }
    keys->nodes[keys->count++] = node;
    if (index_node(keys, keys->count - 1)) return TM_OK;
    tm_free(keys->nodes[--keys->count]);
    index_all(keys, NULL);
    return no_memory(err);
}

static tm_status drop_nodes(tm_keys *keys, tm_hash content, tm_error *err)
{
    size_t left = 0;
    for (size_t i = 0; i < keys->count; i++) {
        if (tm_hash_eq(keys->nodes[i]->record.content, content)) tm_free(keys->nodes[i]);
        else keys->nodes[left++] = keys->nodes[i];
    }
    if (left == keys->count) return TM_OK;
    keys->count = left;
    keys->generation++;
    return index_all(keys, err);
}

// --- Reading the ledger ------------------------------------------------------------------------------------
static tm_status take(tm_view payload, void *arg, tm_error *err)
{
    tm_keys *keys = arg;
    bool bad;
    if (!payload.data) {
        clear_nodes(keys);
        return TM_OK;
    }
    if (payload.size == 17 && payload.data[0] == DROPPED) {
        tm_hash content;
        memcpy(content.bytes, payload.data + 1, 16);
        return drop_nodes(keys, content, err);
    }
    if (payload.size == 0 || payload.data[0] != BOUND) return TM_OK;  // of a later version
    tm_key_node *node = decode(payload, &bad);
    if (bad) return TM_OK;
    return node ? add_node(keys, node, err) : no_memory(err);
}

tm_status tm_keys_open(tm_store *store, tm_error *err)
{
    char path[TM_PATH_MAX];
    TM_TRY(tm_store_at(store, path, err, "keys"));
    return tm_ledger_open(path, "keys", take, &store->keys, &store->keys.ledger, err);
}

void tm_keys_close(tm_store *store)
{
    clear_nodes(&store->keys);
    tm_free(store->keys.nodes);
    tm_ledger_close(store->keys.ledger);
}

tm_status tm_key_refresh(tm_store *store, tm_error *err)
{
    return store->keys.ledger ? tm_ledger_refresh(store->keys.ledger, err) : TM_OK;
}

// --- Binding -----------------------------------------------------------------------------------------------
static bool same_ports(const tm_record *a, const tm_record *b)
{
    if (a->n_ports != b->n_ports) return false;
    for (size_t i = 0; i < a->n_ports; i++)
        if (strncmp(a->ports[i].name, b->ports[i].name, sizeof a->ports[i].name) != 0 ||
            !tm_hash_eq(a->ports[i].artifact, b->ports[i].artifact))
            return false;
    return true;
}

static tm_status append(tm_keys *keys, const tm_record *record, tm_error *err)
{
    tm_buf bytes = {0};
    bool bad;
    encode(&bytes, record);
    tm_status status = tm_buf_status(&bytes, err);
    // In memory first: that is what can be taken back.
    tm_key_node *node = status == TM_OK ? decode(tm_buf_view(&bytes), &bad) : NULL;
    if (status == TM_OK && !node) status = no_memory(err);
    if (status == TM_OK) status = tm_ledger_append(keys->ledger, bytes.data, bytes.size, err);
    if (status == TM_OK) status = add_node(keys, node, err);
    else tm_free(node);
    tm_buf_clear(&bytes);
    return status;
}

static tm_status bind_locked(tm_store *store, const tm_record *record, bool replace, tm_bind_outcome *outcome,
                             tm_error *err)
{
    const tm_key_node *old = look(&store->keys, &store->keys.by_content, record->content);
    bool same = old && same_ports(&old->record, record);
    *outcome = !old ? TM_BIND_WON : same ? TM_BIND_SAME : TM_BIND_DIFFERENT;
    if (*outcome == TM_BIND_DIFFERENT && !replace) return TM_OK;
    bool alias =
        same && tm_hash_eq(old->record.recipe, record->recipe) && tm_hash_eq(old->record.own, record->own);
    return alias && !replace ? TM_OK : append(&store->keys, record, err);
}

tm_status tm_key_bind(tm_store *store, const tm_record *record, bool replace, tm_bind_outcome *outcome,
                      tm_error *err)
{
    tm_record r = *record;
    if (r.time_ms == 0) r.time_ms = tm_time_ms();
    TM_TRY(tm_store_writable(store, err));
    if (!store->keys.ledger) return tm_fail(err, TM_EINVAL, "the store was opened without its keys");
    int fd;
    TM_TRY(tm_store_enter(store, LOCK_SH, &fd, err));
    tm_status status = tm_ledger_lock(store->keys.ledger, err);
    if (status == TM_OK) {
        status = bind_locked(store, &r, replace, outcome, err);
        tm_ledger_unlock(store->keys.ledger);
    }
    tm_store_leave(fd);
    return status;
}

tm_status tm_key_drop(tm_store *store, tm_hash content, tm_error *err)
{
    char payload[17] = {DROPPED};
    tm_keys *keys = &store->keys;
    memcpy(payload + 1, content.bytes, 16);
    TM_TRY(tm_store_writable(store, err));
    if (!keys->ledger) return tm_fail(err, TM_EINVAL, "the store was opened without its keys");
    TM_TRY(tm_ledger_lock(keys->ledger, err));
    tm_status status = TM_OK;
    if (look(keys, &keys->by_content, content)) {
        status = tm_ledger_append(keys->ledger, payload, sizeof payload, err);
        if (status == TM_OK) status = drop_nodes(keys, content, err);
    }
    tm_ledger_unlock(keys->ledger);
    return status;
}

tm_status tm_keys_compact(tm_store *store, const bool *keep, tm_error *err)
{
    tm_keys *keys = &store->keys;
    tm_buf all = {0};
    size_t kept = 0;
    tm_view *payloads = tm_alloc(keys->count * sizeof *payloads);
    size_t *ends = tm_alloc(keys->count * sizeof *ends);
    tm_status status = payloads && ends ? TM_OK : no_memory(err);
    for (size_t i = 0; i < keys->count && status == TM_OK; i++) {
        if (!keep[i]) continue;
        encode(&all, &keys->nodes[i]->record);
        ends[kept++] = all.size;
    }
    if (status == TM_OK) status = tm_buf_status(&all, err);
    for (size_t i = 0, from = 0; i < kept && status == TM_OK; from = ends[i++])
        payloads[i] = tm_view_of(all.data + from, ends[i] - from);
    if (status == TM_OK) status = tm_ledger_replace(keys->ledger, payloads, kept, err);
    tm_buf_clear(&all);
    tm_free(payloads);
    tm_free(ends);
    if (status < 0) return status;
    size_t left = 0;
    for (size_t i = 0; i < keys->count; i++) {
        if (keep[i]) keys->nodes[left++] = keys->nodes[i];
        else tm_free(keys->nodes[i]);
    }
    keys->generation += left != keys->count;
    keys->count = left;
    return index_all(keys, err);
}

// --- Looking up --------------------------------------------------------------------------------------------
static const tm_record *record_of(const tm_key_node *node)
{
    return node ? &node->record : NULL;
}

const tm_record *tm_key_by_content(tm_store *store, tm_hash content)
{
    return record_of(look(&store->keys, &store->keys.by_content, content));
}

const tm_record *tm_key_by_recipe(tm_store *store, tm_hash recipe)
{
    return record_of(look(&store->keys, &store->keys.by_recipe, recipe));
}

const tm_record *tm_key_by_own(tm_store *store, tm_hash own)
{
    return record_of(look(&store->keys, &store->keys.by_own, own));
}

const tm_record *tm_key_before(tm_store *store, const tm_record *record)
{
    (void)store;
    return record_of(((const tm_key_node *)record)->before);  // the record is the node's first member
}

size_t tm_key_count(tm_store *store)
{
    return store->keys.count;
}

const tm_record *tm_key_at(tm_store *store, size_t index)
{
    return index < store->keys.count ? &store->keys.nodes[index]->record : NULL;
}
