# SPDX-License-Identifier: Apache-2.0
# Reads the prototypes of ops.h (`void tm_x(tm_device *dev, ...);`) and writes, by the variable `make`:
#   names     a macro per op that gives it the name of the instruction set a file is compiled for
#   entries   the table of a device: a pointer per op, and the initialiser that fills it with the ops in scope
#   dispatch  the public functions, each of which calls the entry of its device

/^void tm_[a-z0-9_]*\(tm_device \*dev/ { collecting = 1; text = "" }
collecting {
    sub(/[ \t]*\/\/.*/, "")
    sub(/^[ \t]+/, " ")
    text = text $0
    if (text ~ /;$/) { collecting = 0; protos[++n] = text }
}

function name_of(proto) {
    sub(/^void tm_/, "", proto)
    sub(/\(.*/, "", proto)
    return proto
}

function arguments_of(proto,    parts, count, i, list) {
    sub(/^[^(]*\(/, "", proto)
    sub(/\);$/, "", proto)
    count = split(proto, parts, ",")
    for (i = 1; i <= count; i++) {
        sub(/.*[ *]/, "", parts[i])
        list = list (i > 1 ? ", " : "") parts[i]
    }
    return list
}

END {
    print "// Made from kernels/ops.h by kernels/dispatch.awk."
    if (make == "names") {
        for (i = 1; i <= n; i++) printf "#define tm_%s TM_ISA_NAME(tm_%s)\n", name_of(protos[i]), name_of(protos[i])
    } else if (make == "entries") {
        print "#pragma once\n#include \"kernels/ops.h\"\ntypedef struct tm_entries {"
        for (i = 1; i <= n; i++) printf "    __typeof__(tm_%s) *%s;\n", name_of(protos[i]), name_of(protos[i])
        print "} tm_entries;\n#define TM_ENTRIES \\"
        for (i = 1; i <= n; i++) printf "    .%s = tm_%s,%s\n", name_of(protos[i]), name_of(protos[i]), i < n ? " \\" : ""
    } else {
        print "#include \"kernels/device_parts.h\""
        for (i = 1; i <= n; i++) {
            sub(/;$/, "", protos[i])
            proto = protos[i] ";"
            printf "%s\n{\n    dev->entries->%s(%s);\n}\n", protos[i], name_of(proto), arguments_of(proto)
        }
    }
}
