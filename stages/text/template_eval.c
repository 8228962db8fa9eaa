// SPDX-License-Identifier: Apache-2.0
// Rendering: expressions.
#include "stages/text/template_eval.h"

#include "stages/text/template_strings.h"

static tm_status lookup(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    for (tm_tscope *scope = run->scope; scope; scope = scope->parent) {
        const tm_tval *value = tm_tv_find_text(&scope->names, node->text);
        TM_TRY(tm_template_charge(run, scope->names.n * 8));
        if (!value) continue;
        *out = *value;
        return TM_OK;
    }
    const tm_trow *function = tm_template_function(node->text);
    if (function)
        *out = (tm_tval){.kind = TM_TV_FUNCTION, .thing = function};
    else
        *out = tm_tv_undefined(node->text);
    return TM_OK;
}

static size_t count(const tm_tnode *list)
{
    size_t n = 0;
    for (; list; list = list->next) n++;
    return n;
}

static tm_status list_of(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    size_t i = 0;
    TM_TRY(tm_tv_list(&run->arena, node->kind == TM_TN_TUPLE ? TM_TV_TUPLE : TM_TV_LIST, count(node->a), out,
                      run->err));
    for (const tm_tnode *item = node->a; item; item = item->next)
        TM_TRY(tm_template_value(run, item, &out->list->items[i++]));
    return tm_tv_seal(out, run->err);
}

static tm_status dict_of(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    tm_tval key, value;
    TM_TRY(tm_tv_dict(&run->arena, TM_TV_DICT, out, run->err));
    for (const tm_tnode *item = node->a; item; item = item->next->next) {
        TM_TRY(tm_template_value(run, item, &key));
        TM_TRY(tm_template_value(run, item->next, &value));
        if (key.kind == TM_TV_LIST || key.kind >= TM_TV_DICT) return tm_template_no(run, &key, "is no key");
        TM_TRY(tm_tv_set(&run->arena, out->dict, &key, &value, run->err));
    }
    return tm_tv_seal(out, run->err);
}

// ---- comparing ----

static tm_status compare_two(tm_trun *run, tm_top op, const tm_tval *a, const tm_tval *b, bool *holds)
{
    int order = 0;
    TM_TRY(tm_template_charge(run, tm_tv_weight(a) + tm_tv_weight(b)));
    if (op == TM_TO_IN || op == TM_TO_NOT_IN) {
        TM_TRY(tm_template_contains(run, b, a, holds));
        *holds ^= op == TM_TO_NOT_IN;
        return TM_OK;
    }
    if (op == TM_TO_EQUAL || op == TM_TO_UNEQUAL) {
        *holds = tm_tv_equal(a, b) == (op == TM_TO_EQUAL);
        return TM_OK;
    }
    if (a->kind == TM_TV_UNDEFINED) return tm_template_no(run, a, "");
    if (b->kind == TM_TV_UNDEFINED) return tm_template_no(run, b, "");
    tm_error why = {0};
    if (tm_tv_compare(a, b, &order, &why) < 0) return tm_template_fail(run, "%s", why.text);
    *holds = op == TM_TO_LESS      ? order < 0
             : op == TM_TO_AT_MOST ? order <= 0
             : op == TM_TO_MORE    ? order > 0
                                   : order >= 0;
    return TM_OK;
}

static tm_status compare(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    tm_tval left, right;
    bool holds = true;
    TM_TRY(tm_template_value(run, node->a, &left));
    for (const tm_tnode *one = node->b; one && holds; one = one->next) {
        TM_TRY(tm_template_value(run, one->a, &right));
        TM_TRY(compare_two(run, one->op, &left, &right, &holds));
        left = right;
    }
    *out = tm_tv_bool(holds);
    return TM_OK;
}

// ---- calls ----

static tm_status arguments(tm_trun *run, const tm_tnode *list, tm_targs *args)
{
    *args = (tm_targs){0};
    for (; list; list = list->next) {
        if (args->n == TM_TARGS) return tm_template_fail(run, "a call has more than %d arguments", TM_TARGS);
        bool named = list->kind == TM_TN_KEYWORD;
        if (named) args->names[args->n] = list->text;
        args->n_named += named;
        TM_TRY(tm_template_value(run, named ? list->a : list, &args->values[args->n]));
        args->n++;
    }
    return TM_OK;
}

// The place of parameter `name` in "name other", or -1.
static int parameter(const char *parameters, tm_view name)
{
    int n = 0;
    for (const char *at = parameters; *at; n++) {
        size_t size = strcspn(at, " ");
        if (tm_view_eq(tm_view_of(at, size), name)) return n;
        at += size;
        while (*at == ' ') at++;
    }
    return -1;
}

static int parameter_count(const char *parameters)
{
    int n = parameters[0] != 0;
    for (; *parameters; parameters++) n += *parameters == ' ';
    return n;
}

tm_status tm_template_bind(tm_trun *run, const tm_trow *row, const tm_targs *args, tm_tbound *bound)
{
    *bound = (tm_tbound){0};
    for (size_t i = 0; i < args->n; i++) {
        bool named = i >= args->n - args->n_named;
        int place = named ? parameter(row->parameters, args->names[i]) : (int)i;
        if (place < 0 || place >= parameter_count(row->parameters) || bound->given[place])
            return tm_template_fail(run, "%s takes (%s), and is given %s%.*s", row->name, row->parameters,
                                    named ? "" : "more", named ? (int)args->names[i].size : 0,
                                    named ? args->names[i].data : "");
        bound->values[place] = args->values[i];
        bound->given[place] = true;
    }
    return TM_OK;
}

static tm_status apply(tm_trun *run, const tm_trow *row, const tm_tval *of, const tm_targs *args,
                       tm_tval *out)
{
    tm_tbound bound;
    TM_TRY(tm_template_bind(run, row, args, &bound));
    return row->call(run, of, &bound, out);
}

// namespace(...) and dict(...) take any names.
static tm_status make_dict(tm_trun *run, tm_tkind kind, const tm_targs *args, tm_tval *out)
{
    TM_TRY(tm_tv_dict(&run->arena, kind, out, run->err));
    for (size_t i = 0; i < args->n; i++) {
        if (i < args->n - args->n_named) return tm_template_fail(run, "dict and namespace take NAME=VALUE");
        tm_tval key = tm_tv_text(args->names[i]);
        TM_TRY(tm_tv_set(&run->arena, out->dict, &key, &args->values[i], run->err));
    }
    return kind == TM_TV_DICT ? tm_tv_seal(out, run->err) : TM_OK;
}

static tm_status call_function(tm_trun *run, const tm_trow *row, const tm_targs *args, tm_tval *out)
{
    if (row->kind) return tm_template_fail(run, "%s is called on nothing", row->name);
    if (strcmp(row->name, "namespace") == 0) return make_dict(run, TM_TV_NAMESPACE, args, out);
    if (strcmp(row->name, "dict") == 0) return make_dict(run, TM_TV_DICT, args, out);
    return apply(run, row, NULL, args, out);
}

static tm_status call(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    tm_tval of, callee;
    tm_targs args;
    bool method = node->a->kind == TM_TN_MEMBER;
    TM_TRY(tm_template_value(run, method ? node->a->a : node->a, &of));
    if (method)
        TM_TRY(tm_template_member(run, &of, node->a->text, &callee));
    else
        callee = of;
    TM_TRY(arguments(run, node->b, &args));
    run->line = node->line;
    const tm_trow *row = callee.thing;
    if (callee.kind == TM_TV_FUNCTION && row->kind && method) return apply(run, row, &of, &args, out);
    if (callee.kind == TM_TV_FUNCTION) return call_function(run, row, &args, out);
    if (callee.kind == TM_TV_MACRO) return tm_template_macro(run, callee.thing, &args, out);
    if (callee.kind == TM_TV_UNDEFINED && method)
        return tm_template_fail(run, "%s has no method '%.*s' here", tm_tv_type(&of), (int)node->a->text.size,
                                node->a->text.data);
    return tm_template_no(run, &callee, "cannot be called");
}

static tm_status filter(tm_trun *run, const tm_tnode *node, const tm_trow *row, tm_tval *out)
{
    tm_tval of;
    tm_targs args;
    TM_TRY(tm_template_value(run, node->a, &of));
    TM_TRY(arguments(run, node->b, &args));
    run->line = node->line;
    return apply(run, row, &of, &args, out);
}

// ---- the rest ----

static tm_status join(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    tm_buf text = {0};
    tm_tval part;
    tm_status status = TM_OK;
    for (const tm_tnode *at = node->a; at && status >= 0; at = at->next) {
        status = tm_template_value(run, at, &part);
        if (status >= 0) status = tm_template_charge(run, tm_tv_weight(&part));
        if (status >= 0) tm_tv_str(&part, &text);
    }
    if (status >= 0) return tm_template_take(run, &text, out);
    tm_buf_clear(&text);
    return status;
}

static tm_status slice(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    const tm_tnode *parts[3] = {node->b, node->c, node->d};
    tm_tval of, bounds[3];
    TM_TRY(tm_template_value(run, node->a, &of));
    for (int i = 0; i < 3; i++) {
        bounds[i] = (tm_tval){.kind = TM_TV_NONE};
        if (parts[i]) TM_TRY(tm_template_value(run, parts[i], &bounds[i]));
    }
    return tm_template_slice(run, &of, bounds, out);
}

static tm_status choose(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    tm_tval condition;
    TM_TRY(tm_template_value(run, node->a, &condition));
    if (tm_tv_truth(&condition)) return tm_template_value(run, node->b, out);
    *out = tm_tv_undefined(tm_view_str("the value of an if without else"));
    return node->c ? tm_template_value(run, node->c, out) : TM_OK;
}

static tm_status logic(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    TM_TRY(tm_template_value(run, node->a, out));
    if (node->kind == TM_TN_NOT)
        *out = tm_tv_bool(!tm_tv_truth(out));
    else if (tm_tv_truth(out) == (node->kind == TM_TN_AND))
        return tm_template_value(run, node->b, out);
    return TM_OK;
}

static tm_status two(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    tm_tval a, b = tm_tv_int(0);
    TM_TRY(tm_template_value(run, node->a, &a));
    if (node->b) TM_TRY(tm_template_value(run, node->b, &b));
    run->line = node->line;
    if (node->kind == TM_TN_ITEM) return tm_template_item(run, &a, &b, out);
    if (node->kind == TM_TN_MEMBER) return tm_template_member(run, &a, node->text, out);
    if (node->kind == TM_TN_NEGATE && a.kind == TM_TV_FLOAT) {
        *out = (tm_tval){.kind = TM_TV_FLOAT, .number = -a.number};
        return TM_OK;
    }
    if (node->kind == TM_TN_NEGATE) return tm_template_arithmetic(run, TM_TO_SUBTRACT, &b, &a, out);
    return tm_template_arithmetic(run, node->op, &a, &b, out);
}

static tm_status value_of(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    switch (node->kind) {
    case TM_TN_CONST: *out = node->value; return TM_OK;
    case TM_TN_NAME: return lookup(run, node, out);
    case TM_TN_LIST:
    case TM_TN_TUPLE: return list_of(run, node, out);
    case TM_TN_DICT: return dict_of(run, node, out);
    case TM_TN_AND:
    case TM_TN_OR:
    case TM_TN_NOT: return logic(run, node, out);
    case TM_TN_CHOOSE: return choose(run, node, out);
    case TM_TN_COMPARE: return compare(run, node, out);
    case TM_TN_JOIN: return join(run, node, out);
    case TM_TN_SLICE: return slice(run, node, out);
    case TM_TN_CALL: return call(run, node, out);
    case TM_TN_FILTER: return filter(run, node, tm_template_filter(node->row), out);
    case TM_TN_TEST: return filter(run, node, tm_template_test(node->row), out);
    default: return two(run, node, out);
    }
}

tm_status tm_template_value(tm_trun *run, const tm_tnode *node, tm_tval *out)
{
    TM_TRY(tm_template_charge(run, 0));
    if (run->depth++ > TM_TEMPLATE_DEPTH) return tm_template_fail(run, "the template nests too deep");
    run->line = node->line;
    tm_status status = value_of(run, node, out);
    run->depth--;
    return status;
}
