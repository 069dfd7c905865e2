#!/bin/bash
# Installs @grpc/grpc-js as package-lock.json pins it, once per build tree, below FOLDER: install.sh FOLDER.
# Exits with 77 ("skipped", and why) where there is no node or where npm cannot reach its registry.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
folder=$1

skip() {
  echo "SKIPPED: $*"
  exit 77
}

major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) ||
  skip "no node; tools/deps install test brings it"
[ "$major" -ge 16 ] || skip "node $major is older than 16"

mkdir -p "$folder"
if ! cmp -s "$here/package-lock.json" "$folder/installed"; then
  command -v npm >/dev/null || skip "no npm; tools/deps install test brings it"
  cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$folder/"
  if ! (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund) >"$folder/npm.log" 2>&1; then
    cat "$folder/npm.log"
    if grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT' \
      "$folder/npm.log"; then
      skip "npm cannot reach its registry"
    fi
    echo "FAILED: npm ci in $folder" >&2
    exit 1
  fi
  cp "$here/package-lock.json" "$folder/installed"
fi
