// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE tokenizers (Sennrich, Haddow & Birch 2016; bytes as in GPT-2, Radford et al. 2019).
//
// A tm_bpe is a whole tokenizer: normalizer, pre-tokenizer, vocabulary, merges, added tokens and the ids
// around a text. It never changes once built, and any number of threads may share it. Ids are those of
// Hugging Face's tokenizers for the same tokenizer.json. Bytes that are no UTF-8 are kept: each is a piece
// character of its own, and its id gives it back.
//
// A token has a *text*, as tokenizer.json spells it (each byte as one character of the byte alphabet:
// printable Latin-1 as itself, the other 68 from U+0100 on), and *bytes*, what it decodes to. A text with a
// character outside of the byte alphabet decodes to its own UTF-8.
#pragma once

#include "engine/base/bytes.h"
#include "stages/text/pretokenize.h"

#define TM_BPE_NONE UINT32_MAX
#define TM_BPE_IDS_MAX (1u << 22)  // ids are below this

typedef struct tm_bpe_entry {
    tm_view text;
    uint32_t id;
} tm_bpe_entry;

typedef struct tm_bpe_merge {
    uint32_t left, right;
} tm_bpe_merge;

// A token that is found in the text before anything else looks at it (the fields of Hugging Face's
// AddedToken).
typedef struct tm_bpe_added {
    tm_view content;
    uint32_t id;
    bool single_word;     // only where no word character touches it
    bool lstrip, rstrip;  // takes the white space before, behind it
    bool normalized;      // looked for after normalization
    bool special;         // control token: decoding can leave it out
} tm_bpe_added;

// What a tokenizer consists of. Everything is borrowed while tm_bpe_new() runs, and copied.
typedef struct tm_bpe_spec {
    tm_pretokenizer pretokenizer;
    bool
        add_prefix_space;  // a text that does not begin with a space gets one (sections between added tokens)
    bool nfc;              // normalize to Unicode's NFC
    bool ignore_merges;    // a piece that is an entry is that entry, without merging
    bool fuse_unk;         // a run of unknown bytes is one `unk`
    uint32_t unk;          // stands for a byte without an entry, or TM_BPE_NONE: such a byte disappears
    const tm_bpe_entry *vocab;
    size_t n_vocab;
    const tm_bpe_merge *merges;  // by rank; the texts of a pair, joined, must be an entry
    size_t n_merges;
    const tm_bpe_added *added;  // an id is the entry of that content, or else is behind the vocabulary
    size_t n_added;
    const uint32_t *prefix, *suffix;  // ids around a text (post-processor), with TM_BPE_TEMPLATE
    size_t n_prefix, n_suffix;
} tm_bpe_spec;

typedef struct tm_bpe tm_bpe;

// TM_EFORMAT names the entry, merge or added token that contradicts another. Free with tm_bpe_free.
tm_status tm_bpe_new(const tm_bpe_spec *spec, tm_bpe **bpe, tm_error *err);
void tm_bpe_free(tm_bpe *bpe);

const tm_bpe_spec *tm_bpe_parts(const tm_bpe *bpe);     // what it consists of; lives as long as the tokenizer
size_t tm_bpe_size(const tm_bpe *bpe);                  // the highest id + 1: rows of an embedding
uint32_t tm_bpe_find(const tm_bpe *bpe, tm_view text);  // id of an added token or entry, or TM_BPE_NONE
tm_view tm_bpe_text(const tm_bpe *bpe, uint32_t id);    // {NULL, 0} for an id that is not used
tm_view tm_bpe_bytes(const tm_bpe *bpe, uint32_t id);   // likewise
bool tm_bpe_special(const tm_bpe *bpe, uint32_t id);

// The byte alphabet: text of some bytes, and back (false, and `bytes` unchanged, outside of the alphabet).
void tm_bpe_spell(tm_view bytes, tm_buf *text);
bool tm_bpe_unspell(tm_view text, tm_buf *bytes);

// --- Encoding

typedef struct tm_bpe_ids {  // starts as {0}; reset with size = 0, free with tm_bpe_ids_clear
    uint32_t *data;
    size_t size, capacity;
} tm_bpe_ids;
void tm_bpe_ids_clear(tm_bpe_ids *ids);

enum {
    TM_BPE_TEMPLATE = 1,  // with the ids that the post-processor puts around a text
    TM_BPE_PLAIN = 2,     // special tokens in the text are text: for documents that nobody vouches for
};

// Scratch memory and a cache of pieces, for one thread; NULL without memory. The tokenizer must outlive it.
// The cache takes about 4 MiB and changes no id.
typedef struct tm_bpe_encoder tm_bpe_encoder;
tm_bpe_encoder *tm_bpe_encoder_new(const tm_bpe *bpe);
void tm_bpe_encoder_free(tm_bpe_encoder *encoder);

// Append the ids of a text to `ids`. O(n log n) for any text. TM_ENOMEM; `ids` is then as before.
tm_status tm_bpe_encode(tm_bpe_encoder *encoder, tm_view text, unsigned flags, tm_bpe_ids *ids,
                        tm_error *err);

// --- Decoding. An id that no token has gives nothing.

// The bytes of the ids, one after the other; special tokens too unless `skip_special`.
void tm_bpe_decode_bytes(const tm_bpe *bpe, const uint32_t *ids, size_t n, bool skip_special, tm_buf *bytes);

// The same as UTF-8: every maximal part of an ill-formed sequence becomes one U+FFFD (Unicode 3.9, as
// WHATWG).
tm_status tm_bpe_decode(const tm_bpe *bpe, const uint32_t *ids, size_t n, bool skip_special, tm_buf *text,
                        tm_error *err);

// Decoding one id at a time: what is put out at any time is valid UTF-8, and put together it is what
// tm_bpe_decode gives for all ids at once. Up to three bytes of an unfinished character are held back.
typedef struct tm_bpe_stream {
    const tm_bpe *bpe;
    bool skip_special;
    uint8_t n_held;
    char held[4];
} tm_bpe_stream;
void tm_bpe_stream_put(tm_bpe_stream *stream, uint32_t id, tm_buf *text);
void tm_bpe_stream_end(tm_bpe_stream *stream, tm_buf *text);  // an unfinished character becomes U+FFFD

// Append `bytes` as UTF-8, ill-formed parts as U+FFFD. With `last` false an unfinished character at the end
// is left; returns how many bytes were used.
size_t tm_bpe_repair(tm_view bytes, bool last, tm_buf *text);
