// SPDX-License-Identifier: Apache-2.0
// Matrices in 16 bits, where that loses nothing.
#include <sys/mman.h>
#include <unistd.h>

#include "stages/model/model.h"

static bool fits(const float *values, size_t n)
{
    uint32_t lost = 0;
    for (size_t i = 0; i < n; i++) lost |= tm_le32(values + i) & 0xffff;
    return lost == 0;
}

// Give the whole pages of the matrices back to the system; the vectors behind them stay.
static void give_back(float *values, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)values + page - 1) / page * page, to = (uintptr_t)(values + n) / page * page;
    if (to > from) madvise((void *)from, to - from, MADV_DONTNEED);
}

tm_status tm_model_halve(tm_model *m, tm_error *err)
{
    size_t n = m->map.n_matrix;
    if (m->half || m->adapter || !fits(m->params, n)) return TM_OK;
    m->half = tm_alloc(n * sizeof *m->half);
    if (!m->half) return tm_fail(err, TM_ENOMEM, "no memory for %zu bytes of weights", n * sizeof *m->half);
    for (size_t i = 0; i < n; i++) m->half[i] = tm_bf16_of(m->params[i]);
    give_back(m->params, n);
    return TM_OK;
}
