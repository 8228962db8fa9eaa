// SPDX-License-Identifier: Apache-2.0
// The CPU device: its instruction set, and the stack of scratch memory.
#include "kernels/device_parts.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "engine/base/bytes.h"
#include "engine/base/machine.h"
#include "kernels/linear_form.h"

extern const tm_entries tm_entries_base;
extern tm_linear_form tm_linear_form_base(int64_t out);
#ifdef __x86_64__
extern const tm_entries tm_entries_avx2, tm_entries_avx512;
extern tm_linear_form tm_linear_form_avx2(int64_t out), tm_linear_form_avx512(int64_t out);
#endif

// Best first.
static const struct {
    const char *isa, *name;
    const tm_entries *entries;
    tm_linear_form (*form)(int64_t out);
} levels[] = {
#ifdef __x86_64__
    {"avx512", "cpu/avx512", &tm_entries_avx512, tm_linear_form_avx512},
    {"avx2", "cpu/avx2", &tm_entries_avx2, tm_linear_form_avx2},
#endif
    {"base", "cpu/base", &tm_entries_base, tm_linear_form_base},
};
enum { n_levels = sizeof levels / sizeof *levels };

static bool level_find(const char *isa, size_t *level)
{
    for (*level = 0; *level < n_levels; ++*level)
        if (strcmp(levels[*level].isa, isa) == 0) return true;
    return false;
}

bool tm_linear_form_of(const char *device, int64_t out, tm_linear_form *form)
{
    for (size_t i = 0; i < n_levels; i++) {
        if (strcmp(levels[i].name, device) != 0) continue;
        *form = levels[i].form(out);
        return true;
    }
    return false;
}

// The level of this processor, of which TM_CPU must name one.
static tm_status level_pick(size_t *level, tm_error *err)
{
    const char *limit = getenv("TM_CPU");
    bool known = !limit || !*limit || strcmp(limit, "avx512") == 0 || level_find(limit, level);
    if (!known) return tm_fail(err, TM_EINVAL, "TM_CPU is \"%s\"; it can be avx512, avx2 or base", limit);
    tm_assert(level_find(tm_machine_cpu(), level));
    return TM_OK;
}

tm_status tm_device_open_cpu(int threads, tm_device **device, tm_error *err)
{
    size_t level = 0;
    TM_TRY(level_pick(&level, err));
    tm_device *dev = tm_calloc(1, sizeof *dev);
    if (dev == NULL) return tm_fail(err, TM_ENOMEM, "no memory for a device");
    dev->entries = levels[level].entries;
    dev->name = levels[level].name;
    tm_status status = tm_pool_new(threads, &dev->pool, err);
    if (status < 0) {
        tm_free(dev);
        return status;
    }
    *device = dev;
    return TM_OK;
}

static void scratch_drop(tm_device *dev)
{
    tm_scratch_block *block = dev->scratch;
    dev->scratch = block->below;
    tm_free(block);
}

void tm_device_close(tm_device *dev)
{
    if (dev == NULL) return;
    while (dev->scratch != NULL) scratch_drop(dev);
    tm_pool_free(dev->pool);
    tm_free(dev);
}

const char *tm_device_name(const tm_device *dev)
{
    return dev->name;
}

tm_pool *tm_device_pool(tm_device *dev)
{
    return dev->pool;
}

tm_status tm_device_status(const tm_device *dev, tm_error *err)
{
    if (dev->failure.status < 0 && err != NULL) *err = dev->failure;
    return dev->failure.status;
}

// Each piece lies between its size (8 bytes before it) and the next multiple of 64.
enum { piece_head = 64 };

static size_t piece_bytes(size_t bytes)
{
    return piece_head + (bytes + 63) / 64 * 64;
}

static char *block_memory(tm_scratch_block *block)
{
    return (char *)(((uintptr_t)(block + 1) + 63) / 64 * 64);
}

// Ask for large pages: packed operands are read at strides that small ones make slow. Advice, so errors are
// none.
static void pages_enlarge(void *memory, size_t bytes)
{
    const size_t large = 2 << 20;
    uintptr_t first = ((uintptr_t)memory + large - 1) / large * large,
              last = ((uintptr_t)memory + bytes) / large * large;
    if (first < last) madvise((void *)first, last - first, MADV_HUGEPAGE);
}

static bool scratch_grow(tm_device *dev, size_t capacity)
{
    tm_scratch_block *block = tm_alloc(sizeof *block + 64 + capacity);
    if (block == NULL) {
        if (dev->failure.status == TM_OK)
            tm_fail(&dev->failure, TM_ENOMEM, "no memory for %zu bytes of scratch", capacity);
        return false;
    }
    pages_enlarge(block, sizeof *block + 64 + capacity);
    *block = (tm_scratch_block){.below = dev->scratch, .capacity = capacity};
    dev->scratch = block;
    return true;
}

// An empty stack becomes one block that holds the peak, so that later steps find room without asking.
static bool scratch_fit(tm_device *dev, size_t need)
{
    size_t capacity = need;
    if (dev->pushed == 0) {
        if (capacity < dev->peak) capacity = dev->peak;
        if (dev->scratch != NULL && dev->scratch->capacity >= capacity) return true;
        while (dev->scratch != NULL) scratch_drop(dev);
    }
    tm_scratch_block *top = dev->scratch;
    if (top != NULL && top->capacity - top->used >= need) return true;
    return scratch_grow(dev, capacity);
}

void *tm_scratch_push(tm_device *dev, size_t bytes)
{
    size_t need = piece_bytes(bytes);
    if (!scratch_fit(dev, need)) return NULL;
    tm_scratch_block *top = dev->scratch;
    char *piece = block_memory(top) + top->used + piece_head;
    memcpy(piece - 8, &need, 8);
    top->used += need;
    dev->pushed += need;
    if (dev->peak < dev->pushed) dev->peak = dev->pushed;
    return piece;
}

void tm_scratch_pop(tm_device *dev, void *memory)
{
    if (memory == NULL) return;
    size_t need;
    memcpy(&need, (char *)memory - 8, 8);
    tm_scratch_block *top = dev->scratch;
    tm_assert(block_memory(top) + top->used == (char *)memory - piece_head + need);
    top->used -= need;
    dev->pushed -= need;
    if (top->used == 0 && top->below != NULL) scratch_drop(dev);
}

tm_status tm_device_reserve(tm_device *dev, size_t bytes, tm_error *err)
{
    size_t need = piece_bytes(bytes);
    if (dev->peak < need) dev->peak = need;
    if (!scratch_fit(dev, need)) return tm_device_status(dev, err);
    return TM_OK;
}
