#!/usr/bin/env bash
# Makes the package that is released, fairlead-VERSION.tgz, and checks it in an empty project: what it holds is all that
# an installation has.
set -euo pipefail
cd "$(dirname "$0")/.."

# Compiled files that have no source any more would be packed, too.
rm -rf dist
npm run build
npm pack --silent
package="$PWD/$(ls -t fairlead-*.tgz | head -1)"

project="$(mktemp -d)"
trap 'rm -rf "$project"' EXIT
cd "$project"
echo '{"type": "module"}' > package.json
npm install --silent --ignore-scripts "$package"
npx fairlead --version
npx fairlead doctor --port 0 --json > doctor.json
node --input-type module --eval "
  import { Fairlead } from 'fairlead'
  if (typeof Fairlead.start !== 'function') throw new Error('the library has no Fairlead.start')
"
echo "$package works in an empty project"
