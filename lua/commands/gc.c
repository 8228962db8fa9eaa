// SPDX-License-Identifier: Apache-2.0
// gc: free the space of results that nobody keeps.
#include <stdio.h>
#include <stdlib.h>

#include "engine/store_gc.h"
#include "lua/session.h"

static const tm_flag flags[] = {
    {"--keep-days", 0, "N", "keep results younger than N days (default 7)"},
    {"--to", 0, "SIZE", "keep older ones too, the newest first, up to this size: 500M, 20G"},
    {"--dry-run", 'n', NULL, "only say what would go"},
    {0},
};

static bool parse_size(const char *text, uint64_t *bytes)
{
    char *end;
    double n = strtod(text, &end);
    const char *units = "KMGT", *unit = *end ? strchr(units, *end) : NULL;
    if (end == text || n < 0 || (*end && (!unit || end[1]))) return false;
    *bytes = (uint64_t)n;
    for (const char *u = units; unit && u <= unit; u++) n *= 1024;
    *bytes = (uint64_t)n;
    return true;
}

static void tell(const char *what, const char *name, uint64_t bytes, void *cli)
{
    char size[16];
    if (!((const tm_cli *)cli)->json && strcmp(what, "object") != 0)
        printf("%-7s %s (%s)\n", what, name, tm_cli_size(bytes, size));
}

static int print_report(const tm_cli *cli, const tm_gc_report *r, bool dry)
{
    if (cli->json)
        return tm_cli_print(
            cli, json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "dry_run", dry, "records_kept",
                           (json_int_t)r->records_kept, "records_dropped", (json_int_t)r->records_dropped,
                           "objects_kept", (json_int_t)r->objects_kept, "objects_removed",
                           (json_int_t)r->objects_removed, "bytes_kept", (json_int_t)r->bytes_kept,
                           "bytes_removed", (json_int_t)r->bytes_removed));
    char removed[16], kept[16];
    printf("%s %s in %zu objects and %zu results; kept %s, %zu results\n", dry ? "would free" : "freed",
           tm_cli_size(r->bytes_removed, removed), r->objects_removed, r->records_dropped,
           tm_cli_size(r->bytes_kept, kept), r->records_kept);
    return TM_EXIT_OK;
}

static int exec(tm_cli *cli)
{
    const char *to = tm_cli_flag(cli, "--to");
    bool dry = tm_cli_flag(cli, "--dry-run") != NULL;
    double days = 7;
    if (tm_cli_number(cli, "--keep-days", 0, &days) != TM_EXIT_OK) return TM_EXIT_USAGE;
    if (days > 36500) days = 36500;
    tm_gc_policy policy = {.keep_ms = (int64_t)(days * 86400e3), .grace_ms = 3600000};
    if (to && !parse_size(to, &policy.max_bytes))
        return tm_cli_usage(cli, "--to takes a size such as 500M or 20G, not \"%s\"", to);
    tm_session session = {0};
    tm_gc_report report = {0};
    tm_error err = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK && tm_store_gc(session.store, &policy, dry, tell, cli, &report, &err) < 0)
        code = tm_cli_fail(cli, &err);
    else if (code == TM_EXIT_OK) code = print_report(cli, &report, dry);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_gc = {
    .name = "gc", .brief = "Free the space of old results.", .usage = "",
    .example = "tidemill gc --to 20G --dry-run", .flags = flags, .exec = exec,
};
