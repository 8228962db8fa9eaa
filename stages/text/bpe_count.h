// SPDX-License-Identifier: Apache-2.0
// The inside of a counter, for the trainer.
#pragma once

#include "stages/text/bpe_strings.h"
#include "stages/text/bpe_train.h"

struct tm_bpe_counter {
    tm_pretokenizer pretokenizer;
    bool nfc;
    tm_strings pieces;
    uint64_t *counts;  // by number of the piece; those beyond pieces.n are 0
    size_t capacity;
    tm_buf normal;
};
