// SPDX-License-Identifier: Apache-2.0
// Requirements on metrics: "dpo.pref.accuracy > base.pref.accuracy + 0.02 and text.loss <= 3".
//
//   requirement = both { "or" both }         both = comparison { "and" comparison }
//   comparison  = sum ("<" | ">" | "<=" | ">=" | "==") sum | "(" requirement ")"
//   sum         = product { ("+" | "-") product }
//   product     = factor { ("*" | "/") factor }
//   factor      = number | name | "-" factor | "(" sum ")"
//   name        = letters, digits, "_" and dots; anything else between ' ': 'lr=1e-4'.valid.loss
//
// A comparison with a value that is not finite (a metric that is not a number, a division by zero) never
// holds.
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_requirement tm_requirement;

// TM_EINVAL says what is wrong and behind which words.
tm_status tm_requirement_parse(const char *text, tm_requirement **requirement, tm_error *err);
void tm_requirement_free(tm_requirement *requirement);

// The names in it, each once, in the order of the text; NULL behind the last.
const char *tm_requirement_name(const tm_requirement *requirement, size_t i);

// Whether it holds when name i has values[i].
bool tm_requirement_holds(const tm_requirement *requirement, const double *values);
