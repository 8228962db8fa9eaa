// SPDX-License-Identifier: Apache-2.0
// Finding words in the text of a graph file.
#include "engine/spot.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES 40

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static const char *find_word(const char *from, const char *end, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = from; n && (at = strstr(at, word)) && at + n <= end; at++) {
        bool left = at == from || !word_char(at[-1]) || !word_char(word[0]);
        bool right = !word_char(at[n]) || !word_char(word[n - 1]);
        if (left && right) return at;
    }
    return NULL;
}

// Behind the string or comment that begins at `at`, or `at` itself. Long brackets of level 0 only.
static const char *skip_text(const char *at)
{
    bool comment = at[0] == '-' && at[1] == '-';
    const char *open = comment ? at + 2 : at;
    if (open[0] == '[' && open[1] == '[') {
        const char *close = strstr(open, "]]");
        return close ? close + 2 : open + strlen(open);
    }
    if (comment) return at + strcspn(at, "\n");
    if (*at != '"' && *at != '\'') return at;
    const char *c = at + 1;
    while (*c && *c != '\n' && *c != *at) c += c[0] == '\\' && c[1] ? 2 : 1;
    return *c ? c + 1 : c;
}

static bool is_key(const char *at, size_t n)
{
    at += n;
    while (isspace((unsigned char)*at)) at++;
    return at[0] == '=' && at[1] != '=';
}

// The end of the braces that open at `open`; `*key` is `word =` directly inside them, or NULL.
static const char *scan_braces(const char *open, const char *word, const char **key)
{
    int depth = 0;
    size_t n = strlen(word);
    *key = NULL;
    for (const char *at = open; *at;) {
        const char *behind = skip_text(at);
        if (behind > at) {
            at = behind;
            continue;
        }
        if (strchr("{([", *at)) depth++;
        else if (strchr("})]", *at) && --depth == 0) return at;
        bool begins = word_char(*at) && !word_char(at[-1]);
        if (n && begins && depth == 1 && !*key && strncmp(at, word, n) == 0 && !word_char(at[n]) &&
            is_key(at, n))
            *key = at;
        at++;
    }
    return open + strlen(open);
}

// Over the calls of `owner`; `keys` says whether the word must be a key.
static const char *find_inside(const char *text, const char *owner, const char *word, bool keys)
{
    const char *end = text + strlen(text), *key;
    for (const char *at = text; (at = find_word(at, end, owner)); at++) {
        const char *open = at + strlen(owner);
        while (isspace((unsigned char)*open) || *open == '(') open++;
        if (*open != '{') continue;
        const char *close = scan_braces(open, word, &key);
        const char *hit = keys ? key : find_word(open, close, word);
        if (hit) return hit;
    }
    return NULL;
}

static const char *find(const char *text, const char *owner, const char *word, size_t *length)
{
    const char *end = text + strlen(text), *hit = NULL;
    *length = strlen(word);
    if (!owner[0]) return find_word(text, end, word);
    if (word[0]) hit = find_inside(text, owner, word, true);
    if (!hit && word[0]) hit = find_inside(text, owner, word, false);
    if (hit) return hit;
    *length = strlen(owner);
    hit = find_word(text, end, owner);
    if (!hit) *length = strlen(word);
    return hit ? hit : find_word(text, end, word);
}

static bool read_lines(const char *path, int line, tm_buf *text)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;
    char *row = NULL;
    size_t capacity = 0;
    ssize_t n;
    for (int at = 1; at < line + LINES && (n = getline(&row, &capacity, file)) >= 0; at++)
        if (at >= line) tm_buf_add(text, row, strlen(row));
    free(row);
    fclose(file);
    tm_buf_char(text, 0);
    return text->size > 1 && !text->failed;
}

// `text`: from `line` on, NUL-terminated.
static void look(const char *text, const char *owner, const char *word, tm_spot *spot)
{
    size_t length;
    const char *hit = find(text, owner, word, &length), *row = text;
    for (const char *c = text; hit && c < hit; c++)
        if (*c == '\n') {
            row = c + 1;
            spot->line++;
        }
    if (hit)
        spot->length = length;
    else
        hit = row + strspn(row, " \t");
    spot->column = (int)(hit - row) + 1;
    tm_buf_add(&spot->text, row, strcspn(row, "\r\n"));
    tm_buf_char(&spot->text, 0);
    spot->text.size--;
}

bool tm_spot_find(const char *path, int line, const char *owner, const char *word, tm_spot *spot)
{
    tm_buf text = {0};
    *spot = (tm_spot){.line = line, .length = 1};
    bool there = line > 0 && read_lines(path, line, &text);
    if (there) look(text.data, owner, word, spot);
    tm_buf_clear(&text);
    return there;
}

bool tm_spot_in(const char *file, int line, const char *owner, const char *word, tm_spot *spot)
{
    tm_buf text = {0};
    *spot = (tm_spot){.line = line, .length = 1};
    for (int at = 1; file && at < line; at++) {
        file = strchr(file, '\n');
        file += file != NULL;
    }
    if (line < 1 || !file || !*file) return false;
    const char *end = file;
    for (int at = 0; at < LINES && end; at++) {
        end = strchr(end, '\n');
        end += end != NULL;
    }
    tm_buf_add(&text, file, end ? (size_t)(end - file) : strlen(file));
    tm_buf_char(&text, 0);
    if (!text.failed) look(text.data, owner, word, spot);
    tm_buf_clear(&text);
    return !text.failed;
}
