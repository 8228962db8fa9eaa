// SPDX-License-Identifier: Apache-2.0
// One call of CLD2.
#include "stages/text/language_cld2.h"

#include <cstdio>

#include <cld2/internal/lang_script.h>
#include <cld2/public/compact_lang_det.h>

void tm_cld2_detect(const char *text, int size, tm_cld2_answer *answer)
{
    CLD2::Language languages[3];
    int percents[3], n_bytes = 0;
    bool reliable = false;
    CLD2::ExtDetectLanguageSummary(text, size, true, languages, percents, &n_bytes, &reliable);
    bool known = languages[0] != CLD2::UNKNOWN_LANGUAGE;
    answer->code = known ? CLD2::LanguageCode(languages[0]) : "un";
    answer->percent = known ? percents[0] : 0;
    answer->reliable = reliable;
    answer->n_bytes = n_bytes;
}

const char *tm_cld2_code(int i)
{
    if (i < 0 || i >= CLD2::NUM_LANGUAGES) return nullptr;
    return CLD2::LanguageCode(static_cast<CLD2::Language>(i));
}
