// SPDX-License-Identifier: Apache-2.0
#include "engine/base/status.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void an_error_keeps_its_code_text_and_errno(void **state)
{
    (void)state;
    tm_error err = {0};
    errno = ENOSPC;
    assert_int_equal(tm_fail_errno(&err, "write %s", "x"), TM_ENOSPC);
    assert_int_equal(err.sys, ENOSPC);
    assert_string_equal(err.text, "write x: No space left on device");
    assert_true(strstr(err.hint, "space") != NULL);
    assert_int_equal(tm_error_prefix(&err, "node %d", 3), TM_ENOSPC);
    assert_string_equal(err.text, "node 3: write x: No space left on device");
}

static void a_text_of_any_bytes_becomes_utf8(void **state)
{
    (void)state;
    tm_error err = {0};
    char name[2000];
    tm_fail(&err, TM_EIO, "caf\xe9/\xc3\xa9: no");
    assert_string_equal(err.text, "caf?/\xc3\xa9: no");
    tm_hint(&err, "rename caf\xe9");
    assert_string_equal(err.hint, "rename caf?");
    for (size_t i = 0; i + 1 < sizeof name; i += 2) memcpy(name + i, "\xc3\xa9", 2);
    name[sizeof name - 2] = 0;
    tm_fail(&err, TM_EIO, "%s", name);  // cut inside a character
    assert_int_equal(err.text[sizeof err.text - 2], '?');
}

static void every_status_has_a_name_and_a_text(void **state)
{
    (void)state;
    assert_string_equal(tm_status_name(TM_EFORMAT), "EFORMAT");
    assert_string_equal(tm_status_name((tm_status)99), "?");
    assert_string_equal(tm_status_text(TM_OK), "success");
}

static void an_error_has_a_class_of_its_own_or_that_of_its_status(void **state)
{
    (void)state;
    tm_error err = {0};
    tm_fail(&err, TM_EFORMAT, "odd");
    assert_string_equal(tm_error_code(&err), "TM0304");
    tm_fail_as(&err, TM_EFORMAT, "TM0416", "odd");
    assert_string_equal(tm_error_code(&err), "TM0416");
    tm_why(&err, "it has %d legs", 5);
    tm_fail(&err, TM_ENOSPC, "full"); // nothing of the one before stays
    assert_string_equal(tm_error_code(&err), "TM0420");
    assert_string_equal(err.why, "");
}

static void a_path_in_a_text_becomes_another(void **state)
{
    (void)state;
    tm_error err = {0};
    tm_fail(&err, TM_EIO, "a/b/x and a/b/y");
    tm_error_replace(&err, "a/b", "model");
    assert_string_equal(err.text, "model/x and model/y");
    tm_error_replace(&err, "model", "model of a model"); // what was put in is not looked at again
    assert_string_equal(err.text, "model of a model/x and model of a model/y");
    memset(err.text, 'a', sizeof err.text - 1);
    tm_error_replace(&err, "a", "aa"); // has no room
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    tm_error_replace(&err, "", "x");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_keeps_its_code_text_and_errno),
        cmocka_unit_test(a_text_of_any_bytes_becomes_utf8),
        cmocka_unit_test(every_status_has_a_name_and_a_text),
        cmocka_unit_test(an_error_has_a_class_of_its_own_or_that_of_its_status),
        cmocka_unit_test(a_path_in_a_text_becomes_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
