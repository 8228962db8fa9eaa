// SPDX-License-Identifier: Apache-2.0
// Values of templates as text: Python's str(), repr() and json.dumps().
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <utf8proc.h>

#include "engine/base/utf8.h"
#include "stages/text/template_value.h"

// The shortest digits that give the number back, in the form of Python's repr.
static void print_float(double number, tm_buf *out)
{
    char digits[40];
    int precision = 1;
    if (isnan(number)) {
        tm_buf_str(out, "nan");
        return;
    }
    if (isinf(number)) {
        tm_buf_str(out, number < 0 ? "-inf" : "inf");
        return;
    }
    do snprintf(digits, sizeof digits, "%.*e", precision - 1, number);
    while (strtod(digits, NULL) != number && ++precision <= 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int places = precision - 1 - exponent;
        snprintf(digits, sizeof digits, "%.*f", places > 1 ? places : 1, number);
        tm_buf_str(out, digits);
        return;
    }
    *strchr(digits, 'e') = 0;
    tm_buf_fmt(out, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
}

// What Python's str.isprintable() says.
static bool printable(uint32_t point)
{
    if (point < 0x7f) return point >= 0x20;
    switch (utf8proc_category((utf8proc_int32_t)point)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return false;
    default: return true;
    }
}

static void escape(uint32_t point, tm_buf *out)
{
    if (point == '\n')
        tm_buf_str(out, "\\n");
    else if (point == '\r')
        tm_buf_str(out, "\\r");
    else if (point == '\t')
        tm_buf_str(out, "\\t");
    else if (point < 0x100)
        tm_buf_fmt(out, "\\x%02x", (unsigned)point);
    else if (point < 0x10000)
        tm_buf_fmt(out, "\\u%04x", (unsigned)point);
    else
        tm_buf_fmt(out, "\\U%08x", (unsigned)point);
}

static void repr_text(tm_view text, tm_buf *out)
{
    bool single = text.size && memchr(text.data, '\'', text.size);
    char quote = single && !memchr(text.data, '"', text.size) ? '"' : '\'';
    tm_buf_char(out, quote);
    for (size_t i = 0; i < text.size;) {
        uint32_t point = 0xfffd;
        const unsigned char *p = (const unsigned char *)text.data;
        unsigned n = tm_utf8_decode(p + i, p + text.size, &point);
        if (point == (uint32_t)quote || point == '\\')
            tm_buf_fmt(out, "\\%c", (char)point);
        else if (printable(point))
            tm_buf_point(out, point);
        else
            escape(point, out);
        i += n ? n : 1;
    }
    tm_buf_char(out, quote);
}

static void repr_items(const tm_tval *v, tm_buf *out)
{
    bool tuple = v->kind == TM_TV_TUPLE;
    tm_buf_char(out, tuple ? '(' : '[');
    for (size_t i = 0; i < v->list->n; i++) {
        if (i) tm_buf_str(out, ", ");
        tm_tv_repr(&v->list->items[i], out);
    }
    if (tuple && v->list->n == 1) tm_buf_char(out, ',');
    tm_buf_char(out, tuple ? ')' : ']');
}

static void repr_dict(const tm_tdict *dict, tm_buf *out)
{
    tm_buf_char(out, '{');
    for (size_t i = 0; i < dict->n; i++) {
        if (i) tm_buf_str(out, ", ");
        tm_tv_repr(&dict->keys[i], out);
        tm_buf_str(out, ": ");
        tm_tv_repr(&dict->values[i], out);
    }
    tm_buf_char(out, '}');
}

void tm_tv_repr(const tm_tval *v, tm_buf *out)
{
    if (v->kind == TM_TV_STRING)
        repr_text(v->text, out);
    else if (v->kind == TM_TV_UNDEFINED)
        tm_buf_str(out, "Undefined");
    else
        tm_tv_str(v, out);
}

void tm_tv_str(const tm_tval *v, tm_buf *out)
{
    switch (v->kind) {
    case TM_TV_UNDEFINED: return;
    case TM_TV_NONE: tm_buf_str(out, "None"); return;
    case TM_TV_BOOL: tm_buf_str(out, v->truth ? "True" : "False"); return;
    case TM_TV_INT: tm_buf_fmt(out, "%lld", (long long)v->integer); return;
    case TM_TV_FLOAT: print_float(v->number, out); return;
    case TM_TV_STRING: tm_buf_add(out, v->text.data, v->text.size); return;
    case TM_TV_LIST:
    case TM_TV_TUPLE: repr_items(v, out); return;
    case TM_TV_DICT: repr_dict(v->dict, out); return;
    default: tm_buf_fmt(out, "<%s>", tm_tv_type(v));
    }
}

// ---- JSON ----

static void dump_text(tm_view text, bool ascii, tm_buf *out)
{
    static const char shorts[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    tm_buf_char(out, '"');
    for (size_t i = 0; i < text.size;) {
        uint32_t point = 0xfffd;
        const unsigned char *p = (const unsigned char *)text.data;
        unsigned n = tm_utf8_decode(p + i, p + text.size, &point);
        i += n ? n : 1;
        const char *at = point < 0x80 && point ? strchr(shorts, (int)point) : NULL;
        if (at && (at - shorts) % 2) at = NULL; // the letter, not what it stands for
        if (at)
            tm_buf_fmt(out, "\\%c", at[1]);
        else if (point < 0x20)
            tm_buf_fmt(out, "\\u%04x", (unsigned)point);
        else if (!ascii || point < 0x7f)
            tm_buf_point(out, point);
        else if (point < 0x10000)
            tm_buf_fmt(out, "\\u%04x", (unsigned)point);
        else
            tm_buf_fmt(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((point - 0x10000) >> 10)),
                       (unsigned)(0xdc00 + ((point - 0x10000) & 0x3ff)));
    }
    tm_buf_char(out, '"');
}

static void new_line(const tm_tjson *how, int depth, tm_buf *out)
{
    if (how->indent < 0) return;
    tm_buf_char(out, '\n');
    for (int i = 0; i < how->indent * depth; i++) tm_buf_char(out, ' ');
}

static tm_status dump(const tm_tval *v, const tm_tjson *how, int depth, tm_buf *out, tm_error *err);

static tm_status dump_items(const tm_tlist *list, const tm_tjson *how, int depth, tm_buf *out, tm_error *err)
{
    tm_buf_char(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        if (i) tm_buf_add(out, how->item.data, how->item.size);
        new_line(how, depth + 1, out);
        TM_TRY(dump(&list->items[i], how, depth + 1, out, err));
    }
    if (list->n) new_line(how, depth, out);
    tm_buf_char(out, ']');
    return TM_OK;
}

static int by_key(const void *a, const void *b)
{
    int order = 0;
    tm_tv_compare(*(const tm_tval *const *)a, *(const tm_tval *const *)b, &order, NULL);
    return order;
}

// A key that is no text is written as one.
static tm_status dump_key(const tm_tval *key, const tm_tjson *how, tm_buf *out, tm_error *err)
{
    if (key->kind == TM_TV_STRING) return dump(key, how, 0, out, err);
    if (tm_tv_sequence(key) || key->kind >= TM_TV_DICT || key->kind == TM_TV_UNDEFINED)
        return tm_fail(err, TM_EFAILED, "tojson: a key is a %s", tm_tv_type(key));
    tm_buf_char(out, '"');
    tm_status status = dump(key, how, 0, out, err);
    tm_buf_char(out, '"');
    return status;
}

static tm_status dump_dict(const tm_tdict *dict, const tm_tjson *how, int depth, tm_buf *out, tm_error *err)
{
    const tm_tval **keys = tm_alloc((dict->n + 1) * sizeof *keys);
    if (!keys) return tm_fail(err, TM_ENOMEM, "no memory for keys");
    for (size_t i = 0; i < dict->n; i++) keys[i] = &dict->keys[i];
    if (how->sort) qsort((void *)keys, dict->n, sizeof *keys, by_key);
    tm_status status = TM_OK;
    tm_buf_char(out, '{');
    for (size_t i = 0; status >= 0 && i < dict->n; i++) {
        if (i) tm_buf_add(out, how->item.data, how->item.size);
        new_line(how, depth + 1, out);
        status = dump_key(keys[i], how, out, err);
        tm_buf_add(out, how->key.data, how->key.size);
        if (status >= 0) status = dump(&dict->values[keys[i] - dict->keys], how, depth + 1, out, err);
    }
    if (dict->n) new_line(how, depth, out);
    tm_buf_char(out, '}');
    tm_free((void *)keys);
    return status;
}

static tm_status dump(const tm_tval *v, const tm_tjson *how, int depth, tm_buf *out, tm_error *err)
{
    switch (v->kind) {
    case TM_TV_NONE: tm_buf_str(out, "null"); return TM_OK;
    case TM_TV_BOOL: tm_buf_str(out, v->truth ? "true" : "false"); return TM_OK;
    case TM_TV_INT:
    case TM_TV_FLOAT: tm_tv_str(v, out); return TM_OK;
    case TM_TV_STRING: dump_text(v->text, how->ascii, out); return TM_OK;
    case TM_TV_LIST:
    case TM_TV_TUPLE: return dump_items(v->list, how, depth, out, err);
    case TM_TV_DICT: return dump_dict(v->dict, how, depth, out, err);
    default: return tm_fail(err, TM_EFAILED, "tojson: %s has no JSON form", tm_tv_type(v));
    }
}

tm_status tm_tv_dump(const tm_tval *v, const tm_tjson *how, tm_buf *out, tm_error *err)
{
    return dump(v, how, 0, out, err);
}
