// SPDX-License-Identifier: Apache-2.0
// Looking for secrets in the options of a plan's nodes.
#include "lua/secrets.h"

#include <stdlib.h>

static void look(const tm_node *node, const json_t *value, tm_diags *diags)
{
    const char *name = json_string_value(json_object_get(value, "$secret")), *key;
    size_t i;
    json_t *inner;
    json_object_foreach((json_t *)value, key, inner) look(node, inner, diags);
    json_array_foreach((json_t *)value, i, inner) look(node, inner, diags);
    if (!name || getenv(name)) return;
    tm_diag *d = tm_diag_add(diags, "TM0415", node->file, node->line);
    TM_DIAG(d->owner, "%s", tm_node_called(node));
    TM_DIAG(d->word, "%s", name);
    TM_DIAG(d->what, "%s: the secret %s is not set", node->name, name);
    TM_DIAG(d->fix, "set the environment variable %s", name);
}

void tm_secrets_check(const tm_plan *plan, tm_diags *diags)
{
    for (size_t i = 0; i < plan->graph->n_nodes; i++) {
        const tm_plan_node *p = &plan->nodes[i];
        if (p->wanted && p->same == (int)i && p->state == TM_RUN) look(p->node, p->node->options, diags);
    }
}
