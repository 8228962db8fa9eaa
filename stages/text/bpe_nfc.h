// SPDX-License-Identifier: Apache-2.0
// NFC as the NFC normalizer of Hugging Face's tokenizers does it: Unicode 9. (Characters that got a combining
// class later stay where they are.) Bytes that are no UTF-8 are kept and separate what is around them.
#pragma once

#include "engine/base/bytes.h"

// Characters that NFC may change or move, or that may join the one before; sorted. No others below U+0300.
extern const uint32_t tm_nfc_ranges[][2];
extern const size_t tm_nfc_n_ranges;

bool tm_nfc_is_normal(tm_view text);  // quick, no false yes; a no is a maybe

// Append the normal form; linear in the text but for sorting the marks of one character (n log n).
tm_status tm_nfc_add(tm_view text, tm_buf *normal, tm_error *err);
