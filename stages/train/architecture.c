// SPDX-License-Identifier: Apache-2.0
// Values to shapes, schedules and adapters.
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

static tm_status targets_of(const tm_string_list *list, uint32_t *targets, tm_error *err)
{
    *targets = 0;
    for (size_t i = 0; i < list->n; i++) {
        int t = tm_lora_target_find(list->items[i]);
        if (strcmp(list->items[i], "all") == 0) *targets |= TM_LORA_ALL;
        else if (t >= 0) *targets |= 1u << t;
        else {
            tm_fail(err, TM_EINVAL, "a layer has no linear \"%.60s\"", list->items[i]);
            tm_hint(err, "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or \"all\"");
            return TM_EINVAL;
        }
    }
    return *targets ? TM_OK : tm_fail(err, TM_EINVAL, "targets names no linear");
}

tm_status tm_lora_of(const json_t *value, tm_lora *lora, tm_error *err)
{
    tm_lora_options o = {0};
    const tm_value *row = row_of(value);
    if (!row) return tm_fail(err, TM_EINVAL, "the adapter is no value");
    TM_TRY(tm_options_fill(row->options, value, &o, err));
    *lora = (tm_lora){
        .rank = (uint32_t)o.rank, .alpha = o.alpha, .dropout = o.dropout, .rslora = o.rslora};
    tm_status status = targets_of(&o.targets, &lora->targets, err);
    tm_options_clear(row->options, &o);
    return status;
}
