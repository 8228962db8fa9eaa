// SPDX-License-Identifier: Apache-2.0
// The tools that a run can be sent to: one file in lua/send/ and one row for each.
//
// A file ends with `const tm_send_tool tm_send_tool_NAME`; the build collects the rows, and `tidemill send`
// takes its choices and its work from them. A tool writes files and nothing else: no network, and of secrets
// a run knows the names alone. Sending a run again replaces what was sent before, and nothing else.
#pragma once

#include "lua/past/past.h"

#define TM_SEND_NAME 256 // bytes of a name as it was sent, with its NUL

typedef struct tm_send_job {
    const tm_past *past;           // with its results
    const char *path;              // where to: a folder, or the file of a tool that writes one
    char made[TM_PATH_MAX];        // out: what to open
    json_t *sent, *taken;          // names: original -> as sent, as sent -> original
    size_t changed;                // names that had to be changed
    char example[2][TM_SEND_NAME]; // the first of them: original and as sent
} tm_send_job;

typedef struct tm_send_tool {
    const char *name;
    const char *brief; // what is written
    const char *place; // where to, if nothing is said; "%s" is the run
    const char *open;  // the command that opens it; "%s" is the path
    bool file;         // one file is written, which "-" as path makes stdout, and it has what ran when
    tm_status (*write)(tm_send_job *job, tm_error *err);
} tm_send_tool;

// The rows, by name, and their names with bars between. Made by lua/send/rows.sh.
extern const tm_send_tool *const tm_send_tools[]; // NULL-terminated
extern const char tm_send_tool_names[];

const tm_send_tool *tm_send_tool_find(const char *name); // or NULL

// Read the run (NULL: the latest) and write it. `job` starts as {.path}; free it with tm_send_clear.
tm_status tm_send(const tm_send_tool *tool, tm_past *past, tm_send_job *job, tm_error *err);
void tm_send_clear(tm_send_job *job);

// A name as the tool takes it: letters, digits, `_ - . /` and those in `also` stay, anything else becomes
// `_`; no part between slashes is empty or begins with a dot. Different names stay different ("a_b",
// "a_b_2").
const char *tm_send_name(tm_send_job *job, const char *name, const char *also, char text[TM_SEND_NAME]);

// Whether a dot in a name parts it; that of a number, of which a point of a sweep has some, does not.
bool tm_send_parts(const char *name, const char *dot);

// --- What of a run is sent ---------------------------------------------------------------------------------
// The next node that has a metric and is not the same work as another; NULL behind the last. `at` starts at
// 0.
const tm_past_node *tm_send_next_node(const tm_past *past, size_t *at);

// Parameters as a JSON object (a new reference): name -> value.
json_t *tm_send_params(const tm_past *past);
// Facts about the run (a new reference): name -> text. "graph" "run" "version" "command" "git.commit" ...
json_t *tm_send_facts(const tm_past *past);
// A JSON value as text: texts bare, anything else as JSON.
void tm_send_text(tm_buf *text, const json_t *value);
// The graph's name without folder and ending ("quickstart").
void tm_send_title(const tm_past *past, char title[TM_SEND_NAME]);
// 32 hexadecimal digits that name this run of this store, today and tomorrow.
void tm_send_id(const tm_past *past, char id[33]);
// Write a file into a folder, which is made if it is not there.
tm_status tm_send_file(const char *folder, const char *name, const tm_buf *bytes, tm_error *err);
