#!/bin/sh
# What a reward is worth: answers it picks, as judged by something that did not train it.
#
#   sh examples/sh/eval-my-reward.sh mine [more options of fairlead eval, such as --limit 4 --prompts my.txt]
#
# Three numbers of the report matter: the judge's gain with its interval (does it hold at all?), the same for the
# controls (length, chance), and the n at which the judge's gain peaks (beyond it the reward is over-optimised).
set -eu
reward="${1:?usage: eval-my-reward.sh REWARD [OPTIONS]}"
shift
report="${REPORT:-fairlead-eval/$reward}"

npx fairlead eval --reward "$reward" --report "$report" "$@"
echo "report: $report/REPORT.md"
