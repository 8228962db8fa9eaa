// SPDX-License-Identifier: Apache-2.0
// Architectures and tensors by both of their names; shared by the files of model_gguf.h.
#pragma once

#include "stages/format/gguf.h"
#include "stages/model/params.h"

typedef struct tm_gguf_arch {
    const char *name;    // general.architecture
    const char *family;  // ours
    bool interleaved;    // rows of q and k change places
} tm_gguf_arch;

const tm_gguf_arch *tm_gguf_arch_named(tm_view name);              // or NULL
const tm_gguf_arch *tm_gguf_arch_of(const tm_model_config *config);  // or NULL

#define TM_GGUF_ROPE "rope_freqs.weight"

// The name of a parameter in GGUF, "blk.3.attn_q.weight"; false if it has none.
bool tm_gguf_name(const char *param, char name[TM_GGUF_NAME]);

// Heads whose rows change places in this parameter; 0: rows stay.
uint32_t tm_gguf_heads(const tm_gguf_arch *arch, const tm_model_config *config, const char *param);

// The row of a GGUF tensor where row `row` of a parameter lies: `heads` heads of `head` rows.
static inline uint64_t tm_gguf_row(uint64_t row, uint64_t head)
{
    uint64_t in = row % head, half = head / 2;
    return row - in + (in < half ? 2 * in : 2 * (in - half) + 1);
}
