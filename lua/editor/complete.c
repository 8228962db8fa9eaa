// SPDX-License-Identifier: Apache-2.0
// Completion of a command line from the rows of commands and flags.
#include "lua/editor/complete.h"

#include <stdio.h>

#include "lua/editor/complete_kinds.h"

static void offer_flags(tm_line *l, const tm_flag *flags)
{
    for (const tm_flag *f = flags; f && f->name; f++) tm_line_offer(l, "", f->name, "", f->help);
}

// "[RUN|[RUN:]NODE]": its alternatives, without brackets and dots.
static void offer_kinds(tm_line *l, const char *text, size_t size)
{
    char kind[64];
    size_t n = 0;
    for (size_t i = 0; i <= size; i++) {
        char c = i < size ? text[i] : '|';
        if (c == '|' && n) {
            kind[n] = 0;
            tm_line_offer_kind(l, kind);
            n = 0;
        } else if (c != '[' && c != ']' && c != '.' && c != '|' && n + 1 < sizeof kind) {
            kind[n++] = c;
        }
    }
}

// The words of a usage, one for each place; the last one repeats if it says so. A place that may be left out
// can be taken by the next.
static void offer_argument(tm_line *l, const char *usage)
{
    size_t size = 0;
    const char *at = usage;
    for (int i = 0; *at; i++) {
        size = strcspn(at, " ");
        const char *next = at + size + strspn(at + size, " ");
        bool more = size >= 3 && memmem(at, size, "...", 3);
        if (i == l->n_args || (i < l->n_args && more && !*next)) {
            offer_kinds(l, at, size);
            if (*at == '[' && *next && *next != '[') offer_kinds(l, next, strcspn(next, " "));
            return;
        }
        at = next;
    }
}

// A usage of several forms: "[RUN:]SWEEP | RUN RUN...".
static void offer_arguments(tm_line *l, const char *usage)
{
    while (usage) {
        char form[160];
        const char *bar = strstr(usage, " | ");
        snprintf(form, sizeof form, "%.*s", (int)(bar ? (size_t)(bar - usage) : strlen(usage)), usage);
        offer_argument(l, form);
        usage = bar ? bar + 3 : NULL;
    }
}

// ---- the line ----

static const tm_flag *flag_of(const tm_command *command, const char *word)
{
    const tm_flag *const tables[] = {command->flags, tm_common_flags};
    for (int t = 0; t < 2; t++)
        for (const tm_flag *f = tables[t]; f && f->name; f++) {
            size_t n = strlen(f->name);
            if (strncmp(word, f->name, n) == 0 && (!word[n] || word[n] == '=')) return f;
            if (f->letter && word[0] == '-' && word[1] == f->letter) return f;
        }
    return NULL;
}

static void take_value(tm_line *l, const tm_flag *flag, const char *value)
{
    if (strcmp(flag->name, "--store") == 0) l->store = value;
    if (strcmp(flag->name, "--graph") == 0) l->graph = value;
}

static void take_word(tm_line *l, const char *word)
{
    const tm_flag *waiting = l->flag, *flag = waiting || word[0] != '-' ? NULL : flag_of(l->command, word);
    const char *equals = strchr(word, '=');
    size_t n = strlen(word), graph = strlen(".lua");
    l->flag = NULL;
    if (waiting) {
        take_value(l, waiting, word);
    } else if (flag && flag->arg) {
        bool has_value = word[1] == '-' ? equals != NULL : word[2] != 0;
        if (!has_value) l->flag = flag;
        else if (equals) take_value(l, flag, equals + 1);
    } else if (!flag && l->n_args < TM_LINE_ARGS && strcmp(word, "--") != 0) {
        l->args[l->n_args++] = word;
        if (!l->graph && n > graph && strcmp(word + n - graph, ".lua") == 0) l->graph = word;
    }
}

// --flag=VALUE: what is offered has the flag in front again.
static void offer_value_of(tm_line *l, const tm_flag *flag)
{
    const char *whole = l->word, *equals = strchr(whole, '=') + 1;
    size_t i;
    json_t *row;
    l->word = equals;
    l->flag = flag;
    offer_kinds(l, flag->arg, strlen(flag->arg));
    json_array_foreach(l->out->words, i, row)
        json_object_set_new(row, "word", json_sprintf("%.*s%s", (int)(equals - whole), whole,
                                                      json_string_value(json_object_get(row, "word"))));
}

static void offer_here(tm_line *l)
{
    const tm_flag *flag = l->word[0] == '-' ? flag_of(l->command, l->word) : NULL;
    if (l->flag) {
        offer_kinds(l, l->flag->arg, strlen(l->flag->arg));
    } else if (flag && flag->arg && strchr(l->word, '=')) {
        offer_value_of(l, flag);
    } else if (l->word[0] == '-') {
        offer_flags(l, l->command->flags);
        offer_flags(l, tm_common_flags);
    } else {
        offer_arguments(l, l->command->usage);
    }
}

void tm_complete(const char *const *words, int n, tm_completion *out)
{
    tm_line l = {.word = n > 1 ? words[n - 1] : "", .out = out};
    *out = (tm_completion){.words = json_array()};
    if (n == 3 && strcmp(words[1], "help") == 0) n = 2;
    if (n <= 2) {
        tm_line_offer_kind(&l, "COMMAND");
        if (l.word[0] == '-') tm_line_offer(&l, "", "--help", "", "what there is");
        if (l.word[0] == '-') tm_line_offer(&l, "", "--version", "", "which tidemill this is");
        return;
    }
    for (const tm_command *const *c = tm_commands; *c; c++)
        if (strcmp((*c)->name, words[1]) == 0) l.command = *c;
    if (!l.command) return;
    for (int i = 2; i < n - 1; i++) take_word(&l, words[i]);
    offer_here(&l);
}
