// SPDX-License-Identifier: Apache-2.0
// Forward and backward of an adapter.
#include "stages/model/adapter_pass.h"

#include "engine/base/random.h"

// The first part of the group that is there: its A begins those of the group. NULL: none is.
static const tm_adapter_part *first_part(const tm_adapter_call *c)
{
    for (tm_lora_target t = tm_lora_group_first(c->group); t < tm_lora_group_end(c->group); t++) {
        const tm_adapter_part *part = &c->adapter->parts[c->layer][t];
        if (part->rank) return part;
    }
    return NULL;
}

static void drop(tm_device *dev, const tm_adapter_call *c, tm_mat y, tm_mat x)
{
    uint64_t stream = tm_mix64(c->noise.draw) + c->layer * TM_LORA_GROUPS + c->group;
    tm_dropout(dev, y, x, c->noise.rate, c->noise.seed, stream);
}

// The input as the adapter sees it.
static tm_mat input(tm_device *dev, const tm_adapter_call *c)
{
    if (c->noise.rate == 0) return c->x;
    drop(dev, c, c->room, c->x);
    return c->room;
}

void tm_adapter_forward(tm_device *dev, const tm_adapter_call *c, tm_mat y)
{
    const tm_adapter_part *first = first_part(c);
    int64_t column = 0;
    if (!first) return;
    tm_weight a = tm_weight_f32(c->adapter->params + first->a, c->h.cols, first->in);
    tm_linear(dev, c->h, input(dev, c), a, NULL, 1, TM_SET);
    for (tm_lora_target t = tm_lora_group_first(c->group); t < tm_lora_group_end(c->group); t++) {
        const tm_adapter_part *part = &c->adapter->parts[c->layer][t];
        if (!part->rank) continue;
        tm_weight b = tm_weight_f32(c->adapter->params + part->b, part->out, part->rank);
        tm_linear(dev, tm_mat_cols(y, part->column, part->out), tm_mat_cols(c->h, column, part->rank), b,
                  NULL, tm_adapter_scale(c->adapter, part), TM_ADD);
        column += part->rank;
    }
}

// dx += the gradient of the adapter's input, through the dropout.
static void input_grad(tm_device *dev, const tm_adapter_call *c, tm_mat dx, tm_mat dh, tm_weight a)
{
    if (!dx.data) return;
    if (c->noise.rate == 0) {
        tm_linear_grad_x(dev, dx, dh, a, 1, TM_ADD);
        return;
    }
    tm_linear_grad_x(dev, c->room, dh, a, 1, TM_SET);
    drop(dev, c, c->room, c->room);
    tm_add(dev, dx, dx, c->room);
}

void tm_adapter_backward(tm_device *dev, const tm_adapter_call *c, float *grads, tm_mat dx, tm_mat dy,
                         tm_mat dh)
{
    const tm_adapter_part *first = first_part(c);
    int64_t column = 0;
    if (!first) return;
    for (tm_lora_target t = tm_lora_group_first(c->group); t < tm_lora_group_end(c->group); t++) {
        const tm_adapter_part *part = &c->adapter->parts[c->layer][t];
        if (!part->rank) continue;
        float scale = tm_adapter_scale(c->adapter, part);
        tm_mat d_out = tm_mat_cols(dy, part->column, part->out);
        tm_weight b = tm_weight_f32(c->adapter->params + part->b, part->out, part->rank);
        tm_linear_grad_x(dev, tm_mat_cols(dh, column, part->rank), d_out, b, scale, TM_SET);
        tm_linear_grad_w(dev, tm_mat_of(grads + part->b, part->out, part->rank), d_out,
                         tm_mat_cols(c->h, column, part->rank), scale);
        column += part->rank;
    }
    tm_linear_grad_w(dev, tm_mat_of(grads + first->a, dh.cols, first->in), dh, input(dev, c), 1);
    input_grad(dev, c, dx, dh, tm_weight_f32(c->adapter->params + first->a, dh.cols, first->in));
}
