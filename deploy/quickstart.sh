#!/bin/bash
# From a fresh clone to a running worker: installs what weir needs, builds it, and starts its demo, which brings its own
# broker and traffic. Arguments go to `weir demo`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/deploy/build.sh"
exec "$root/build/weir" demo "$@"
