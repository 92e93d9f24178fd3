#!/bin/bash
# Builds weir: build/weir, optimised. With --sanitize also build-sanitize/weir, which stops at the first memory error or
# undefined behaviour and has failpoints (weir run --failpoints); with --thread-sanitize also build-tsan/weir, which
# reports data races.
# A directory is configured anew only when its options or what weir is built from have changed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
prefix=${WEIR_PREFIX:-$HOME/.cache/weir}

usage() { echo "usage: deploy/build.sh [--sanitize] [--thread-sanitize]" >&2; exit 2; }
sanitize=false thread_sanitize=false
for argument in "$@"; do
    case $argument in
        --sanitize) sanitize=true ;;
        --thread-sanitize) thread_sanitize=true ;;
        *) usage ;;
    esac
done

# build DIRECTORY MESON_OPTION...
build() {
    local directory=$root/$1 configured
    shift
    configured="$* $prefix $(cd "$prefix/stamps" && echo *)"
    if [ ! -f "$directory/build.ninja" ] || [ "$(cat "$directory/configured-with" 2> /dev/null)" != "$configured" ]; then
        echo "build: configuring $directory"
        rm -rf "$directory"
        meson setup "$directory" "$root" --pkg-config-path "$prefix/lib/pkgconfig" "$@" > "$directory.log" 2>&1 ||
            { cat "$directory.log" >&2; rm -f "$directory.log"; exit 1; }
        mv "$directory.log" "$directory/configuring.log"
        echo "$configured" > "$directory/configured-with"
    fi
    echo "build: compiling $directory"
    ninja -C "$directory" -j "${WEIR_JOBS:-$(nproc)}" --quiet
}

"$root/deploy/deps.sh"
exec 8< "$root"
flock 8                                   # one build at a time
build build --buildtype=debugoptimized
if $sanitize; then
    build build-sanitize -Ddebug=true -Doptimization=1 -Db_sanitize=address,undefined -Dfailpoints=true \
        -Dc_args='-fno-sanitize-recover=all -fno-omit-frame-pointer'
fi
if $thread_sanitize; then build build-tsan -Ddebug=true -Doptimization=1 -Db_sanitize=thread; fi
echo "build: $root/build/weir is ready"
