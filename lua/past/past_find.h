// SPDX-License-Identifier: Apache-2.0
// The run that somebody means who names a node.
#pragma once

#include "lua/past/past.h"

// "r7:tuned", "baseline:tuned", or "tuned": then of `run` (a name as run_name.h has them), or without one of
// the latest run that has it; smoke runs have to be named. TM_ENOENT with the nearest name. *node belongs to
// the past.
tm_status tm_past_find_node(tm_store *store, const char *text, const char *run, tm_past *past,
                            const tm_past_node **node, tm_error *err);
// The error for a name that is no node of the run, or of any if that is NULL, with the nearest one there is.
tm_status tm_past_unknown_node(tm_store *store, const char *run, const char *node, tm_error *err);
// The error where no other run than a smoke run has what `text` names: what that made is nothing to use
// without knowing it.
tm_status tm_past_only_smoke(const char *run, const char *text, tm_error *err);
// The newest run before `like`, of the same graph and kind (smoke or not), that has the node; TM_ENOENT (and
// no text) if there is none.
tm_status tm_past_find_before(tm_store *store, const tm_past *like, const char *node, tm_past *past,
                              tm_error *err);
// The run before `now`, of any graph and the same kind, that has a node of this name and stage with the most
// equal options and nodes around it, of equally good ones the newest; TM_ENOENT (and no text) if there is
// none.
tm_status tm_past_find_like(tm_store *store, const tm_past *now, const tm_past_node *node, tm_past *past,
                            tm_error *err);
