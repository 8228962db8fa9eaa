// SPDX-License-Identifier: Apache-2.0
// One step of fine-tuning on given rows, written down for comparison with another implementation.
//
//   tune_probe FOLDER IN OUT
//
// IN and OUT are safetensors. IN has I32 tensors ids and mask (all rows one after the other) and starts
// [rows + 1]; with F64 scores [rows], rows 2i and 2i + 1 are a pair and the objective is preference. Numbers
// in the metadata: tokens (of a batch), accumulate, length, beta, smoothing, ipo (0 or 1), threads. OUT gets
// the step's means (F64) and every gradient.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/train/trainer.h"
#include "tests/parity/probe.h"

typedef struct rows {
    const int32_t *ids, *mask, *starts;
    const double *scores;
    uint64_t n;
    uint32_t *row_ids[2];
    uint8_t *row_mask[2];
    tm_document partner;
} rows;

static const void *data_of(const tm_safetensors *in, const char *name, size_t *bytes)
{
    const tm_st_tensor *t = tm_safetensors_find(in, name);
    *bytes = t ? t->data.size : 0;
    return t ? t->data.data : NULL;
}

static rows read_rows(const tm_safetensors *in)
{
    rows r = {0};
    size_t n;
    r.ids = data_of(in, "ids", &n);
    for (int i = 0; i < 2; i++) {
        r.row_ids[i] = calloc(n / 4 + 1, sizeof *r.row_ids[i]);
        r.row_mask[i] = calloc(n / 4 + 1, 1);
    }
    r.mask = data_of(in, "mask", &n);
    r.scores = data_of(in, "scores", &n);
    r.starts = data_of(in, "starts", &n);
    r.n = n / 4 - 1;
    return r;
}

static tm_document row_of(rows *r, uint64_t row, int place)
{
    size_t from = (size_t)r->starts[row], n = (size_t)r->starts[row + 1] - from;
    for (size_t i = 0; i < n; i++) {
        r->row_ids[place][i] = (uint32_t)r->ids[from + i];
        r->row_mask[place][i] = (uint8_t)r->mask[from + i];
    }
    return (tm_document){r->row_ids[place], r->row_mask[place], n, r->scores ? r->scores[row] : 0, NULL};
}

static tm_status reach(void *ctx, uint64_t want, uint64_t *have, tm_error *err)
{
    const rows *r = ctx;
    *have = r->scores ? r->n / 2 : r->n;
    return TM_OK;
}

static tm_status get(void *ctx, uint64_t i, tm_document *document, tm_error *err)
{
    rows *r = ctx;
    *document = row_of(r, r->scores ? 2 * i : i, 0);
    if (!r->scores) return TM_OK;
    r->partner = row_of(r, 2 * i + 1, 1);
    document->partner = &r->partner;
    return TM_OK;
}

static tm_status write_out(const char *path, const tm_trainer *trainer, const tm_trainable *what,
                           const tm_step *step, tm_error *err)
{
    size_t n = what->map->n_params;
    char *names = calloc(n, TM_PARAM_NAME + 16);
    tm_st_tensor *out = calloc(n + 1, sizeof *out);
    tm_param_tensors(what->map, tm_trainer_grads(trainer), "grad.", names, out);
    out[n] =
        (tm_st_tensor){"means", TM_ST_F64, 1, {TM_MEASURES}, tm_view_of(step->means, sizeof step->means)};
    tm_status status = tm_safetensors_write(path, out, n + 1, NULL, 0, err);
    free(names);
    free(out);
    return status;
}

static tm_status run(char **argv, tm_error *err)
{
    tm_device *dev;
    tm_hf_folder folder;
    tm_model *model;
    tm_safetensors in;
    tm_pack *pack;
    tm_trainer *trainer;
    tm_step step;
    TM_TRY(tm_safetensors_open(&in, argv[2], err));
    TM_TRY(tm_device_open_cpu((int)probe_number(&in, "threads", 2), &dev, err));
    TM_TRY(tm_hf_folder_open(&folder, argv[1], err));
    TM_TRY(tm_model_load_apart(&model, &folder, err));
    rows r = read_rows(&in);
    uint32_t tokens = (uint32_t)probe_number(&in, "tokens", 0);
    tm_pack_options p = {.tokens = tokens,
                         .length = (uint32_t)probe_number(&in, "length", tokens),
                         .bos = -1,
                         .eos = -1,
                         .whole = true,
                         .window = 16,
                         .seed = 1,
                         .epochs = 1};
    tm_preference preference = {.loss = probe_number(&in, "ipo", 0) != 0 ? TM_PREFERENCE_IPO
                                                                         : TM_PREFERENCE_SIGMOID,
                                .beta = probe_number(&in, "beta", 0.1),
                                .label_smoothing = probe_number(&in, "smoothing", 0)};
    tm_trainer_options o = tm_trainer_defaults(1e-3, 1, tokens);
    o.accumulate = (uint32_t)probe_number(&in, "accumulate", 1);
    if (r.scores) o.objective = &tm_objective_preference;
    o.objective_options = &preference;
    TM_TRY(tm_pack_new(&pack, &p, &(tm_documents){&r, reach, get}, err));
    tm_trainable what = tm_model_trainable(model);
    TM_TRY(tm_trainer_new(&trainer, model, dev, &o, err));
    TM_TRY(tm_trainer_step(trainer, pack, &step, err));
    tm_tokens more;
    if (tm_pack_next(pack, &more, NULL) != TM_DONE)
        return tm_fail(err, TM_EINVAL, "the rows did not fit %u batches of %u tokens", o.accumulate, tokens);
    return write_out(argv[3], trainer, &what, &step, err);
}

int main(int argc, char **argv)
{
    tm_error err = {0};
    if (argc == 4 && run(argv, &err) == TM_OK) return 0;
    fprintf(stderr, "tune_probe: %s\n", argc == 4 ? err.text : "tune_probe FOLDER IN OUT");
    return 1;
}
