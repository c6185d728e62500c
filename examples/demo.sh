#!/bin/sh
# Deploys the iris example to the local cloud and uses it. Running it again is quick and safe.
set -eu
cortex=$1
here=$(dirname "$0")

run() {
    printf '\n$ cortex %s\n' "$*"
    "$cortex" "$@"
}

run deploy "$here/iris-classifier" --env local
for flower in \
    '{"sepal_length": 5.2, "sepal_width": 3.6, "petal_length": 1.5, "petal_width": 0.3}' \
    '{"sepal_length": 6.0, "sepal_width": 2.8, "petal_length": 4.4, "petal_width": 1.3}' \
    '{"sepal_length": 6.9, "sepal_width": 3.1, "petal_length": 5.8, "petal_width": 2.2}'; do
    printf '\n$ echo '\''%s'\'' | cortex predict iris-classifier - --env local\n' "$flower"
    printf '%s' "$flower" | "$cortex" predict iris-classifier - --env local
done
run get iris-classifier --env local

endpoint=$("$cortex" get iris-classifier --env local -o json | sed -n 's/^  "endpoint": "\(.*\)",$/\1/p')
cat <<END

It serves at $endpoint. Try it:
  curl $endpoint -H 'Content-Type: application/json' -d @$here/iris-classifier/sample.json
Change $here/iris-classifier/predictor.py and deploy it again; the old code serves until the new one does:
  $cortex deploy $here/iris-classifier
Remove it, and stop the local cloud:
  $cortex delete iris-classifier
  $cortex local down
END
