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
cat > use.js <<'END'
import { Fairlead } from 'fairlead'
const fairlead = await Fairlead.start({ dataDir: 'data' })
const messages = [{ role: 'user', content: 'Hello' }]
const { choices } =
  await fairlead.generate({ messages, max_tokens: 8, alignment: { reward: 'positive', num_candidates: 4 } })
console.log(choices[0].message.content, choices[0].alignment.reward)
await fairlead.close()
END
node use.js
echo "$package works in an empty project"
