// SPDX-License-Identifier: Apache-2.0
// stages: what a graph can name.
#include <stdio.h>

#include "engine/base/called.h"
#include "engine/stage.h"
#include "lua/cli/cli.h"

static const char *const families[] = {"read",  "curate", "tokenize", "train",
                                       "align", "judge",  "export",   NULL};

static void print_family(const char *family)
{
    bool any = false;
    for (const tm_stage *const *s = tm_stages; *s; s++) {
        if (strcmp((*s)->family, family) != 0 || ((*s)->traits & TM_INTERNAL)) continue;
        if (!any) printf("%s\n", family);
        any = true;
        printf("  tm.%-16s %s\n", (*s)->name, (*s)->brief);
    }
}

static json_t *all_json(void)
{
    json_t *stages = json_array(), *values = json_array();
    for (const tm_stage *const *s = tm_stages; *s; s++)
        if (!((*s)->traits & TM_INTERNAL))
            json_array_append_new(stages,
                                  json_pack("{s:s, s:s, s:s, s:i}", "name", (*s)->name, "family",
                                            (*s)->family, "brief", (*s)->brief, "version", (*s)->version));
    for (const tm_value *const *v = tm_values; *v; v++)
        json_array_append_new(values, json_pack("{s:s, s:s, s:s}", "name", (*v)->name, "family", (*v)->family,
                                                "brief", (*v)->brief));
    return json_pack("{s:o, s:o}", "stages", stages, "values", values);
}

static int exec(tm_cli *cli)
{
    if (cli->json) return tm_cli_print(cli, all_json());
    for (const char *const *f = families; *f; f++) print_family(*f);
    printf("values\n");
    for (const tm_value *const *v = tm_values; *v; v++)
        printf("  tm.%-16s %s: %s\n", (*v)->name, (*v)->family, (*v)->brief);
    tm_called_print(stdout, "`tidemill describe NAME` tells more.\n");
    return TM_EXIT_OK;
}

const tm_command tm_command_stages = {
    .name = "stages", .brief = "List the stages and values that a graph can name.", .usage = "",
    .example = "tidemill stages", .exec = exec,
};
