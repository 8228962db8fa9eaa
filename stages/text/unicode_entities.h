// SPDX-License-Identifier: Apache-2.0
// The named character references of HTML (html.spec.whatwg.org, section 13.5), those that end in a semicolon.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Looks up a name without `&` and `;`, letter case as given. Writes one or two code points and returns how
// many, 0 when there is no such name.
unsigned tm_entity_find(const char *name, size_t size, uint32_t points[2]);

// The value of a numeric reference, the text between `&#` and `;` ("233", "xE9"). False when it is no number.
// Values that HTML maps are mapped (0x80-0x9f as windows-1252; 0, surrogates and values out of range to
// U+FFFD); *point is 0 for a character that HTML forbids: such a reference stands for nothing.
bool tm_entity_number(const char *digits, size_t size, uint32_t *point);
