// SPDX-License-Identifier: Apache-2.0
// Binding new keys to old artifacts.
#include "engine/accept.h"

#include <stdlib.h>

#include "engine/key.h"

// The program's own words in a key; everything else is the user's.
static const char *const ours[] = {"version", "libraries"};

static json_t *without_ours(const json_t *doc)
{
    json_t *rest = json_copy((json_t *)doc);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) json_object_del(rest, ours[i]);
    return rest;
}

static bool same_but_for_ours(const json_t *a, const json_t *b)
{
    json_t *x = without_ours(a), *y = without_ours(b);
    bool same = tm_hash_eq(tm_key_own(x), tm_key_own(y));
    json_decref(x);
    json_decref(y);
    return same;
}

// "version 1 -> 2, libraries gumbo 0.10 -> gumbo 0.12"
static void say_what(const json_t *then, const json_t *now, char *what, size_t size)
{
    what[0] = 0;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        json_t *a = json_pack("{s:O*}", ours[i], json_object_get(then, ours[i]));
        json_t *b = json_pack("{s:O*}", ours[i], json_object_get(now, ours[i]));
        char one[200];
        size_t n = strlen(what);
        if (tm_key_difference(a, b, one, sizeof one))
            snprintf(what + n, size - n, "%s%s", n ? ", " : "", one);
        json_decref(a);
        json_decref(b);
    }
}

// A result of this very node with other words of ours, from the same inputs. Its JSON, or NULL.
static json_t *fitting(const tm_plan_node *p, const tm_record *record, const json_t *inputs)
{
    if (!strstr(record->json, p->node->stage->name)) return NULL;
    json_t *json = json_loads(record->json, 0, NULL);
    const json_t *doc = json_object_get(json, "doc");
    // The second record of a trainer, by family, has the same document and another key.
    bool fits = doc && tm_hash_eq(tm_key_own(doc), record->own) &&
                same_but_for_ours(doc, p->own_doc) &&
                json_equal(json_object_get(json, "inputs"), inputs);
    if (fits) return json;
    json_decref(json);
    return NULL;
}

static tm_status must_have_ports(const tm_plan_node *p, const tm_record *record, tm_error *err)
{
    size_t n = 0;
    for (; tm_stage_makes(p->node->stage, (int)n); n++)
        if (n >= record->n_ports || strcmp(record->ports[n].name, p->node->stage->outputs[n].name) != 0)
            break;
    if (n == record->n_ports && !tm_stage_makes(p->node->stage, (int)n)) return TM_OK;
    return tm_fail(err, TM_ENOENT, "%s: the outputs of %s are not those of its earlier version",
                   p->node->name, p->node->stage->name);
}

static tm_status bind(tm_plan *plan, const tm_plan_node *p, const tm_record *old, json_t *json,
                      const char *what, tm_error *err)
{
    char from[TM_HASH_HEX];
    tm_bind_outcome outcome;
    tm_key_port ports[TM_MAX_PORTS];  // binding may forget `old`
    memcpy(ports, old->ports, old->n_ports * sizeof *ports);
    tm_hash_hex(old->content, from);
    json_object_set(json, "doc", p->own_doc);
    json_t *accepted = json_pack("{s:s, s:s, s:I}", "what", what, "from", from, "t",
                                 (json_int_t)tm_time_ms());
    json_object_set_new(json, "accepted", accepted);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for a record");
    tm_record record = {.own = p->own, .recipe = p->recipe, .content = p->content, .ports = ports,
                        .n_ports = old->n_ports, .json = text};
    tm_status status = tm_key_bind(plan->store, &record, false, &outcome, err);
    if (status >= 0 && !tm_hash_none(p->family)) {  // longer runs go on from it, too
        tm_hash both[2] = {p->family, p->content};
        record.own = p->family;
        record.content = tm_hash_of(both, sizeof both);
        status = tm_key_bind(plan->store, &record, false, &outcome, err);
    }
    free(text);
    return status < 0 ? status : tm_store_sync(plan->store, err);
}

// What else is different from the node's newest result.
static void hint_difference(const tm_plan *plan, const tm_plan_node *p, const json_t *inputs, tm_error *err)
{
    char text[256];
    json_t *now = without_ours(p->own_doc);
    for (size_t i = tm_key_count(plan->store); i-- > 0;) {
        json_t *json = json_loads(tm_key_at(plan->store, i)->json, 0, NULL), *then = NULL;
        const char *node = json_string_value(json_object_get(json, "node"));
        bool mine = node && strcmp(node, p->node->name) == 0;
        if (mine) then = without_ours(json_object_get(json, "doc"));
        if (mine && (tm_key_difference(then, now, text, sizeof text) ||
                     tm_key_difference(json_object_get(json, "inputs"), inputs, text, sizeof text)))
            tm_hint(err, "its newest result differs in: %s", text);
        json_decref(then);
        json_decref(json);
        if (mine) break;
    }
    json_decref(now);
}

static tm_status find_and_bind(tm_plan *plan, const tm_plan_node *p, const json_t *inputs, char *what,
                               size_t size, tm_error *err)
{
    for (size_t i = tm_key_count(plan->store); i-- > 0;) {
        const tm_record *record = tm_key_at(plan->store, i);
        json_t *json = fitting(p, record, inputs);
        if (!json) continue;
        say_what(json_object_get(json, "doc"), p->own_doc, what, size);
        tm_status status = must_have_ports(p, record, err);
        if (status >= 0) status = bind(plan, p, record, json, what, err);
        json_decref(json);
        return status;
    }
    tm_fail_as(err, TM_ENOENT, "TM0509", "no result of %s differs in nothing but the version of %s",
               p->node->name, p->node->stage->name);
    hint_difference(plan, p, inputs, err);
    return TM_ENOENT;
}

static tm_status must_have_inputs(const tm_plan *plan, const tm_plan_node *p, tm_error *err)
{
    for (size_t i = 0; i < p->node->n_links; i++) {
        const tm_plan_node *from = tm_plan_canonical(plan, p->node->links[i].from);
        if (from->known) continue;
        tm_fail_as(err, TM_ENOENT, "TM0509", "%s: its input %s is not there", p->node->name,
                   from->node->name);
        tm_hint(err, "accept that one first, or run it: it would be made anew (%s)", from->reason);
        return TM_ENOENT;
    }
    return TM_OK;
}

tm_status tm_accept(tm_plan *plan, const char *node, char *what, size_t size, tm_error *err)
{
    const tm_node *found = tm_graph_find(plan->graph, node);
    const tm_record *record;
    json_t *inputs;
    if (!found) return tm_fail_as(err, TM_EINVAL, "TM0506", "the graph has no node \"%s\"", node);
    tm_plan_node *p = &plan->nodes[plan->nodes[found->index].same];
    TM_TRY(must_have_inputs(plan, p, err));
    TM_TRY(tm_plan_content(plan, p, &record, err));
    if (record) return TM_DONE;
    TM_TRY(tm_plan_inputs(plan, p, &inputs, err));
    tm_status status = find_and_bind(plan, p, inputs, what, size, err);
    json_decref(inputs);
    return status;
}
