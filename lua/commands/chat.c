// SPDX-License-Identifier: Apache-2.0
// chat: talk with a model, or with two side by side. A line is a turn, from a terminal or a pipe.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lua/model/conversation.h"
#include "lua/model/generation.h"

#define LINE_BYTES ((size_t)4 << 20) // of a turn
#define CONTEXT 8192

static const tm_flag flags[] = {
    {"--vs", 0, "MODEL", "a second model, which answers as well"},
    {"--system", 0, "TEXT", "what the model is told first"},
    TM_GENERATION_FLAGS("512", "0.7"),
    {"--context", 0, "N",
     "tokens of the conversation at most; the oldest turns are forgotten (default: 8192)"},
    {0},
};

static const char help[] = "/reset       forget the conversation\n"
                           "/retry       another answer to the last turn\n"
                           "/save FILE   add the conversation to a file of JSON lines\n"
                           "/quit        end (so does Ctrl-D); Ctrl-C ends an answer\n"
                           "//text       a turn that begins with a slash\n";

typedef struct side {
    const char *name;
    tm_opened opened;
    tm_conversation talk;
    tm_answer answer;
} side;

typedef struct chat {
    const tm_cli *cli;
    tm_generation_given given;
    const char *system;
    uint32_t context;
    tm_device *device;
    side sides[2];
    int n_sides;
    int signals;      // a signalfd of SIGINT
    bool tty;         // a person types,
    bool told_keys;   // and has been told of keys that do nothing
    tm_buf input;     // what was read and is no turn yet
    bool ended;       // the input
    uint64_t bad;     // turns that had no answer
    bool interrupted; // Ctrl-C where nothing was to be stopped, twice
} chat;

// ---- Ctrl-C ----

static tm_status catch_interrupts(chat *c, tm_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return c->signals < 0 ? tm_fail_errno(err, "signalfd") : TM_OK;
}

static bool was_interrupted(chat *c)
{
    struct signalfd_siginfo info;
    return read(c->signals, &info, sizeof info) == (ssize_t)sizeof info;
}

// ---- lines ----

static void invite(const chat *c)
{
    if (!c->tty) return;
    fputs("> ", stderr);
    fflush(stderr);
}

// Wait for more input. TM_DONE after Ctrl-C twice in a row.
static tm_status wait_input(chat *c, int *interrupts, tm_error *err)
{
    struct pollfd files[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = c->signals, .events = POLLIN}};
    for (;;) {
        if (poll(files, 2, -1) < 0 && errno != EINTR) return tm_fail_errno(err, "cannot wait for input");
        if (was_interrupted(c)) {
            if (++*interrupts > 1) {
                c->interrupted = true;
                return TM_DONE;
            }
            fputs("\n(Ctrl-C again, or Ctrl-D, ends the chat)\n", stderr);
            invite(c);
        } else if (files[0].revents) {
            return TM_OK;
        }
    }
}

static tm_status read_more(chat *c, tm_error *err)
{
    if (!tm_buf_reserve(&c->input, 4096)) return tm_buf_status(&c->input, err);
    ssize_t n = read(STDIN_FILENO, c->input.data + c->input.size, 4096);
    if (n < 0 && errno == EINTR) return TM_OK;
    if (n < 0) return tm_fail_errno(err, "cannot read the turn");
    c->input.size += (size_t)n;
    c->ended |= n == 0;
    return TM_OK;
}

// The bytes of an escape sequence at the beginning of `text`: what a terminal sends for an arrow key.
static size_t escape_size(const char *text, size_t n)
{
    size_t i = 2;
    if (n < 2 || (text[1] != '[' && text[1] != 'O')) return 1;
    if (text[1] == '[')
        while (i < n && text[i] >= 0x20 && text[i] < 0x40) i++;
    return i < n ? i + 1 : n;
}

// Keys that nobody edits with here are no part of a turn.
static void drop_escapes(chat *c, tm_buf *line)
{
    size_t kept = 0;
    for (size_t i = 0; i < line->size;) {
        if (line->data[i] == '\x1b') i += escape_size(line->data + i, line->size - i);
        else line->data[kept++] = line->data[i++];
    }
    if (kept == line->size) return;
    line->size = kept;
    line->data[kept] = 0;
    if (!c->told_keys)
        fputs("(arrow keys do nothing here: `rlwrap tidemill chat` gives line editing)\n", stderr);
    c->told_keys = true;
}

// The next line, without its end. TM_DONE at the end of the input.
static tm_status next_line(chat *c, tm_buf *line, tm_error *err)
{
    int interrupts = 0;
    const char *end;
    tm_buf_reset(line);
    invite(c);
    while (!(end = c->input.size ? memchr(c->input.data, '\n', c->input.size) : NULL) && !c->ended) {
        if (c->input.size > LINE_BYTES)
            return tm_fail(err, TM_EINVAL, "a turn has more than %zu bytes", LINE_BYTES);
        tm_status status = wait_input(c, &interrupts, err);
        if (status != TM_OK) return status;
        TM_TRY(read_more(c, err));
    }
    if (!end && !c->input.size) {
        if (c->tty) fputc('\n', stderr); // the prompt of who called begins a line
        return TM_DONE;
    }
    size_t n = end ? (size_t)(end - c->input.data) : c->input.size, used = end ? n + 1 : n;
    tm_bpe_repair((tm_view){c->input.data, n}, true, line);
    memmove(c->input.data, c->input.data + used, c->input.size - used);
    c->input.size -= used;
    if (line->size && line->data[line->size - 1] == '\r') line->data[--line->size] = 0;
    if (c->tty) drop_escapes(c, line);
    return tm_buf_status(line, err);
}

// ---- answers ----

static bool hear(void *listener, tm_view text)
{
    chat *c = listener;
    if (!c->cli->json && text.size &&
        (fwrite(text.data, 1, text.size, stdout) != text.size || fflush(stdout)))
        return false;
    return !was_interrupted(c);
}

static void print_json(const chat *c, const side *s, size_t dropped)
{
    const tm_answer *a = &s->answer;
    json_t *ids = json_array();
    for (size_t i = 0; i < a->ids.size; i++) json_array_append_new(ids, json_integer(a->ids.data[i]));
    tm_cli_print(c->cli, json_pack("{s:s, s:s%, s:o, s:s, s:I, s:I}", "model", s->name, "content",
                                   a->text.data ? a->text.data : "", a->text.size, "ids", ids, "ended",
                                   tm_ended_name(a->ended), "dropped", (json_int_t)dropped, "kept",
                                   (json_int_t)a->n_kept));
    fflush(stdout);
}

static void end_answer(const chat *c, const side *s, size_t dropped)
{
    if (c->cli->json)
        print_json(c, s, dropped);
    else
        putchar('\n');
    fflush(stdout);
    if (dropped)
        fprintf(stderr, "(the context of %d tokens is full: the %zu oldest messages are forgotten)\n",
                tm_decoder_capacity(s->talk.decoder), dropped);
    if (s->answer.ended == TM_ENDED_FULL) fprintf(stderr, "(the answer ends where the context does)\n");
    if (s->answer.ended == TM_ENDED_TOKENS && c->tty)
        fprintf(stderr, "(the answer ends after --tokens %zu)\n", s->answer.ids.size);
}

// Let every side answer: to a line, or once more if it is NULL.
static tm_status answer(chat *c, const tm_buf *line, tm_error *err)
{
    for (int i = 0; i < c->n_sides; i++) {
        side *s = &c->sides[i];
        tm_error why = {0};
        size_t dropped = 0;
        if (c->n_sides > 1 && !c->cli->json) printf("%s: ", s->name);
        tm_status status =
            line ? tm_conversation_say(&s->talk, tm_buf_view(line), &c->given.how, &s->answer, &dropped, &why)
                 : tm_conversation_retry(&s->talk, &c->given.how, &s->answer, &dropped, &why);
        if (status >= 0) {
            end_answer(c, s, dropped);
            continue;
        }
        if (c->n_sides > 1 && !c->cli->json) putchar('\n');
        if (status != TM_EINVAL && status != TM_ENOENT && status != TM_EFAILED) {
            *err = why;
            return status;
        }
        c->bad++;
        if (c->cli->json) tm_cli_print(c->cli, json_pack("{s:s, s:s}", "model", s->name, "error", why.text));
        fprintf(stderr, "%s\n", why.text);
    }
    return TM_OK;
}

// ---- commands ----

static bool has_turns(const chat *c)
{
    return json_array_size(c->sides[0].talk.messages) > (c->system ? 1 : 0);
}

static void save(const chat *c, const char *path)
{
    if (*path && !has_turns(c)) {
        fprintf(stderr, "(there is nothing to save)\n");
        return;
    }
    FILE *file = *path ? fopen(path, "a") : NULL;
    if (!file) {
        fprintf(stderr, "cannot save to \"%s\": %s\n", path, *path ? strerror(errno) : "/save takes a file");
        return;
    }
    for (int i = 0; i < c->n_sides; i++) {
        json_t *line =
            json_pack("{s:s, s:O}", "model", c->sides[i].name, "messages", c->sides[i].talk.messages);
        json_dumpf(line, file, JSON_COMPACT);
        fputc('\n', file);
        json_decref(line);
    }
    if (fclose(file) != 0)
        fprintf(stderr, "cannot save to \"%s\": %s\n", path, strerror(errno));
    else
        fprintf(stderr, "(saved to %s)\n", path);
}

// TM_DONE: the chat is to end.
static tm_status command(chat *c, const char *line, tm_error *err)
{
    if (strcmp(line, "/quit") == 0) return TM_DONE;
    if (strcmp(line, "/retry") == 0) return answer(c, NULL, err);
    if (strncmp(line, "/save", 5) == 0 && (line[5] == ' ' || !line[5])) {
        save(c, line + 5 + (line[5] == ' '));
    } else if (strcmp(line, "/reset") == 0) {
        for (int i = 0; i < c->n_sides; i++) tm_conversation_reset(&c->sides[i].talk);
    } else {
        if (strcmp(line, "/help") != 0) fprintf(stderr, "there is no command %s\n", line);
        fputs(help, stderr);
    }
    return TM_OK;
}

static tm_status talk(chat *c, tm_error *err)
{
    tm_buf line = {0};
    tm_status status;
    if (c->tty) fprintf(stderr, "A line is a turn; /help tells the commands.\n");
    while ((status = next_line(c, &line, err)) == TM_OK) {
        if (!line.size) continue;
        bool escaped = line.size > 1 && line.data[0] == '/' && line.data[1] == '/';
        if (escaped) memmove(line.data, line.data + 1, line.size--);
        status = line.data[0] == '/' && !escaped ? command(c, line.data, err) : answer(c, &line, err);
        if (status != TM_OK) break;
    }
    tm_buf_clear(&line);
    return status < 0 ? status : TM_OK;
}

// ---- the command line ----

static tm_status open_side(chat *c, const char *name, tm_error *err)
{
    side *s = &c->sides[c->n_sides++];
    s->name = name;
    TM_TRY(tm_opened_model(&s->opened, c->cli, name, err));
    return tm_conversation_open(&s->talk, &s->opened, c->device, c->context, c->system, err);
}

static tm_status run(chat *c, tm_error *err)
{
    const char *other = tm_cli_flag(c->cli, "--vs");
    TM_TRY(catch_interrupts(c, err));
    TM_TRY(tm_device_open_cpu(c->given.cores, &c->device, err));
    TM_TRY(open_side(c, c->cli->args[0], err));
    if (other) TM_TRY(open_side(c, other, err));
    c->given.how.hear = hear;
    c->given.how.listener = c;
    return talk(c, err);
}

static int exec(tm_cli *cli)
{
    tm_error err = {0};
    double context = CONTEXT;
    chat c = {.cli = cli,
              .signals = -1,
              .system = tm_cli_flag(cli, "--system"),
              .tty = isatty(STDIN_FILENO),
              .given.how = {.sampler = {.temperature = 0.7, .top_p = 1, .seed = 1}, .n_tokens = 512}};
    if (tm_generation_flags(cli, &c.given) != TM_EXIT_OK ||
        tm_cli_number(cli, "--context", 16, &context) != TM_EXIT_OK)
        return TM_EXIT_USAGE;
    c.context = (uint32_t)(context < 1e9 ? context : 1e9);
    tm_status status = run(&c, &err);
    for (int i = 0; i < c.n_sides; i++) {
        tm_conversation_close(&c.sides[i].talk);
        tm_answer_clear(&c.sides[i].answer);
        tm_opened_close(&c.sides[i].opened);
    }
    tm_device_close(c.device);
    tm_buf_clear(&c.input);
    if (c.signals >= 0) close(c.signals);
    if (status < 0) return tm_cli_fail(cli, &err);
    if (c.interrupted) return 128 + SIGINT;
    return c.bad ? TM_EXIT_GRAPH : TM_EXIT_OK;
}

const tm_command tm_command_chat = {
    .name = "chat",
    .brief = "Talk with a model, or with two side by side: a line is a turn (/help, /reset, /retry, /save, "
             "/quit); rlwrap adds line editing.",
    .usage = "MODEL",
    .example = "tidemill chat dpo --vs base --system \"You answer in one sentence.\"",
    .min = 1,
    .max = 1,
    .flags = flags,
    .exec = exec,
};
