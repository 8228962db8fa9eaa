// SPDX-License-Identifier: Apache-2.0
// Texts of graph files.
#include "lua/load/graph_texts.h"

#include "engine/base/io.h"

enum { MOST = 256 << 10 };

static bool same(const tm_buf *text, const json_t *hex)
{
    tm_hash hash;
    return json_is_string(hex) && tm_hash_parse(json_string_value(hex), &hash) &&
           tm_hash_eq(hash, tm_hash_of(text->data, text->size));
}

json_t *tm_graph_texts(const tm_graph *graph)
{
    json_t *texts = json_object(), *file;
    size_t i, left = MOST;
    json_array_foreach(graph->files, i, file)
    {
        char path[TM_PATH_MAX];
        tm_buf text = {0};
        const char *name = json_string_value(json_object_get(file, "path"));
        bool read = name && tm_path(path, NULL, "%s/%s", graph->folder, name) >= 0 &&
                    tm_file_read(path, &text, NULL) >= 0;
        if (read && text.size && text.size <= left && same(&text, json_object_get(file, "hash"))) {
            json_t *value = json_stringn(text.data, text.size);
            if (value && json_object_set_new(texts, name, value) == 0) left -= text.size;
        }
        tm_buf_clear(&text);
    }
    return texts;
}
