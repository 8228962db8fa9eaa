// SPDX-License-Identifier: Apache-2.0
// Memos of record-wise groups.
//
// Payload: input[16], then for every port u32 count { hash[16] u64 rows u64 bytes } * count.
#include "engine/memo.h"

#include "engine/store_impl.h"

enum { MAX_PORTS = 16, ENTRY = 32 };

struct tm_memo {
    tm_store *store;
    tm_ledger *ledger;
    size_t n_ports;
    tm_hash_map found;       // input -> index in results
    tm_memo_port **results;  // each: the ports, then their entries, in one allocation
    size_t count, capacity;
};

static bool count_entries(tm_view p, size_t n_ports, size_t *total)
{
    const char *at = p.data + 16, *end = p.data + p.size;
    *total = 0;
    for (size_t i = 0; i < n_ports; i++) {
        if (end - at < 4) return false;
        size_t n = tm_le32(at);
        at += 4;
        if (n > (size_t)(end - at) / ENTRY) return false;
        at += n * ENTRY;
        *total += n;
    }
    return at == end;
}

static tm_memo_port *decode(tm_view p, size_t n_ports, size_t total)
{
    tm_memo_port *ports = tm_alloc(n_ports * sizeof *ports + total * sizeof(tm_entry));
    if (!ports) return NULL;
    tm_entry *entry = (tm_entry *)(ports + n_ports);
    const char *at = p.data + 16;
    for (size_t i = 0; i < n_ports; i++) {
        ports[i] = (tm_memo_port){entry, tm_le32(at)};
        at += 4;
        for (size_t k = 0; k < ports[i].count; k++, entry++, at += ENTRY) {
            memcpy(entry->hash.bytes, at, 16);
            entry->rows = tm_le64(at + 16);
            entry->bytes = tm_le64(at + 24);
        }
    }
    return ports;
}

static bool room(tm_memo *memo)
{
    if (memo->count < memo->capacity) return true;
    size_t capacity = memo->capacity ? 2 * memo->capacity : 64;
    tm_memo_port **grown = tm_realloc(memo->results, capacity * sizeof *grown);
    if (!grown) return false;
    memo->results = grown;
    memo->capacity = capacity;
    return true;
}

static void clear(tm_memo *memo)
{
    for (size_t i = 0; i < memo->count; i++) tm_free(memo->results[i]);
    memo->count = 0;
    tm_hash_map_clear(&memo->found);
}

static tm_status take(tm_view payload, void *arg, tm_error *err)
{
    tm_memo *memo = arg;
    size_t total;
    if (!payload.data) {
        clear(memo);
        return TM_OK;
    }
    if (payload.size < 16 || !count_entries(payload, memo->n_ports, &total)) return TM_OK;
    tm_hash input;
    memcpy(input.bytes, payload.data, 16);
    tm_memo_port *ports = room(memo) ? decode(payload, memo->n_ports, total) : NULL;
    // An earlier result of the input stays allocated: somebody may have borrowed it.
    if (ports && tm_hash_map_put(&memo->found, input, memo->count)) {
        memo->results[memo->count++] = ports;
        return TM_OK;
    }
    tm_free(ports);
    return tm_fail(err, TM_ENOMEM, "out of memory for a memo of %zu results", memo->count);
}

tm_status tm_memo_open(tm_store *store, tm_hash group, size_t n_ports, tm_memo **memo, tm_error *err)
{
    char hex[TM_HASH_HEX], path[TM_PATH_MAX];
    *memo = NULL;
    tm_assert(n_ports <= MAX_PORTS);
    tm_hash_hex(group, hex);
    TM_TRY(tm_store_at(store, path, err, "memo/%s", hex));
    tm_memo *m = tm_calloc(1, sizeof *m);
    if (!m) return tm_fail(err, TM_ENOMEM, "out of memory opening a memo");
    m->store = store;
    m->n_ports = n_ports;
    tm_status status = tm_ledger_open(path, "memo", take, m, &m->ledger, err);
    if (status < 0) tm_memo_close(m);
    else *memo = m;
    return status;
}

void tm_memo_close(tm_memo *memo)
{
    if (!memo) return;
    clear(memo);
    tm_free(memo->results);
    tm_ledger_close(memo->ledger);
    tm_free(memo);
}

const tm_memo_port *tm_memo_find(tm_memo *memo, tm_hash input)
{
    uint64_t index;
    return tm_hash_map_get(&memo->found, input, &index) ? memo->results[index] : NULL;
}

static void encode(const tm_memo *memo, tm_hash input, const tm_memo_port *ports, tm_buf *out)
{
    tm_buf_add(out, input.bytes, 16);
    for (size_t i = 0; i < memo->n_ports; i++) {
        tm_buf_le32(out, (uint32_t)ports[i].count);
        for (size_t k = 0; k < ports[i].count; k++) {
            tm_buf_add(out, ports[i].entries[k].hash.bytes, 16);
            tm_buf_le64(out, ports[i].entries[k].rows);
            tm_buf_le64(out, ports[i].entries[k].bytes);
        }
    }
}

tm_status tm_memo_add(tm_memo *memo, tm_hash input, const tm_memo_port *ports, tm_error *err)
{
    tm_buf bytes = {0};
    TM_TRY(tm_store_writable(memo->store, err));
    encode(memo, input, ports, &bytes);
    tm_status status = tm_buf_status(&bytes, err);
    if (status == TM_OK) status = tm_ledger_append(memo->ledger, bytes.data, bytes.size, err);
    if (status == TM_OK) status = take(tm_buf_view(&bytes), memo, err);
    tm_buf_clear(&bytes);
    return status;
}

tm_status tm_memo_sync(tm_memo *memo, tm_error *err)
{
    return tm_ledger_sync(memo->ledger, err);
}

tm_status tm_memo_unsynced(tm_memo *memo, tm_unsynced *todo, tm_error *err)
{
    return tm_ledger_unsynced(memo->ledger, todo, err);
}

void tm_memo_synced(tm_memo *memo, tm_status outcome)
{
    tm_ledger_synced(memo->ledger, outcome);
}

size_t tm_memo_count(const tm_memo *memo)
{
    return memo->found.count;
}
