// SPDX-License-Identifier: Apache-2.0
// A byte-level BPE tokenizer learned from documents.
#include "engine/base/io.h"
#include "engine/stage.h"
#include "stages/format/tokenizer_json.h"
#include "stages/text/bpe_train.h"
#include "stages/text/chat_tokens.h"
#include "stages/text/shape.h"

#define MAX_SPECIAL 32

typedef struct vocab_options {
    int64_t size, min_frequency;
    const char *pretokenizer, *end;
    tm_string_list special;
    bool chat;
} vocab_options;

static const tm_option options[] = {
    {"size", TM_OPT_INT, offsetof(vocab_options, size), "8192", 257, TM_BPE_IDS_MAX, NULL,
     "entries, the 256 bytes and the special tokens included", 0},
    {"min_frequency", TM_OPT_INT, offsetof(vocab_options, min_frequency), "2", 1, 1e9, NULL,
     "a pair that occurs less often is not merged", 0},
    {"pretokenizer", TM_OPT_CHOICE, offsetof(vocab_options, pretokenizer), "\"gpt2\"", 0, 0,
     "gpt2 llama3 qwen2 smollm", "how a text is cut into pieces before merging", 0},
    {"end", TM_OPT_STRING, offsetof(vocab_options, end), "\"<|endoftext|>\"", 0, 0, NULL,
     "the token that ends a document", 0},
    {"special", TM_OPT_LIST, offsetof(vocab_options, special), "[]", 0, 0, NULL, "further special tokens",
     0},
    {"chat", TM_OPT_BOOL, offsetof(vocab_options, chat), "true", 0, 0, NULL,
     "with ChatML: the special tokens <|im_start|> and <|im_end|>, and a chat template of them", 0},
    {0},
};

static tm_pretokenizer pretokenizer_of(const char *name)
{
    if (strcmp(name, "llama3") == 0) return TM_PRETOKENIZE_LLAMA3;
    if (strcmp(name, "qwen2") == 0) return TM_PRETOKENIZE_QWEN2;
    if (strcmp(name, "smollm") == 0) return TM_PRETOKENIZE_SMOLLM2;
    return TM_PRETOKENIZE_GPT2;
}

static tm_status check(tm_check *c, tm_error *err)
{
    const vocab_options *o = c->options;
    json_object_set_new(c->outputs[0], "tokenizer", json_string(c->name));
    if (o->special.n > MAX_SPECIAL) {
        c->fault->option = "special";
        return tm_fail(err, TM_EINVAL, "%zu special tokens are more than %d", o->special.n, MAX_SPECIAL);
    }
    return tm_shape_plain(c, 0, err);
}

static tm_status count_all(tm_work *work, tm_bpe_counter *counter, tm_error *err)
{
    tm_batch *in;
    tm_status status;
    double n = 0;
    while ((status = tm_take(work, "", &in, err)) == TM_OK) {
        for (size_t row = 0; status >= 0 && row < tm_batch_rows(in); row++)
            status = tm_bpe_counter_add(counter, tm_docs_get(in, row).text, err);
        n += (double)tm_batch_rows(in);
        tm_batch_unref(in);
        tm_work_progress(work, n, 0, "documents");
        TM_TRY(status);
    }
    TM_TRY(status);
    if (n > 0) return TM_OK;
    tm_fail_as(err, TM_EINVAL, "TM0303", "there are no documents to learn from");
    tm_hint(err, "see what went into it: `tidemill status` counts the records of each node");
    return TM_EINVAL;
}

static bool is_chat_token(const char *text)
{
    return strcmp(text, "<|im_start|>") == 0 || strcmp(text, "<|im_end|>") == 0;
}

static tm_status train(const vocab_options *o, const tm_bpe_counter *counter, tm_bpe **bpe, tm_error *err)
{
    tm_view special[MAX_SPECIAL + 3];
    size_t n = 0;
    if (o->end[0]) special[n++] = tm_view_str(o->end);
    if (o->chat) special[n++] = tm_view_str("<|im_start|>");
    if (o->chat) special[n++] = tm_view_str("<|im_end|>");
    for (size_t i = 0; i < o->special.n; i++)
        if (!o->chat || !is_chat_token(o->special.items[i])) special[n++] = tm_view_str(o->special.items[i]);
    tm_bpe_training how = {.size = (size_t)o->size,
                           .min_frequency = (uint64_t)o->min_frequency,
                           .special = special,
                           .n_special = n};
    return tm_bpe_train(counter, &how, bpe, err);
}

static tm_status write_files(const vocab_options *o, const tm_bpe *bpe, const char *folder, tm_error *err)
{
    char path[1200];
    tm_buf json = {0};
    tm_tokenizer_config config = {.eos = tm_view_str(o->end), .pad = tm_view_str(o->end)};
    if (!o->end[0]) config = (tm_tokenizer_config){0};
    if (o->chat) config.chat_template = tm_view_str(TM_CHATML);
    tm_status status = tm_tokenizer_json_write(bpe, &json, err);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    if (status >= 0) status = tm_file_write(path, json.data, json.size, false, err);
    tm_buf_reset(&json);
    if (status >= 0) status = tm_tokenizer_config_write(bpe, &config, &json, err);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    if (status >= 0) status = tm_file_write(path, json.data, json.size, false, err);
    tm_buf_clear(&json);
    if (status < 0 || !o->chat) return status;
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    return tm_file_write(path, TM_CHATML, strlen(TM_CHATML), false, err);
}

static tm_status run(tm_work *work, tm_error *err)
{
    const vocab_options *o = tm_work_options(work);
    char folder[1024];
    tm_bpe *bpe = NULL;
    tm_bpe_counter *counter = tm_bpe_counter_new(pretokenizer_of(o->pretokenizer), false);
    tm_status status = counter ? count_all(work, counter, err)
                               : tm_fail(err, TM_ENOMEM, "no memory to count pieces");
    if (status >= 0) status = train(o, counter, &bpe, err);
    if (counter) tm_bpe_counter_free(counter);
    if (status >= 0) status = tm_work_scratch(work, folder, sizeof folder, err);
    if (status >= 0) status = write_files(o, bpe, folder, err);
    if (status >= 0) tm_work_log(work, "%zu entries", tm_bpe_size(bpe));
    if (bpe) tm_bpe_free(bpe);
    return status < 0 ? status : tm_put_tree(work, "", folder, json_object(), NULL, NULL, err);
}

const tm_stage tm_stage_train_tokenizer = {
    .name = "train_tokenizer",
    .brief = "Learn a byte-level BPE tokenizer from documents.",
    .help =
        "Gives a folder with tokenizer.json and tokenizer_config.json, the same vocabulary and merges as Hugging Face's\n"
        "BpeTrainer with the same settings, and chat_template.jinja. The order of the documents does not matter.",
    .paper = "Sennrich, Haddow & Birch 2016",
    .example = "local vocab = tm.train_tokenizer { docs.train, size = 8192 }",
    .family = "tokenize",
    .version = 2,
    .inputs = {{"", "documents", 0, NULL, "documents to learn from", NULL}},
    .outputs = {{"", "tokenizer", 0, NULL, "the tokenizer's folder", NULL}},
    .options = options,
    .options_size = sizeof(vocab_options),
    .check = check,
    .run = run,
};
