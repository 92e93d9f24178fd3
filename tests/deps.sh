#!/bin/bash
# Installs what the integration tests need beside weir itself: Java, Apache Kafka, the Apicurio schema registry, PostgreSQL,
# promtool, Chromium and a Python environment. They go to the same prefix as in deploy/deps.sh. A second run does nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../deploy/installing.sh
. "$here/../deploy/installing.sh"

kafka='kafka-4.1.0'
registry=apicurio-registry-3.0.9
registry_artifact=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all
registry_archive=apicurio-registry-app-3.0.9-all.tar.gz
python=tests-python-$(sha256sum "$here/requirements.txt" | cut -c1-16)
# 2.8 fetches an artifact whose parent is not published, as the registry's; newer ones refuse
maven_plugin=org.apache.maven.plugins:maven-dependency-plugin:2.8

java_is_new_enough() {
    command -v java > /dev/null || return 1
    [ "$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')" -ge 17 ] 2> /dev/null
}

from_maven() {
    mvn -q -B -Djansi.mode=strip "$@" > "$work/maven.log" 2>&1 || { cat "$work/maven.log" >&2; stop "Maven could not fetch what this names: $*"; }
}

# put_in_place DIRECTORY NAME: a finished directory becomes prefix/NAME
put_in_place() {
    rm -rf "${prefix:?}/$2"
    mv -T "$1" "$prefix/$2"
    stamp "$2"
}

install_kafka() {
    say "fetching Kafka ($kafka)"
    from_maven -f "$here/services/pom.xml" $maven_plugin:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/kafka/libs"
    local jar
    for jar in "$work"/kafka/libs/*.jar; do check_hash "$here/services/hashes" "$jar"; done
    put_in_place "$work/kafka" $kafka
}

install_registry() {
    say "fetching the schema registry ($registry)"
    from_maven $maven_plugin:copy -Dartifact=$registry_artifact -DoutputDirectory="$work"
    check_hash "$here/services/hashes" "$work/$registry_archive"
    mkdir "$work/registry"
    tar xzf "$work/$registry_archive" -C "$work/registry"
    put_in_place "$work/registry" $registry
}

# A Python environment knows its own path, so it is made in place; the stamp alone says that it is whole.
install_python() {
    say "making the tests' Python environment"
    rm -f "$prefix"/stamps/tests-python-*
    rm -rf "${prefix:?}/tests-python"
    "$(system_python)" -m venv "$prefix/tests-python"
    "$prefix/tests-python/bin/pip" -q --disable-pip-version-check install --no-deps --only-binary :all: --require-hashes \
        -r "$here/requirements.txt" || stop "a Python package could not be installed, or is not the file that was pinned"
    stamp "$python"
}

# The package would start a server beside its checker of rules: only its files are wanted.
install_promtool() {
    say "fetching promtool"
    (cd "$work" && { apt-get -q download prometheus || { as_root apt-get -q update && apt-get -q download prometheus; }; } > apt.log 2>&1) || { cat "$work/apt.log" >&2; stop "apt could not fetch the package prometheus"; }
    dpkg-deb -x "$work"/prometheus_*.deb "$work/promtool"
    put_in_place "$work/promtool" promtool
}

open_prefix
packages=(python3 python3-venv ca-certificates)
java_is_new_enough || packages+=(default-jre-headless)
if ! { has $kafka && has $registry; } && ! command -v mvn > /dev/null; then packages+=(maven); fi
command -v chromium > /dev/null || packages+=(chromium fonts-dejavu-core)
compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null || packages+=(postgresql)

install_packages "${packages[@]}"
java_is_new_enough || stop "Java 17 or newer is needed; this one is: $(java -version 2>&1 | head -n 1)"
has $kafka || install_kafka
has $registry || install_registry
has "$python" || install_python
command -v promtool > /dev/null || has promtool || install_promtool
say "$kafka, $registry and the tests' Python in place"
