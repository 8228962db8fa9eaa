// SPDX-License-Identifier: Apache-2.0
// Methods of texts, lists and dicts in templates, and the few functions there are.
#include <time.h>

#include "stages/text/template_eval.h"
#include "stages/text/template_strings.h"

#define MAX_RANGE 100000 // as jinja2's sandbox has it

// The text given for a parameter; NULL (not given, or None) if `optional`.
static tm_status text_argument(tm_trun *run, const tm_tbound *a, int i, bool optional, const tm_view **text)
{
    *text = NULL;
    if (optional && (!a->given[i] || a->values[i].kind == TM_TV_NONE)) return TM_OK;
    if (!a->given[i]) return tm_template_fail(run, "a method lacks an argument");
    if (a->values[i].kind != TM_TV_STRING) return tm_template_no(run, &a->values[i], "is no text");
    *text = &a->values[i].text;
    return TM_OK;
}

static tm_status strip_sides(tm_trun *run, const tm_tval *of, const tm_tbound *a, bool left, bool right,
                             tm_tval *out)
{
    const tm_view *chars;
    TM_TRY(text_argument(run, a, 0, true, &chars));
    TM_TRY(tm_template_charge(run, of->text.size));
    *out = tm_tv_text(tm_text_strip(of->text, chars, left, right));
    return TM_OK;
}

static tm_status strip(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return strip_sides(run, of, a, true, true, out);
}

static tm_status lstrip(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return strip_sides(run, of, a, true, false, out);
}

static tm_status rstrip(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return strip_sides(run, of, a, false, true, out);
}

static tm_status split_side(tm_trun *run, const tm_tval *of, const tm_tbound *a, bool right, tm_tval *out)
{
    const tm_view *separator;
    tm_error why = {0};
    TM_TRY(text_argument(run, a, 0, true, &separator));
    TM_TRY(tm_template_charge(run, of->text.size * 4));
    int64_t n = a->given[1] && a->values[1].kind == TM_TV_INT ? a->values[1].integer : -1;
    tm_status status = tm_text_split(&run->arena, of->text, separator, n, right, out, &why);
    return status == TM_EFAILED ? tm_template_fail(run, "%s", why.text)
           : status < 0         ? tm_fail(run->err, status, "%s", why.text)
                                : TM_OK;
}

static tm_status split(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return split_side(run, of, a, false, out);
}

static tm_status rsplit(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return split_side(run, of, a, true, out);
}

// One text, or any of a tuple of them.
static tm_status has_end(tm_trun *run, const tm_tval *of, const tm_tbound *a, bool start, tm_tval *out)
{
    const tm_tval *list = &a->values[0], *end = list + 1;
    if (a->given[0] && list->kind == TM_TV_TUPLE) {
        end = list->list->items + list->list->n;
        list = list->list->items;
    }
    *out = tm_tv_bool(false);
    for (; list < end && !out->truth; list++) {
        if (list->kind != TM_TV_STRING) return tm_template_no(run, list, "is no text");
        out->truth = start ? tm_text_starts(of->text, list->text) : tm_text_ends(of->text, list->text);
        TM_TRY(tm_template_charge(run, list->text.size));
    }
    return TM_OK;
}

static tm_status startswith(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return has_end(run, of, a, true, out);
}

static tm_status endswith(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return has_end(run, of, a, false, out);
}

static tm_status without(tm_trun *run, const tm_tval *of, const tm_tbound *a, bool start, tm_tval *out)
{
    const tm_view *part;
    TM_TRY(text_argument(run, a, 0, false, &part));
    *out = *of;
    bool there = start ? tm_text_starts(of->text, *part) : tm_text_ends(of->text, *part);
    if (there) out->text.size -= part->size;
    if (there && start) out->text.data += part->size;
    return TM_OK;
}

static tm_status removeprefix(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return without(run, of, a, true, out);
}

static tm_status removesuffix(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return without(run, of, a, false, out);
}

// The filter of the same name.
static tm_status as_filter(tm_trun *run, const char *name, const tm_tval *of, const tm_tbound *a,
                           tm_tval *out)
{
    return tm_template_filter(tm_template_filter_find(tm_view_str(name)))->call(run, of, a, out);
}

static tm_status replace(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return as_filter(run, "replace", of, a, out);
}

static tm_status upper(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return as_filter(run, "upper", of, a, out);
}

static tm_status lower(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return as_filter(run, "lower", of, a, out);
}

static tm_status capitalize(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return as_filter(run, "capitalize", of, a, out);
}

static tm_status title(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_buf text = {0};
    tm_error why = {0};
    (void)a;
    if (tm_text_recase(of->text, TM_CASE_TITLE, &text, &why) >= 0) return tm_template_take(run, &text, out);
    tm_buf_clear(&text);
    return tm_template_fail(run, "%s", why.text);
}

static tm_status find(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    const tm_view *part;
    TM_TRY(text_argument(run, a, 0, false, &part));
    TM_TRY(tm_template_charge(run, of->text.size));
    size_t at = tm_text_find(of->text, *part, 0);
    *out = tm_tv_int(at == SIZE_MAX ? -1 : (int64_t)tm_tv_points(tm_view_of(of->text.data, at)));
    return TM_OK;
}

static tm_status occurrences(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    const tm_view *part;
    int64_t n = 0;
    TM_TRY(text_argument(run, a, 0, false, &part));
    TM_TRY(tm_template_charge(run, of->text.size));
    for (size_t at = 0; part->size && (at = tm_text_find(of->text, *part, at)) != SIZE_MAX; at += part->size)
        n++;
    *out = tm_tv_int(part->size ? n : (int64_t)tm_tv_points(of->text) + 1);
    return TM_OK;
}

static tm_status isdigit_method(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    *out = tm_tv_bool(of->text.size > 0);
    for (size_t i = 0; i < of->text.size; i++) {
        if ((unsigned char)of->text.data[i] >= 0x80)
            return tm_template_fail(run, "isdigit of characters beyond ASCII is not known here");
        out->truth &= of->text.data[i] >= '0' && of->text.data[i] <= '9';
    }
    return TM_OK;
}

// ---- dicts ----

static tm_status items(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    return as_filter(run, "items", of, a, out);
}

static tm_status part_of(tm_trun *run, size_t n, const tm_tval *from, tm_tval *out)
{
    TM_TRY(tm_template_charge(run, n * 16));
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, n, out, run->err));
    if (n) memcpy(out->list->items, from, n * sizeof *from);
    return tm_tv_seal(out, run->err);
}

static tm_status keys(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return part_of(run, of->dict->n, of->dict->keys, out);
}

static tm_status values(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return part_of(run, of->dict->n, of->dict->values, out);
}

static tm_status get(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    const tm_tval *value = tm_tv_find(of->dict, &a->values[0]);
    TM_TRY(tm_template_charge(run, of->dict->n * 16));
    *out = value ? *value : a->given[1] ? a->values[1] : (tm_tval){.kind = TM_TV_NONE};
    return TM_OK;
}

// ---- lists ----

static tm_status index_of(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    TM_TRY(tm_template_charge(run, tm_tv_weight(of)));
    for (size_t i = 0; i < of->list->n; i++)
        if (tm_tv_equal(&of->list->items[i], &a->values[0])) return *out = tm_tv_int((int64_t)i), TM_OK;
    return tm_template_fail(run, "the value is not in the list");
}

static const tm_trow methods[] = {
    {"capitalize", "", capitalize, TM_TV_STRING},
    {"count", "part", occurrences, TM_TV_STRING},
    {"endswith", "end", endswith, TM_TV_STRING},
    {"find", "part", find, TM_TV_STRING},
    {"isdigit", "", isdigit_method, TM_TV_STRING},
    {"lower", "", lower, TM_TV_STRING},
    {"lstrip", "chars", lstrip, TM_TV_STRING},
    {"removeprefix", "prefix", removeprefix, TM_TV_STRING},
    {"removesuffix", "suffix", removesuffix, TM_TV_STRING},
    {"replace", "old new count", replace, TM_TV_STRING},
    {"rsplit", "sep maxsplit", rsplit, TM_TV_STRING},
    {"rstrip", "chars", rstrip, TM_TV_STRING},
    {"split", "sep maxsplit", split, TM_TV_STRING},
    {"startswith", "start", startswith, TM_TV_STRING},
    {"strip", "chars", strip, TM_TV_STRING},
    {"title", "", title, TM_TV_STRING},
    {"upper", "", upper, TM_TV_STRING},
    {"get", "key default", get, TM_TV_DICT},
    {"items", "", items, TM_TV_DICT},
    {"keys", "", keys, TM_TV_DICT},
    {"values", "", values, TM_TV_DICT},
    {"index", "value", index_of, TM_TV_LIST},
};

const tm_trow *tm_template_method(tm_tkind kind, tm_view name)
{
    if (kind == TM_TV_TUPLE) kind = TM_TV_LIST;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].kind == kind && tm_view_eq(name, tm_view_str(methods[i].name))) return &methods[i];
    return NULL;
}

// ---- functions ----

static tm_status range(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    int64_t bounds[3] = {0, 0, 1}, n = 0;
    (void)of;
    for (int i = 0; i < 3 && a->given[i]; i++) {
        if (a->values[i].kind != TM_TV_INT)
            return tm_template_no(run, &a->values[i], "is no bound of a range");
        bounds[i] = a->values[i].integer;
    }
    if (!a->given[1]) {
        bounds[1] = bounds[0];
        bounds[0] = 0;
    }
    __int128 span = (__int128)bounds[1] - bounds[0], step = bounds[2];
    if (!step) return tm_template_fail(run, "the step of a range is 0");
    if (span != 0 && (span > 0) == (step > 0)) {
        __int128 count = (span + step + (step > 0 ? -1 : 1)) / step;
        if (count > MAX_RANGE) return tm_template_fail(run, "a range is longer than %d", MAX_RANGE);
        n = (int64_t)count;
    }
    TM_TRY(tm_template_charge(run, (size_t)n * 16));
    TM_TRY(tm_tv_list(&run->arena, TM_TV_LIST, (size_t)n, out, run->err));
    for (int64_t i = 0; i < n; i++) out->list->items[i] = tm_tv_int(bounds[0] + i * bounds[2]);
    return tm_tv_seal(out, run->err);
}

static tm_status raise_exception(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    tm_buf text = {0};
    (void)of;
    (void)out;
    tm_tv_str(&a->values[0], &text);
    tm_status status =
        tm_fail(run->err, TM_EFAILED, "the template refuses: %.400s", text.size ? text.data : "");
    tm_buf_clear(&text);
    return status;
}

// The clock stands still, so that a record gives the same text every day: at the date that Llama 3's template
// has for where there is no clock.
static tm_status strftime_now(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    static const struct tm date = {.tm_year = 124, .tm_mon = 6, .tm_mday = 26, .tm_wday = 5, .tm_yday = 207};
    char format[64], text[512];
    const tm_view *given;
    (void)of;
    TM_TRY(text_argument(run, a, 0, false, &given));
    if (given->size >= sizeof format) return tm_template_fail(run, "strftime_now: the format is too long");
    memcpy(format, given->data, given->size);
    format[given->size] = 0;
    size_t n = strftime(text, sizeof text, format, &date);
    return tm_tv_copy_text(&run->arena, tm_view_of(text, n), out, run->err);
}

// dict and namespace are made by the evaluator: they take any names.
static const tm_trow functions[] = {
    {"dict", "", NULL, 0},
    {"namespace", "", NULL, 0},
    {"raise_exception", "message", raise_exception, 0},
    {"range", "start stop step", range, 0},
    {"strftime_now", "format", strftime_now, 0},
};

const tm_trow *tm_template_function(tm_view name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (tm_view_eq(name, tm_view_str(functions[i].name))) return &functions[i];
    return NULL;
}
