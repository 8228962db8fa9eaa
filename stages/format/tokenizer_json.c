// SPDX-License-Identifier: Apache-2.0
// Reading tokenizer.json: one function a part, each refusing what would give other ids.
#include "stages/format/tokenizer_json.h"

#include <string.h>

#include <jansson.h>

typedef struct parts {  // of a spec while it is read; the texts are jansson's
    tm_bpe_spec spec;
    tm_bpe_entry *vocab;
    tm_bpe_merge *merges;
    tm_bpe_added *added;
    uint32_t *around;  // prefix, then suffix
    bool byte_fallback;
} parts;

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "out of memory for tokenizer.json");
}

static tm_status refuse(tm_error *err, const char *what)
{
    return tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: %s is not supported", what);
}

static tm_view view_of(const json_t *string)
{
    return tm_view_of(json_string_value(string), json_string_length(string));
}

static bool is_type(const json_t *part, const char *type)
{
    const char *found = json_string_value(json_object_get(part, "type"));
    return found && strcmp(found, type) == 0;
}

static const char *type_of(const json_t *part)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    return type && strlen(type) < 64 ? type : "a part without a type";
}

static bool is_absent(const json_t *value)
{
    return !value || json_is_null(value);
}

// A truth value, or `normally` where there is none.
static tm_status flag(const json_t *part, const char *key, bool normally, bool *value, tm_error *err)
{
    const json_t *found = json_object_get(part, key);
    *value = is_absent(found) ? normally : json_is_true(found);
    if (is_absent(found) || json_is_boolean(found)) return TM_OK;
    return tm_fail(err, TM_EFORMAT, "tokenizer.json: \"%s\" is no truth value", key);
}

static tm_status id_of(const json_t *value, const char *what, uint32_t *id, tm_error *err)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0 &&
        json_integer_value(value) < TM_BPE_IDS_MAX) {
        *id = (uint32_t)json_integer_value(value);
        return TM_OK;
    }
    return tm_fail(err, TM_EFORMAT, "tokenizer.json: the id of \"%.64s\" is no number below %u", what,
                   TM_BPE_IDS_MAX);
}

// --- Model

static tm_status read_vocab(const json_t *model, parts *p, tm_error *err)
{
    json_t *map = json_object_get(model, "vocab"), *value;
    const char *text;
    if (!json_is_object(map)) return tm_fail(err, TM_EFORMAT, "tokenizer.json: model.vocab is no object");
    p->vocab = tm_calloc(json_object_size(map), sizeof *p->vocab);
    if (!p->vocab) return no_memory(err);
    json_object_foreach(map, text, value)
    {
        tm_bpe_entry *entry = &p->vocab[p->spec.n_vocab++];
        entry->text = tm_view_str(text);
        TM_TRY(id_of(value, text, &entry->id, err));
    }
    p->spec.vocab = p->vocab;
    return TM_OK;
}

// The two texts of a merge: ["a", "b"], or "a b" with one space.
static bool merge_texts(const json_t *item, tm_view *left, tm_view *right)
{
    if (json_is_array(item) && json_array_size(item) == 2) {
        *left = view_of(json_array_get(item, 0));
        *right = view_of(json_array_get(item, 1));
        return left->data && right->data;
    }
    const char *text = json_string_value(item), *space = text ? strchr(text, ' ') : NULL;
    if (!space || strchr(space + 1, ' ')) return false;
    *left = tm_view_of(text, (size_t)(space - text));
    *right = tm_view_str(space + 1);
    return true;
}

static tm_status read_merges(const json_t *model, parts *p, tm_error *err)
{
    json_t *vocab = json_object_get(model, "vocab"), *list = json_object_get(model, "merges"), *item;
    size_t i;
    if (!json_is_array(list)) return tm_fail(err, TM_EFORMAT, "tokenizer.json: model.merges is no list");
    p->merges = tm_calloc(json_array_size(list), sizeof *p->merges);
    if (!p->merges) return no_memory(err);
    json_array_foreach(list, i, item)
    {
        tm_view left, right;
        const char *text = json_string_value(item);
        if (text && strncmp(text, "#version", 8) == 0) continue;
        if (!merge_texts(item, &left, &right))
            return tm_fail(err, TM_EFORMAT, "tokenizer.json: merge %zu is no pair of texts", i);
        tm_bpe_merge *merge = &p->merges[p->spec.n_merges++];
        TM_TRY(id_of(json_object_getn(vocab, left.data, left.size), left.data, &merge->left, err));
        TM_TRY(id_of(json_object_getn(vocab, right.data, right.size), right.data, &merge->right, err));
    }
    p->spec.merges = p->merges;
    return TM_OK;
}

static tm_status check_affix(const json_t *model, const char *key, tm_error *err)
{
    const json_t *value = json_object_get(model, key);
    return is_absent(value) || (json_is_string(value) && json_string_length(value) == 0) ? TM_OK
                                                                                         : refuse(err, key);
}

static tm_status read_model(const json_t *model, parts *p, tm_error *err)
{
    if (!json_is_object(model)) return tm_fail(err, TM_EFORMAT, "tokenizer.json: there is no model");
    if (json_object_get(model, "type") && !is_type(model, "BPE")) {
        tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: model %.64s is not supported, only BPE is",
                type_of(model));
        return TM_EUNSUPPORTED;
    }
    const json_t *dropout = json_object_get(model, "dropout"), *unk = json_object_get(model, "unk_token");
    if (!is_absent(dropout) && json_number_value(dropout) != 0) return refuse(err, "dropout");
    TM_TRY(check_affix(model, "continuing_subword_prefix", err));
    TM_TRY(check_affix(model, "end_of_word_suffix", err));
    TM_TRY(flag(model, "fuse_unk", false, &p->spec.fuse_unk, err));
    TM_TRY(flag(model, "byte_fallback", false, &p->byte_fallback, err));
    TM_TRY(flag(model, "ignore_merges", false, &p->spec.ignore_merges, err));
    TM_TRY(read_vocab(model, p, err));
    TM_TRY(read_merges(model, p, err));
    p->spec.unk = TM_BPE_NONE;
    if (is_absent(unk)) return TM_OK;
    if (!json_is_string(unk)) return tm_fail(err, TM_EFORMAT, "tokenizer.json: unk_token is no text");
    const char *text = json_string_value(unk);
    return id_of(json_object_get(json_object_get(model, "vocab"), text), text, &p->spec.unk, err);
}

// --- Normalizer, pre-tokenizer, decoder

static tm_status read_normalizer(const json_t *part, parts *p, tm_error *err)
{
    if (is_absent(part)) return TM_OK;
    if (is_type(part, "Sequence")) {
        const json_t *list = json_object_get(part, "normalizers");
        if (json_array_size(list) == 0 && json_is_array(list)) return TM_OK;
        if (json_array_size(list) == 1 && !is_type(json_array_get(list, 0), "Sequence"))
            return read_normalizer(json_array_get(list, 0), p, err);
    }
    if (!is_type(part, "NFC"))
        return tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: normalizer %s is not supported, only NFC is",
                       type_of(part));
    p->spec.nfc = true;
    return TM_OK;
}

static tm_status read_byte_level(const json_t *part, parts *p, bool *use_regex, tm_error *err)
{
    if (!is_type(part, "ByteLevel")) return refuse(err, "a pre_tokenizer without ByteLevel at its end");
    TM_TRY(flag(part, "add_prefix_space", true, &p->spec.add_prefix_space, err));
    return flag(part, "use_regex", true, use_regex, err);
}

static tm_status read_split(const json_t *part, parts *p, tm_error *err)
{
    const json_t *pattern = json_object_get(json_object_get(part, "pattern"), "Regex");
    const char *behavior = json_string_value(json_object_get(part, "behavior"));
    bool invert;
    TM_TRY(flag(part, "invert", false, &invert, err));
    if (!json_is_string(pattern)) return refuse(err, "a Split without a Regex");
    if (!tm_pretokenizer_of_pattern(view_of(pattern), &p->spec.pretokenizer)) {
        tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: the pre_tokenizer's pattern is not known: %.400s",
                json_string_value(pattern));
        tm_hint(err, "known are the patterns of GPT-2, Llama 3, Qwen 2 and Qwen 3.5");
        return TM_EUNSUPPORTED;
    }
    // The patterns match everything, so that "what matches, apart" and "remove what does not match" are the
    // same.
    if (behavior && strcmp(behavior, "Isolated") == 0) return TM_OK;
    if (behavior && strcmp(behavior, "Removed") == 0 && invert) return TM_OK;
    return refuse(err, "a Split that is not Isolated");
}

static tm_status read_digits(const json_t *part, parts *p, tm_error *err)
{
    bool individual;
    TM_TRY(flag(part, "individual_digits", false, &individual, err));
    if (!individual) return refuse(err, "Digits without individual_digits");
    p->spec.pretokenizer = TM_PRETOKENIZE_SMOLLM2;
    return TM_OK;
}

static tm_status read_pre_tokenizer(const json_t *part, parts *p, tm_error *err)
{
    const json_t *list = json_object_get(part, "pretokenizers"), *first = json_array_get(list, 0);
    size_t n = json_array_size(list);
    bool use_regex;
    if (is_type(part, "ByteLevel") || (is_type(part, "Sequence") && n == 1)) {
        TM_TRY(read_byte_level(n ? first : part, p, &use_regex, err));
        p->spec.pretokenizer = use_regex ? TM_PRETOKENIZE_GPT2 : TM_PRETOKENIZE_WHOLE;
        return TM_OK;
    }
    if (!is_type(part, "Sequence") || n != 2)
        return refuse(err, "a pre_tokenizer without ByteLevel at its end");
    bool split = is_type(first, "Split");
    if (split)
        TM_TRY(read_split(first, p, err));
    else if (is_type(first, "Digits"))
        TM_TRY(read_digits(first, p, err));
    else
        return tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: pre_tokenizer %s is not supported",
                       type_of(first));
    TM_TRY(read_byte_level(json_array_get(list, 1), p, &use_regex, err));
    if (p->spec.add_prefix_space) return refuse(err, "add_prefix_space behind a Split");
    return use_regex == split ? refuse(err, "use_regex behind a Split, or Digits without it") : TM_OK;
}

static tm_status read_decoder(const json_t *part, tm_error *err)
{
    const json_t *list = json_object_get(part, "decoders");
    if (is_type(part, "Sequence") && json_array_size(list) == 1) part = json_array_get(list, 0);
    if (is_type(part, "ByteLevel")) return TM_OK;
    return tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: decoder %s is not supported, only ByteLevel is",
                   json_is_object(part) ? type_of(part) : "null");
}

// --- Post-processor

static tm_status add_around(parts *p, bool behind, uint32_t id, tm_error *err)
{
    size_t n = p->spec.n_prefix + p->spec.n_suffix;
    uint32_t *around = tm_realloc(p->around, (n + 1) * sizeof *around);
    if (!around) return no_memory(err);
    p->around = around;
    around[n] = id;
    if (behind)
        p->spec.n_suffix++;
    else
        p->spec.n_prefix++;
    return TM_OK;
}

static tm_status add_named(const json_t *part, parts *p, bool behind, const char *name, tm_error *err)
{
    const json_t *row = json_object_get(json_object_get(part, "special_tokens"), name);
    const json_t *ids = json_object_get(row, "ids"), *value;
    size_t i;
    if (!json_is_array(ids))
        return tm_fail(err, TM_EFORMAT, "tokenizer.json: the template's \"%.64s\" has no ids", name);
    json_array_foreach(ids, i, value)
    {
        uint32_t id = TM_BPE_NONE;
        TM_TRY(id_of(value, name, &id, err));
        TM_TRY(add_around(p, behind, id, err));
    }
    return TM_OK;
}

static tm_status read_template(const json_t *part, parts *p, tm_error *err)
{
    const json_t *single = json_object_get(part, "single"), *piece;
    bool behind = false;
    size_t i;
    json_array_foreach(single, i, piece)
    {
        const char *text = json_string_value(json_object_get(json_object_get(piece, "Sequence"), "id"));
        const char *name = json_string_value(json_object_get(json_object_get(piece, "SpecialToken"), "id"));
        if (name)
            TM_TRY(add_named(part, p, behind, name, err));
        else if (text && strcmp(text, "A") == 0 && !behind)
            behind = true;
        else
            return refuse(err, "this single template");
    }
    return behind ? TM_OK
                  : tm_fail(err, TM_EFORMAT, "tokenizer.json: the single template lacks the text itself");
}

// BertProcessing and RobertaProcessing: "cls" before the text, "sep" behind; each [content, id].
static tm_status read_cls_sep(const json_t *part, parts *p, tm_error *err)
{
    for (int behind = 0; behind < 2; behind++) {
        uint32_t id = TM_BPE_NONE;
        const char *key = behind ? "sep" : "cls";
        TM_TRY(id_of(json_array_get(json_object_get(part, key), 1), key, &id, err));
        TM_TRY(add_around(p, behind, id, err));
    }
    return TM_OK;
}

static tm_status read_post_processor(const json_t *part, parts *p, tm_error *err)
{
    if (is_absent(part) || is_type(part, "ByteLevel")) return TM_OK;
    if (is_type(part, "Sequence")) {
        const json_t *item;
        size_t i;
        json_array_foreach(json_object_get(part, "processors"), i, item)
        {
            if (is_type(item, "Sequence")) return refuse(err, "a Sequence within a Sequence");
            TM_TRY(read_post_processor(item, p, err));
        }
        return TM_OK;
    }
    if (p->around) return refuse(err, "more than one template");
    if (is_type(part, "TemplateProcessing")) return read_template(part, p, err);
    if (is_type(part, "RobertaProcessing") || is_type(part, "BertProcessing"))
        return read_cls_sep(part, p, err);
    return tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: post_processor %s is not supported", type_of(part));
}

// --- Added tokens, and the whole

static tm_status read_added(const json_t *list, parts *p, tm_error *err)
{
    const json_t *item;
    size_t i;
    if (is_absent(list)) return TM_OK;
    if (!json_is_array(list)) return tm_fail(err, TM_EFORMAT, "tokenizer.json: added_tokens is no list");
    p->added = tm_calloc(json_array_size(list), sizeof *p->added);
    if (!p->added) return no_memory(err);
    json_array_foreach(list, i, item)
    {
        tm_bpe_added *added = &p->added[i];
        const json_t *content = json_object_get(item, "content");
        if (!json_is_string(content))
            return tm_fail(err, TM_EFORMAT, "tokenizer.json: added token %zu has no content", i);
        added->content = view_of(content);
        TM_TRY(id_of(json_object_get(item, "id"), added->content.data, &added->id, err));
        TM_TRY(flag(item, "single_word", false, &added->single_word, err));
        TM_TRY(flag(item, "lstrip", false, &added->lstrip, err));
        TM_TRY(flag(item, "rstrip", false, &added->rstrip, err));
        TM_TRY(flag(item, "special", false, &added->special, err));
        TM_TRY(flag(item, "normalized", !added->special, &added->normalized, err));
    }
    p->spec.added = p->added;
    p->spec.n_added = json_array_size(list);
    return TM_OK;
}

static tm_status read_parts(const json_t *root, parts *p, tm_error *err)
{
    const char *version = json_string_value(json_object_get(root, "version"));
    if (version && strcmp(version, "1.0") != 0)
        return tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: version %.16s is not supported, only 1.0 is",
                       version);
    TM_TRY(read_model(json_object_get(root, "model"), p, err));
    TM_TRY(read_added(json_object_get(root, "added_tokens"), p, err));
    TM_TRY(read_normalizer(json_object_get(root, "normalizer"), p, err));
    TM_TRY(read_pre_tokenizer(json_object_get(root, "pre_tokenizer"), p, err));
    TM_TRY(read_decoder(json_object_get(root, "decoder"), err));
    TM_TRY(read_post_processor(json_object_get(root, "post_processor"), p, err));
    if (p->around) {
        p->spec.prefix = p->around;
        p->spec.suffix = p->around + p->spec.n_prefix;
    }
    return TM_OK;
}

// With byte_fallback, a byte without an entry would become other tokens than it does here.
static tm_status check_fallback(const tm_bpe *bpe, tm_error *err)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        tm_buf text = {0};
        tm_bpe_spell((tm_view){&c, 1}, &text);
        tm_status status = tm_buf_status(&text, err);
        bool found = tm_bpe_find(bpe, tm_buf_view(&text)) != TM_BPE_NONE;
        tm_buf_clear(&text);
        TM_TRY(status);
        if (!found) return refuse(err, "byte_fallback with bytes that are not in the vocabulary");
    }
    return TM_OK;
}

static tm_status check_depth(tm_view json, tm_error *err)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < json.size; i++) {
        char c = json.data[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{') && ++depth > TM_TOKENIZER_JSON_DEPTH)
            return tm_fail(err, TM_EFORMAT, "tokenizer.json: nested deeper than %d", TM_TOKENIZER_JSON_DEPTH);
        else if (!quoted && (c == ']' || c == '}') && depth)
            depth--;
    }
    return TM_OK;
}

static tm_status read_root(const json_t *root, tm_bpe **bpe, tm_error *err)
{
    parts p = {0};
    tm_status status = read_parts(root, &p, err);
    if (status == TM_OK) status = tm_bpe_new(&p.spec, bpe, err);
    if (status == TM_OK && p.byte_fallback && (status = check_fallback(*bpe, err)) < 0) {
        tm_bpe_free(*bpe);
        *bpe = NULL;
    }
    tm_free(p.vocab);
    tm_free(p.merges);
    tm_free(p.added);
    tm_free(p.around);
    return status;
}

tm_status tm_tokenizer_json_read(tm_view json, tm_bpe **bpe, tm_error *err)
{
    if (json.size > TM_TOKENIZER_JSON_MAX)
        return tm_fail(err, TM_EUNSUPPORTED, "tokenizer.json: %zu bytes, the limit is %zu", json.size,
                       TM_TOKENIZER_JSON_MAX);
    TM_TRY(check_depth(json, err));
    json_error_t error;
    json_t *root = json_loadb(json.data ? json.data : "", json.size, JSON_REJECT_DUPLICATES, &error);
    if (!root) return tm_fail(err, TM_EFORMAT, "tokenizer.json: line %d: %s", error.line, error.text);
    tm_status status = read_root(root, bpe, err);
    json_decref(root);
    return status;
}
