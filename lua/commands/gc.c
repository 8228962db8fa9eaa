// SPDX-License-Identifier: Apache-2.0
// gc: free the space of results that nobody keeps.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "engine/store_gc.h"
#include "lua/cli/counts.h"
#include "lua/cli/session.h"
#include "lua/room.h"

static const tm_flag flags[] = {
    {"--keep-days", 0, "N", "keep results younger than N days (default 7; with --to 0)"},
    {"--to", 0, "SIZE",
     "until the store is that small, and what is cheapest to make again first: 500MB, 20G"},
    {"--dry-run", 'n', NULL, "only say what would go"},
    {0},
};

#define DAY_MS 86400e3
// Nothing younger goes: a run may be about to name it.
#define GRACE_MS 60000
#define GRACE_LIVE_MS 3600000
#define MAX_LINES 60

typedef struct going {
    const tm_cli *cli;
    const tm_room *room; // with --to
    json_t *results;     // that go, in order
} going;

// "KB" "MB" .. as sizes are told: thousands; "K" "KiB" .. : 1024s. Letters of either case.
static bool parse_size(const char *text, uint64_t *bytes)
{
    char *end;
    double n = strtod(text, &end);
    if (end == text || !(n >= 0)) return false;
    while (*end == ' ') end++;
    const char *units = "KMGT", *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    const char *rest = end + (unit != NULL);
    bool thousands = unit && strcasecmp(rest, "b") == 0;
    bool plain = !*rest || strcasecmp(rest, unit ? "ib" : "b") == 0;
    if (!thousands && !plain) return false;
    for (const char *u = units; unit && u <= unit; u++) n *= thousands ? 1000 : 1024;
    if (n >= 9e18) return false;
    *bytes = (uint64_t)n;
    return true;
}

// ---- what goes ----

static double worth(const tm_record *record, void *arg)
{
    return tm_room_worth(((going *)arg)->room, record).worth;
}

static bool keep_live(const tm_record *record, void *arg)
{
    return tm_room_worth(((going *)arg)->room, record).rank == TM_RANK_LIVE;
}

static void goes(const tm_record *record, uint64_t bytes, void *arg)
{
    static const char *const ranks[] = {"smoke", "plain", "latest", "pinned", "live"};
    going *g = arg;
    tm_worth w = tm_room_worth(g->room, record);
    const char *node = json_string_value(json_object_get(w.facts, "node"));
    const char *run = json_string_value(json_object_get(w.facts, "run"));
    json_array_append_new(g->results, json_pack("{s:s, s:s, s:I, s:f, s:s, s:s}", "node", node ? node : "?",
                                                "run", run ? run : "?", "bytes", (json_int_t)bytes, "seconds",
                                                w.seconds, "rank", ranks[w.rank], "of", w.of));
}

static const char *because(const json_t *one, char text[256])
{
    const char *rank = json_string_value(json_object_get(one, "rank"));
    const char *of = json_string_value(json_object_get(one, "of"));
    text[0] = 0;
    if (strcmp(rank, "smoke") == 0) snprintf(text, 256, "  of a smoke run");
    if (strcmp(rank, "latest") == 0) snprintf(text, 256, "  LATEST result of %s", of);
    if (strcmp(rank, "pinned") == 0) snprintf(text, 256, "  PINNED in tidemill.lock of %s", of);
    return text;
}

static void print_result(const json_t *one)
{
    char size[16], time[32], why[256];
    printf("%-28s %-5s %8s  rebuild %s%s\n", json_string_value(json_object_get(one, "node")),
           json_string_value(json_object_get(one, "run")),
           tm_size_text((uint64_t)json_integer_value(json_object_get(one, "bytes")), size),
           tm_duration_text(json_number_value(json_object_get(one, "seconds")), time), because(one, why));
}

// All that somebody may miss, of the rest the first. Results without bytes of their own go unnamed.
static void print_results(const json_t *results)
{
    size_t i, shown = 0, more = 0;
    uint64_t more_bytes = 0;
    double seconds = 0;
    json_t *one;
    json_array_foreach(results, i, one)
    {
        uint64_t bytes = (uint64_t)json_integer_value(json_object_get(one, "bytes"));
        bool named = json_string_length(json_object_get(one, "of")) > 0;
        if (!bytes) continue;
        seconds += json_number_value(json_object_get(one, "seconds"));
        if (named || shown++ < MAX_LINES) {
            print_result(one);
            continue;
        }
        more++;
        more_bytes += bytes;
    }
    char size[16], time[32];
    if (more) printf("and %zu more, %s\n", more, tm_size_text(more_bytes, size));
    if (seconds > 0) printf("to make all of it again takes about %s\n", tm_duration_text(seconds, time));
}

// ---- the report ----

static int print_report(const going *g, const tm_gc_policy *policy, const tm_gc_report *r, bool dry)
{
    if (g->cli->json)
        return tm_cli_print(
            g->cli, json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:O?}", "dry_run", dry, "records_kept",
                              (json_int_t)r->records_kept, "records_dropped", (json_int_t)r->records_dropped,
                              "objects_kept", (json_int_t)r->objects_kept, "objects_removed",
                              (json_int_t)r->objects_removed, "bytes_kept", (json_int_t)r->bytes_kept,
                              "bytes_removed", (json_int_t)r->bytes_removed, "results", g->results));
    char removed[16], kept[16];
    print_results(g->results);
    printf("%s %s in %zu objects and %zu results; kept %s, %zu results\n", dry ? "would free" : "freed",
           tm_size_text(r->bytes_removed, removed), r->objects_removed, r->records_dropped,
           tm_size_text(r->bytes_kept, kept), r->records_kept);
    if (r->records_dropped && r->bytes_kept && policy->keep_ms < policy->grace_ms)
        printf("bytes that were written within the last %s stay: a run may be about to name them\n",
               policy->grace_ms == GRACE_MS ? "minute" : "hour");
    return TM_EXIT_OK;
}

// ---- the command ----

// What goes, and whether the store gets as small as it is to be; nothing is changed to find out.
static tm_status reachable(tm_store *store, tm_room *room, const tm_gc_policy *policy, tm_error *err)
{
    tm_gc_report report;
    char kept[16];
    const going *g = policy->arg;
    going unheard = *g;
    tm_gc_policy quiet = *policy;
    quiet.goes = NULL;
    unheard.results = NULL;
    quiet.arg = &unheard;
    TM_TRY(tm_room_fit(room, store, &quiet, err));
    TM_TRY(tm_store_gc(store, &quiet, true, NULL, NULL, &report, err));
    if (report.bytes_kept <= policy->max_bytes) return TM_OK;
    const char *to = tm_cli_flag(g->cli, "--to");
    const char *unit = isdigit((unsigned char)to[strlen(to) - 1]) ? " B" : "";
    tm_fail_as(err, TM_ENOSPC, "TM0423",
               "the store cannot get to %s%s: %s have to stay, and nothing was freed", to, unit,
               tm_size_text(report.bytes_kept, kept));
    if (tm_room_live(room))
        tm_hint(err, "a run is at work: what it needs stays, and all that is younger than an hour");
    else
        tm_hint(err, "what was written within the last minute stays, and where stopped runs go on from: run "
                     "these to their end, or let go of it with `tidemill gc --keep-days 0`");
    return TM_ENOSPC;
}

static tm_status collect(going *g, tm_store *store, tm_gc_policy *policy, bool dry, tm_gc_report *report,
                         tm_error *err)
{
    tm_room *room = NULL;
    TM_TRY(tm_room_open(store, &room, err));
    g->room = room;
    g->results = json_array();
    policy->keep = keep_live;
    policy->worth = worth;
    policy->goes = goes;
    policy->arg = g;
    if (policy->max_bytes) {
        policy->grace_ms = tm_room_live(room) ? GRACE_LIVE_MS : GRACE_MS;
        policy->keep_log_ms = (int64_t)(7 * DAY_MS);
    }
    tm_status status = policy->max_bytes ? reachable(store, room, policy, err) : TM_OK;
    if (status >= 0) status = tm_store_gc(store, policy, dry, NULL, NULL, report, err);
    if (status >= 0) print_report(g, policy, report, dry);
    json_decref(g->results);
    tm_room_close(room);
    return status;
}

static int exec(tm_cli *cli)
{
    const char *to = tm_cli_flag(cli, "--to");
    double days = to ? 0 : 7;
    if (tm_cli_number(cli, "--keep-days", 0, &days) != TM_EXIT_OK) return TM_EXIT_USAGE;
    if (days > 36500) days = 36500;
    tm_gc_policy policy = {.keep_ms = (int64_t)(days * DAY_MS), .grace_ms = GRACE_LIVE_MS};
    if (to && (!parse_size(to, &policy.max_bytes) || !policy.max_bytes))
        return tm_cli_usage(cli, "--to takes a size such as 500M, 500MB or 20G, not \"%s\"", to);
    tm_session session = {0};
    tm_gc_report report = {0};
    tm_error err = {0};
    going g = {.cli = cli};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK &&
        collect(&g, session.store, &policy, tm_cli_flag(cli, "--dry-run") != NULL, &report, &err) < 0)
        code = tm_cli_fail(cli, &err);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_gc = {
    .name = "gc",
    .brief = "Free the space of old results, or of those that are cheapest to make again.",
    .usage = "",
    .example = "tidemill gc --to 20G --dry-run",
    .flags = flags,
    .exec = exec,
};
