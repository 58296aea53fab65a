#!/bin/sh
# A conversation by curl: a message, its safe repetition, a second turn as a stream, and the rest of
# that stream after a break.
#
#   URL=http://127.0.0.1:8000 TOKEN=… sh examples/curl.sh
set -eu
api="${URL:-http://127.0.0.1:8000}/api/${USER_ID:-demo}"

# Asks for a path below; what else curl is to do comes behind it. An error of the service is one of
# curl, too, and is shown: --fail-with-body.
ask() {
  path=$1
  shift
  curl --silent --show-error --fail-with-body "$api/$path" \
    --header "Authorization: Bearer $TOKEN" --header 'Content-Type: application/json' "$@"
}

# The value of a field; in a program of yours, jq -r .field or a JSON parser.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }

echo '# A message. With a key of its own it may be repeated: --retry never adds the task twice.'
key=$(date +%s)-$$
say() {
  ask 'chat?messages=turn' --retry 3 --header "Idempotency-Key: $key" \
    --data '{"message": "Add task: Buy groceries"}'
}
first=$(say) || { echo "$first" && exit 1; }
echo "$first"

echo '# The same again is the same turn, with the same bytes.'
[ "$(say)" = "$first" ] && echo same

echo '# The next turn of the conversation, as a stream.'
conversation=$(echo "$first" | field conversation_id)
stream=$(ask chat --no-buffer --header 'Accept: text/event-stream' \
  --data "{\"message\": \"What is on my list?\", \"conversation_id\": \"$conversation\"}")
echo "$stream" | grep '^event:'

echo '# What came behind the third event, as after a break.'
turn=$(echo "$stream" | field turn_id)
ask "turns/$turn/events" --no-buffer --header 'Last-Event-ID: 3' | grep '^id:' | head -n 1

echo '# The tasks themselves.'
ask tasks
echo
