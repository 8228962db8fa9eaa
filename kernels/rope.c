// SPDX-License-Identifier: Apache-2.0
// The frequencies of rotary positions, the same for every device.
#include <math.h>

#include "kernels/ops.h"

void tm_rope_frequencies(float *inv_freq, int64_t rotary, double theta)
{
    for (int64_t i = 0; i < rotary / 2; i++)
        inv_freq[i] = (float)(1 / pow(theta, (double)(2 * i) / (double)rotary));
}
