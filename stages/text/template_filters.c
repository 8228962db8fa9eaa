// SPDX-License-Identifier: Apache-2.0
// Filters of templates: x | NAME(...), as jinja2/filters.py and transformers have them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stages/text/template_eval.h"
#include "stages/text/template_strings.h"

// str() of a value as a view: its own bytes for a text, else printed into `memory`.
static tm_view text_of(const tm_tval *v, tm_buf *memory)
{
    if (v->kind == TM_TV_STRING) return v->text;
    tm_buf_reset(memory);
    tm_tv_str(v, memory);
    return memory->size ? tm_buf_view(memory) : (tm_view){"", 0};
}

static tm_status trim(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_buf memory = {0}, result = {0};
    if (a->given[0] && a->values[0].kind != TM_TV_STRING)
        return tm_template_no(run, &a->values[0], "is no text");
    tm_view part = tm_text_strip(text_of(of, &memory), a->given[0] ? &a->values[0].text : NULL, true, true);
    tm_buf_add(&result, part.data, part.size);
    tm_buf_clear(&memory);
    return tm_template_take(run, &result, out);
}

static tm_status recase(tm_trun *run, const tm_tval *of, tm_text_case to, tm_tval *out)
{
    tm_buf memory = {0}, result = {0};
    tm_error why = {0};
    tm_status status = tm_text_recase(text_of(of, &memory), to, &result, &why);
    tm_buf_clear(&memory);
    if (status >= 0) return tm_template_take(run, &result, out);
    tm_buf_clear(&result);
    return tm_template_fail(run, "%s", why.text);
}

static tm_status upper(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return recase(run, of, TM_CASE_UPPER, out);
}

static tm_status lower(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return recase(run, of, TM_CASE_LOWER, out);
}

static tm_status capitalize(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return recase(run, of, TM_CASE_CAPITALIZE, out);
}

static tm_status length(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    int64_t n = 0;
    (void)a;
    tm_error why = {0};
    if (tm_tv_length(of, &n, &why) < 0) return tm_template_fail(run, "%s", why.text);
    *out = tm_tv_int(n);
    return tm_template_charge(run, of->kind == TM_TV_STRING ? of->text.size : 0);
}

static tm_status otherwise(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    bool also_false = a->given[1] && tm_tv_truth(&a->values[1]);
    (void)run;
    bool take = of->kind == TM_TV_UNDEFINED || (also_false && !tm_tv_truth(of));
    *out = !take ? *of : a->given[0] ? a->values[0] : tm_tv_text(tm_view_str(""));
    return TM_OK;
}

static tm_status tojson(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_tjson how = {.indent = -1, .item = {", ", 2}, .key = {": ", 2}};
    how.ascii = a->given[0] && tm_tv_truth(&a->values[0]);
    how.sort = a->given[3] && tm_tv_truth(&a->values[3]);
    if (a->given[1] && a->values[1].kind != TM_TV_NONE) {
        if (a->values[1].kind != TM_TV_INT || a->values[1].integer < 0 || a->values[1].integer > 64)
            return tm_template_no(run, &a->values[1], "is no indent");
        how.indent = (int)a->values[1].integer;
        how.item.size = 1;
    }
    if (a->given[2] && tm_tv_sequence(&a->values[2]) && a->values[2].list->n == 2) {
        const tm_tval *both = a->values[2].list->items;
        if (both[0].kind != TM_TV_STRING || both[1].kind != TM_TV_STRING)
            return tm_template_no(run, &both[0], "is no separator");
        how.item = both[0].text;
        how.key = both[1].text;
    }
    tm_buf text = {0};
    tm_error why = {0};
    tm_status status = tm_template_charge(run, tm_tv_weight(of));
    if (status >= 0 && tm_tv_dump(of, &how, &text, &why) < 0) status = tm_template_fail(run, "%s", why.text);
    if (status >= 0) return tm_template_take(run, &text, out);
    tm_buf_clear(&text);
    return status;
}

static tm_status text(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_buf result = {0};
    (void)a;
    *out = *of;
    if (of->kind == TM_TV_STRING) return TM_OK;
    tm_tv_str(of, &result);
    return tm_template_take(run, &result, out);
}

static tm_status safe(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    TM_TRY(text(run, of, a, out));
    out->markup = true;
    return TM_OK;
}

// "a.b.0" of an item.
static tm_status attribute(tm_trun *run, const tm_tval *item, const tm_tval *path, tm_tval *out)
{
    *out = *item;
    if (path->kind == TM_TV_INT) return tm_template_item(run, item, path, out);
    if (path->kind != TM_TV_STRING) return tm_template_no(run, path, "is no attribute");
    for (tm_view rest = path->text;;) {
        const char *dot = rest.size ? memchr(rest.data, '.', rest.size) : NULL;
        tm_view part = tm_view_of(rest.data, dot ? (size_t)(dot - rest.data) : rest.size);
        tm_tval key = tm_tv_text(part), of = *out;
        if (part.size && part.size < 9 && strspn(part.data, "0123456789") >= part.size)
            key = tm_tv_int(strtol(part.data, NULL, 10));
        TM_TRY(tm_template_item(run, &of, &key, out));
        if (!dot) return TM_OK;
        rest = tm_view_of(dot + 1, rest.size - part.size - 1);
    }
}

static tm_status join(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_buf result = {0}, memory = {0};
    tm_tval items, item;
    TM_TRY(tm_template_items(run, of, &items));
    tm_status status = TM_OK;
    for (size_t i = 0; status >= 0 && i < items.list->n; i++) {
        item = items.list->items[i];
        if (a->given[1]) status = attribute(run, &items.list->items[i], &a->values[1], &item);
        if (status >= 0) status = tm_template_charge(run, tm_tv_weight(&item));
        if (status < 0) break;
        tm_view between = a->given[0] && i ? text_of(&a->values[0], &memory) : (tm_view){0};
        tm_buf_add(&result, between.data, between.size);
        tm_tv_str(&item, &result);
        if (result.size > TM_TEMPLATE_OUTPUT) status = tm_template_fail(run, "a text is too large");
    }
    tm_buf_clear(&memory);
    if (status >= 0) return tm_template_take(run, &result, out);
    tm_buf_clear(&result);
    return status;
}

static tm_status end_item(tm_trun *run, const tm_tval *of, bool last, tm_tval *out)
{
    tm_tval items;
    TM_TRY(tm_template_items(run, of, &items));
    size_t n = items.list->n;
    *out = n ? items.list->items[last ? n - 1 : 0] : tm_tv_undefined(tm_view_str(last ? "last" : "first"));
    return TM_OK;
}

static tm_status first(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return end_item(run, of, false, out);
}

static tm_status last(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return end_item(run, of, true, out);
}

static tm_status replace(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_buf memory = {0}, result = {0};
    if (a->values[0].kind != TM_TV_STRING || a->values[1].kind != TM_TV_STRING)
        return tm_template_fail(run, "replace takes two texts");
    int64_t n = a->given[2] && a->values[2].kind == TM_TV_INT ? a->values[2].integer : -1;
    TM_TRY(tm_template_charge(run, tm_tv_weight(of) * (1 + a->values[1].text.size / 64)));
    tm_text_replace(text_of(of, &memory), a->values[0].text, a->values[1].text, n, &result);
    tm_buf_clear(&memory);
    return tm_template_take(run, &result, out);
}

static tm_status list(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    TM_TRY(tm_template_items(run, of, out));
    out->kind = TM_TV_LIST;
    return TM_OK;
}

static tm_status reverse(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    const tm_tval back[3] = {{.kind = TM_TV_NONE}, {.kind = TM_TV_NONE}, {.kind = TM_TV_INT, .integer = -1}};
    tm_tval items = *of;
    (void)a;
    if (of->kind != TM_TV_STRING) TM_TRY(tm_template_items(run, of, &items));
    return tm_template_slice(run, &items, back, out);
}

static tm_status number(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    char digits[64], *end = digits;
    tm_tval zero = a->given[0] ? a->values[0] : tm_tv_int(0);
    *out = *of;
    if (of->kind == TM_TV_INT) return TM_OK;
    if (of->kind == TM_TV_BOOL)
        *out = tm_tv_int(of->truth);
    else if (of->kind == TM_TV_FLOAT && fabs(of->number) < 0x1p62)
        *out = tm_tv_int((int64_t)of->number);
    else
        *out = zero;
    if (of->kind != TM_TV_STRING) return TM_OK;
    tm_view t = tm_text_strip(of->text, NULL, true, true);
    if (!t.size || t.size >= sizeof digits) return TM_OK;
    memcpy(digits, t.data, t.size);
    digits[t.size] = 0;
    if (strspn(digits, "+-0123456789.eE") != t.size) return TM_OK;
    double x = strtod(digits, &end);
    if (!*end && fabs(x) < 0x1p53) *out = tm_tv_int((int64_t)x);
    (void)run;
    return TM_OK;
}

static tm_status absolute(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_tval zero = tm_tv_int(0);
    (void)a;
    *out = *of;
    if (of->kind == TM_TV_FLOAT)
        out->number = fabs(of->number);
    else if (of->kind != TM_TV_INT)
        return tm_template_no(run, of, "has no absolute value");
    else if (of->integer < 0)
        return tm_template_arithmetic(run, TM_TO_SUBTRACT, &zero, of, out);
    return TM_OK;
}

// Pairs (key, value).
static tm_status items(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    if (of->kind == TM_TV_UNDEFINED) return tm_tv_list(&run->arena, TM_TV_LIST, 0, out, run->err);
    if (of->kind != TM_TV_DICT) return tm_template_no(run, of, "has no pairs");
    TM_TRY(tm_template_charge(run, tm_tv_weight(of)));
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, of->dict->n, out, run->err));
    for (size_t i = 0; i < of->dict->n; i++) {
        tm_tval *pair = &out->list->items[i];
        TM_TRY(tm_tv_list(&run->arena, TM_TV_TUPLE, 2, pair, run->err));
        pair->list->items[0] = of->dict->keys[i];
        pair->list->items[1] = of->dict->values[i];
        TM_TRY(tm_tv_seal(pair, run->err));
    }
    return tm_tv_seal(out, run->err);
}

typedef struct sortable {
    tm_tval key; // as it is compared
    const tm_tval *item;
} sortable;

static int order_of(const sortable *x, const sortable *y, bool back)
{
    int order = 0;
    tm_tv_compare(&x->key, &y->key, &order, NULL);
    if (order) return back ? -order : order;
    return (x->item > y->item) - (x->item < y->item);
}

static int by_key(const void *a, const void *b)
{
    return order_of(a, b, false);
}

static int by_key_back(const void *a, const void *b)
{
    return order_of(a, b, true);
}

// What has no order among the others is an error, as for Python.
static tm_status check_order(tm_trun *run, const sortable *s, size_t n)
{
    tm_error why = {0};
    int order;
    for (size_t i = 1; i < n; i++)
        if (tm_tv_compare(&s[0].key, &s[i].key, &order, &why) < 0)
            return tm_template_fail(run, "%s", why.text);
    return TM_OK;
}

// Pairs in the order of their keys, whatever the case of letters.
static tm_status dictsort(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    if (a->given[0] || a->given[1] || a->given[2])
        return tm_template_fail(run, "arguments of dictsort are not known here");
    TM_TRY(items(run, of, a, out));
    size_t n = out->list->n;
    sortable *s = tm_tarena_get(&run->arena, (n + 1) * sizeof *s);
    tm_tval *sorted = tm_tarena_get(&run->arena, (n + 1) * sizeof *sorted);
    if (!s || !sorted) return tm_tv_no_room(run->err);
    for (size_t i = 0; i < n; i++) {
        s[i].item = &out->list->items[i];
        s[i].key = s[i].item->list->items[0];
        if (s[i].key.kind == TM_TV_STRING)
            TM_TRY(recase(run, &s[i].item->list->items[0], TM_CASE_LOWER, &s[i].key));
    }
    TM_TRY(check_order(run, s, n));
    qsort(s, n, sizeof *s, by_key);
    for (size_t i = 0; i < n; i++) sorted[i] = *s[i].item;
    out->list->items = sorted;
    return tm_template_charge(run, tm_tv_weight(out) * 16);
}

// The items of `of` as a list in the order of their attribute (or of themselves, without one).
static tm_status in_order(tm_trun *run, const tm_tval *of, const tm_tval *path, bool cased, bool back,
                          tm_tval *out)
{
    tm_tval all, key;
    if (path && path->kind == TM_TV_NONE) path = NULL;
    if (path && path->kind == TM_TV_STRING && memchr(path->text.data, ',', path->text.size))
        return tm_template_fail(run, "an order by several attributes is not known here");
    TM_TRY(tm_template_items(run, of, &all));
    size_t n = all.list->n;
    sortable *s = tm_tarena_get(&run->arena, (n + 1) * sizeof *s);
    if (!s) return tm_tv_no_room(run->err);
    for (size_t i = 0; i < n; i++) {
        s[i] = (sortable){.key = all.list->items[i], .item = &all.list->items[i]};
        if (path) TM_TRY(attribute(run, s[i].item, path, &s[i].key));
        key = s[i].key;
        if (key.kind == TM_TV_STRING && !cased) TM_TRY(recase(run, &key, TM_CASE_LOWER, &s[i].key));
    }
    TM_TRY(check_order(run, s, n));
    qsort(s, n, sizeof *s, back ? by_key_back : by_key);
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, n, out, run->err));
    for (size_t i = 0; i < n; i++) out->list->items[i] = *s[i].item;
    TM_TRY(tm_tv_seal(out, run->err));
    return tm_template_charge(run, tm_tv_weight(out) * 16);
}

static const tm_tval *given(const tm_tbound *a, int i)
{
    return a->given[i] ? &a->values[i] : NULL;
}

static bool is_true(const tm_tbound *a, int i)
{
    return a->given[i] && tm_tv_truth(&a->values[i]);
}

static tm_status sort(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return in_order(run, of, given(a, 2), is_true(a, 1), is_true(a, 0), out);
}

static tm_status outermost(tm_trun *run, const tm_tval *of, const tm_tbound *a, bool back, tm_tval *out)
{
    tm_tval sorted;
    TM_TRY(in_order(run, of, given(a, 1), is_true(a, 0), back, &sorted));
    *out = sorted.list->n ? sorted.list->items[0]
                          : tm_tv_undefined(tm_view_str("the least or largest of nothing"));
    return TM_OK;
}

static tm_status least(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return outermost(run, of, a, false, out);
}

static tm_status largest(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return outermost(run, of, a, true, out);
}

// ---- filters over items ----

// Keeps the items whose attribute (or which themselves, without one) pass a test, or those that do not.
static tm_status select_items(tm_trun *run, const tm_tval *of, const tm_tval *path, const tm_tval *test,
                              const tm_tval *value, bool keep, tm_tval *out)
{
    tm_tval all, item, passed;
    size_t n = 0;
    const tm_trow *row = NULL;
    if (test) {
        int at = test->kind == TM_TV_STRING ? tm_template_test_find(test->text) : -1;
        if (at < 0) return tm_template_no(run, test, "is no test");
        row = tm_template_test(at);
    }
    TM_TRY(tm_template_items(run, of, &all));
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, all.list->n, out, run->err));
    for (size_t i = 0; i < all.list->n; i++) {
        item = all.list->items[i];
        if (path) TM_TRY(attribute(run, &all.list->items[i], path, &item));
        tm_tbound args = {.given = {value != NULL}};
        if (value) args.values[0] = *value;
        passed = tm_tv_bool(tm_tv_truth(&item));
        if (row) TM_TRY(row->call(run, &item, &args, &passed));
        TM_TRY(tm_template_charge(run, 0));
        if (tm_tv_truth(&passed) == keep) out->list->items[n++] = all.list->items[i];
    }
    out->list->n = n;
    return tm_tv_seal(out, run->err);
}

static tm_status selectattr(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return select_items(run, of, &a->values[0], given(a, 1), given(a, 2), true, out);
}

static tm_status rejectattr(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return select_items(run, of, &a->values[0], given(a, 1), given(a, 2), false, out);
}

static tm_status select_filter(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return select_items(run, of, NULL, given(a, 0), given(a, 1), true, out);
}

static tm_status reject(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return select_items(run, of, NULL, given(a, 0), given(a, 1), false, out);
}

// map("upper"), map("replace", a, b), map(attribute="x", default=y)
static tm_status map(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_tval all;
    int row =
        given(a, 0) && a->values[0].kind == TM_TV_STRING ? tm_template_filter_find(a->values[0].text) : -1;
    if (row < 0 && !given(a, 3))
        return tm_template_fail(run, "map takes a filter that is known here, or attribute=");
    tm_tbound args = {.values = {a->values[1], a->values[2]}, .given = {a->given[1], a->given[2]}};
    TM_TRY(tm_template_items(run, of, &all));
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, all.list->n, out, run->err));
    for (size_t i = 0; i < all.list->n; i++) {
        const tm_tval *item = &all.list->items[i];
        tm_tval *result = &out->list->items[i];
        if (given(a, 3))
            TM_TRY(attribute(run, item, &a->values[3], result));
        else
            TM_TRY(tm_template_filter(row)->call(run, item, &args, result));
        if (given(a, 3) && given(a, 4) && result->kind == TM_TV_UNDEFINED) *result = a->values[4];
        TM_TRY(tm_template_charge(run, 0));
    }
    return tm_tv_seal(out, run->err);
}

// Lines behind the first begin with blanks, but not empty ones.
static tm_status indent(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    int64_t width = a->given[0] && a->values[0].kind == TM_TV_INT ? a->values[0].integer : 4;
    bool first_too = a->given[1] && tm_tv_truth(&a->values[1]),
         blank_too = a->given[2] && tm_tv_truth(&a->values[2]);
    tm_buf result = {0};
    if (of->kind != TM_TV_STRING || width < 0 || width > 64)
        return tm_template_no(run, of, "cannot be indented");
    for (size_t i = 0; i < of->text.size;) {
        const char *line = of->text.data + i, *end = memchr(line, '\n', of->text.size - i);
        size_t n = end ? (size_t)(end - line) : of->text.size - i;
        for (int64_t k = 0; k < width && (i ? n || blank_too : first_too); k++) tm_buf_char(&result, ' ');
        tm_buf_add(&result, line, n + (end != NULL));
        i += n + (end != NULL);
    }
    return tm_template_take(run, &result, out);
}

static const tm_trow filters[] = {
    {"abs", "", absolute, 0},
    {"capitalize", "", capitalize, 0},
    {"count", "", length, 0},
    {"d", "default_value boolean", otherwise, 0},
    {"default", "default_value boolean", otherwise, 0},
    {"dictsort", "case_sensitive by reverse", dictsort, 0},
    {"first", "", first, 0},
    {"indent", "width first blank", indent, 0},
    {"int", "default", number, 0},
    {"items", "", items, 0},
    {"join", "d attribute", join, 0},
    {"last", "", last, 0},
    {"length", "", length, 0},
    {"list", "", list, 0},
    {"lower", "", lower, 0},
    {"map", "filter a b attribute default", map, 0},
    {"max", "case_sensitive attribute", largest, 0},
    {"min", "case_sensitive attribute", least, 0},
    {"reject", "test value", reject, 0},
    {"rejectattr", "attribute test value", rejectattr, 0},
    {"replace", "old new count", replace, 0},
    {"reverse", "", reverse, 0},
    {"safe", "", safe, 0},
    {"select", "test value", select_filter, 0},
    {"selectattr", "attribute test value", selectattr, 0},
    {"sort", "reverse case_sensitive attribute", sort, 0},
    {"string", "", text, 0},
    {"tojson", "ensure_ascii indent separators sort_keys", tojson, 0},
    {"trim", "chars", trim, 0},
    {"upper", "", upper, 0},
};

int tm_template_filter_find(tm_view name)
{
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (tm_view_eq(name, tm_view_str(filters[i].name))) return (int)i;
    return -1;
}

const tm_trow *tm_template_filter(int row)
{
    return &filters[row];
}

const char *tm_template_unknown(const char *what, tm_view name, char text[96])
{
    snprintf(text, 96, "%s \"%.*s\" is not known here", what, (int)(name.size < 40 ? name.size : 40),
             name.data);
    return text;
}
