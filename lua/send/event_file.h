// SPDX-License-Identifier: Apache-2.0
// TensorBoard's event files: records of a length, the Event message and two masked CRC-32C sums.
//
// All functions add one record to `file`. Wall times are in seconds since 1970.
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"

void tm_event_head(tm_buf *file, double wall); // the first record of a file
void tm_event_scalar(tm_buf *file, double wall, int64_t step, const char *tag, double value);
void tm_event_text(tm_buf *file, double wall, const char *tag, const char *text);
// For the HPARAMS page: how a run began, with its parameters (name -> value), and how it ended.
void tm_event_began(tm_buf *file, double wall, const char *group, const json_t *params);
void tm_event_ended(tm_buf *file, double wall, bool good);

// "train.loss" is "train/loss" there, so that the page has a section `train`. Gives `tag`.
const char *tm_event_tag(const char *metric, char tag[128]);
