// SPDX-License-Identifier: Apache-2.0
// Conditions on runs: a recursive descent to a list of nodes, then a walk over them.
#include "lua/past/where.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/nearest.h"
#include "lua/past/graph_name.h"

enum { MAX_NODES = 256, MAX_DEPTH = 40, MAX_TEXT = 2000, MAX_WORD = 200 };

typedef enum { OR, AND, NOT, HAS, LESS, LESS_EQUAL, MORE, MORE_EQUAL, EQUAL, OTHER, CONTAINS } relation;

typedef struct word {
    char text[MAX_WORD];
    int at; // in the condition
    bool quoted;
} word;

typedef struct node {
    relation is;
    int left, right; // of OR, AND, NOT
    word name, value;
} node;

struct tm_where {
    char text[MAX_TEXT];
    node nodes[MAX_NODES];
    int n, root;
};

typedef struct parser {
    tm_where *w;
    const char *at;
    int depth;
    tm_error *err;
} parser;

// ---- errors ----

static tm_status fault_at(const tm_where *w, int at, int size, tm_error *err, const char *what)
{
    char marks[MAX_WORD];
    int n = size < 1 ? 1 : size < MAX_WORD - 1 ? size : MAX_WORD - 1;
    memset(marks, '^', (size_t)n);
    marks[n] = 0;
    return tm_fail(err, TM_EINVAL, "%s\n  %s\n  %*s%s", what, w->text, at, "", marks);
}

static tm_status fault(const parser *p, const char *what)
{
    int size = (int)strcspn(p->at, " \t()");
    return fault_at(p->w, (int)(p->at - p->w->text), size, p->err, what);
}

// ---- parsing ----

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("._-/:@+", c)) || (unsigned char)c >= 0x80;
}

static void skip_space(parser *p)
{
    while (isspace((unsigned char)*p->at)) p->at++;
}

static bool take_sign(parser *p, const char *sign)
{
    skip_space(p);
    if (strncmp(p->at, sign, strlen(sign)) != 0) return false;
    p->at += strlen(sign);
    return true;
}

static bool take_keyword(parser *p, const char *text, const char *sign)
{
    size_t n = strlen(text);
    skip_space(p);
    if (strncmp(p->at, text, n) != 0 || in_word(p->at[n])) return take_sign(p, sign);
    p->at += n;
    return true;
}

static tm_status take_word(parser *p, word *out, const char *what)
{
    skip_space(p);
    const char *from = p->at;
    char quote = *from == '\'' || *from == '"' ? *from : 0;
    *out = (word){.at = (int)(from - p->w->text), .quoted = quote != 0};
    size_t n = 0;
    if (quote)
        n = strcspn(++from, quote == '"' ? "\"" : "'");
    else
        while (in_word(from[n])) n++;
    if (quote && !from[n]) return fault(p, "a quote is not closed");
    if (n == 0 && !quote) return fault(p, what);
    if (n >= MAX_WORD) return fault(p, "this is too long");
    snprintf(out->text, MAX_WORD, "%.*s", (int)n, from);
    p->at = from + n + (quote != 0);
    return TM_OK;
}

static tm_status new_node(parser *p, node n, int *index)
{
    if (p->w->n == MAX_NODES) return fault(p, "the condition is too long");
    p->w->nodes[ *index = p->w->n++] = n;
    return TM_OK;
}

static bool take_comparison(parser *p, relation *is)
{
    static const struct {
        const char *sign;
        relation is;
    } signs[] = {{"<=", LESS_EQUAL}, {"<", LESS},   {">=", MORE_EQUAL}, {">", MORE},    {"==", EQUAL},
                 {"=", EQUAL},       {"!=", OTHER}, {"~=", OTHER},      {"~", CONTAINS}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (take_sign(p, signs[i].sign)) {
            *is = signs[i].is;
            return true;
        }
    return false;
}

static tm_status parse_or(parser *p, int *index);

static tm_status parse_one(parser *p, int *index)
{
    node n = {.is = HAS};
    if (take_sign(p, "(")) {
        if (++p->depth > MAX_DEPTH) return fault(p, "the condition is nested too deep");
        TM_TRY(parse_or(p, index));
        p->depth--;
        return take_sign(p, ")") ? TM_OK : fault(p, "a ) is missing here");
    }
    if (take_keyword(p, "not", "!")) {
        if (++p->depth > MAX_DEPTH) return fault(p, "the condition is nested too deep");
        n.is = NOT;
        TM_TRY(parse_one(p, &n.left));
        p->depth--;
        return new_node(p, n, index);
    }
    TM_TRY(take_word(p, &n.name, "a name is due here, as valid.loss is"));
    if (take_comparison(p, &n.is)) TM_TRY(take_word(p, &n.value, "a value is due here"));
    return new_node(p, n, index);
}

static tm_status parse_and(parser *p, int *index)
{
    TM_TRY(parse_one(p, index));
    while (take_keyword(p, "and", "&&")) {
        node n = {.is = AND, .left = *index};
        TM_TRY(parse_one(p, &n.right));
        TM_TRY(new_node(p, n, index));
    }
    return TM_OK;
}

static tm_status parse_or(parser *p, int *index)
{
    TM_TRY(parse_and(p, index));
    while (take_keyword(p, "or", "||")) {
        node n = {.is = OR, .left = *index};
        TM_TRY(parse_and(p, &n.right));
        TM_TRY(new_node(p, n, index));
    }
    return TM_OK;
}

static tm_status parse_all(parser *p)
{
    TM_TRY(parse_or(p, &p->w->root));
    skip_space(p);
    return *p->at ? fault(p, "`and`, `or` or the end is due here") : TM_OK;
}

tm_status tm_where_parse(const char *text, tm_where **where, tm_error *err)
{
    *where = NULL;
    if (strlen(text) >= MAX_TEXT) return tm_fail(err, TM_EINVAL, "the condition is too long");
    tm_where *w = tm_calloc(1, sizeof *w);
    if (!w) return tm_fail(err, TM_ENOMEM, "no memory for a condition");
    for (size_t i = 0; text[i]; i++) w->text[i] = (unsigned char)text[i] < 32 ? ' ' : text[i];
    parser p = {.w = w, .at = w->text, .err = err};
    tm_status status = parse_all(&p);
    if (status < 0)
        tm_where_free(w);
    else
        *where = w;
    return status;
}

void tm_where_free(tm_where *where)
{
    tm_free(where);
}

// ---- names ----

static bool compares(const node *n)
{
    return n->is >= HAS;
}

const char *tm_where_name(const tm_where *w, size_t i)
{
    for (int k = 0; k < w->n; k++)
        if (compares(&w->nodes[k]) && i-- == 0) return w->nodes[k].name.text;
    return NULL;
}

// ---- values ----

static bool number_of(const char *text, double *number)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
    char *end;
    *number = strtod(text, &end);
    if (end == text) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].name) == 0) {
            *number *= units[i].seconds;
            return true;
        }
    return false;
}

// A day or a minute of local time, as seconds since 1970.
static bool time_of(const char *text, double *seconds)
{
    time_t now = (time_t)(tm_time_ms() / 1000);
    struct tm parts = {.tm_isdst = -1}, today;
    int n = 0, back = strcmp(text, "yesterday") == 0;
    if (!localtime_r(&now, &today)) return false;
    if (back || strcmp(text, "today") == 0) {
        parts.tm_year = today.tm_year;
        parts.tm_mon = today.tm_mon;
        parts.tm_mday = today.tm_mday - back;
    } else {
        int got = sscanf(text, "%4d-%2d-%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &n);
        if (got != 3) return false;
        if (text[n] && (sscanf(text + n, "T%2d:%2d", &parts.tm_hour, &parts.tm_min) != 2)) return false;
        parts.tm_year -= 1900;
        parts.tm_mon--;
    }
    *seconds = (double)mktime(&parts);
    return true;
}

static bool ordered(relation is, double order)
{
    switch (is) {
    case LESS: return order < 0;
    case LESS_EQUAL: return order <= 0;
    case MORE: return order > 0;
    case MORE_EQUAL: return order >= 0;
    case EQUAL: return order == 0;
    default: return order != 0;
    }
}

static bool tags_hold(const node *n, const tm_fact *fact)
{
    size_t i;
    json_t *tag;
    bool found = false;
    json_array_foreach((json_t *)fact->tags, i, tag)
    {
        const char *text = json_string_value(tag);
        found |= n->is == CONTAINS ? strstr(text, n->value.text) != NULL : strcmp(text, n->value.text) == 0;
    }
    return n->is == OTHER ? !found : found;
}

// A number is compared with a word that is none, and no name of one.
static bool no_number(const node *n, const json_t *names, const tm_past *runs, size_t n_runs)
{
    double number;
    bool some = false;
    if (n->is <= HAS || n->is == CONTAINS || json_object_get(names, n->value.text)) return false;
    if (number_of(n->value.text, &number)) return false;
    if (strcmp(n->name.text, "when") == 0 && time_of(n->value.text, &number)) return false;
    for (size_t i = 0; i < n_runs; i++) {
        tm_fact fact = tm_fact_of(&runs[i], n->name.text);
        if (fact.kind != TM_FACT_NONE && fact.kind != TM_FACT_NUMBER) return false;
        some |= fact.kind == TM_FACT_NUMBER;
    }
    return some;
}

static tm_status check_name(const tm_where *w, const word *name, const json_t *names, tm_error *err)
{
    char what[MAX_WORD + 64];
    const char *near = tm_nearest_key(names, name->text);
    if (json_object_get(names, name->text)) return TM_OK;
    snprintf(what, sizeof what, "no run here has a \"%s\"", name->text);
    fault_at(w, name->at, (int)strlen(name->text) + 2 * name->quoted, err, what);
    if (near)
        tm_hint(err, "did you mean %s?", near);
    else
        tm_hint(err, "names are those of parameters and metrics, and run, status, seconds, age, when, "
                     "graph, note, tag, done, cached, failed, smoke; took and ran are seconds and done");
    return TM_EINVAL;
}

tm_status tm_where_check(const tm_where *w, const json_t *names, const tm_past *runs, size_t n_runs,
                         tm_error *err)
{
    for (int k = 0; k < w->n; k++) {
        const node *n = &w->nodes[k];
        char what[2 * MAX_WORD + 64];
        if (!compares(n)) continue;
        TM_TRY(check_name(w, &n->name, names, err));
        if (!no_number(n, names, runs, n_runs)) continue;
        snprintf(what, sizeof what, "%s is a number in every run that has it, and \"%s\" is none",
                 n->name.text, n->value.text);
        fault_at(w, n->value.at, (int)strlen(n->value.text) + 2 * n->value.quoted, err, what);
        tm_hint(err, "write a number (of seconds also 90s, 5min, 2h, 3d), or the name of another fact");
        return TM_EINVAL;
    }
    return TM_OK;
}

// "smoke", "smoke == true", "smoke != false".
static bool smoke_holds(const node *n, const tm_fact *fact)
{
    bool smoke = fact->kind != TM_FACT_NONE, wanted = strcmp(n->value.text, "false") != 0;
    return (smoke == wanted) == (n->is != OTHER);
}

static bool compare(const node *n, const tm_past *past)
{
    tm_fact fact = tm_fact_of(past, n->name.text), other = {0};
    double number;
    if (n->is != HAS && strcmp(n->name.text, "smoke") == 0) return smoke_holds(n, &fact);
    if ((n->is == EQUAL || n->is == OTHER) && strcmp(n->name.text, "graph") == 0)
        return tm_graph_is(past->record, n->value.text) == (n->is == EQUAL);
    if (n->is == HAS || fact.kind == TM_FACT_NONE) return n->is == HAS && fact.kind != TM_FACT_NONE;
    if (fact.kind == TM_FACT_TAGS) return tags_hold(n, &fact);
    if (n->is == CONTAINS) return strstr(fact.text, n->value.text) != NULL;
    if (fact.kind == TM_FACT_TEXT) return ordered(n->is, strcmp(fact.text, n->value.text));
    if (strcmp(n->name.text, "when") == 0 && time_of(n->value.text, &number))
        return ordered(n->is, fact.number - number);
    if (number_of(n->value.text, &number)) return ordered(n->is, fact.number - number);
    other = tm_fact_of(past, n->value.text);
    return other.kind == TM_FACT_NUMBER && ordered(n->is, fact.number - other.number);
}

static bool holds(const tm_where *w, int i, const tm_past *past)
{
    const node *n = &w->nodes[i];
    switch (n->is) {
    case OR: return holds(w, n->left, past) || holds(w, n->right, past);
    case AND: return holds(w, n->left, past) && holds(w, n->right, past);
    case NOT: return !holds(w, n->left, past);
    default: return compare(n, past);
    }
}

bool tm_where_holds(const tm_where *where, const tm_past *past)
{
    return holds(where, where->root, past);
}
