// SPDX-License-Identifier: Apache-2.0
// score: the log-probability of every token of texts.
#include <stdio.h>

#include "lua/cli/record.h"
#include "lua/model/generation.h"
#include "stages/model/decode.h"

static const tm_flag flags[] = {
    {"--bare", 0, NULL, "without the tokens that the tokenizer puts around a text"},
    {"--plain", 0, NULL, "special tokens in a text are text"},
    {"--sums", 0, NULL, "only the sums, not every token"},
    {"--context", 0, "N", "tokens of a record at most (default: the model's positions, up to 8192)"},
    {"--cores", 'j', "N", "threads (default: those this process may use)"},
    {0},
};

typedef struct scorer {
    const tm_cli *cli;
    tm_device *device;
    tm_opened opened;
    tm_decoder *decoder;
    uint32_t context;
    unsigned encode;
    tm_encoded encoded;
    float *log_probs; // [context]: of token i + 1
    uint64_t bad;
} scorer;

// Log-probabilities of all tokens; the first has none.
static json_t *log_probs_json(const scorer *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->encoded.ids.size; i++)
        json_array_append_new(list, i ? json_real((double)s->log_probs[i - 1]) : json_null());
    return list;
}

static json_t *mask_json(const scorer *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->encoded.mask.size; i++)
        json_array_append_new(list, json_integer(i > 0 && s->encoded.mask.data[i]));
    return list;
}

static json_t *score_json(const scorer *s)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 1; i < s->encoded.ids.size; i++) {
        if (!s->encoded.mask.data[i]) continue;
        sum += (double)s->log_probs[i - 1];
        n++;
    }
    json_t *json = json_pack("{s:f, s:I}", "sum", sum, "tokens", (json_int_t)n);
    if (tm_cli_flag(s->cli, "--sums")) return json;
    json_object_set_new(json, "ids", tm_ids_json(&s->encoded.ids));
    json_object_set_new(json, "pieces", tm_pieces_json(s->opened.tokenizer.bpe, &s->encoded.ids));
    json_object_set_new(json, "log_probs", log_probs_json(s));
    json_object_set_new(json, "counted", mask_json(s));
    return json;
}

static tm_status record(void *self, const json_t *value, json_t **said, tm_error *err)
{
    scorer *s = self;
    TM_TRY(tm_record_encode(&s->opened, value, s->encode | TM_ENCODE_APART, &s->encoded, err));
    size_t n = s->encoded.ids.size;
    if (n > s->context)
        return tm_fail(err, TM_EFORMAT, "the record has %zu tokens, more than %u", n, s->context);
    if (n > 1) TM_TRY(tm_decoder_score(s->decoder, s->encoded.ids.data, (int32_t)n, s->log_probs, err));
    *said = score_json(s);
    return TM_OK;
}

static tm_status score(scorer *s, int cores, double context, tm_error *err)
{
    TM_TRY(tm_device_open_cpu(cores, &s->device, err));
    TM_TRY(tm_opened_model(&s->opened, s->cli, s->cli->args[0], err));
    uint32_t length = s->opened.model->config.length;
    s->context = context > 0 && context < length ? (uint32_t)context : length;
    if (context == 0 && s->context > 8192) s->context = 8192;
    s->log_probs = tm_calloc(s->context, sizeof *s->log_probs);
    if (!s->log_probs) return tm_fail(err, TM_ENOMEM, "no memory for %u tokens", s->context);
    TM_TRY(tm_decoder_new(&s->decoder, s->opened.model, s->device, s->context, err));
    return tm_records_each(s->cli, NULL, record, s, &s->bad, err);
}

static int exec(tm_cli *cli)
{
    tm_error err = {0};
    scorer s = {.cli = cli};
    double context = 0;
    int cores;
    if (tm_cli_number(cli, "--context", 2, &context) != TM_EXIT_OK ||
        tm_cores_flag(cli, &cores) != TM_EXIT_OK)
        return TM_EXIT_USAGE;
    if (tm_cli_flag(cli, "--bare")) s.encode |= TM_ENCODE_BARE;
    if (tm_cli_flag(cli, "--plain")) s.encode |= TM_ENCODE_PLAIN;
    tm_status status = score(&s, cores, context, &err);
    tm_decoder_free(s.decoder);
    tm_free(s.log_probs);
    tm_encoded_clear(&s.encoded);
    tm_opened_close(&s.opened);
    tm_device_close(s.device);
    if (status < 0) return tm_cli_fail(cli, &err);
    return s.bad ? TM_EXIT_GRAPH : TM_EXIT_OK;
}

const tm_command tm_command_score = {
    .name = "score",
    .brief = "The log-probability of every token of texts: lines of JSON on stdin, a line of JSON for each.",
    .usage = "MODEL",
    .example = "echo '{\"prompt\": \"The sea is\", \"completion\": \" blue\"}' | tidemill score base",
    .min = 1,
    .max = 1,
    .flags = flags,
    .exec = exec,
};
