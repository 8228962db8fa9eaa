// SPDX-License-Identifier: Apache-2.0
// Conditions on runs: `valid.loss < 1.9 and status == done and not tag == old`.
//
//   or, and, not, parentheses     NAME         it has one
//   NAME < VALUE                  <  <=  >  >=  ==  !=      NAME ~ TEXT: it has TEXT in it
//
// NAME is that of a fact (fact.h), between ' ' if it has other signs than letters, digits and . _ - / in
// it. VALUE is another name where there is one, else a number (with `s`, `min`, `h`, `d`: seconds), a day
// (2026-11-21, 2026-11-21T17:00, today, yesterday), or text, with or without ' '. What a run does not have
// compares as false.
#pragma once

#include "lua/past/fact.h"

typedef struct tm_where tm_where;

// Errors show the place with a caret.
tm_status tm_where_parse(const char *text, tm_where **where, tm_error *err);
void tm_where_free(tm_where *where);
// Whether its names are among `names` (tm_fact_names of all runs), and what is a number in these runs is
// compared with one.
tm_status tm_where_check(const tm_where *where, const json_t *names, const tm_past *runs, size_t n_runs,
                         tm_error *err);
bool tm_where_holds(const tm_where *where, const tm_past *past);
// The i-th name in it, or NULL.
const char *tm_where_name(const tm_where *where, size_t i);
