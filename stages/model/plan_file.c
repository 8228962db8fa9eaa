// SPDX-License-Identifier: Apache-2.0
// Writing plan files, and opening them without trust.
#include "stages/model/plan_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/hash.h"
#include "engine/base/io.h"
#include "kernels/linear_form.h"
#include "kernels/op.h"
#include "stages/model/pass.h"

#define MAGIC "TMPLAN1\n"
#define VERSION 1
#define PAGE 4096
#define MAX_MANIFEST (16u << 20)

typedef struct header {
    char magic[8];
    uint32_t version, zero;
    uint64_t manifest, manifest_size, weights, weights_size, total;
    uint64_t check; // of the bytes before it
} header;
_Static_assert(sizeof(header) == 64, "the header is 64 bytes");

// ---- the stamp

static void layout_text(const tm_param_map *map, char text[TM_HASH_HEX])
{
    tm_hash hash = {{0}};
    tm_hasher *hasher = tm_hasher_new();
    for (size_t i = 0; hasher && i < map->n_params; i++) {
        const tm_param *p = &map->params[i];
        uint64_t where[2] = {p->offset, p->count};
        tm_hasher_add(hasher, p->name, strlen(p->name) + 1);
        tm_hasher_add(hasher, where, sizeof where);
    }
    if (hasher) hash = tm_hasher_end(hasher);
    tm_hasher_free(hasher);
    tm_hash_hex(hash, text);
}

static json_t *op_names(void)
{
    json_t *names = json_array();
    for (const char *const *op = tm_pass_ops(); *op; op++) json_array_append_new(names, json_string(*op));
    return names;
}

// How many tokens at once are multiplied with a matrix: a few one way, more another, by instruction set.
static json_t *product_of(const char *matrix, int64_t out, int64_t in, const char *device)
{
    static const char *const sets[] = {"cpu/base", "cpu/avx2", "cpu/avx512"};
    json_t *many = json_object();
    for (int i = 0; i < 3; i++) {
        tm_linear_form form;
        bool meant = strcmp(device, "cpu") == 0 || strcmp(device, sets[i]) == 0;
        if (meant && tm_linear_form_of(sets[i], out, &form))
            json_object_set_new(many, sets[i],
                                json_pack("{s:i, s:i}", "rows", form.rows, "columns", form.columns));
    }
    return json_pack("{s:s, s:I, s:I, s:{s:i, s:s}, s:o}", "matrix", matrix, "out", (json_int_t)out, "in",
                     (json_int_t)in, "few", "tokens", TM_ROWS_ALIKE, "as", "dots", "blocks", many);
}

static json_t *products_of(const tm_model_config *c, const char *device)
{
    int64_t q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    json_t *all = json_array();
    json_array_append_new(all, product_of("q|k|v", q + 2 * kv, c->width, device));
    json_array_append_new(all, product_of("o", c->width, q, device));
    json_array_append_new(all, product_of("gate|up", 2 * (int64_t)c->ffn, c->width, device));
    json_array_append_new(all, product_of("down", c->width, c->ffn, device));
    json_array_append_new(all, product_of("head", c->vocab, c->width, device));
    return all;
}

static json_t *stamp_of(const tm_model *model)
{
    char layout[TM_HASH_HEX];
    layout_text(&model->map, layout);
    return json_pack("{s:i, s:s, s:s}", "format", VERSION, "weights", "f32", "layout", layout);
}

// What a run will take, in bytes, for those who must know before they open it.
static json_t *memory_of(const tm_model *model, const tm_plan_build *b)
{
    const tm_model_config *c = &model->config;
    uint64_t token = 2ull * c->layers * c->kv_heads * c->head_dim * sizeof(float);
    return json_pack("{s:I, s:I, s:I, s:I}", "weights", (json_int_t)(model->map.n_floats * sizeof(float)),
                     "prompt_tokens", (json_int_t)b->prompt_tokens, "activations", (json_int_t)b->activations,
                     "cache_per_token", (json_int_t)token);
}

// ---- writing

static tm_status make_manifest(json_t **manifest, const tm_model *model, const tm_plan_build *build,
                               tm_error *err)
{
    tm_buf config = {0};
    TM_TRY(tm_model_config_write(&model->config, &config, err));
    json_t *parsed = json_loadb(config.data, config.size, 0, NULL);
    tm_buf_clear(&config);
    *manifest = json_pack("{s:o, s:o, s:{s:s, s:o, s:o}, s:o, s:{s:s, s:s}}", "config", parsed, "stamp",
                          stamp_of(model), "kernels", "device", build->device, "ops", op_names(), "products",
                          products_of(&model->config, build->device), "memory", memory_of(model, build),
                          "producer", "name", "tidemill", "version", "1");
    return *manifest ? TM_OK : tm_fail(err, TM_ENOMEM, "no memory for a manifest");
}

static uint64_t page_up(uint64_t n)
{
    return (n + PAGE - 1) / PAGE * PAGE;
}

static tm_status write_pieces(const json_t *manifest, const tm_model *model, const char *path, tm_error *err)
{
    static const char zeros[PAGE];
    char *text = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text) return tm_fail(err, TM_ENOMEM, "no memory for a manifest");
    header h = {.magic = MAGIC, .version = VERSION, .manifest = sizeof h, .manifest_size = strlen(text)};
    uint64_t manifest_end = sizeof h + h.manifest_size;
    h.weights = page_up(manifest_end);
    h.weights_size = model->map.n_floats * sizeof(float);
    h.total = h.weights + h.weights_size;
    h.check = tm_hash64(&h, offsetof(header, check), 0);
    tm_view pieces[] = {tm_view_of((char *)&h, sizeof h), tm_view_of(text, h.manifest_size),
                        tm_view_of(zeros, h.weights - manifest_end),
                        tm_view_of((char *)model->params, h.weights_size)};
    tm_status status = tm_content_write(path, pieces, sizeof pieces / sizeof pieces[0], err);
    free(text);
    return status;
}

tm_status tm_plan_file_write(const tm_model *model, const tm_plan_build *build, const char *path,
                             tm_error *err)
{
    json_t *manifest = NULL;
    tm_status status = make_manifest(&manifest, model, build, err);
    if (status >= 0) status = write_pieces(manifest, model, path, err);
    json_decref(manifest);
    return status;
}

// ---- opening

bool tm_plan_file_is(const char *path)
{
    char magic[8] = {0};
    int fd;
    size_t got = 0;
    if (tm_fd_open(path, O_RDONLY, 0, &fd, NULL) < 0) return false;
    tm_status status = tm_fd_pread(fd, magic, sizeof magic, 0, &got, path, NULL);
    (void)tm_fd_close(fd, path, NULL);
    return status >= 0 && got == sizeof magic && memcmp(magic, MAGIC, sizeof magic) == 0;
}

static tm_status damaged(const char *path, const char *what, tm_error *err)
{
    tm_fail(err, TM_EFORMAT, "%s: %s", path, what);
    tm_hint(err, "the plan is damaged or was not copied whole: export it again");
    return TM_EFORMAT;
}

static tm_status check_header(tm_view bytes, header *h, const char *path, tm_error *err)
{
    if (bytes.size < sizeof *h) return damaged(path, "it is shorter than a header", err);
    memcpy(h, bytes.data, sizeof *h);
    if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0) return damaged(path, "it is no plan", err);
    if (h->version != VERSION) {
        tm_fail(err, TM_EUNSUPPORTED, "%s: a plan of version %u, and this program reads version %d", path,
                h->version, VERSION);
        tm_hint(err, "build it anew: tm.export { model, format = \"plan\" }");
        return TM_EUNSUPPORTED;
    }
    if (h->check != tm_hash64(h, offsetof(header, check), 0)) return damaged(path, "its header is", err);
    if (h->total != bytes.size || h->manifest != sizeof *h || h->manifest_size > MAX_MANIFEST ||
        h->manifest_size > bytes.size - sizeof *h || h->weights % PAGE || h->weights > bytes.size ||
        h->weights < sizeof *h + h->manifest_size || h->weights_size != bytes.size - h->weights)
        return damaged(path, "its parts do not fit its length", err);
    return TM_OK;
}

// Every op that the plan was built with must be here.
static tm_status check_ops(const json_t *manifest, const char *path, tm_error *err)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(json_object_get(manifest, "kernels"), "ops"), i, name)
    {
        if (json_is_string(name) && tm_op_find(json_string_value(name))) continue;
        tm_fail(err, TM_EUNSUPPORTED, "%s: it was built with the op \"%.60s\", which this program lacks",
                path, json_is_string(name) ? json_string_value(name) : "?");
        tm_hint(err, "build it anew: tm.export { model, format = \"plan\" }");
        return TM_EUNSUPPORTED;
    }
    return TM_OK;
}

static int class_rank(const char *device)
{
    static const char *const classes[] = {"cpu", "cpu/base", "cpu/avx2", "cpu/avx512"};
    for (int i = 0; i < 4; i++)
        if (strcmp(classes[i], device) == 0) return i;
    return 4;
}

static tm_status check_device(const json_t *manifest, const char *path, const char *device, tm_error *err)
{
    const char *wants = json_string_value(json_object_get(json_object_get(manifest, "kernels"), "device"));
    if (wants && class_rank(wants) <= class_rank(device)) return TM_OK;
    tm_fail(err, TM_EUNSUPPORTED, "%s: it was built for %.40s, and this is %s", path, wants ? wants : "?",
            device);
    tm_hint(err, "build it for this machine, or for any: tm.export { model, format = \"plan\" }");
    return TM_EUNSUPPORTED;
}

tm_status tm_plan_file_open(tm_plan_file *plan, const char *path, const char *device, tm_error *err)
{
    header h;
    *plan = (tm_plan_file){0};
    TM_TRY(tm_content_map(path, &plan->bytes, err));
    tm_status status = check_header(plan->bytes, &h, path, err);
    if (status >= 0) {
        plan->manifest = json_loadb(plan->bytes.data + h.manifest, h.manifest_size, 0, NULL);
        if (!json_is_object(plan->manifest)) status = damaged(path, "its manifest is no JSON", err);
    }
    if (status >= 0) status = check_ops(plan->manifest, path, err);
    if (status >= 0) status = check_device(plan->manifest, path, device, err);
    if (status < 0) tm_plan_file_close(plan);
    return status;
}

void tm_plan_file_close(tm_plan_file *plan)
{
    json_decref(plan->manifest);
    if (plan->bytes.data) tm_content_unmap(plan->bytes);
    *plan = (tm_plan_file){0};
}

static tm_status check_layout(const tm_plan_file *plan, const tm_model *model, const header *h, tm_error *err)
{
    char here[TM_HASH_HEX];
    const json_t *stamp = json_object_get(plan->manifest, "stamp");
    const char *there = json_string_value(json_object_get(stamp, "layout"));
    layout_text(&model->map, here);
    if (there && strcmp(here, there) == 0 && h->weights_size == model->map.n_floats * sizeof(float))
        return TM_OK;
    tm_fail(err, TM_EUNSUPPORTED, "the plan's weights are laid out as %.32s, and this program wants %.32s",
            there ? there : "?", here);
    tm_hint(err, "build it anew: tm.export { model, format = \"plan\" }");
    return TM_EUNSUPPORTED;
}

static tm_status parse_config(const tm_plan_file *plan, tm_model_config *config, tm_error *err)
{
    char *text = json_dumps(json_object_get(plan->manifest, "config"), 0);
    if (!text) return tm_fail(err, TM_EFORMAT, "the plan has no configuration");
    tm_status status = tm_model_config_parse(config, tm_view_str(text), err);
    free(text);
    return status;
}

tm_status tm_plan_file_model(const tm_plan_file *plan, tm_model **out, tm_error *err)
{
    header h;
    memcpy(&h, plan->bytes.data, sizeof h);
    tm_model *m = tm_calloc(1, sizeof *m);
    if (!m) return tm_fail(err, TM_ENOMEM, "no memory for a model");
    m->mapped = true;
    tm_status status = parse_config(plan, &m->config, err);
    if (status >= 0) status = tm_param_map_make(&m->map, &m->config, err);
    if (status >= 0) status = check_layout(plan, m, &h, err);
    if (status < 0) {
        tm_model_free(m);
        return status;
    }
    m->params = (float *)(uintptr_t)(plan->bytes.data + h.weights);
    *out = m;
    return TM_OK;
}
