// SPDX-License-Identifier: Apache-2.0
// get: put a result where it is wanted.
#include <stdio.h>
#include <stdlib.h>

#include "engine/store_tree.h"
#include "lua/cli/address.h"
#include "lua/place.h"

static const tm_flag flags[] = {{"--force", 'f', NULL, "replace what is there"}, {0}};

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
    if (status >= 0) status = tm_place_lines(store, &logs, path, force, err);
    json_decref(parts);
    tm_free(artifacts);
    return status;
}

static tm_status get(tm_store *store, const char *address, const char *path, bool force, tm_error *err)
{
    tm_address a;
    tm_entry entry;
    TM_TRY(tm_address_resolve(store, address, &a, err));
    tm_status status = TM_OK;
    if (!a.type->tree) {
        status = get_lines(store, &a, path, force, err);
    } else {
        status = tm_address_entry(store, &a, &entry, err);
        if (status >= 0) status = tm_tree_place(store, entry.hash, path, force ? TM_PLACE_REPLACE : 0, err);
    }
    if (status == TM_EEXIST) tm_hint(err, "choose another path, or replace it with --force");
    tm_address_clear(&a);
    return status;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_error err = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK &&
        get(session.store, cli->args[0], cli->args[1], tm_cli_flag(cli, "--force") != NULL, &err) < 0)
        code = tm_cli_fail(cli, &err);
    else if (code == TM_EXIT_OK && cli->json)
        tm_cli_print(cli, json_pack("{s:s, s:s}", "address", cli->args[0], "path", cli->args[1]));
    else if (code == TM_EXIT_OK) printf("%s: %s\n", cli->args[0], cli->args[1]);
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_get = {
    .name = "get",
    .brief = "Put a result where you want it: a folder, or JSON lines.",
    .usage = "ADDRESS PATH",
    .example = "tidemill get base@best model/",
    .min = 2,
    .max = 2,
    .flags = flags,
    .exec = exec,
};
