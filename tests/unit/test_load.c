// SPDX-License-Identifier: Apache-2.0
// Graph files through the real child: this program is its own graph process.
#include "lua/load/load.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/hash.h"
#include "lua/cli/explained.h"
#include "lua/load/child.h"

#define GOLDEN "tests/fixtures/graph/golden"
// Of the canonical JSON of GOLDEN.lua, which is in GOLDEN.json. Rerun with TM_UPDATE=1 after a change on
// purpose.
#define GOLDEN_HASH "db96b4ae467c3f29022344391c1c7e83"

static const char catalogue[] =
    "{\"stages\":[{\"name\":\"read\",\"outputs\":[\"\"],\"step\":false},"
    "{\"name\":\"gopher\",\"outputs\":[\"\",\"removed\"],\"step\":true},"
    "{\"name\":\"repetition\",\"outputs\":[\"\",\"removed\"],\"step\":true},"
    "{\"name\":\"split\",\"outputs\":[\"train\",\"valid\"],\"step\":false},"
    "{\"name\":\"evaluate\",\"outputs\":[\"\"],\"step\":false,\"metrics\":true},"
    "{\"name\":\"pretrain\",\"outputs\":[\"\",\"tokenizer\"],\"step\":false}],"
    "\"values\":[{\"name\":\"llama\"},{\"name\":\"perplexity\"}]}";

typedef struct fixture {
    char folder[64], path[128];
    tm_lua_fault fault;
    tm_error err;
    json_t *out;
    tm_buf printed;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/tidemill-load-XXXXXX");
    if (!mkdtemp(f->folder)) return -1;
    snprintf(f->path, sizeof f->path, "%s/g.lua", f->folder);
    *state = f;
    return 0;
}

static void remove_folder(const char *folder)
{
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (entry->d_type == DT_DIR) remove_folder(path);
        else unlink(path);
    }
    if (list) closedir(list);
    rmdir(folder);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    remove_folder(f->folder);
    tm_buf_clear(&f->printed);
    json_decref(f->out);
    free(f);
    return 0;
}

static void write_file(const fixture *f, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void keep_line(void *user, const char *line)
{
    fixture *f = user;
    tm_buf_fmt(&f->printed, "%s|", line);
}

static tm_status eval_file(fixture *f, const char *path, const tm_graph_param *params, size_t n)
{
    tm_graph_source source = {.path = path, .params = params, .n_params = n, .print = keep_line, .user = f};
    json_decref(f->out);
    return tm_graph_eval(&source, catalogue, &f->out, &f->fault, &f->err);
}

// Evaluate text as g.lua, behind a first line that makes `tm`.
static tm_status eval(fixture *f, const char *text)
{
    char *whole = malloc(strlen(text) + 64);
    sprintf(whole, "local tm = require \"tidemill\"\n%s\n", text);
    write_file(f, "g.lua", whole);
    free(whole);
    return eval_file(f, f->path, NULL, 0);
}

static void assert_fault(fixture *f, tm_status status, const char *code, int line, const char *word,
                         const char *part, const char *fix)
{
    const tm_diag *diag = &f->fault.diag;
    bool right = status == TM_EGRAPH && strcmp(diag->code, code) == 0 && diag->line == line &&
                 strcmp(diag->word, word) == 0 && strstr(diag->what, part) && strstr(diag->fix, fix);
    if (!right)
        print_message("%d %s %s:%d word \"%s\"\n  %s\n  fix %s\n", status, diag->code, diag->file, diag->line,
                      diag->word, diag->what, diag->fix);
    assert_true(right);
}

static void assert_json(const json_t *json, const char *expected)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static const json_t *args_of(const fixture *f, size_t node)
{
    return json_object_get(json_array_get(json_object_get(f->out, "nodes"), node), "args");
}

// ---- the same everywhere ----

static void hash_of(const json_t *json, char hex[TM_HASH_HEX])
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    assert_non_null(text);
    tm_hash_hex(tm_hash_of(text, strlen(text)), hex);
    free(text);
}

static void the_golden_graph_is_the_same_in_every_zone_language_and_folder(void **state)
{
    static const char *const zones[] = {"UTC", "Asia/Kathmandu", "America/St_Johns"};
    static const char *const languages[] = {"C", "de_DE.UTF-8", "tr_TR.UTF-8"};
    fixture *f = *state;
    char here[1024], path[1200], hex[TM_HASH_HEX];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "%s/%s.lua", here, GOLDEN);
    for (int i = 0; i < 3; i++) {
        setenv("TZ", zones[i], 1);
        setenv("LC_ALL", languages[i], 1);
        setenv("LANG", languages[i], 1);
        if (i == 1) assert_int_equal(chdir("/"), 0);
        tm_status status = eval_file(f, i == 2 ? GOLDEN ".lua" : path, NULL, 0);
        assert_int_equal(chdir(here), 0);
        if (status != TM_OK) print_message("%s\n", f->err.text);
        assert_int_equal(status, TM_OK);
        if (getenv("TM_UPDATE")) json_dump_file(f->out, GOLDEN ".json", JSON_INDENT(1) | JSON_SORT_KEYS);
        json_t *golden = json_load_file(GOLDEN ".json", 0, NULL);
        assert_true(json_equal(golden, f->out));
        json_decref(golden);
        hash_of(f->out, hex);
        assert_string_equal(hex, GOLDEN_HASH);
    }
    unsetenv("TZ");
    unsetenv("LC_ALL");
    unsetenv("LANG");
}

// ---- the language ----

static void a_curate_chains_its_steps_and_bundles_what_they_removed(void **state)
{
    fixture *f = *state;
    assert_int_equal(eval(f,
                          "local c = tm.curate { tm.read { 'a' }, tm.gopher { x = 1 }, tm.repetition {} }\n"
                          "return tm.graph { c = c, r = tm.read { c.removed } }"),
                     TM_OK);
    assert_json(args_of(f, 1), "{\"1\":{\"$ref\":{\"node\":0,\"out\":\"\"}},\"x\":1}");
    assert_json(args_of(f, 2), "{\"1\":{\"$ref\":{\"node\":1,\"out\":\"\"}}}");
    assert_json(args_of(f, 3), "{\"1\":{\"$refs\":[{\"$ref\":{\"node\":1,\"out\":\"removed\"}},"
                               "{\"$ref\":{\"node\":2,\"out\":\"removed\"}}]}}");
    assert_json(json_object_get(json_array_get(json_object_get(f->out, "nodes"), 1), "curate"), "2");
    assert_json(json_object_get(f->out, "targets"),
                "[[\"c\",{\"node\":2,\"out\":\"\"}],[\"r\",{\"node\":3,\"out\":\"\"}]]");
}

static void nodes_know_the_line_of_their_call_also_in_tail_position(void **state)
{
    fixture *f = *state;
    assert_int_equal(eval(f, "local function make(x)\n  return tm.read { x }\nend\n"
                             "return tm.graph { a = make('x'), b = tm.read {\n  'y' } }"), TM_OK);
    const json_t *nodes = json_object_get(f->out, "nodes");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(nodes, 0), "line")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(nodes, 1), "line")), 5);
}

static void parameters_take_overrides_of_their_kind(void **state)
{
    fixture *f = *state;
    write_file(f, "g.lua",
               "local tm = require 'tidemill'\n"
               "local p = tm.params { n = tm.int { 1, min = 0, max = 1000 }, x = tm.number { 1 }, s = "
               "tm.string { 'a' },\n"
               "  b = tm.bool { false }, c = tm.choice { 'u', choices = { 'u', 'v' } }, must = tm.path {} }\n"
               "return tm.graph { r = tm.read { p.n, p.x, p.s, p.b, p.c, p.must } }\n");
    const tm_graph_param params[] = {{"n", "5e2"}, {"x", "1e-3"}, {"s", "caf\xc3\xa9=1"},
                                     {"b", "yes"}, {"c", "v"},    {"must", "x/y"}};
    assert_int_equal(eval_file(f, f->path, params, 6), TM_OK);
    assert_json(args_of(f, 0),
                "{\"1\":500,\"2\":0.001,\"3\":\"caf\xc3\xa9=1\",\"4\":true,\"5\":\"v\",\"6\":\"x/y\"}");
    assert_json(json_array_get(json_object_get(f->out, "params"), 0),
                "{\"default\":1,\"kind\":\"int\",\"line\":2,\"max\":1000,\"min\":0,\"name\":\"n\",\"value\":500}");
    static const struct {
        tm_graph_param param;
        const char *code, *word, *part, *fix;
    } wrong[] = {
        {{"n", "1.5"}, "TM0109", "n", "--set n=1.5: it takes a whole number", ""},
        {{"n", "many"}, "TM0109", "n", "--set n=many", ""},
        {{"n", "-1"}, "TM0109", "n", "at least 0", ""},
        {{"n", "1001"}, "TM0109", "n", "at most 1000", ""},
        {{"x", "nan"}, "TM0109", "x", "a number", ""},
        {{"b", "1"}, "TM0109", "b", "true or false", ""},
        {{"c", "w"}, "TM0109", "c", "one of u, v", ""},
        {{"m", "1"}, "TM0109", "must", "'must' has no default", "--set must="},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const tm_graph_param given[] = {wrong[i].param, {"must", "x"}};
        tm_status status = eval_file(f, f->path, given, wrong[i].param.name[0] == 'm' ? 0 : 2);
        assert_fault(f, status, wrong[i].code, 2, wrong[i].word, wrong[i].part, wrong[i].fix);
    }
    const tm_graph_param typo[] = {{"must", "x"}, {"mast", "y"}};
    assert_fault(f, eval_file(f, f->path, typo, 2), "TM0108", 2, "params", "no parameter 'mast'",
                 "--set must=...");
}

typedef struct mistake {
    const char *text, *code;
    int line;
    const char *word, *part, *fix;
} mistake;

static const mistake mistakes[] = {
    {"tm.reed {}", "TM0105", 2, "reed", "no tm.reed", "did you mean tm.read?"},
    {"local d = tm.split { tm.read { 'a' } }\nprint(d.tran)", "TM0106", 3, "tran", "split has no port 'tran'",
     "did you mean .train?"},
    {"local d = tm.read { 'a' }\nd:lates()", "TM0106", 3, "lates", "no port 'lates'",
     "did you mean :latest?"},
    {"local d = tm.split { tm.read { 'a' } }\nprint(d.train.valid)", "TM0106", 3, "valid",
     "split.train has no port", ""},
    {"prnit(1)", "TM0103", 2, "prnit", "no global 'prnit'", "'print'"},
    {"steps = 5", "TM0104", 2, "steps", "'steps' would become a global", "local steps"},
    {"tm.curate { tm.read { 'a' }, tm.gopher }", "TM0110", 2, "gopher", "is tm.gopher itself",
     "tm.gopher {}"},
    {"tm.curate { tm.read { 'a' }, tm.read { 'b' } }", "TM0110", 2, "curate", "the node read, not a step",
     ""},
    {"tm.curate { tm.gopher {} }", "TM0113", 2, "curate", "no source", "tm.curate { source, step, ... }"},
    {"tm.curate { tm.read { 'a' }, tm.gopher {}, size = 3 }", "TM0118", 2, "size", "no option 'size'", ""},
    {"tm.read { tm.gopher {} }", "TM0110", 2, "gopher", "a step, which stands only inside tm.curate", ""},
    {"local s = tm.gopher {}\nprint(s.removed)", "TM0110", 3, "removed", "it has no ports", "tm.curate"},
    {"tm.read { x = { y = { print } } }", "TM0112", 2, "y", "tm.read: x.y.1 is a function", "plain data"},
    {"tm.read { at = 3 }", "TM0112", 2, "at", "takes a table", ""},
    {"tm.read { store = 'yes' }", "TM0112", 2, "store", "takes true or false", ""},
    {"tm.read 'x'", "TM0113", 2, "read", "takes one table in braces, not a string", "tm.read { ... }"},
    {"tm.read { nil, 'x' }", "TM0112", 2, "", "has nil among its first values", ""},
    {"local e = tm.evaluate { tm.read { 'a' } }\nif e.text.accuracy > 0.5 then print(1) end", "TM0111", 3,
     "accuracy", "the metric evaluate.text.accuracy has no value",
     "node:best \"text.accuracy\""},
    {"local m = tm.pretrain { tm.read { 'a' } }\nif m['valid.loss'] <= 2 then print(1) end", "TM0111", 3,
     "loss", "pretrain.valid.loss",
     "node:best \"valid.loss\""},
    {"local m = tm.pretrain { tm.read { 'a' } }\nif 2 < m then print(1) end", "TM0111", 3, "pretrain",
     "cannot be compared", "once the graph runs"},
    {"local m = tm.read { 'a' }\nm.best 'valid.loss'", "TM0119", 3, "best", "is a method", "write a colon"},
    {"tm.read { 'a' }:at(0)", "TM0119", 2, "at", "a whole number from 1, not 0", ""},
    {"tm.read { 'a' }:each { evry = 2 }", "TM0118", 2, "evry", "no option 'evry'", "did you mean every?"},
    {"tm.read { 'a' }:latest():at(3)", "TM0119", 2, "at", "narrowed by a selector already", ""},
    {"local p = tm.params { rank = tm.int { 1 } }\nprint(p.rnak)", "TM0108", 3, "rnak", "no parameter 'rnak'",
     "did you mean rank?"},
    {"local p = tm.params { rank = tm.int { 1 } }\np.rank = 3", "TM0108", 3, "rank", "cannot be changed",
     "local"},
    {"tm.params { rank = 16 }", "TM0107", 2, "rank", "rank is no declaration", "tm.int { 500, min = 1 }"},
    {"tm.params { rank = tm.int { 'x' } }", "TM0109", 2, "rank", "a whole number", ""},
    {"tm.params { rank = tm.int { 1, mim = 3 } }", "TM0118", 2, "mim", "tm.int has no option 'mim'",
     "did you mean min?"},
    {"tm.read { size = tm.int { 1 } }", "TM0112", 2, "size", "declares a parameter", "tm.params"},
    {"return 3", "TM0113", 2, "return", "returned a number, not a graph", "return tm.graph"},
    {"return tm.graph { a = 3 }", "TM0113", 2, "a", "'a' is a number", ""},
    {"return tm.graph { a = tm.gopher {} }", "TM0113", 2, "a", "'a' is the step tm.gopher {}", ""},
    {"return tm.graph { a = tm.gopher }", "TM0113", 2, "a", "'a' is tm.gopher", ""},
    {"return tm.graph { ['a b'] = tm.read { 'x' } }", "TM0113", 2, "a b", "cannot name a node", ""},
    {"tm.sweep({ lr = 3 }, function() end)", "TM0113", 2, "lr", "'lr' is no list", ""},
    {"tm.sweep({ lr = { 3 } }, function(v) return v.rl end)", "TM0108", 2, "rl", "no value 'rl'",
     "did you mean lr?"},
    {"require 'lib.nope'", "TM0114", 2, "lib.nope", "there is no lib/nope.lua", ""},
    {"require '../nope'", "TM0114", 2, "../nope", "a name is letters", ""},
    {"local x = = 3", "TM0101", 2, "=", "unexpected symbol", ""},
    {"local x = nil\nreturn x.y", "TM0102", 3, "x", "attempt to index a nil value (local 'x')", ""},
    {"error('boom')", "TM0102", 2, "", "boom", ""},
    {"error()", "TM0102", 2, "", "without a message", ""},
    {"return os.time()", "TM0115", 2, "os", "no 'os'", "tm.params"},
};

static void mistakes_are_named_with_line_word_and_remedy(void **state)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const mistake *m = &mistakes[i];
        tm_status status = eval(*state, m->text);
        if (status != TM_EGRAPH) print_message("%s\n", m->text);
        assert_fault(*state, status, m->code, m->line, m->word, m->part, m->fix);
    }
}

static void a_comparison_of_metrics_names_the_gate_where_there_is_one(void **state)
{
    static const char with_gate[] =
        "{\"stages\":[{\"name\":\"evaluate\",\"outputs\":[\"\"],\"step\":false,\"metrics\":true},"
        "{\"name\":\"gate\",\"outputs\":[\"\"],\"step\":false}],\"values\":[]}";
    fixture *f = *state;
    write_file(f, "g.lua",
               "local e = require 'tidemill'.evaluate {}\nif e.text.accuracy > 0.5 then print(1) end\n");
    tm_graph_source source = {.path = f->path};
    assert_fault(f, tm_graph_eval(&source, with_gate, &f->out, &f->fault, &f->err), "TM0111", 2, "accuracy",
                 "has no value", "tm.gate { node, on = ..., require = \"text.accuracy > ...\" }");
}

static void every_code_of_a_fault_has_a_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        tm_explained explained;
        assert_true(tm_explained_find(mistakes[i].code, &explained));
        assert_true(explained.title.size > 0 && explained.text.size > 0);
    }
}

// ---- files ----

static void required_files_are_served_once_hashed_and_blamed(void **state)
{
    fixture *f = *state;
    char path[200], target[200];
    snprintf(path, sizeof path, "%s/lib", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(f, "lib/a.lua", "print('a') return { n = 1 }");
    write_file(f, "lib/bad.lua", "local x = {}\nlocal y = x.y.z\n");
    write_file(f, "lib/worse.lua", "\nlocal y = = 1\n");
    write_file(f, "lib/loop.lua", "while true do end\n");
    assert_int_equal(eval(f, "assert(require 'lib.a' == require 'lib.a')\nreturn tm.graph { r = tm.read { "
                             "require('lib.a').n } }"),
                     TM_OK);
    assert_string_equal(f->printed.data, "a|");
    const json_t *file = json_array_get(json_object_get(f->out, "files"), 1);
    char hex[TM_HASH_HEX];
    tm_hash_hex(tm_hash_of("print('a') return { n = 1 }", 27), hex);
    assert_string_equal(json_string_value(json_object_get(file, "path")), "lib/a.lua");
    assert_string_equal(json_string_value(json_object_get(file, "hash")), hex);
    assert_int_equal(json_array_size(json_object_get(f->out, "files")), 2);

    assert_fault(f, eval(f, "require 'lib.bad'"), "TM0102", 2, "y", "attempt to index a nil value", "");
    assert_string_equal(f->fault.diag.file, "lib/bad.lua");
    assert_string_equal(f->fault.traceback, "lib/bad.lua:2: in the file\ng.lua:2: in the file");
    assert_fault(f, eval(f, "require 'lib.worse'"), "TM0101", 2, "=", "unexpected symbol", "");
    assert_string_equal(f->fault.diag.file, "lib/worse.lua");
    assert_fault(f, eval(f, "require 'lib.loop'"), "TM0120", 1, "", "steps", "");
    assert_string_equal(f->fault.diag.file, "lib/loop.lua");

    snprintf(path, sizeof path, "%s/link.lua", f->folder);
    snprintf(target, sizeof target, "%s/lib/a.lua", f->folder);
    assert_int_equal(symlink(target, path), 0);
    assert_fault(f, eval(f, "require 'link'"), "TM0114", 2, "link", "is a link", "");
    snprintf(path, sizeof path, "%s/away", f->folder);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_fault(f, eval(f, "require 'away.x'"), "TM0114", 2, "away.x", "away/x.lua", "");
    snprintf(path, sizeof path, "%s/pipe.lua", f->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_fault(f, eval(f, "require 'pipe'"), "TM0114", 2, "pipe", "is no file", "");
}

static void prints_arrive_clean_also_when_the_file_fails(void **state)
{
    fixture *f = *state;
    assert_int_equal(eval(f, "print('one', 2.5, nil, {})\nprint('\\27[1m\\xff')\nerror('no')"), TM_EGRAPH);
    assert_string_equal(f->printed.data, "one 2.5 nil table|?[1m?|");
    assert_int_equal(
        eval(f, "for i = 1, 3000 do print(('x'):rep(100)) end\nreturn tm.graph { r = tm.read { 'a' } }"),
        TM_OK);
    const json_t *log = json_object_get(f->out, "log");
    size_t n = json_array_size(log);
    assert_in_range(n, 600, 700);
    assert_non_null(strstr(json_string_value(json_array_get(log, n - 1)), "the rest is left out"));
}

// ---- the world ----

static size_t count_open(void)
{
    size_t n = 0;
    DIR *list = opendir("/proc/self/fd");
    while (readdir(list)) n++;
    closedir(list);
    return n;
}

static void a_missing_file_or_program_and_a_dead_child_are_told_apart(void **state)
{
    fixture *f = *state;
    assert_int_equal(eval_file(f, "/nowhere/g.lua", NULL, 0), TM_ENOENT);
    assert_string_equal(f->fault.diag.code, "TM0100");
    assert_int_equal(eval(f, "return tm.graph { r = tm.read { 'a' } }"), TM_OK);
    size_t open = count_open();
    tm_graph_source source = {.path = f->path, .program = "/nowhere/tidemill"};
    json_t *out;
    assert_true(tm_graph_eval(&source, catalogue, &out, &f->fault, &f->err) < 0);
    assert_non_null(strstr(f->err.text, "/nowhere/tidemill"));
    source.program = "/bin/false";
    assert_fault(f, tm_graph_eval(&source, catalogue, &out, &f->fault, &f->err), "TM0125", 0, "",
                 "without an answer", "report");
    assert_string_equal(f->fault.diag.file, "g.lua");
    assert_int_equal(count_open(), open);
    assert_null(out);
}

// Stands in for the graph process: listens, speaks, and goes.
static void write_impostor(fixture *f, const char *says)
{
    char text[600], path[128];
    snprintf(text, sizeof text, "#!/bin/sh\nhead -c 400 <&0 > /dev/null\nprintf '%s' >&0\n", says);
    write_file(f, "impostor", text);
    snprintf(path, sizeof path, "%s/impostor", f->folder);
    assert_int_equal(chmod(path, 0700), 0);
}

static void a_graph_process_that_was_taken_over_gains_nothing(void **state)
{
    static const struct {
        const char *says;
        tm_status status;
        const char *part;
    } cases[] = {
        {"j\\377\\377\\377\\377", TM_EFORMAT, "sends 4294967295 bytes"},
        {"j\\002\\000\\000\\000{}", TM_EGRAPH, "gave no graph"},
        {"j\\003\\000\\000\\000{{{", TM_EGRAPH, "gave no graph"},
        {"x\\002\\000\\000\\000{}", TM_EGRAPH, "no answer that can be read"},
        {"q\\000\\000\\000\\000", TM_EFORMAT, "a message of kind"},
        {"r\\013\\000\\000\\000/etc/passwd", TM_EGRAPH, "without an answer"},
        {"r\\003\\000\\000\\000../", TM_EGRAPH, "without an answer"},
        {"l\\005\\000\\000\\000\\033[2J\\377j", TM_EGRAPH, "without an answer"},
    };
    fixture *f = *state;
    char path[128];
    json_t *out;
    snprintf(path, sizeof path, "%s/impostor", f->folder);
    write_file(f, "g.lua", "return 1");
    tm_graph_source source = {.path = f->path, .program = path, .print = keep_line, .user = f};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_impostor(f, cases[i].says);
        tm_status status = tm_graph_eval(&source, catalogue, &out, &f->fault, &f->err);
        if (status != cases[i].status || !strstr(f->err.text, cases[i].part))
            print_message("%zu: %s\n", i, f->err.text);
        assert_int_equal(status, cases[i].status);
        assert_non_null(strstr(f->err.text, cases[i].part));
        assert_null(out);
    }
    assert_string_equal(f->printed.data, "?[2J?|");
}

static void a_graph_of_ten_thousand_nodes_is_quick(void **state)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(
        eval(*state,
             "local n = tm.read { 'a' }\n"
             "for i = 1, 9999 do n = tm.pretrain { n, lr = 1e-4, seed = i, keep = { 'a', 'b' } } end\n"
             "return tm.graph { n = n }"),
        TM_OK);
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_int_equal(json_array_size(json_object_get(((fixture *)*state)->out, "nodes")), 10000);
    assert_true((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9 < 3.0);
}

static void allocations_that_fail_in_the_parent_end_in_an_error(void **state)
{
    fixture *f = *state;
    assert_int_equal(eval(f, "return tm.graph { r = tm.read { 'a' } }"), TM_OK);
    int n_failed = 0;
    for (uint64_t i = 1; i < 8; i++) {
        tm_alloc_fail_at(i, true);
        tm_status status = eval_file(f, f->path, NULL, 0);
        tm_alloc_fail_at(0, false);
        n_failed += status < 0;
    }
    assert_in_range(n_failed, 1, 7);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], TM_GRAPH_CHILD) == 0) return tm_graph_child();
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_golden_graph_is_the_same_in_every_zone_language_and_folder),
        CASE(a_curate_chains_its_steps_and_bundles_what_they_removed),
        CASE(nodes_know_the_line_of_their_call_also_in_tail_position),
        CASE(parameters_take_overrides_of_their_kind),
        CASE(mistakes_are_named_with_line_word_and_remedy),
        CASE(a_comparison_of_metrics_names_the_gate_where_there_is_one),
        CASE(every_code_of_a_fault_has_a_meaning),
        CASE(required_files_are_served_once_hashed_and_blamed),
        CASE(prints_arrive_clean_also_when_the_file_fails),
        CASE(a_missing_file_or_program_and_a_dead_child_are_told_apart),
        CASE(a_graph_process_that_was_taken_over_gains_nothing),
        CASE(a_graph_of_ten_thousand_nodes_is_quick),
        CASE(allocations_that_fail_in_the_parent_end_in_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
