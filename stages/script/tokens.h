// SPDX-License-Identifier: Apache-2.0
// The tokens of a Lua text: what is left of it when comments and layout are taken away.
//
// It reads texts that Lua itself has compiled, so it need not find mistakes; of any other text it makes some
// tokens and ends. (Lua 5.4 reference manual, section 3.1)
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_tokens {
    tm_view text;   // the whole
    size_t next;    // where to look from
    int next_line;
    tm_view token;  // the one at hand, as it is written
    size_t at;      // where it begins
    int line;       // and on which line, from 1
    int end_line;   // where it ends (long strings)
} tm_tokens;

// At the start of a file: behind a byte order mark and a first line that begins with '#'.
void tm_tokens_init(tm_tokens *tokens, tm_view text);
bool tm_tokens_next(tm_tokens *tokens);  // false at the end
static inline bool tm_token_is(const tm_tokens *tokens, const char *word)
{
    return tm_view_eq(tokens->token, tm_view_str(word));
}
