// SPDX-License-Identifier: Apache-2.0
// Writing tokenizer.json and tokenizer_config.json.
#include <stdlib.h>

#include <jansson.h>

#include "stages/format/tokenizer_json.h"

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "out of memory for tokenizer.json");
}

static json_t *string(tm_view text)
{
    return json_stringn(text.data ? text.data : "", text.size);
}

static json_t *byte_level(bool add_prefix_space, bool use_regex)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", add_prefix_space,
                     "trim_offsets", true, "use_regex", use_regex);
}

static json_t *pre_tokenizer(const tm_bpe_spec *spec)
{
    const char *pattern = tm_pretokenizer_pattern(spec->pretokenizer);
    switch (spec->pretokenizer) {
    case TM_PRETOKENIZE_WHOLE: return byte_level(spec->add_prefix_space, false);
    case TM_PRETOKENIZE_GPT2: return byte_level(spec->add_prefix_space, true);
    case TM_PRETOKENIZE_SMOLLM2:
        return json_pack("{s:s, s:[{s:s, s:b}, o]}", "type", "Sequence", "pretokenizers", "type", "Digits",
                         "individual_digits", true, byte_level(false, true));
    default:
        return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}", "type", "Sequence", "pretokenizers",
                         "type", "Split", "pattern", "Regex", pattern, "behavior", "Isolated", "invert",
                         false, byte_level(false, false));
    }
}

static json_t *flags(const tm_bpe_added *added)
{
    return json_pack("{s:o, s:b, s:b, s:b, s:b, s:b}", "content", string(added->content), "single_word",
                     added->single_word, "lstrip", added->lstrip, "rstrip", added->rstrip, "normalized",
                     added->normalized, "special", added->special);
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = (*(const tm_bpe_added *const *)a)->id, y = (*(const tm_bpe_added *const *)b)->id;
    return (x > y) - (x < y);
}

// The added tokens in the order of their ids; free with tm_free.
static const tm_bpe_added **in_order(const tm_bpe_spec *spec)
{
    const tm_bpe_added **order = tm_calloc(spec->n_added, sizeof *order);
    for (size_t i = 0; order && i < spec->n_added; i++) order[i] = &spec->added[i];
    if (order) qsort(order, spec->n_added, sizeof *order, by_id);
    return order;
}

static json_t *added_tokens(const tm_bpe_spec *spec)
{
    const tm_bpe_added **order = in_order(spec);
    json_t *list = order ? json_array() : NULL;
    for (size_t i = 0; i < spec->n_added && list; i++) {
        json_t *row = json_pack("{s:I}", "id", (json_int_t)order[i]->id), *rest = flags(order[i]);
        if (!row || !rest || json_object_update(row, rest) < 0) json_decref(list), list = NULL;
        if (list) json_array_append(list, row);
        json_decref(row);
        json_decref(rest);
    }
    tm_free(order);
    return list;
}

// `prefix` A `suffix`, then for a second text the same with B; type ids 0 and 1.
static bool add_template(json_t *list, const tm_bpe *bpe, const char *name, int type)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    int failed = 0;
    for (size_t i = 0; i < spec->n_prefix; i++)
        failed |= json_array_append_new(list, json_pack("{s:{s:o, s:i}}", "SpecialToken", "id",
                                                        string(tm_bpe_text(bpe, spec->prefix[i])), "type_id",
                                                        type));
    failed |=
        json_array_append_new(list, json_pack("{s:{s:s, s:i}}", "Sequence", "id", name, "type_id", type));
    for (size_t i = 0; i < spec->n_suffix; i++)
        failed |= json_array_append_new(list, json_pack("{s:{s:o, s:i}}", "SpecialToken", "id",
                                                        string(tm_bpe_text(bpe, spec->suffix[i])), "type_id",
                                                        type));
    return !failed;
}

static json_t *post_processor(const tm_bpe *bpe)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    if (spec->n_prefix + spec->n_suffix == 0) return json_null();
    json_t *single = json_array(), *pair = json_array(), *tokens = json_object();
    bool good = single && pair && tokens && add_template(single, bpe, "A", 0) &&
                add_template(pair, bpe, "A", 0) && add_template(pair, bpe, "B", 1);
    for (size_t i = 0; good && i < spec->n_prefix + spec->n_suffix; i++) {
        uint32_t id = i < spec->n_prefix ? spec->prefix[i] : spec->suffix[i - spec->n_prefix];
        tm_view text = tm_bpe_text(bpe, id);
        json_t *row = json_pack("{s:o, s:[I], s:[o]}", "id", string(text), "ids", (json_int_t)id, "tokens",
                                string(text));
        good = json_object_setn_new(tokens, text.data, text.size, row) == 0;
    }
    if (good)
        return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", single, "pair", pair,
                         "special_tokens", tokens);
    json_decref(single);
    json_decref(pair);
    json_decref(tokens);
    return NULL;
}

static int by_entry_id(const void *a, const void *b)
{
    uint32_t x = (*(const tm_bpe_entry *const *)a)->id, y = (*(const tm_bpe_entry *const *)b)->id;
    return (x > y) - (x < y);
}

static json_t *vocab(const tm_bpe_spec *spec)
{
    const tm_bpe_entry **order = tm_calloc(spec->n_vocab, sizeof *order);
    json_t *map = order ? json_object() : NULL;
    for (size_t i = 0; order && i < spec->n_vocab; i++) order[i] = &spec->vocab[i];
    if (order) qsort(order, spec->n_vocab, sizeof *order, by_entry_id);
    for (size_t i = 0; map && i < spec->n_vocab; i++)
        if (json_object_setn_new(map, order[i]->text.data, order[i]->text.size, json_integer(order[i]->id)) <
            0)
            json_decref(map), map = NULL;
    tm_free(order);
    return map;
}

static json_t *merges(const tm_bpe *bpe)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    json_t *list = json_array();
    for (size_t i = 0; list && i < spec->n_merges; i++) {
        tm_bpe_merge merge = spec->merges[i];
        json_t *row =
            json_pack("[o, o]", string(tm_bpe_text(bpe, merge.left)), string(tm_bpe_text(bpe, merge.right)));
        if (json_array_append_new(list, row) < 0) json_decref(list), list = NULL;
    }
    return list;
}

static json_t *model(const tm_bpe *bpe)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    json_t *unk = spec->unk == TM_BPE_NONE ? json_null() : string(tm_bpe_text(bpe, spec->unk));
    return json_pack("{s:s, s:n, s:o, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                     "unk_token", unk, "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                     spec->fuse_unk, "byte_fallback", false, "ignore_merges", spec->ignore_merges, "vocab",
                     vocab(spec), "merges", merges(bpe));
}

static int add(const char *data, size_t size, void *buf)
{
    tm_buf_add(buf, data, size);
    return ((tm_buf *)buf)->failed ? -1 : 0;
}

static tm_status dump(json_t *root, tm_buf *json, tm_error *err)
{
    bool good = root && json_dump_callback(root, add, json, JSON_INDENT(2)) == 0;
    json_decref(root);
    return good ? TM_OK : no_memory(err);
}

tm_status tm_tokenizer_json_write(const tm_bpe *bpe, tm_buf *json, tm_error *err)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    json_t *normalizer = spec->nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
    json_t *root = json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation",
                             "padding", "added_tokens", added_tokens(spec), "normalizer", normalizer,
                             "pre_tokenizer", pre_tokenizer(spec), "post_processor", post_processor(bpe),
                             "decoder", byte_level(true, true), "model", model(bpe));
    return dump(root, json, err);
}

// --- tokenizer_config.json

static tm_status set_token(json_t *root, const tm_bpe *bpe, const char *key, tm_view content, tm_error *err)
{
    if (!content.size) return TM_OK;
    if (tm_bpe_find(bpe, content) == TM_BPE_NONE)
        return tm_fail(err, TM_EINVAL, "%s \"%.*s\" is not in the tokenizer", key, (int)content.size,
                       content.data);
    return json_object_set_new(root, key, string(content)) < 0 ? no_memory(err) : TM_OK;
}

static tm_status set_added(json_t *root, const tm_bpe *bpe, tm_error *err)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    const tm_bpe_added **order = in_order(spec);
    json_t *map = json_object();
    bool good = order && map && json_object_set(root, "added_tokens_decoder", map) == 0;
    for (size_t i = 0; good && i < spec->n_added; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", order[i]->id);
        good = json_object_set_new(map, id, flags(order[i])) == 0;
    }
    json_decref(map);
    tm_free(order);
    return good ? TM_OK : no_memory(err);
}

static tm_status fill_config(json_t *root, const tm_bpe *bpe, const tm_tokenizer_config *config,
                             tm_error *err)
{
    TM_TRY(set_added(root, bpe, err));
    TM_TRY(set_token(root, bpe, "bos_token", config->bos, err));
    TM_TRY(set_token(root, bpe, "eos_token", config->eos, err));
    TM_TRY(set_token(root, bpe, "pad_token", config->pad, err));
    TM_TRY(set_token(root, bpe, "unk_token", config->unk, err));
    int failed = json_object_set_new(root, "clean_up_tokenization_spaces", json_false());
    if (config->chat_template.size)
        failed |= json_object_set_new(root, "chat_template", string(config->chat_template));
    if (config->max_length)
        failed |= json_object_set_new(root, "model_max_length", json_integer((json_int_t)config->max_length));
    failed |= json_object_set_new(root, "tokenizer_class", json_string("PreTrainedTokenizerFast"));
    return failed ? no_memory(err) : TM_OK;
}

tm_status tm_tokenizer_config_write(const tm_bpe *bpe, const tm_tokenizer_config *config, tm_buf *json,
                                    tm_error *err)
{
    json_t *root = json_object();
    if (!root) return no_memory(err);
    tm_status status = fill_config(root, bpe, config, err);
    if (status < 0) {
        json_decref(root);
        return status;
    }
    return dump(root, json, err);
}
