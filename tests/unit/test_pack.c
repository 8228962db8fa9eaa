// SPDX-License-Identifier: Apache-2.0
#include "stages/train/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BOS = 1000000, EOS = 1000001 };

// Document i has tokens i*1000, i*1000+1, ...; `have` of them are there, `ended` tells whether more will
// come.
typedef struct corpus {
    uint64_t have;
    bool ended;
    size_t (*size)(uint64_t i);
    uint32_t ids[1000];
    uint8_t mask[1000];
    bool masked;  // the first half of a document is no label
} corpus;

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    corpus *c = ctx;
    *have = c->have;
    return c->have >= want || c->ended ? TM_OK : TM_AGAIN;
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    corpus *c = ctx;
    size_t n = c->size(i);
    for (size_t k = 0; k < n; k++) c->ids[k] = (uint32_t)(i * 1000 + k), c->mask[k] = k >= n / 2;
    *document = (tm_document){c->ids, c->masked ? c->mask : NULL, n};
    return TM_OK;
}

static size_t varied(uint64_t i)
{
    return (i * 37 + 11) % 90;  // none, one, many tokens
}

static size_t five(uint64_t i)
{
    return 5;
}

static tm_pack *pack_of(corpus *c, tm_pack_options o)
{
    tm_pack *pack = NULL;
    tm_documents documents = {c, reach, get};
    assert_int_equal(tm_pack_new(&pack, &o, &documents, NULL), TM_OK);
    return pack;
}

static tm_pack_options options(void)
{
    return (tm_pack_options){.tokens = 64, .length = 32, .bos = BOS, .eos = EOS, .window = 8, .seed = 5,
                             .epochs = 1};
}

static void check_segments(const tm_tokens *b, uint32_t length)
{
    assert_int_equal(b->cu_seqlens[0], 0);
    assert_int_equal(b->cu_seqlens[b->n_segments], b->n_tokens);
    for (int32_t s = 0; s < b->n_segments; s++) {
        int32_t first = b->cu_seqlens[s], last = b->cu_seqlens[s + 1];
        assert_true(last > first && last - first <= (int32_t)length);
        for (int32_t i = first; i < last; i++) {
            assert_int_equal(b->positions[i], i - first);
            if (i + 1 < last) assert_int_equal(b->labels[i], b->ids[i + 1]);
        }
    }
}

static void every_token_is_a_label_once_and_no_label_crosses_a_document(void **state)
{
    corpus c = {.have = 50, .ended = true, .size = varied};
    tm_pack *pack = pack_of(&c, options());
    int *seen = calloc(50 * 1000, sizeof *seen), ends = 0, starts = 0;
    tm_tokens b;
    while (tm_pack_next(pack, &b, NULL) == TM_OK) {
        check_segments(&b, 32);
        for (int32_t i = 0; i < b.n_tokens; i++) {
            int32_t x = b.ids[i], y = b.labels[i];
            starts += x == BOS;
            if (y == EOS) ends++;
            else seen[y]++;
            if (x == BOS) assert_int_equal(y % 1000, 0);
            else if (y != EOS) assert_int_equal(y, x + 1);
            else assert_int_equal(x % 1000 + 1, varied((uint64_t)x / 1000));
        }
    }
    int full = 0;
    for (uint64_t d = 0; d < 50; d++) {
        full += varied(d) > 0;
        for (size_t k = 0; k < 1000; k++) assert_int_equal(seen[d * 1000 + k], k < varied(d));
    }
    assert_int_equal(ends, full);
    assert_int_equal(starts, full);
    free(seen);
    tm_pack_free(pack);
}

// All ids and labels of up to `most` batches; `cursors` gets the place after each.
static tm_buf run(corpus *c, tm_pack_options o, int most, tm_pack_cursor from, tm_pack_cursor *cursors)
{
    tm_buf all = {0};
    tm_pack *pack = pack_of(c, o);
    tm_tokens b;
    tm_pack_seek(pack, from);
    for (int i = 0; i < most && tm_pack_next(pack, &b, NULL) == TM_OK; i++) {
        tm_buf_add(&all, b.ids, (size_t)b.n_tokens * 4);
        tm_buf_add(&all, b.labels, (size_t)b.n_tokens * 4);
        tm_buf_add(&all, b.cu_seqlens, (size_t)b.n_segments * 4 + 4);
        if (cursors) cursors[i] = tm_pack_tell(pack);
    }
    tm_pack_free(pack);
    return all;
}

static void seeking_to_any_cursor_gives_the_same_batches(void **state)
{
    corpus c = {.have = 30, .ended = true, .size = varied};
    tm_pack_options o = options();
    o.epochs = 2;
    tm_pack_cursor cursors[64] = {0};
    tm_buf all = run(&c, o, 64, (tm_pack_cursor){0}, cursors), first = {0};
    for (int cut = 1; cut < 30; cut += 3) {
        char text[TM_PACK_CURSOR_TEXT];
        tm_pack_cursor back;
        first = run(&c, o, cut, (tm_pack_cursor){0}, NULL);
        tm_pack_cursor_text(cursors[cut - 1], text);
        assert_true(tm_pack_cursor_parse(text, &back));
        tm_buf rest = run(&c, o, 64, back, NULL);
        assert_int_equal(first.size + rest.size, all.size);
        assert_memory_equal(all.data + first.size, rest.data, rest.size);
        tm_buf_clear(&first);
        tm_buf_clear(&rest);
    }
    tm_pack_cursor bad;
    assert_false(tm_pack_cursor_parse("1 2 3 4 5", &bad));
    assert_false(tm_pack_cursor_parse("1 2 3 4 5 6 7", &bad));
    tm_buf_clear(&all);
}

static void appended_documents_keep_the_batches_below_the_horizon(void **state)
{
    corpus shorter = {.have = 30, .ended = true, .size = varied};
    corpus longer = {.have = 45, .ended = true, .size = varied};
    tm_pack_cursor cursors[64] = {0};
    tm_buf a = run(&shorter, options(), 64, (tm_pack_cursor){0}, cursors);
    int same = 0;
    while (cursors[same].horizon <= 30) same++;
    assert_true(same > 5);
    tm_buf_clear(&a);
    a = run(&shorter, options(), same, (tm_pack_cursor){0}, NULL);
    tm_buf b = run(&longer, options(), same, (tm_pack_cursor){0}, NULL);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    tm_buf_clear(&a);
    tm_buf_clear(&b);
}

static void a_stream_that_grows_gives_what_the_whole_gives(void **state)
{
    corpus whole = {.have = 40, .ended = true, .size = varied}, grows = {.size = varied};
    tm_buf all = run(&whole, options(), 99, (tm_pack_cursor){0}, NULL), seen = {0};
    tm_pack *pack = pack_of(&grows, options());
    int again = 0;
    for (;;) {
        tm_tokens b;
        tm_status status = tm_pack_next(pack, &b, NULL);
        if (status == TM_DONE) break;
        if (status == TM_AGAIN) {
            again++;
            if (grows.have == 40) grows.ended = true;
            else grows.have++;
            continue;
        }
        tm_buf_add(&seen, b.ids, (size_t)b.n_tokens * 4);
        tm_buf_add(&seen, b.labels, (size_t)b.n_tokens * 4);
        tm_buf_add(&seen, b.cu_seqlens, (size_t)b.n_segments * 4 + 4);
    }
    assert_int_equal(again, 41);
    assert_int_equal(seen.size, all.size);
    assert_memory_equal(seen.data, all.data, all.size);
    tm_buf_clear(&all);
    tm_buf_clear(&seen);
    tm_pack_free(pack);
}

static void windows_and_epochs_are_shuffled_and_nothing_leaves_its_window(void **state)
{
    corpus c = {.have = 24, .ended = true, .size = five};
    tm_pack_options o = options();
    o.tokens = o.length = 6;
    o.epochs = 2;
    tm_pack *pack = pack_of(&c, o);
    int order[48], moved = 0, differ = 0;
    for (int i = 0; i < 48; i++) {
        tm_tokens b;
        assert_int_equal(tm_pack_next(pack, &b, NULL), TM_OK);
        order[i] = b.ids[1] / 1000;
        assert_int_equal(order[i] / 8, i % 24 / 8);
        moved += order[i] != i % 24;
        if (i >= 24) differ += order[i] != order[i - 24];
    }
    assert_true(moved > 24);
    assert_true(differ > 12);
    tm_pack_free(pack);
    o.window = 0;
    pack = pack_of(&c, o);
    for (int i = 0; i < 24; i++) {
        tm_tokens b;
        assert_int_equal(tm_pack_next(pack, &b, NULL), TM_OK);
        assert_int_equal(b.ids[1] / 1000, i);
        assert_int_equal(tm_pack_tell(pack).horizon, i + 1);
    }
    tm_pack_free(pack);
}

static size_t eighty(uint64_t i)
{
    return 80;
}

static void pieces_of_one_document_are_spread_over_its_window(void **state)
{
    corpus c = {.have = 16, .ended = true, .size = eighty};
    tm_pack_options o = options();
    o.length = 9;
    o.tokens = 36;
    tm_pack *pack = pack_of(&c, o);
    tm_tokens b;
    int neighbours = 0, n = 0, last = -1;
    while (tm_pack_next(pack, &b, NULL) == TM_OK) {
        for (int32_t s = 0; s < b.n_segments; s++, n++) {
            int document = b.ids[b.cu_seqlens[s] + 1] / 1000;
            neighbours += document == last;
            last = document;
        }
    }
    assert_int_equal(n, 16 * 9);
    assert_true(neighbours > 0 && neighbours < 40);
    tm_pack_free(pack);
}

static size_t forty(uint64_t i)
{
    return i == 1 ? 40 : 10;
}

static int count_ids(corpus *c, tm_pack_options o, uint64_t *dropped)
{
    tm_pack *pack = pack_of(c, o);
    tm_tokens b;
    int n = 0;
    while (tm_pack_next(pack, &b, NULL) == TM_OK) n += b.n_tokens;
    *dropped = tm_pack_tell(pack).dropped;
    tm_pack_free(pack);
    return n;
}

static void overlong_documents_are_cut_truncated_or_dropped(void **state)
{
    corpus c = {.have = 4, .ended = true, .size = forty};
    tm_pack_options o = options();
    uint64_t dropped;
    assert_int_equal(count_ids(&c, o, &dropped), 33 + 41);
    assert_int_equal(dropped, 0);
    o.overlong = TM_OVERLONG_TRUNCATE;
    assert_int_equal(count_ids(&c, o, &dropped), 33 + 32);
    assert_int_equal(dropped, 1);
    o.overlong = TM_OVERLONG_DROP;
    o.whole = true;
    assert_int_equal(count_ids(&c, o, &dropped), 33);
    assert_int_equal(dropped, 1);
}

static void whole_documents_wait_for_the_next_batch(void **state)
{
    corpus c = {.have = 9, .ended = true, .size = five, .masked = true};
    tm_pack_options o = options();
    o.whole = true;
    o.tokens = 16;
    o.length = 16;
    o.bos = o.eos = -1;
    tm_pack *pack = pack_of(&c, o);
    tm_tokens b;
    assert_int_equal(tm_pack_next(pack, &b, NULL), TM_OK);
    assert_int_equal(b.n_tokens, 16);
    assert_int_equal(b.n_segments, 4);
    o.tokens = o.length = 15;
    tm_pack_free(pack);
    pack = pack_of(&c, o);
    assert_int_equal(tm_pack_next(pack, &b, NULL), TM_OK);
    assert_int_equal(b.n_tokens, 12);
    assert_int_equal(b.labels[0], -1);
    assert_int_equal(b.labels[1], b.ids[2]);
    tm_pack_free(pack);
}

// Pair i: a prompt of 3 tokens and the rest of document i as the chosen answer; the rejected one is longer by
// i.
static tm_status get_pair(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    corpus *c = ctx;
    static tm_document rejected;
    static uint32_t other[200];
    static uint8_t masks[200];
    size_t n = c->size(i);
    for (size_t k = 0; k < 200; k++) {
        c->ids[k] = (uint32_t)(i * 1000 + k);
        other[k] = (uint32_t)(i * 1000 + 500 + k);
        masks[k] = k >= 3;
    }
    rejected = (tm_document){.ids = other, .mask = masks, .n = n + i, .score = -(double)i - 0.5};
    *document = (tm_document){.ids = c->ids, .mask = masks, .n = n, .score = (double)i, .partner = &rejected};
    return TM_OK;
}

static void pairs_lie_side_by_side_in_one_batch_with_their_scores(void **state)
{
    corpus c = {.have = 12, .ended = true, .size = five};
    tm_pack_options o = options();
    o.tokens = 40;
    o.length = 20;
    o.bos = o.eos = -1;
    o.whole = true;
    tm_pack *pack = NULL;
    tm_documents documents = {&c, reach, get_pair};
    assert_int_equal(tm_pack_new(&pack, &o, &documents, NULL), TM_OK);
    int seen = 0;
    tm_tokens b;
    while (tm_pack_next(pack, &b, NULL) == TM_OK) {
        assert_int_equal(b.n_segments % 2, 0);
        for (int32_t s = 0; s < b.n_segments; s += 2, seen++) {
            int32_t at = b.cu_seqlens[s], i = b.ids[at] / 1000, other = b.cu_seqlens[s + 1];
            assert_int_equal(b.ids[other], i * 1000 + 500);
            assert_int_equal(other - at, 4);
            assert_int_equal(b.cu_seqlens[s + 2] - other, 4 + i);
            assert_true(b.scores[s] == i && b.scores[s + 1] == -i - 0.5);
            assert_int_equal(b.positions[other], 0);
            assert_int_equal(b.labels[at + 1], -1);
            assert_int_equal(b.labels[at + 2], b.ids[at] + 3);
        }
    }
    assert_int_equal(seen, 12);
    tm_pack_free(pack);
}

static void a_pair_that_is_too_long_is_left_out_whole(void **state)
{
    corpus c = {.have = 12, .ended = true, .size = five};
    tm_pack_options o = options();
    o.tokens = 22;
    o.length = 11;  // the rejected answers of pairs 8 to 11 have 12 and more inputs
    o.bos = o.eos = -1;
    o.whole = true;
    tm_pack *pack = NULL;
    tm_documents documents = {&c, reach, get_pair};
    assert_int_equal(tm_pack_new(&pack, &o, &documents, NULL), TM_OK);
    int seen = 0;
    tm_tokens b;
    while (tm_pack_next(pack, &b, NULL) == TM_OK) {
        seen += b.n_segments / 2;
        for (int32_t i = 0; i < b.n_tokens; i++) assert_true(b.ids[i] < 8000);
    }
    assert_int_equal(seen, 8);
    assert_int_equal(tm_pack_tell(pack).dropped, 4);
    tm_pack_free(pack);
}

static size_t thirty(uint64_t i)
{
    return 30;
}

static void pieces_without_a_label_are_left_out(void **state)
{
    corpus c = {.have = 8, .ended = true, .size = thirty, .masked = true};
    tm_pack_options o = options();
    o.bos = o.eos = -1;
    o.whole = true;
    o.length = o.tokens = 10;  // inputs 0..9 have the labels 1..10, and 15 is the first learned token
    tm_pack *pack = pack_of(&c, o);
    tm_tokens b;
    int n = 0;
    while (tm_pack_next(pack, &b, NULL) == TM_OK) {
        assert_true(b.ids[0] % 1000 >= 10);
        n++;
    }
    assert_int_equal(n, 16);
    tm_pack_free(pack);
}

static size_t nothing(uint64_t i)
{
    return 0;
}

static void data_without_anything_to_learn_is_an_error_and_not_an_endless_loop(void **state)
{
    corpus c = {.have = 20, .ended = true, .size = nothing};
    tm_pack_options o = options();
    o.epochs = 0;
    tm_pack *pack = pack_of(&c, o);
    tm_tokens b;
    tm_error err = {0};
    assert_int_equal(tm_pack_next(pack, &b, &err), TM_EINVAL);
    assert_non_null(strstr(err.text, "nothing to train on"));
    tm_pack_free(pack);
    o.length = 65;
    tm_documents documents = {&c, reach, get};
    assert_int_equal(tm_pack_new(&pack, &o, &documents, &err), TM_EINVAL);
}

static void the_documents_of_a_batch_are_those_of_its_ids_each_once(void **state)
{
    corpus c = {.have = 50, .ended = true, .size = varied};
    tm_pack *pack = pack_of(&c, options());
    tm_tokens b;
    while (tm_pack_next(pack, &b, NULL) == TM_OK) {
        uint64_t numbers[64];
        size_t n = tm_pack_documents(pack, numbers, 0, 64), n_seen = 0;
        bool seen[50] = {0};
        for (int32_t i = 0; i < b.n_tokens; i++) {
            int32_t token = b.ids[i] == BOS ? b.labels[i] : b.ids[i];
            n_seen += !seen[token / 1000];
            seen[token / 1000] = true;
        }
        assert_int_equal(n, n_seen);
        for (size_t i = 0; i < n; i++) assert_true(seen[numbers[i]]);
        assert_int_equal(tm_pack_documents(pack, numbers, n, 64), n);
        assert_int_equal(tm_pack_documents(pack, numbers, 0, 1), 1);
    }
    tm_pack_free(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_token_is_a_label_once_and_no_label_crosses_a_document),
        cmocka_unit_test(seeking_to_any_cursor_gives_the_same_batches),
        cmocka_unit_test(appended_documents_keep_the_batches_below_the_horizon),
        cmocka_unit_test(a_stream_that_grows_gives_what_the_whole_gives),
        cmocka_unit_test(windows_and_epochs_are_shuffled_and_nothing_leaves_its_window),
        cmocka_unit_test(pieces_of_one_document_are_spread_over_its_window),
        cmocka_unit_test(overlong_documents_are_cut_truncated_or_dropped),
        cmocka_unit_test(whole_documents_wait_for_the_next_batch),
        cmocka_unit_test(pairs_lie_side_by_side_in_one_batch_with_their_scores),
        cmocka_unit_test(a_pair_that_is_too_long_is_left_out_whole),
        cmocka_unit_test(pieces_without_a_label_are_left_out),
        cmocka_unit_test(the_documents_of_a_batch_are_those_of_its_ids_each_once),
        cmocka_unit_test(data_without_anything_to_learn_is_an_error_and_not_an_endless_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
