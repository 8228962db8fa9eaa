// SPDX-License-Identifier: Apache-2.0
// From options to a process and from its end to a status.
#include "stages/format/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/utf8.h"
#include "engine/program.h"

#define RETRY_WAIT_MS 500
#define MAX_OUTPUT (1u << 30)  // bytes of one process
#define MAX_ARGUMENTS 500
#define LAST_WORDS 480 // bytes, with the NUL

static bool is_file(const char *path)
{
    struct stat info;
    return tm_sys.stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool tm_process_file(const char *folder, const char *argument, char path[TM_PATH_MAX])
{
    if (!argument[0] || strchr(argument, '{')) return false;
    tm_status status = argument[0] == '/' ? tm_path(path, NULL, "%s", argument)
                                          : tm_path(path, NULL, "%s/%s", folder, argument);
    return status >= 0 && is_file(path);
}

bool tm_process_in_path(const char *name)
{
    const char *list = getenv("PATH");
    for (const char *at = list ? list : ""; *at; at += strcspn(at, ":"), at += *at == ':') {
        char path[TM_PATH_MAX];
        if (tm_path(path, NULL, "%.*s/%s", (int)strcspn(at, ":"), at, name) < 0) continue;
        if (is_file(path) && access(path, X_OK) == 0) return true;
    }
    return false;
}

// The arguments and the environment of one process, in one buffer each.
typedef struct start {
    tm_buf text;
    char *argv[MAX_ARGUMENTS + 1];
    char *env[TM_PROCESS_ENV + 8];
} start;

// Append to the text and remember where; pointers are made when it no longer grows.
static void add_part(start *c, const char *part, const char *in, const char *out)
{
    while (*part) {
        const char *path = in && strncmp(part, "{in}", 4) == 0 ? in : NULL;
        size_t n = path ? 4 : 1;
        if (!path && out && strncmp(part, "{out}", 5) == 0) {
            path = out;
            n = 5;
        }
        if (path) tm_buf_str(&c->text, path);
        else tm_buf_char(&c->text, *part);
        part += n;
    }
    tm_buf_char(&c->text, 0);
}

static tm_status add_env(start *c, const json_t *env, size_t *n, tm_error *err)
{
    static const char *const kept[] = {"PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH"};
    const char *name;
    json_t *value;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        const char *text = getenv(kept[i]);
        if (!text || json_object_get(env, kept[i])) continue;
        tm_buf_fmt(&c->text, "%s=%s%c", kept[i], text, 0);
        ++*n;
    }
    json_object_foreach((json_t *)env, name, value)
    {
        const char *secret = json_string_value(json_object_get(value, "$secret"));
        const char *text = secret ? getenv(secret) : json_string_value(value);
        if (!text) {
            tm_fail_as(err, TM_EFAILED, "TM0415", "the secret %s is not set", secret);
            tm_hint(err, "set the environment variable %s", secret);
            return TM_EFAILED;
        }
        tm_buf_fmt(&c->text, "%s=%s%c", name, text, 0);
        ++*n;
    }
    return TM_OK;
}

static tm_status make(start *p, tm_work *work, const tm_process *process, tm_error *err)
{
    const tm_string_list *program = process->program;
    size_t n_env = 0, i = 0;
    char path[TM_PATH_MAX];
    *p = (start){0};
    if (program->n > MAX_ARGUMENTS) return tm_fail(err, TM_EINVAL, "more than %d arguments", MAX_ARGUMENTS);
    bool beside = tm_process_file(tm_work_folder(work), program->items[0], path);
    if (beside) add_part(p, path, NULL, NULL);
    for (i = beside; i < program->n; i++) add_part(p, program->items[i], process->in, process->out);
    TM_TRY(add_env(p, process->env, &n_env, err));
    TM_TRY(tm_buf_status(&p->text, err));
    char *at = p->text.data;
    for (i = 0; i < program->n; i++, at += strlen(at) + 1) p->argv[i] = at;
    for (i = 0; i < n_env; i++, at += strlen(at) + 1) p->env[i] = at;
    return TM_OK;
}

static void say(void *work, const char *line)
{
    tm_work_log(work, "%s", line);
}

static bool stopping(void *work)
{
    return tm_work_stopping(work);
}

// What it said last: whole lines, as many as there is room for, or the beginning of the last one.
static void last_words(const char *said, char words[LAST_WORDS])
{
    size_t n = strlen(said);
    const char *from = n < LAST_WORDS ? said : said + n - LAST_WORDS + 1;
    const char *line = from == said ? NULL : strchr(from - 1, '\n'), *last = strrchr(said, '\n');
    if (line) from = line + 1;
    else if (from > said) from = last ? last + 1 : said;
    snprintf(words, LAST_WORDS, "%s", from + strspn(from, " "));
    tm_utf8_mend(words);
}

// What is to be said of a program that did not end with 0.
static tm_status judge(tm_work *work, const char *name, const tm_program_end *end, tm_error *err)
{
    if (end->status == 0) return TM_OK;
    char last[LAST_WORDS];
    last_words(end->last[0] ? end->last : "it said nothing", last);
    if (end->status == TM_PROCESS_RETRY) {
        struct timespec wait = {.tv_nsec = RETRY_WAIT_MS * 1000000L};
        tm_fail(err, TM_ERETRY, "%s asks to be tried again (exit status %d): %s", name, TM_PROCESS_RETRY,
                last);
        tm_hint(err, "at = { retries = 5 } tries more often");
        if (!tm_work_stopping(work)) nanosleep(&wait, NULL);
        return TM_ERETRY;
    }
    if (end->signal)
        tm_fail_as(err, TM_EFAILED, "TM0415", "%s was ended by signal %d (%s)", name, end->signal,
                   strsignal(end->signal));
    else
        tm_fail_as(err, TM_EFAILED, "TM0415", "%s ended with exit status %d", name, end->status);
    if (end->last[0])
        tm_why(err, "its last words: %s", last);
    else
        tm_why(err, "it said nothing on stderr");
    return TM_EFAILED;
}

tm_status tm_process_run(tm_work *work, const tm_process *process, tm_view input, tm_buf *output,
                         tm_error *err)
{
    start p;
    tm_program_end end;
    tm_status status = make(&p, work, process, err);
    tm_program program = {.argv = p.argv, .env = p.env, .folder = tm_work_folder(work), .input = input,
                          .max_output = MAX_OUTPUT, .line = say, .stop = stopping, .user = work};
    if (status >= 0) status = tm_program_run(&program, output, &end, err);
    if (status >= 0) status = judge(work, process->program->items[0], &end, err);
    tm_buf_clear(&p.text);
    return status;
}
