// SPDX-License-Identifier: Apache-2.0
// Bounds the input and hands it to the C++ shim.
#include "stages/text/language.h"

#include <stdio.h>

#include "engine/base/utf8.h"
#include "stages/text/language_cld2.h"

#define MAX_BYTES (1u << 20)

void tm_language_detect(tm_view text, tm_language *language)
{
    *language = (tm_language){.code = "un"};
    if (text.size > MAX_BYTES) text.size = MAX_BYTES;
    text.size = tm_utf8_valid(text);
    if (!text.size) return;
    tm_cld2_answer answer;
    tm_cld2_detect(text.data, (int)text.size, &answer);
    if (!answer.percent) return;
    snprintf(language->code, sizeof language->code, "%s", answer.code);
    language->probability = answer.percent / 100.0;
    language->reliable = answer.reliable;
    language->n_bytes = (size_t)answer.n_bytes;
}

void tm_language_codes(const char *codes[TM_LANGUAGES])
{
    size_t n = 0;
    const char *code;
    for (int i = 0; n + 2 < TM_LANGUAGES && (code = tm_cld2_code(i)); i++)
        if (code[0] && strcmp(code, "un") != 0) codes[n++] = code;
    codes[n++] = "un";
    codes[n] = NULL;
}
