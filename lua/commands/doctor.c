// SPDX-License-Identifier: Apache-2.0
// doctor: what this machine is and has, what is missing, and how to get it.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/called.h"
#include "lua/cli/session.h"
#include "lua/doctor/doctor.h"

static json_t *finding_json(const char *name, const tm_finding *f)
{
    json_t *row = json_pack("{s:s, s:s, s:s}", "name", name, "state", tm_finding_word(f->state), "found",
                            f->found);
    if (f->why[0]) json_object_set_new(row, "why", json_string(f->why));
    if (f->fix[0]) json_object_set_new(row, "fix", json_string(f->fix));
    return row;
}

static void print_finding(const char *name, const tm_finding *f)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m", "\033[31m"};
    bool colour = isatty(1) && !getenv("NO_COLOR");
    printf("%s%-8s%s %-12s %s\n", colour ? colours[f->state] : "", tm_finding_word(f->state),
           colour ? "\033[0m" : "", name, f->found);
    if (f->why[0] && strcmp(f->why, f->found) != 0) printf("%8s why          %s\n", "", f->why);
    if (f->fix[0]) tm_called_print(stdout, "%8s fix          %s\n", "", f->fix);
}

static void find_folder(const tm_cli *cli, char folder[TM_PATH_MAX])
{
    char *here = realpath(".", NULL);
    if (cli->store) snprintf(folder, TM_PATH_MAX, "%s", cli->store);
    else tm_session_find_store(here ? here : "/", folder);
    free(here);
}

static int exec(tm_cli *cli)
{
    static const int codes[] = {TM_EXIT_OK, TM_EXIT_OK, TM_EXIT_RESOURCES, TM_EXIT_CORRUPT};
    const tm_check_row *const tables[] = {tm_doctor_machine, tm_doctor_store, tm_doctor_programs};
    char folder[TM_PATH_MAX];
    int n[4] = {0}, worst = 0;
    json_t *checks = json_array();
    find_folder(cli, folder);
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const tm_check_row *row = tables[t]; row->name; row++) {
            tm_finding f = {0};
            row->look(folder, &f);
            n[f.state]++;
            if ((int)f.state > worst) worst = f.state;
            if (!cli->json) print_finding(row->name, &f);
            json_array_append_new(checks, finding_json(row->name, &f));
        }
    if (cli->json) {
        tm_cli_print(cli, json_pack("{s:o, s:i, s:i, s:i, s:i}", "checks", checks, "ok", n[0], "warning",
                                    n[1], "missing", n[2], "damaged", n[3]));
        return codes[worst];
    }
    printf("%d ok, %d warning%s, %d missing", n[0], n[1], n[1] == 1 ? "" : "s", n[2]);
    printf(n[3] ? ", %d damaged\n" : "\n", n[3]);
    json_decref(checks);
    return codes[worst];
}

const tm_command tm_command_doctor = {
    .name = "doctor",
    .brief = "Look at this machine: what is there, what is missing, why it matters and how to get it.",
    .usage = "",
    .example = "tidemill doctor",
    .exec = exec,
};
