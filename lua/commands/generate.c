// SPDX-License-Identifier: Apache-2.0
// generate: let a model go on from a prompt, or from each of many.
#include <stdio.h>
#include <time.h>

#include "engine/base/json.h"
#include "lua/cli/record.h"
#include "lua/model/generation.h"

static const tm_flag flags[] = {
    {"--prompt", 'p', "TEXT", "what to go on from (default: stdin, without its last newline)"},
    {"--prompts", 0, "FILE",
     "lines of JSON with \"prompt\" or \"messages\" (-: stdin); a line of JSON for each"},
    {"--template", 0, NULL,
     "the prompt is what a user says: by the chat template; only the answer is printed"},
    TM_GENERATION_FLAGS("64", "0"),
    {"--bare", 0, NULL, "without the tokens that the tokenizer puts before a text"},
    {"--speed", 0, NULL, "say on stderr how fast it was"},
    {0},
};

typedef struct generator {
    const tm_cli *cli;
    tm_generation_given given;
    tm_device *device;
    tm_opened opened;
    tm_decoder *decoder;
    tm_encoded prompt;
    tm_answer answer;
    unsigned encode;
    uint64_t bad; // lines of --prompts
} generator;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static tm_status read_prompt(const tm_cli *cli, tm_buf *prompt, tm_error *err)
{
    const char *given = tm_cli_flag(cli, "--prompt");
    if (given) tm_buf_str(prompt, given);
    char block[4096];
    size_t n;
    while (!given && (n = fread(block, 1, sizeof block, stdin)) > 0) tm_buf_add(prompt, block, n);
    if (!given && prompt->size && prompt->data[prompt->size - 1] == '\n') prompt->size--;
    return tm_buf_status(prompt, err);
}

static bool print_piece(void *listener, tm_view text)
{
    (void)listener;
    if (!text.size) return true;
    return fwrite(text.data, 1, text.size, stdout) == text.size && fflush(stdout) == 0;
}

// A decoder with room for prompt and answer; the one from before if it has.
static tm_status make_room(generator *g, tm_error *err)
{
    uint32_t most = g->opened.model->config.length;
    uint64_t want = g->prompt.ids.size + (g->given.how.n_tokens ? g->given.how.n_tokens : 1);
    if (g->prompt.ids.size >= most)
        return tm_fail(err, TM_EINVAL, "the prompt has %zu tokens, the model %u positions",
                       g->prompt.ids.size, most);
    if (want > most) want = most;
    if (g->decoder && (uint64_t)tm_decoder_capacity(g->decoder) >= want) return TM_OK;
    tm_decoder_free(g->decoder);
    g->decoder = NULL;
    return tm_decoder_new(&g->decoder, g->opened.model, g->device, (uint32_t)want, err);
}

// A tokenizer that puts nothing before a text still has to begin somewhere.
static tm_status begin_empty(generator *g, tm_error *err)
{
    int64_t first = g->opened.tokenizer.bos >= 0 ? g->opened.tokenizer.bos : g->opened.tokenizer.eos;
    if (g->prompt.ids.size || first < 0) return TM_OK;
    g->prompt.ids.data = tm_realloc(g->prompt.ids.data, sizeof *g->prompt.ids.data);
    if (!g->prompt.ids.data) return tm_fail(err, TM_ENOMEM, "no memory for a prompt");
    g->prompt.ids.data[0] = (uint32_t)first;
    g->prompt.ids.size = g->prompt.ids.capacity = 1;
    return TM_OK;
}

// Behind the ids of g->prompt.
static tm_status go_on(generator *g, tm_error *err)
{
    double start = now();
    TM_TRY(begin_empty(g, err));
    TM_TRY(make_room(g, err));
    tm_decoder_cut(g->decoder, 0);
    g->given.how.ends = g->opened.ends;
    g->given.how.n_ends = g->opened.n_ends;
    TM_TRY(tm_generate(g->decoder, g->opened.tokenizer.bpe, &g->prompt.ids, &g->given.how, &g->answer, err));
    if (tm_cli_flag(g->cli, "--speed"))
        fprintf(stderr, "%zu tokens behind %zu in %.2f s\n", g->answer.ids.size, g->prompt.ids.size,
                now() - start);
    return TM_OK;
}

// ---- what is said of it ----

static json_t *log_probs_json(const tm_answer *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->ids.size; i++) json_array_append_new(list, json_real(a->log_probs[i]));
    return list;
}

// `prompt` is absent (NULL) for messages.
static json_t *answer_json(const generator *g, tm_view prompt)
{
    const tm_answer *a = &g->answer;
    json_t *json = json_pack("{s:s%, s:I, s:o, s:o, s:o, s:s}", "text", a->text.data ? a->text.data : "",
                             a->text.size, "prompt_tokens", (json_int_t)g->prompt.ids.size, "prompt_ids",
                             tm_ids_json(&g->prompt.ids), "ids", tm_ids_json(&a->ids), "log_probs",
                             log_probs_json(a), "ended", tm_ended_name(a->ended));
    if (prompt.data) json_object_set_new(json, "prompt", tm_json_from_text(prompt)); // any bytes
    if (a->stop) json_object_set_new(json, "stop", json_string(a->stop));
    return json;
}

// ---- one prompt, or many ----

static tm_status one(generator *g, tm_error *err)
{
    tm_buf prompt = {0};
    tm_status status = read_prompt(g->cli, &prompt, err);
    tm_view view = {prompt.data ? prompt.data : "", prompt.size};
    if (status >= 0) status = tm_text_encode(&g->opened, view, g->encode, &g->prompt, err);
    if (!g->cli->json) g->given.how.hear = print_piece;
    if (status >= 0 && !g->cli->json && !(g->encode & TM_ENCODE_CHAT)) print_piece(NULL, view);
    if (status >= 0) status = go_on(g, err);
    if (status >= 0 && g->cli->json)
        tm_cli_print(g->cli, answer_json(g, view));
    else if (status >= 0)
        putchar('\n');
    tm_buf_clear(&prompt);
    return status;
}

static tm_status record(void *self, const json_t *value, json_t **said, tm_error *err)
{
    generator *g = self;
    const json_t *prompt = json_object_get(value, "prompt"), *messages = json_object_get(value, "messages");
    tm_view view = {json_string_value(prompt), json_string_length(prompt)};
    if (!json_is_string(prompt) && !messages)
        return tm_fail(err, TM_EFORMAT, "there is no \"prompt\" and there are no \"messages\"");
    if (view.data)
        TM_TRY(tm_text_encode(&g->opened, view, g->encode, &g->prompt, err));
    else
        TM_TRY(tm_record_encode(&g->opened, value, g->encode | TM_ENCODE_CHAT, &g->prompt, err));
    TM_TRY(go_on(g, err));
    *said = answer_json(g, view);
    return TM_OK;
}

static tm_status generate(generator *g, tm_error *err)
{
    const char *prompts = tm_cli_flag(g->cli, "--prompts");
    TM_TRY(tm_device_open_cpu(g->given.cores, &g->device, err));
    TM_TRY(tm_opened_model(&g->opened, g->cli, g->cli->args[0], err));
    g->given.how.log_probs = g->cli->json || prompts;
    return prompts ? tm_records_each(g->cli, prompts, record, g, &g->bad, err) : one(g, err);
}

static int exec(tm_cli *cli)
{
    tm_error err = {0};
    generator g = {.cli = cli, .given.how = {.sampler = {.top_p = 1, .seed = 1}, .n_tokens = 64}};
    if (tm_cli_flag(cli, "--bare")) g.encode |= TM_ENCODE_BARE;
    if (tm_cli_flag(cli, "--template")) g.encode |= TM_ENCODE_CHAT;
    if (tm_cli_flag(cli, "--prompts") && tm_cli_flag(cli, "--prompt"))
        return tm_cli_usage(cli, "--prompt and --prompts exclude each other");
    if (tm_generation_flags(cli, &g.given) != TM_EXIT_OK) return TM_EXIT_USAGE;
    tm_status status = generate(&g, &err);
    tm_decoder_free(g.decoder);
    tm_answer_clear(&g.answer);
    tm_encoded_clear(&g.prompt);
    tm_opened_close(&g.opened);
    tm_device_close(g.device);
    if (status < 0) return tm_cli_fail(cli, &err);
    return g.bad ? TM_EXIT_GRAPH : TM_EXIT_OK;
}

const tm_command tm_command_generate = {
    .name = "generate",
    .brief = "Let a model go on from a prompt.",
    .usage = "MODEL",
    .example = "tidemill generate base --prompt \"The table\" --tokens 40 --temperature 0.8 --top-p 0.9",
    .min = 1,
    .max = 1,
    .flags = flags,
    .exec = exec,
};
