// SPDX-License-Identifier: Apache-2.0
// Confinement of workers that parse bytes from outside.
#pragma once

#include "engine/base/status.h"

// From here on this process cannot use the network, start programs, look into others, change ownership or
// mounts; it dumps no core. What it still does, reading and writing files, its parsers need. Cannot be
// undone.
tm_status tm_confine(tm_error *err);
