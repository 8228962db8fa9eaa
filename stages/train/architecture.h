// SPDX-License-Identifier: Apache-2.0
// From values of a graph (tm.llama {...}, tm.wsd {...}, tm.lora {...}) to shapes, schedules and adapters.
#pragma once

#include "engine/stage.h"
#include "stages/model/adapter.h"
#include "stages/train/schedule.h"

typedef struct tm_architecture_options {
    int64_t layers, width, heads, kv_heads, ffn, length;
    bool tie;
    double rope_theta, norm_eps, init;
} tm_architecture_options;

typedef struct tm_schedule_options {
    int64_t warmup;
    double decay, floor;
} tm_schedule_options;

typedef struct tm_lora_options {
    int64_t rank;
    double alpha, dropout;
    tm_string_list targets;
    bool rslora;
} tm_lora_options;

// The shape that a value of family "architecture" describes, with a vocabulary and an end token (-1: none).
tm_status tm_architecture_config(const json_t *value, uint32_t vocab, int64_t eos, tm_model_config *config,
                                 tm_error *err);

// The schedule that a value of family "schedule" describes (NULL: the default, wsd).
tm_status tm_schedule_of(const json_t *value, double peak, uint64_t total, tm_schedule *schedule,
                         tm_error *err);

// The adapter that a value of family "adapter" describes.
tm_status tm_lora_of(const json_t *value, tm_lora *lora, tm_error *err);
