// SPDX-License-Identifier: Apache-2.0
// The matcher is held against the interpreter's own, on cases by hand and on thousands by lot.
#include "stages/script/pattern.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lualib.h>

#include "engine/base/random.h"
#include "stages/script/sandbox.h"

typedef struct pair {
    lua_State *stock;
    tm_sandbox *box;
    tm_trail trail;
} pair;

static int set_up(void **state)
{
    pair *p = calloc(1, sizeof *p);
    p->stock = luaL_newstate();
    luaL_openlibs(p->stock);
    p->box = tm_sandbox_new(64 << 20, 1000000000, &p->trail);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    pair *p = *state;
    lua_close(p->stock);
    tm_sandbox_free(p->box);
    free(p);
    return 0;
}

// All results of string.NAME(subject, pattern[, third]) as one text, or "error".
static void call(lua_State *L, bool ours, const char *name, const char *subject, const char *pattern,
                 const char *third, char *out, size_t size)
{
    int base = lua_gettop(L);
    if (ours) {
        tm_sandbox_push_env(L);
        lua_getfield(L, -1, "string");
    } else {
        lua_getglobal(L, "string");
    }
    lua_getfield(L, -1, name);
    lua_pushstring(L, subject);
    lua_pushstring(L, pattern);
    if (third) lua_pushstring(L, third);
    int first = lua_gettop(L) - (third ? 3 : 2);
    snprintf(out, size, "error");
    if (lua_pcall(L, third ? 3 : 2, LUA_MULTRET, 0) == LUA_OK) {
        out[0] = 0;
        for (int i = first; i <= lua_gettop(L); i++) {
            size_t at = strlen(out);
            snprintf(out + at, size - at, "[%s]", luaL_tolstring(L, i, NULL));
            lua_pop(L, 1);
        }
    }
    lua_settop(L, base);
}

static void assert_same(pair *p, const char *name, const char *subject, const char *pattern,
                        const char *third)
{
    char want[2000], got[2000];
    call(p->stock, false, name, subject, pattern, third, want, sizeof want);
    call(p->box->L, true, name, subject, pattern, third, got, sizeof got);
    if (strcmp(want, got) != 0) print_message("%s(\"%s\", \"%s\")\n", name, subject, pattern);
    assert_string_equal(got, want);
}

static void cases_by_hand_match_as_the_interpreter_does(void **state)
{
    static const char *const cases[][2] = {
        {"hello world", "o w"},
        {"hello", "l+"},
        {"hello", "^h.-l"},
        {"hello", "(h)(e)(l+)"},
        {"key = value", "^(%w+)%s*=%s*(%w+)$"},
        {"THE (quick) fox", "%((%a+)%)"},
        {"f(a(b)c)d", "%b()"},
        {"THE (quick) fox", "%f[%a]%a+"},
        {"abc", "()b()"},
        {"aXbXc", "[^X]+"},
        {"a-b]c", "[]-]"},
        {"a-b]c", "[a%-]"},
        {"x^y", "[x^]+"},
        {"\"it's\" 'q'", "([\"'])(.-)%1"},
        {"", ""},
        {"", "^$"},
        {"abc", "$"},
        {"abc", "a$"},
        {"a$c", "a$c"},
        {"abc", "%"},
        {"abc", "[a"},
        {"abc", "(a"},
        {"abc", "a)"},
        {"abc", "%1"},
        {"abc", "(a)%2"},
        {"abc", "%f"},
        {"abc", "%b"},
        {"abc", "%bx"},
        {"a.b", "%."},
        {"a.b", "a.b"},
        {"0x1F", "%x+"},
        {"aaa", "a-b"},
        {"aaab", "a-b"},
        {"aaab", "a?a?a?a?b"},
        {"ab12", "%D+%d*"},
        {"a\tb\n", "%c"},
        {"x", "[%a-z]"},
        {"-", "[%a-]"},
        {"abc", "(a*(.)%w(%s*))"},
        {"abcabc", "(abc)%1"},
        {"abc", "[a-]"},
        {"b", "[^a-c]"},
        {"]", "[]]"},
        {"^", "[%^]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_same(*state, "find", cases[i][0], cases[i][1], NULL);
        assert_same(*state, "match", cases[i][0], cases[i][1], NULL);
        assert_same(*state, "gsub", cases[i][0], cases[i][1], "<%0>");
        assert_same(*state, "gsub", cases[i][0], cases[i][1], "%1%%");
        assert_same(*state, "find", cases[i][0], cases[i][1], "-2");
        assert_same(*state, "match", cases[i][0], cases[i][1], "3");
        assert_same(*state, "find", cases[i][0], cases[i][1], "9");
    }
}

static void patterns_by_lot_match_as_the_interpreter_does(void **state)
{
    static const char *const pieces[] = {"a",  "b",    ".",      "%a", "%d", "[ab]", "[^a]",  "[a-c1]", "%s",
                                         "(",  ")",    "()",     "*",  "+",  "-",    "?",     "^",      "$",
                                         "%1", "%b()", "%f[%w]", "%w", "x",  "%.",   "[%d_]", "%2"};
    static const char letters[] = "aabbc1 ()_.x";
    for (uint64_t i = 0, at = 0; i < 20000; i++) {
        char subject[16], pattern[64] = "";
        size_t n = tm_random_below(7, 0, at++, sizeof subject);
        for (size_t k = 0; k < n; k++) subject[k] = letters[tm_random_below(7, 0, at++, sizeof letters - 1)];
        subject[n] = 0;
        for (size_t k = 0, m = tm_random_below(7, 0, at++, 7); k < m; k++)
            strcat(pattern, pieces[tm_random_below(7, 0, at++, sizeof pieces / sizeof *pieces)]);
        assert_same(*state, "find", subject, pattern, NULL);
        assert_same(*state, "gsub", subject, pattern, "<%1>");
    }
}

static void gmatch_and_gsub_take_functions_tables_and_empty_matches(void **state)
{
    static const char text[] =
        "local out = {}\n"
        "for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do out[#out + 1] = k .. v end\n"
        "for at in ('abc'):gmatch('()') do out[#out + 1] = at end\n"
        "for w in ('one two'):gmatch('%a+', 4) do out[#out + 1] = w end\n"
        "out[#out + 1] = ('x y'):gsub('%w', { x = 'X', y = false })\n"
        "out[#out + 1] = (('x y'):gsub('%w', function(c) return c == 'y' and 5 or nil end))\n"
        "out[#out + 1] = (('abc'):gsub('', '-'))\n"
        "out[#out + 1] = (('abc'):gsub('%w', '%0%0', 2))\n"
        "out[#out + 1] = (('a.b'):find('.', 1, true))\n"
        "return table.concat(out, ' ')";
    pair *p = *state;
    assert_int_equal(luaL_dostring(p->stock, text), LUA_OK);
    assert_true(tm_sandbox_load(p->box, "t.lua", text, strlen(text)) && tm_sandbox_call(p->box, 0, 1));
    assert_string_equal(lua_tostring(p->box->L, -1), lua_tostring(p->stock, -1));
}

static void a_pattern_that_backtracks_without_end_is_stopped(void **state)
{
    static const char text[] = "local a = ('a'):rep(30)\nreturn a:find(('a?'):rep(30) .. a)";
    pair *p = *state;
    p->box->max_steps = 100000;
    assert_true(tm_sandbox_load(p->box, "t.lua", text, strlen(text)));
    assert_false(tm_sandbox_call(p->box, 0, 0));
    assert_string_equal(p->box->fault.code, "TM0120");
    assert_int_equal(p->box->fault.line, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(cases_by_hand_match_as_the_interpreter_does),
        CASE(patterns_by_lot_match_as_the_interpreter_does),
        CASE(gmatch_and_gsub_take_functions_tables_and_empty_matches),
        CASE(a_pattern_that_backtracks_without_end_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
