// SPDX-License-Identifier: Apache-2.0
// Keys: the canonical documents that name a node's work, and their hashes.
//
//   own      what the node does, whatever it is fed: stage, version, options that matter, values, identity of
//            files read, libraries and numerics that decide bytes
//   recipe   own + its inputs by recipe: known before anything runs; names leases and open logs
//   content  own + its inputs by hash: decides reuse
//   family   own without the options that only extend a run (steps): where a longer run looks for a prefix
//
// A document is JSON with sorted keys, compact; its hash is XXH3-128 of that text. The documents are kept in
// key records, so that a difference between two runs can be named field by field.
#pragma once

#include "engine/graph.h"

// New references; NULL without memory.
json_t *tm_key_own_doc(const tm_node *node);
json_t *tm_key_family_doc(const tm_node *node);
tm_hash tm_key_hash(const json_t *doc);
// The hash of an own or family document: of what counts in it (the places of functions do not).
tm_hash tm_key_own(const json_t *doc);

// One input in a document: {"out":..., "recipe"|"hash": hex, "select":...}; select only where it matters.
json_t *tm_key_input(const tm_link *link, const char *field, tm_hash hash);
// The document of recipe or content: {"own": hex, "inputs": {port: input}}.
tm_hash tm_key_with_inputs(tm_hash own, const json_t *inputs);

// The first difference between two own documents or two input documents, in words: `option threshold 0.8 ->
// 0.7`. False when there is none.
bool tm_key_difference(const json_t *before, const json_t *after, char *text, size_t size);
