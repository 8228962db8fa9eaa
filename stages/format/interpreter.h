// SPDX-License-Identifier: Apache-2.0
// Which of a program's arguments is the script that an interpreter runs.
#pragma once

#include "engine/option.h"

// The argument of `program` that is a script by all it looks like: the first one behind the options of a
// known interpreter, with an ending that goes with it (`python3 -u score.py`, `env A=1 perl tag.pl`). 0 if
// there is none: code on the command line (`sh -c`), a module (`python3 -m`), a place ({in}).
size_t tm_interpreter_script(const tm_string_list *program);
