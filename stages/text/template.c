// SPDX-License-Identifier: Apache-2.0
// Chat templates: parsing and rendering as a whole, and statements.
#include "stages/text/template.h"

#include "stages/text/template_eval.h"

// ---- scopes ----

static tm_status open_scope(tm_trun *run, tm_tscope *parent)
{
    tm_tscope *scope = tm_tarena_get(&run->arena, sizeof *scope);
    if (!scope) return tm_tv_no_room(run->err);
    *scope = (tm_tscope){.parent = parent};
    run->scope = scope;
    return TM_OK;
}

static tm_status name_value(tm_trun *run, tm_view name, const tm_tval *value)
{
    tm_tval key = tm_tv_text(name);
    return tm_tv_set(&run->arena, &run->scope->names, &key, value, run->err);
}

// `set a, b = value` and the names of a loop.
static tm_status assign(tm_trun *run, const tm_tnode *targets, const tm_tval *value)
{
    if (!targets->next) return name_value(run, targets->text, value);
    tm_tval items;
    size_t i = 0;
    TM_TRY(tm_template_items(run, value, &items));
    for (; targets; targets = targets->next, i++) {
        if (i == items.list->n) return tm_template_fail(run, "there are fewer values than names");
        TM_TRY(name_value(run, targets->text, &items.list->items[i]));
    }
    return i == items.list->n ? TM_OK : tm_template_fail(run, "there are more values than names");
}

static tm_status set(tm_trun *run, const tm_tnode *target, const tm_tval *value)
{
    if (target->kind == TM_TN_NAME) return assign(run, target, value);
    tm_tval of, key = tm_tv_text(target->text);
    TM_TRY(tm_template_value(run, target->a, &of));
    if (of.kind != TM_TV_NAMESPACE)
        return tm_template_fail(run, "only members of a namespace can be set, not of %s", tm_tv_type(&of));
    return tm_tv_set(&run->arena, of.dict, &key, value, run->err);
}

// ---- statements ----

// What `body` prints in the scope at hand, as a value.
static tm_status captured(tm_trun *run, const tm_tnode *body, tm_tval *out)
{
    tm_buf text = {0}, *before = run->out;
    run->out = &text;
    tm_status status = tm_template_run(run, body);
    run->out = before;
    if (status >= 0) return tm_template_take(run, &text, out);
    tm_buf_clear(&text);
    return status;
}

tm_status tm_template_macro(tm_trun *run, const tm_tmacro *macro, const tm_targs *args, tm_tval *out)
{
    tm_tscope *scope = run->scope;
    size_t i = 0, n = args->n - args->n_named, used = 0;
    TM_TRY(open_scope(run, macro->scope));
    for (const tm_tnode *p = macro->node->a; p; p = p->next, i++) {
        tm_tval value = tm_tv_undefined(p->text);
        const tm_tval *given = i < n ? &args->values[i] : NULL;
        for (size_t k = n; !given && k < args->n; k++)
            if (tm_view_eq(args->names[k], p->text)) given = &args->values[k];
        used += given != NULL;
        if (given)
            value = *given;
        else if (p->a)
            TM_TRY(tm_template_value(run, p->a, &value));
        TM_TRY(name_value(run, p->text, &value));
    }
    if (used != args->n)
        return tm_template_fail(run, "macro %.*s is given an argument that it does not take",
                                (int)macro->node->text.size, macro->node->text.data);
    tm_status status = captured(run, macro->node->b, out);
    run->scope = scope;
    run->flow = TM_TF_ON;
    return status;
}

static tm_status print(tm_trun *run, const tm_tnode *node)
{
    tm_tval value;
    TM_TRY(tm_template_value(run, node->a, &value));
    TM_TRY(tm_template_charge(run, tm_tv_weight(&value)));
    tm_tv_str(&value, run->out);
    return TM_OK;
}

// The items of a loop that its condition keeps.
static tm_status kept_items(tm_trun *run, const tm_tnode *node, tm_tval *items)
{
    tm_tval all, keep;
    size_t n = 0;
    TM_TRY(tm_template_value(run, node->b, &all));
    TM_TRY(tm_template_items(run, &all, items));
    if (!node->c) return TM_OK;
    tm_tscope *scope = run->scope;
    all = *items;
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, all.list->n, items, run->err));
    TM_TRY(open_scope(run, scope));
    for (size_t i = 0; i < all.list->n; i++) {
        TM_TRY(assign(run, node->a, &all.list->items[i]));
        TM_TRY(tm_template_value(run, node->c, &keep));
        if (tm_tv_truth(&keep)) items->list->items[n++] = all.list->items[i];
    }
    items->list->n = n;
    run->scope = scope;
    return tm_tv_seal(items, run->err);
}

static tm_status for_each(tm_trun *run, const tm_tnode *node)
{
    tm_tval items;
    tm_tscope *scope = run->scope;
    TM_TRY(kept_items(run, node, &items));
    if (!items.list->n) return tm_template_run(run, node->e);
    tm_tloop *loop = tm_tarena_get(&run->arena, sizeof *loop);
    if (!loop) return tm_tv_no_room(run->err);
    *loop = (tm_tloop){.items = items.list};
    tm_tval named = {.kind = TM_TV_LOOP, .thing = loop};
    TM_TRY(open_scope(run, scope));
    for (; loop->at < items.list->n && run->flow != TM_TF_BREAK; loop->at++) {
        run->flow = TM_TF_ON;
        run->scope->names.n = 0;
        TM_TRY(name_value(run, tm_view_str("loop"), &named));
        TM_TRY(assign(run, node->a, &items.list->items[loop->at]));
        TM_TRY(tm_template_run(run, node->d));
    }
    run->flow = TM_TF_ON;
    run->scope = scope;
    return TM_OK;
}

static tm_status choose(tm_trun *run, const tm_tnode *node)
{
    tm_tval condition;
    TM_TRY(tm_template_value(run, node->a, &condition));
    return tm_template_run(run, tm_tv_truth(&condition) ? node->b : node->c);
}

static tm_status define(tm_trun *run, const tm_tnode *node)
{
    tm_tmacro *macro = tm_tarena_get(&run->arena, sizeof *macro);
    if (!macro) return tm_tv_no_room(run->err);
    *macro = (tm_tmacro){.node = node, .scope = run->scope};
    tm_tval value = {.kind = TM_TV_MACRO, .thing = macro};
    return name_value(run, node->text, &value);
}

static tm_status mark(tm_trun *run, size_t from)
{
    tm_rendering *r = run->rendering;
    if (run->out != &r->text)
        return tm_template_fail(run, "a generation block stands in a macro or set block");
    tm_template_span *spans = tm_realloc(r->spans, (r->n_spans + 1) * sizeof *spans);
    if (!spans) return tm_fail(run->err, TM_ENOMEM, "no memory for spans");
    r->spans = spans;
    spans[r->n_spans++] = (tm_template_span){from, r->text.size};
    return TM_OK;
}

static tm_status generation(tm_trun *run, const tm_tnode *node)
{
    tm_tscope *scope = run->scope;
    size_t from = run->out->size;
    TM_TRY(open_scope(run, scope));
    TM_TRY(tm_template_run(run, node->a));
    run->scope = scope;
    return mark(run, from);
}

static tm_status statement(tm_trun *run, const tm_tnode *node)
{
    tm_tval value;
    switch (node->kind) {
    case TM_TN_DATA:
        tm_buf_add(run->out, node->text.data, node->text.size);
        return tm_template_charge(run, node->text.size);
    case TM_TN_PRINT: return print(run, node);
    case TM_TN_IF: return choose(run, node);
    case TM_TN_FOR: return for_each(run, node);
    case TM_TN_SET: TM_TRY(tm_template_value(run, node->b, &value)); return set(run, node->a, &value);
    case TM_TN_SET_BLOCK: {
        tm_tscope *scope = run->scope;
        TM_TRY(open_scope(run, scope));
        TM_TRY(captured(run, node->b, &value));
        run->scope = scope;
        return set(run, node->a, &value);
    }
    case TM_TN_MACRO: return define(run, node);
    case TM_TN_GENERATION: return generation(run, node);
    default: run->flow = node->kind == TM_TN_BREAK ? TM_TF_BREAK : TM_TF_CONTINUE; return TM_OK;
    }
}

tm_status tm_template_run(tm_trun *run, const tm_tnode *body)
{
    if (run->depth++ > TM_TEMPLATE_DEPTH) return tm_template_fail(run, "the template nests too deep");
    for (; body && run->flow == TM_TF_ON; body = body->next) {
        run->line = body->line;
        TM_TRY(tm_template_charge(run, 0));
        TM_TRY(statement(run, body));
        if (run->out->size > TM_TEMPLATE_OUTPUT) return tm_template_fail(run, "the template prints too much");
        TM_TRY(tm_buf_status(run->out, run->err));
    }
    run->depth--;
    return TM_OK;
}

// ---- the whole ----

// Line ends become \n, and one at the very end goes.
static tm_status normalize(tm_view source, tm_tarena *arena, tm_view *out, tm_error *err)
{
    char *text = tm_tarena_get(arena, source.size + 1);
    size_t n = 0;
    if (!text) return tm_tv_no_room(err);
    for (size_t i = 0; i < source.size; i++) {
        bool pair = source.data[i] == '\r' && i + 1 < source.size && source.data[i + 1] == '\n';
        if (!pair) text[n++] = source.data[i] == '\r' ? '\n' : source.data[i];
    }
    if (n && text[n - 1] == '\n') n--;
    *out = tm_view_of(text, n);
    return TM_OK;
}

tm_status tm_template_parse(tm_view source, tm_template **parsed, tm_error *err)
{
    tm_twords words = {0};
    tm_view text;
    *parsed = NULL;
    if (source.size > TM_TEMPLATE_SOURCE)
        return tm_fail(err, TM_EFORMAT, "a chat template of %zu bytes is too large", source.size);
    tm_template *t = tm_calloc(1, sizeof *t);
    if (!t) return tm_fail(err, TM_ENOMEM, "no memory for a template");
    tm_status status = normalize(source, &t->arena, &text, err);
    if (status >= 0) status = tm_template_lex(text, &t->arena, &words, err);
    if (status >= 0) status = tm_template_tree(&words, &t->arena, &t->body, &t->marks, err);
    tm_free(words.items);
    if (status >= 0)
        *parsed = t;
    else
        tm_template_free(t);
    return status;
}

void tm_template_free(tm_template *parsed)
{
    if (!parsed) return;
    tm_tarena_clear(&parsed->arena);
    tm_free(parsed);
}

bool tm_template_marks(const tm_template *parsed)
{
    return parsed->marks;
}

tm_status tm_template_render(const tm_template *parsed, const json_t *variables, tm_rendering *rendering,
                             tm_error *err)
{
    tm_error why = {0};
    tm_trun run = {
        .arena = {.limit = TM_TEMPLATE_MEMORY}, .rendering = rendering, .out = &rendering->text, .err = &why};
    tm_tval all;
    tm_buf_reset(&rendering->text);
    rendering->n_spans = 0;
    tm_status status = tm_tv_json(&run.arena, variables, &all, &why);
    if (status >= 0) status = open_scope(&run, NULL);
    if (status >= 0) run.scope->names = *all.dict;
    if (status >= 0) status = open_scope(&run, run.scope);
    if (status >= 0) status = tm_template_run(&run, parsed->body);
    if (status == TM_ENOMEM && run.arena.full) status = why.status = TM_EFAILED; // ours, not the machine's
    tm_tarena_clear(&run.arena);
    if (status < 0 && err) *err = why;
    return status;
}

void tm_rendering_clear(tm_rendering *rendering)
{
    tm_buf_clear(&rendering->text);
    tm_free(rendering->spans);
    *rendering = (tm_rendering){0};
}
