// SPDX-License-Identifier: Apache-2.0
// The tree of a template from its words (jinja2/parser.py's grammar and precedence).
#include <stdio.h>

#include "stages/text/template_eval.h"

typedef struct parser {
    const tm_tword *at;
    tm_tarena *arena;
    tm_error *err;
    int depth, loops;
    bool marks, failed;
} parser;

// ---- words ----

static tm_tnode *fail(parser *p, tm_status status, const char *what)
{
    if (!p->failed) tm_fail(p->err, status, "line %d: %s", p->at->line, what);
    p->failed = true;
    return NULL;
}

// What is to come is `what`, or the parser fails.
static void *expected(parser *p, const char *what)
{
    static const char *const kinds[] = {"the end", "text",   "{{",       "}}",       "{%", "%}",
                                        "",        "a text", "a number", "a number", ""};
    char text[160];
    const char *kind = kinds[p->at->kind];
    snprintf(text, sizeof text, "%s is expected, not %s%s%.*s", what, kind, kind[0] ? "" : "\"",
             kind[0] ? 0 : (int)(p->at->text.size < 60 ? p->at->text.size : 60),
             p->at->text.data ? p->at->text.data : "");
    if (!kind[0]) strcat(text, "\"");
    return fail(p, TM_EFORMAT, text);
}

static bool is(const parser *p, tm_tword_kind kind, const char *text)
{
    return p->at->kind == kind && tm_view_eq(p->at->text, tm_view_str(text));
}

static bool take(parser *p, tm_tword_kind kind, const char *text)
{
    bool there = is(p, kind, text);
    if (there) p->at++;
    return there;
}

static bool take_operator(parser *p, const char *text)
{
    return take(p, TM_TW_OPERATOR, text);
}

static bool take_name(parser *p, const char *text)
{
    return take(p, TM_TW_NAME, text);
}

static bool need_operator(parser *p, const char *text)
{
    if (take_operator(p, text)) return true;
    char quoted[16];
    snprintf(quoted, sizeof quoted, "\"%s\"", text);
    return expected(p, quoted) != NULL;
}

static tm_tnode *new_node(parser *p, tm_tnode_kind kind)
{
    tm_tnode *node = tm_tarena_get(p->arena, sizeof *node);
    if (!node) return fail(p, TM_ENOMEM, "the template needs too much memory");
    *node = (tm_tnode){.kind = kind, .line = p->at->line};
    return node;
}

static tm_tnode *node_of(parser *p, tm_tnode_kind kind, tm_tnode *a, tm_tnode *b)
{
    tm_tnode *node = new_node(p, kind);
    if (node) {
        node->a = a;
        node->b = b;
    }
    return p->failed ? NULL : node;
}

// Expressions and blocks inside each other. What goes in must come out.
static bool enter(parser *p)
{
    if (p->depth++ < TM_TEMPLATE_NESTING) return true;
    fail(p, TM_EFORMAT, "the template nests too deep");
    return false;
}

// ---- expressions, from what binds least to what binds most ----

static tm_tnode *expression(parser *p);
static tm_tnode *either(parser *p);
static tm_tnode *unary(parser *p, bool filters);

static tm_tnode *need_name(parser *p, tm_tnode_kind kind)
{
    if (p->at->kind != TM_TW_NAME) return expected(p, "a name");
    tm_tnode *node = new_node(p, kind);
    if (node) node->text = p->at->text;
    p->at++;
    return node;
}

// a, b=c) with the open parenthesis read.
static tm_tnode *arguments(parser *p)
{
    tm_tnode *first = NULL, **last = &first;
    bool named = false;
    while (!p->failed && !take_operator(p, ")")) {
        if (first && !need_operator(p, ",")) break;
        if (first && take_operator(p, ")")) break;
        if (is(p, TM_TW_OPERATOR, "*") || is(p, TM_TW_OPERATOR, "**"))
            return fail(p, TM_EUNSUPPORTED, "* and ** in a call are not known here");
        bool keyword = p->at->kind == TM_TW_NAME && p->at[1].kind == TM_TW_OPERATOR &&
                       tm_view_eq(p->at[1].text, tm_view_str("="));
        tm_tnode *argument = keyword ? need_name(p, TM_TN_KEYWORD) : expression(p);
        if (keyword) {
            p->at++;
            argument->a = expression(p);
        } else if (named)
            return fail(p, TM_EFORMAT, "an argument without a name stands behind one with a name");
        named |= keyword;
        if (p->failed) return NULL;
        *last = argument;
        last = &argument->next;
    }
    return first;
}

static tm_tnode *constant(parser *p, tm_tval value)
{
    tm_tnode *node = new_node(p, TM_TN_CONST);
    if (node) node->value = value;
    p->at++;
    return node;
}

static tm_tnode *name_or_constant(parser *p)
{
    static const struct {
        const char *name;
        tm_tval value;
    } constants[] = {
        {"true", {.kind = TM_TV_BOOL, .truth = true}},
        {"True", {.kind = TM_TV_BOOL, .truth = true}},
        {"false", {.kind = TM_TV_BOOL}},
        {"False", {.kind = TM_TV_BOOL}},
        {"none", {.kind = TM_TV_NONE}},
        {"None", {.kind = TM_TV_NONE}},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (is(p, TM_TW_NAME, constants[i].name)) return constant(p, constants[i].value);
    return need_name(p, TM_TN_NAME);
}

static tm_tnode *string(parser *p)
{
    tm_view text = p->at->text;
    tm_tval joined = tm_tv_text(text);
    while (p->at[1].kind == TM_TW_STRING) { // "a" "b"
        p->at++;
        char *both = tm_tarena_get(p->arena, joined.text.size + p->at->text.size + 1);
        if (!both) return fail(p, TM_ENOMEM, "the template needs too much memory");
        memcpy(both, joined.text.data, joined.text.size);
        memcpy(both + joined.text.size, p->at->text.data, p->at->text.size);
        joined.text = tm_view_of(both, joined.text.size + p->at->text.size);
    }
    return constant(p, joined);
}

// Items up to `close`; `comma` says whether there was one behind the last.
static tm_tnode *items(parser *p, const char *close, bool *comma)
{
    tm_tnode *first = NULL, **last = &first;
    *comma = false;
    while (!p->failed && !take_operator(p, close)) {
        if (first && !*comma) return expected(p, "\",\"");
        tm_tnode *item = expression(p);
        if (!item) return NULL;
        *last = item;
        last = &item->next;
        *comma = take_operator(p, ",");
    }
    return first;
}

static tm_tnode *parenthesized(parser *p)
{
    bool comma;
    tm_tnode *list = items(p, ")", &comma);
    if (list && !list->next && !comma) return list;
    return node_of(p, TM_TN_TUPLE, list, NULL);
}

static tm_tnode *dictionary(parser *p)
{
    tm_tnode *first = NULL, **last = &first;
    while (!p->failed && !take_operator(p, "}")) {
        if (first && (!need_operator(p, ",") || take_operator(p, "}"))) break;
        tm_tnode *key = expression(p);
        if (!key || !need_operator(p, ":")) return NULL;
        key->next = expression(p);
        if (!key->next) return NULL;
        *last = key;
        last = &key->next->next;
    }
    return node_of(p, TM_TN_DICT, first, NULL);
}

static tm_tnode *primary(parser *p)
{
    bool comma;
    if (p->at->kind == TM_TW_NAME) return name_or_constant(p);
    if (p->at->kind == TM_TW_STRING) return string(p);
    if (p->at->kind == TM_TW_INT || p->at->kind == TM_TW_FLOAT) return constant(p, p->at->value);
    if (take_operator(p, "(")) return parenthesized(p);
    if (take_operator(p, "{")) return dictionary(p);
    if (!take_operator(p, "[")) return expected(p, "a value");
    tm_tnode *list = items(p, "]", &comma);
    return node_of(p, TM_TN_LIST, list, NULL);
}

static bool ends_part(const parser *p)
{
    return is(p, TM_TW_OPERATOR, ":") || is(p, TM_TW_OPERATOR, "]");
}

// Behind the "[".
static tm_tnode *subscript(parser *p, tm_tnode *of)
{
    tm_tnode *parts[3] = {0};
    int n = 0;
    bool slice = false;
    for (; n < 3; n++) {
        if (!ends_part(p)) parts[n] = expression(p);
        if (p->failed) return NULL;
        if (!take_operator(p, ":")) break;
        slice = true;
    }
    if (is(p, TM_TW_OPERATOR, ",")) return fail(p, TM_EUNSUPPORTED, "several subscripts are not known here");
    if (!need_operator(p, "]")) return NULL;
    if (!slice && !parts[0]) return expected(p, "a subscript");
    tm_tnode *node = node_of(p, slice ? TM_TN_SLICE : TM_TN_ITEM, of, parts[0]);
    if (node) {
        node->c = parts[1];
        node->d = parts[2];
    }
    return node;
}

static tm_tnode *member(parser *p, tm_tnode *of)
{
    if (p->at->kind == TM_TW_INT) { // x.0
        tm_tnode *index = constant(p, p->at->value);
        return node_of(p, TM_TN_ITEM, of, index);
    }
    tm_tnode *node = need_name(p, TM_TN_MEMBER);
    if (node) node->a = of;
    return node;
}

static tm_tnode *postfix(parser *p, tm_tnode *node)
{
    while (node && !p->failed) {
        if (take_operator(p, "."))
            node = member(p, node);
        else if (take_operator(p, "["))
            node = subscript(p, node);
        else if (take_operator(p, "(")) {
            tm_tnode *of = node;
            node = node_of(p, TM_TN_CALL, of, arguments(p));
        } else
            break;
    }
    return node;
}

static tm_tnode *filter(parser *p, tm_tnode *of)
{
    tm_tnode *node = need_name(p, TM_TN_FILTER);
    if (!node) return NULL;
    node->row = tm_template_filter_find(node->text);
    if (node->row < 0)
        return fail(p, TM_EUNSUPPORTED, tm_template_unknown("filter", node->text, (char[96]){0}));
    node->a = of;
    if (take_operator(p, "(")) node->b = arguments(p);
    return p->failed ? NULL : node;
}

// Whether a test is followed by an argument without parentheses: `is divisibleby 3`.
static bool argument_follows(const parser *p)
{
    static const char *const ends[] = {"else", "or", "and", "if", "is", "in", "not"};
    if (p->at->kind == TM_TW_NAME) {
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            if (is(p, TM_TW_NAME, ends[i])) return false;
        return true;
    }
    return p->at->kind == TM_TW_STRING || p->at->kind == TM_TW_INT || p->at->kind == TM_TW_FLOAT ||
           is(p, TM_TW_OPERATOR, "[") || is(p, TM_TW_OPERATOR, "{");
}

static tm_tnode *test(parser *p, tm_tnode *of)
{
    bool negated = take_name(p, "not");
    tm_tnode *node = need_name(p, TM_TN_TEST);
    if (!node) return NULL;
    node->row = tm_template_test_find(node->text);
    if (node->row < 0)
        return fail(p, TM_EUNSUPPORTED, tm_template_unknown("test", node->text, (char[96]){0}));
    node->a = of;
    if (take_operator(p, "("))
        node->b = arguments(p);
    else if (argument_follows(p))
        node->b = postfix(p, primary(p));
    if (p->failed) return NULL;
    return negated ? node_of(p, TM_TN_NOT, node, NULL) : node;
}

static tm_tnode *filters_of(parser *p, tm_tnode *node)
{
    while (node && !p->failed) {
        if (take_operator(p, "|"))
            node = filter(p, node);
        else if (take_name(p, "is"))
            node = test(p, node);
        else if (take_operator(p, "(")) {
            tm_tnode *of = node;
            node = node_of(p, TM_TN_CALL, of, arguments(p));
        } else
            break;
    }
    return node;
}

static tm_tnode *unary(parser *p, bool filters)
{
    tm_tnode *node;
    if (!enter(p)) return NULL;
    if (take_operator(p, "-"))
        node = node_of(p, TM_TN_NEGATE, unary(p, false), NULL);
    else if (take_operator(p, "+"))
        node = unary(p, false);
    else
        node = primary(p);
    node = postfix(p, node);
    if (filters) node = filters_of(p, node);
    p->depth--;
    return p->failed ? NULL : node;
}

static tm_tnode *binary(parser *p, tm_top op, tm_tnode *a, tm_tnode *b)
{
    tm_tnode *node = node_of(p, TM_TN_BINARY, a, b);
    if (node) node->op = op;
    return node;
}

static tm_tnode *power(parser *p)
{
    tm_tnode *node = unary(p, true);
    while (!p->failed && take_operator(p, "**")) node = binary(p, TM_TO_POWER, node, unary(p, true));
    return node;
}

static tm_tnode *product(parser *p)
{
    static const char *const names[] = {"*", "/", "//", "%"};
    tm_tnode *node = power(p);
    while (!p->failed) {
        int op = 0;
        while (op < 4 && !take_operator(p, names[op])) op++;
        if (op == 4) break;
        node = binary(p, (tm_top)(TM_TO_MULTIPLY + op), node, power(p));
    }
    return node;
}

static tm_tnode *join(parser *p)
{
    tm_tnode *first = product(p), *last = first;
    if (p->failed || !is(p, TM_TW_OPERATOR, "~")) return first;
    tm_tnode *node = node_of(p, TM_TN_JOIN, first, NULL);
    while (!p->failed && take_operator(p, "~")) {
        last->next = product(p);
        last = last->next;
    }
    return node;
}

static tm_tnode *sum(parser *p)
{
    tm_tnode *node = join(p);
    for (bool plus; !p->failed && ((plus = take_operator(p, "+")) || take_operator(p, "-"));)
        node = binary(p, plus ? TM_TO_ADD : TM_TO_SUBTRACT, node, join(p));
    return node;
}

// The comparison that is read, or -1.
static int comparison_operator(parser *p)
{
    static const char *const names[] = {"==", "!=", "<", "<=", ">", ">="};
    for (int i = 0; i < 6; i++)
        if (take_operator(p, names[i])) return TM_TO_EQUAL + i;
    if (take_name(p, "in")) return TM_TO_IN;
    if (!is(p, TM_TW_NAME, "not") || p->at[1].kind != TM_TW_NAME ||
        !tm_view_eq(p->at[1].text, tm_view_str("in")))
        return -1;
    p->at += 2;
    return TM_TO_NOT_IN;
}

static tm_tnode *comparison(parser *p)
{
    tm_tnode *first = sum(p), *all = NULL, **last = &all;
    for (int op; !p->failed && (op = comparison_operator(p)) >= 0;) {
        tm_tnode *one = binary(p, (tm_top)op, sum(p), NULL);
        if (!one) return NULL;
        *last = one;
        last = &one->next;
    }
    return all ? node_of(p, TM_TN_COMPARE, first, all) : first;
}

static tm_tnode *negation(parser *p)
{
    if (!take_name(p, "not")) return comparison(p);
    if (!enter(p)) return NULL;
    tm_tnode *node = node_of(p, TM_TN_NOT, negation(p), NULL);
    p->depth--;
    return node;
}

static tm_tnode *both(parser *p)
{
    tm_tnode *node = negation(p);
    while (!p->failed && take_name(p, "and")) node = node_of(p, TM_TN_AND, node, negation(p));
    return node;
}

static tm_tnode *either(parser *p)
{
    tm_tnode *node = both(p);
    while (!p->failed && take_name(p, "or")) node = node_of(p, TM_TN_OR, node, both(p));
    return node;
}

static tm_tnode *expression(parser *p)
{
    if (!enter(p)) return NULL;
    tm_tnode *node = either(p);
    while (!p->failed && take_name(p, "if")) {
        tm_tnode *choice = node_of(p, TM_TN_CHOOSE, either(p), node);
        if (choice && take_name(p, "else")) choice->c = expression(p);
        node = choice;
    }
    p->depth--;
    return p->failed ? NULL : node;
}

// a, b behind `set` and in {{ }}: one value or a tuple.
static tm_tnode *expressions(parser *p)
{
    tm_tnode *first = expression(p), *last = first;
    if (p->failed || !is(p, TM_TW_OPERATOR, ",")) return first;
    while (!p->failed && take_operator(p, ",") && p->at->kind != TM_TW_BLOCK_END &&
           p->at->kind != TM_TW_PRINT_END) {
        last->next = expression(p);
        last = last->next;
    }
    return node_of(p, TM_TN_TUPLE, first, NULL);
}

// ---- statements ----

static tm_tnode *statements(parser *p, const char *const *ends);

static void end_block(parser *p)
{
    if (p->failed) return;
    if (p->at->kind == TM_TW_BLOCK_END)
        p->at++;
    else
        expected(p, "%}");
}

// The body of a statement up to one of `ends`, whose name is left to be read.
static tm_tnode *body(parser *p, const char *const *ends)
{
    end_block(p);
    if (p->failed || !enter(p)) return NULL;
    tm_tnode *list = statements(p, ends);
    p->depth--;
    return list;
}

static void need_end(parser *p, const char *name)
{
    if (!p->failed && !take_name(p, name)) expected(p, name);
}

static tm_tnode *if_statement(parser *p)
{
    tm_tnode *node = node_of(p, TM_TN_IF, expression(p), NULL);
    if (!node) return NULL;
    node->b = body(p, (const char *const[]){"elif", "else", "endif", NULL});
    if (p->failed) return NULL;
    if (take_name(p, "elif")) { // takes the endif
        if (!enter(p)) return NULL;
        node->c = if_statement(p);
        p->depth--;
        return node;
    }
    if (take_name(p, "else")) node->c = body(p, (const char *const[]){"endif", NULL});
    need_end(p, "endif");
    return node;
}

// Names, or one member of a namespace.
static tm_tnode *targets(parser *p, bool member_too)
{
    tm_tnode *first = need_name(p, TM_TN_NAME), *last = first;
    if (first && member_too && take_operator(p, ".")) {
        tm_tnode *node = need_name(p, TM_TN_MEMBER);
        if (node) node->a = first;
        return node;
    }
    while (!p->failed && take_operator(p, ",")) {
        last->next = need_name(p, TM_TN_NAME);
        last = last->next;
    }
    return first;
}

static tm_tnode *for_statement(parser *p)
{
    tm_tnode *names = targets(p, false);
    if (!p->failed && !take_name(p, "in")) return expected(p, "in");
    tm_tnode *node = node_of(p, TM_TN_FOR, names, p->failed ? NULL : either(p));
    if (!node) return NULL;
    if (take_name(p, "if")) node->c = expression(p);
    if (is(p, TM_TW_NAME, "recursive")) return fail(p, TM_EUNSUPPORTED, "recursive loops are not known here");
    p->loops++;
    node->d = body(p, (const char *const[]){"endfor", "else", NULL});
    p->loops--;
    if (take_name(p, "else")) node->e = body(p, (const char *const[]){"endfor", NULL});
    need_end(p, "endfor");
    return node;
}

static tm_tnode *set_statement(parser *p)
{
    tm_tnode *names = targets(p, true);
    if (p->failed) return NULL;
    if (take_operator(p, "=")) return node_of(p, TM_TN_SET, names, expressions(p));
    if (names->next) return expected(p, "\"=\"");
    if (is(p, TM_TW_OPERATOR, "|"))
        return fail(p, TM_EUNSUPPORTED, "filters of a set block are not known here");
    tm_tnode *node = node_of(p, TM_TN_SET_BLOCK, names, body(p, (const char *const[]){"endset", NULL}));
    need_end(p, "endset");
    return node;
}

static tm_tnode *macro_statement(parser *p)
{
    tm_tnode *node = need_name(p, TM_TN_MACRO);
    if (!node || !need_operator(p, "(")) return NULL;
    tm_tnode **last = &node->a;
    while (!p->failed && !take_operator(p, ")")) {
        if (node->a && !need_operator(p, ",")) return NULL;
        tm_tnode *parameter = need_name(p, TM_TN_NAME);
        if (parameter && take_operator(p, "=")) parameter->a = expression(p);
        if (p->failed) return NULL;
        *last = parameter;
        last = &parameter->next;
    }
    int loops = p->loops;
    p->loops = 0;
    node->b = body(p, (const char *const[]){"endmacro", NULL});
    p->loops = loops;
    need_end(p, "endmacro");
    return node;
}

static tm_tnode *statement(parser *p)
{
    if (take_name(p, "if")) return if_statement(p);
    if (take_name(p, "for")) return for_statement(p);
    if (take_name(p, "set")) return set_statement(p);
    if (take_name(p, "macro")) return macro_statement(p);
    if (take_name(p, "generation")) {
        p->marks = true;
        tm_tnode *node =
            node_of(p, TM_TN_GENERATION, body(p, (const char *const[]){"endgeneration", NULL}), NULL);
        need_end(p, "endgeneration");
        return node;
    }
    bool leave = is(p, TM_TW_NAME, "break"), next = is(p, TM_TW_NAME, "continue");
    if (leave || next) {
        if (!p->loops) return fail(p, TM_EFORMAT, "break and continue belong in a loop");
        p->at++;
        return node_of(p, leave ? TM_TN_BREAK : TM_TN_CONTINUE, NULL, NULL);
    }
    if (p->at->kind != TM_TW_NAME) return expected(p, "a statement");
    return fail(p, TM_EUNSUPPORTED, tm_template_unknown("statement", p->at->text, (char[96]){0}));
}

static tm_tnode *tag(parser *p)
{
    tm_tnode *node;
    if (p->at->kind == TM_TW_DATA) {
        node = new_node(p, TM_TN_DATA);
        if (node) node->text = p->at->text;
        p->at++;
        return node;
    }
    if (p->at->kind == TM_TW_PRINT) {
        p->at++;
        node = node_of(p, TM_TN_PRINT, expressions(p), NULL);
        if (p->failed) return NULL;
        if (p->at->kind != TM_TW_PRINT_END) return expected(p, "}}");
        p->at++;
        return node;
    }
    p->at++;
    node = statement(p);
    end_block(p);
    return p->failed ? NULL : node;
}

static bool ends_here(const parser *p, const char *const *ends)
{
    if (p->at->kind == TM_TW_END) return true;
    for (; ends && p->at->kind == TM_TW_BLOCK && *ends; ends++)
        if (p->at[1].kind == TM_TW_NAME && tm_view_eq(p->at[1].text, tm_view_str(*ends))) return true;
    return false;
}

static tm_tnode *statements(parser *p, const char *const *ends)
{
    tm_tnode *first = NULL, **last = &first;
    while (!p->failed && !ends_here(p, ends)) {
        tm_tnode *node = tag(p);
        if (!node) break;
        *last = node;
        last = &node->next;
    }
    if (!p->failed && ends && p->at->kind == TM_TW_END) expected(p, ends[0]);
    if (!p->failed && ends) p->at++;
    return p->failed ? NULL : first;
}

tm_status tm_template_tree(const tm_twords *words, tm_tarena *arena, tm_tnode **tree, bool *marks,
                           tm_error *err)
{
    tm_error why = {0};
    parser p = {.at = words->items, .arena = arena, .err = &why};
    *tree = statements(&p, NULL);
    *marks = p.marks;
    if (!p.failed) return TM_OK;
    if (err) *err = why;
    return why.status;
}
