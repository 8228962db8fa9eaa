// SPDX-License-Identifier: Apache-2.0
// Garbage collection: what is kept, what goes, and gc against publishers.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/lease.h"
#include "engine/memo.h"
#include "engine/store_log.h"
#include "engine/store_tree.h"
#include "tests/unit/store_fixture.h"

static const tm_gc_policy all_goes = {.keep_ms = -1000, .grace_ms = -1000};
static const tm_gc_policy records_stay = {.keep_ms = 1000000, .grace_ms = -1000};

static tm_hash h(const char *name)
{
    return tm_hash_of(name, strlen(name));
}

static tm_entry put(tm_store *s, const char *text)
{
    tm_entry e = {.rows = 1, .bytes = strlen(text)};
    OK(tm_store_put(s, text, strlen(text), TM_PUT_FILE, &e.hash, &err));
    return e;
}

// An artifact of two chunks, bound to the content key `name`.
static tm_hash bind_as(tm_store *s, const char *name, int64_t time_ms)
{
    char a[64], b[64];
    snprintf(a, sizeof a, "%s, first chunk", name);
    snprintf(b, sizeof b, "%s, second chunk", name);
    tm_entry entries[2] = {put(s, a), put(s, b)};
    tm_key_port port = {.name = "out"};
    tm_bind_outcome outcome;
    OK(tm_artifact_put(s, "text", false, entries, 2, &port.artifact, &err));
    tm_record r = {.own = h(name),
                   .recipe = h(name),
                   .content = h(name),
                   .ports = &port,
                   .n_ports = 1,
                   .time_ms = time_ms};
    OK(tm_key_bind(s, &r, false, &outcome, &err));
    return port.artifact;
}

static tm_gc_report collect(tm_store *s, const tm_gc_policy *policy, bool dry_run)
{
    tm_gc_report report;
    OK(tm_store_gc(s, policy, dry_run, NULL, NULL, &report, &err));
    return report;
}

static void only_what_records_reach_is_kept(void **state)
{
    tm_store *s = fresh(state);
    tm_hash kept = bind_as(s, "kept", 0), refd = put(s, "a cursor refers to me").hash;
    put(s, "garbage");
    put(s, "more garbage");
    char json[128], hex[TM_HASH_HEX];
    tm_hash_hex(refd, hex);
    snprintf(json, sizeof json, "{\"refs\":[\"%s\"]}", hex);
    tm_record r = {.content = h("x"), .json = json};
    tm_bind_outcome outcome;
    OK(tm_key_bind(s, &r, false, &outcome, &err));
    tm_gc_report dry = collect(s, &records_stay, true);
    assert_int_equal(dry.objects_removed, 2);
    assert_int_equal(dry.bytes_removed, 7 + 12);
    assert_true(tm_store_has(s, h("garbage")));
    tm_gc_report wet = collect(s, &records_stay, false);
    assert_memory_equal(&wet, &dry, sizeof wet);
    assert_false(tm_store_has(s, h("garbage")));
    assert_true(tm_artifact_complete(s, kept));
    assert_true(tm_store_has(s, refd));
    assert_int_equal(count_names("trash"), 0);
}

static void an_old_record_goes_with_its_objects(void **state)
{
    tm_store *s = fresh(state);
    tm_gc_policy policy = {.keep_ms = 1000000, .grace_ms = -1000};
    tm_hash young = bind_as(s, "young", 0), old = bind_as(s, "old", 12345);
    tm_gc_report report = collect(s, &policy, false);
    assert_int_equal(report.records_dropped, 1);
    assert_int_equal(report.records_kept, 1);
    assert_int_equal(report.objects_removed, 3);
    assert_null(tm_key_by_content(s, h("old")));
    assert_false(tm_store_has(s, old));
    assert_true(tm_artifact_complete(s, young));
    tm_store_close(s);
    s = reopen(state, 0);
    assert_int_equal(tm_key_count(s), 1);
}

static bool keep_old(const tm_record *record, void *arg)
{
    return tm_hash_eq(record->content, h(arg));
}

static void the_caller_can_keep_records_and_roots(void **state)
{
    tm_store *s = fresh(state);
    tm_gc_policy policy = all_goes;
    tm_hash a = bind_as(s, "a", 0), b = bind_as(s, "b", 0), c = bind_as(s, "c", 0);
    policy.keep = keep_old;
    policy.arg = "a";
    policy.roots = &b;
    policy.n_roots = 1;
    collect(s, &policy, false);
    assert_true(tm_artifact_complete(s, a));
    assert_true(tm_artifact_complete(s, b));
    assert_false(tm_store_has(s, c));
}

static void a_size_limit_drops_the_oldest(void **state)
{
    tm_store *s = fresh(state);
    tm_gc_policy policy = all_goes;
    bind_as(s, "1", 1000);
    bind_as(s, "2", 2000);
    bind_as(s, "3", 3000);
    struct stat info;
    char path[TM_PATH_MAX];
    OK(tm_store_path(s, tm_key_at(s, 0)->ports[0].artifact, path, &err));
    assert_int_equal(stat(path, &info), 0);
    policy.max_bytes = 2 * ((uint64_t)info.st_size + 14 + 15);  // two artifacts with their chunks
    tm_gc_report report = collect(s, &policy, false);
    assert_int_equal(report.records_dropped, 1);
    assert_null(tm_key_by_content(s, h("1")));
    assert_int_equal(report.bytes_kept, policy.max_bytes);
    policy.max_bytes--;
    report = collect(s, &policy, false);
    assert_int_equal(report.records_dropped, 1);
    assert_int_equal(report.objects_kept, 3);
}

static double by_name(const tm_record *record, void *arg)
{
    return tm_hash_eq(record->content, h("1")) ? 2 : tm_hash_eq(record->content, h("2")) ? 0 : 1;
}

static char gone[8];
static uint64_t gone_bytes;

static void hear(const tm_record *record, uint64_t bytes, void *arg)
{
    strcat(gone, tm_hash_eq(record->content, h("1")) ? "1" : tm_hash_eq(record->content, h("2")) ? "2" : "3");
    gone_bytes += bytes;
}

static void of_a_size_limit_and_worths_the_least_goes_first_and_is_told_with_its_bytes(void **state)
{
    tm_store *s = fresh(state);
    tm_gc_policy policy = all_goes;
    bind_as(s, "1", 1000);
    bind_as(s, "2", 2000);
    bind_as(s, "3", 3000);
    policy.max_bytes = 1 << 20;
    tm_gc_report all = collect(s, &policy, true);
    policy.worth = by_name;
    policy.goes = hear;
    policy.max_bytes = all.bytes_kept - 1;
    gone[0] = 0;
    gone_bytes = 0;
    tm_gc_report report = collect(s, &policy, true);
    assert_string_equal(gone, "2");
    assert_int_equal(gone_bytes, report.bytes_removed);
    policy.max_bytes = 1;
    gone[0] = 0;
    gone_bytes = 0;
    report = collect(s, &policy, false);
    assert_string_equal(gone, "231");
    assert_int_equal(gone_bytes, all.bytes_kept);
    assert_int_equal(report.bytes_removed, all.bytes_kept);
}

static void what_does_not_fit_goes_alone_and_what_is_worth_less_but_fits_stays(void **state)
{
    tm_store *s = fresh(state);
    tm_gc_policy policy = all_goes;
    char big[4000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    bind_as(s, "1", 1000);
    bind_as(s, "2", 2000);
    tm_key_port port = {.name = "out"};
    tm_bind_outcome outcome;
    tm_entry entry = put(s, big);
    OK(tm_artifact_put(s, "text", false, &entry, 1, &port.artifact, &err));
    OK(tm_key_bind(s, &(tm_record){.content = h("3"), .ports = &port, .n_ports = 1, .time_ms = 3000}, false,
                   &outcome, &err));
    policy.worth = by_name; // 1, then the big one, then 2
    policy.goes = hear;
    policy.max_bytes = 1 << 20;
    gone[0] = 0;
    gone_bytes = 0;
    tm_gc_report all = collect(s, &policy, true);
    assert_string_equal(gone, "");
    policy.max_bytes = all.bytes_kept - 1000;
    tm_gc_report dry = collect(s, &policy, true);
    assert_string_equal(gone, "3");
    tm_gc_report wet = collect(s, &policy, false);
    assert_string_equal(gone, "33");
    assert_memory_equal(&wet, &dry, sizeof wet);
    assert_int_equal(wet.bytes_kept, all.bytes_kept - gone_bytes / 2);
    assert_non_null(tm_key_by_content(s, h("2")));
}

static tm_hash put_tree(tm_store *s, const char *text)
{
    tm_tree_file file = {"model", put(s, text).hash, strlen(text)};
    tm_hash hash;
    OK(tm_tree_put(s, &(tm_tree){.files = &file, .count = 1}, &hash, &err));
    return hash;
}

static void bind_trees(tm_store *s, const char *name, tm_hash a, tm_hash b, const char *json)
{
    tm_entry entries[2] = {{.hash = a, .rows = 1}, {.hash = b, .rows = 1}};
    tm_key_port port = {.name = "out"};
    tm_bind_outcome outcome;
    OK(tm_artifact_put(s, "model", true, entries, 2, &port.artifact, &err));
    OK(tm_key_bind(s, &(tm_record){.content = h(name), .ports = &port, .n_ports = 1, .json = json}, false,
                   &outcome, &err));
}

static void files_that_a_hollow_result_lacks_are_kept_for_one_that_fits_after_one_that_does_not(void **state)
{
    tm_store *s = fresh(state);
    tm_gc_policy policy = all_goes;
    char big[4000], json[128], hex[TM_HASH_HEX];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    tm_hash shared = put_tree(s, "shared"), own = put_tree(s, "own");
    tm_hash_hex(own, hex);
    snprintf(json, sizeof json, "{\"kept\":{\"out\":[\"%s\"]}}", hex);
    bind_trees(s, "1", own, shared, json);              // of `shared` the manifest alone
    bind_trees(s, "3", shared, put_tree(s, big), NULL); // all of it, and too much
    bind_trees(s, "2", shared, put_tree(s, "little"), NULL);
    policy.worth = by_name;
    policy.max_bytes = 1 << 20;
    tm_gc_report all = collect(s, &policy, true);
    policy.max_bytes = all.bytes_kept - 1000;
    tm_gc_report report = collect(s, &policy, false);
    assert_int_equal(report.records_dropped, 1);
    assert_null(tm_key_by_content(s, h("3")));
    assert_true(tm_tree_complete(s, shared));
}

static void objects_younger_than_the_grace_period_stay(void **state)
{
    tm_store *s = fresh(state);
    tm_gc_policy policy = {.keep_ms = -1000, .grace_ms = 60000};
    put(s, "put just now, bound soon");
    assert_int_equal(collect(s, &policy, false).objects_removed, 0);
}

static void pins_hold_until_their_store_is_closed(void **state)
{
    tm_store *s = fresh(state), *reader;
    tm_hash artifact = bind_as(s, "a", 0);
    OK(tm_store_open(store_path, TM_STORE_NO_KEYS, &reader, &err));
    OK(tm_store_pin(reader, artifact, &err));
    OK(tm_store_pin(reader, artifact, &err));
    assert_int_equal(collect(s, &all_goes, false).objects_removed, 0);
    assert_true(tm_artifact_complete(s, artifact));
    tm_store_close(reader);
    assert_int_equal(collect(s, &all_goes, false).objects_removed, 3);
}

static void remainders_of_dead_processes_are_removed(void **state)
{
    tm_store *s = fresh(state);
    tm_hash artifact = bind_as(s, "a", 0);
    pid_t pid = fork();
    if (pid == 0) {  // dies without closing anything
        tm_store *mine;
        tm_store_writer *w;
        if (tm_store_open(store_path, 0, &mine, &err) < 0 || tm_store_pin(mine, artifact, &err) < 0) _exit(1);
        if (tm_store_writer_new(mine, 0, &w, &err) < 0 || tm_store_writer_add(w, "half", 4, &err) < 0)
            _exit(1);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(count_names("tmp"), 1);
    tm_gc_report report = collect(s, &all_goes, false);
    assert_int_equal(report.tmp_removed, 1);
    assert_int_equal(report.objects_removed, 3);
    assert_int_equal(count_names("tmp"), 0);
    assert_int_equal(count_names("pins"), 1);  // ours
}

static void a_writer_at_work_keeps_its_file(void **state)
{
    tm_store *s = fresh(state), *other;
    tm_store_writer *w;
    tm_hash hash;
    OK(tm_store_open(store_path, 0, &other, &err));
    OK(tm_store_writer_new(other, 0, &w, &err));
    OK(tm_store_writer_add(w, "all of it", 9, &err));
    assert_int_equal(collect(s, &all_goes, false).tmp_removed, 0);
    OK(tm_store_writer_commit(w, &hash, NULL, &err));
    assert_true(tm_store_has(s, hash));
    tm_store_close(other);
}

static void open_logs_are_roots_while_young_or_leased(void **state)
{
    tm_store *s = fresh(state);
    tm_log *log;
    tm_lease *lease;
    tm_entry e = put(s, "entry of a log");
    OK(tm_log_open(s, h("recipe"), "out", &log, &err));
    OK(tm_log_append(log, e, NULL, &err));
    tm_log_close(log);
    assert_int_equal(collect(s, &records_stay, false).objects_removed, 0);
    OK(tm_lease_try(s, h("recipe"), "r1", &lease, NULL, &err));
    assert_int_equal(collect(s, &all_goes, false).objects_removed, 0);
    tm_lease_release(lease);
    tm_gc_report report = collect(s, &all_goes, false);
    assert_int_equal(report.objects_removed, 1);
    assert_int_equal(report.logs_removed, 1);
    assert_int_equal(count_names("logs"), 0);
    collect(s, &all_goes, false);
    assert_int_equal(count_names("leases"), 0);
}

static void trees_and_their_folders_go_together(void **state)
{
    tm_store *s = fresh(state);
    char folder[TM_PATH_MAX];
    tm_tree_file file = {"model", put(s, "weights").hash, 7};
    tm_entry entry = {.rows = 1, .bytes = 7};
    tm_hash artifact;
    OK(tm_tree_put(s, &(tm_tree){.files = &file, .count = 1}, &entry.hash, &err));
    OK(tm_artifact_put(s, "model", true, &entry, 1, &artifact, &err));
    OK(tm_tree_folder(s, entry.hash, folder, &err));
    tm_gc_policy policy = all_goes;
    policy.roots = &artifact;
    policy.n_roots = 1;
    tm_gc_report report = collect(s, &policy, false);
    assert_int_equal(report.objects_removed + report.trees_removed, 0);
    assert_true(tm_artifact_complete(s, artifact));
    report = collect(s, &all_goes, false);
    assert_int_equal(report.objects_removed, 3);
    assert_int_equal(report.trees_removed, 1);
    assert_false(tm_file_exists(folder));
}

static void an_old_memo_goes_when_nothing_it_names_is_kept(void **state)
{
    tm_store *s = fresh(state);
    tm_memo *memo;
    tm_hash artifact = bind_as(s, "a", 0);
    tm_entry e = {.hash = h("a, first chunk")};
    OK(tm_memo_open(s, h("group"), 1, &memo, &err));
    OK(tm_memo_add(memo, h("input"), &(tm_memo_port){&e, 1}, &err));
    tm_memo_close(memo);
    tm_gc_policy policy = all_goes;
    policy.roots = &artifact;
    policy.n_roots = 1;
    collect(s, &policy, false);
    assert_int_equal(count_names("memo"), 1);
    collect(s, &all_goes, false);
    assert_int_equal(count_names("memo"), 0);
}

static void putting_again_makes_an_old_object_young(void **state)
{
    tm_store *s = fresh(state);
    char path[TM_PATH_MAX];
    tm_gc_policy policy = {.keep_ms = -1000, .grace_ms = 60000};
    tm_entry e = put(s, "old");
    OK(tm_store_path(s, e.hash, path, &err));
    struct timeval long_ago[2] = {{1000, 0}, {1000, 0}};
    assert_int_equal(utimes(path, long_ago), 0);
    assert_int_equal(collect(s, &policy, true).objects_removed, 1);
    put(s, "old");
    assert_int_equal(collect(s, &policy, false).objects_removed, 0);
}

static void only_one_gc_runs_at_a_time(void **state)
{
    tm_store *s = fresh(state);
    tm_gc_report report;
    char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%s/gc-lock", store_path);
    collect(s, &all_goes, false);
    int fd = open(path, O_RDWR);
    assert_int_equal(tm_sys.flock(fd, 2 | 4), 0);  // LOCK_EX | LOCK_NB
    assert_int_equal(tm_store_gc(s, &all_goes, false, NULL, NULL, &report, &err), TM_EBUSY);
    close(fd);
}

// What somebody else does when gc has chosen what to sweep, and is about to take the lock for it.
static tm_store *other;
static tm_hash artifact_of_a;
static void (*meanwhile)(void);
static bool sweeping;

static DIR *opendir_of_objects(const char *path)
{
    sweeping |= strcmp(path + strlen(path) - 8, "/objects") == 0;
    return opendir(path);
}

static int open_of_the_lock(const char *path, int flags, mode_t mode)
{
    if (sweeping && strcmp(path + strlen(path) - 5, "/lock") == 0) {
        tm_sys = tm_io_real();
        meanwhile();
    }
    return open(path, flags, mode);
}

static void bind_it(void)
{
    tm_key_port port = {.name = "out", .artifact = artifact_of_a};
    tm_record r = {.content = h("a"), .ports = &port, .n_ports = 1};
    tm_bind_outcome outcome;
    OK(tm_key_bind(other, &r, false, &outcome, &err));
}

static void pin_it(void)
{
    OK(tm_store_pin(other, artifact_of_a, &err));
}

static void put_it_again(void)
{
    put(other, "a, first chunk");
    put(other, "a, second chunk");
    tm_entry entries[2] = {{h("a, first chunk"), 1, 14}, {h("a, second chunk"), 1, 15}};
    OK(tm_artifact_put(other, "text", false, entries, 2, &artifact_of_a, &err));
}

static void make_old(tm_store *s, tm_hash hash)
{
    char path[TM_PATH_MAX];
    struct timeval long_ago[2] = {{1000, 0}, {1000, 0}};
    OK(tm_store_path(s, hash, path, &err));
    assert_int_equal(utimes(path, long_ago), 0);
}

static const tm_gc_policy old_goes = {.keep_ms = -1000, .grace_ms = 60000};

static size_t collect_while(tm_store *s, void (*use)(void))
{
    meanwhile = use;
    sweeping = false;
    tm_sys.opendir = opendir_of_objects;
    tm_sys.open = open_of_the_lock;
    return collect(s, &old_goes, false).objects_removed;
}

static void what_is_used_before_the_sweep_is_kept(void **state)
{
    void (*uses[])(void) = {bind_it, pin_it, put_it_again};
    tm_store *s = fresh(state);
    for (int i = 0; i < 3; i++) {
        OK(tm_store_open(store_path, 0, &other, &err));
        artifact_of_a = bind_as(s, "a", 0);
        OK(tm_key_drop(s, h("a"), &err));
        make_old(s, artifact_of_a);
        make_old(s, h("a, first chunk"));
        make_old(s, h("a, second chunk"));
        assert_int_equal(collect(s, &old_goes, true).objects_removed, 3);
        assert_int_equal(collect_while(s, uses[i]), 0);
        assert_true(tm_artifact_complete(s, artifact_of_a));
        OK(tm_key_drop(other, h("a"), &err));
        tm_store_close(other);
        collect(s, &all_goes, false);
        assert_false(tm_store_has(s, artifact_of_a));
    }
}

static void put_the_artifact(void)
{
    tm_entry entry = {h("a, first chunk"), 1, 14};
    OK(tm_artifact_put(other, "text", false, &entry, 1, &artifact_of_a, &err));
}

static void a_pin_covers_what_appears_later(void **state)
{
    tm_store *s = fresh(state);
    tm_entry entry = put(s, "a, first chunk");
    OK(tm_store_open(store_path, 0, &other, &err));
    artifact_of_a = tm_artifact_hash("text", false, &entry, 1);
    OK(tm_store_pin(other, artifact_of_a, &err));
    make_old(s, entry.hash);
    assert_int_equal(collect(s, &old_goes, true).objects_removed, 1);
    assert_int_equal(collect_while(s, put_the_artifact), 0);
    assert_true(tm_artifact_complete(s, artifact_of_a));
    tm_store_close(other);
}

static bool was_locked;

static int rename_looks_at_the_lock(const char *from, const char *to)
{
    char path[TM_PATH_MAX];
    snprintf(path, sizeof path, "%s/lock", store_path);
    int fd = open(path, O_RDWR);
    if (strstr(from, "/objects/")) was_locked = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return rename(from, to);
}

static void objects_go_under_the_lock(void **state)
{
    tm_store *s = fresh(state);
    put(s, "garbage");
    tm_sys.rename = rename_looks_at_the_lock;
    assert_int_equal(collect(s, &all_goes, false).objects_removed, 1);
    assert_true(was_locked);
}

// A publisher: puts (often what others put as well), pins, binds, and demands all of it back.
static int publish(int id, int64_t until_ms)
{
    tm_store *s;
    if (tm_store_open(store_path, 0, &s, &err) < 0) return 2;
    int rounds = 0;
    for (; tm_time_ms() < until_ms; rounds++) {
        char text[64], name[64];
        tm_entry entries[4];
        tm_key_port port = {.name = "out"};
        tm_bind_outcome outcome;
        for (int i = 0; i < 4; i++) {
            uint64_t n = tm_random_below(7, (uint64_t)id, (uint64_t)(4 * rounds + i), 50);
            snprintf(text, sizeof text, "chunk %d", (int)n);
            entries[i] = (tm_entry){h(text), 1, strlen(text)};
            if (tm_store_pin(s, entries[i].hash, &err) < 0) return 3;
            if (tm_store_put(s, text, strlen(text), 0, &entries[i].hash, &err) < 0) return 4;
        }
        if (tm_store_pin(s, tm_artifact_hash("text", false, entries, 4), &err) < 0) return 5;
        if (tm_artifact_put(s, "text", false, entries, 4, &port.artifact, &err) < 0) return 6;
        snprintf(name, sizeof name, "key %d of %d", rounds, id);
        tm_record r = {.own = h("own"), .recipe = h(name), .content = h(name), .ports = &port, .n_ports = 1};
        if (tm_key_bind(s, &r, false, &outcome, &err) < 0) return 7;
        if (!tm_artifact_complete(s, port.artifact)) return 8;
        if (rounds % 20 == 19) {  // lets go of its pins
            tm_store_close(s);
            if (tm_store_open(store_path, 0, &s, &err) < 0) return 9;
        }
    }
    tm_store_close(s);
    return rounds > 3 ? 0 : 10;
}

static void gc_never_takes_what_a_publisher_relies_on(void **state)
{
    tm_store *s = fresh(state);
    enum { N = 3 };
    pid_t pids[N];
    int64_t until = tm_time_ms() + 1200;
    for (int i = 0; i < N; i++) {
        pids[i] = fork();
        if (pids[i] == 0) _exit(publish(i, until));
    }
    size_t removed = 0;
    while (tm_time_ms() < until) removed += collect(s, &all_goes, false).objects_removed;
    for (int i = 0; i < N; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_true(removed > 50);
    collect(s, &all_goes, false);
    tm_gc_report report = collect(s, &all_goes, false);
    assert_int_equal(report.objects_kept, 0);
    assert_int_equal(count_names("tmp") + count_names("trash"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(only_what_records_reach_is_kept),
        in_folder(an_old_record_goes_with_its_objects),
        in_folder(the_caller_can_keep_records_and_roots),
        in_folder(a_size_limit_drops_the_oldest),
        in_folder(of_a_size_limit_and_worths_the_least_goes_first_and_is_told_with_its_bytes),
        in_folder(what_does_not_fit_goes_alone_and_what_is_worth_less_but_fits_stays),
        in_folder(files_that_a_hollow_result_lacks_are_kept_for_one_that_fits_after_one_that_does_not),
        in_folder(objects_younger_than_the_grace_period_stay),
        in_folder(pins_hold_until_their_store_is_closed),
        in_folder(remainders_of_dead_processes_are_removed),
        in_folder(a_writer_at_work_keeps_its_file),
        in_folder(open_logs_are_roots_while_young_or_leased),
        in_folder(trees_and_their_folders_go_together),
        in_folder(an_old_memo_goes_when_nothing_it_names_is_kept),
        in_folder(putting_again_makes_an_old_object_young),
        in_folder(only_one_gc_runs_at_a_time),
        in_folder(what_is_used_before_the_sweep_is_kept),
        in_folder(a_pin_covers_what_appears_later),
        in_folder(objects_go_under_the_lock),
        in_folder(gc_never_takes_what_a_publisher_relies_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
