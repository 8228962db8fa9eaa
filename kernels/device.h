// SPDX-License-Identifier: Apache-2.0
// Where ops run: a device with its threads, its scratch memory and its table of entries.
//
// The CPU is one device with one pool. Which instruction set its ops use is settled when it is opened: the
// best of AVX-512, AVX2 and the baseline that the processor has, or at most what the environment variable
// TM_CPU names (`avx512`, `avx2`, `base`). Ops return nothing: what fails inside them (scratch memory alone
// can) is kept by the device and asked for with tm_device_status(), once a step.
#pragma once

#include "kernels/pool.h"
#include "kernels/tensor.h"

typedef struct tm_device tm_device;

// `threads` >= 1, the calling thread included. TM_EINVAL for a TM_CPU that names no instruction set.
tm_status tm_device_open_cpu(int threads, tm_device **device, tm_error *err);
void tm_device_close(tm_device *device);  // NULL is fine

// "cpu/avx512", "cpu/avx2", "cpu/base": what computes, for logs and for the record beside a result.
const char *tm_device_name(const tm_device *device);
tm_pool *tm_device_pool(tm_device *device);

// TM_OK, or the first failure since the device was opened.
tm_status tm_device_status(const tm_device *device, tm_error *err);

// Make room for `bytes` of scratch now. Without it the first step makes the room; the following ones find it.
tm_status tm_device_reserve(tm_device *device, size_t bytes, tm_error *err);

// For ops. Scratch is a stack: what is pushed last is popped first. 64-byte aligned; NULL when there is no
// memory, and then the device remembers it and the op returns without computing. Popping NULL does nothing.
void *tm_scratch_push(tm_device *device, size_t bytes);
void tm_scratch_pop(tm_device *device, void *memory);
