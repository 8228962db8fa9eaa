// SPDX-License-Identifier: Apache-2.0
// Port types and the records that flow along links.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/type.h"

static tm_error err;

static void every_type_is_found_by_its_name_and_only_data_have_columns(void **state)
{
    (void)state;
    size_t n = 0;
    for (const tm_type *type; (type = tm_type_at(n)) != NULL; n++) {
        assert_ptr_equal(tm_type_find(type->name), type);
        assert_true(type->tree == (type->n_cols == 0));
        assert_string_equal(type->entry, type->tree ? "snapshot" : "chunk");
    }
    assert_true(n >= 6);
    assert_null(tm_type_find("document"));
}

static void documents_come_back_as_they_were(void **state)
{
    (void)state;
    const tm_type *type = tm_type_find("documents");
    tm_batch *batch = tm_batch_new(type->cols, type->n_cols);
    tm_doc doc = {tm_view_str("id"), tm_view_str("text"), tm_view_str("source"), tm_view_str("{}")};
    assert_int_equal(tm_docs_add(batch, &doc, &err), TM_OK);
    tm_doc back = tm_docs_get(batch, 0);
    assert_true(tm_view_eq(back.id, doc.id) && tm_view_eq(back.text, doc.text));
    assert_true(tm_view_eq(back.source, doc.source) && tm_view_eq(back.meta, doc.meta));
    tm_batch_unref(batch);
}

static void metrics_come_back_as_they_were(void **state)
{
    (void)state;
    const tm_type *type = tm_type_find("metrics");
    tm_batch *batch = tm_batch_new(type->cols, type->n_cols);
    tm_metric metric = {
        .step = 300, .name = tm_view_str("valid.loss"), .value = 1.875, .error = NAN, .count = 4096};
    assert_int_equal(tm_metrics_add(batch, &metric, &err), TM_OK);
    tm_metric back = tm_metrics_get(batch, 0);
    assert_int_equal(back.step, 300);
    assert_true(tm_view_eq(back.name, metric.name));
    assert_true(back.value == 1.875 && isnan(back.error));
    assert_int_equal(back.count, 4096);
    tm_batch_unref(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_found_by_its_name_and_only_data_have_columns),
        cmocka_unit_test(documents_come_back_as_they_were),
        cmocka_unit_test(metrics_come_back_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
