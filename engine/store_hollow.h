// SPDX-License-Identifier: Apache-2.0
// Hollow entries: snapshots whose bytes were not kept. Their hashes and manifests stay, so keys and
// selections are as before; what needs the bytes runs the producer again.
//
// A key record says with "kept": {PORT: [hash, ...]} which trees of a port's artifact are kept whole; without
// it all are. Of ports in its array "hollow" no bytes were ever stored.
#pragma once

#include <jansson.h>

#include "engine/store_key.h"

// The list of a port in a parsed record (borrowed), or NULL: all entries are kept.
const json_t *tm_hollow_kept(const json_t *record, const char *port);
bool tm_hollow_has(const json_t *kept, tm_hash tree);
// Whether the bytes that a record promises for its port number `port` are there.
bool tm_hollow_complete(tm_store *store, const tm_record *record, size_t port);
