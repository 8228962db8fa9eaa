// SPDX-License-Identifier: Apache-2.0
// Flags to numbers.
#include "lua/model/generation.h"

#include "engine/base/machine.h"

int tm_cores_flag(const tm_cli *cli, int *cores)
{
    double n = (double)tm_machine_cores();
    int code = tm_cli_number(cli, "--cores", 1, &n);
    *cores = (int)(n < 4096 ? n : 4096);
    return code;
}

static int read_stops(const tm_cli *cli, tm_generation_given *g)
{
    const char *text;
    size_t n = 0;
    while ((text = tm_cli_flag_at(cli, "--stop", (int)n))) {
        if (!*text) return tm_cli_usage(cli, "--stop takes a text that is not empty");
        if (n == TM_GENERATION_STOPS)
            return tm_cli_usage(cli, "--stop is given more than %d times", TM_GENERATION_STOPS);
        g->stops[n++] = text;
    }
    g->how.stops = g->stops;
    g->how.n_stops = n;
    return TM_EXIT_OK;
}

static int check_shares(const tm_cli *cli, double top_p, double min_p)
{
    if (top_p > 1) return tm_cli_usage(cli, "--top-p takes a probability up to 1, not %.10g", top_p);
    if (min_p > 1) return tm_cli_usage(cli, "--min-p takes a share up to 1, not %.10g", min_p);
    return TM_EXIT_OK;
}

int tm_generation_flags(const tm_cli *cli, tm_generation_given *g)
{
    tm_sampler *s = &g->how.sampler;
    double tokens = (double)g->how.n_tokens, top_k = s->top_k, seed = (double)s->seed;
    struct {
        const char *flag;
        double min, *value;
    } rows[] = {{"--tokens", 0, &tokens},  {"--temperature", 0, &s->temperature},
                {"--top-k", 0, &top_k},    {"--top-p", 0, &s->top_p},
                {"--min-p", 0, &s->min_p}, {"--repetition", 0.01, &s->repetition},
                {"--seed", 0, &seed}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (tm_cli_number(cli, rows[i].flag, rows[i].min, rows[i].value) != TM_EXIT_OK) return TM_EXIT_USAGE;
    if (check_shares(cli, s->top_p, s->min_p) != TM_EXIT_OK || read_stops(cli, g) != TM_EXIT_OK)
        return TM_EXIT_USAGE;
    s->top_k = (uint32_t)(top_k < UINT32_MAX ? top_k : UINT32_MAX);
    s->seed = (uint64_t)(seed < 0x1p53 ? seed : 0x1p53);
    g->how.n_tokens = (uint64_t)(tokens < 0x1p53 ? tokens : 0x1p53);
    return tm_cores_flag(cli, &g->cores);
}
