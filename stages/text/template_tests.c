// SPDX-License-Identifier: Apache-2.0
// Tests of templates: x is NAME, as jinja2/tests.py has them.
#include "stages/text/template_eval.h"

#include "stages/text/template_strings.h"

#define KIND_TEST(name, condition)                                                                           \
    static tm_status name(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)                 \
    {                                                                                                        \
        (void)run;                                                                                           \
        (void)a;                                                                                             \
        *out = tm_tv_bool(condition);                                                                        \
        return TM_OK;                                                                                        \
    }

KIND_TEST(is_defined, of->kind != TM_TV_UNDEFINED)
KIND_TEST(is_undefined, of->kind == TM_TV_UNDEFINED)
KIND_TEST(is_none, of->kind == TM_TV_NONE)
KIND_TEST(is_string, of->kind == TM_TV_STRING)
KIND_TEST(is_mapping, of->kind == TM_TV_DICT)
KIND_TEST(is_sequence, of->kind == TM_TV_STRING || tm_tv_sequence(of) || of->kind == TM_TV_DICT ||
                           of->kind == TM_TV_UNDEFINED)
KIND_TEST(is_iterable, of->kind == TM_TV_STRING || tm_tv_sequence(of) || of->kind == TM_TV_DICT ||
                           of->kind == TM_TV_UNDEFINED || of->kind == TM_TV_LOOP)
KIND_TEST(is_number, of->kind == TM_TV_INT || of->kind == TM_TV_FLOAT || of->kind == TM_TV_BOOL)
KIND_TEST(is_integer, of->kind == TM_TV_INT)
KIND_TEST(is_float, of->kind == TM_TV_FLOAT)
KIND_TEST(is_boolean, of->kind == TM_TV_BOOL)
KIND_TEST(is_true, of->kind == TM_TV_BOOL && of->truth)
KIND_TEST(is_false, of->kind == TM_TV_BOOL && !of->truth)
KIND_TEST(is_callable, of->kind == TM_TV_MACRO || of->kind == TM_TV_FUNCTION)

static tm_status divides(tm_trun *run, const tm_tval *of, int64_t by, int64_t rest, tm_tval *out)
{
    tm_tval divisor = tm_tv_int(by), remainder, wanted = tm_tv_int(rest);
    TM_TRY(tm_template_arithmetic(run, TM_TO_MODULO, of, &divisor, &remainder));
    *out = tm_tv_bool(tm_tv_equal(&remainder, &wanted));
    return TM_OK;
}

static tm_status is_odd(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return divides(run, of, 2, 1, out);
}

static tm_status is_even(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    (void)a;
    return divides(run, of, 2, 0, out);
}

static tm_status is_divisible(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    if (a->values[0].kind != TM_TV_INT) return tm_template_fail(run, "divisibleby takes a whole number");
    return divides(run, of, a->values[0].integer, 0, out);
}

static tm_status is_in(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    bool found = false;
    TM_TRY(tm_template_contains(run, &a->values[0], of, &found));
    *out = tm_tv_bool(found);
    return TM_OK;
}

static tm_status is_equal(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    TM_TRY(tm_template_charge(run, tm_tv_weight(of)));
    *out = tm_tv_bool(tm_tv_equal(of, &a->values[0]));
    return TM_OK;
}

static tm_status is_unequal(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    TM_TRY(is_equal(run, of, a, out));
    out->truth = !out->truth;
    return TM_OK;
}

// The same object, as far as it can be told: constants, and equal texts and numbers of one kind.
static tm_status is_same(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)
{
    if (of->kind == TM_TV_STRING || tm_tv_sequence(of) || of->kind == TM_TV_FLOAT)
        return tm_template_no(run, of, "cannot be told from its equals");
    *out = tm_tv_bool(of->kind == a->values[0].kind && tm_tv_equal(of, &a->values[0]));
    return TM_OK;
}

static tm_status ordered(tm_trun *run, const tm_tval *of, const tm_tbound *a, int *order)
{
    tm_error why = {0};
    if (tm_tv_compare(of, &a->values[0], order, &why) < 0) return tm_template_fail(run, "%s", why.text);
    return TM_OK;
}

#define ORDER_TEST(name, condition)                                                                          \
    static tm_status name(tm_trun *run, const tm_tval *of, const tm_tbound *a, tm_tval *out)                 \
    {                                                                                                        \
        int order = 0;                                                                                       \
        TM_TRY(ordered(run, of, a, &order));                                                                 \
        *out = tm_tv_bool(condition);                                                                        \
        return TM_OK;                                                                                        \
    }

ORDER_TEST(is_less, order < 0)
ORDER_TEST(is_at_most, order <= 0)
ORDER_TEST(is_more, order > 0)
ORDER_TEST(is_at_least, order >= 0)

static const tm_trow tests[] = {
    {"!=", "other", is_unequal, 0},
    {"boolean", "", is_boolean, 0},
    {"callable", "", is_callable, 0},
    {"defined", "", is_defined, 0},
    {"divisibleby", "number", is_divisible, 0},
    {"eq", "other", is_equal, 0},
    {"==", "other", is_equal, 0},
    {"equalto", "other", is_equal, 0},
    {"even", "", is_even, 0},
    {"false", "", is_false, 0},
    {"float", "", is_float, 0},
    {"ge", "other", is_at_least, 0},
    {"greaterthan", "other", is_more, 0},
    {"gt", "other", is_more, 0},
    {"in", "items", is_in, 0},
    {"integer", "", is_integer, 0},
    {"iterable", "", is_iterable, 0},
    {"le", "other", is_at_most, 0},
    {"lessthan", "other", is_less, 0},
    {"lt", "other", is_less, 0},
    {"mapping", "", is_mapping, 0},
    {"ne", "other", is_unequal, 0},
    {"none", "", is_none, 0},
    {"number", "", is_number, 0},
    {"odd", "", is_odd, 0},
    {"sameas", "other", is_same, 0},
    {"sequence", "", is_sequence, 0},
    {"string", "", is_string, 0},
    {"true", "", is_true, 0},
    {"undefined", "", is_undefined, 0},
};

int tm_template_test_find(tm_view name)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (tm_view_eq(name, tm_view_str(tests[i].name))) return (int)i;
    return -1;
}

const tm_trow *tm_template_test(int row)
{
    return &tests[row];
}
