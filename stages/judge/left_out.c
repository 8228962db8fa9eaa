// SPDX-License-Identifier: Apache-2.0
// Telling of records that a task leaves out.
#include "stages/judge/task.h"

#define TOLD 20

tm_status tm_leave_out(tm_left_out *left_out, tm_view id, tm_status status, tm_error *err)
{
    if (status != TM_EINVAL && status != TM_EFORMAT && status != TM_EFAILED) return status;
    if (left_out->n++ < TOLD)
        tm_work_log(left_out->work, "%.*s is left out: %s", (int)id.size, id.data, err->text);
    return TM_OK;
}
