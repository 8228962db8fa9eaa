// SPDX-License-Identifier: Apache-2.0
// Quality rules over documents.
#include "stages/text/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const tm_option tm_rules_option_rows[] = {
    {"without", TM_OPT_LIST, offsetof(tm_rules_options, without), "[]", 0, 0, NULL, "rules to leave out", 0},
    {"bounds", TM_OPT_LIST, offsetof(tm_rules_options, bounds), "[]", 0, 0, NULL,
     "other bounds: \"RULE=MIN..MAX\"", 0},
    {"english", TM_OPT_BOOL, offsetof(tm_rules_options, english), "true", 0, 0, NULL,
     "false: without the rules that fit English alone", 0},
    {0},
};

static tm_rule *find(tm_rules *rules, const char *name, size_t size)
{
    for (size_t i = 0; i < rules->n; i++)
        if (strlen(rules->rules[i].filter->name) == size &&
            strncmp(rules->rules[i].filter->name, name, size) == 0)
            return &rules->rules[i];
    return NULL;
}

static tm_status unknown(const tm_rules *rules, const char *option, const char *text, size_t size,
                         tm_option_fault *fault, tm_error *err)
{
    const char *names[65];
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)size, text);
    for (size_t i = 0; i < rules->n; i++) names[i] = rules->rules[i].filter->name;
    names[rules->n] = NULL;
    const char *near = tm_nearest(word, names);
    if (fault) {
        fault->option = option;
        snprintf(fault->what, sizeof fault->what, "there is no rule \"%s\"", word);
        if (near) snprintf(fault->fix, sizeof fault->fix, "did you mean \"%s\"?", near);
        else snprintf(fault->fix, sizeof fault->fix, "the rules are listed by `tidemill describe`");
    }
    return tm_fail(err, TM_EINVAL, "there is no rule \"%s\"", word);
}

static bool parse_number(const char *text, size_t size, double *number)
{
    char copy[64], *end;
    if (!size) return true;  // that bound stays
    if (size >= sizeof copy) return false;
    memcpy(copy, text, size);
    copy[size] = 0;
    *number = strtod(copy, &end);
    return !*end;
}

static bool parse_bounds(const char *text, double *min, double *max)
{
    const char *dots = strstr(text, "..");
    return dots && parse_number(text, (size_t)(dots - text), min) &&
           parse_number(dots + 2, strlen(dots + 2), max) && *min <= *max;
}

static tm_status change_bounds(tm_rules *rules, const char *text, tm_option_fault *fault, tm_error *err)
{
    const char *equals = strchr(text, '=');
    size_t size = equals ? (size_t)(equals - text) : strlen(text);
    tm_rule *rule = find(rules, text, size);
    if (!rule) return unknown(rules, "bounds", text, size, fault, err);
    if (equals && parse_bounds(equals + 1, &rule->min, &rule->max)) return TM_OK;
    if (fault) {
        fault->option = "bounds";
        snprintf(fault->what, sizeof fault->what, "\"%s\" gives no bounds", text);
        snprintf(fault->fix, sizeof fault->fix, "write \"%s=MIN..MAX\"; either end may be left out",
                 rule->filter->name);
    }
    return tm_fail(err, TM_EINVAL, "\"%s\" gives no bounds", text);
}

tm_status tm_rules_make(tm_rules *rules, const tm_rules_options *o, tm_quality_kind kind,
                        tm_option_fault *fault, tm_error *err)
{
    *rules = (tm_rules){0};
    for (size_t i = 0; i < tm_quality_filter_count && rules->n < 64; i++) {
        const tm_quality_filter *f = &tm_quality_filters[i];
        if (f->kind == kind && (o->english || !f->english_only))
            rules->rules[rules->n++] = (tm_rule){f, f->min, f->max};
    }
    for (size_t i = 0; i < o->bounds.n; i++) TM_TRY(change_bounds(rules, o->bounds.items[i], fault, err));
    for (size_t i = 0; i < o->without.n; i++) {
        const char *name = o->without.items[i];
        tm_rule *rule = find(rules, name, strlen(name));
        if (!rule) return unknown(rules, "without", name, strlen(name), fault, err);
        size_t after = (size_t)(rules->rules + --rules->n - rule);
        memmove(rule, rule + 1, after * sizeof *rule);
    }
    return TM_OK;
}

void tm_rules_clear(tm_rules *rules)
{
    tm_quality_document_clear(&rules->document);
}

tm_status tm_rules_apply(tm_rules *rules, tm_work *work, const char *stage, bool repetition,
                         const tm_batch *in, tm_batch *const *out, tm_error *err)
{
    for (size_t row = 0; row < tm_batch_rows(in); row++) {
        TM_TRY(tm_quality_measure(&rules->document, tm_docs_get(in, row).text, repetition, err));
        const tm_rule *broken = NULL;
        double score = NAN;
        for (size_t i = 0; i < rules->n && !broken; i++) {
            score = rules->rules[i].filter->score(&rules->document);
            if (!(score >= rules->rules[i].min && score <= rules->rules[i].max)) broken = &rules->rules[i];
        }
        if (!broken) TM_TRY(tm_sift_keep(out, in, row, err));
        else
            TM_TRY(tm_sift_remove(work, stage, out, in, row, broken->filter->name, score, (tm_view){0}, err));
    }
    return TM_OK;
}
