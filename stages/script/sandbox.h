// SPDX-License-Identifier: Apache-2.0
// A closed Lua: an interpreter whose programs are pure functions that end.
//
// What a program sees is picked by name: no files, processes, clocks, random numbers, bytecode, `debug`,
// finalizers, weak tables or addresses, and tables are walked in the order of their keys. So the same text
// gives the same values on every machine. What it may use is bounded three times: steps (virtual machine
// instructions, and the work of library functions in the same coin), bytes (every allocation of the
// interpreter), and, for what neither counts, the limits of the process around it (see jail.h). A bound that
// is reached cannot be caught: pcall, xpcall and coroutines pass it on.
//
// The interpreter itself is not trusted to contain a hostile program; that is what the process is for.
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "engine/base/bytes.h"

#define TM_SANDBOX_MEMORY (192u << 20)     // bytes
#define TM_SANDBOX_STEPS 40000000u         // under a second; 100,000 nodes take a quarter of it
#define TM_SANDBOX_STRING (16u << 20)      // the longest string that a library function makes
#define TM_SANDBOX_FAULT_TEXT 900          // bytes of a message

// Where the program is: written at every line, in memory that outlives the process, so that whoever watches
// it can name the line after any kind of death.
typedef struct tm_trail {
    int line;        // from 1; 0 before the first
    char file[252];  // NUL-terminated
} tm_trail;

// What went wrong, ready to be shown. Texts are UTF-8 without control characters.
typedef struct tm_fault {
    char code[8];                           // "TMnnnn"; "" while nothing is wrong
    char text[TM_SANDBOX_FAULT_TEXT + 1];
    char hint[512];                         // how to mend it, or ""
    char word[64];                          // the word of that line that is wrong, or ""
    char file[256];
    int line;                               // from 1, or 0
    char traceback[2048];                   // one call a line, innermost first
} tm_fault;

// How messages speak of the program.
typedef struct tm_sandbox_words {
    const char *program;  // "a graph file": has no 'io'
    const char *needs;    // "the graph": needs more than ...
    const char *to;       // " to evaluate", or ""
    const char *advice;   // "a graph file only describes work"
} tm_sandbox_words;

typedef struct tm_sandbox {
    lua_State *L;
    tm_sandbox_words words;    // of graph files, until somebody changes them
    size_t used, cap;          // bytes
    unsigned n_refused;        // allocations beyond the cap
    uint64_t steps, max_steps;
    const char *doom;          // code of the bound that was reached, or NULL
    bool timed;                // bound by time: see tm_sandbox_time
    double seconds;            // that a timed one may take
    volatile sig_atomic_t late;
    size_t soft_cap;           // bytes, of a timed one
    unsigned n_heavy;          // how often it was beyond that
    volatile sig_atomic_t heavy;
    tm_trail *trail;
    const char *trail_source;  // chunk name that trail->file holds
    char **files;              // names of the chunks that were loaded, NULL-terminated
    size_t n_files;
    tm_fault fault;
    void *user;
    void (*print)(void *user, const char *text, size_t size);  // one line of `print`, without the newline
} tm_sandbox;

// A state whose programs see the closed library alone; NULL without memory. `trail` stays the caller's. The
// interpreter's own global table holds the stock library for code of ours (tm_sandbox_load_trusted).
tm_sandbox *tm_sandbox_new(size_t cap, uint64_t max_steps, tm_trail *trail);
void tm_sandbox_free(tm_sandbox *box);
static inline tm_sandbox *tm_sandbox_of(lua_State *L)
{
    return *(tm_sandbox **)lua_getextraspace(L);
}

// Bound the program by time instead of steps: it runs at full speed, with no hook at all, until
// tm_sandbox_stop says that its time is up. Of the memory 64 MiB are kept back, so that the line which needs
// too much can be told. Such a program has no coroutines: a hook would not reach into them.
void tm_sandbox_time(tm_sandbox *box, double seconds);
// End the program soon. From the handler of a signal on its own thread, or another function that may
// interrupt it.
void tm_sandbox_stop(tm_sandbox *box);

// Compile text (never bytecode) as the chunk of file `name` and push it; a first line `#!` is skipped. On a
// syntax error false, with the fault set.
bool tm_sandbox_load(tm_sandbox *box, const char *name, const char *text, size_t size);

// The same for code of ours: it sees the stock library, and its lines are nobody's.
bool tm_sandbox_load_trusted(tm_sandbox *box, const char *name, const char *text, size_t size);

// Call the function below its `n_args` arguments for `n_results`. False with the fault set if it raised.
bool tm_sandbox_call(tm_sandbox *box, int n_args, int n_results);

// ---- for functions that programs call; these raise ----

// Count `steps` of work, and end the program if it had its share.
void tm_sandbox_charge(lua_State *L, uint64_t steps);
// End the program: it reached the bound `code`.
_Noreturn void tm_sandbox_doom(lua_State *L, const char *code);
// Raise a fault at the line of the program that is running. `word` and `hint` may be NULL.
_Noreturn void tm_sandbox_raise(lua_State *L, const char *code, const char *word, const char *hint,
                                const char *format, ...) __attribute__((format(printf, 5, 6)));
// Push the fault as an error value with all its parts; `level_source` NULL: no place.
void tm_sandbox_push_fault(lua_State *L, const char *code, const char *text, const char *hint,
                           const char *word, const char *file, int line);
// The innermost line of the program's own files: its chunk name (with '@') or NULL.
const char *tm_sandbox_where(lua_State *L, int *line);
// Push the value as text, as `tostring` shows it: never an address.
void tm_sandbox_tostring(lua_State *L, int index);
// Push a list of the table's keys: numbers by value, strings by bytes, false, true; raises at any other key.
size_t tm_sandbox_keys(lua_State *L, int index);

// The string key of the table that is nearest to `word` in spelling, or NULL.
const char *tm_sandbox_nearest(lua_State *L, int index, const char *word);

void tm_sandbox_push_env(lua_State *L);  // the globals of programs

// The parts of the library, each sets fields of the table on top of the stack.
void tm_sandbox_add_base(lua_State *L);
void tm_sandbox_add_string(lua_State *L);
void tm_sandbox_uncount_string(lua_State *L);  // what takes time by the byte at most need not be counted
void tm_sandbox_add_table(lua_State *L);
void tm_sandbox_add_coroutine(lua_State *L);
void tm_sandbox_add_math(lua_State *L);
// Copy the named functions (NULL-terminated) of a stock library; NULL names the base library.
void tm_sandbox_pick(lua_State *L, const char *library, const char *const *names);

// Copy text, replacing what is no UTF-8 and control characters (newlines and tabs: blanks) by '?'; cuts at
// size.
void tm_sandbox_clean(char *to, size_t size, const char *text, size_t n);
// Bytes of the well-formed UTF-8 character at the start of the text, or 0.
size_t tm_sandbox_utf8(const char *text, size_t n);
