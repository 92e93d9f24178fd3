# shellcheck shell=bash
# What deploy/deps.sh and tests/deps.sh share: Debian packages, pinned hashes, and a prefix that only whole parts enter.
# To be sourced by a script that has set -euo pipefail.
prefix=${WEIR_PREFIX:-$HOME/.cache/weir}

say() { echo "deps: $*"; }
stop() { echo "deps: $*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo > /dev/null; then
        sudo "$@"
    else
        stop "must be root, or have sudo, to run: $*"
    fi
}

install_packages() {
    local missing=()
    mapfile -t missing < <(comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2> /dev/null | sed -n 's/^installed //p' | sort -u))
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get > /dev/null || stop "no apt-get here; install these by hand: ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    as_root apt-get -q update > "$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; stop "apt-get update failed"; }
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" \
        > "$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; stop "apt-get could not install ${missing[*]}"; }
}

# One set-up at a time. What is made lies in $work, on the prefix's own file system, until it is moved in one step.
open_prefix() {
    mkdir -p "$prefix"
    prefix=$(cd "$prefix" && pwd)
    exec 9> "$prefix/.lock"
    flock 9
    work=$prefix/.staging
    rm -rf "$work"
    trap 'rm -rf "$work"' EXIT
    mkdir "$work"
}

# A part's stamp is set last: without it the part counts as not there.
has() { [ -e "$prefix/stamps/$1" ]; }
stamp() {
    mkdir -p "$prefix/stamps"
    touch "$prefix/stamps/$1"
}

# check_hash LIST FILE: LIST has lines of algorithm, hash, file name.
check_hash() {
    local list=$1 file=$2 name algorithm expected actual
    name=$(basename "$file")
    read -r algorithm expected < <(awk -v name="$name" '$3 == name {print $1, $2}' "$list") ||
        stop "no hash is pinned for $name in $list"
    actual=$("${algorithm}sum" "$file" | cut -d' ' -f1)
    [ "$actual" = "$expected" ] || stop "$name is not the file that was pinned in $list
  expected $algorithm $expected
  actual   $algorithm $actual"
}

# Debian's own Python where there is one: its version is known.
system_python() {
    if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else command -v python3; fi
}
