// SPDX-License-Identifier: Apache-2.0
// Calls a fuzz entry for every file of a folder, then for changed copies of each: bytes flipped, cut off,
// doubled.
//
// usage: fuzz_X FOLDER [CHANGES]
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define MAX_BYTES (1 << 20)

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

// The entry sees a copy of exactly its size, so that reading beyond it is noticed.
static void call(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void change(uint8_t *data, size_t *size, uint32_t *state)
{
    size_t at = *size ? next_random(state) % *size : 0;
    switch (next_random(state) % 4) {
    case 0: data[at] ^= (uint8_t)(1u << next_random(state) % 8); break;
    case 1: data[at] = (uint8_t)next_random(state); break;
    case 2: *size = at; break;
    default:
        if (*size - at > MAX_BYTES - *size) break;
        memmove(data + *size, data + at, *size - at);
        *size += *size - at;
        break;
    }
}

static void replay(const uint8_t *seed, size_t n, int n_changes)
{
    static uint8_t data[MAX_BYTES];
    uint32_t state = (uint32_t)n + 1;
    call(seed, n);
    for (int i = 0; i < n_changes; i++) {
        size_t size = n;
        memcpy(data, seed, n);
        for (uint32_t k = 0; k <= next_random(&state) % 4; k++) change(data, &size, &state);
        call(data, size);
    }
}

int main(int argc, char **argv)
{
    static uint8_t seed[MAX_BYTES / 2];
    DIR *folder = argc > 1 ? opendir(argv[1]) : NULL;
    const struct dirent *entry;
    int n_files = 0;
    if (!folder) return 2;
    while ((entry = readdir(folder))) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "rb") : NULL;
        if (!file) continue;
        replay(seed, fread(seed, 1, sizeof seed, file), argc > 2 ? atoi(argv[2]) : 300);
        fclose(file);
        n_files++;
    }
    closedir(folder);
    printf("%d files\n", n_files);
    return n_files == 0;
}
