// SPDX-License-Identifier: Apache-2.0
#include "stages/script/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lualib.h>

#include "lua/load/jail.h"

typedef struct fixture {
    tm_trail trail;
    tm_sandbox *box;
    char shown[256];
} fixture;

static void keep_line(void *user, const char *text, size_t size)
{
    fixture *f = user;
    snprintf(f->shown, sizeof f->shown, "%.*s", (int)size, text);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->box = tm_sandbox_new(16 << 20, 1000000, &f->trail);
    f->box->user = f;
    f->box->print = keep_line;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tm_sandbox_free(f->box);
    free(f);
    return 0;
}

static bool run(fixture *f, const char *text)
{
    f->box->fault = (tm_fault){0};
    return tm_sandbox_load(f->box, "t.lua", text, strlen(text)) && tm_sandbox_call(f->box, 0, 0);
}

// Evaluates an expression and compares what tostring makes of it.
static void assert_gives(fixture *f, const char *expression, const char *expected)
{
    char text[2000];
    snprintf(text, sizeof text, "print(%s)", expression);
    f->shown[0] = 0;
    if (!run(f, text)) print_message("%s: %s\n", expression, f->box->fault.text);
    assert_string_equal(f->shown, expected);
}

static void assert_fails(fixture *f, const char *text, const char *code, const char *part)
{
    assert_false(run(f, text));
    assert_string_equal(f->box->fault.code, code);
    if (!strstr(f->box->fault.text, part)) print_message("%s\n", f->box->fault.text);
    assert_non_null(strstr(f->box->fault.text, part));
}

static void pairs_and_next_walk_numbers_by_value_then_strings_then_booleans(void **state)
{
    static const char text[] =
        "local t, out = { [true] = 1, b = 1, [2] = 1, [1.5] = 1, [-3] = 1, aa = 1, a = 1, [false] = 1, [2^53] = 1,\n"
        "  [-math.huge] = 1, [math.maxinteger] = 1, [math.mininteger] = 1, [1e300] = 1, B = 1, [\"\"] = 1 }, {}\n"
        "for k in pairs(t) do out[#out + 1] = tostring(k) end\n"
        "local again, k = {}, nil\n"
        "repeat k = next(t, k); again[#again + 1] = k ~= nil and tostring(k) or nil until k == nil\n"
        "assert(table.concat(out, ' ') == table.concat(again, ' '))\n"
        "print(table.concat(out, ' '))";
    assert_true(run(*state, text));
    assert_string_equal(((fixture *)*state)->shown, "-inf -9223372036854775808 -3 1.5 2 9007199254740992 "
                                                    "9223372036854775807 1e+300  B a aa b false true");
}

static void pairs_skips_what_was_removed_on_the_way(void **state)
{
    assert_true(run(*state, "local t, out = { 1, 2, 3, 4 }, ''\n"
                            "for k in pairs(t) do out = out .. k; t[k + 1] = nil; t.x = 1 end print(out)"));
    assert_string_equal(((fixture *)*state)->shown, "13");
    assert_fails(*state, "for k in pairs { [{}] = 1 } do end", "TM0116", "table as a key");
}

static void sort_is_stable_and_agrees_with_the_operators(void **state)
{
    assert_true(run(*state, "local t = {}\n"
                            "for i = 1, 500 do t[i] = { i * 7919 % 13, i } end\n"
                            "table.sort(t, function(a, b) return a[1] < b[1] end)\n"
                            "for i = 2, 500 do\n"
                            "  local a, b = t[i - 1], t[i]\n"
                            "  assert(a[1] < b[1] or a[1] == b[1] and a[2] < b[2])\n"
                            "end"));
    assert_gives(*state,
                 "(function() local t = { 'b', 'a', 'c', 'A' } table.sort(t) return table.concat(t) end)()",
                 "Aabc");
    assert_gives(*state,
                 "(function() local t = { 2, 1.5, -1 } table.sort(t) return table.concat(t, ' ') end)()",
                 "-1 1.5 2");
    assert_fails(*state, "table.sort { 1, 'x' }", "TM0102", "attempt to compare");
}

static void table_functions_do_as_the_manual_says(void **state)
{
    static const char *const cases[][2] = {
        {"(function() local t = { 1, 2 } table.insert(t, 1, 0) table.insert(t, 3) return table.concat(t, "
         "',') end)()",
         "0,1,2,3"},
        {"(function() local t = { 1, 2, 3 } local x = table.remove(t, 1) return x .. table.concat(t) end)()",
         "123"},
        {"(function() local t = { 1, 2, 3 } return table.remove(t) .. #t .. tostring(table.remove {}) end)()",
         "32nil"},
        {"table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), ',')", "1,1,2,3"},
        {"table.concat(table.move({ 1, 2, 3 }, 2, 3, 1), ',')", "2,3,3"},
        {"table.concat(table.move({ 1, 2 }, 1, 2, 2, { 9 }), ',')", "9,1,2"},
        {"table.concat({ 1, 2.5, 'x' }, '-', 2, 3)", "2.5-x"},
        {"select('#', table.unpack({ 1, nil, 3 }, 1, 3))", "3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_gives(*state, cases[i][0], cases[i][1]);
}

static void texts_show_no_address(void **state)
{
    assert_gives(*state, "{}, print, string.format('%s %5s|', {}, true), 0/0, 1e15, 2^53, -0.0",
                 "table\tfunction\ttable  true|\tnan\t1e+15\t9.007199254741e+15\t-0.0");
    assert_gives(*state, "setmetatable({}, { __tostring = function() return 'mine' end })", "mine");
    assert_gives(*state, "setmetatable({}, { __name = 'Point' })", "Point");
    assert_fails(*state, "string.format('%p', {})", "TM0102", "address");
}

static void a_metatable_serves_but_is_fixed_when_first_set(void **state)
{
    assert_gives(*state, "(function()\n"
                         "  local C = {} C.__index = C\n"
                         "  C.__add = function(a, b) return a.n + b.n end\n"
                         "  function C.new(n) return setmetatable({ n = n }, C) end\n"
                         "  function C:twice() return 2 * self.n end\n"
                         "  local a = C.new(3)\n"
                         "  assert(getmetatable(a) == C)\n"
                         "  return a:twice() + (a + C.new(1))\n"
                         "end)()", "10");
    assert_fails(*state, "setmetatable({}, { __gc = print })", "TM0117", "__gc");
    assert_fails(*state, "setmetatable({}, { __mode = 'k' })", "TM0117", "__mode");
    assert_fails(*state, "setmetatable(setmetatable({}, { __metatable = 1 }), nil)", "TM0102", "protected");
}

static void errors_can_be_caught_but_bounds_cannot(void **state)
{
    assert_gives(*state, "pcall(error, 'x', 0)", "false\tx");
    assert_gives(*state, "pcall(function(...) return select('#', ...) end, 1, 2)", "true\t2");
    assert_gives(*state, "xpcall(function(x) error(x, 0) end, function(e) return e .. '!' end, 'oh')",
                 "false\toh!");
    assert_gives(*state, "xpcall(error, function() error('again', 0) end)", "false\tagain");
    assert_gives(*state,
                 "(function()\n"
                 "  local co = coroutine.wrap(function() local ok, e = pcall(function() "
                 "error(coroutine.yield(1), 0) end)\n"
                 "    return e end)\n"
                 "  return co() .. co('two')\n"
                 "end)()",
                 "1two");
    assert_fails(*state, "pcall(function() while true do end end) print('on')", "TM0120", "steps");
}

static void too_much_memory_ends_the_program_at_its_line(void **state)
{
    assert_fails(*state,
                 "local t = {}\nlocal x = ('x'):rep(1 << 20)\nfor i = 1, 100 do pcall(function() t[i] = x .. "
                 "i end) end",
                 "TM0121", "16 MiB");
    fixture *f = *state;
    assert_int_equal(f->box->fault.line, 3);
    assert_string_equal(f->box->fault.file, "t.lua");
    assert_int_equal(f->trail.line, 3);
}

static void faults_name_file_line_word_and_calls(void **state)
{
    fixture *f = *state;
    assert_fails(f,
                 "local x = {}\nlocal function inner() return x.y.z end\nlocal function outer() local r = "
                 "inner() return r end\nouter()",
                 "TM0102", "attempt to index a nil value (field 'y')");
    assert_int_equal(f->box->fault.line, 2);
    assert_string_equal(f->box->fault.word, "y");
    assert_string_equal(f->box->fault.traceback,
                        "t.lua:2: in inner\nt.lua:3: in outer\nt.lua:4: in the file");
    assert_fails(f, "\n\nlocal x = = 1", "TM0101", "unexpected symbol");
    assert_int_equal(f->box->fault.line, 3);
    assert_fails(f, "\n prnit(1)", "TM0103", "prnit");
    assert_non_null(strstr(f->box->fault.hint, "'print'"));
    assert_fails(f, "x = 1", "TM0104", "'x'");
    assert_non_null(strstr(f->box->fault.hint, "local x"));
    assert_fails(f, "return io.lines", "TM0115", "'io'");
}

static void text_is_cleaned_of_controls_and_broken_utf8(void **state)
{
    (void)state;
    char out[64];
    tm_sandbox_clean(out, sizeof out, "a\033[1m\n\xc3\xa9\xff\xc2\x9b\xed\xa0\x80\xe2\x82", 15);
    assert_string_equal(out, "a?[1m \xc3\xa9??????");
    tm_sandbox_clean(out, 8, "abcdefghijkl", 12);
    assert_string_equal(out, "abc");
    assert_int_equal(tm_sandbox_utf8("\xf0\x9f\x8c\x8a", 4), 4);
    assert_int_equal(tm_sandbox_utf8("\xf0\x9f\x8c\x8a", 3), 0);
    assert_int_equal(tm_sandbox_utf8("\xc0\x80", 2), 0);
}

static void trusted_code_sees_the_stock_library_and_programs_do_not(void **state)
{
    fixture *f = *state;
    assert_true(tm_sandbox_load_trusted(f->box, "ours", "return load ~= nil", 18));
    assert_true(tm_sandbox_call(f->box, 0, 1));
    assert_true(lua_toboolean(f->box->L, -1));
    lua_pop(f->box->L, 1);
    static const char *const refused[] = {"load",  "dofile",  "loadfile", "collectgarbage", "io", "os",
                                          "debug", "package", "_G"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char text[64];
        snprintf(text, sizeof text, "return %s", refused[i]);
        assert_fails(f, text, "TM0115", refused[i]);
    }
}

// In a process of its own: 0 if all of it fails as it must.
static int try_to_get_out(void)
{
    int fd = open("/dev/null", O_RDONLY);
    if (tm_jail_enter(64 << 20, NULL) < 0) return 1;
    char byte;
    if (read(fd, &byte, 1) != 0) return 2;  // what is open can be read
    if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EPERM) return 3;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 4;
    if (fork() >= 0) return 5;
    if (execl("/bin/true", "true", NULL) == 0) return 6;
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return 7;
    if (kill(getppid(), 0) == 0) return 8;
    void *memory = malloc(1 << 20);
    if (!memory) return 9;
    return 0;
}

static void nothing_gets_out_of_the_jail(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) _exit(try_to_get_out());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(pairs_and_next_walk_numbers_by_value_then_strings_then_booleans),
        CASE(pairs_skips_what_was_removed_on_the_way),
        CASE(sort_is_stable_and_agrees_with_the_operators),
        CASE(table_functions_do_as_the_manual_says),
        CASE(texts_show_no_address),
        CASE(a_metatable_serves_but_is_fixed_when_first_set),
        CASE(errors_can_be_caught_but_bounds_cannot),
        CASE(too_much_memory_ends_the_program_at_its_line),
        CASE(faults_name_file_line_word_and_calls),
        CASE(text_is_cleaned_of_controls_and_broken_utf8),
        CASE(trusted_code_sees_the_stock_library_and_programs_do_not),
        cmocka_unit_test(nothing_gets_out_of_the_jail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
