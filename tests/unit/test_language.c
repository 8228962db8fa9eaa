// SPDX-License-Identifier: Apache-2.0
#include "stages/text/language.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(const char *text, const char *code, bool reliable)
{
    tm_language language;
    tm_language_detect(tm_view_str(text), &language);
    assert_string_equal(language.code, code);
    assert_int_equal(language.reliable, reliable);
}

static void common_languages_are_told_apart(void **state)
{
    (void)state;
    expect("The general processing of a query is explained in the following chapters of this manual.", "en",
           true);
    expect("Die allgemeine Verarbeitung einer Anfrage wird in den folgenden Kapiteln dieses Handbuchs "
           "erkl\u00e4rt.",
           "de", true);
    expect("Le traitement g\u00e9n\u00e9ral d'une requ\u00eate est expliqu\u00e9 dans les chapitres suivants "
           "de ce manuel.",
           "fr", true);
    expect("\u041e\u0431\u0449\u0430\u044f \u043e\u0431\u0440\u0430\u0431\u043e\u0442\u043a\u0430 "
           "\u0437\u0430\u043f\u0440\u043e\u0441\u0430 "
           "\u043e\u0431\u044a\u044f\u0441\u043d\u044f\u0435\u0442\u0441\u044f \u0432 "
           "\u0441\u043b\u0435\u0434\u0443\u044e\u0449\u0438\u0445 "
           "\u0433\u043b\u0430\u0432\u0430\u0445.",
           "ru", true);
    expect("\u3053\u306e\u6587\u7ae0\u306f\u65e5\u672c\u8a9e\u3067\u66f8\u304b\u308c\u3066\u3044\u307e\u3059"
           "\u3002",
           "ja", true);
}

static void the_probability_is_the_share_of_the_text(void **state)
{
    (void)state;
    tm_language language;
    const char *text =
        "The general processing of a query is explained in the following chapters of this manual.";
    tm_language_detect(tm_view_str(text), &language);
    assert_true(language.probability > 0.9 && language.probability <= 1);
    assert_true(language.n_bytes > 50);
}

static void text_without_letters_is_unknown(void **state)
{
    (void)state;
    tm_language language;
    tm_language_detect(tm_view_str("12 34 5678"), &language);
    assert_string_equal(language.code, "un");
    assert_true(language.probability == 0);
    expect("", "un", false);
}

static void broken_bytes_are_survived(void **state)
{
    (void)state;
    char text[512];
    uint32_t x = 5;
    for (int round = 0; round < 500; round++) {
        for (size_t i = 0; i < sizeof text; i++) text[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
        tm_language language;
        tm_language_detect(tm_view_of(text, sizeof text), &language);
    }
    expect("The general processing of a query is explained in the following chapters.\xff\xfe", "en", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_languages_are_told_apart),
        cmocka_unit_test(the_probability_is_the_share_of_the_text),
        cmocka_unit_test(text_without_letters_is_unknown),
        cmocka_unit_test(broken_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
