// SPDX-License-Identifier: Apache-2.0
// Finding added tokens: leftmost, longest, by narrowing a sorted list byte by byte.
#include <stdlib.h>

#include <utf8proc.h>

#include "stages/text/bpe_parts.h"
#include "stages/text/pretokenize_classes.h"

static int by_key(const void *a, const void *b)
{
    tm_view x = ((const struct tm_bpe_needle *)a)->key, y = ((const struct tm_bpe_needle *)b)->key;
    int order = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
    return order ? order : (x.size > y.size) - (x.size < y.size);
}

tm_status tm_bpe_needles_fill(tm_bpe_needles *needles, const tm_bpe *bpe, bool normalized, tm_error *err)
{
    needles->items = tm_calloc(bpe->spec.n_added, sizeof *needles->items);
    if (!needles->items) return tm_fail(err, TM_ENOMEM, "out of memory for added tokens");
    needles->only = -1;
    for (size_t i = 0; i < bpe->spec.n_added; i++) {
        const tm_bpe_added *added = &bpe->spec.added[i];
        if (added->normalized != normalized) continue;
        tm_view key = tm_strings_get(&bpe->keys, i);
        uint8_t first = (uint8_t)key.data[0];
        needles->only = needles->n == 0 || needles->only == first ? first : -1;
        needles->first[first] = true;
        needles->items[needles->n++] = (struct tm_bpe_needle){key, added};
    }
    qsort(needles->items, needles->n, sizeof *needles->items, by_key);
    return TM_OK;
}

// The longest key that `text` begins with, or NULL.
static const struct tm_bpe_needle *match(const tm_bpe_needles *needles, tm_view text)
{
    const struct tm_bpe_needle *found = NULL;
    size_t low = 0, high = needles->n;
    for (size_t depth = 0; low < high; depth++) {
        if (needles->items[low].key.size == depth) found = &needles->items[low++];
        if (depth == text.size) break;
        uint8_t byte = (uint8_t)text.data[depth];
        size_t a = low, b = high;
        while (a < b) {  // the first key with this byte or a higher one here
            size_t mid = (a + b) / 2;
            if ((uint8_t)needles->items[mid].key.data[depth] < byte)
                a = mid + 1;
            else
                b = mid;
        }
        low = a, b = high;
        while (a < b) {  // the first key with a higher one
            size_t mid = (a + b) / 2;
            if ((uint8_t)needles->items[mid].key.data[depth] <= byte)
                a = mid + 1;
            else
                b = mid;
        }
        high = a;
    }
    return found;
}

// The next place from `at` on where a key begins with the right byte; text.size if there is none.
static size_t next_candidate(const tm_bpe_needles *needles, tm_view text, size_t at)
{
    if (needles->only >= 0) {
        const char *hit = at < text.size ? memchr(text.data + at, needles->only, text.size - at) : NULL;
        return hit ? (size_t)(hit - text.data) : text.size;
    }
    while (at < text.size && !needles->first[(uint8_t)text.data[at]]) at++;
    return at;
}

// \w of Rust's regex crate: alphabetic, mark, decimal number, connector punctuation, join control.
static bool is_word(uint32_t code)
{
    if (code == UINT32_MAX) return false;
    if (code == 0x200c || code == 0x200d || (code >= 0x24b6 && code <= 0x24e9)) return true;
    if ((code >= 0x1f130 && code <= 0x1f149) || (code >= 0x1f150 && code <= 0x1f169)) return true;
    if (code >= 0x1f170 && code <= 0x1f189) return true;
    switch (tm_char_class_of(code)) {
    case TM_CHAR_LETTER:
    case TM_CHAR_MARK: return true;
    case TM_CHAR_SPACE: return false;
    default: break;
    }
    utf8proc_category_t category = utf8proc_category((int32_t)code);
    return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
           category == UTF8PROC_CATEGORY_PC;
}

// The character before `at` (> 0); begins at `*begin`. UINT32_MAX if it is no UTF-8.
static uint32_t char_before(tm_view text, size_t at, size_t *begin)
{
    const uint8_t *s = (const uint8_t *)text.data;
    for (size_t n = 1; n <= 4 && n <= at; n++) {
        uint32_t code;
        if (tm_char_decode(s + at - n, s + at, &code) == n && code != UINT32_MAX)
            return *begin = at - n, code;
    }
    return *begin = at - 1, UINT32_MAX;
}

static uint32_t char_at(tm_view text, size_t at, size_t *end)
{
    uint32_t code;
    const uint8_t *s = (const uint8_t *)text.data;
    *end = at + tm_char_decode(s + at, s + text.size, &code);
    return code;
}

static bool is_space(uint32_t code)
{
    return code != UINT32_MAX && tm_char_class_of(code) == TM_CHAR_SPACE;
}

static bool alone(tm_view text, size_t begin, size_t end)
{
    size_t unused;
    return !(begin > 0 && is_word(char_before(text, begin, &unused))) &&
           !(end < text.size && is_word(char_at(text, end, &unused)));
}

static size_t space_begin(tm_view text, size_t at)
{
    size_t begin;
    while (at > 0 && is_space(char_before(text, at, &begin))) at = begin;
    return at;
}

static size_t space_end(tm_view text, size_t at)
{
    size_t end;
    while (at < text.size && is_space(char_at(text, at, &end))) at = end;
    return at;
}

// Searching goes on behind the content, whatever white space the token takes, and also when it is refused.
bool tm_bpe_search_next(tm_bpe_search *search)
{
    tm_view text = search->text;
    while ((search->at = next_candidate(search->needles, text, search->at)) < text.size) {
        size_t begin = search->at;
        const struct tm_bpe_needle *needle =
            match(search->needles, tm_view_of(text.data + begin, text.size - begin));
        if (!needle) {
            search->at++;
            continue;
        }
        size_t end = search->at += needle->key.size;
        const tm_bpe_added *added = needle->added;
        if ((search->plain && added->special) || (added->single_word && !alone(text, begin, end))) continue;
        if (added->lstrip) {
            begin = space_begin(text, begin);
            if (begin < search->done) begin = search->done;
        }
        if (added->rstrip) end = space_end(text, end);
        search->gap = tm_view_of(text.data + search->done, begin > search->done ? begin - search->done : 0);
        search->done = end;
        search->id = added->id;
        return true;
    }
    search->gap = tm_view_of(text.data + (search->done < text.size ? search->done : text.size),
                             search->done < text.size ? text.size - search->done : 0);
    return false;
}
