// SPDX-License-Identifier: Apache-2.0
// Manual pages: what --help says, in the macros of man(7).
#include "lua/editor/manual.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DATE "2026-11-21"  // of the version

// Text of a line of its own: signs that roff would take for its own are escaped. UTF-8 passes.
static void add_text_n(tm_buf *out, const char *text, size_t size)
{
    if (size && (text[0] == '.' || text[0] == '\'')) tm_buf_str(out, "\\&");
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\\') tm_buf_str(out, "\\e");
        else if (text[i] == '-') tm_buf_str(out, "\\-");
        else if (text[i] == '`') tm_buf_str(out, "\\(ga");
        else if (text[i] == '\'') tm_buf_str(out, "\\(aq");
        else if (text[i] == '^') tm_buf_str(out, "\\(ha");
        else if (text[i] == '~') tm_buf_str(out, "\\(ti");
        else tm_buf_char(out, text[i]);
    }
}

static void add_text(tm_buf *out, const char *text)
{
    add_text_n(out, text, strlen(text));
}

enum { WIDTH = 60 };  // of input lines, which escapes make longer

// Text in lines of source; `joint` ends each but the last: nothing, and roff fills, or what keeps it one.
static void add_lines(tm_buf *out, const char *text, const char *joint)
{
    size_t size = strlen(text);
    while (size > WIDTH) {
        size_t n = WIDTH;
        while (n && text[n] != ' ') n--;
        if (!n) n = strcspn(text, " ");
        if (n >= size) break;
        add_text_n(out, text, n);
        tm_buf_fmt(out, "%s\n", joint);
        text += n + 1;
        size -= n + 1;
    }
    add_text_n(out, text, size);
    tm_buf_char(out, '\n');
}

static void add_prose(tm_buf *out, const char *text)
{
    add_lines(out, text, "");
}

// GRAPH [NODE...]: what is to be replaced is in italics.
static void add_usage(tm_buf *out, const char *usage)
{
    while (*usage) {
        size_t n = 0;
        bool name = isupper((unsigned char)*usage);
        while (usage[n] && (isupper((unsigned char)usage[n]) != 0) == name) n++;
        tm_buf_str(out, name ? "\\fI" : "\\fR");
        add_text_n(out, usage, n);
        usage += n;
    }
    tm_buf_str(out, "\\fR");
}

static void add_head(tm_buf *out, const char *command)
{
    tm_buf_str(out, ".TH TIDEMILL");
    for (const char *c = command ? command : ""; *c; c++)
        tm_buf_fmt(out, "%s%c", c == command ? "\\-" : "", toupper((unsigned char)*c));
    tm_buf_fmt(out, " 1 \"%s\" \"tidemill %s\" \"Tidemill\"\n.SH NAME\ntidemill%s%s \\-\n", DATE, TM_VERSION,
               command ? "\\-" : "", command ? command : "");
}

// As what follows "NAME -": without the full stop.
static void add_sentence(tm_buf *out, const char *brief)
{
    char text[256];
    size_t n = strlen(brief);
    snprintf(text, sizeof text, "%.*s", (int)(n && brief[n - 1] == '.' ? n - 1 : n), brief);
    add_prose(out, text);
}

static void add_flags(tm_buf *out, const tm_flag *flags)
{
    for (const tm_flag *f = flags; f && f->name; f++) {
        tm_buf_str(out, ".TP\n");
        if (f->letter) tm_buf_fmt(out, "\\fB\\-%c\\fR, ", f->letter);
        tm_buf_str(out, "\\fB");
        add_text(out, f->name);
        tm_buf_str(out, "\\fR");
        if (f->arg) {
            tm_buf_char(out, ' ');
            add_usage(out, f->arg);
        }
        tm_buf_char(out, '\n');
        add_prose(out, f->help);
    }
}

static void add_exits(tm_buf *out)
{
    tm_buf_str(out, ".SH EXIT STATUS\n");
#define ROW(name, code, text)               \
    tm_buf_fmt(out, ".TP\n%d\n", code);     \
    add_prose(out, text);
    TM_EXIT_LIST(ROW)
#undef ROW
    tm_buf_str(out, ".TP\n128+\\fIn\\fR\nended by signal \\fIn\\fR\n");
}

static void add_command(tm_buf *out, const tm_command *c)
{
    add_head(out, c->name);
    add_sentence(out, c->brief);
    tm_buf_fmt(out, ".SH SYNOPSIS\n.B tidemill %s\n[\\fIOPTION\\fR]...\n", c->name);
    if (c->usage[0]) {
        add_usage(out, c->usage);
        tm_buf_char(out, '\n');
    }
    tm_buf_str(out, ".SH DESCRIPTION\n");
    add_prose(out, c->brief);
    tm_buf_str(out, "Results go to standard output, everything else to standard error.\n.SH OPTIONS\n");
    add_flags(out, c->flags);
    add_flags(out, tm_common_flags);
    if (c->example) {
        tm_buf_str(out, ".SH EXAMPLES\n.EX\n");
        add_lines(out, c->example, " \\");
        tm_buf_str(out, ".EE\n");
    }
    add_exits(out);
    tm_buf_str(out, ".SH SEE ALSO\n.BR tidemill (1)\n");
}

static void add_commands(tm_buf *out)
{
    for (const tm_command *const *c = tm_commands; *c; c++) {
        tm_buf_fmt(out, ".TP\n\\fBtidemill %s\\fR ", (*c)->name);
        add_usage(out, (*c)->usage);
        tm_buf_char(out, '\n');
        add_prose(out, (*c)->brief);
    }
}

static void add_see_also(tm_buf *out)
{
    tm_buf_str(out, ".SH SEE ALSO\n");
    for (const tm_command *const *c = tm_commands; *c; c++)
        tm_buf_fmt(out, ".BR tidemill\\-%s (1)%s\n", (*c)->name, c[1] ? "," : "");
}

static const char about[] =
    ".SH DESCRIPTION\n"
    "Tidemill makes language models from a graph file.\n"
    "The file is written in Lua and describes the whole path,\n"
    "from raw documents to a model that answers:\n"
    "what to read, how to clean it, what to train from it,\n"
    "what to judge and to export.\n"
    "Running it streams between the stages, keeps every result,\n"
    "and never does the same work twice.\n"
    ".PP\n"
    "Every command takes \\fB\\-\\-json\\fR for its result, or its errors,\n"
    "as one JSON object, and \\fB\\-\\-help\\fR.\n";

static const char around[] =
    ".SH ADDRESSES\n"
    "Results are named\n"
    "[\\fIRUN\\fR:]\\fINODE\\fR[/\\fISTEP\\fR][.\\fIPORT\\fR][@best|@latest|@\\fISTEP\\fR].\n"
    "Without a run it is the latest in which the node has a result.\n"
    ".TP\n.B r12:clean/gopher.removed\n"
    "what the step gopher of the node clean removed in run 12\n"
    ".TP\n.B base@best\nthe snapshot of base with the least valid.loss\n"
    ".TP\n.B base@300\nthe snapshot of step 300; base.metrics@300 is what was measured of it\n"
    ".SH FILES\n.TP\n.I .tidemill\n"
    "the store: the nearest upward from the graph,\n"
    "else at the root of the git work tree\n"
    ".TP\n.I tidemill.lock\nwhat a run is pinned to\n"
    ".TP\n.I .luals/tidemill.lua\ndefinitions for editors\n"
    ".SH ENVIRONMENT\n.TP\n.B TM_CPU\n"
    "the best instruction set to use: avx512, avx2 or base\n"
    ".TP\n.B NO_COLOR\nno colours on a terminal\n";

void tm_manual(const tm_command *command, tm_buf *page)
{
    if (command) {
        add_command(page, command);
        return;
    }
    add_head(page, NULL);
    tm_buf_str(page, "language models from a graph file\n"
                     ".SH SYNOPSIS\n.B tidemill\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n");
    tm_buf_str(page, about);
    tm_buf_str(page, ".SH COMMANDS\n");
    add_commands(page);
    tm_buf_str(page, around);
    add_exits(page);
    add_see_also(page);
}
