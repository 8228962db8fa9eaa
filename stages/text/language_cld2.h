// SPDX-License-Identifier: Apache-2.0
// The C face of CLD2, which is C++.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tm_cld2_answer {
    const char *code;  // a constant
    int percent;       // of the text
    int reliable;
    int n_bytes;
} tm_cld2_answer;

// `text` is valid UTF-8.
void tm_cld2_detect(const char *text, int size, tm_cld2_answer *answer);

// The code of language i (a constant; many have none, ""), or NULL behind the last.
const char *tm_cld2_code(int i);

#ifdef __cplusplus
}
#endif
