// SPDX-License-Identifier: Apache-2.0
// Names and values of measures, for the table of one run and of two.
#pragma once

#include "lua/report/parts.h"

void tm_measure_cell(tm_buf *page, const tm_past_series *series);  // its last value, with its error
