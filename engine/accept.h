// SPDX-License-Identifier: Apache-2.0
// Accepting: an earlier result of a node counts as that of its new stage version, because somebody says that
// the change is harmless. A key record binds the new key to the old artifacts and says what was accepted.
#pragma once

#include "engine/plan.h"

// Accept for a node of a plan the newest result that differs in nothing but the version of its stage and the
// libraries in its row; `what` says in which ("version 1 -> 2"). The inputs must be there. TM_DONE: it is
// cached already. TM_ENOENT: there is no such result, and why. Durable when it returns.
tm_status tm_accept(tm_plan *plan, const char *node, char *what, size_t size, tm_error *err);
