// SPDX-License-Identifier: Apache-2.0
// The definitions are Lua that plain Lua 5.4 loads, with a function for every row.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lua.h>

#include "engine/stage.h"
#include "lua/editor/definitions.h"

static void assert_function(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    assert_true(lua_isfunction(L, -1));
    lua_pop(L, 1);
}

static void plain_lua_loads_them_and_finds_a_function_for_every_row(void **state)
{
    tm_buf text = {0};
    (void)state;
    assert_int_equal(tm_definitions(&text, NULL), TM_OK);
    lua_State *L = luaL_newstate();
    assert_int_equal(luaL_loadbuffer(L, text.data, text.size, "definitions"), LUA_OK);
    assert_int_equal(lua_pcall(L, 0, 1, 0), LUA_OK);
    for (const tm_stage *const *s = tm_stages; *s; s++)
        if (!((*s)->traits & TM_INTERNAL)) assert_function(L, (*s)->name);
    for (const tm_value *const *v = tm_values; *v; v++) assert_function(L, (*v)->name);
    lua_close(L);
    tm_buf_clear(&text);
}

static void a_failed_allocation_is_an_error(void **state)
{
    tm_buf text = {0};
    tm_error err = {0};
    (void)state;
    tm_alloc_fail_at(4, true);
    assert_int_equal(tm_definitions(&text, &err), TM_ENOMEM);
    tm_alloc_fail_at(0, false);
    tm_buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lua_loads_them_and_finds_a_function_for_every_row),
        cmocka_unit_test(a_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
