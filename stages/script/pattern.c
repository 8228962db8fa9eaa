// SPDX-License-Identifier: Apache-2.0
// Backtracking matcher of Lua patterns that charges the sandbox for its steps.
#include "stages/script/pattern.h"

#include <ctype.h>
#include <string.h>

#include "stages/script/sandbox.h"

enum { MAX_CAPTURES = 32, MAX_DEPTH = 180, OPEN = -1, POSITION = -2 };

typedef struct matcher {
    lua_State *L;
    const char *subject, *end;
    const char *pattern_end;
    int depth;
    unsigned steps;
    int n_captures;
    struct {
        const char *start;
        ptrdiff_t size;  // or OPEN, POSITION
    } captures[MAX_CAPTURES];
} matcher;

static const char *match_here(matcher *m, const char *s, const char *p);

static void step(matcher *m)
{
    if (++m->steps < 256) return;
    tm_sandbox_charge(m->L, m->steps);
    m->steps = 0;
}

// ---- single characters ----

// Behind the class that starts at p.
static const char *class_end(matcher *m, const char *p)
{
    char first = *p++;
    if (first == '%') {
        if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (first != '[') return p;
    if (p < m->pattern_end && *p == '^') p++;
    do {  // the first character of a set stands for itself, also ']'
        if (p >= m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == '%') p++;
    } while (p >= m->pattern_end || *p != ']');
    return p + 1;
}

static bool class_has(int class, int c)
{
    bool has;
    switch (tolower(class)) {
    case 'a': has = isalpha(c); break;
    case 'c': has = iscntrl(c); break;
    case 'd': has = isdigit(c); break;
    case 'g': has = isgraph(c); break;
    case 'l': has = islower(c); break;
    case 'p': has = ispunct(c); break;
    case 's': has = isspace(c); break;
    case 'u': has = isupper(c); break;
    case 'w': has = isalnum(c); break;
    case 'x': has = isxdigit(c); break;
    default: return class == c;
    }
    return isupper(class) ? !has : has;
}

// The set from '[' at p to ']' at last.
static bool set_has(const char *p, const char *last, int c)
{
    bool found = true;
    p++;
    if (*p == '^') {
        found = false;
        p++;
    }
    while (p < last) {
        unsigned char low = (unsigned char)*p;
        if (low == '%') {
            if (class_has((unsigned char)p[1], c)) return found;
            p += 2;
        } else if (p[1] == '-' && p + 2 < last) {
            if (low <= c && c <= (unsigned char)p[2]) return found;
            p += 3;
        } else {
            if (low == c) return found;
            p++;
        }
    }
    return !found;
}

static bool single(matcher *m, const char *s, const char *p, const char *behind)
{
    step(m);
    if (s >= m->end) return false;
    int c = (unsigned char)*s;
    switch (*p) {
    case '.': return true;
    case '%': return class_has((unsigned char)p[1], c);
    case '[': return set_has(p, behind - 1, c);
    default: return (unsigned char)*p == c;
    }
}

// ---- items ----

static const char *balanced(matcher *m, const char *s, const char *p)
{
    if (p + 1 >= m->pattern_end) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (s >= m->end || *s != p[0]) return NULL;
    int open = 1;
    while (++s < m->end) {
        step(m);
        if (*s == p[1]) {
            if (--open == 0) return s + 1;
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

// p is behind "%f".
static const char *frontier(matcher *m, const char *s, const char *p)
{
    if (p >= m->pattern_end || *p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    const char *behind = class_end(m, p);
    int previous = s == m->subject ? 0 : (unsigned char)s[-1], here = s < m->end ? (unsigned char)*s : 0;
    if (set_has(p, behind - 1, previous) || !set_has(p, behind - 1, here)) return NULL;
    return match_here(m, s, behind);
}

static const char *repeated(matcher *m, const char *s, const char *behind)
{
    int i = *behind - '1';
    if (i < 0 || i >= m->n_captures || m->captures[i].size == OPEN)
        luaL_error(m->L, "invalid capture index %%%d", i + 1);
    if (m->captures[i].size == POSITION) return NULL;
    size_t n = (size_t)m->captures[i].size;
    m->steps += (unsigned)(n < (1u << 20) ? n / 64 : 1u << 14);
    if ((size_t)(m->end - s) < n || memcmp(m->captures[i].start, s, n) != 0) return NULL;
    return s + n;
}

static const char *open_capture(matcher *m, const char *s, const char *p, ptrdiff_t size)
{
    if (m->n_captures >= MAX_CAPTURES) luaL_error(m->L, "too many captures");
    int i = m->n_captures++;
    m->captures[i].start = s;
    m->captures[i].size = size;
    const char *end = match_here(m, s, p);
    if (!end) m->n_captures--;
    return end;
}

static const char *close_capture(matcher *m, const char *s, const char *p)
{
    int i = m->n_captures - 1;
    while (i >= 0 && m->captures[i].size != OPEN) i--;
    if (i < 0) luaL_error(m->L, "invalid pattern capture");
    m->captures[i].size = s - m->captures[i].start;
    const char *end = match_here(m, s, p);
    if (!end) m->captures[i].size = OPEN;
    return end;
}

static const char *most(matcher *m, const char *s, const char *p, const char *behind)
{
    ptrdiff_t n = 0;
    while (single(m, s + n, p, behind)) n++;
    for (; n >= 0; n--) {
        const char *end = match_here(m, s + n, behind + 1);
        if (end) return end;
    }
    return NULL;
}

static const char *fewest(matcher *m, const char *s, const char *p, const char *behind)
{
    for (;; s++) {
        const char *end = match_here(m, s, behind + 1);
        if (end) return end;
        if (!single(m, s, p, behind)) return NULL;
    }
}

// An item that the first characters of p mark as no plain class; *handled says whether it is one.
static const char *special(matcher *m, const char *s, const char *p, bool *handled)
{
    *handled = true;
    if (*p == '(') return p + 1 < m->pattern_end && p[1] == ')' ? open_capture(m, s, p + 2, POSITION)
                                                                  : open_capture(m, s, p + 1, OPEN);
    if (*p == ')') return close_capture(m, s, p + 1);
    if (*p == '$' && p + 1 == m->pattern_end) return s == m->end ? s : NULL;
    if (*p == '%' && p + 1 < m->pattern_end) {
        if (p[1] == 'b') {
            s = balanced(m, s, p + 2);
            return s ? match_here(m, s, p + 4) : NULL;
        }
        if (p[1] == 'f') return frontier(m, s, p + 2);
        if (isdigit((unsigned char)p[1])) {
            s = repeated(m, s, p + 1);
            return s ? match_here(m, s, p + 2) : NULL;
        }
    }
    *handled = false;
    return NULL;
}

static const char *match_items(matcher *m, const char *s, const char *p)
{
    while (p < m->pattern_end) {
        step(m);
        bool handled;
        const char *end = special(m, s, p, &handled);
        if (handled) return end;
        const char *behind = class_end(m, p);
        char mark = behind < m->pattern_end ? *behind : 0;
        if (mark == '*') return most(m, s, p, behind);
        if (mark == '-') return fewest(m, s, p, behind);
        bool fits = single(m, s, p, behind);
        if (mark == '+') return fits ? most(m, s + 1, p, behind) : NULL;
        if (mark == '?') {
            end = fits ? match_here(m, s + 1, behind + 1) : NULL;
            if (end) return end;
            p = behind + 1;
        } else {
            if (!fits) return NULL;
            s++;
            p = behind;
        }
    }
    return s;
}

static const char *match_here(matcher *m, const char *s, const char *p)
{
    if (++m->depth > MAX_DEPTH) luaL_error(m->L, "pattern too complex");
    const char *end = match_items(m, s, p);
    m->depth--;
    return end;
}

// ---- captures as values ----

static void push_capture(matcher *m, int i, const char *s, const char *end)
{
    if (i >= m->n_captures) {
        if (i != 0) luaL_error(m->L, "invalid capture index %%%d", i + 1);
        lua_pushlstring(m->L, s, (size_t)(end - s));
    } else if (m->captures[i].size == POSITION) {
        lua_pushinteger(m->L, m->captures[i].start - m->subject + 1);
    } else if (m->captures[i].size == OPEN) {
        luaL_error(m->L, "unfinished capture");
    } else {
        lua_pushlstring(m->L, m->captures[i].start, (size_t)m->captures[i].size);
    }
}

// All captures, or the whole match if there is none (and `whole`).
static int push_captures(matcher *m, const char *s, const char *end, bool whole)
{
    int n = m->n_captures == 0 && whole ? 1 : m->n_captures;
    luaL_checkstack(m->L, n, "too many captures");
    for (int i = 0; i < n; i++) push_capture(m, i, s, end);
    return n;
}

static void start(matcher *m, lua_State *L, const char *subject, size_t n, const char *pattern,
                  size_t n_pattern)
{
    *m = (matcher){.L = L, .subject = subject, .end = subject + n, .pattern_end = pattern + n_pattern};
}

static const char *match_at(matcher *m, const char *s, const char *p)
{
    m->n_captures = 0;
    m->depth = 0;
    step(m);
    return match_here(m, s, p);
}

// ---- the four functions ----

static const char *find_plain(const char *s, size_t n, const char *word, size_t n_word)
{
    return n_word ? memmem(s, n, word, n_word) : s;
}

static int found_plain(lua_State *L, const char *subject, size_t n, size_t init, const char *word,
                       size_t n_word)
{
    tm_sandbox_charge(L, (n - init) / 8);
    const char *at = find_plain(subject + init, n - init, word, n_word);
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - subject + 1);
    lua_pushinteger(L, at - subject + (lua_Integer)n_word);
    return 2;
}

static int search(lua_State *L, bool find)
{
    size_t n, n_pattern;
    const char *subject = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &n_pattern);
    lua_Integer init = luaL_optinteger(L, 3, 1);
    if (init < 0) init = -init > (lua_Integer)n ? 1 : (lua_Integer)n + init + 1;
    if (init == 0) init = 1;
    if ((lua_Unsigned)init > n + 1) {
        lua_pushnil(L);
        return 1;
    }
    bool plain = find &&
                 (lua_toboolean(L, 4) || (n_pattern && !strpbrk(p, "^$*+?.([%-") && strlen(p) == n_pattern));
    if (plain) return found_plain(L, subject, n, (size_t)init - 1, p, n_pattern);
    matcher m;
    start(&m, L, subject, n, p, n_pattern);
    bool anchored = n_pattern && *p == '^';
    p += anchored;
    for (const char *s = subject + init - 1; s <= m.end; s++) {
        const char *end = match_at(&m, s, p);
        if (end && !find) return push_captures(&m, s, end, true);
        if (end) {
            lua_pushinteger(L, s - subject + 1);
            lua_pushinteger(L, end - subject);
            return 2 + push_captures(&m, s, end, false);
        }
        if (anchored) break;
    }
    lua_pushnil(L);
    return 1;
}

static int find(lua_State *L)
{
    return search(L, true);
}

static int match(lua_State *L)
{
    return search(L, false);
}

// Upvalues: subject, pattern, where to go on, where the last match ended (or -1).
static int gmatch_step(lua_State *L)
{
    size_t n, n_pattern;
    const char *subject = lua_tolstring(L, lua_upvalueindex(1), &n);
    const char *p = lua_tolstring(L, lua_upvalueindex(2), &n_pattern);
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    matcher m;
    start(&m, L, subject, n, p, n_pattern);
    for (const char *s = subject + lua_tointeger(L, lua_upvalueindex(3)); s <= m.end; s++) {
        const char *end = match_at(&m, s, p);
        if (!end || end - subject == last) continue;
        lua_pushinteger(L, end - subject);
        lua_pushvalue(L, -1);
        lua_replace(L, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(&m, s, end, true);
    }
    return 0;
}

static int gmatch(lua_State *L)
{
    size_t n;
    luaL_checklstring(L, 1, &n);
    luaL_checkstring(L, 2);
    lua_Integer init = luaL_optinteger(L, 3, 1);
    if (init < 0) init = -init > (lua_Integer)n ? 1 : (lua_Integer)n + init + 1;
    if (init == 0) init = 1;
    if ((lua_Unsigned)init > n + 1) init = (lua_Integer)n + 2;
    lua_settop(L, 2);
    lua_pushinteger(L, init - 1);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_step, 4);
    return 1;
}

// Add the replacement string at index 3, with %0 to %9 put in.
static void add_template(matcher *m, luaL_Buffer *out, const char *s, const char *end)
{
    size_t n;
    const char *at = lua_tolstring(m->L, 3, &n), *stop = at + n;
    while (at < stop) {
        const char *percent = memchr(at, '%', (size_t)(stop - at));
        luaL_addlstring(out, at, (size_t)((percent ? percent : stop) - at));
        if (!percent) return;
        char c = percent + 1 < stop ? percent[1] : 0;
        if (c == '%') luaL_addchar(out, '%');
        else if (c == '0') luaL_addlstring(out, s, (size_t)(end - s));
        else if (isdigit((unsigned char)c)) {
            push_capture(m, c - '1', s, end);
            luaL_tolstring(m->L, -1, NULL);
            lua_remove(m->L, -2);
            luaL_addvalue(out);
        } else luaL_error(m->L, "invalid use of '%%' in replacement string");
        at = percent + 2;
    }
}

static void add_replacement(matcher *m, luaL_Buffer *out, const char *s, const char *end, int type)
{
    lua_State *L = m->L;
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_template(m, out, s, end);
        return;
    }
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, s, end, true), 1);
    } else {
        push_capture(m, 0, s, end);
        lua_gettable(L, 3);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, s, (size_t)(end - s));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    luaL_addvalue(out);
}

static int gsub(lua_State *L)
{
    size_t n, n_pattern;
    const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &n_pattern), *last = NULL;
    int type = lua_type(L, 3);
    luaL_argexpected(
        L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
        "string/function/table");
    lua_Integer most_times = luaL_optinteger(L, 4, (lua_Integer)n + 1), times = 0;
    if (type == LUA_TNUMBER) lua_tostring(L, 3);
    bool anchored = n_pattern && *p == '^';
    matcher m;
    start(&m, L, s, n, p, n_pattern);
    p += anchored;
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    while (times < most_times) {
        const char *end = match_at(&m, s, p);
        if (end && end != last) {
            times++;
            add_replacement(&m, &out, s, end, type);
            s = last = end;
        } else if (s < m.end) {
            luaL_addchar(&out, *s++);
        } else {
            break;
        }
        if (luaL_bufflen(&out) > TM_SANDBOX_STRING)
            return luaL_error(L, "'gsub' would make a string of more than 16 MiB");
        if (anchored) break;
    }
    if (s < m.end) luaL_addlstring(&out, s, (size_t)(m.end - s));
    luaL_pushresult(&out);
    lua_pushinteger(L, times);
    return 2;
}

void tm_pattern_add(lua_State *L)
{
    static const luaL_Reg ours[] = {
        {"find", find}, {"gmatch", gmatch}, {"gsub", gsub}, {"match", match}, {NULL, NULL}};
    luaL_setfuncs(L, ours, 0);
}
