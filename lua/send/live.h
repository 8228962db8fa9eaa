// SPDX-License-Identifier: Apache-2.0
// Event files that grow while a run goes on: `tensorboard --logdir .tidemill/runs` shows the curves live.
//
// runs/RUN/tensorboard/NODE/ has what the node measured in this run, when it did; `tidemill send --to
// tensorboard` writes all that the run's results have, with errors. What cannot be written is left out: a run
// does not fail for it.
#pragma once

#include <jansson.h>

#include "engine/store.h"

typedef struct tm_live tm_live;

tm_live *tm_live_new(tm_store *store); // NULL without memory: then nothing is written
// The events of a run, as tm_run_options.watch has them; NULL is fine.
void tm_live_event(tm_live *live, const char *event, const json_t *fields);
void tm_live_free(tm_live *live);
