// SPDX-License-Identifier: Apache-2.0
// Requirements: parsed into steps for a stack of numbers (true is 1), then run.
#include "stages/judge/requirement.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_STEPS 256
#define MAX_NAMES 64
#define MAX_DEPTH 32
#define MAX_NAME 200

typedef enum {
    NUMBER,
    NAME,
    NEGATE,
    ADD,
    SUBTRACT,
    MULTIPLY,
    DIVIDE,
    LESS,
    MORE,
    AT_MOST,
    AT_LEAST,
    EQUAL,
    AND,
    OR
} op;

typedef struct step {
    op op;
    double number;
    size_t name;
} step;

struct tm_requirement {
    step steps[MAX_STEPS];
    size_t n_steps;
    char names[MAX_NAMES][MAX_NAME];
    size_t n_names;
};

typedef enum { A_NUMBER, A_TRUTH } kind; // what a part of the text gives

typedef struct parser {
    tm_requirement *r;
    const char *text, *at;
    int depth;
    tm_error *err;
} parser;

static tm_status fault(const parser *p, const char *what)
{
    int before = (int)(p->at - p->text);
    if (!before) return tm_fail(p->err, TM_EINVAL, "the requirement %s", what);
    return tm_fail(p->err, TM_EINVAL, "the requirement %s behind `%.*s`", what, before, p->text);
}

static void skip_space(parser *p)
{
    while (isspace((unsigned char)*p->at)) p->at++;
}

static tm_status emit(parser *p, step s)
{
    if (p->r->n_steps == MAX_STEPS) return fault(p, "is too long");
    p->r->steps[p->r->n_steps++] = s;
    return TM_OK;
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

// A word that is no part of a longer name.
static bool take_word(parser *p, const char *word)
{
    size_t n = strlen(word);
    skip_space(p);
    if (strncmp(p->at, word, n) != 0 || is_name(p->at[n])) return false;
    p->at += n;
    return true;
}

static bool take_sign(parser *p, const char *sign)
{
    size_t n = strlen(sign);
    skip_space(p);
    if (strncmp(p->at, sign, n) != 0) return false;
    p->at += n;
    return true;
}

static tm_status parse_or(parser *p, kind *gives);

static tm_status parse_name(parser *p)
{
    char name[MAX_NAME];
    size_t n = 0;
    bool quoted = false;
    const char *start = p->at;
    for (; quoted || is_name(*p->at) || *p->at == '\''; p->at++) {
        if (!*p->at || n + 1 == sizeof name) break;
        if (*p->at == '\'')
            quoted = !quoted;
        else
            name[n++] = *p->at;
    }
    name[n] = 0;
    if (quoted) {
        p->at = start;
        return fault(p, "has a quote that is not closed");
    }
    if (n + 1 == sizeof name) return fault(p, "has a name that is too long");
    size_t i = 0;
    while (i < p->r->n_names && strcmp(p->r->names[i], name) != 0) i++;
    if (i == MAX_NAMES) return fault(p, "has too many names");
    if (i == p->r->n_names) snprintf(p->r->names[p->r->n_names++], MAX_NAME, "%s", name);
    return emit(p, (step){.op = NAME, .name = i});
}

static tm_status parse_group(parser *p, kind *gives)
{
    if (++p->depth > MAX_DEPTH) return fault(p, "is nested too deep");
    TM_TRY(parse_or(p, gives));
    if (!take_sign(p, ")")) return fault(p, "wants a closing parenthesis");
    p->depth--;
    return TM_OK;
}

static tm_status parse_factor(parser *p, kind *gives)
{
    *gives = A_NUMBER;
    skip_space(p);
    if (take_sign(p, "(")) return parse_group(p, gives);
    if (take_sign(p, "-")) {
        if (++p->depth > MAX_DEPTH) return fault(p, "is nested too deep");
        TM_TRY(parse_factor(p, gives));
        p->depth--;
        if (*gives != A_NUMBER) return fault(p, "wants a number, not a comparison,");
        return emit(p, (step){.op = NEGATE});
    }
    if (isdigit((unsigned char)*p->at) || (*p->at == '.' && isdigit((unsigned char)p->at[1]))) {
        char *end;
        double number = strtod(p->at, &end);
        p->at = end;
        if (is_name(*end)) return fault(p, "has letters");
        return emit(p, (step){.op = NUMBER, .number = number});
    }
    if (isalpha((unsigned char)*p->at) || *p->at == '_' || *p->at == '\'') return parse_name(p);
    return fault(p,
                 *p->at ? "wants a number or the name of a metric" : "ends: a number or a name is missing");
}

// One level of operators: reads `inner { operator inner }`.
typedef struct level {
    struct {
        const char *sign;
        op op;
    } ops[2];
    tm_status (*inner)(parser *p, kind *gives);
    kind of;
    bool words;
} level;

static tm_status parse_level(parser *p, const level *l, kind *gives)
{
    TM_TRY(l->inner(p, gives));
    for (;;) {
        int i = 0;
        while (i < 2 && l->ops[i].sign &&
               !(l->words ? take_word(p, l->ops[i].sign) : take_sign(p, l->ops[i].sign)))
            i++;
        if (i == 2 || !l->ops[i].sign) return TM_OK;
        kind right;
        bool left_good = *gives == l->of;
        if (left_good) TM_TRY(l->inner(p, &right));
        if (!left_good || right != l->of)
            return fault(p, l->of == A_NUMBER ? "computes with a comparison"
                                              : "wants comparisons on both sides");
        TM_TRY(emit(p, (step){.op = l->ops[i].op}));
    }
}

static tm_status parse_product(parser *p, kind *gives)
{
    static const level l = {{{"*", MULTIPLY}, {"/", DIVIDE}}, parse_factor, A_NUMBER, false};
    return parse_level(p, &l, gives);
}

static tm_status parse_sum(parser *p, kind *gives)
{
    static const level l = {{{"+", ADD}, {"-", SUBTRACT}}, parse_product, A_NUMBER, false};
    return parse_level(p, &l, gives);
}

static bool take_comparison(parser *p, op *found)
{
    static const struct {
        const char *sign;
        op op;
    } all[] = {{"<=", AT_MOST}, {">=", AT_LEAST}, {"==", EQUAL}, {"<", LESS}, {">", MORE}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (take_sign(p, all[i].sign)) {
            *found = all[i].op;
            return true;
        }
    return false;
}

static tm_status parse_comparison(parser *p, kind *gives)
{
    op found;
    kind right;
    TM_TRY(parse_sum(p, gives));
    if (!take_comparison(p, &found)) return TM_OK;
    if (*gives != A_NUMBER) return fault(p, "compares a comparison: join two with `and`,");
    TM_TRY(parse_sum(p, &right));
    if (right != A_NUMBER) return fault(p, "compares with a comparison");
    *gives = A_TRUTH;
    TM_TRY(emit(p, (step){.op = found}));
    return take_comparison(p, &found) ? fault(p, "compares a comparison: join two with `and`,") : TM_OK;
}

static tm_status parse_and(parser *p, kind *gives)
{
    static const level l = {{{"and", AND}, {NULL, AND}}, parse_comparison, A_TRUTH, true};
    return parse_level(p, &l, gives);
}

static tm_status parse_or(parser *p, kind *gives)
{
    static const level l = {{{"or", OR}, {NULL, OR}}, parse_and, A_TRUTH, true};
    return parse_level(p, &l, gives);
}

static tm_status parse(parser *p)
{
    kind gives;
    TM_TRY(parse_or(p, &gives));
    skip_space(p);
    if (*p->at) return fault(p, "goes on where it should end,");
    if (gives == A_TRUTH) return TM_OK;
    return tm_fail(p->err, TM_EINVAL, "the requirement compares nothing: `%.200s` is a number", p->text);
}

tm_status tm_requirement_parse(const char *text, tm_requirement **requirement, tm_error *err)
{
    parser p = {.text = text, .at = text, .err = err, .r = tm_calloc(1, sizeof *p.r)};
    if (!p.r) return tm_fail(err, TM_ENOMEM, "no memory for a requirement");
    tm_status status = parse(&p);
    if (status < 0)
        tm_free(p.r);
    else
        *requirement = p.r;
    return status;
}

void tm_requirement_free(tm_requirement *requirement)
{
    tm_free(requirement);
}

const char *tm_requirement_name(const tm_requirement *requirement, size_t i)
{
    return i < requirement->n_names ? requirement->names[i] : NULL;
}

static double apply(op what, double a, double b)
{
    bool finite = isfinite(a) && isfinite(b);
    switch (what) {
    case ADD: return a + b;
    case SUBTRACT: return a - b;
    case MULTIPLY: return a * b;
    case DIVIDE: return a / b;
    case LESS: return finite && a < b;
    case MORE: return finite && a > b;
    case AT_MOST: return finite && a <= b;
    case AT_LEAST: return finite && a >= b;
    case EQUAL: return finite && a == b;
    case AND: return a != 0 && b != 0;
    case OR: return a != 0 || b != 0;
    default: return 0;
    }
}

bool tm_requirement_holds(const tm_requirement *r, const double *values)
{
    double stack[MAX_STEPS] = {0};
    size_t n = 0;
    for (size_t i = 0; i < r->n_steps; i++) {
        const step *s = &r->steps[i];
        if (s->op == NUMBER)
            stack[n++] = s->number;
        else if (s->op == NAME)
            stack[n++] = values[s->name];
        else if (s->op == NEGATE)
            stack[n - 1] = -stack[n - 1];
        else {
            n--;
            stack[n - 1] = apply(s->op, stack[n - 1], stack[n]);
        }
    }
    return stack[0] != 0;
}
