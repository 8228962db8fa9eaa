// SPDX-License-Identifier: Apache-2.0
// Repairs Unicode text that went through the wrong decoder, as ftfy does (Speer 2019, ftfy, zenodo.2591652).
//
// Mojibake (UTF-8 read as windows-1252, Latin-1 and eight other single-byte sets, several times over, in
// whole lines or in parts) is decoded again when a line holds sequences of characters that hardly occur in
// real text. Then entities, C1 controls, surrogates, terminal escapes and control characters are repaired or
// removed. Lines are repaired one by one. Unlike ftfy, layers are undone at most sixteen deep, and bytes that
// are no UTF-8 become U+FFFD (surrogates in UTF-8 are read as surrogates and joined).
#pragma once

#include "engine/base/bytes.h"

typedef enum { TM_UNESCAPE_NEVER, TM_UNESCAPE_AUTO, TM_UNESCAPE_ALWAYS } tm_unescape;
typedef enum { TM_NORMAL_NONE, TM_NORMAL_NFC, TM_NORMAL_NFKC } tm_normal_form;

typedef struct tm_unicode_options {
    tm_unescape unescape_html; // AUTO: until the first line with a `<`
    bool fix_encoding;         // mojibake; with it also C1 controls in lines that hold any
    bool fix_c1_controls;      // U+0080-U+009F as windows-1252 would have them
    bool fix_latin_ligatures;  // U+FB01 to "fi"
    bool fix_character_width;  // full-width Latin and half-width Katakana
    bool uncurl_quotes;
    bool fix_line_breaks; // CRLF, CR, U+2028, U+2029, U+0085 to a line end
    bool fix_surrogates;
    bool remove_terminal_escapes;
    bool remove_control_chars;
    tm_normal_form normalization;
} tm_unicode_options;

// What NeMo Curator's UnicodeReformatter does: everything but ligatures, width, quotes, line breaks,
// normalization.
extern const tm_unicode_options tm_unicode_defaults;

typedef struct tm_unicode tm_unicode; // tables and memory for one thread

tm_unicode *
tm_unicode_new(const tm_unicode_options *options); // NULL options: the defaults; NULL without memory
void tm_unicode_free(tm_unicode *unicode);

// Appends the repaired text to `out` (valid UTF-8); *changed (may be NULL) is whether it differs from the
// input.
tm_status tm_unicode_fix(tm_unicode *unicode, tm_view text, tm_buf *out, bool *changed, tm_error *err);
