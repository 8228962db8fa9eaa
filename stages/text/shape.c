// SPDX-License-Identifier: Apache-2.0
// Refusing documents of the wrong shape.
#include "stages/text/shape.h"

#include <stdio.h>

static const char *attribute(const tm_check *check, int input, const char *name)
{
    return json_string_value(json_object_get(check->inputs[input], name));
}

// What documents of a shape are called.
static const char *called(const char *shape)
{
    if (!shape) return "plain text";
    if (strcmp(shape, "chat") == 0) return "conversations";
    return strcmp(shape, "preference") == 0 ? "preferences" : shape;
}

static const char *taker(const char *shape)
{
    return strcmp(shape, "chat") == 0 ? "tm.sft takes conversations" : "tm.dpo takes preferences";
}

tm_status tm_shape_text(tm_check *check, int input, tm_error *err)
{
    const char *shape = attribute(check, input, "shape");
    if (!shape) return TM_OK;
    snprintf(check->fault->fix, sizeof check->fault->fix, "%s; this takes plain text", taker(shape));
    return tm_fail(err, TM_EINVAL, "its documents are %s, not text", called(shape));
}

tm_status tm_shape_plain(tm_check *check, int input, tm_error *err)
{
    const char *markup = attribute(check, input, "markup");
    TM_TRY(tm_shape_text(check, input, err));
    if (!markup) return TM_OK;
    snprintf(check->fault->fix, sizeof check->fault->fix, "put tm.html_text {} before it");
    return tm_fail(err, TM_EINVAL, "its documents are still %s", markup);
}

tm_status tm_shape_is(tm_check *check, int input, const char *shape, tm_error *err)
{
    const char *has = attribute(check, input, "shape"), *markup = attribute(check, input, "markup");
    if (has && strcmp(has, shape) == 0) return TM_OK;
    if (has) snprintf(check->fault->fix, sizeof check->fault->fix, "%s", taker(has));
    else
        snprintf(check->fault->fix, sizeof check->fault->fix,
                 "read them with tm.read { ..., format = \"%s\" }", shape);
    return tm_fail(err, TM_EINVAL, "its documents are %s, not %s", markup && !has ? markup : called(has),
                   called(shape));
}
