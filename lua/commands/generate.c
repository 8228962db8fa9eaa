// SPDX-License-Identifier: Apache-2.0
// generate: let a model go on from a prompt.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lua/address.h"
#include "stages/model/decode.h"
#include "stages/text/tokenizer_folder.h"

static const tm_flag flags[] = {
    {"--prompt", 'p', "TEXT", "what to go on from (default: stdin)"},
    {"--tokens", 'n', "N", "at most so many new tokens (default 64)"},
    {"--temperature", 't', "T", "0 is greedy, the default"},
    {"--top-k", 0, "K", "only the K likeliest tokens (default: all)"},
    {"--top-p", 0, "P", "only the likeliest tokens that together have probability P (default 1)"},
    {"--seed", 0, "N", "of the choices (default 1)"},
    {"--cores", 'j', "N", "threads (default: all cores)"},
    {0},
};

typedef struct generator {
    tm_device *device;
    tm_model *model;
    tm_tokenizer tokenizer;
    tm_decoder *decoder;
    tm_choice *scratch;
    tm_bpe_ids ids;     // prompt and answer
    size_t n_prompt;
    tm_sampler sampler;
    double n_tokens;
    int cores;
    bool json;
} generator;

static tm_status load(generator *g, const char *folder, tm_error *err)
{
    tm_hf_folder files;
    TM_TRY(tm_device_open_cpu(g->cores, &g->device, err));
    TM_TRY(tm_tokenizer_load(&g->tokenizer, folder, err));
    TM_TRY(tm_hf_folder_open(&files, folder, err));
    tm_status status = tm_model_load(&g->model, &files, err);
    tm_hf_folder_close(&files);
    return status;
}

static tm_status read_prompt(const tm_cli *cli, tm_buf *prompt, tm_error *err)
{
    const char *given = tm_cli_flag(cli, "--prompt");
    if (given) tm_buf_str(prompt, given);
    char block[4096];
    size_t n;
    while (!given && (n = fread(block, 1, sizeof block, stdin)) > 0) tm_buf_add(prompt, block, n);
    return tm_buf_status(prompt, err);
}

// Ids of the prompt; a model that starts documents with a token gets it first.
static tm_status encode(generator *g, tm_view prompt, tm_error *err)
{
    TM_TRY(tm_bpe_encode(g->tokenizer.encoder, prompt, TM_BPE_TEMPLATE, &g->ids, err));
    if (!g->ids.size && g->tokenizer.eos >= 0) {
        tm_bpe_ids_clear(&g->ids);
        g->ids.data = tm_alloc(sizeof *g->ids.data);
        if (!g->ids.data) return tm_fail(err, TM_ENOMEM, "no memory for a prompt");
        g->ids.data[0] = (uint32_t)g->tokenizer.eos;
        g->ids.size = g->ids.capacity = 1;
    }
    g->n_prompt = g->ids.size;
    if (!g->n_prompt) return tm_fail(err, TM_EINVAL, "the prompt is empty");
    if (g->n_prompt < g->model->config.length) return TM_OK;
    return tm_fail(err, TM_EINVAL, "the prompt has %zu tokens, the model %u positions", g->n_prompt,
                   g->model->config.length);
}

static tm_status decode_all(generator *g, tm_buf *text, tm_error *err)
{
    const float *logits;
    tm_bpe_stream stream = {.bpe = g->tokenizer.bpe, .skip_special = true};
    uint32_t capacity = g->model->config.length;
    g->scratch = tm_calloc(g->model->config.vocab, sizeof *g->scratch);
    if (!g->scratch) return tm_fail(err, TM_ENOMEM, "no memory to choose tokens");
    TM_TRY(tm_decoder_new(&g->decoder, g->model, g->device, capacity, err));
    TM_TRY(tm_decoder_feed(g->decoder, (const int32_t *)g->ids.data, (int32_t)g->ids.size, &logits, err));
    for (int64_t i = 0; (double)i < g->n_tokens && (uint32_t)tm_decoder_size(g->decoder) < capacity; i++) {
        int32_t id = tm_sample(&g->sampler, (uint64_t)i, logits, g->model->config.vocab, g->scratch);
        if (id == g->model->config.eos) break;
        size_t before = text->size;
        tm_bpe_stream_put(&stream, (uint32_t)id, text);
        if (!g->json) fwrite(text->data + before, 1, text->size - before, stdout);
        if (!g->json) fflush(stdout);
        TM_TRY(tm_decoder_feed(g->decoder, &id, 1, &logits, err));
    }
    size_t before = text->size;
    tm_bpe_stream_end(&stream, text);
    if (!g->json && text->size > before) fwrite(text->data + before, 1, text->size - before, stdout);
    return tm_buf_status(text, err);
}

static tm_status generate(generator *g, const tm_cli *cli, tm_error *err)
{
    char folder[TM_PATH_MAX];
    tm_buf prompt = {0}, text = {0};
    tm_status status = tm_address_folder(cli, cli->args[0], folder, err);
    if (status >= 0) status = load(g, folder, err);
    if (status >= 0) status = read_prompt(cli, &prompt, err);
    if (status >= 0) status = encode(g, tm_buf_view(&prompt), err);
    if (status >= 0 && !g->json) fwrite(prompt.data ? prompt.data : "", 1, prompt.size, stdout);
    if (status >= 0) status = decode_all(g, &text, err);
    if (status >= 0 && g->json)
        tm_cli_print(cli, json_pack("{s:s%, s:s%, s:I}", "prompt", prompt.data ? prompt.data : "",
                                    prompt.size, "text", text.data ? text.data : "", text.size,
                                    "prompt_tokens", (json_int_t)g->n_prompt));
    else if (status >= 0) putchar('\n');
    tm_buf_clear(&prompt);
    tm_buf_clear(&text);
    return status;
}

static int read_flags(const tm_cli *cli, generator *g)
{
    double cores = (double)sysconf(_SC_NPROCESSORS_ONLN), top_k = 0, top_p = 1, seed = 1, temperature = 0;
    struct {
        const char *flag;
        double min, *value;
    } rows[] = {{"--tokens", 0, &g->n_tokens}, {"--temperature", 0, &temperature}, {"--top-k", 0, &top_k},
                {"--top-p", 0, &top_p},        {"--seed", 0, &seed},               {"--cores", 1, &cores}};
    g->n_tokens = 64;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (tm_cli_number(cli, rows[i].flag, rows[i].min, rows[i].value) != TM_EXIT_OK) return TM_EXIT_USAGE;
    g->cores = (int)(cores < 4096 ? cores : 4096);
    g->sampler = (tm_sampler){.temperature = temperature,
                              .top_k = (uint32_t)(top_k < UINT32_MAX ? top_k : UINT32_MAX),
                              .top_p = top_p,
                              .seed = (uint64_t)(seed < 0x1p53 ? seed : 0x1p53)};
    return TM_EXIT_OK;
}

static int exec(tm_cli *cli)
{
    tm_error err = {0};
    generator g = {.json = cli->json};
    if (read_flags(cli, &g) != TM_EXIT_OK) return TM_EXIT_USAGE;
    tm_status status = generate(&g, cli, &err);
    tm_decoder_free(g.decoder);
    tm_free(g.scratch);
    tm_bpe_ids_clear(&g.ids);
    if (g.model) tm_model_free(g.model);
    tm_tokenizer_clear(&g.tokenizer);
    tm_device_close(g.device);
    return status < 0 ? tm_cli_fail(cli, &err) : TM_EXIT_OK;
}

const tm_command tm_command_generate = {
    .name = "generate",
    .brief = "Let a model go on from a prompt.",
    .usage = "MODEL",
    .example = "tidemill generate base --prompt \"The table\" --tokens 40",
    .min = 1,
    .max = 1,
    .flags = flags,
    .exec = exec,
};
