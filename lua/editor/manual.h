// SPDX-License-Identifier: Apache-2.0
// Manual pages from the rows, as roff (man(7)).
#pragma once

#include "lua/cli/cli.h"

// The page of a command, or of the program (NULL). Errors as tm_buf's.
void tm_manual(const tm_command *command, tm_buf *page);
