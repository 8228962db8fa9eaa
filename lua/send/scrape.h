// SPDX-License-Identifier: Apache-2.0
// A small HTTP server for one page, GET /metrics, such as Prometheus asks every few seconds.
//
// One thread, a fixed number of connections, one request each. A client has two seconds in all and 8 KiB for
// its request; where there is no room the oldest connection makes it. So nobody can hold the server or make
// it grow.
#pragma once

#include "engine/base/bytes.h"

// The text of the page, asked for anew for each request, into an empty buffer.
typedef tm_status tm_scrape_page(void *self, tm_buf *text, tm_error *err);

// `address` is "HOST:PORT", "[::1]:PORT" or ":PORT" (this machine alone); port 0 takes a free one. `fd`
// receives the listening socket, `where` the address it has.
tm_status tm_scrape_listen(const char *address, int *fd, char where[96], tm_error *err);
// Serve until SIGINT or SIGTERM. Closes `fd`.
tm_status tm_scrape_serve(int fd, tm_scrape_page *page, void *self, const char *type, tm_error *err);
