// SPDX-License-Identifier: Apache-2.0
// From a tokenizer to the values of a GGUF file.
#include <stdio.h>
#include <string.h>

#include "stages/format/tokenizer_gguf.h"
#include "stages/format/tokenizer_gguf_parts.h"

const tm_gguf_pre tm_gguf_pres[] = {
    {"gpt-2", TM_PRETOKENIZE_GPT2, false, false, false},
    {"llama-bpe", TM_PRETOKENIZE_LLAMA3, true, false, true},
    {"qwen2", TM_PRETOKENIZE_QWEN2, false, true, false},
    {"qwen35", TM_PRETOKENIZE_QWEN35, false, true, false},
    {"smollm", TM_PRETOKENIZE_SMOLLM2, false, false, false},
    {"llama3", TM_PRETOKENIZE_LLAMA3, true, false, true},
    {"llama-v3", TM_PRETOKENIZE_LLAMA3, true, false, true},
    {"phi-2", TM_PRETOKENIZE_GPT2, false, false, false},
    {"starcoder", TM_PRETOKENIZE_SMOLLM2, false, false, false},
    {"refact", TM_PRETOKENIZE_SMOLLM2, false, false, false},
    {0},
};

static const tm_gguf_pre *pre_of(tm_pretokenizer kind)
{
    for (const tm_gguf_pre *pre = tm_gguf_pres; pre->name; pre++)
        if (pre->kind == kind) return pre;
    return NULL;
}

// ---- what GGUF cannot say

static tm_status cannot(tm_error *err, const char *what)
{
    return tm_fail(err, TM_EUNSUPPORTED, "GGUF cannot say of a tokenizer that %s", what);
}

static tm_status check_added(const tm_bpe_spec *spec, tm_error *err)
{
    for (size_t i = 0; i < spec->n_added; i++) {
        const tm_bpe_added *a = &spec->added[i];
        if (a->single_word || a->lstrip || a->rstrip)
            return tm_fail(err, TM_EUNSUPPORTED,
                           "GGUF cannot say of the token \"%.*s\" that it takes white space or stands alone",
                           a->content.size < 60 ? (int)a->content.size : 60, a->content.data);
    }
    return TM_OK;
}

// GGUF has one begin token, which goes before texts if the file says so. Where a tokenizer puts another one
// there, that is the one; only a chat template that names the begin token could tell the difference.
static tm_status check_template(const tm_bpe_spec *spec, int64_t *bos, int64_t eos, tm_view chat_template,
                                tm_error *err)
{
    static const char word[] = "bos_token";
    bool ends = spec->n_suffix == 0 || (spec->n_suffix == 1 && spec->suffix[0] == eos);
    if (spec->n_prefix > 1 || !ends)
        return cannot(err, "it puts other tokens around a text than the begin and end token");
    if (!spec->n_prefix || spec->prefix[0] == *bos) return TM_OK;
    if (*bos >= 0 && chat_template.size &&
        memmem(chat_template.data, chat_template.size, word, sizeof word - 1))
        return cannot(err, "a text begins with another token than a conversation");
    *bos = spec->prefix[0];
    return TM_OK;
}

// Whether merging alone makes every entry that is one piece out of its own bytes: then `ignore_merges` makes
// no difference.
static tm_status merges_suffice(const tm_bpe *bpe, bool *suffice, tm_error *err)
{
    tm_bpe_spec plain = *tm_bpe_parts(bpe);
    tm_bpe *merging;
    tm_bpe_ids ids = {0};
    plain.ignore_merges = plain.nfc = plain.add_prefix_space = false;
    plain.n_added = plain.n_prefix = plain.n_suffix = 0;
    TM_TRY(tm_bpe_new(&plain, &merging, err));
    tm_bpe_encoder *encoder = tm_bpe_encoder_new(merging);
    tm_status status = encoder ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory to encode");
    *suffice = true;
    for (size_t i = 0; status >= 0 && *suffice && i < plain.n_vocab; i++) {
        tm_view bytes = tm_bpe_bytes(merging, plain.vocab[i].id);
        if (!bytes.size || tm_pretokenize_next(plain.pretokenizer, bytes, 0) != bytes.size) continue;
        ids.size = 0;
        status = tm_bpe_encode(encoder, bytes, 0, &ids, err);
        *suffice = ids.size == 1;
    }
    tm_bpe_ids_clear(&ids);
    tm_bpe_encoder_free(encoder);
    tm_bpe_free(merging);
    return status;
}

static tm_status check_merges(const tm_bpe *bpe, const tm_gguf_pre *pre, tm_error *err)
{
    bool suffice = true;
    if (tm_bpe_parts(bpe)->ignore_merges == pre->ignore_merges) return TM_OK;
    TM_TRY(merges_suffice(bpe, &suffice, err));
    if (suffice) return TM_OK;
    return tm_fail(err, TM_EUNSUPPORTED, "GGUF's \"%s\" %s the merges of whole pieces, this tokenizer %s",
                   pre->name, pre->ignore_merges ? "ignores" : "follows",
                   pre->ignore_merges ? "follows them" : "ignores them");
}

static tm_status check(const tm_bpe *bpe, const tm_gguf_pre *pre, tm_error *err)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    if (!pre) return cannot(err, "it does not cut text into pieces");
    if (spec->add_prefix_space) return cannot(err, "a space goes before every text");
    if (spec->unk != TM_BPE_NONE) return cannot(err, "a token stands for unknown bytes");
    TM_TRY(check_added(spec, err));
    return check_merges(bpe, pre, err);
}

// ---- values

static void put_tokens(const tm_bpe *bpe, uint32_t vocab, tm_gguf_writer *w)
{
    tm_gguf_put_list(w, "tokenizer.ggml.tokens", TM_GGUF_TEXT, vocab);
    for (uint32_t id = 0; id < vocab; id++) {
        char unused[24];
        tm_view text = tm_bpe_text(bpe, id);
        snprintf(unused, sizeof unused, "[PAD%u]", id);
        tm_gguf_add_text(w, text.data ? text : tm_view_str(unused));
    }
}

static tm_status put_types(const tm_bpe *bpe, uint32_t vocab, tm_gguf_writer *w, tm_error *err)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    uint8_t *types = tm_alloc(vocab + 1);
    if (!types) return tm_fail(err, TM_ENOMEM, "no memory for the types of %u tokens", vocab);
    for (uint32_t id = 0; id < vocab; id++)
        types[id] = tm_bpe_text(bpe, id).data ? TM_GGUF_TOKEN_NORMAL : TM_GGUF_TOKEN_UNUSED;
    for (size_t i = 0; i < spec->n_added; i++)
        types[spec->added[i].id] = spec->added[i].special ? TM_GGUF_TOKEN_CONTROL : TM_GGUF_TOKEN_USER;
    tm_gguf_put_list(w, "tokenizer.ggml.token_type", TM_GGUF_I32, vocab);
    for (uint32_t id = 0; id < vocab; id++) tm_gguf_add_integer(w, types[id]);
    tm_free(types);
    return TM_OK;
}

static tm_status put_merges(const tm_bpe *bpe, tm_gguf_writer *w, tm_error *err)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    tm_buf text = {0};
    tm_gguf_put_list(w, "tokenizer.ggml.merges", TM_GGUF_TEXT, spec->n_merges);
    for (size_t i = 0; i < spec->n_merges; i++) {
        tm_view left = tm_bpe_text(bpe, spec->merges[i].left),
                right = tm_bpe_text(bpe, spec->merges[i].right);
        tm_buf_reset(&text);
        tm_buf_add(&text, left.data, left.size);
        tm_buf_char(&text, ' ');
        tm_buf_add(&text, right.data, right.size);
        tm_gguf_add_text(w, tm_buf_view(&text));
    }
    tm_status status = tm_buf_status(&text, err);
    tm_buf_clear(&text);
    return status;
}

static void put_id(tm_gguf_writer *w, const char *key, int64_t id)
{
    if (id >= 0) tm_gguf_put_integer(w, key, (uint32_t)id);
}

tm_status tm_tokenizer_gguf_put(const tm_bpe *bpe, uint32_t vocab, int64_t bos, int64_t eos, int64_t pad,
                                tm_view chat_template, tm_gguf_writer *w, tm_error *err)
{
    const tm_bpe_spec *spec = tm_bpe_parts(bpe);
    const tm_gguf_pre *pre = pre_of(spec->pretokenizer);
    if (tm_bpe_size(bpe) > vocab)
        return tm_fail(err, TM_EINVAL, "the tokenizer has %zu ids, the model %u", tm_bpe_size(bpe), vocab);
    TM_TRY(check(bpe, pre, err));
    TM_TRY(check_template(spec, &bos, eos, chat_template, err));
    tm_gguf_put_text(w, "tokenizer.ggml.model", tm_view_str("gpt2"));
    tm_gguf_put_text(w, "tokenizer.ggml.pre", tm_view_str(pre->name));
    put_tokens(bpe, vocab, w);
    TM_TRY(put_types(bpe, vocab, w, err));
    TM_TRY(put_merges(bpe, w, err));
    put_id(w, "tokenizer.ggml.bos_token_id", bos);
    put_id(w, "tokenizer.ggml.eos_token_id", eos);
    put_id(w, "tokenizer.ggml.padding_token_id", pad);
    tm_gguf_put_flag(w, "tokenizer.ggml.add_bos_token", spec->n_prefix > 0);
    tm_gguf_put_flag(w, "tokenizer.ggml.add_eos_token", spec->n_suffix > 0);
    tm_gguf_put_flag(w, "tokenizer.ggml.add_space_prefix", false);
    if (chat_template.size) tm_gguf_put_text(w, "tokenizer.chat_template", chat_template);
    return TM_OK;
}
