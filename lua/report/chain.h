// SPDX-License-Identifier: Apache-2.0
// A curate chain in a run: its steps in order, and how many documents came through each.
#pragma once

#include "lua/report/parts.h"

#define TM_CHAIN_MOST 32

typedef struct tm_chain {
    const tm_past_node *steps[TM_CHAIN_MOST];  // the last is called as the chain
    int64_t in[TM_CHAIN_MOST], kept[TM_CHAIN_MOST], removed[TM_CHAIN_MOST];
    size_t n;
    int64_t all;  // documents that came in
} tm_chain;

// Whether `end` is the end of a chain, or a single step that set documents aside, and its counts are known.
// Code that the graph brings is no chain by itself: what it gives need not be what it was given.
bool tm_chain_find(const tm_past *past, const tm_past_node *end, tm_chain *chain);
