// SPDX-License-Identifier: Apache-2.0
// Nodes that were given records and let none of them through.
#pragma once

#include "engine/plan.h"

// Records of an output as the store has them; -1: not known.
int64_t tm_emptied_rows(const tm_plan *plan, const tm_plan_node *p, int port);

// "none of 148 records came out (no_answer 148)", or NULL if p is no such node. `p` is canonical.
#define TM_EMPTIED_TEXT 200
const char *tm_emptied_text(const tm_plan *plan, const tm_plan_node *p, char text[TM_EMPTIED_TEXT]);

// The nearest such node that an empty input of this one comes from, or NULL.
const tm_plan_node *tm_emptied_before(const tm_plan *plan, const tm_node *node);

// Where one sees what became of the records: "x.removed" with `inspect`, or the node's log.
const char *tm_emptied_look(const tm_plan_node *p, const char *run, char text[256]);
