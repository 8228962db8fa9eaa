// SPDX-License-Identifier: Apache-2.0
// The entry that a fuzzer calls (llvm.org/docs/LibFuzzer.html); fuzz_replay.c calls it for the files of a
// corpus.
//
// Each fuzz_X.c is one program: `clang -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_X.c LIBRARIES`
// explores; the tests `fuzz-X` replay tests/fuzz/corpus/X and single-byte changes of it.
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
