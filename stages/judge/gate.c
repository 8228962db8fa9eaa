// SPDX-License-Identifier: Apache-2.0
// Judging a requirement, and letting the input pass when it holds.
#include "stages/judge/gate.h"

#include <math.h>
#include <stdio.h>

#include "stages/judge/metric_table.h"
#include "stages/judge/requirement.h"

#define MAX_NAMES 64

const tm_option tm_gate_option_table[] = {
    {"require", TM_OPT_STRING, offsetof(tm_gate_options, require), NULL, 0, 0, NULL,
     "what must hold: metrics and numbers, + - * / < > <= >= == and or ( )", 0},
    {0},
};

// ---- plan ----

// Every name of the requirement against those that will be there, if all of them are known.
static tm_status check_names(const tm_check *check, const tm_requirement *requirement, tm_error *err)
{
    json_t *names = json_array();
    bool known = true;
    for (size_t i = 0; i < check->n_links; i++) {
        const tm_check_link *link = &check->links[i];
        if (strcmp(link->row->name, "on") == 0)
            known = tm_metric_names(link->attrs, tm_metric_prefix(link->port, "on"), names) && known;
    }
    tm_status status = TM_OK;
    const char *name;
    for (size_t i = 0; known && status >= 0 && (name = tm_requirement_name(requirement, i)); i++)
        status = tm_metric_known(names, name, check->fault, err);
    json_decref(names);
    return status;
}

tm_status tm_gate_check(tm_check *check, tm_error *err)
{
    const tm_gate_options *o = check->options;
    tm_requirement *requirement;
    check->fault->option = "require";
    tm_status status = tm_requirement_parse(o->require, &requirement, err);
    if (status < 0) {
        snprintf(check->fault->fix, sizeof check->fault->fix,
                 "for example: require = \"dpo.pref.accuracy > base.pref.accuracy\"");
        return status;
    }
    status = check_names(check, requirement, err);
    tm_requirement_free(requirement);
    return status;
}

// ---- run ----

static tm_status take_all(tm_metric_table *table, tm_work *work, tm_error *err)
{
    const char *port;
    for (size_t i = 0; (port = tm_work_port_at(work, "on", i)); i++)
        TM_TRY(tm_metric_table_take(table, work, port, tm_metric_prefix(port, "on"), -1, err));
    return TM_OK;
}

static tm_status look_up(const tm_metric_table *table, const tm_requirement *requirement, double *values,
                         tm_buf *shown, tm_error *err)
{
    const char *name;
    for (size_t i = 0; (name = tm_requirement_name(requirement, i)); i++) {
        const tm_metric_row *row = tm_metric_table_find(table, name);
        if (!row) {
            const char *near = tm_metric_table_nearest(table, name);
            tm_fail(err, TM_EFAILED, "there is no metric %s", name);
            if (near) tm_hint(err, "did you mean %s?", near);
            return TM_EFAILED;
        }
        values[i] = row->value;
        tm_buf_fmt(shown, "%s%s = %.6g", shown->size ? ", " : "", name, row->value);
        if (!isnan(row->error)) tm_buf_fmt(shown, " +- %.2g", row->error);
    }
    return tm_buf_status(shown, err);
}

static tm_status judge(tm_work *work, const tm_requirement *requirement, const char *text, tm_error *err)
{
    tm_metric_table table = {0};
    tm_buf shown = {0};
    double values[MAX_NAMES];
    tm_status status = take_all(&table, work, err);
    if (status >= 0) status = look_up(&table, requirement, values, &shown, err);
    bool holds = status >= 0 && tm_requirement_holds(requirement, values);
    if (holds)
        tm_work_log(work, "holds: %s; %s", text, shown.data ? shown.data : "");
    else if (status >= 0 && tm_work_smoke(work))
        tm_work_log(work, "would not hold, and passes in a smoke run: %s; %s", text,
                    shown.data ? shown.data : "");
    else if (status >= 0) {
        status = tm_fail(err, TM_EFAILED, "does not hold: %s", text);
        tm_error_class(err, "TM0413");
        tm_why(err, "%s", shown.data ? shown.data : "");
        tm_hint(err, "make the model better or ask for less; what depends on the gate is not made meanwhile");
    }
    tm_buf_clear(&shown);
    tm_metric_table_clear(&table);
    return status;
}

tm_status tm_gate_run(tm_work *work, tm_error *err)
{
    const tm_gate_options *o = tm_work_options(work);
    tm_requirement *requirement;
    TM_TRY(tm_requirement_parse(o->require, &requirement, err));
    tm_status status = judge(work, requirement, o->require, err);
    tm_requirement_free(requirement);
    while (status == TM_OK) status = tm_forward(work, "", "", NULL, err);
    return status < 0 ? status : TM_OK;
}
