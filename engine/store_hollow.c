// SPDX-License-Identifier: Apache-2.0
// What a key record promises of the bytes of its artifacts.
#include "engine/store_hollow.h"

#include "engine/base/json.h"
#include "engine/store_artifact.h"
#include "engine/store_tree.h"

const json_t *tm_hollow_kept(const json_t *record, const char *port)
{
    return json_object_get(json_object_get(record, "kept"), port);
}

bool tm_hollow_has(const json_t *kept, tm_hash tree)
{
    char hex[TM_HASH_HEX];
    size_t i;
    json_t *one;
    tm_hash_hex(tree, hex);
    json_array_foreach ((json_t *)kept, i, one)
        if (json_is_string(one) && strcmp(json_string_value(one), hex) == 0) return true;
    return false;
}

static bool never_stored(const json_t *record, const char *port)
{
    size_t i;
    json_t *name;
    json_array_foreach (json_object_get(record, "hollow"), i, name)
        if (json_is_string(name) && strcmp(json_string_value(name), port) == 0) return true;
    return false;
}

static bool kept_complete(tm_store *store, tm_hash artifact, const json_t *kept)
{
    tm_artifact a;
    if (tm_artifact_get(store, artifact, &a, NULL) < 0) return false;
    bool all = true;
    for (size_t i = 0; i < a.count && all; i++) {
        if (tm_hollow_has(kept, a.entries[i].hash)) all = tm_tree_complete(store, a.entries[i].hash);
        else all = tm_store_has(store, a.entries[i].hash);
    }
    tm_artifact_clear(&a);
    return all;
}

bool tm_hollow_complete(tm_store *store, const tm_record *record, size_t port)
{
    json_t *doc;
    if (tm_artifact_complete(store, record->ports[port].artifact)) return true;
    if (tm_json_parse(tm_view_str(record->json), &doc, NULL) < 0) return false;
    const json_t *kept = tm_hollow_kept(doc, record->ports[port].name);
    bool complete = never_stored(doc, record->ports[port].name) ||
                    (kept && kept_complete(store, record->ports[port].artifact, kept));
    json_decref(doc);
    return complete;
}
