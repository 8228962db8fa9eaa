// SPDX-License-Identifier: Apache-2.0
// Checks, defaults and parsing of options from their tables.
#include "engine/option.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/code.h"

const char *tm_opt_kind_name(tm_opt_kind kind)
{
    static const char *const names[] = {"true or false", "a whole number", "a number",          "a string",
                                        "a path",        "one of",         "a list of strings", "a value",
                                        "a table",       "a function"};
    return names[kind];
}

#define FAULT(field, ...) snprintf(fault->field, sizeof fault->field, __VA_ARGS__)

static tm_status unknown_option(const tm_option *table, const char *name, tm_option_fault *fault)
{
    const char *names[64];
    size_t n = 0;
    char all[224] = "";
    for (const tm_option *o = table; o && o->name && n < 63; o++) {
        names[n++] = o->name;
        size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s%s", at ? ", " : "", o->name);
    }
    names[n] = NULL;
    const char *near = tm_nearest(name, names);
    fault->option = name;
    FAULT(what, "there is no option \"%s\"", name);
    if (n) FAULT(why, "the options are %s", all);
    else FAULT(why, "it has no options");
    if (near) FAULT(fix, "did you mean \"%s\"?", near);
    else FAULT(fix, "leave \"%.60s\" out%s", name, n ? ", or give one of these options" : "");
    return TM_EINVAL;
}

static void show(const json_t *value, char *text, size_t size)
{
    char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(text, size, "%.80s", dump ? dump : "?");
    free(dump);
}

static tm_status wrong_kind(const tm_option *o, const json_t *value, tm_option_fault *fault)
{
    char shown[96];
    show(value, shown, sizeof shown);
    fault->option = o->name;
    FAULT(what, "option \"%s\" takes %s%s%s", o->name, tm_opt_kind_name(o->kind), o->choices ? ": " : "",
          o->choices ? o->choices : "");
    FAULT(why, "it is %s", shown);
    return TM_EINVAL;
}

static tm_status check_range(const tm_option *o, double value, tm_option_fault *fault)
{
    if (o->min == 0 && o->max == 0) return TM_OK;
    if (value >= o->min && value <= o->max) return TM_OK;
    fault->option = o->name;
    if (isinf(o->max)) FAULT(what, "option \"%s\" must be at least %.10g", o->name, o->min);
    else FAULT(what, "option \"%s\" must lie between %.10g and %.10g", o->name, o->min, o->max);
    FAULT(why, "it is %.10g", value);
    if (o->def && strcmp(o->def, "null") != 0)
        FAULT(fix, "for example its default: %s = %s", o->name, o->def);
    else if (isinf(o->max))
        FAULT(fix, "give %s %s from %.10g up", o->name, tm_opt_kind_name(o->kind), o->min);
    else
        FAULT(fix, "give %s %s from %.10g to %.10g", o->name, tm_opt_kind_name(o->kind), o->min, o->max);
    return TM_EINVAL;
}

static tm_status check_choice(const tm_option *o, const char *value, tm_option_fault *fault)
{
    char copy[256], *save = NULL;
    const char *names[32];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", o->choices);
    for (char *word = strtok_r(copy, " ", &save); word && n < 31; word = strtok_r(NULL, " ", &save)) {
        if (strcmp(word, value) == 0) return TM_OK;
        names[n++] = word;
    }
    names[n] = NULL;
    fault->option = o->name;
    FAULT(what, "option \"%s\" must be one of: %s", o->name, o->choices);
    FAULT(why, "it is \"%s\"", value);
    const char *near = tm_nearest(value, names);
    if (near) FAULT(fix, "did you mean \"%s\"?", near);
    return TM_EINVAL;
}

static json_t *whole_number(const json_t *value)
{
    if (json_is_integer(value)) return json_integer(json_integer_value(value));
    double d = json_number_value(value);
    return json_is_real(value) && d == floor(d) && fabs(d) < 0x1p62 ? json_integer((json_int_t)d) : NULL;
}

static bool strings_only(const json_t *list)
{
    size_t i;
    json_t *item;
    if (!json_is_array(list)) return false;
    json_array_foreach(list, i, item)
        if (!json_is_string(item)) return false;
    return true;
}

// A node, a value, a secret: an object with one name that begins with '$'.
static bool is_special(const json_t *value)
{
    const char *name = json_object_iter_key(json_object_iter((json_t *)value));
    return name && name[0] == '$';
}

// The canonical form of one value, or NULL with the fault set.
static json_t *check_one(const tm_option *o, json_t *value, tm_option_fault *fault)
{
    switch (o->kind) {
    case TM_OPT_BOOL:
        if (json_is_boolean(value)) return json_incref(value);
        break;
    case TM_OPT_INT: {
        json_t *whole = json_is_number(value) ? whole_number(value) : NULL;
        if (!whole) break;
        if (check_range(o, (double)json_integer_value(whole), fault) == TM_OK) return whole;
        json_decref(whole);
        return NULL;
    }
    case TM_OPT_NUMBER:
        if (json_is_number(value) && isfinite(json_number_value(value)))
            return check_range(o, json_number_value(value), fault) == TM_OK
                       ? json_real(json_number_value(value))
                       : NULL;
        break;
    case TM_OPT_CHOICE:
        if (json_is_string(value))
            return check_choice(o, json_string_value(value), fault) == TM_OK ? json_incref(value) : NULL;
        break;
    case TM_OPT_STRING:
    case TM_OPT_PATH:
        if (json_is_string(value)) return json_incref(value);
        break;
    case TM_OPT_LIST:
        if (strings_only(value)) return json_incref(value);
        if (json_is_string(value)) return json_pack("[O]", value);
        break;
    case TM_OPT_VALUE:
        if (json_is_object(value) && json_object_get(value, "$value")) return json_incref(value);
        break;
    case TM_OPT_TABLE:  // an empty table has no names to tell it from a list
        if (json_is_array(value) && !json_array_size(value)) return json_object();
        if (json_is_object(value) && !is_special(value)) return json_incref(value);
        break;
    case TM_OPT_CODE:
        if (tm_code_is(value)) return json_incref(value);
        break;
    }
    wrong_kind(o, value, fault);
    return NULL;
}

static tm_status missing(const tm_option *o, tm_option_fault *fault)
{
    fault->option = o->name;
    FAULT(what, "option \"%s\" is required", o->name);
    FAULT(why, "%s", o->help);
    return TM_EINVAL;
}

static tm_status check_row(const tm_option *o, const json_t *args, json_t *canonical, tm_option_fault *fault)
{
    json_t *given = json_object_get(args, o->name);
    if (!given && !o->def) return missing(o, fault);
    json_t *value = given;
    if (!given) {
        value = json_loads(o->def, JSON_DECODE_ANY, NULL);
        tm_assert(value);  // a default in a table must be JSON
        if (json_is_null(value)) return json_object_set_new(canonical, o->name, value) ? TM_ENOMEM : TM_OK;
    }
    json_t *checked = check_one(o, value, fault);
    if (!given) json_decref(value);
    if (!checked) return TM_EINVAL;
    return json_object_set_new(canonical, o->name, checked) ? TM_ENOMEM : TM_OK;
}

tm_status tm_options_check(const tm_option *table, const json_t *args, json_t **out, tm_option_fault *fault)
{
    const char *name;
    json_t *value;
    *fault = (tm_option_fault){0};
    json_object_foreach((json_t *)args, name, value)
    {
        const tm_option *o = table;
        while (o && o->name && strcmp(o->name, name) != 0) o++;
        if (!o || !o->name) return unknown_option(table, name, fault);
    }
    json_t *canonical = json_object();
    for (const tm_option *o = table; o && o->name; o++) {
        tm_status status = check_row(o, args, canonical, fault);
        if (status < 0) {
            json_decref(canonical);
            return status;
        }
    }
    *out = canonical;
    return canonical ? TM_OK : TM_ENOMEM;
}

// The value for a smoke run; a new reference.
static json_t *smoke_value(const tm_option *o, json_t *value)
{
    const char *dots = strstr(o->smoke, "..");
    if (!dots) return json_loads(o->smoke, JSON_DECODE_ANY, NULL);
    bool most = dots == o->smoke;
    double bound = strtod(most ? dots + 2 : o->smoke, NULL), is = json_number_value(value);
    if (json_is_number(value) && (most ? is <= bound : is >= bound)) return json_incref(value);
    return o->kind == TM_OPT_INT ? json_integer((json_int_t)bound) : json_real(bound);
}

void tm_options_smoke(const tm_option *table, json_t *canonical)
{
    for (const tm_option *o = table; o && o->name; o++)
        if (o->smoke)
            json_object_set_new(canonical, o->name, smoke_value(o, json_object_get(canonical, o->name)));
}

static tm_status fill_list(const json_t *list, tm_string_list *into, tm_error *err)
{
    size_t n = json_array_size(list);
    const char **items = n ? tm_calloc(n, sizeof *items) : NULL;
    if (n && !items) return tm_fail(err, TM_ENOMEM, "no memory for a list of %zu", n);
    for (size_t i = 0; i < n; i++) items[i] = json_string_value(json_array_get(list, i));
    *into = (tm_string_list){items, n};
    return TM_OK;
}

tm_status tm_options_fill(const tm_option *table, const json_t *canonical, void *options, tm_error *err)
{
    for (const tm_option *o = table; o && o->name; o++) {
        const json_t *value = json_object_get(canonical, o->name);
        void *into = (char *)options + o->offset;
        switch (o->kind) {
        case TM_OPT_BOOL: *(bool *)into = json_is_true(value); break;
        case TM_OPT_INT: *(int64_t *)into = json_integer_value(value); break;
        case TM_OPT_NUMBER: *(double *)into = json_number_value(value); break;
        case TM_OPT_STRING:
        case TM_OPT_PATH:
        case TM_OPT_CHOICE: *(const char **)into = json_string_value(value); break;
        case TM_OPT_LIST: TM_TRY(fill_list(value, into, err)); break;
        case TM_OPT_VALUE:
        case TM_OPT_TABLE:
        case TM_OPT_CODE: *(const json_t **)into = json_is_object(value) ? value : NULL; break;
        }
    }
    return TM_OK;
}

void tm_options_clear(const tm_option *table, void *options)
{
    for (const tm_option *o = table; o && o->name; o++)
        if (o->kind == TM_OPT_LIST)
            tm_free((void *)((tm_string_list *)(void *)((char *)options + o->offset))->items);
}
