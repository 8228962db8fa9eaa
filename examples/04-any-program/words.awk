# SPDX-License-Identifier: Apache-2.0
# How many lines have how many words.
match($0, /"words": *[0-9]+/) { split(substr($0, RSTART, RLENGTH), part, ":"); seen[part[2] + 0]++ }
END { system("mkdir -p '" out "'"); for (n in seen) print n, seen[n] | ("sort -n > '" out "/words.txt'") }
