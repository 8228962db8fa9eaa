// SPDX-License-Identifier: Apache-2.0
// Chat templates: the part of Jinja that the templates of published models use, and nothing that acts.
//
// A template is text with statements, as models carry it in chat_template.jinja. It is read as transformers
// reads it (trim_blocks, lstrip_blocks, `generation` blocks, break and continue) and gives the same text, or
// an error: what is not known here is refused when the template is parsed, never guessed at. There is no
// attribute of anything but data, nothing can be changed but namespaces, and the clock stands still
// (strftime_now always says 26 July 2024).
//
// Templates are foreign: parsing bounds their size and nesting, rendering bounds steps, memory, depth and
// output (TM_TEMPLATE_*).
#pragma once

#include <jansson.h>

#include "engine/base/bytes.h"

#define TM_TEMPLATE_SOURCE (1 << 20)   // bytes of a template
#define TM_TEMPLATE_NESTING 100        // expressions and blocks inside each other
#define TM_TEMPLATE_STEPS 20000000     // of one rendering; long texts count too
#define TM_TEMPLATE_MEMORY (256 << 20) // bytes of one rendering
#define TM_TEMPLATE_OUTPUT (64 << 20)  // bytes that it gives

typedef struct tm_template tm_template; // immutable; threads may share it

// TM_EFORMAT names the line and what is wrong there; TM_EUNSUPPORTED what is Jinja but not known here.
tm_status tm_template_parse(tm_view source, tm_template **parsed, tm_error *err);
void tm_template_free(tm_template *parsed);
// Whether it marks what the assistant wrote, with `generation` blocks.
bool tm_template_marks(const tm_template *parsed);

typedef struct tm_template_span {
    size_t from, to; // bytes of the text
} tm_template_span;

typedef struct tm_rendering {
    tm_buf text;             // UTF-8
    tm_template_span *spans; // of generation blocks, in order
    size_t n_spans;
} tm_rendering;

// Renders with the members of the object `variables` (messages, tools, add_generation_prompt, bos_token ...).
// `rendering` starts zeroed or as an earlier call left it; clear it in any case. TM_EFAILED: the template
// refused (raise_exception) or a bound was met, in words; TM_ENOMEM.
tm_status tm_template_render(const tm_template *parsed, const json_t *variables, tm_rendering *rendering,
                             tm_error *err);
void tm_rendering_clear(tm_rendering *rendering);
