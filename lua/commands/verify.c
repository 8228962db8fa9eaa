// SPDX-License-Identifier: Apache-2.0
// verify: read everything in the store and compare it with its hash.
#include <stdio.h>

#include "engine/store_gc.h"
#include "lua/cli/session.h"

static void tell(const char *what, const char *name, uint64_t bytes, void *cli)
{
    if (!((const tm_cli *)cli)->json)
        fprintf(stderr, "%s %s (%llu bytes)\n", what, name, (unsigned long long)bytes);
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_error err = {0};
    tm_verify_report r = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && tm_store_verify(session.store, tell, cli, &r, &err) < 0)
        code = tm_cli_fail(cli, &err);
    else if (code == TM_EXIT_OK) {
        bool bad = r.corrupt || r.bad_bytes;
        char size[16];
        if (cli->json)
            tm_cli_print(cli,
                         json_pack("{s:I, s:I, s:I, s:I, s:I}", "objects", (json_int_t)r.objects, "corrupt",
                                   (json_int_t)r.corrupt, "bytes", (json_int_t)r.bytes, "records",
                                   (json_int_t)r.records, "incomplete", (json_int_t)r.incomplete));
        else
            printf("%zu objects (%s), %zu corrupt; %zu results, %zu without their bytes\n", r.objects,
                   tm_cli_size(r.bytes, size), r.corrupt, r.records, r.incomplete);
        if (bad && !cli->json) printf("what was damaged is set aside and is made anew when it is needed\n");
        code = bad ? TM_EXIT_CORRUPT : TM_EXIT_OK;
    }
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_verify = {
    .name = "verify", .brief = "Read everything in the store and compare it with its hash.", .usage = "",
    .example = "tidemill verify", .exec = exec,
};
