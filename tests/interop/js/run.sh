#!/bin/bash
# Plays the cases with @grpc/grpc-js: run.sh SERVER CERTIFICATES FOLDER. Exits with 77 where install.sh does.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
server=$1 certificates=$2 folder=$3
"$here/install.sh" "$folder"
exec node "$here/test_service_client.js" "$server" "$certificates" "$folder/node_modules"
