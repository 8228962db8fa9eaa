// SPDX-License-Identifier: Apache-2.0
// Runs the op case table: test_ops MODE [OP [THREADS]], modes as in case.h. Prints TAP.
#include "tests/ops/case.h"

#include <time.h>

static const op_spec *const lists[] = {specs_product, specs_norm,        specs_attention, specs_activation,
                                       specs_loss,    specs_elementwise, specs_optimiser};
enum { n_lists = sizeof lists / sizeof *lists, SAMPLES = 40 };
static int gap = 5;  // columns between rows; none when benching, as in models

static void *kept[1 << 16];
static int n_kept;

void *keep(size_t bytes)
{
    tm_assert(n_kept < 1 << 16);
    return kept[n_kept++] = calloc(1, bytes + 64);
}

static void forget(void)
{
    while (n_kept > 0) free(kept[--n_kept]);
}

static int n_run, n_failed;

static void verdict(bool good, const char *mode, const op_spec *spec, const op_case *c, const char *what)
{
    n_run++;
    if (!good) n_failed++;
    printf("%s %d - %s %s: %s%s%s\n", good ? "ok" : "not ok", n_run, mode, spec->op, c->name,
           *what ? ": " : "", what);
}

// ---- Tensors

typedef struct data {
    op_shape in_shape[MAX_IN], out_shape;
    tm_mat in[MAX_IN], out;
    double *in64[MAX_IN], *out64;
} data;

// A view with `gap` columns of poison after each row, so that a write outside shows.
static tm_mat view_new(op_shape shape, float value)
{
    int64_t stride = shape.cols + gap;
    float *memory = keep((size_t)(shape.rows * stride) * sizeof(float));
    for (int64_t i = 0; i < shape.rows * stride; i++) memory[i] = i % stride < shape.cols ? value : 12345;
    return (tm_mat){memory, shape.rows, shape.cols, stride};
}

static bool view_gaps_whole(tm_mat m)
{
    for (int64_t r = 0; r < m.rows; r++)
        for (int64_t c = m.cols; c < m.stride; c++)
            if (m.data[r * m.stride + c] != 12345) return false;
    return true;
}

static float normal(uint64_t stream, uint64_t i)
{
    double u = 1 - tm_random_unit(3, stream, 2 * i), v = tm_random_unit(3, stream, 2 * i + 1);
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static double *widen(tm_mat m)
{
    double *wide = keep((size_t)(m.rows * m.cols) * sizeof(double));
    for (int64_t r = 0; r < m.rows; r++)
        for (int64_t c = 0; c < m.cols; c++) wide[r * m.cols + c] = (double)m.data[r * m.stride + c];
    return wide;
}

static void data_init(data *d, const op_spec *spec, const op_case *c, bool wide)
{
    memset(d, 0, sizeof *d);
    spec->shapes(c, d->in_shape, &d->out_shape);
    for (int i = 0; i < spec->n_in; i++) {
        d->in[i] = view_new(d->in_shape[i], 0);
        for (int64_t r = 0; r < d->in[i].rows; r++)
            for (int64_t k = 0; k < d->in[i].cols; k++)
                d->in[i].data[r * d->in[i].stride + k] = (float)(spec->spread == 0 ? 1 : spec->spread) *
                                                         normal((uint64_t)i, (uint64_t)(r * 100003 + k));
        if (wide) d->in64[i] = widen(d->in[i]);
    }
    d->out = view_new(d->out_shape, 0.5f);
    if (wide) d->out64 = keep((size_t)(d->out.rows * d->out.cols) * sizeof(double));
    for (int64_t i = 0; wide && i < d->out.rows * d->out.cols; i++) d->out64[i] = 0.5;  // what TM_ADD finds
}

static bool close_to(tm_mat m, const double *wanted, double tolerance, char *what, size_t size)
{
    double squares = 0, worst = 0;
    int64_t n = m.rows * m.cols, at = -1;
    for (int64_t i = 0; i < n; i++) squares += wanted[i] * wanted[i];
    double rms = sqrt(squares / (double)(n > 0 ? n : 1));
    for (int64_t i = 0; i < n; i++) {
        double got = (double)m.data[i / m.cols * m.stride + i % m.cols];
        double error = fabs(got - wanted[i]) / (fabs(wanted[i]) + rms + 1e-30);
        if (got != wanted[i] && (!(error <= worst) || at < 0)) {
            worst = error;
            at = i;
        }
    }
    bool good = at < 0 || worst <= tolerance;
    snprintf(what, size, "error %.2g of %.2g", worst, tolerance);
    if (!good)
        snprintf(what, size, "element (%lld, %lld) is %.9g, not %.9g (error %.3g, allowed %.3g)",
                 (long long)(at / m.cols), (long long)(at % m.cols),
                 (double)m.data[at / m.cols * m.stride + at % m.cols], wanted[at], worst, tolerance);
    return good;
}

// ---- Modes

static bool same_bits(tm_mat a, tm_mat b)
{
    return memcmp(a.data, b.data, (size_t)(a.rows * a.stride) * sizeof(float)) == 0;
}

static void gradients(tm_device *dev, const op_spec *spec, const op_case *c, data *d, tm_mat d_out,
                      tm_mat d_in[])
{
    for (int i = 0; i < spec->n_in; i++) d_in[i] = view_new(d->in_shape[i], spec->adds[i] ? 1 : NAN);
    spec->backward(dev, c, d->in, d->out, d_out, d_in);
}

static tm_mat d_out_new(const data *d)
{
    tm_mat m = view_new(d->out_shape, 0);
    for (int64_t r = 0; r < m.rows; r++)
        for (int64_t k = 0; k < m.cols; k++)
            m.data[r * m.stride + k] = normal(99, (uint64_t)(r * 100003 + k));
    return m;
}

// Forward and gradients at 1 to 4 threads have the bits of one thread.
static bool threads_agree(tm_device *dev, const op_spec *spec, const op_case *c, data *d)
{
    tm_mat first[MAX_IN], d_in[MAX_IN], d_out = d_out_new(d), out;
    bool good = true;
    for (int threads = 1; threads <= 4; threads++) {
        tm_assert(tm_pool_resize(tm_device_pool(dev), threads, NULL) == TM_OK);
        out = view_new(d->out_shape, 0.5f);
        spec->forward(dev, c, d->in, out);
        good = good && same_bits(out, d->out);
        if (spec->backward == NULL) continue;
        gradients(dev, spec, c, d, d_out, threads == 1 ? first : d_in);
        for (int i = 0; threads > 1 && i < spec->n_in; i++) good = good && same_bits(first[i], d_in[i]);
    }
    tm_assert(tm_pool_resize(tm_device_pool(dev), 2, NULL) == TM_OK);
    return good;
}

static void correct(tm_device *dev, const op_spec *spec, const op_case *c)
{
    const tm_op *op = tm_op_find(spec->op);
    char what[256];
    data d;
    data_init(&d, spec, c, true);
    spec->reference(c, (const double *const *)d.in64, d.out64);
    spec->forward(dev, c, d.in, d.out);
    bool good = close_to(d.out, d.out64, op->tolerance, what, sizeof what);
    if (good && !view_gaps_whole(d.out)) {
        good = false;
        strcpy(what, "wrote between the rows of its output");
    }
    if (good && !threads_agree(dev, spec, c, &d)) {
        good = false;
        strcpy(what, "bits depend on the number of threads");
    }
    verdict(good, "correct", spec, c, what);
}

static double objective(const op_spec *spec, const op_case *c, data *d, const double *direction)
{
    double sum = 0;
    for (int64_t i = 0; i < d->out.rows * d->out.cols; i++) d->out64[i] = 0.5;
    spec->reference(c, (const double *const *)d->in64, d->out64);
    for (int64_t i = 0; i < d->out.rows * d->out.cols; i++) sum += d->out64[i] * direction[i];
    return sum;
}

// The slope along one element of one input, by central differences.
static double slope(const op_spec *spec, const op_case *c, data *d, const double *direction, double *x)
{
    const double h = 1e-4;
    double before = *x;
    *x = before + h;
    double up = objective(spec, c, d, direction);
    *x = before - h;
    double down = objective(spec, c, d, direction);
    *x = before;
    return (up - down) / (2 * h);
}

static bool grad_close(const op_spec *spec, const op_case *c, data *d, const double *direction, tm_mat d_in,
                       int i, char *what, size_t size)
{
    const tm_op *op = tm_op_find(spec->grad);
    int64_t n = d_in.rows * d_in.cols, samples = n < SAMPLES ? n : SAMPLES;
    double squares = 0, wanted[SAMPLES], got[SAMPLES];
    for (int64_t s = 0; s < samples; s++) {
        int64_t at = samples == n ? s : (int64_t)tm_random_below(4, (uint64_t)i, (uint64_t)s, (uint64_t)n);
        wanted[s] = slope(spec, c, d, direction, &d->in64[i][at]);
        got[s] = (double)d_in.data[at / d_in.cols * d_in.stride + at % d_in.cols] - (spec->adds[i] ? 1 : 0);
        squares += wanted[s] * wanted[s];
    }
    double rms = sqrt(squares / (double)(samples > 0 ? samples : 1));
    double floor =
        spec->adds[i] ? 1 : 0.1;  // it was added to 1, and rounded there; else for gradients near 0
    for (int64_t s = 0; s < samples; s++) {
        double error = fabs(got[s] - wanted[s]) / (fabs(wanted[s]) + rms + floor);
        if (error <= op->tolerance * 2 + 1e-7) continue;
        snprintf(what, size, "input %d: gradient %.9g, not %.9g (error %.3g)", i, got[s], wanted[s], error);
        return false;
    }
    return true;
}

static void grad(tm_device *dev, const op_spec *spec, const op_case *c)
{
    if (spec->backward == NULL) return;
    char what[256] = "";
    data d;
    data_init(&d, spec, c, true);
    spec->forward(dev, c, d.in, d.out);
    tm_mat d_out = d_out_new(&d), d_in[MAX_IN];
    gradients(dev, spec, c, &d, d_out, d_in);
    double *direction = widen(d_out);
    bool good = true;
    for (int i = 0; i < spec->n_in && good; i++) {
        if (spec->frozen[i]) continue;
        good = grad_close(spec, c, &d, direction, d_in[i], i, what, sizeof what) && view_gaps_whole(d_in[i]);
        if (!good && *what == '\0') snprintf(what, sizeof what, "input %d: wrote between the rows", i);
    }
    verdict(good, "grad", spec, c, what);
}

// With one thread, the time it ran: what else the machine does is left out.
static clockid_t bench_clock = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(bench_clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bench_line(const char *name, const op_case *c, tm_op_size size, double seconds)
{
    const tm_op *op = tm_op_find(name);
    printf("%-16s %-34s %9.3f ms %8.1f GFLOP/s %7.1f GB/s\n", name, c->name, 1e3 * seconds,
           1e-9 * op->flops(size) / seconds, 1e-9 * op->bytes(size) / seconds);
}

static void bench(tm_device *dev, const op_spec *spec, const op_case *c)
{
    data d;
    data_init(&d, spec, c, false);
    double forward = INFINITY, backward = INFINITY, begin = now();
    tm_mat d_out = d_out_new(&d), d_in[MAX_IN];
    if (spec->backward != NULL)
        for (int i = 0; i < spec->n_in; i++) d_in[i] = view_new(d.in_shape[i], 0);
    for (int i = 0; i < 200 && (i < 3 || now() - begin < 0.4); i++) {
        double t = now();
        spec->forward(dev, c, d.in, d.out);
        forward = fmin(forward, now() - t);
        if (spec->backward == NULL) continue;
        t = now();
        spec->backward(dev, c, d.in, d.out, d_out, d_in);
        backward = fmin(backward, now() - t);
    }
    bench_line(spec->op, c, spec->size(c), forward);
    if (spec->backward != NULL)
        bench_line(spec->grad, c, spec->size(c), backward - (spec->repeats ? forward : 0));
}

static void supported(const tm_device *dev)
{
    size_t count;
    const tm_op *ops = tm_op_table(&count);
    printf("%-18s %s\n", "op", tm_device_name(dev));
    for (size_t i = 0; i < count; i++)
        printf("%-18s %s\n", ops[i].name, tm_op_supported(&ops[i], dev) ? "yes" : "no");
}

// Every row of the op table is the op or the gradient of a spec.
static void all_have_cases(void)
{
    size_t count;
    const tm_op *ops = tm_op_table(&count);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (int l = 0; l < n_lists; l++)
            for (const op_spec *s = lists[l]; s->op != NULL; s++)
                found = found || strcmp(s->op, ops[i].name) == 0 ||
                        (s->grad != NULL && strstr(ops[i].name, s->op) == ops[i].name);
        n_run++;
        if (!found) n_failed++;
        printf("%s %d - %s has cases\n", found ? "ok" : "not ok", n_run, ops[i].name);
    }
}

static bool run_case(tm_device *dev, const char *mode, const op_spec *spec, const op_case *c)
{
    if (strcmp(mode, "bench") == 0) {
        if (c->bench) bench(dev, spec, c);
    } else if (strcmp(mode, "correct") == 0) {
        if (!c->bench) correct(dev, spec, c);
    } else if (strcmp(mode, "grad") == 0) {
        if (!c->bench) grad(dev, spec, c);
    } else {
        return false;
    }
    forget();
    return true;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "correct", *only = argc > 2 ? argv[2] : NULL;
    int threads = argc > 3 ? atoi(argv[3]) : 2;
    tm_error err = {0};
    tm_device *dev = NULL;
    if (tm_device_open_cpu(threads, &dev, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    printf("# %s\n", tm_device_name(dev));
    bool known = true;
    if (strcmp(mode, "bench") == 0) gap = 0;
    if (threads == 1) bench_clock = CLOCK_THREAD_CPUTIME_ID;
    if (strcmp(mode, "supported") == 0) {
        supported(dev);
    } else {
        if (strcmp(mode, "correct") == 0 && only == NULL) all_have_cases();
        for (int l = 0; l < n_lists; l++)
            for (const op_spec *spec = lists[l]; spec->op != NULL; spec++)
                for (const op_case *c = spec->cases; c->name != NULL && known; c++)
                    if (only == NULL || strcmp(only, spec->op) == 0) known = run_case(dev, mode, spec, c);
        if (n_run > 0) printf("1..%d\n", n_run);
    }
    if (!known) fprintf(stderr, "modes are correct, grad, bench and supported, not %s\n", mode);
    if (tm_device_status(dev, &err) < 0) fprintf(stderr, "%s\n", err.text);
    bool good = known && n_failed == 0 && tm_device_status(dev, NULL) == TM_OK;
    tm_device_close(dev);
    return good ? 0 : 1;
}
