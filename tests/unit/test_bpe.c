// SPDX-License-Identifier: Apache-2.0
#include "stages/text/bpe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/random.h"
#include "stages/text/bpe_nfc.h"

// A tokenizer of all bytes (id = place in the byte alphabet's order of bytes), then the texts of merges.
typedef struct maker {
    tm_buf texts;
    tm_bpe_entry vocab[512];
    tm_bpe_merge merges[256];
    tm_bpe_spec spec;
} maker;

static void add_entry(maker *m, const char *text, size_t size)
{
    m->vocab[m->spec.n_vocab] = (tm_bpe_entry){tm_view_of(text, size), (uint32_t)m->spec.n_vocab};
    m->spec.n_vocab++;
}

static void start(maker *m, tm_pretokenizer kind)
{
    *m = (maker){.spec = {.pretokenizer = kind, .unk = TM_BPE_NONE}};
    tm_buf_reserve(&m->texts, 4096);
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        size_t before = m->texts.size;
        tm_bpe_spell((tm_view){&c, 1}, &m->texts);
        add_entry(m, m->texts.data + before, m->texts.size - before);
    }
    m->spec.vocab = m->vocab;
    m->spec.merges = m->merges;
}

// The entry that joins two others becomes the next id.
static uint32_t join(maker *m, uint32_t left, uint32_t right)
{
    size_t before = m->texts.size;
    tm_buf_add(&m->texts, m->vocab[left].text.data, m->vocab[left].text.size);
    tm_buf_add(&m->texts, m->vocab[right].text.data, m->vocab[right].text.size);
    m->merges[m->spec.n_merges++] = (tm_bpe_merge){left, right};
    add_entry(m, m->texts.data + before, m->texts.size - before);
    return (uint32_t)m->spec.n_vocab - 1;
}

static tm_bpe *finish(maker *m)
{
    tm_bpe *bpe = NULL;
    tm_error err = {0};
    if (tm_bpe_new(&m->spec, &bpe, &err) < 0) fail_msg("%s", err.text);
    tm_buf_clear(&m->texts);
    return bpe;
}

static tm_bpe_ids encode_by(tm_bpe_encoder *encoder, tm_view text)
{
    tm_bpe_ids ids = {0};
    assert_int_equal(tm_bpe_encode(encoder, text, 0, &ids, NULL), TM_OK);
    return ids;
}

static tm_bpe_ids encode(const tm_bpe *bpe, tm_view text, unsigned flags)
{
    tm_bpe_ids ids = {0};
    tm_bpe_encoder *encoder = tm_bpe_encoder_new(bpe);
    assert_non_null(encoder);
    assert_int_equal(tm_bpe_encode(encoder, text, flags, &ids, NULL), TM_OK);
    tm_bpe_encoder_free(encoder);
    return ids;
}

static void assert_ids(const tm_bpe *bpe, const char *text, unsigned flags, const uint32_t *want, size_t n)
{
    tm_bpe_ids ids = encode(bpe, tm_view_str(text), flags);
    assert_int_equal(ids.size, n);
    for (size_t i = 0; i < n; i++) assert_int_equal(ids.data[i], want[i]);
    tm_bpe_ids_clear(&ids);
}

#define IDS(bpe, text, flags, ...)                                                                           \
    assert_ids(bpe, text, flags, (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / 4)

static void every_byte_is_spelled_as_one_character_and_back(void **state)
{
    tm_buf text = {0}, bytes = {0};
    char all[256];
    for (int i = 0; i < 256; i++) all[i] = (char)i;
    tm_bpe_spell(tm_view_of(all, 256), &text);
    assert_int_equal(text.size, 94 + 2 * 162);
    assert_true(tm_bpe_unspell(tm_buf_view(&text), &bytes));
    assert_memory_equal(bytes.data, all, 256);
    tm_buf_reset(&text);
    tm_bpe_spell(tm_view_str("a b\n\u00ad"), &text);
    assert_string_equal(text.data, "a\u0120b\u010a\u00c2\u0143");
    assert_false(tm_bpe_unspell(tm_view_str("a b"), &bytes));
    assert_int_equal(bytes.size, 256);
    tm_buf_clear(&text);
    tm_buf_clear(&bytes);
}

static void the_lowest_rank_merges_first_and_the_leftmost_of_equals(void **state)
{
    maker m;
    start(&m, TM_PRETOKENIZE_GPT2);
    uint32_t bc = join(&m, 'b', 'c'), ab = join(&m, 'a', 'b'), aa = join(&m, 'a', 'a'),
             aaaa = join(&m, aa, aa);
    tm_bpe *bpe = finish(&m);
    IDS(bpe, "abc", 0, 'a', bc);
    IDS(bpe, "abab", 0, ab, ab);
    IDS(bpe, "aaa", 0, aa, 'a');
    IDS(bpe, "aaaaaaa", 0, aaaa, aa, 'a');
    assert_int_equal(tm_bpe_find(bpe, tm_view_str("bc")), bc);
    assert_int_equal(tm_bpe_find(bpe, tm_view_str("cb")), TM_BPE_NONE);
    tm_bpe_free(bpe);
}

static void ignore_merges_takes_a_whole_piece_that_merging_does_not_reach(void **state)
{
    for (int ignore = 0; ignore < 2; ignore++) {
        maker m;
        start(&m, TM_PRETOKENIZE_GPT2);
        uint32_t bc = join(&m, 'b', 'c'), ab = join(&m, 'a', 'b'), abc = join(&m, ab, 'c');
        m.spec.ignore_merges = ignore;
        tm_bpe *bpe = finish(&m);
        if (ignore)
            IDS(bpe, "abc", 0, abc);
        else
            IDS(bpe, "abc", 0, 'a', bc);
        IDS(bpe, "ab", 0, ab);
        tm_bpe_free(bpe);
    }
}

// Merging as the definition says it, in O(n^2).
static size_t merge_slowly(const tm_bpe_spec *spec, uint32_t *ids, size_t n)
{
    for (size_t rank = 0; rank < spec->n_merges; rank++) {
        for (size_t i = 0; i + 1 < n; i++) {
            if (ids[i] != spec->merges[rank].left || ids[i + 1] != spec->merges[rank].right) continue;
            ids[i] = 256 + (uint32_t)rank;
            memmove(ids + i + 1, ids + i + 2, (n - i - 2) * sizeof *ids);
            n--;
            rank = (size_t)-1;  // from the lowest rank again
            break;
        }
    }
    return n;
}

static void long_pieces_merge_as_short_ones_do(void **state)
{
    maker m;
    start(&m, TM_PRETOKENIZE_WHOLE);
    uint32_t ids[4] = {'a', 'b', 'c', 'a'};
    for (uint64_t i = 0; i < 24; i++) {
        uint32_t left = ids[tm_random_below(1, 0, i, 4)], right = ids[tm_random_below(1, 1, i, 4)];
        bool known = false;
        for (size_t k = 0; k < m.spec.n_merges; k++)
            known |= m.merges[k].left == left && m.merges[k].right == right;
        if (!known) ids[i % 4] = join(&m, left, right);
    }
    tm_bpe *bpe = finish(&m);
    tm_bpe_encoder *encoder = tm_bpe_encoder_new(bpe);
    for (uint64_t seed = 0; seed < 300; seed++) {
        char text[700];
        uint32_t want[700];
        size_t n = 1 + tm_random_below(seed, 0, 0, 699);
        for (size_t i = 0; i < n; i++) want[i] = (uint8_t)(text[i] = "abc"[tm_random_below(seed, 1, i, 3)]);
        size_t n_want = merge_slowly(tm_bpe_parts(bpe), want, n);
        tm_bpe_ids got = encode_by(encoder, tm_view_of(text, n));
        assert_int_equal(got.size, n_want);
        assert_memory_equal(got.data, want, n_want * 4);
        tm_bpe_ids_clear(&got);
    }
    tm_bpe_encoder_free(encoder);
    tm_bpe_free(bpe);
}

static void a_piece_of_megabytes_takes_no_quadratic_time(void **state)
{
    maker m;
    start(&m, TM_PRETOKENIZE_WHOLE);
    uint32_t a = 'a';
    for (int i = 0; i < 10; i++) a = join(&m, a, a);
    tm_bpe *bpe = finish(&m);
    size_t size = (1 << 20) + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'a', size);
    tm_bpe_ids ids = encode(bpe, tm_view_of(text, size), 0);
    assert_int_equal(ids.size, 1024 + 1);
    assert_int_equal(ids.data[0], a);
    assert_int_equal(ids.data[1024], 'a');
    tm_bpe_ids_clear(&ids);
    free(text);
    tm_bpe_free(bpe);
}

static void any_bytes_come_back_as_they_were(void **state)
{
    for (unsigned kind = 0; kind < TM_PRETOKENIZERS; kind++) {
        maker m;
        start(&m, (tm_pretokenizer)kind);
        join(&m, join(&m, 0xe6, 0xbd), 0xae);
        join(&m, ' ', 't');
        tm_bpe *bpe = finish(&m);
        tm_bpe_encoder *encoder = tm_bpe_encoder_new(bpe);
        for (uint64_t seed = 0; seed < 100; seed++) {
            char bytes[300];
            size_t n = tm_random_below(seed, 0, 0, 300);
            for (size_t i = 0; i < n; i++)
                bytes[i] = (char)"\xe6\xbd\xae t\xff\n'a\x80"[tm_random_below(seed, 1, i, 10)];
            tm_bpe_ids ids = encode_by(encoder, tm_view_of(bytes, n));
            tm_buf back = {0};
            tm_bpe_decode_bytes(bpe, ids.data, ids.size, false, &back);
            assert_true(tm_view_eq(tm_buf_view(&back), tm_view_of(bytes, n)));
            tm_buf_clear(&back);
            tm_bpe_ids_clear(&ids);
        }
        tm_bpe_encoder_free(encoder);
        tm_bpe_free(bpe);
    }
}

static void ill_formed_bytes_become_one_replacement_a_maximal_part(void **state)
{
    static const char *rows[][2] = {
        {"a\xff"
         "b",
         "a\ufffdb"},
        {"\xe6\xbd", "\ufffd"},
        {"\xe6\xbd"
         "a",
         "\ufffda"},
        {"\xe0\x80\x80", "\ufffd\ufffd\ufffd"},
        {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
        {"\xf0\x9f\x8c", "\ufffd"},
        {"\xf0\x9f\x8c\x8a", "\U0001f30a"},
        {"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},
        {"\xc3\xc3\xa9", "\ufffd\u00e9"},
        {"\xc0\xaf", "\ufffd\ufffd"},
        {"\xf0\x9f\xf0\x9f\x8c\x8a", "\ufffd\U0001f30a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tm_buf text = {0};
        assert_int_equal(tm_bpe_repair(tm_view_str(rows[i][0]), true, &text), strlen(rows[i][0]));
        assert_string_equal(text.data, rows[i][1]);
        tm_buf_clear(&text);
    }
}

static void a_stream_gives_whole_characters_and_in_the_end_the_same(void **state)
{
    maker m;
    start(&m, TM_PRETOKENIZE_GPT2);
    join(&m, 0x9f, 0x8c);
    tm_bpe *bpe = finish(&m);
    for (uint64_t seed = 0; seed < 2000; seed++) {
        static const uint32_t pool[] = {0xf0, 256,  0x8a, 0x9f, 0x8c, 'a', 0xc3,
                                        0xa9, 0xff, 0xe6, 0xbd, 0xae, 9999};
        uint32_t ids[24];
        tm_buf streamed = {0}, whole = {0};
        tm_bpe_stream stream = {.bpe = bpe};
        for (size_t i = 0; i < 24; i++) {
            ids[i] = pool[tm_random_below(seed, 0, i, sizeof pool / sizeof *pool)];
            size_t before = streamed.size;
            tm_bpe_stream_put(&stream, ids[i], &streamed);
            tm_buf again = {0};
            tm_view part = tm_view_of(streamed.data + before, streamed.size - before);
            tm_bpe_repair(part, true, &again);
            assert_true(tm_view_eq(tm_buf_view(&again), part));
            tm_buf_clear(&again);
        }
        tm_bpe_stream_end(&stream, &streamed);
        assert_int_equal(tm_bpe_decode(bpe, ids, 24, false, &whole, NULL), TM_OK);
        assert_true(tm_view_eq(tm_buf_view(&streamed), tm_buf_view(&whole)));
        tm_buf_clear(&streamed);
        tm_buf_clear(&whole);
    }
    tm_bpe_free(bpe);
}

static void special_tokens_in_a_text_can_be_text(void **state)
{
    maker m;
    start(&m, TM_PRETOKENIZE_GPT2);
    const tm_bpe_added added[] = {
        {.content = tm_view_str("<s>"), .id = 256, .special = true},
        {.content = tm_view_str("<s><s>"), .id = 257, .special = true},
        {.content = tm_view_str("tide"), .id = 258, .normalized = true, .single_word = true, .lstrip = true},
    };
    m.spec.added = added;
    m.spec.n_added = 3;
    m.spec.prefix = m.spec.suffix = (const uint32_t[]){256, 257};
    m.spec.n_prefix = 1;
    m.spec.n_suffix = 2;
    tm_bpe *bpe = finish(&m);
    IDS(bpe, "a<s><s><s>b", 0, 'a', 257, 256, 'b');
    IDS(bpe, "<s>", TM_BPE_PLAIN, '<', 's', '>');
    IDS(bpe, "a", TM_BPE_TEMPLATE, 256, 'a', 256, 257);
    IDS(bpe, "a \t tide", TM_BPE_PLAIN, 'a', 258);
    IDS(bpe, "tides", 0, 't', 'i', 'd', 'e', 's');
    tm_buf text = {0};
    const uint32_t ids[] = {256, 'a', 258, 257};
    assert_int_equal(tm_bpe_decode(bpe, ids, 4, true, &text, NULL), TM_OK);
    assert_string_equal(text.data, "atide");
    assert_int_equal(tm_bpe_size(bpe), 259);
    assert_true(tm_bpe_special(bpe, 257) && !tm_bpe_special(bpe, 258));
    tm_buf_clear(&text);
    tm_bpe_free(bpe);
}

static void parts_that_contradict_each_other_are_refused(void **state)
{
    maker m;
    tm_bpe *bpe;
    tm_error err = {0};
    start(&m, TM_PRETOKENIZE_GPT2);
    m.merges[0] = (tm_bpe_merge){'a', 'b'};
    m.spec.n_merges = 1;
    assert_int_equal(tm_bpe_new(&m.spec, &bpe, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "merge 0 makes \"ab\""));
    m.merges[0].right = 300;
    assert_int_equal(tm_bpe_new(&m.spec, &bpe, &err), TM_EFORMAT);
    m.spec.n_merges = 0;
    m.vocab[7].id = 8;
    assert_int_equal(tm_bpe_new(&m.spec, &bpe, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "same id 8"));
    m.vocab[7] = m.vocab[6];
    assert_int_equal(tm_bpe_new(&m.spec, &bpe, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "twice"));
    tm_buf_clear(&m.texts);
}

static void normal_form_orders_marks_and_joins_them(void **state)
{
    static const char *rows[][2] = {
        {"plain \u00e9 \u6f6e", "plain \u00e9 \u6f6e"},
        {"e\u0301", "\u00e9"},
        {"s\u0307\u0323x", "\u1e69x"},
        {"\u212b", "\u00c5"},
        {"\u1112\u1161\u11ab", "\ud55c"},
        {"\u304b\u3099", "\u304c"},
        {"a\xff\u0301"
         "e\u0301",
         "a\xff\u0301\u00e9"},
        {"\u0344", "\u0308\u0301"},
        {"a\u0301\u0898\u0323", "\u00e1\u0898\u0323"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tm_buf text = {0};
        assert_int_equal(tm_nfc_add(tm_view_str(rows[i][0]), &text, NULL), TM_OK);
        assert_string_equal(text.data, rows[i][1]);
        tm_buf_clear(&text);
    }
    assert_true(tm_nfc_is_normal(tm_view_str("\u00e9\u6f6e\ud55c")));
    assert_false(tm_nfc_is_normal(tm_view_str("e\u0301")));
}

static void a_hundred_thousand_marks_normalize_at_once(void **state)
{
    tm_buf text = {0}, normal = {0};
    tm_buf_str(&text, "e");
    for (int i = 0; i < 100000; i++) tm_buf_str(&text, i % 2 ? "\u0323" : "\u0302");
    assert_int_equal(tm_nfc_add(tm_buf_view(&text), &normal, NULL), TM_OK);
    assert_int_equal(normal.size, 3 + 2 * 99998);  // U+1EC7 and what is left
    tm_buf_clear(&text);
    tm_buf_clear(&normal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_spelled_as_one_character_and_back),
        cmocka_unit_test(the_lowest_rank_merges_first_and_the_leftmost_of_equals),
        cmocka_unit_test(ignore_merges_takes_a_whole_piece_that_merging_does_not_reach),
        cmocka_unit_test(long_pieces_merge_as_short_ones_do),
        cmocka_unit_test(a_piece_of_megabytes_takes_no_quadratic_time),
        cmocka_unit_test(any_bytes_come_back_as_they_were),
        cmocka_unit_test(ill_formed_bytes_become_one_replacement_a_maximal_part),
        cmocka_unit_test(a_stream_gives_whole_characters_and_in_the_end_the_same),
        cmocka_unit_test(special_tokens_in_a_text_can_be_text),
        cmocka_unit_test(parts_that_contradict_each_other_are_refused),
        cmocka_unit_test(normal_form_orders_marks_and_joins_them),
        cmocka_unit_test(a_hundred_thousand_marks_normalize_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
