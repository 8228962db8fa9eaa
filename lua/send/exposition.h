// SPDX-License-Identifier: Apache-2.0
// A run in Prometheus' text exposition format (version 0.0.4).
#pragma once

#include "lua/past/past.h"

#define TM_EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

void tm_exposition(const tm_past *past, tm_buf *text);
