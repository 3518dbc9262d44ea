#!/usr/bin/env bash
# Runs a player, or any program that takes a URL, against a live test stream, and passes on its exit code.
#
#   inject.sh ffmpeg -loglevel error -i {url} -t 5 -f null -
#
# {url} becomes the stream's mmsh:// URL, {http} the same as plain ASF over http://. WMCAST names the command, by default wmcast;
# WMPUSH_OPTIONS are options of wmpush, for example "--size 320x240 --no-audio"; SECONDS_LIMIT bounds the run, by default 60.
set -euo pipefail

read -r -a wmcast <<<"${WMCAST:-wmcast}"
read -r -a push_options <<<"${WMPUSH_OPTIONS:-}"
limit=${SECONDS_LIMIT:-60}
work=$(mktemp -d)
children=()
trap 'kill "${children[@]}" 2>/dev/null || true; wait || true; rm -rf "$work"' EXIT

# Waits for a JSON event of a command; the time is bounded.
event() { # file name
  local deadline=$((SECONDS + limit))
  until grep -m 1 "\"event\":\"$2\"" "$1"; do
    ((SECONDS < deadline)) || { echo "inject: no $2 event within $limit s" >&2; return 1; }
    sleep 0.1
  done
}

"${wmcast[@]}" serve --host 127.0.0.1 --http-port 0 --msbd-port none --json --quiet >"$work/server" &
children+=($!)
port=$(event "$work/server" ready | sed -n 's/.*"http":\([0-9]*\).*/\1/p')

"${wmcast[@]}" push "http://127.0.0.1:$port/test" --json --quiet ${push_options[@]+"${push_options[@]}"} >"$work/push" &
children+=($!)
event "$work/push" ready >/dev/null

arguments=()
for argument in "$@"; do
  argument=${argument//\{url\}/mmsh://127.0.0.1:$port/test}
  arguments+=("${argument//\{http\}/http://127.0.0.1:$port/test.asf}")
done
timeout "$limit" "${arguments[@]}"
