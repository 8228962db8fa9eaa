// SPDX-License-Identifier: Apache-2.0
// What the files of opened.h share; nobody else includes this.
#pragma once

#include "lua/opened.h"

// A file of the folder as JSON (a new reference), or NULL.
json_t *tm_opened_json(const char *folder, const char *name);
// Read the source of the chat template.
tm_status tm_opened_find_chat(tm_opened *opened, tm_error *err);
