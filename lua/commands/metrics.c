// SPDX-License-Identifier: Apache-2.0
// metrics: how a run stands, for Prometheus.
#include <stdio.h>

#include "lua/cli/session.h"
#include "lua/send/exposition.h"
#include "lua/send/scrape.h"

static const tm_flag flags[] = {
    {"--listen", 0, "HOST:PORT",
     "serve it at http://HOST:PORT/metrics until Ctrl-C; :9464 is this machine alone"},
    {0},
};

typedef struct source {
    tm_store *store;
    const char *run; // NULL: whatever is the latest when it is asked for
    tm_past past;    // as far as it was read; .run is empty: not yet
} source;

static bool is_latest(const source *from)
{
    uint64_t *numbers = NULL;
    size_t n = 0;
    char run[32] = "";
    if (tm_run_list(from->store, &numbers, &n, NULL) >= 0 && n)
        snprintf(run, sizeof run, "r%llu", (unsigned long long)numbers[n - 1]);
    tm_free(numbers);
    return strcmp(run, from->past.run) == 0;
}

// What the run has added since is all that is read, and the results of nodes that were not done before.
static tm_status page(void *self, tm_buf *text, tm_error *err)
{
    source *from = self;
    bool same = from->past.run[0] && (from->run || is_latest(from));
    if (!same) tm_past_clear(&from->past);
    TM_TRY(same ? tm_past_more(&from->past, err) : tm_past_read(from->store, from->run, &from->past, err));
    TM_TRY(tm_past_results(&from->past, from->store, err));
    tm_exposition(&from->past, text);
    return tm_buf_status(text, err);
}

static tm_status serve(const tm_cli *cli, source *from, const char *address, tm_error *err)
{
    int fd;
    char where[96];
    TM_TRY(tm_scrape_listen(address, &fd, where, err));
    if (cli->json)
        tm_cli_print(cli, json_pack("{s:s+}", "url", "http://", where));
    else
        fprintf(stderr, "metrics of %s at http://%s/metrics\n", from->run ? from->run : "the latest run",
                where);
    fflush(stdout);
    return tm_scrape_serve(fd, page, from, TM_EXPOSITION_TYPE, err);
}

static tm_status print(const tm_cli *cli, source *from, tm_error *err)
{
    tm_buf text = {0};
    tm_status status = page(from, &text, err);
    if (status >= 0 && cli->json)
        tm_cli_print(cli, json_pack("{s:s, s:s}", "type", TM_EXPOSITION_TYPE, "text", text.data));
    else if (status >= 0)
        fwrite(text.data, 1, text.size, stdout);
    tm_buf_clear(&text);
    return status;
}

static int exec(tm_cli *cli)
{
    tm_session session = {0};
    tm_error err = {0};
    int code = tm_session_store(&session, cli, 0);
    if (code == TM_EXIT_OK) {
        source from = {.store = session.store, .run = cli->args[0]};
        const char *address = tm_cli_flag(cli, "--listen");
        tm_status status = address ? serve(cli, &from, address, &err) : print(cli, &from, &err);
        if (status < 0) code = tm_cli_fail(cli, &err);
        tm_past_clear(&from.past);
    }
    tm_session_close(&session);
    return code;
}

const tm_command tm_command_metrics = {
    .name = "metrics",
    .brief = "Print how a run (the latest, if none is named) stands, as Prometheus reads it, or serve it.",
    .usage = "[RUN]",
    .example = "tidemill metrics --listen 127.0.0.1:9464",
    .max = 1,
    .flags = flags,
    .exec = exec,
};
