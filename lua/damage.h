// SPDX-License-Identifier: Apache-2.0
// Stored bytes that are damaged: found and set aside before a run needs them. The plan that is made then has
// them made again.
#pragma once

#include "engine/plan.h"

// Look at all bytes that the groups of a plan are going to read and at those that go to places people want;
// how many objects were damaged. What a run reads besides (memos, states of trainers) is not among them.
tm_status tm_damage_ahead(const tm_plan *plan, size_t *found, tm_error *err);
