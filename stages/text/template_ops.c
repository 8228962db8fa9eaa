// SPDX-License-Identifier: Apache-2.0
// What expressions do with values: members, items, slices, arithmetic.
#include <math.h>
#include <stdio.h>

#include "stages/text/template_eval.h"
#include "stages/text/template_strings.h"

tm_status tm_template_fail(tm_trun *run, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return tm_fail(run->err, TM_EFAILED, "line %d: %s", run->line, text);
}

tm_status tm_template_charge(tm_trun *run, size_t bytes)
{
    run->steps += 1 + (int64_t)(bytes / 16);
    return run->steps <= TM_TEMPLATE_STEPS ? TM_OK : tm_template_fail(run, "the template takes too long");
}

tm_status tm_template_no(tm_trun *run, const tm_tval *v, const char *use)
{
    if (v->kind == TM_TV_UNDEFINED)
        return tm_template_fail(run, "'%.*s' is undefined", (int)(v->text.size < 80 ? v->text.size : 80),
                                v->text.data ? v->text.data : "");
    return tm_template_fail(run, "%s %s", tm_tv_type(v), use);
}

tm_status tm_template_take(tm_trun *run, tm_buf *text, tm_tval *out)
{
    tm_status status = tm_buf_status(text, run->err);
    if (status >= 0) status = tm_template_charge(run, text->size);
    if (status >= 0) status = tm_tv_copy_text(&run->arena, tm_buf_view(text), out, run->err);
    tm_buf_clear(text);
    return status;
}

// ---- members and items ----

static bool loop_member(const tm_tloop *l, tm_view name, tm_tval *out)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"index", (int64_t)l->at + 1},
        {"index0", (int64_t)l->at},
        {"length", (int64_t)l->items->n},
        {"revindex", (int64_t)(l->items->n - l->at)},
        {"revindex0", (int64_t)(l->items->n - l->at) - 1},
        {"depth", 1}, // loops that call themselves are not known here
        {"depth0", 0},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (tm_view_eq(name, tm_view_str(numbers[i].name))) return *out = tm_tv_int(numbers[i].value), true;
    if (tm_view_eq(name, tm_view_str("first")))
        *out = tm_tv_bool(l->at == 0);
    else if (tm_view_eq(name, tm_view_str("last")))
        *out = tm_tv_bool(l->at + 1 == l->items->n);
    else if (tm_view_eq(name, tm_view_str("previtem")) && l->at)
        *out = l->items->items[l->at - 1];
    else if (tm_view_eq(name, tm_view_str("nextitem")) && l->at + 1 < l->items->n)
        *out = l->items->items[l->at + 1];
    else
        return false;
    return true;
}

tm_status tm_template_member(tm_trun *run, const tm_tval *of, tm_view name, tm_tval *out)
{
    const tm_trow *method = tm_template_method(of->kind, name);
    *out = tm_tv_undefined(name);
    if (of->kind == TM_TV_UNDEFINED) return tm_template_no(run, of, "");
    if (method)
        *out = (tm_tval){.kind = TM_TV_FUNCTION, .thing = method};
    else if (of->kind == TM_TV_LOOP)
        loop_member(of->thing, name, out);
    else if (of->kind == TM_TV_DICT || of->kind == TM_TV_NAMESPACE) {
        const tm_tval *value = tm_tv_find_text(of->dict, name);
        if (value) *out = *value;
    }
    return tm_template_charge(run, of->kind == TM_TV_DICT ? of->dict->n * 16 : 0);
}

tm_status tm_template_item(tm_trun *run, const tm_tval *of, const tm_tval *key, tm_tval *out)
{
    static const tm_view nameless = {"item", 4};
    bool number = key->kind == TM_TV_INT || key->kind == TM_TV_BOOL;
    int64_t n = 0, at = key->kind == TM_TV_BOOL ? key->truth : key->integer;
    *out = tm_tv_undefined(key->kind == TM_TV_STRING ? key->text : nameless);
    if (of->kind == TM_TV_UNDEFINED) return tm_template_no(run, of, "");
    if (of->kind == TM_TV_DICT) {
        const tm_tval *value = tm_tv_find(of->dict, key);
        if (value) *out = *value;
        return tm_template_charge(run, of->dict->n * 16);
    }
    if (key->kind == TM_TV_STRING) return tm_template_member(run, of, key->text, out);
    if (!number || (of->kind != TM_TV_STRING && !tm_tv_sequence(of))) return TM_OK;
    TM_TRY(tm_tv_length(of, &n, run->err));
    at += at < 0 ? n : 0;
    if (at < 0 || at >= n) return TM_OK;
    if (of->kind != TM_TV_STRING) {
        *out = of->list->items[at];
        return tm_template_charge(run, 0);
    }
    size_t from = tm_text_at(of->text, (size_t)at);
    tm_view rest = tm_view_of(of->text.data + from, of->text.size - from);
    *out = tm_tv_text(tm_view_of(rest.data, tm_text_at(rest, 1)));
    return tm_template_charge(run, of->text.size);
}

static tm_status characters(tm_trun *run, tm_view text, tm_tval *list)
{
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, tm_tv_points(text), list, run->err));
    for (size_t i = 0; i < list->list->n; i++) {
        size_t n = tm_text_at(text, 1);
        list->list->items[i] = tm_tv_text(tm_view_of(text.data, n));
        text = tm_view_of(text.data + n, text.size - n);
    }
    return tm_tv_seal(list, run->err);
}

tm_status tm_template_items(tm_trun *run, const tm_tval *v, tm_tval *list)
{
    TM_TRY(tm_template_charge(run, tm_tv_weight(v)));
    if (tm_tv_sequence(v)) {
        *list = *v;
        return TM_OK;
    }
    if (v->kind == TM_TV_STRING) return characters(run, v->text, list);
    if (v->kind == TM_TV_UNDEFINED) return tm_tv_list(&run->arena, TM_TV_LIST, 0, list, run->err);
    if (v->kind != TM_TV_DICT) return tm_template_no(run, v, "has no items");
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, v->dict->n, list, run->err));
    for (size_t i = 0; i < v->dict->n; i++) list->list->items[i] = v->dict->keys[i];
    return tm_tv_seal(list, run->err);
}

tm_status tm_template_contains(tm_trun *run, const tm_tval *in, const tm_tval *what, bool *found)
{
    *found = false;
    TM_TRY(tm_template_charge(run, tm_tv_weight(in)));
    if (in->kind == TM_TV_STRING) {
        if (what->kind != TM_TV_STRING) return tm_template_no(run, what, "cannot be in a text");
        *found = tm_text_find(in->text, what->text, 0) != SIZE_MAX;
    } else if (in->kind == TM_TV_DICT)
        *found = tm_tv_find(in->dict, what) != NULL;
    else if (tm_tv_sequence(in))
        for (size_t i = 0; i < in->list->n && !*found; i++) *found = tm_tv_equal(&in->list->items[i], what);
    else if (in->kind != TM_TV_UNDEFINED)
        return tm_template_no(run, in, "has no items");
    return TM_OK;
}

// ---- slices ----

static tm_status bound_of(tm_trun *run, const tm_tval *v, int64_t otherwise, int64_t *bound)
{
    *bound = otherwise;
    if (v->kind == TM_TV_NONE) return TM_OK;
    if (v->kind == TM_TV_BOOL)
        *bound = v->truth;
    else if (v->kind == TM_TV_INT)
        *bound = v->integer;
    else
        return tm_template_no(run, v, "is no bound of a slice");
    return TM_OK;
}

// Python's slice.indices(n).
static int64_t clip(int64_t at, int64_t n, bool back)
{
    if (at < 0) at = at < -n ? -1 : at + n;
    if (at < 0) return back ? -1 : 0;
    return at >= n ? (back ? n - 1 : n) : at;
}

static tm_status slice_text(tm_trun *run, const tm_tval *list, tm_tval *out)
{
    tm_buf text = {0};
    for (size_t i = 0; i < list->list->n; i++) tm_tv_str(&list->list->items[i], &text);
    return tm_template_take(run, &text, out);
}

tm_status tm_template_slice(tm_trun *run, const tm_tval *of, const tm_tval part[3], tm_tval *out)
{
    tm_tval items;
    int64_t step, from, to, n = 0;
    if (of->kind != TM_TV_STRING && !tm_tv_sequence(of)) return tm_template_no(run, of, "has no slices");
    TM_TRY(tm_template_items(run, of, &items));
    int64_t size = (int64_t)items.list->n;
    TM_TRY(bound_of(run, &part[2], 1, &step));
    if (!step) return tm_template_fail(run, "the step of a slice is 0");
    bool back = step < 0;
    TM_TRY(bound_of(run, &part[0], back ? size : 0, &from));
    TM_TRY(bound_of(run, &part[1], size, &to));
    from = clip(from, size, back);
    to = back && part[1].kind == TM_TV_NONE ? -1 : clip(to, size, back);
    if (step > size + 1) step = size + 1;
    if (step < -size - 1) step = -size - 1;
    for (int64_t i = from; back ? i > to : i < to; i += step) n++;
    tm_tval list;
    TM_TRY(tm_tv_list(&run->arena, of->kind == TM_TV_TUPLE ? TM_TV_TUPLE : TM_TV_LIST, (size_t)n, &list,
                      run->err));
    for (int64_t i = 0; i < n; i++) list.list->items[i] = items.list->items[from + i * step];
    TM_TRY(tm_tv_seal(&list, run->err));
    if (of->kind == TM_TV_STRING) return slice_text(run, &list, out);
    *out = list;
    return TM_OK;
}

// ---- arithmetic ----

static bool integer_of(const tm_tval *v, int64_t *n)
{
    if (v->kind == TM_TV_BOOL)
        *n = v->truth;
    else if (v->kind == TM_TV_INT)
        *n = v->integer;
    else
        return false;
    return true;
}

static bool real_of(const tm_tval *v, double *x)
{
    int64_t n = 0;
    if (v->kind == TM_TV_FLOAT)
        *x = v->number;
    else if (integer_of(v, &n))
        *x = (double)n;
    else
        return false;
    return true;
}

static bool power_of(int64_t base, int64_t exponent, int64_t *result)
{
    *result = 1;
    for (int64_t i = 0; i < exponent; i++) {
        if (__builtin_mul_overflow(*result, base, result)) return true;
        if (base == 0 || base == 1) break;
        if (base == -1) return *result = exponent % 2 ? -1 : 1, false;
    }
    return false;
}

static tm_status integers(tm_trun *run, tm_top op, int64_t a, int64_t b, tm_tval *out)
{
    int64_t n = 0;
    bool over = false;
    if ((op == TM_TO_FLOOR || op == TM_TO_MODULO || op == TM_TO_DIVIDE) && b == 0)
        return tm_template_fail(run, "division by zero");
    switch (op) {
    case TM_TO_ADD: over = __builtin_add_overflow(a, b, &n); break;
    case TM_TO_SUBTRACT: over = __builtin_sub_overflow(a, b, &n); break;
    case TM_TO_MULTIPLY: over = __builtin_mul_overflow(a, b, &n); break;
    case TM_TO_DIVIDE: *out = (tm_tval){.kind = TM_TV_FLOAT, .number = (double)a / (double)b}; return TM_OK;
    case TM_TO_POWER: over = b < 0 || power_of(a, b, &n); break;
    default:
        if (b == -1) {
            over = op == TM_TO_FLOOR && __builtin_sub_overflow(0, a, &n);
            break;
        }
        n = op == TM_TO_FLOOR ? a / b - (a % b && (a < 0) != (b < 0))
                              : a % b + (a % b && (a < 0) != (b < 0) ? b : 0);
    }
    *out = tm_tv_int(n);
    return over ? tm_template_fail(run, "a number is too large") : TM_OK;
}

static tm_status reals(tm_trun *run, tm_top op, double a, double b, tm_tval *out)
{
    double x = 0;
    if ((op == TM_TO_FLOOR || op == TM_TO_MODULO || op == TM_TO_DIVIDE) && b == 0)
        return tm_template_fail(run, "division by zero");
    if (op == TM_TO_ADD)
        x = a + b;
    else if (op == TM_TO_SUBTRACT)
        x = a - b;
    else if (op == TM_TO_MULTIPLY)
        x = a * b;
    else if (op == TM_TO_DIVIDE)
        x = a / b;
    else if (op == TM_TO_FLOOR)
        x = floor(a / b);
    else if (op == TM_TO_POWER)
        x = pow(a, b);
    else {
        x = fmod(a, b);
        if (x != 0 && (x < 0) != (b < 0)) x += b;
    }
    *out = (tm_tval){.kind = TM_TV_FLOAT, .number = x};
    return TM_OK;
}

// What `safe` made stays as it is, what is added to it is escaped: so does Markup, and + alone asks for it.
static void add_text(const tm_tval *v, bool markup, tm_buf *text)
{
    static const char signs[] = "&<>'\"";
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    bool whole = !markup || v->markup;
    if (whole) tm_buf_add(text, v->text.data, v->text.size);
    for (size_t i = 0; !whole && i < v->text.size; i++) {
        const char *at = memchr(signs, v->text.data[i], sizeof signs - 1);
        if (at)
            tm_buf_str(text, names[at - signs]);
        else
            tm_buf_char(text, v->text.data[i]);
    }
}

static tm_status joined(tm_trun *run, const tm_tval *a, const tm_tval *b, tm_tval *out)
{
    if (a->kind == TM_TV_STRING) {
        tm_buf text = {0};
        bool markup = a->markup || b->markup;
        add_text(a, markup, &text);
        add_text(b, markup, &text);
        TM_TRY(tm_template_take(run, &text, out));
        out->markup = markup;
        return TM_OK;
    }
    size_t n = a->list->n, m = b->list->n;
    TM_TRY(tm_template_charge(run, (n + m) * 16));
    TM_TRY(tm_tv_list(&run->arena, a->kind, n + m, out, run->err));
    if (n) memcpy(out->list->items, a->list->items, n * sizeof(tm_tval));
    if (m) memcpy(out->list->items + n, b->list->items, m * sizeof(tm_tval));
    return tm_tv_seal(out, run->err);
}

static tm_status repeated(tm_trun *run, const tm_tval *of, int64_t n, tm_tval *out)
{
    if (n < 0) n = 0;
    if (n && tm_tv_weight(of) > (size_t)TM_TV_WEIGHT / (size_t)n)
        return tm_template_fail(run, "a %s is too large", tm_tv_type(of));
    if (of->kind == TM_TV_STRING) {
        tm_buf text = {0};
        for (int64_t i = 0; i < n; i++) tm_buf_add(&text, of->text.data, of->text.size);
        return tm_template_take(run, &text, out);
    }
    size_t size = of->list->n;
    TM_TRY(tm_template_charge(run, (size_t)n * size * 16));
    TM_TRY(tm_tv_list(&run->arena, of->kind, (size_t)n * size, out, run->err));
    for (size_t i = 0; i < out->list->n; i++) out->list->items[i] = of->list->items[i % size];
    return tm_tv_seal(out, run->err);
}

static bool repeatable(const tm_tval *v)
{
    return v->kind == TM_TV_STRING || tm_tv_sequence(v);
}

tm_status tm_template_arithmetic(tm_trun *run, tm_top op, const tm_tval *a, const tm_tval *b, tm_tval *out)
{
    int64_t i, j;
    double x, y;
    if (integer_of(a, &i) && integer_of(b, &j)) return integers(run, op, i, j, out);
    if (real_of(a, &x) && real_of(b, &y)) return reals(run, op, x, y, out);
    if (op == TM_TO_ADD && a->kind == b->kind && repeatable(a)) return joined(run, a, b, out);
    if (op == TM_TO_MULTIPLY && repeatable(a) && integer_of(b, &j)) return repeated(run, a, j, out);
    if (op == TM_TO_MULTIPLY && repeatable(b) && integer_of(a, &i)) return repeated(run, b, i, out);
    if (b->kind == TM_TV_UNDEFINED) return tm_template_no(run, b, "");
    return tm_template_no(run, a, "cannot be computed with");
}
