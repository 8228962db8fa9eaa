// SPDX-License-Identifier: Apache-2.0
// Archives are written with libarchive into memory and read back through callbacks over that memory.
#include "stages/format/archive.h"

#include <setjmp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

// ---- a file system in memory: one file ----

typedef struct memory {
    tm_buf bytes;
    size_t at;
    size_t fail_at; // reads at or beyond this offset fail; 0: none
    int opened;
} memory;

static tm_status memory_kind(void *self, const char *path, tm_file_kind *kind, tm_error *err)
{
    (void)self;
    (void)path;
    (void)err;
    *kind = TM_FILE_PLAIN;
    return TM_OK;
}

static tm_status memory_open(void *self, const char *path, void **file, tm_error *err)
{
    (void)path;
    (void)err;
    memory *m = self;
    m->at = 0;
    m->opened++;
    *file = m;
    return TM_OK;
}

static tm_status memory_read(void *file, void *data, size_t size, size_t *got, tm_error *err)
{
    memory *m = file;
    if (m->fail_at && m->at >= m->fail_at) return tm_fail(err, TM_EIO, "read at %zu failed", m->at);
    if (size > 1000) size = 1000; // short reads, as from a pipe
    size_t left = m->bytes.size - m->at;
    *got = left < size ? left : size;
    memcpy(data, m->bytes.data + m->at, *got);
    m->at += *got;
    return TM_OK;
}

static tm_status memory_seek(void *file, uint64_t offset, tm_error *err)
{
    memory *m = file;
    if (offset > m->bytes.size) return tm_fail(err, TM_EIO, "seek beyond the end");
    m->at = (size_t)offset;
    return TM_OK;
}

static tm_status memory_size(void *file, uint64_t *size, tm_error *err)
{
    (void)err;
    *size = ((memory *)file)->bytes.size;
    return TM_OK;
}

static void memory_close(void *file)
{
    ((memory *)file)->opened--;
}

static tm_files files_of(memory *m)
{
    return (tm_files){.self = m,
                      .kind = memory_kind,
                      .open = memory_open,
                      .read = memory_read,
                      .seek = memory_seek,
                      .size = memory_size,
                      .close = memory_close};
}

// ---- writing archives ----

static la_ssize_t on_write(struct archive *a, void *self, const void *data, size_t size)
{
    (void)a;
    tm_buf_add(self, data, size);
    return (la_ssize_t)size;
}

static struct archive *writer(tm_buf *out, int format, int filter)
{
    struct archive *a = archive_write_new();
    if (format == ARCHIVE_FORMAT_AR_BSD)
        archive_write_set_format_ar_bsd(a);
    else
        archive_write_set_format(a, format);
    archive_write_add_filter(a, filter);
    archive_write_set_bytes_in_last_block(a, 1);
    archive_write_open(a, out, NULL, on_write, NULL);
    return a;
}

static void put_sized(struct archive *a, const char *path, const void *data, size_t size)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, path);
    archive_entry_set_size(e, (la_int64_t)size);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    if (archive_write_header(a, e) < ARCHIVE_WARN) fail_msg("%s: %s", path, archive_error_string(a));
    assert_int_equal(archive_write_data(a, data, size), (la_ssize_t)size);
    archive_entry_free(e);
}

static void put(struct archive *a, const char *path, const char *text)
{
    put_sized(a, path, text, strlen(text));
}

static void put_links(struct archive *a)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, "soft");
    archive_entry_set_filetype(e, AE_IFLNK);
    archive_entry_set_symlink(e, "/etc/passwd");
    archive_write_header(a, e);
    archive_entry_clear(e);
    archive_entry_set_pathname(e, "hard");
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_hardlink(e, "../../etc/passwd");
    archive_write_header(a, e);
    archive_entry_clear(e);
    archive_entry_set_pathname(e, "device");
    archive_entry_set_filetype(e, AE_IFCHR);
    archive_write_header(a, e);
    archive_entry_free(e);
}

static void finish(struct archive *a)
{
    archive_write_close(a);
    archive_write_free(a);
}

// "path=text;" of every member, or the error.
static tm_status listing(const char *root, const tm_files *files, const tm_archive_options *options,
                         tm_buf *out, tm_error *err)
{
    tm_archive *in;
    tm_member m;
    tm_status status = tm_archive_open(&in, root, files, options, err);
    if (status < 0) return status;
    while ((status = tm_archive_next(in, &m, err)) == TM_OK) {
        tm_buf_fmt(out, "%s=", m.path);
        status = tm_archive_read_all(in, out, err);
        if (status < 0) break;
        tm_buf_char(out, ';');
    }
    tm_archive_close(in);
    return status;
}

static void expect_listing(memory *m, const char *name, const char *match, const char *expected)
{
    tm_buf out = {0};
    tm_error err = {0};
    tm_files files = files_of(m);
    tm_archive_options options = {.match = match};
    assert_int_equal(listing(name, &files, &options, &out, &err), TM_DONE);
    assert_string_equal(out.data ? out.data : "", expected);
    assert_int_equal(m->opened, 0);
    tm_buf_clear(&out);
}

static void tar_members_come_in_stored_order_under_every_compression(void **state)
{
    (void)state;
    static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ,
                                  ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_BZIP2};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        memory m = {0};
        struct archive *a = writer(&m.bytes, ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, filters[i]);
        put(a, "z/late.html", "one");
        put(a, "./a.txt", "two");
        put_links(a);
        put(a, "h\xc3\xa9.html", "three");
        finish(a);
        expect_listing(&m, "x.tar", NULL, "z/late.html=one;a.txt=two;h\xc3\xa9.html=three;");
        expect_listing(&m, "x.tar", "**/*.html", "z/late.html=one;h\xc3\xa9.html=three;");
        tm_buf_clear(&m.bytes);
    }
}

static void zip_members_are_read_with_and_without_seeking(void **state)
{
    (void)state;
    memory m = {0};
    struct archive *a = writer(&m.bytes, ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE);
    put(a, "b.txt", "bee");
    put(a, "a/c.txt", "sea");
    finish(a);
    expect_listing(&m, "x.zip", NULL, "b.txt=bee;a/c.txt=sea;");
    tm_files files = files_of(&m);
    files.seek = NULL;
    files.size = NULL;
    tm_buf out = {0};
    assert_int_equal(listing("x.zip", &files, NULL, &out, NULL), TM_DONE);
    assert_string_equal(out.data, "b.txt=bee;a/c.txt=sea;");
    tm_buf_clear(&out);
    tm_buf_clear(&m.bytes);
}

static void a_debian_package_gives_the_members_of_its_data(void **state)
{
    (void)state;
    tm_buf data = {0};
    memory m = {0};
    struct archive *a = writer(&data, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_XZ);
    put(a, "./usr/share/doc/x.html", "<p>x");
    finish(a);
    a = writer(&m.bytes, ARCHIVE_FORMAT_AR_BSD, ARCHIVE_FILTER_NONE);
    put(a, "debian-binary", "2.0\n");
    put(a, "control.tar", "not read");
    put_sized(a, "data.tar.xz", data.data, data.size);
    finish(a);
    expect_listing(&m, "x.deb", NULL, "usr/share/doc/x.html=<p>x;");
    m.bytes.data[m.bytes.size - 30] ^= 0x55;
    tm_buf out = {0};
    tm_error err = {0};
    tm_files files = files_of(&m);
    assert_int_equal(listing("x.deb", &files, NULL, &out, &err), TM_EFORMAT);
    tm_buf_clear(&out);
    tm_buf_clear(&data);
    tm_buf_clear(&m.bytes);
}

static void an_archive_in_an_archive_is_a_plain_member(void **state)
{
    (void)state;
    tm_buf inner = {0}, out = {0};
    memory m = {0};
    struct archive *a = writer(&inner, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_NONE);
    put(a, "deep.txt", "deep");
    finish(a);
    a = writer(&m.bytes, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_NONE);
    put_sized(a, "inner.tar", inner.data, inner.size);
    finish(a);
    tm_files files = files_of(&m);
    assert_int_equal(listing("x.tar", &files, NULL, &out, NULL), TM_DONE);
    assert_memory_equal(out.data, "inner.tar=deep.txt", 18);
    assert_int_equal(out.size, inner.size + 11);
    tm_buf_clear(&inner);
    tm_buf_clear(&out);
    tm_buf_clear(&m.bytes);
}

static void a_single_compressed_file_loses_its_suffix(void **state)
{
    (void)state;
    memory m = {0};
    for (int part = 0; part < 2; part++) { // two gzip members, as in a WARC
        struct archive *a = writer(&m.bytes, ARCHIVE_FORMAT_RAW, ARCHIVE_FILTER_GZIP);
        put(a, "x", part ? "world" : "hello ");
        finish(a);
    }
    expect_listing(&m, "dir/docs.jsonl.gz", NULL, "docs.jsonl=hello world;");
    expect_listing(&m, "dir/docs.jsonl.gz", "*.html", "");
    tm_buf_clear(&m.bytes);
}

static void a_plain_file_is_its_own_member(void **state)
{
    (void)state;
    memory m = {0};
    tm_buf_str(&m.bytes, "plain");
    expect_listing(&m, "some/where/note.txt", NULL, "note.txt=plain;");
    tm_buf_reset(&m.bytes);
    expect_listing(&m, "empty", NULL, "empty=;");
    tm_buf_clear(&m.bytes);
}

static void a_folder_is_walked_in_bytewise_order_without_hidden_names(void **state)
{
    (void)state;
    char root[] = "/tmp/tm_archive_XXXXXX";
    assert_non_null(mkdtemp(root));
    static const char *const names[] = {"b.txt", "a/z", "a/b/c", "a.txt", "B"};
    char path[256];
    snprintf(path, sizeof path, "%s/a", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/a/b", root);
    mkdir(path, 0700);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", root, names[i]);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(names[i], f);
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/loop", root);
    assert_int_equal(symlink(root, path), 0);
    snprintf(path, sizeof path, "%s/.hidden", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/.hidden/file", root);
    FILE *hidden = fopen(path, "w");
    assert_non_null(hidden);
    fclose(hidden);
    tm_buf out = {0};
    assert_int_equal(listing(root, &tm_files_disk, NULL, &out, NULL), TM_DONE);
    assert_string_equal(out.data, "B=B;a.txt=a.txt;a/b/c=a/b/c;a/z=a/z;b.txt=b.txt;");
    tm_buf_clear(&out);
    snprintf(path, sizeof path, "rm -r %s", root);
    assert_int_equal(system(path), 0);
}

static void a_missing_root_is_enoent(void **state)
{
    (void)state;
    tm_archive *in;
    tm_error err = {0};
    assert_int_equal(tm_archive_open(&in, "/no/such/root", &tm_files_disk, NULL, &err), TM_ENOENT);
    assert_non_null(strstr(err.text, "/no/such/root"));
}

static void a_wrong_checksum_of_gzip_is_noticed(void **state)
{
    (void)state;
    memory m = {0};
    tm_buf out = {0};
    tm_error err = {0};
    struct archive *a = writer(&m.bytes, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_GZIP);
    put(a, "a.txt", "hello");
    finish(a);
    m.bytes.data[m.bytes.size - 8] ^= 1;
    tm_files files = files_of(&m);
    assert_int_equal(listing("a.tar.gz", &files, NULL, &out, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "incorrect data check"));
    tm_buf_clear(&out);
    tm_buf_clear(&m.bytes);
}

static void a_text_named_like_an_archive_is_refused(void **state)
{
    (void)state;
    memory m = {0};
    tm_buf out = {0};
    tm_error err = {0};
    tm_buf_str(&m.bytes, "404 not found");
    tm_files files = files_of(&m);
    assert_int_equal(listing("pages.tar.gz", &files, NULL, &out, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "it is named .gz and is none"));
    tm_buf_clear(&out);
    tm_buf_clear(&m.bytes);
}

static void a_truncated_archive_names_file_member_and_offset(void **state)
{
    (void)state;
    memory m = {0};
    tm_buf out = {0};
    tm_error err = {0};
    char *noise = malloc(300000);
    uint32_t x = 1;
    for (size_t i = 0; i < 300000; i++) noise[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    struct archive *a = writer(&m.bytes, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_GZIP);
    put_sized(a, "noise.bin", noise, 300000);
    finish(a);
    free(noise);
    m.bytes.size = 200000;
    tm_files files = files_of(&m);
    assert_int_equal(listing("cut.tar.gz", &files, NULL, &out, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "cut.tar.gz: noise.bin at byte "));
    assert_int_equal(m.opened, 0);
    tm_buf_clear(&out);
    tm_buf_clear(&m.bytes);
}

static void a_failing_read_keeps_its_own_status(void **state)
{
    (void)state;
    memory m = {0};
    tm_buf out = {0};
    tm_error err = {0};
    struct archive *a = writer(&m.bytes, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_NONE);
    put(a, "a", "a");
    finish(a);
    m.fail_at = 1000;
    tm_files files = files_of(&m);
    assert_int_equal(listing("x.tar", &files, NULL, &out, &err), TM_EIO);
    assert_non_null(strstr(err.text, "read at"));
    tm_buf_clear(&out);
    tm_buf_clear(&m.bytes);
}

static tm_status zeros_under(const tm_archive_options *options, tm_error *err)
{
    memory m = {0};
    tm_buf out = {0};
    char *zeros = calloc(1, 32u << 20);
    struct archive *a = writer(&m.bytes, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_GZIP);
    put(a, "first", "1");
    put_sized(a, "zeros", zeros, 32u << 20);
    finish(a);
    free(zeros);
    tm_files files = files_of(&m);
    tm_status status = listing("bomb.tar.gz", &files, options, &out, err);
    assert_int_equal(m.opened, 0);
    tm_buf_clear(&out);
    tm_buf_clear(&m.bytes);
    return status;
}

static void each_limit_stops_a_bomb(void **state)
{
    (void)state;
    tm_error err = {0};
    assert_int_equal(zeros_under(NULL, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "200 times"));
    assert_int_equal(zeros_under(&(tm_archive_options){.ratio = 5000}, &err), TM_DONE);
    assert_int_equal(zeros_under(&(tm_archive_options){.member_bytes = 1 << 20}, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "bytes in a member"));
    assert_int_equal(zeros_under(&(tm_archive_options){.total_bytes = 5 << 20}, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "bytes in an archive"));
    assert_int_equal(zeros_under(&(tm_archive_options){.n_members = 1}, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "members"));
    assert_int_equal(zeros_under(&(tm_archive_options){.path_bytes = 4}, &err), TM_EFORMAT);
    assert_non_null(strstr(err.text, "path"));
}

static void every_flipped_byte_is_survived(void **state)
{
    (void)state;
    static const int formats[] = {ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FORMAT_ZIP,
                                  ARCHIVE_FORMAT_AR_BSD};
    for (size_t f = 0; f < 3; f++) {
        memory m = {0};
        struct archive *a = writer(&m.bytes, formats[f], ARCHIVE_FILTER_NONE);
        put(a, "a.txt", "some text to keep");
        put(a, "b.txt", "more text");
        finish(a);
        tm_files files = files_of(&m);
        size_t step = m.bytes.size > 2000 ? 7 : 1;
        for (size_t i = 0; i < m.bytes.size; i += step) {
            tm_buf out = {0};
            char kept = m.bytes.data[i];
            m.bytes.data[i] = (char)~kept;
            (void)listing("x", &files, NULL, &out, NULL);
            assert_int_equal(m.opened, 0);
            m.bytes.data[i] = kept;
            tm_buf_clear(&out);
        }
        tm_buf_clear(&m.bytes);
    }
}

static void running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    memory m = {0};
    struct archive *a = writer(&m.bytes, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_NONE);
    put(a, "a.txt", "text");
    finish(a);
    tm_files files = files_of(&m);
    tm_status status = TM_ENOMEM;
    for (uint64_t n = 1; status == TM_ENOMEM && n < 100; n++) {
        tm_buf out = {0};
        tm_alloc_fail_at(n, false);
        status = listing("x.tar", &files, NULL, &out, NULL);
        tm_alloc_fail_at(0, false);
        if (out.failed) status = TM_ENOMEM;
        tm_buf_clear(&out);
        assert_int_equal(m.opened, 0);
    }
    assert_int_equal(status, TM_DONE);
    tm_buf_clear(&m.bytes);
}

static void globs_match_by_components(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool match;
    } cases[] = {
        {"*.html", "a.html", true},
        {"*.html", "d/e/a.html", true},
        {"d/*.html", "d/e/a.html", false},
        {"**/*.html", "a.html", true},
        {"**/*.html", "d/e/a.html", true},
        {"**/*.html", "d/e/a.htm", false},
        {"d/**", "d/e/f", true},
        {"d/**/f", "d/f", true},
        {"d/**/f", "d/e/e/f", true},
        {"d/**/f", "d/ef", false},
        {"?.txt", "a.txt", true},
        {"?/b", "//b", false},
        {"[a-c]x", "bx", true},
        {"[!a-c]x", "bx", false},
        {"[]]", "]", true},
        {"[", "[", true},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"", "", true},
        {"", "a", false},
        {"**", "a/b/c", true},
        {"*", "a/b", true},
        {"./*", "a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tm_glob_match(cases[i].pattern, cases[i].path) != cases[i].match)
            fail_msg("%s on %s: expected %d", cases[i].pattern, cases[i].path, cases[i].match);
}

static void a_hostile_glob_takes_linear_time(void **state)
{
    (void)state;
    char pattern[401], path[4001];
    for (int i = 0; i < 400; i += 2) memcpy(pattern + i, "*a", 2);
    pattern[400] = 0;
    memset(path, 'a', 4000);
    path[3999] = 'b';
    path[4000] = 0;
    assert_false(tm_glob_match(pattern, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tar_members_come_in_stored_order_under_every_compression),
        cmocka_unit_test(zip_members_are_read_with_and_without_seeking),
        cmocka_unit_test(a_debian_package_gives_the_members_of_its_data),
        cmocka_unit_test(an_archive_in_an_archive_is_a_plain_member),
        cmocka_unit_test(a_single_compressed_file_loses_its_suffix),
        cmocka_unit_test(a_plain_file_is_its_own_member),
        cmocka_unit_test(a_folder_is_walked_in_bytewise_order_without_hidden_names),
        cmocka_unit_test(a_missing_root_is_enoent),
        cmocka_unit_test(a_wrong_checksum_of_gzip_is_noticed),
        cmocka_unit_test(a_text_named_like_an_archive_is_refused),
        cmocka_unit_test(a_truncated_archive_names_file_member_and_offset),
        cmocka_unit_test(a_failing_read_keeps_its_own_status),
        cmocka_unit_test(each_limit_stops_a_bomb),
        cmocka_unit_test(every_flipped_byte_is_survived),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_leaks_nothing),
        cmocka_unit_test(globs_match_by_components),
        cmocka_unit_test(a_hostile_glob_takes_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
