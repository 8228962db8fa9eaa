// SPDX-License-Identifier: Apache-2.0
// A command line to be typed again: the parameters that a fix must not drop.
#pragma once

#include "lua/cli/cli.h"

// " --set NAME=VALUE ..." of this command line and of `more` (name -> text, or NULL; what was typed counts
// instead), quoted for a shell, without the parameter `but` (or NULL); "" if there are none or too many for
// `size`. Gives `text`.
const char *tm_again_sets(const tm_cli *cli, const json_t *more, const char *but, char *text, size_t size);

// The command that writes the lock this command line is held to: "tidemill pin --output other.lock".
const char *tm_again_pin(const tm_cli *cli, char *text, size_t size);

// Names the store of this command line in a text that advises `tidemill gc --to SIZE`.
void tm_again_store(const tm_cli *cli, char *text, size_t size);
