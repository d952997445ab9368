#!/bin/sh
# Makes a static library that C programs can link beside others: cargo's own has the whole of Rust's
# standard library among its global symbols, this one only the functions of the header.
#
#   static-library.sh CARGO_ARCHIVE SYMBOL_LIST OUTPUT
set -eu

archive=$1
symbols=$2
output=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Undefined symbols are what pulls an object out of an archive.
undefined=$(sed 's/^/--undefined=/' "$symbols")
# shellcheck disable=SC2086 # one argument a symbol
"${LD:-ld}" -r --gc-sections $undefined "$archive" -o "$work/fusepromise.o"
# The standard library carries its LLVM bitcode along; linker plugins of another LLVM choke on it.
"${OBJCOPY:-objcopy}" --keep-global-symbols="$symbols" --remove-section=.llvmbc \
    --remove-section=.llvmcmd "$work/fusepromise.o"
rm -f "$output"
"${AR:-ar}" rcsD "$output" "$work/fusepromise.o"
