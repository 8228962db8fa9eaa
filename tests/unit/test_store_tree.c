// SPDX-License-Identifier: Apache-2.0
// Trees: manifests, folders of links, placing.
#include <unistd.h>

#include "engine/store_tree.h"
#include "tests/unit/store_fixture.h"

static void write_at(const char *folder, const char *name, const char *text)
{
    char path[TM_PATH_MAX];
    OK(tm_path(path, &err, "%s/%s", folder, name));
    OK(tm_file_write(path, text, strlen(text), false, &err));
}

static void assert_file(const char *folder, const char *name, const char *text)
{
    char path[TM_PATH_MAX];
    tm_buf got = {0};
    OK(tm_path(path, &err, "%s/%s", folder, name));
    OK(tm_file_read(path, &got, &err));
    assert_int_equal(got.size, strlen(text));
    assert_memory_equal(got.data, text, got.size);
    tm_buf_clear(&got);
}

// A snapshot with three files, one of them deeper.
static tm_hash snapshot(tm_store *s, const char *weights)
{
    char folder[TM_PATH_MAX], deep[TM_PATH_MAX + 8];
    tm_entry e;
    OK(tm_store_tmp(s, folder, &err));
    snprintf(deep, sizeof deep, "%s/state", folder);
    OK(tm_dir_make(deep, &err));
    write_at(folder, "model.safetensors", weights);
    write_at(folder, "config.json", "{}");
    write_at(folder, "state/optimizer", "moments");
    json_t *attributes = json_pack("{s:i}", "step", 300);
    OK(tm_tree_put_folder(s, folder, attributes, &e, &err));
    json_decref(attributes);
    assert_false(tm_file_exists(folder));
    assert_int_equal(e.rows, 1);
    assert_int_equal(e.bytes, strlen(weights) + 2 + 7);
    return e.hash;
}

static void a_folder_comes_back_as_it_was(void **state)
{
    tm_store *s = fresh(state);
    tm_hash hash = snapshot(s, "weights");
    tm_tree tree;
    char path[TM_PATH_MAX];
    OK(tm_tree_get(s, hash, &tree, &err));
    assert_int_equal(tree.count, 3);
    assert_string_equal(tree.files[0].name, "config.json");
    assert_string_equal(tree.files[2].name, "state/optimizer");
    assert_int_equal(json_integer_value(json_object_get(tree.attributes, "step")), 300);
    tm_tree_clear(&tree);
    OK(tm_tree_folder(s, hash, path, &err));
    assert_file(path, "model.safetensors", "weights");
    assert_file(path, "state/optimizer", "moments");
    OK(tm_store_sync(s, &err));
    assert_int_equal(count_names("tmp"), 0);
}

static void equal_contents_have_equal_names(void **state)
{
    tm_store *s = fresh(state);
    tm_hash a = snapshot(s, "weights"), b = snapshot(s, "weights"), c = snapshot(s, "other");
    assert_true(tm_hash_eq(a, b));
    assert_false(tm_hash_eq(a, c));
}

static void a_damaged_file_of_a_tree_is_noticed_before_use(void **state)
{
    tm_store *s = fresh(state);
    tm_hash hash = snapshot(s, "weights");
    char path[TM_PATH_MAX], file[TM_PATH_MAX + 32];
    OK(tm_tree_folder(s, hash, path, &err));
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    damage(file, 2);
    tm_store_close(s);
    s = reopen(state, 0);
    assert_int_equal(tm_tree_folder(s, hash, path, &err), TM_ECORRUPT);
    assert_int_equal(tm_tree_folder(s, hash, path, &err), TM_ENOENT);
    snapshot(s, "weights");  // made again: the folder gets the new file
    OK(tm_tree_folder(s, hash, path, &err));
    assert_file(path, "model.safetensors", "weights");
}

static void placing_copies_links_and_refuses_to_overwrite(void **state)
{
    tm_store *s = fresh(state);
    tm_hash hash = snapshot(s, "weights");
    char to[TM_PATH_MAX], file[TM_PATH_MAX + 32];
    struct stat info;
    snprintf(to, sizeof to, "%s/engine/", root);
    OK(tm_tree_place(s, hash, to, 0, &err));
    assert_file(to, "state/optimizer", "moments");
    snprintf(file, sizeof file, "%s/model.safetensors", to);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_nlink, 1);
    assert_int_equal(tm_tree_place(s, hash, to, TM_PLACE_LINK, &err), TM_EEXIST);
    assert_non_null(strstr(err.text, "engine"));
    write_at(to, "notes.txt", "mine");
    assert_file(to, "notes.txt", "mine");
    OK(tm_tree_place(s, snapshot(s, "other"), to, TM_PLACE_LINK | TM_PLACE_REPLACE, &err));
    assert_file(to, "model.safetensors", "other");
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_nlink, 2);
    snprintf(to, sizeof to, "%s/empty", root);
    OK(tm_dir_make(to, &err));
    OK(tm_tree_place(s, hash, to, 0, &err));
    tm_names names;
    OK(tm_dir_list(root, &names, &err));
    assert_int_equal(names.count, 3);  // .tidemill, empty, engine: no remainders
    tm_names_clear(&names);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    tm_store *s = fresh(state);
    tm_hash file, hash;
    OK(tm_store_put(s, "x", 1, TM_PUT_FILE, &file, &err));
    const char *bad[] = {"/etc/passwd", "../up", "a/../b", "a//b", "", ".", "a/"};
    for (int i = 0; i < 7; i++) {
        tm_tree tree = {.files = &(tm_tree_file){(char *)bad[i], file, 1}, .count = 1};
        assert_int_equal(tm_tree_put(s, &tree, &hash, &err), TM_EFORMAT);
    }
    const char *manifest = "tidemill-tree 1\n{\"attributes\":{},\"files\":[[\"../../evil\","
                           "\"00112233445566778899aabbccddeeff\",1]]}";
    tm_tree got;
    OK(tm_store_put(s, manifest, strlen(manifest), 0, &hash, &err));
    assert_int_equal(tm_tree_get(s, hash, &got, &err), TM_EFORMAT);
    tm_tree twice = {.files = (tm_tree_file[]){{"a", file, 1}, {"a", file, 1}}, .count = 2};
    assert_int_equal(tm_tree_put(s, &twice, &hash, &err), TM_EFORMAT);
}

static void manifests_that_are_no_trees_are_refused(void **state)
{
    tm_store *s = fresh(state);
    const char *bad[] = {"",
                         "tidemill-tree 1\n",
                         "tidemill-tree 1\n[]",
                         "tidemill-tree 1\n{\"attributes\":{}}",
                         "tidemill-tree 1\n{\"attributes\":[],\"files\":[]}",
                         "tidemill-tree 1\n{\"attributes\":{},\"files\":[[\"a\",\"xyz\",1]]}",
                         "tidemill-tree 1\n{\"attributes\":{},\"files\":[[\"a\"]]}"};
    for (int i = 0; i < 7; i++) {
        tm_hash hash;
        tm_tree got;
        OK(tm_store_put(s, bad[i], strlen(bad[i]), 0, &hash, &err));
        assert_int_equal(tm_tree_get(s, hash, &got, &err), TM_EFORMAT);
    }
}

static void a_link_in_a_folder_is_refused(void **state)
{
    tm_store *s = fresh(state);
    char folder[TM_PATH_MAX], link[TM_PATH_MAX + 8];
    tm_entry e;
    OK(tm_store_tmp(s, folder, &err));
    OK(tm_dir_make(folder, &err));
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(tm_tree_put_folder(s, folder, NULL, &e, &err), TM_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_folder_comes_back_as_it_was),
        in_folder(equal_contents_have_equal_names),
        in_folder(a_damaged_file_of_a_tree_is_noticed_before_use),
        in_folder(placing_copies_links_and_refuses_to_overwrite),
        in_folder(names_that_lead_elsewhere_are_refused),
        in_folder(manifests_that_are_no_trees_are_refused),
        in_folder(a_link_in_a_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
