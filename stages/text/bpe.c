// SPDX-License-Identifier: Apache-2.0
// Building a tokenizer from its parts, and the byte alphabet.
#include "stages/text/bpe.h"

#include <stdlib.h>

#include "stages/text/bpe_nfc.h"
#include "stages/text/bpe_parts.h"
#include "stages/text/pretokenize_classes.h"

// --- The byte alphabet

// Bytes that are no printable Latin-1 are spelled as U+0100 and on, in their order.
static bool is_plain(unsigned byte)
{
    return (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
}

static uint32_t char_of_byte(unsigned byte)
{
    if (is_plain(byte)) return byte;
    if (byte <= 32) return 256 + byte;
    return byte == 173 ? 256 + 67 : 256 + 33 + byte - 127;
}

// The byte that a character stands for, or -1.
static int byte_of_char(uint32_t code)
{
    if (code < 256) return is_plain(code) ? (int)code : -1;
    if (code < 256 + 33) return (int)code - 256;
    if (code < 256 + 67) return (int)code - 256 - 33 + 127;
    return code == 256 + 67 ? 173 : -1;
}

size_t tm_bpe_spell_byte(unsigned byte, char utf8[2])
{
    uint32_t code = char_of_byte(byte);
    utf8[0] = (char)(code < 128 ? code : 0xc0 | code >> 6);
    utf8[1] = (char)(0x80 | (code & 63));
    return code < 128 ? 1 : 2;
}

void tm_bpe_spell(tm_view bytes, tm_buf *text)
{
    for (size_t i = 0; i < bytes.size; i++) {
        char utf8[2];
        tm_buf_add(text, utf8, tm_bpe_spell_byte((uint8_t)bytes.data[i], utf8));
    }
}

bool tm_bpe_unspell(tm_view text, tm_buf *bytes)
{
    size_t before = bytes->size;
    const uint8_t *p = (const uint8_t *)text.data, *end = p + text.size;
    while (p < end) {
        uint32_t code;
        p += tm_char_decode(p, end, &code);
        int byte = byte_of_char(code);
        if (byte < 0) {
            bytes->size = before;
            return false;
        }
        tm_buf_char(bytes, (char)byte);
    }
    return true;
}

// --- Building, in named passes

static tm_status no_memory(tm_error *err)
{
    return tm_fail(err, TM_ENOMEM, "out of memory for a tokenizer");
}

static int shown(tm_view text)
{
    return text.size > 64 ? 64 : (int)text.size;
}

static void *copy(const void *from, size_t n, size_t size)
{
    void *to = tm_calloc(n, size);
    if (to && n) memcpy(to, from, n * size);
    return to;
}

static tm_status copy_spec(tm_bpe *bpe, const tm_bpe_spec *spec, tm_error *err)
{
    tm_bpe_spec *own = &bpe->spec;
    *own = *spec;
    own->vocab = copy(spec->vocab, spec->n_vocab, sizeof *spec->vocab);
    own->merges = copy(spec->merges, spec->n_merges, sizeof *spec->merges);
    own->added = copy(spec->added, spec->n_added, sizeof *spec->added);
    own->prefix = copy(spec->prefix, spec->n_prefix, sizeof *spec->prefix);
    own->suffix = copy(spec->suffix, spec->n_suffix, sizeof *spec->suffix);
    return own->vocab && own->merges && own->added && own->prefix && own->suffix ? TM_OK : no_memory(err);
}

// Every text gets a number in the set of texts; views into it are taken when all are there.
static tm_status number_texts(tm_bpe *bpe, tm_error *err)
{
    for (size_t i = 0; i < bpe->spec.n_vocab; i++) {
        const tm_bpe_entry *entry = &bpe->spec.vocab[i];
        if (entry->id >= TM_BPE_IDS_MAX)
            return tm_fail(err, TM_EFORMAT, "token \"%.*s\" has id %u, above the limit of %u",
                           shown(entry->text), entry->text.data, entry->id, TM_BPE_IDS_MAX - 1);
        uint32_t number = tm_strings_add(&bpe->texts, entry->text);
        if (number == UINT32_MAX) return no_memory(err);
        if (number != i)
            return tm_fail(err, TM_EFORMAT, "token \"%.*s\" is in the vocabulary twice", shown(entry->text),
                           entry->text.data);
        bpe->ids[i] = entry->id;
        if (entry->id >= bpe->size) bpe->size = entry->id + 1;
    }
    return TM_OK;
}

// Added tokens that the vocabulary lacks take the next ids, in their order, as Hugging Face's library counts.
static tm_status number_added(tm_bpe *bpe, tm_error *err)
{
    for (size_t i = 0; i < bpe->spec.n_added; i++) {
        const tm_bpe_added *added = &bpe->spec.added[i];
        tm_view content = added->content;
        if (!content.size) return tm_fail(err, TM_EFORMAT, "added token %zu is empty", i);
        size_t n = bpe->texts.n;
        uint32_t number = tm_strings_add(&bpe->texts, content);
        if (number == UINT32_MAX) return no_memory(err);
        if (number == n) bpe->ids[n] = (uint32_t)n;
        if (added->id != bpe->ids[number] || added->id >= TM_BPE_IDS_MAX)
            return tm_fail(err, TM_EFORMAT, "added token \"%.*s\" has id %u, its place is %u", shown(content),
                           content.data, added->id, bpe->ids[number]);
        if (added->id >= bpe->size) bpe->size = added->id + 1;
    }
    return TM_OK;
}

// The content of each added token once more, normalized if the token asks for it; number i is that of token
// i.
static tm_status number_keys(tm_bpe *bpe, tm_error *err)
{
    tm_buf normal = {0};
    tm_status status = TM_OK;
    for (size_t i = 0; status == TM_OK && i < bpe->spec.n_added; i++) {
        const tm_bpe_added *added = &bpe->spec.added[i];
        tm_buf_reset(&normal);
        if (added->normalized && bpe->spec.nfc)
            status = tm_nfc_add(added->content, &normal, err);
        else
            tm_buf_add(&normal, added->content.data, added->content.size);
        if (status == TM_OK) status = tm_buf_status(&normal, err);
        if (status < 0) break;
        uint32_t number = tm_strings_add(&bpe->keys, tm_buf_view(&normal));
        if (number == UINT32_MAX)
            status = no_memory(err);
        else if (number != i)
            status = tm_fail(err, TM_EFORMAT, "two added tokens are \"%.*s\"", shown(added->content),
                             added->content.data);
    }
    tm_buf_clear(&normal);
    return status;
}

// The rows by id, and the views of the parts into our own copies.
static tm_status place_tokens(tm_bpe *bpe, tm_error *err)
{
    bpe->tokens = tm_calloc(bpe->size, sizeof *bpe->tokens);
    if (!bpe->tokens) return no_memory(err);
    for (size_t i = 0; i < bpe->texts.n; i++) {
        tm_view text = tm_strings_get(&bpe->texts, i);
        tm_bpe_token *token = &bpe->tokens[bpe->ids[i]];
        if (token->text.data)
            return tm_fail(err, TM_EFORMAT, "tokens \"%.*s\" and \"%.*s\" have the same id %u",
                           shown(token->text), token->text.data, shown(text), text.data, bpe->ids[i]);
        token->text = text;
        if (i < bpe->spec.n_vocab) ((tm_bpe_entry *)bpe->spec.vocab)[i].text = text;
    }
    for (size_t i = 0; i < bpe->spec.n_added; i++) {
        tm_bpe_added *added = (tm_bpe_added *)&bpe->spec.added[i];
        added->content = bpe->tokens[added->id].text;
        bpe->tokens[added->id].special |= added->special;
    }
    return TM_OK;
}

// What the tokens decode to, in one buffer by id.
static tm_status spell_texts(tm_bpe *bpe, const tm_view *texts, tm_error *err)
{
    for (size_t id = 0; id < bpe->size; id++) {
        size_t before = bpe->bytes.size;
        bool spelled = texts[id].data && tm_bpe_unspell(texts[id], &bpe->bytes);
        if (!spelled) tm_buf_add(&bpe->bytes, texts[id].data, texts[id].size);
        bpe->tokens[id].spelled = spelled && tm_view_eq(texts[id], bpe->tokens[id].text);
        bpe->tokens[id].bytes.size = bpe->bytes.size - before;
        bpe->begins[id] = (uint32_t)before;
        bpe->begins[id + 1] = (uint32_t)bpe->bytes.size;
    }
    TM_TRY(tm_buf_status(&bpe->bytes, err));
    if (bpe->bytes.size > UINT32_MAX) return tm_fail(err, TM_EFORMAT, "tokens of more than 4 GiB");
    return tm_buf_reserve(&bpe->bytes, 16) ? TM_OK : no_memory(err);
}

static tm_status spell_tokens(tm_bpe *bpe, tm_error *err)
{
    tm_view *texts = tm_calloc(bpe->size, sizeof *texts);  // as they are decoded
    bpe->begins = tm_calloc(bpe->size + 1, sizeof *bpe->begins);
    tm_status status = texts && bpe->begins ? TM_OK : no_memory(err);
    for (size_t id = 0; texts && id < bpe->size; id++) texts[id] = bpe->tokens[id].text;
    for (size_t i = 0; texts && i < bpe->spec.n_added; i++)
        texts[bpe->spec.added[i].id] = tm_strings_get(&bpe->keys, i);
    if (status == TM_OK) status = spell_texts(bpe, texts, err);
    tm_free(texts);
    TM_TRY(status);
    memset(bpe->bytes.data + bpe->bytes.size, 0, 16);
    for (size_t id = 0; id < bpe->size; id++)
        if (bpe->tokens[id].text.data) bpe->tokens[id].bytes.data = bpe->bytes.data + bpe->begins[id];
    return TM_OK;
}

static void find_bytes(tm_bpe *bpe)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char utf8[2];
        uint32_t number = tm_strings_find(&bpe->texts, tm_view_of(utf8, tm_bpe_spell_byte(byte, utf8)));
        bpe->of_byte[byte] = number < bpe->spec.n_vocab ? bpe->ids[number] : TM_BPE_NONE;
    }
}

static bool is_used(const tm_bpe *bpe, uint32_t id)
{
    return id < bpe->size && bpe->tokens[id].text.data;
}

// What the rule of a pair makes: the entry whose text is the two texts, joined.
static tm_status join(const tm_bpe *bpe, size_t rank, tm_buf *text, uint32_t *id, tm_error *err)
{
    tm_bpe_merge merge = bpe->spec.merges[rank];
    if (!is_used(bpe, merge.left) || !is_used(bpe, merge.right))
        return tm_fail(err, TM_EFORMAT, "merge %zu joins ids %u and %u, which are not both in the vocabulary",
                       rank, merge.left, merge.right);
    tm_buf_reset(text);
    tm_buf_add(text, bpe->tokens[merge.left].text.data, bpe->tokens[merge.left].text.size);
    tm_buf_add(text, bpe->tokens[merge.right].text.data, bpe->tokens[merge.right].text.size);
    TM_TRY(tm_buf_status(text, err));
    uint32_t number = tm_strings_find(&bpe->texts, tm_buf_view(text));
    if (number >= bpe->spec.n_vocab)
        return tm_fail(err, TM_EFORMAT, "merge %zu makes \"%.*s\", which is not in the vocabulary", rank,
                       shown(tm_buf_view(text)), text->data);
    *id = bpe->ids[number];
    return TM_OK;
}

// The table of rules. Of a pair that comes twice the later rule counts, as in Hugging Face's library; the
// earlier ones leave the list of merges.
static tm_status place_rules(tm_bpe *bpe, tm_error *err)
{
    tm_bpe_merge *merges = (tm_bpe_merge *)bpe->spec.merges;
    size_t n = bpe->spec.n_merges, kept = n;
    unsigned bits = 4;
    if (n > TM_BPE_RULES_MAX)
        return tm_fail(err, TM_EFORMAT, "%zu merges; the limit is %d", n, TM_BPE_RULES_MAX);
    while (n > (size_t)1 << (bits - 1)) bits++;
    bpe->rule_shift = 64 - bits;
    bpe->rule_mask = ((size_t)1 << bits) - 1;
    bpe->rules = tm_alloc((bpe->rule_mask + 1) * sizeof *bpe->rules);
    if (!bpe->rules) return no_memory(err);
    for (size_t i = 0; i <= bpe->rule_mask; i++) bpe->rules[i] = (tm_bpe_rule){UINT64_MAX, TM_BPE_NONE, 0};
    tm_buf text = {0};
    tm_status status = TM_OK;
    for (size_t rank = n; status == TM_OK && rank-- > 0;) {
        uint32_t id = TM_BPE_NONE;
        tm_bpe_merge merge = merges[rank];
        status = join(bpe, rank, &text, &id, err);
        if (status < 0 || tm_bpe_rule_of(bpe, merge.left, merge.right).rank != TM_BPE_NONE) continue;
        uint64_t pair = (uint64_t)merge.left << 32 | merge.right;
        size_t i = pair * 0x9e3779b97f4a7c15u >> bpe->rule_shift;
        while (bpe->rules[i].rank != TM_BPE_NONE) i = (i + 1) & bpe->rule_mask;
        bpe->rules[i] = (tm_bpe_rule){pair, (uint32_t)rank, id};
        merges[--kept] = merge;
    }
    tm_buf_clear(&text);
    if (kept) memmove(merges, merges + kept, (n - kept) * sizeof *merges);
    bpe->spec.n_merges = n - kept;
    return status;
}

static tm_status comes_out_whole(const tm_bpe *bpe, tm_bpe_heap *heap, tm_buf *ids, uint32_t id, bool *whole,
                                 tm_error *err)
{
    tm_view bytes = bpe->tokens[id].bytes;
    bool known = true;
    tm_buf_reset(ids);
    for (size_t i = 0; i < bytes.size; i++) {
        uint32_t symbol = bpe->of_byte[(uint8_t)bytes.data[i]];
        known &= symbol != TM_BPE_NONE;
        tm_buf_le32(ids, symbol);
    }
    TM_TRY(tm_buf_status(ids, err));
    size_t n = known ? tm_bpe_merge_long(bpe, heap, (uint32_t *)ids->data, bytes.size) : 2;
    *whole = n == 1 && tm_le32(ids->data) == id;
    return n ? TM_OK : no_memory(err);
}

// Which entries come out whole when their bytes are one piece. (Not all must: merges may reach them on no
// way.)
static tm_status mark_whole(tm_bpe *bpe, tm_error *err)
{
    tm_bpe_heap heap = {0};
    tm_buf buf = {0};
    tm_status status = TM_OK;
    for (size_t i = 0; status == TM_OK && i < bpe->spec.n_vocab; i++) {
        tm_bpe_token *token = &bpe->tokens[bpe->spec.vocab[i].id];
        if (!token->spelled || !token->bytes.size) continue;
        token->whole = bpe->spec.ignore_merges;
        if (!token->whole)
            status = comes_out_whole(bpe, &heap, &buf, bpe->spec.vocab[i].id, &token->whole, err);
        if (token->whole && token->bytes.size > bpe->longest) bpe->longest = token->bytes.size;
    }
    tm_bpe_heap_clear(&heap);
    tm_buf_clear(&buf);
    return status;
}

static tm_status check_template(const tm_bpe *bpe, tm_error *err)
{
    const tm_bpe_spec *spec = &bpe->spec;
    for (size_t i = 0; i < spec->n_prefix + spec->n_suffix; i++) {
        uint32_t id = i < spec->n_prefix ? spec->prefix[i] : spec->suffix[i - spec->n_prefix];
        if (!is_used(bpe, id))
            return tm_fail(err, TM_EFORMAT, "the template adds id %u, which no token has", id);
    }
    if (spec->unk != TM_BPE_NONE && !is_used(bpe, spec->unk))
        return tm_fail(err, TM_EFORMAT, "the unknown token has id %u, which no token has", spec->unk);
    return TM_OK;
}

static tm_status build(tm_bpe *bpe, const tm_bpe_spec *spec, tm_error *err)
{
    TM_TRY(copy_spec(bpe, spec, err));
    bpe->ids = tm_calloc(spec->n_vocab + spec->n_added, sizeof *bpe->ids);
    if (!bpe->ids) return no_memory(err);
    TM_TRY(number_texts(bpe, err));
    TM_TRY(number_added(bpe, err));
    TM_TRY(number_keys(bpe, err));
    TM_TRY(place_tokens(bpe, err));
    TM_TRY(spell_tokens(bpe, err));
    find_bytes(bpe);
    TM_TRY(place_rules(bpe, err));
    TM_TRY(mark_whole(bpe, err));
    TM_TRY(check_template(bpe, err));
    TM_TRY(tm_bpe_needles_fill(&bpe->raw, bpe, false, err));
    return tm_bpe_needles_fill(&bpe->normal, bpe, true, err);
}

tm_status tm_bpe_new(const tm_bpe_spec *spec, tm_bpe **bpe, tm_error *err)
{
    tm_bpe *own = tm_calloc(1, sizeof *own);
    if (!own) return no_memory(err);
    tm_status status = build(own, spec, err);
    if (status < 0) {
        tm_bpe_free(own);
        return status;
    }
    *bpe = own;
    return TM_OK;
}

void tm_bpe_free(tm_bpe *bpe)
{
    if (!bpe) return;
    tm_free((void *)bpe->spec.vocab);
    tm_free((void *)bpe->spec.merges);
    tm_free((void *)bpe->spec.added);
    tm_free((void *)bpe->spec.prefix);
    tm_free((void *)bpe->spec.suffix);
    tm_strings_clear(&bpe->texts);
    tm_strings_clear(&bpe->keys);
    tm_buf_clear(&bpe->bytes);
    tm_free(bpe->ids);
    tm_free(bpe->begins);
    tm_free(bpe->tokens);
    tm_free(bpe->rules);
    tm_free(bpe->raw.items);
    tm_free(bpe->normal.items);
    tm_free(bpe);
}

// --- Looking in

const tm_bpe_spec *tm_bpe_parts(const tm_bpe *bpe)
{
    return &bpe->spec;
}

size_t tm_bpe_size(const tm_bpe *bpe)
{
    return bpe->size;
}

uint32_t tm_bpe_find(const tm_bpe *bpe, tm_view text)
{
    uint32_t number = tm_strings_find(&bpe->texts, text);
    return number == UINT32_MAX ? TM_BPE_NONE : bpe->ids[number];
}

tm_view tm_bpe_text(const tm_bpe *bpe, uint32_t id)
{
    return id < bpe->size ? bpe->tokens[id].text : (tm_view){0};
}

tm_view tm_bpe_bytes(const tm_bpe *bpe, uint32_t id)
{
    return id < bpe->size ? bpe->tokens[id].bytes : (tm_view){0};
}

bool tm_bpe_special(const tm_bpe *bpe, uint32_t id)
{
    return id < bpe->size && bpe->tokens[id].special;
}
