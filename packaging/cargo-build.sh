#!/bin/sh
# Called by meson: builds libraries and programs with cargo and puts them where meson expects them.
#
#   cargo-build.sh SOURCE_ROOT TARGET_DIR PROFILE OUTPUT_DIR VERSION [CARGO_ARGUMENT...]
set -eu

source_root=$1
target_dir=$2
profile=$3
output_dir=$4
version=$5
shift 5

build() {
    cargo build --manifest-path "$source_root/Cargo.toml" --target-dir "$target_dir" --locked \
        --profile "$profile" "$@"
}

# The library by itself: built together with the daemon it would get what only the daemon asks of
# the crates they share, such as signal handling.
build --package fusepromise "$@"
build --package fuse-promised --package fpctl "$@"

# Cargo's name for the folder of the profile dev is an old one.
case $profile in
dev) built=$target_dir/debug ;;
*) built=$target_dir/$profile ;;
esac

cp "$built/libfusepromise.so" "$output_dir/libfusepromise.so.$version"
cp "$built/fuse-promised" "$built/fpctl" "$output_dir/"
"$source_root/packaging/static-library.sh" \
    "$built/libfusepromise.a" "$source_root/tests/c/symbols.txt" "$output_dir/libfusepromise.a"
