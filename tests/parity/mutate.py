# SPDX-License-Identifier: Apache-2.0
"""Breaks the program on purpose and expects a named test to notice: `mutate.py SOURCE [NAME...]`.

Each row is a mistake that is easily made and easily missed. A copy of the tree is built once without optimisation;
then one file at a time is changed, rebuilt and tested. A mutation that no test notices, or that the wrong test
notices, is a failure of this script, and so is a row whose text is no longer in the source.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

PASS, TRAIN, PACK, CONFIG = ("stages/model/pass.c", "stages/train/trainer.c", "stages/train/pack.c",
                             "stages/model/config.c")
ADAPTER, ADAPTER_PASS, ADAPTER_FILES = ("stages/model/adapter.c", "stages/model/adapter_pass.c",
                                        "stages/model/adapter_files.c")
LOGITS = "logits_and_losses_are_those_of_the_reference"
STEPS = "gradients_and_ten_clipped_steps_are_those_of_the_reference_in_1_2_and_4_parts"
LORA_LOGITS = "logits_with_the_adapter_are_those_of_peft"
LORA_GRADS = "gradients_of_a_and_b_are_those_of_peft"
LORA_MERGED = "merged_logits_are_those_of_peft"
TUNED = "fine_tuning_learns_the_masked_tokens_as_torch_does_however_rows_are_packed"
PREFER, PREFERRED = "stages/train/preference.c", "preferences_are_learned_as_torch_does_with_the_sigmoid_loss"
ITSELF = "a_model_that_is_its_own_reference_has_the_loss_ln_2_and_no_rewards"
FORMS = "the_same_model_comes_out_of_every_form"
LIKELIHOOD, MEASURED = "stages/judge/likelihood.c", "test_measures_errors_and_counts_are_those_of_transformers"
CHOSEN = "test_points_of_a_sweep_are_compared_and_the_best_comes_out"
SAMPLE, DECODE, STOP = "stages/model/sample.c", "stages/model/decode.c", "stages/text/stop.c"
FILTERS = "filters_leave_what_they_leave_in_another_form"
APART = "a_document_leaves_the_logits_of_the_others_bit_for_bit"

# name: (file, text, replacement, test program, test that must fail)
MUTATIONS = {
    "penalty that makes negative logits likelier": (
        SAMPLE, "raw < 0 ? raw * penalty : raw / penalty", "raw / penalty", "test_sample", FILTERS),
    "temperature ignored": (
        SAMPLE, "*sum = weigh(c, n, best.weight, s->temperature);", "*sum = weigh(c, n, best.weight, 1);", "test_sample",
        FILTERS),
    "top-p without the token that reaches it": (
        SAMPLE, "*kept >= s->top_p * sum", "*kept + c[i].weight > s->top_p * sum", "test_sample", FILTERS),
    "min-p as a probability": (
        SAMPLE, "c[i].weight < s->min_p * c[0].weight", "c[i].weight < s->min_p * sum", "test_sample", FILTERS),
    "top-p over all and not what top-k left": (
        SAMPLE, "        n = s->top_k;\n    }\n    *sum = weigh(c, n, best.weight, s->temperature);",
        "    }\n    *sum = weigh(c, n, best.weight, s->temperature);\n    if (s->top_k > 0 && s->top_k < n) n = s->top_k;",
        "test_sample", FILTERS),
    "positions that start again behind a cache": (
        DECODE, "d->positions[i] = size + i", "d->positions[i] = i", "test_generate",
        "a_prompt_that_goes_on_is_read_from_where_it_differs"),
    "sequences side by side at one position": (
        DECODE, "d->positions[i] = d->sizes[d->at];", "d->positions[i] = d->sizes[0];", "test_generate",
        "answers_side_by_side_have_the_bits_of_each_alone"),
    "stop strings looked for in one piece alone": (
        STOP, "s->held.size - pending(s)", "s->held.size", "test_stop",
        "a_text_ends_before_the_first_stop_string_however_it_is_cut"),
    "rotation interleaved": (
        "kernels/cpu/rope.c",
        "float a = x[i], b = y[i], s = direction * sines[i];\n"
        "        x[i] = a * cosines[i] - b * s;\n        y[i] =",
        "float a = x[2 * i], b = x[2 * i + 1], s = direction * sines[i];\n"
        "        x[2 * i] = a * cosines[i] - b * s;\n        x[2 * i + 1] =", "test_llama", LOGITS),
    "rotation not undone": (
        "kernels/cpu/rope.c", "heads, positions, table, -1)", "heads, positions, table, 1)", "test_llama", STEPS),
    "keys not rotated": (
        PASS, "tm_rope(p->dev, k, c->kv_heads, p->batch.positions, table);", "(void)k;", "test_llama", LOGITS),
    "rotation scaling ignored": (
        CONFIG, "if (c->rope == TM_ROPE_LLAMA3) f = llama3_frequency(c, f);", "(void)llama3_frequency;", "test_llama",
        LOGITS),
    "theta of newer files ignored": (
        CONFIG, 'read_real(&nested, "rope_theta", c->rope_theta)', "c->rope_theta", "test_llama", LOGITS),
    "epsilon of the family": (
        CONFIG, 'read_real(r, "rms_norm_eps", c->family->norm_eps)', "c->family->norm_eps", "test_llama", LOGITS),
    "attention scale missing": (
        PASS, "(float)(1 / sqrt((double)c->head_dim))", "(float)(1 + 0 * sqrt(1))", "test_llama", LOGITS),
    "attention window ignored": (
        PASS, "tm_model_config_window(c, layer)", "0 * tm_model_config_window(c, layer)", "test_llama", LOGITS),
    "attention window in every layer": (
        "stages/model/config.h", "layer >= config->window_first", "layer + 1 > 0", "test_llama", LOGITS),
    "attention across documents": (
        PASS, ".docs = p->batch.n_segments,\n        .q_start = p->batch.cu_seqlens,",
        ".docs = 1, .q_start = ({ static int32_t whole[2]; whole[1] = p->batch.n_tokens; whole; }),", "test_llama",
        APART),
    "key heads in turn instead of in groups": (
        "kernels/cpu/attention.c", "head * shape->kv_heads / shape->q_heads", "head % shape->kv_heads", "test_llama",
        LOGITS),
    "biases left out": (
        PASS, "vector(w, at->qkv_bias), 1, TM_SET", "NULL, 1, TM_SET", "test_llama", LOGITS),
    "biases without gradient": (
        PASS, "if (bias != SIZE_MAX) tm_linear_grad_bias", "if (0) tm_linear_grad_bias", "test_llama", STEPS),
    "norms of q and k left out": (
        PASS, "    if (c->qk_norm) {\n", "    if (0) {\n", "test_llama", LOGITS),
    "norms of q and k left out of the gradient": (
        PASS, "    if (!c->qk_norm) return;\n", "    return;\n", "test_llama", STEPS),
    "residual stream cut in the gradient": (
        PASS, "rstd, 1, 0, TM_ADD);", "rstd, 1, 0, TM_SET);", "test_llama", STEPS),
    "tied head without gradient": (
        PASS, ".d_head = tm_mat_of(grads + m->map.head, m->config.vocab, p->width)",
        ".d_head = m->config.tie ? (tm_mat){0} : tm_mat_of(grads + m->map.head, m->config.vocab, p->width)",
        "test_llama", STEPS),
    "tied look-up without gradient": (
        PASS, "    tm_embed_grad(", "    if (!m->config.tie) tm_embed_grad(", "test_llama", STEPS),
    "weights of tokens ignored": (
        PASS, ".weights = weights,", ".weights = NULL,", "test_llama",
        "weights_multiply_the_gradients_of_their_tokens"),
    "mean of means": (
        TRAIN, "&batches[i], (double)units, ", "&batches[i], (double)objective->units(&batches[i]) * n, ", "test_llama",
        STEPS),
    "mean of means over pairs": (
        TRAIN, "&batches[i], (double)units, ", "&batches[i], (double)objective->units(&batches[i]) * n, ", "test_tune",
        "preferences_are_learned_as_torch_does_with_the_sigmoid_loss"),
    "mask not shifted with the labels": (
        PACK, "is_label(p, d, k + 1) ? (int32_t)token_at", "is_label(p, d, k) ? (int32_t)token_at", "test_tune", TUNED),
    "prompts learned": (
        PACK, "    return d->mask[k < d->n ? k : d->n - 1] != 0;\n", "    return true;\n", "test_tune", TUNED),
    "answers divided by their length": (
        PREFER, "    a.ratio = a.logp - ", "    a.logp /= a.n;\n    a.ratio = a.logp - ", "test_tune", PREFERRED),
    "answers not divided by their length in ipo": (
        PREFER, "c->ratio / c->n - r->ratio / r->n", "c->ratio - r->ratio", "test_tune",
        "preferences_are_learned_as_torch_does_with_the_ipo_loss"),
    "beta missing in the loss": (
        PREFER, "double x = o->beta * (c->ratio", "double x = (c->ratio", "test_tune", PREFERRED),
    "beta missing in the gradient": (
        PREFER, "*d_chosen = o->beta * (", "*d_chosen = (", "test_tune", PREFERRED),
    "reference left out": (
        PREFER, "a.ratio = a.logp - batch->scores[segment];", "a.ratio = a.logp;", "test_tune", ITSELF),
    "reference without its adapter": (
        "stages/reference.c", "return tm_model_open_apart(&r->model, snapshot.folder, err);",
        "status = tm_model_open_apart(&r->model, snapshot.folder, err);\n"
        "    if (r->model) r->model->adapter = NULL;\n    return status;", "trainers",
        "test_the_first_loss_is_ln_2_with_the_adapter_in_the_reference"),
    "smoothing the wrong way round": (
        PREFER, "return -(1 - e) * log_sigmoid(x) - e * log_sigmoid(-x);",
        "return -e * log_sigmoid(x) - (1 - e) * log_sigmoid(-x);", "test_tune",
        "preferences_are_learned_as_torch_does_with_label_smoothing"),
    "answers of a pair exchanged": (
        PREFER, "answer c = answer_of(batch, s, log_probs), r = answer_of(batch, s + 1, log_probs);",
        "answer c = answer_of(batch, s + 1, log_probs), r = answer_of(batch, s, log_probs);", "test_tune", PREFERRED),
    "gradient of the last micro-batch alone": (
        TRAIN, "        TM_TRY(tm_pass_forward",
        "        tm_fill(t->dev, t->grads, (int64_t)t->what.map->n_floats, 0);\n        TM_TRY(tm_pass_forward",
        "test_llama", STEPS),
    "gradients never cleared": (
        TRAIN, "    tm_fill(t->dev, t->grads, (int64_t)t->what.map->n_floats, 0);\n", "", "test_llama", STEPS),
    "no clipping": (
        TRAIN, "return fmin(1, t->options.clip / (norm + 1e-6));", "return 1;", "test_llama", STEPS),
    "decay of vectors": (
        TRAIN, "    args.weight_decay = 0;\n", "", "test_llama", STEPS),
    "no decay": (
        TRAIN, ".weight_decay = (float)o->weight_decay,", ".weight_decay = 0,", "test_llama", STEPS),
    "epsilon inside the root": (
        "kernels/cpu/optimiser.c", "(sqrtf(vi_) * a.root_correction + a.eps)",
        "(sqrtf(vi_ + a.eps) * a.root_correction)", "test_llama", STEPS),
    "no bias correction": (
        "kernels/cpu/optimiser.c", "(1 - pow(args->beta1, step))", "(1 - 0 * pow(args->beta1, step))", "test_llama",
        STEPS),
    "cache positions from zero": (
        "stages/model/decode.c", "d->positions[i] = size + i", "d->positions[i] = i", "test_llama",
        "decoding_token_by_token_gives_the_logits_of_the_whole"),
    "positions not reset": (
        PACK, "p->positions[at] = (int32_t)i;", "p->positions[at] = (int32_t)at;", "test_pack",
        "every_token_is_a_label_once_and_no_label_crosses_a_document"),
    "labels not shifted": (
        PACK, "(int32_t)token_at(p, d, k + 1) : -1", "(int32_t)token_at(p, d, k) : -1", "test_pack",
        "every_token_is_a_label_once_and_no_label_crosses_a_document"),
    "mask ignored": (
        PACK, "if (!d->mask) return true;", "return true;", "test_pack",
        "whole_documents_wait_for_the_next_batch"),
    "shuffle leaves its window": (
        PACK, "p->documents.get(p->documents.ctx, next->document, &d, err)",
        "p->documents.get(p->documents.ctx, (next->document + 8) % 24, &d, err)", "test_pack",
        "windows_and_epochs_are_shuffled_and_nothing_leaves_its_window"),
    "pieces in the order of their documents": (
        PACK, "    if (p->options.window) shuffle(p);\n", "    (void)shuffle;\n", "test_pack",
        "pieces_of_one_document_are_spread_over_its_window"),
    "resume without second moments": (
        TRAIN, "restore_slab(t->what.map, t->v, SECOND, file, err)", "TM_OK", "test_trainer",
        "a_restored_trainer_continues_bit_for_bit"),
    "resume without the place in the data": (
        TRAIN, "    t->cursor = tm_pack_tell(pack);\n", "", "test_trainer",
        "a_restored_trainer_continues_bit_for_bit"),
    "a step that is not a number is applied": (
        TRAIN, "if (!isfinite(step->loss) || !isfinite(step->grad_norm))", "if (0)", "test_trainer",
        "a_step_that_is_not_a_number_changes_nothing_and_says_so"),
    "decay begins at another step for another total": (
        "stages/train/schedule.c", '{"cosine",   "warmup, then half a cosine down to the floor",         '
        "cosine_factor,   warmup_extends}", '{"cosine",   "",         cosine_factor,   constant_extends}',
        "test_schedule", "rates_below_extends_are_the_same_for_every_longer_run"),
    "adapter without its scale": (
        ADAPTER_PASS, "tm_adapter_scale(c->adapter, part), TM_ADD);", "1, TM_ADD);", "test_adapter", LORA_LOGITS),
    "adapter's gradients without its scale": (
        ADAPTER_PASS, "float scale = tm_adapter_scale(c->adapter, part);", "float scale = 1;", "test_adapter",
        LORA_GRADS),
    "adapter merged without its scale": (
        ADAPTER, "tm_adapter_scale(a, part), TM_ADD);", "1, TM_ADD);", "test_adapter", LORA_MERGED),
    "rsLoRA scaled by the rank": (
        ADAPTER, "(a->lora.rslora ? sqrt((double)part->rank) : part->rank)", "part->rank", "test_adapter",
        LORA_LOGITS),
    "LoRA scaled by the root of the rank": (
        ADAPTER, "(a->lora.rslora ? sqrt((double)part->rank) : part->rank)", "sqrt((double)part->rank)",
        "test_adapter", LORA_LOGITS),
    "alphas of single linears ignored": (
        ADAPTER_FILES, "if (key_matches(key, path)) return", "if (0) return", "test_adapter", LORA_LOGITS),
    "A and B swapped": (
        ADAPTER, 'layer, t, "lora_A",', 'layer, t, "lora_B",', "test_adapter", LORA_LOGITS),
    "adapter of v in the columns of k": (
        ADAPTER, "part->column = column;", "part->column = t == TM_LORA_V ? column - part->out : column;",
        "test_adapter", LORA_LOGITS),
    "adapter of up merged into gate": (
        ADAPTER, "(size_t)(part->column * part->in)", "(size_t)(t < TM_LORA_UP ? part->column * part->in : 0)",
        "test_adapter", LORA_MERGED),
    "no gradient through the adapter": (
        ADAPTER_PASS, "        tm_linear_grad_x(dev, dx, dh, a, 1, TM_ADD);\n", "", "test_adapter", LORA_GRADS),
    "gradient through the adapter without its dropout": (
        ADAPTER_PASS, "    drop(dev, c, c->room, c->room);\n", "", "test_adapter",
        "gradients_are_the_slopes_of_the_loss"),
    "dropout the same in every step": (
        ADAPTER_PASS, "tm_mix64(c->noise.draw)", "tm_mix64(0)", "test_adapter",
        "dropout_is_a_function_of_seed_and_draw_and_only_in_training"),
    "GGUF rows of queries and keys not reordered": (
        "stages/model/model_gguf_names.h", "row - in + (in < half ? 2 * in : 2 * (in - half) + 1)", "row + 0 * (in + half)",
        "test_model_source", FORMS),
    "GGUF keys reordered by the heads of queries": (
        "stages/model/model_gguf_names.c", 'k_proj.")) return config->kv_heads;', 'k_proj.")) return config->heads;',
        "test_model_source", FORMS),
    "GGUF rows reordered for every architecture": (
        "stages/model/model_gguf_names.c", "if (!arch->interleaved) return 0;", "", "test_model_source",
        "architectures_without_the_reordering_come_back_too"),
    "GGUF scaling of the rotation ignored": (
        "stages/model/model_gguf.c", "if (r->status == TM_OK && factors) read_factors(r, c, factors);",
        "(void)read_factors;", "test_model_source", FORMS),
    "GGUF high nibbles backwards": (
        "stages/format/gguf_types.c", "to[i + 16] = d * (float)(two >> 4) + m;",
        "to[31 - i] = d * (float)(two >> 4) + m;", "test_gguf", "every_number_format_reads_as_the_gguf_package_reads_it"),
    "an answer begins a token late": (
        LIKELIHOOD, "mask[i - start] != 0 : i - start >= first)", "mask[i - start] != 0 : i - start > first)", "judge", MEASURED),
    "an answer begins a token early": (
        LIKELIHOOD, "mask[i - start] != 0 : i - start >= first)", "mask[i - start] != 0 : i - start + 1 >= first)", "judge",
        MEASURED),
    "questions count as answers": (LIKELIHOOD, "mask[i - start] != 0 :", "true :", "judge", MEASURED),
    "white space stays with the context": (
        LIKELIHOOD, "while (context.size && isspace", "while (false && isspace", "judge", MEASURED),
    "preferences by means where sums are due": (
        "stages/preference.c", "return per_token ?", "return true ?", "judge", MEASURED),
    "preferences by sums where means are due": (
        "stages/preference.c", "return per_token ?", "return false ?", "judge", MEASURED),
    "choices by their sums alone": (
        "stages/multiple_choice.c", "by_length ? sums[k].sum", "false ? sums[k].sum", "judge", MEASURED),
    "errors of means divided by n": (
        "stages/judge/task.c", "sqrt(squares / (double)(n - 1) / (double)n)", "sqrt(squares / (double)n / (double)n)", "judge",
        MEASURED),
    "errors of ratios without the ratio": (
        "stages/judge/task.c", "sums[i] - ratio * sizes[i]", "sums[i] - sum / (double)n", "judge", MEASURED),
    "articles count": ("stages/judge/answer_text.c", "!n || article(", "!n || false && article(", "judge", MEASURED),
    "a seed decides alone": (
        "stages/judge/trials.c", "row->value = g->first + away;", "row->value = g->first;", "choosing", CHOSEN),
    "the worst mean is the best": (
        "stages/best.c", "return tm_select_better(j->o->by, value, than)", "return !tm_select_better(j->o->by, value, than)",
        "choosing", CHOSEN),
}


# Scripts that run the whole program: what they need built, the script, its class.
PIPELINES = {"trainers": ("tidemill", "pipeline/test_trainers.py", "Trainers"),
             "judge": ("tidemill", "pipeline/test_judge.py", "Judge"),
             "choosing": ("tidemill", "pipeline/test_choosing.py", "Choosing")}


def build(tree, programs):
    targets = sorted({PIPELINES[p][0] if p in PIPELINES else "tests/" + p for p in programs})
    return subprocess.run(["ninja", "-C", tree / "build", "-j2", *targets], capture_output=True, text=True)


def failed_pipeline(tree, program, test):
    binary, script, case = PIPELINES[program]
    done = subprocess.run([sys.executable, tree / "tests" / script, tree / "build" / binary, f"{case}.{test}"],
                          capture_output=True, text=True, timeout=120)
    return {test} if done.returncode == 1 and "AssertionError" in done.stderr else set(), done.returncode


def failed_tests(tree, program, test):
    """Names of the failing tests, and how the program ended."""
    if program in PIPELINES:
        return failed_pipeline(tree, program, test)
    done = subprocess.run([tree / "build/tests" / program], cwd=tree, capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    return {l.split()[-1] for l in lines if l.startswith("[  FAILED  ]") and "test(s)" not in l}, done.returncode


def try_mutation(tree, name):
    file, old, new, program, test = MUTATIONS[name]
    path = tree / file
    source = path.read_text()
    if old not in source:
        return f"{file} has no such text any more"
    try:
        path.write_text(source.replace(old, new))
        made = build(tree, [program])
        if made.returncode != 0:
            return "does not compile: " + made.stdout.strip()[-600:]
        failed, code = failed_tests(tree, program, test)
        if test not in failed:
            return f"not noticed by {test} (exit {code}, failing: {sorted(failed) or 'none'})"
    finally:
        path.write_text(source)
    return None


def main():
    source, names = pathlib.Path(sys.argv[1]), sys.argv[2:] or list(MUTATIONS)
    programs = sorted({MUTATIONS[n][3] for n in names})
    with tempfile.TemporaryDirectory() as tmp:
        tree = pathlib.Path(tmp)
        shutil.copytree(source, tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", "build*", "dist"))
        subprocess.run(["meson", "setup", tree / "build", tree, "--buildtype=plain", "-Dwarning_level=0"], check=True,
                       capture_output=True)
        made = build(tree, programs)
        runs = {(MUTATIONS[n][3], MUTATIONS[n][4] if MUTATIONS[n][3] in PIPELINES else "") for n in names}
        sane = made.returncode == 0 and not any(failed_tests(tree, program, test)[1] for program, test in runs)
        if not sane:
            sys.exit("the program does not pass its tests before any change\n" + made.stdout[-2000:])
        failures = 0
        for name in names:
            why = try_mutation(tree, name)
            failures += why is not None
            print(f"{'FAILED' if why else 'ok':6} {name}{': ' + why if why else ''}", flush=True)
    print(f"{len(names) - failures} of {len(names)} mutations noticed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
