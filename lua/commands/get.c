// SPDX-License-Identifier: Apache-2.0
// get: put a result where it is wanted.
#include <stdio.h>
#include <unistd.h>

#include "engine/store_tree.h"
#include "lua/cli/address.h"
#include "lua/place.h"

static const tm_flag flags[] = {{"--force", 'f', NULL, "replace what is there"}, {0}};

static bool to_stdout(const char *path)
{
    return strcmp(path, "-") == 0;
}

static tm_status get_lines(tm_store *store, const tm_address *a, const char *path, bool force, tm_error *err)
{
    if (a->at[0])
        return tm_fail(err, TM_EINVAL, "get puts all of %s%s%s, not what is behind @", a->node,
                       a->port[0] ? "." : "", a->port);
    json_t *address, *parts = tm_address_parts(store, a);
    tm_hash *artifacts = tm_calloc(json_array_size(parts) + 1, sizeof *artifacts);
    tm_status status = artifacts ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a list of results");
    size_t i, n = 0;
    json_array_foreach (parts, i, address) {
        tm_address part;
        if (status >= 0) status = tm_address_resolve(store, json_string_value(address), &part, err);
        if (status < 0) break;
        artifacts[n++] = part.artifact;
        tm_address_clear(&part);
    }
    const json_t *node = json_object_get(json_object_get(a->record, "nodes"), a->node);
    tm_place_logs logs = {a->type, tm_place_shape(node, a->port), artifacts, n};
    if (status >= 0)
        status = to_stdout(path) ? tm_place_print(store, &logs, STDOUT_FILENO, "stdout", err)
                                 : tm_place_lines(store, &logs, path, force, err);
    json_decref(parts);
    tm_free(artifacts);
    return status;
}

static tm_status get_folder(tm_store *store, const tm_address *a, const char *path, bool force, tm_error *err)
{
    tm_entry entry;
    if (to_stdout(path)) {
        tm_fail(err, TM_EINVAL, "%s is a folder, which stdout does not take", a->node);
        tm_hint(err, "give the path of a folder that is to be made");
        return TM_EINVAL;
    }
    TM_TRY(tm_address_entry(store, a, &entry, err));
    return tm_tree_place(store, entry.hash, path, force ? TM_PLACE_REPLACE : 0, err);
}

// What was put where, with the run that it is from.
static void tell(const tm_cli *cli, const tm_address *a)
{
    const char *path = cli->args[1];
    if (to_stdout(path)) return;
    if (cli->json)
        tm_cli_print(cli, json_pack("{s:s, s:s, s:s}", "address", cli->args[0], "run", a->run, "path", path));
    else
        printf("%s:%s%s%s%s%s: %s\n", a->run, tm_address_node(a), a->port[0] ? "." : "", a->port,
               a->at[0] ? "@" : "", a->at, path);
}

static tm_status get(const tm_cli *cli, tm_store *store, tm_error *err)
{
    tm_address a;
    const char *path = cli->args[1];
    bool force = tm_cli_flag(cli, "--force") != NULL;
    TM_TRY(tm_address_resolve(store, cli->args[0], &a, err));
    tm_status status = a.type->tree ? get_folder(store, &a, path, force, err)
                                    : get_lines(store, &a, path, force, err);
    if (status == TM_EEXIST) tm_hint(err, "choose another path, or replace it with --force");
    if (status >= 0) tell(cli, &a);
    tm_address_clear(&a);
    return status;
}

static int exec(tm_cli *cli)
{
    return tm_session_in_store(cli, get);
}

const tm_command tm_command_get = {
    .name = "get",
    .brief = "Put a result where you want it: a folder, or JSON lines (- is stdout).",
    .usage = "ADDRESS PATH",
    .example = "tidemill get base@best model/",
    .min = 2,
    .max = 2,
    .flags = flags,
    .exec = exec,
};
