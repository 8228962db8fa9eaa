// SPDX-License-Identifier: Apache-2.0
// Addresses: what people call a result on the command line: [RUN:]NODE[/STEP][.PORT][@best|@latest|@300].
// What picks a snapshot may also be spelled as in a graph file, base:at(300) or base:best "valid.loss", and
// as @step300, @step=300, base:300, @last, @final. Of metrics @300 means those of that step.
//
// Unless it is named, the run is the latest in which the node has a result (smoke runs have to be named);
// with '@', the latest in which it has a snapshot, be it of a run that was stopped. A line to stderr says so
// if a later run has the node, if the run that is named was stopped and a later one did that work, or if
// there is no result but snapshots. The longest known node name matches first (sweeps put dots and slashes
// into names). The run's journal says which recipe a node had, and the store which artifact that recipe has
// now.
#pragma once

#include "engine/store_artifact.h"
#include "lua/cli/session.h"

typedef struct tm_address {
    char run[32], node[192], port[64];
    char at[64];             // what picks a snapshot: "best", "latest", "300", or ""
    char latest[32];         // without a run in the address: the latest that has the node
    char chain[192];         // NODE as written, where `node` is one of its steps (NODE.removed); or ""
    char step[192];          // NODE/STEP as written, where that is the last step of the chain `node`; or ""
    const tm_stage *stage;
    const tm_type *type;     // of the port
    json_t *record;          // of the run (new reference)
    json_t *facts;           // of the node's key record, parsed (new reference)
    tm_hash recipe;
    bool open;               // there is no result, only the snapshots of a producer that did not end
    tm_hash artifact;        // of the port
    tm_hash metrics;         // of the producer's metrics port, or none
} tm_address;

// TM_ENOENT with the nearest spelling. Only the parts before '@' decide the artifact.
tm_status tm_address_resolve(tm_store *store, const char *text, tm_address *address, tm_error *err);
void tm_address_clear(tm_address *address);

// NODE.removed of a curate chain is what any of its steps removed, as in a graph file: the addresses
// NODE/STEP.removed, also that of the last step, which bears the name of the chain. Gives their texts
// ("r1:clean/gopher.removed"); of any other address its own alone. NULL without memory.
json_t *tm_address_parts(tm_store *store, const tm_address *address);

// The name of its node as people say it: NODE, or NODE/STEP for the last step of a chain.
const char *tm_address_node(const tm_address *address);

// What is at the address: the artifact of the result, or the snapshots that there are so far.
tm_status tm_address_log(tm_store *store, const tm_address *address, tm_artifact *log, tm_error *err);

// The entry of a tree port that '@...' picks (the last without it).
tm_status tm_address_entry(tm_store *store, const tm_address *address, tm_entry *entry, tm_error *err);

// The folder of a model or tokenizer: a folder of the file system that is used as it is, or an address (also
// where a folder of that name holds neither). The store of an address (else NULL) is to be closed when the
// folder is not needed any more, or has failed.
tm_status tm_address_folder(const tm_cli *cli, const char *text, tm_store **store, char path[TM_PATH_MAX],
                            tm_error *err);
