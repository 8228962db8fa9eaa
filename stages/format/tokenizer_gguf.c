// SPDX-License-Identifier: Apache-2.0
// From the values of a GGUF file to a tokenizer.
#include "stages/format/tokenizer_gguf.h"

#include "engine/base/utf8.h"
#include "stages/format/tokenizer_gguf_parts.h"
#include "stages/text/bpe_strings.h"

typedef struct parts {
    const tm_gguf *file;
    const tm_gguf_value *tokens, *types;
    tm_strings texts; // number = id
    tm_bpe_entry *vocab;
    tm_bpe_merge *merges;
    tm_bpe_added *added;
    uint32_t prefix, suffix;
    tm_bpe_spec spec;
} parts;

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "no memory for a tokenizer");
}

// ---- kinds

static tm_status check_model(const tm_gguf *file, tm_error *err)
{
    tm_view model;
    if (!tm_gguf_text(file, "tokenizer.ggml.model", &model))
        return tm_fail(err, TM_ENOENT, "the file has no tokenizer (tokenizer.ggml.model)");
    if (tm_view_eq(model, tm_view_str("gpt2"))) return TM_OK;
    tm_fail(err, TM_EUNSUPPORTED,
            "its tokenizer is of kind \"%.*s\"; byte-level BPE (\"gpt2\") is what is read",
            model.size < 40 ? (int)model.size : 40, model.data);
    return TM_EUNSUPPORTED;
}

static tm_status find_pre(const tm_gguf *file, const tm_gguf_pre **pre, tm_error *err)
{
    tm_view name;
    if (!tm_gguf_text(file, "tokenizer.ggml.pre", &name)) {
        tm_fail(err, TM_EUNSUPPORTED,
                "the file does not say how its tokenizer cuts text (tokenizer.ggml.pre)");
        tm_hint(err, "it is from before May 2024: convert the model anew, or give its Hugging Face folder");
        return TM_EUNSUPPORTED;
    }
    for (*pre = tm_gguf_pres; (*pre)->name; ++*pre)
        if (tm_view_eq(name, tm_view_str((*pre)->name))) return TM_OK;
    tm_fail(err, TM_EUNSUPPORTED, "its tokenizer cuts text as \"%.*s\", which is not known here",
            name.size < 40 ? (int)name.size : 40, name.data);
    tm_hint(err, "give the Hugging Face folder of the model, or one with gpt-2, llama-bpe, qwen2 or smollm");
    return TM_EUNSUPPORTED;
}

// ---- tokens

static tm_status find_lists(parts *p, tm_error *err)
{
    p->tokens = tm_gguf_find(p->file, "tokenizer.ggml.tokens");
    p->types = tm_gguf_find(p->file, "tokenizer.ggml.token_type");
    if (!p->tokens || p->tokens->kind != TM_GGUF_LIST || p->tokens->element != TM_GGUF_TEXT)
        return tm_fail(err, TM_EFORMAT, "tokenizer.ggml.tokens is no list of texts");
    if (p->types && (p->types->kind != TM_GGUF_LIST || p->types->element != TM_GGUF_I32 ||
                     p->types->count != p->tokens->count))
        return tm_fail(err, TM_EFORMAT, "tokenizer.ggml.token_type is no list of %llu i32",
                       (unsigned long long)p->tokens->count);
    if (p->tokens->count > TM_BPE_IDS_MAX)
        return tm_fail(err, TM_EFORMAT, "%llu tokens; the limit is %u", (unsigned long long)p->tokens->count,
                       TM_BPE_IDS_MAX);
    return TM_OK;
}

static int64_t type_of(const parts *p, uint64_t id)
{
    return p->types ? tm_gguf_list_integer(p->types, id) : TM_GGUF_TOKEN_NORMAL;
}

static bool is_added(int64_t type)
{
    return type == TM_GGUF_TOKEN_CONTROL || type == TM_GGUF_TOKEN_USER || type == TM_GGUF_TOKEN_UNKNOWN;
}

static tm_status number_tokens(parts *p, tm_error *err)
{
    tm_view rest = p->tokens->data, text;
    for (uint32_t id = 0; tm_gguf_next_text(&rest, &text); id++) {
        if (tm_utf8_valid(text) != text.size || (text.size && memchr(text.data, 0, text.size)))
            return tm_fail(err, TM_EFORMAT, "token %u is not text", id);
        uint32_t number = tm_strings_add(&p->texts, text);
        if (number == UINT32_MAX) return no_memory(err);
        if (number != id)
            return tm_fail(err, TM_EFORMAT, "tokens %u and %u are both \"%.*s\"", number, id,
                           text.size < 60 ? (int)text.size : 60, text.data);
    }
    return TM_OK;
}

// How many tokens at the front are the vocabulary. What is behind the last normal token is added to it, as
// tokenizer.json has it; with unused ids between, all is vocabulary, so that ids stay.
static uint64_t vocabulary_size(const parts *p)
{
    uint64_t n = p->tokens->count, last = 0, used = 0;
    bool hole = false;
    for (uint64_t id = 0; id < n; id++) {
        int64_t type = type_of(p, id);
        if (type == TM_GGUF_TOKEN_UNUSED) continue;
        hole |= used != id;
        used = id + 1;
        if (!is_added(type)) last = id + 1;
    }
    return hole ? n : last;
}

static void add_token(parts *p, uint32_t id, bool in_vocabulary)
{
    int64_t type = type_of(p, id);
    tm_view text = tm_strings_get(&p->texts, id);
    if (type == TM_GGUF_TOKEN_UNUSED) return;
    if (in_vocabulary) p->vocab[p->spec.n_vocab++] = (tm_bpe_entry){text, id};
    if (is_added(type) && text.size)
        p->added[p->spec.n_added++] =
            (tm_bpe_added){.content = text, .id = id, .special = type != TM_GGUF_TOKEN_USER};
}

static tm_status read_tokens(parts *p, tm_error *err)
{
    TM_TRY(find_lists(p, err));
    TM_TRY(number_tokens(p, err));
    uint64_t n = p->tokens->count, vocabulary = vocabulary_size(p);
    p->vocab = tm_calloc(n + 1, sizeof *p->vocab);
    p->added = tm_calloc(n + 1, sizeof *p->added);
    if (!p->vocab || !p->added) return no_memory(err);
    for (uint32_t id = 0; id < n; id++) add_token(p, id, id < vocabulary);
    p->spec.vocab = p->vocab;
    p->spec.added = p->added;
    return TM_OK;
}

// ---- merges: "a b", cut at the first space behind the first character

static tm_status read_merge(parts *p, size_t i, tm_view text, tm_error *err)
{
    const char *space = text.size > 1 ? memchr(text.data + 1, ' ', text.size - 1) : NULL;
    size_t n = space ? (size_t)(space - text.data) : 0;
    uint32_t left = space ? tm_strings_find(&p->texts, tm_view_of(text.data, n)) : UINT32_MAX;
    uint32_t right =
        space ? tm_strings_find(&p->texts, tm_view_of(space + 1, text.size - n - 1)) : UINT32_MAX;
    if (left == UINT32_MAX || right == UINT32_MAX)
        return tm_fail(err, TM_EFORMAT, "merge %zu, \"%.*s\", is no pair of tokens", i,
                       text.size < 60 ? (int)text.size : 60, text.data);
    p->merges[i] = (tm_bpe_merge){left, right};
    return TM_OK;
}

static tm_status read_merges(parts *p, tm_error *err)
{
    const tm_gguf_value *list = tm_gguf_find(p->file, "tokenizer.ggml.merges");
    if (!list || list->kind != TM_GGUF_LIST || list->element != TM_GGUF_TEXT)
        return tm_fail(err, TM_EFORMAT, "tokenizer.ggml.merges is no list of texts");
    p->merges = tm_calloc(list->count + 1, sizeof *p->merges);
    if (!p->merges) return no_memory(err);
    tm_view rest = list->data, text;
    while (tm_gguf_next_text(&rest, &text)) TM_TRY(read_merge(p, p->spec.n_merges++, text, err));
    p->spec.merges = p->merges;
    return TM_OK;
}

// ---- the ids around a text

static int64_t special_id(const parts *p, const char *key)
{
    int64_t id;
    if (!tm_gguf_integer(p->file, key, &id) || id < 0 || (uint64_t)id >= p->tokens->count) return -1;
    return type_of(p, (uint64_t)id) == TM_GGUF_TOKEN_UNUSED ? -1 : id;
}

static tm_view text_of(const parts *p, int64_t id)
{
    tm_view rest = p->tokens->data, text = {0};
    for (int64_t i = 0; i <= id && tm_gguf_next_text(&rest, &text); i++) continue;
    return id < 0 ? (tm_view){0} : text;
}

static void read_template(parts *p, const tm_gguf_pre *pre, const tm_gguf_tokenizer *t)
{
    bool bos = pre->begins, eos = false;
    tm_gguf_flag(p->file, "tokenizer.ggml.add_bos_token", &bos);
    tm_gguf_flag(p->file, "tokenizer.ggml.add_eos_token", &eos);
    p->prefix = (uint32_t)t->bos;
    p->suffix = (uint32_t)t->eos;
    p->spec.prefix = &p->prefix;
    p->spec.suffix = &p->suffix;
    p->spec.n_prefix = bos && t->bos >= 0;
    p->spec.n_suffix = eos && t->eos >= 0;
}

static tm_status read_all(parts *p, tm_gguf_tokenizer *t, tm_error *err)
{
    const tm_gguf_pre *pre;
    TM_TRY(check_model(p->file, err));
    TM_TRY(find_pre(p->file, &pre, err));
    p->spec.pretokenizer = pre->kind;
    p->spec.ignore_merges = pre->ignore_merges;
    p->spec.nfc = pre->nfc;
    p->spec.unk = TM_BPE_NONE;
    TM_TRY(read_tokens(p, err));
    TM_TRY(read_merges(p, err));
    t->bos = special_id(p, "tokenizer.ggml.bos_token_id");
    t->eos = special_id(p, "tokenizer.ggml.eos_token_id");
    t->pad = special_id(p, "tokenizer.ggml.padding_token_id");
    t->config = (tm_tokenizer_config){
        .bos = text_of(p, t->bos), .eos = text_of(p, t->eos), .pad = text_of(p, t->pad)};
    t->config.unk = text_of(p, special_id(p, "tokenizer.ggml.unknown_token_id"));
    tm_gguf_text(p->file, "tokenizer.chat_template", &t->config.chat_template);
    read_template(p, pre, t);
    return tm_bpe_new(&p->spec, &t->bpe, err);
}

tm_status tm_tokenizer_gguf_read(const tm_gguf *file, tm_gguf_tokenizer *tokenizer, tm_error *err)
{
    parts p = {.file = file};
    *tokenizer = (tm_gguf_tokenizer){0};
    tm_status status = read_all(&p, tokenizer, err);
    tm_strings_clear(&p.texts);
    tm_free(p.vocab);
    tm_free(p.merges);
    tm_free(p.added);
    return status;
}
