#!/bin/bash
# Installs what weir is built from: Debian packages, and librdkafka and XGBoost (Debian's are too old or missing)
# under a prefix of their own, WEIR_PREFIX, by default ~/.cache/weir. Every download is pinned and its hash checked.
# A part is built aside and moved into the prefix when it is whole; its stamp comes last. A second run does nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=installing.sh
. "$here/installing.sh"

rdkafka_version=2.15.1
rdkafka_package=@confluentinc/kafka-javascript@1.10.1      # carries librdkafka's whole source
rdkafka_archive=confluentinc-kafka-javascript-1.10.1.tgz
xgboost_version=3.2.0                                      # library: hashes/xgboost.txt, headers: the source archive
xgboost_archive=xgboost-3.2.0.tar.gz
rdkafka_stamp=librdkafka-$rdkafka_version-4
xgboost_stamp=xgboost-$xgboost_version-1

packages=(build-essential pkg-config meson ninja-build
    libavro-dev libyaml-dev libjansson-dev libzstd-dev zlib1g-dev libsnappy-dev liblz4-dev liblzma-dev
    libcurl4-openssl-dev libmicrohttpd-dev libpq-dev libssl-dev libcmocka-dev
    python3 python3-venv ca-certificates)

# A library of the system that is new enough is taken as it is; one found in our own prefix does not count.
system_has() {
    pkg-config --atleast-version="$2" "$1" 2> /dev/null || return 1
    case $(pkg-config --variable=pcfiledir "$1") in "$prefix"/*) return 1 ;; esac
}

# moves everything below a staging directory to the same place below the prefix
move_into_prefix() {
    local staged=$1 file
    while IFS= read -r -d '' file; do
        mkdir -p "$prefix/$(dirname "$file")"
        mv -fT "$staged/$file" "$prefix/$file"
    done < <(cd "$staged" && find . ! -type d -printf '%P\0')
}

build_rdkafka() {
    say "building librdkafka $rdkafka_version (about half a minute)"
    mkdir "$work/rdkafka"
    cd "$work/rdkafka"
    npm pack --silent "$rdkafka_package" > npm.log 2>&1 || { cat npm.log >&2; stop "npm could not fetch $rdkafka_package"; }
    check_hash "$here/hashes/sources" "$rdkafka_archive"
    tar xzf "$rdkafka_archive" package/deps/librdkafka
    cd package/deps/librdkafka
    patch -s -p1 < "$here/librdkafka.patch" || stop "deploy/librdkafka.patch does not fit librdkafka $rdkafka_version"
    # POSIX threads, for gcc's thread sanitizer does not know those of C11 and crashes on them
    ./configure --prefix="$prefix" --enable-ssl --enable-zlib --enable-zstd --enable-lz4-ext \
        --disable-gssapi --disable-curl --disable-c11threads > build.log 2>&1 || { tail -n 40 build.log >&2; stop "librdkafka's configure failed"; }
    local feature
    for feature in SSL ZLIB ZSTD LZ4_EXT; do
        grep -q "define WITH_$feature 1" config.h || stop "librdkafka was configured without $feature"
    done
    make -s -C src -j"${WEIR_JOBS:-2}" librdkafka.a >> build.log 2>&1 || { tail -n 40 build.log >&2; stop "librdkafka did not compile"; }

    # The static library alone, with a .pc file that needs no --static: what links it gets what it needs.
    local staged=$work/rdkafka/staged
    mkdir -p "$staged/lib/pkgconfig" "$staged/include/librdkafka"
    cp src/rdkafka.h src/rdkafka_mock.h "$staged/include/librdkafka/"
    cp src/librdkafka.a "$staged/lib/"
    cat > "$staged/lib/pkgconfig/rdkafka.pc" << PC
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: librdkafka
Description: The Apache Kafka C library, static
Version: $rdkafka_version
Requires: libssl libcrypto zlib libzstd liblz4
Cflags: -I\${includedir}
Libs: -L\${libdir} -lrdkafka -lm -ldl -lrt -lpthread
PC
    move_into_prefix "$staged"
    stamp "$rdkafka_stamp"
}

install_xgboost() {
    say "fetching XGBoost $xgboost_version"
    mkdir "$work/xgboost"
    cd "$work/xgboost"
    "$(system_python)" -m venv python
    python/bin/pip -q --disable-pip-version-check download --no-deps --only-binary :all: --require-hashes \
        -r "$here/hashes/xgboost.txt" || stop "the XGBoost library could not be fetched, or is not the file that was pinned"
    python/bin/pip -q --disable-pip-version-check install --no-deps --only-binary :all: --require-hashes \
        -r "$here/hashes/unearth.txt" || stop "unearth could not be installed, or is not what was pinned"
    python/bin/unearth --no-binary --download . "xgboost==$xgboost_version" > unearth.log 2>&1 ||
        { cat unearth.log >&2; stop "the XGBoost headers could not be fetched"; }
    check_hash "$here/hashes/sources" "$xgboost_archive"
    python/bin/python -m zipfile -e xgboost_cpu-*.whl wheel
    tar xzf "$xgboost_archive" --strip-components=3 "xgboost-$xgboost_version/cpp_src/include/xgboost"

    # The library looks for its own libgomp beside itself.
    local staged=$work/xgboost/staged
    mkdir -p "$staged/lib/pkgconfig" "$staged/include/xgboost"
    cp xgboost/c_api.h xgboost/base.h xgboost/version_config.h "$staged/include/xgboost/"
    cp wheel/xgboost/lib/libxgboost.so wheel/xgboost_cpu.libs/libgomp* "$staged/lib/"
    # shellcheck disable=SC2016
    patchelf --set-rpath '$ORIGIN' "$staged/lib/libxgboost.so"
    chmod 755 "$staged"/lib/*.so*
    cat > "$staged/lib/pkgconfig/xgboost.pc" << PC
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: xgboost
Description: XGBoost's C API
Version: $xgboost_version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lxgboost -Wl,-rpath,\${libdir}
PC
    move_into_prefix "$staged"
    stamp "$xgboost_stamp"
}

open_prefix
needs_rdkafka=false needs_xgboost=false
has "$rdkafka_stamp" || system_has rdkafka 2.10.1 || needs_rdkafka=true
has "$xgboost_stamp" || system_has xgboost 2.1 || needs_xgboost=true
if $needs_rdkafka && ! command -v npm > /dev/null; then packages+=(npm); fi
if $needs_xgboost; then packages+=(patchelf); fi

install_packages "${packages[@]}"
if $needs_rdkafka; then build_rdkafka; fi
if $needs_xgboost; then install_xgboost; fi

PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
pkg-config --exists 'rdkafka >= 2.10.1' || stop "librdkafka is not to be found in $prefix; remove its stamps/$rdkafka_stamp and try again"
pkg-config --exists 'xgboost >= 2.1' || stop "XGBoost is not to be found in $prefix; remove its stamps/$xgboost_stamp and try again"
say "librdkafka $(pkg-config --modversion rdkafka), XGBoost $(pkg-config --modversion xgboost) in place"
