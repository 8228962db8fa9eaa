// SPDX-License-Identifier: Apache-2.0
// One record of the running run, for people to see what flows: a document that curation removed and why, else
// one that was kept.
#pragma once

#include "engine/run.h"

typedef struct tm_console_sample tm_console_sample;

tm_console_sample *tm_console_sample_new(const tm_plan *plan);  // NULL without memory
void tm_console_sample_free(tm_console_sample *sample);
// Reads at most one entry of the store, and seldom. Fills `of` and `text` when there is something new.
void tm_console_sample_look(tm_console_sample *sample, const tm_run_now *now, char *of, size_t of_size,
                            char *text, size_t text_size);
// What a model made of a question (the event "sample"), which then stays for a while.
void tm_console_sample_take(tm_console_sample *sample, const json_t *fields, char *of, size_t of_size,
                            char *text, size_t text_size);
