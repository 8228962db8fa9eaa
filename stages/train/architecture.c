// SPDX-License-Identifier: Apache-2.0
// Values to shapes and schedules.
#include "stages/train/architecture.h"

static const tm_value *row_of(const json_t *value)
{
    const char *name = json_string_value(json_object_get(value, "$value"));
    return name ? tm_value_find(name) : NULL;
}

tm_status tm_architecture_config(const json_t *value, uint32_t vocab, int64_t eos, tm_model_config *config,
                                 tm_error *err)
{
    tm_architecture_options o = {0};
    const tm_value *row = row_of(value);
    if (!row) return tm_fail(err, TM_EINVAL, "the model is no architecture");
    TM_TRY(tm_options_fill(row->options, value, &o, err));
    *config = (tm_model_config){
        .family = tm_family_find(row->name), .layers = (uint32_t)o.layers, .width = (uint32_t)o.width,
        .heads = (uint32_t)o.heads, .kv_heads = (uint32_t)o.kv_heads, .ffn = (uint32_t)o.ffn, .vocab = vocab,
        .length = (uint32_t)o.length, .tie = o.tie, .norm_eps = o.norm_eps, .rope_theta = o.rope_theta,
        .init_std = o.init, .bos = -1, .eos = eos, .pad = eos,
    };
    return tm_model_config_complete(config, err);
}

tm_status tm_schedule_of(const json_t *value, double peak, uint64_t total, tm_schedule *schedule,
                         tm_error *err)
{
    *schedule = tm_schedule_default(peak, total);
    const tm_value *row = row_of(value);
    if (row) {
        tm_schedule_options o = {0};
        TM_TRY(tm_options_fill(row->options, value, &o, err));
        schedule->kind = tm_schedule_find(row->name);
        schedule->warmup = (uint64_t)o.warmup;
        schedule->decay = o.decay;
        schedule->floor = o.floor;
    }
    return tm_schedule_check(schedule, err);
}
