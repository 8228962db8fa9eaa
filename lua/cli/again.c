// SPDX-License-Identifier: Apache-2.0
// Flags of a command line, written anew.
#include "lua/cli/again.h"

#include <stdio.h>

static bool sets(const char *set, const char *name)
{
    size_t n = name ? strlen(name) : 0;
    return n && strncmp(set, name, n) == 0 && set[n] == '=';
}

static bool is_typed(const tm_cli *cli, const char *name)
{
    const char *set;
    for (int i = 0; (set = tm_cli_flag_at(cli, "--set", i)); i++)
        if (sets(set, name)) return true;
    return false;
}

static void add_word(tm_buf *to, const char *flag, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=._-/,:+@%";
    tm_buf_fmt(to, " %s ", flag);
    if (!word[strspn(word, plain)]) {
        tm_buf_str(to, word);
        return;
    }
    tm_buf_char(to, '\'');
    for (; *word; word++) {
        if (*word == '\'') tm_buf_str(to, "'\\''");
        else tm_buf_char(to, *word);
    }
    tm_buf_char(to, '\'');
}

const char *tm_again_sets(const tm_cli *cli, const json_t *more, const char *but, char *text, size_t size)
{
    tm_buf all = {0}, one = {0};
    const char *name, *set;
    json_t *value;
    json_object_foreach((json_t *)more, name, value)
    {
        if (is_typed(cli, name) || (but && strcmp(name, but) == 0)) continue;
        tm_buf_reset(&one);
        tm_buf_fmt(&one, "%s=%s", name, json_string_value(value));
        add_word(&all, "--set", one.data ? one.data : "");
    }
    for (int i = 0; (set = tm_cli_flag_at(cli, "--set", i)); i++)
        if (!sets(set, but)) add_word(&all, "--set", set);
    bool good = tm_buf_status(&all, NULL) >= 0 && all.size && all.size < size;
    snprintf(text, size, "%s", good ? all.data : "");
    tm_buf_clear(&all);
    tm_buf_clear(&one);
    return text;
}

const char *tm_again_pin(const tm_cli *cli, char *text, size_t size)
{
    const char *lock = tm_cli_flag(cli, "--lock");
    tm_buf flag = {0};
    if (lock) add_word(&flag, "--output", lock);
    snprintf(text, size, "tidemill pin%s", lock && flag.data ? flag.data : "");
    tm_buf_clear(&flag);
    return text;
}

void tm_again_store(const tm_cli *cli, char *text, size_t size)
{
    static const char gc[] = "tidemill gc --to SIZE";
    char *at = cli->store ? strstr(text, gc) : NULL;
    tm_buf flag = {0}, all = {0};
    if (!at) return;
    at += strlen(gc);
    add_word(&flag, "--store", cli->store);
    tm_buf_fmt(&all, "%.*s%s%s", (int)(at - text), text, flag.data ? flag.data : "", at);
    if (tm_buf_status(&flag, NULL) >= 0 && tm_buf_status(&all, NULL) >= 0 && all.size < size)
        snprintf(text, size, "%s", all.data);
    tm_buf_clear(&flag);
    tm_buf_clear(&all);
}
