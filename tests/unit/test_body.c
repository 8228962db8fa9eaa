// SPDX-License-Identifier: Apache-2.0
#include "stages/script/body.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static char logged[4000];

static void log_line(void *user, const char *line)
{
    (void)user;
    snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

// A code with one function of this text, "(doc, o, emit) ... end", that uses nothing.
static json_t *code_of(const char *text, bool batch)
{
    return json_pack("{s:{s:{s:s, s:i, s:s, s:{}}}}", "$code", batch ? "batch" : "each", "file", "graph.lua",
                     "line", 12, "text", text, "uses");
}

typedef struct outcome {
    tm_status status;
    tm_error err;
    tm_batch *out;
    char reason[64];    // of the last record left out
    char left_out[64];  // ids of those
    double seconds;
} outcome;

static tm_batch *new_docs(void)
{
    const tm_type *type = tm_type_find("documents");
    return tm_batch_new(type->cols, type->n_cols);
}

static double cpu(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static tm_status call(tm_body *body, const tm_doc *docs, size_t n, outcome *r)
{
    const char *reason;
    TM_TRY(tm_body_call(body, docs, n, r->out, &r->err));
    for (size_t i = 0; i < n; i++) {
        if (!tm_body_left_out(body, i, &reason)) continue;
        snprintf(r->reason, sizeof r->reason, "%s", reason ? reason : "");
        size_t at = strlen(r->left_out);
        snprintf(r->left_out + at, sizeof r->left_out - at, "%.*s ", (int)docs[i].id.size, docs[i].id.data);
    }
    return TM_OK;
}

// In calls of `size` records; 0: by the form that gets one.
static outcome run_all(const char *text, const tm_doc *docs, size_t n, size_t size, tm_body_shape takes,
                       tm_body_shape gives)
{
    outcome r = {.out = new_docs()};
    json_t *code = code_of(text, size > 0),
           *options = json_pack("{s:i, s:[s,s]}", "limit", 7, "words", "a", "b");
    tm_body_spec spec = {.name = "shout",
                         .code = code,
                         .batch = size > 0,
                         .options = options,
                         .takes = takes,
                         .gives = gives,
                         .seed = 5,
                         .seconds = 0.3,
                         .memory = TM_BODY_MEMORY,
                         .log = log_line};
    tm_body *body = NULL;
    logged[0] = 0;
    double begin = cpu();
    r.status = tm_body_open(&spec, &body, &r.err);
    if (!size) size = 1;
    for (size_t i = 0; r.status >= 0 && i < n; i += size)
        r.status = call(body, docs + i, n - i < size ? n - i : size, &r);
    r.seconds = cpu() - begin;
    tm_body_close(body);
    json_decref(code);
    json_decref(options);
    return r;
}

static outcome run_shaped(const char *text, const tm_doc *docs, size_t n, tm_body_shape takes,
                          tm_body_shape gives)
{
    return run_all(text, docs, n, 0, takes, gives);
}

static const tm_doc one = {{"d1", 2}, {"Hello  tide", 11}, {"a.txt", 5}, {"{\"k\":[1,2]}", 11}};

static outcome run(const char *text)
{
    return run_shaped(text, &one, 1, TM_BODY_TEXT, TM_BODY_TEXT);
}

// The rows of a batch as "id|text|source|meta" lines.
static const char *rows(const tm_batch *batch, char *to, size_t size)
{
    size_t at = 0;
    to[0] = 0;
    for (size_t i = 0; i < tm_batch_rows(batch); i++) {
        tm_doc d = tm_docs_get(batch, i);
        at += (size_t)snprintf(to + at, size - at, "%.*s|%.*s|%.*s|%.*s\n", (int)d.id.size, d.id.data,
                               (int)d.text.size, d.text.data, (int)d.source.size, d.source.data,
                               (int)d.meta.size, d.meta.data);
    }
    return to;
}

static void gives_shaped(const char *text, const tm_doc *doc, tm_body_shape takes, tm_body_shape gives,
                         const char *expected)
{
    char text_of[2000];
    outcome r = run_shaped(text, doc, 1, takes, gives);
    if (r.status < 0) print_message("%s\n", r.err.text);
    assert_int_equal(r.status, TM_OK);
    assert_string_equal(rows(r.out, text_of, sizeof text_of), expected);
    tm_batch_unref(r.out);
}

static void gives(const char *text, const char *expected)
{
    gives_shaped(text, &one, TM_BODY_TEXT, TM_BODY_TEXT, expected);
}

// `part` is in the message, which names line and record.
static void fails_shaped(const char *text, tm_body_shape shape, const char *place, const char *part)
{
    outcome r = run_shaped(text, &one, 1, TM_BODY_TEXT, shape);
    assert_int_equal(r.status, TM_EFAILED);
    if (!strstr(r.err.text, part) || !strstr(r.err.text, place)) print_message("%s\n", r.err.text);
    assert_non_null(strstr(r.err.text, part));
    assert_non_null(strstr(r.err.text, place));
    assert_true(r.err.hint[0] != 0);
    tm_batch_unref(r.out);
}

static void gives_why(const char *text, const char *why)
{
    outcome r = run(text);
    assert_string_equal(r.err.why, why);
    assert_string_equal(tm_error_code(&r.err), "TM0414");
    tm_batch_unref(r.out);
}

static void fails(const char *text, const char *part)
{
    fails_shaped(text, TM_BODY_TEXT, "graph.lua:12: ", part);
}

static void a_record_is_kept_as_it_is_changed_or_left_out(void **state)
{
    (void)state;
    gives("(doc, o, emit) emit(doc) end", "d1|Hello  tide|a.txt|{\"k\":[1,2]}\n");
    gives("(doc, o, emit) emit { text = doc.text:upper() } end", "d1|HELLO  TIDE|a.txt|{\"k\":[1,2]}\n");
    gives(
        "(doc, o, emit) emit { text = doc.id .. doc.source .. doc.meta.k[2] .. o.limit .. #o.words, meta = {} } end",
        "d1|d1a.txt272|a.txt|\n");
    gives("(doc, o, emit) end", "");
    outcome r = run("(doc, o, emit) return 'too short' end");
    assert_string_equal(r.reason, "too short");
    tm_batch_unref(r.out);
}

static void several_of_one_record_are_numbered(void **state)
{
    (void)state;
    gives("(doc, o, emit) for i = 1, 2 do emit { text = 'x' .. i, meta = { n = i } } end end",
          "d1#1|x1|a.txt|{\"n\":1}\nd1#2|x2|a.txt|{\"n\":2}\n");
    gives("(doc, o, emit) emit { id = 'own', text = 'x', source = 's' } emit { text = 'y' } end",
          "own|x|s|{\"k\":[1,2]}\nd1|y|a.txt|{\"k\":[1,2]}\n");
}

static void meta_data_are_canonical_json(void **state)
{
    (void)state;
    gives(
        "(doc, o, emit) emit { text = '', meta = { b = 1.5, a = { 'x', 2.0, true }, c = { z = 1e300 } } } end",
        "d1||a.txt|{\"a\":[\"x\",2,true],\"b\":1.5,\"c\":{\"z\":1e+300}}\n");
}

static void conversations_and_preferences_are_tables(void **state)
{
    (void)state;
    static const char text[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\\"b\"}]}";
    tm_doc chat = {{"c", 1}, {text, sizeof text - 1}, {"s", 1}, {0}};
    gives_shaped(
        "(doc, o, emit) local m = doc.messages; m[2] = { content = 'é', role = 'assistant', name = 'n' }\n"
        "emit { messages = m } end",
        &chat, TM_BODY_CHAT, TM_BODY_CHAT,
        "c|{\"messages\":[{\"role\":\"user\",\"content\":\"a\\\"b\"},"
        "{\"role\":\"assistant\",\"content\":\"é\",\"name\":\"n\"}]}|s|\n");
    gives_shaped(
        "(doc, o, emit) emit { messages = doc.messages, tools = doc.tools or { { name = 'f' } } } end", &chat,
        TM_BODY_CHAT, TM_BODY_CHAT,
        "c|{\"messages\":[{\"role\":\"user\",\"content\":\"a\\\"b\"}],\"tools\":[{\"name\":\"f\"}]}|s|"
        "\n");
    gives_shaped("(doc, o, emit) emit { text = doc.messages[1].content } end", &chat, TM_BODY_CHAT,
                 TM_BODY_TEXT, "c|a\"b|s|\n");
    gives_shaped(
        "(doc, o, emit) emit { prompt = 'p', chosen = 'good', rejected = { { role = 'assistant', content = 'bad' } },"
        " meta = {} } end",
        &one, TM_BODY_TEXT, TM_BODY_PREFERENCE,
        "d1|{\"prompt\":[{\"role\":\"user\",\"content\":\"p\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":"
        "\"good\"}],\"rejected\":[{\"role\":\"assistant\",\"content\":\"bad\"}]}|a.txt|\n");
}

static void a_wrong_emission_says_what_is_wrong(void **state)
{
    (void)state;
    fails("(doc, o, emit) emit { txt = 'x' } end", "what is emitted has no field 'txt'");
    fails("(doc, o, emit) emit {} end", "what is emitted has no text");
    fails("(doc, o, emit) emit 'x' end", "emit takes a table, not string");
    fails("(doc, o, emit) emit { text = 5 } end", "text is text, not a number");
    fails("(doc, o, emit) emit { text = '\\xff' } end", "'text' is not UTF-8 at byte 1");
    fails("(doc, o, emit) emit { text = '', id = '' } end", "an id has 1 to 200 bytes");
    fails("(doc, o, emit) emit { text = '', meta = { 1 } } end", "meta is a table with names");
    fails("(doc, o, emit) emit { text = '', meta = { f = print } } end", "meta holds a function");
    fails("(doc, o, emit) local t = {} t.t = t emit { text = '', meta = t } end", "or holds itself");
    fails("(doc, o, emit) return {} end", "the body returns a table");
    fails_shaped("(doc, o, emit) emit { messages = {} } end", TM_BODY_CHAT,
                 "graph.lua:12: ", "no list of messages");
    fails_shaped("(doc, o, emit) emit { messages = { { role = 'user' } } } end", TM_BODY_CHAT, "",
                 "has no content");
    fails_shaped("(doc, o, emit) emit(doc) end", TM_BODY_CHAT, "", "one shape of record and gives another");
}

static void an_error_names_its_line_and_the_record_and_logs_a_traceback(void **state)
{
    (void)state;
    fails_shaped("(doc, o, emit)\n  local t = doc.meta.none\n  return t.x end", TM_BODY_TEXT,
                 "graph.lua:14: ", "attempt to index a nil value (local 't')");
    assert_non_null(strstr(logged, "graph.lua:14: in "));
    gives_why("(doc, o, emit) error('own words') end", "it was given record d1, from a.txt");
    fails("(doc, o, emit) error('own words') end", "own words");
    fails("(doc, o, emit) print('seen', doc) error() end", "without a message");
    assert_non_null(strstr(logged, "seen record d1\n"));
}

static void records_and_options_are_read_only(void **state)
{
    (void)state;
    fails("(doc, o, emit) doc.text = 'x' end", "doc.text cannot be changed");
    fails("(doc, o, emit) doc.x = 'x' end", "doc.x cannot be changed");
    fails("(doc, o, emit) return doc.txet end", "doc has no field 'txet'");
    fails("(doc, o, emit) for k in pairs(doc) do end end", "cannot be walked");
    fails("(doc, o, emit) o.limit = 1 end", "options of a stage cannot be changed");
    fails("(doc, o, emit) return o.limt end", "no option 'limt'");
    fails("(doc, o, emit) count = 1 end", "'count' would become a global");
}

static void the_environment_is_closed(void **state)
{
    (void)state;
    static const char *const gone[] = {"io",        "os",   "debug",  "package",        "require",
                                       "coroutine", "load", "dofile", "collectgarbage", "_G"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        char text[100], part[100];
        snprintf(text, sizeof text, "(doc, o, emit) return %s.x end", gone[i]);
        snprintf(part, sizeof part, "has no '%s'", gone[i]);
        fails(text, part);
    }
    fails("(doc, o, emit) return string.dump(emit) end", "field 'dump'");
    gives("(doc, o, emit) emit { text = getmetatable(doc) .. getmetatable(o), meta = {} } end",
          "d1|recordoptions|a.txt|\n");
    fails("(doc, o, emit) setmetatable({}, { __gc = print }) end", "__gc");
    gives("(doc, o, emit) emit { text = tostring(print) .. tostring({}), meta = {} } end",
          "d1|functiontable|a.txt|\n");
}

static void chance_follows_from_seed_and_id(void **state)
{
    (void)state;
    static const char text[] =
        "(doc, o, emit) emit { text = math.random(1000) .. ' ' .. math.random(-5, 5) .. ' ' .. "
        "math.random() } end";
    tm_doc docs[2] = {one, one};
    docs[1].id = tm_view_str("d2");
    outcome both = run_shaped(text, docs, 2, TM_BODY_TEXT, TM_BODY_TEXT);
    outcome second = run_shaped(text, docs + 1, 1, TM_BODY_TEXT, TM_BODY_TEXT);
    assert_int_equal(both.status, TM_OK);
    tm_view a = tm_docs_get(both.out, 0).text, b = tm_docs_get(both.out, 1).text,
            c = tm_docs_get(second.out, 0).text;
    assert_false(tm_view_eq(a, b));
    assert_true(tm_view_eq(b, c));
    tm_batch_unref(both.out);
    tm_batch_unref(second.out);
    fails("(doc, o, emit) math.randomseed(1) end", "seed and the record's id");
    fails("(doc, o, emit) math.random(0) end", "interval is empty");
}

static void loops_end_with_their_line(void **state)
{
    (void)state;
    static const char *const loops[] = {
        "while true do end", "repeat local x = 1 until false", "pcall(function() while true do end end)",
        "while true do pcall(error) end", "('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')",
        "table.sort({ 3, 2, 1 }, function() while true do end end)", "('x'):gsub('x', function() while true do end end)",
        ("setmetatable({}, { __index = function() while true do end end }).x = nil "
         "local t = setmetatable({}, { __index = function() while true do end end }) return t.x"),
        "local s = ('a'):rep(40) while true do s:find('(.-)*(.-)*(.-)*(.-)*b') end",
        "xpcall(error, function() while true do end end)", "for i = 1, math.huge do emit(doc) pcall(emit) end",
    };
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        char text[400];
        snprintf(text, sizeof text, "(doc, o, emit)\n%s end", loops[i]);
        outcome r = run(text);
        bool right = r.status == TM_EFAILED && strstr(r.err.text, "graph.lua:13: a chunk needs more ") &&
                     strstr(r.err.why, "record d1") && r.seconds < 3;
        if (!right) print_message("%s: %s, %.2f s\n", loops[i], r.err.text, r.seconds);
        assert_true(right);
        tm_batch_unref(r.out);
    }
}

static void memory_bombs_end_with_their_line(void **state)
{
    (void)state;
    static const char *const bombs[] = {
        "local t = {} for i = 1, math.huge do t[i] = i .. 'x' end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t = { t } end",
        "local t = {} while true do pcall(function() t[#t + 1] = ('y'):rep(1e6) end) end",
        "while true do emit { text = ('z'):rep(1e6) } end",
        "local t = {} for i = 1, 1e9 do t[i] = {} end",
    };
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        char text[400];
        snprintf(text, sizeof text, "(doc, o, emit)\n%s end", bombs[i]);
        outcome r = run_shaped(text, &one, 1, TM_BODY_TEXT, TM_BODY_TEXT);
        bool right = r.status == TM_EFAILED && strstr(r.err.text, "graph.lua:1") &&
                     (strstr(r.err.text, "a chunk needs more") || strstr(r.err.text, "not enough memory")) &&
                     r.seconds < 5;
        if (!right) print_message("%s: %s, %.2f s\n", bombs[i], r.err.text, r.seconds);
        assert_true(right);
        tm_batch_unref(r.out);
    }
}

// Five records of which two go into a call.
static outcome run_batches(const char *text)
{
    tm_doc docs[5];
    static const char *const ids[] = {"d1", "d2", "d3", "d4", "d5"};
    for (int i = 0; i < 5; i++) {
        docs[i] = one;
        docs[i].id = tm_view_str(ids[i]);
    }
    return run_all(text, docs, 5, 2, TM_BODY_TEXT, TM_BODY_TEXT);
}

static void batches_give(const char *text, const char *expected, const char *left_out)
{
    char text_of[2000];
    outcome r = run_batches(text);
    if (r.status < 0) print_message("%s\n", r.err.text);
    assert_int_equal(r.status, TM_OK);
    assert_string_equal(rows(r.out, text_of, sizeof text_of), expected);
    assert_string_equal(r.left_out, left_out);
    tm_batch_unref(r.out);
}

static void batches_fail(const char *text, const char *part)
{
    outcome r = run_batches(text);
    assert_int_equal(r.status, TM_EFAILED);
    if (!strstr(r.err.text, part)) print_message("%s\n", r.err.text);
    assert_non_null(strstr(r.err.text, part));
    assert_non_null(strstr(r.err.text, "graph.lua:12: "));
    assert_true(r.err.hint[0] != 0);
    tm_batch_unref(r.out);
}

static void a_batch_is_a_list_that_ends_where_the_records_do(void **state)
{
    (void)state;
    batches_give("(docs, o, emit) emit({ text = '' .. #docs, source = docs[#docs].id, meta = {} }, docs) end",
                 "d1|2|d2|\nd3|2|d4|\nd5|1|d5|\n", "");
    batches_give("(docs, o, emit) table.sort(docs, function(a, b) return a.id > b.id end)"
                 " for _, d in ipairs(docs) do emit({ text = d.id, meta = {} }, d) end end",
                 "d2|d2|a.txt|\nd1|d1|a.txt|\nd4|d4|a.txt|\nd3|d3|a.txt|\nd5|d5|a.txt|\n", "");
}

static void of_a_batch_each_record_numbers_what_comes_from_it(void **state)
{
    (void)state;
    batches_give("(docs, o, emit) if docs[1].id ~= 'd1' then return end"
                 " for i = 1, 2 do for _, d in ipairs(docs) do emit({ text = 'x' .. i, meta = {} }, d) end end"
                 " emit({ id = 'own', text = 'y', meta = {} }, docs[2]) end",
                 "d1#1|x1|a.txt|\nd2#1|x1|a.txt|\nd1#2|x2|a.txt|\nd2#2|x2|a.txt|\nown|y|a.txt|\n",
                 "d3 d4 d5 ");
    batches_give("(docs, o, emit) emit(docs[#docs]) end",
                 "d2|Hello  tide|a.txt|{\"k\":[1,2]}\nd4|Hello  tide|a.txt|{\"k\":[1,2]}\n"
                 "d5|Hello  tide|a.txt|{\"k\":[1,2]}\n",
                 "d1 d3 ");
}

static void a_batch_says_why_it_leaves_records_out(void **state)
{
    (void)state;
    outcome all = run_batches("(docs, o, emit) return 'none of them' end");
    assert_string_equal(all.reason, "none of them");
    assert_string_equal(all.left_out, "d1 d2 d3 d4 d5 ");
    tm_batch_unref(all.out);
    outcome some = run_batches(
        "(docs, o, emit) local why = {} why[docs[1]] = 'first of ' .. #docs return why end");
    assert_string_equal(some.reason, "first of 1");
    tm_batch_unref(some.out);
    batches_fail("(docs, o, emit) return { 'too short' } end",
                 "returns a table of something else than reasons");
    batches_fail("(docs, o, emit) local why = {} why[docs[1]] = 7 return why end",
                 "something else than reasons");
    batches_fail("(docs, o, emit) return 7 end", "returns a number");
}

static void a_wrong_emission_of_a_batch_says_what_is_wrong(void **state)
{
    (void)state;
    batches_fail("(docs, o, emit) emit { text = 'x' } end", "emit: of which record is this?");
    batches_fail("(docs, o, emit) emit({ text = 'x' }, {}) end", "is empty");
    batches_fail("(docs, o, emit) emit({ text = 'x' }, 'd1') end",
                 "comes from records of this call, not from a string");
    batches_fail("(docs, o, emit) emit({ text = 'x' }, o) end", "not from a userdata");
    batches_fail("(docs, o, emit) emit(docs, docs) end", "what is emitted has no field");
    batches_fail(
        "(docs, o, emit) if #docs == 2 then string.kept = docs[2] else return string.kept.text end end",
        "one of an earlier call");
    batches_fail("(docs, o, emit) while true do end end", "a chunk needs more");
    // what was caught is not emitted, and does not count as used
    batches_give("(docs, o, emit) pcall(emit, { txt = 'x' }, docs[1]) end", "", "d1 d2 d3 d4 d5 ");
}

static void nothing_is_kept_from_chunk_to_chunk(void **state)
{
    (void)state;
    static const char text[] =
        "(doc, o, emit) string.seen = (string.seen or 0) + 1 emit { text = '' .. string.seen, meta = {} } end";
    gives(text, "d1|1|a.txt|\n");
    gives(text, "d1|1|a.txt|\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_kept_as_it_is_changed_or_left_out),
        cmocka_unit_test(several_of_one_record_are_numbered),
        cmocka_unit_test(meta_data_are_canonical_json),
        cmocka_unit_test(conversations_and_preferences_are_tables),
        cmocka_unit_test(a_wrong_emission_says_what_is_wrong),
        cmocka_unit_test(an_error_names_its_line_and_the_record_and_logs_a_traceback),
        cmocka_unit_test(records_and_options_are_read_only),
        cmocka_unit_test(the_environment_is_closed),
        cmocka_unit_test(chance_follows_from_seed_and_id),
        cmocka_unit_test(loops_end_with_their_line),
        cmocka_unit_test(memory_bombs_end_with_their_line),
        cmocka_unit_test(nothing_is_kept_from_chunk_to_chunk),
        cmocka_unit_test(a_batch_is_a_list_that_ends_where_the_records_do),
        cmocka_unit_test(of_a_batch_each_record_numbers_what_comes_from_it),
        cmocka_unit_test(a_batch_says_why_it_leaves_records_out),
        cmocka_unit_test(a_wrong_emission_of_a_batch_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
