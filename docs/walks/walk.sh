#!/bin/sh
# The whole walk with curl alone: walk.sh URL KEY series.csv
# Every address comes from /openapi.json, by operation id.
set -eu
url=$1 key=$2 file=$3

operations=$(curl -fsS "$url/openapi.json" |
  grep -oE '"/[^"]*":\{|"(get|post|put|patch|delete|head)":\{|"operationId":"[^"]*"' |
  awk -F'"' '$2 == "operationId" { print $4, toupper(method), path; next } $2 ~ /^\// { path = $2; next } { method = $2 }')

# call OPERATION ID [curl arguments]: the id goes into the address; an answer of 4xx or 5xx is shown and ends the walk.
call() {
  operation=$1 id=$2; shift 2
  set -- "$(echo "$operations" | awk -v id="$operation" '$1 == id { print $2 }')" \
    "$(echo "$operations" | awk -v id="$operation" '$1 == id { print $3 }' | sed "s/{[a-z_]*}/$id/")" "$@"
  method=$1 path=$2; shift 2
  curl -sS --fail-with-body -X "$method" -H "Authorization: Bearer $key" "$@" "$url$path" || { echo >&2; exit 1; }
}
field() { grep -oE "\"$1\":(\"[^\"]*\"|[-0-9.e+]+)" | head -n 1 | cut -d: -f2- | tr -d '"'; }

finished() {
  while :; do
    document=$(call "$1" "$2" -G -d wait=20)
    case $(echo "$document" | field status) in
      succeeded) echo "$document"; return ;;
      failed | cancelled) echo "$document" >&2; exit 1 ;;
    esac
  done
}

dataset=$(call datasets_create - -F "file=@$file" -F dt=0.05 | field id)
echo "$dataset"
analysis=$(call analyses_create - --json "{\"dataset_id\": \"$dataset\"}" | field id)
echo "$(finished analyses_get "$analysis" | field verdict)"
order="{\"dataset_id\": \"$dataset\", \"spec\": {\"training\": {\"updates\": 3000, \"validations\": 5, \"restarts\": 0}}}"
job=$(call jobs_create - --json "$order" -H "Idempotency-Key: walk-$$" | field id)
again=$(call jobs_create - --json "$order" -H "Idempotency-Key: walk-$$" | field id)
[ "$job" = "$again" ] || { echo "one order made two jobs" >&2; exit 1; }
document=$(finished jobs_get "$job")
model=$(echo "$document" | field model_id)
run=$(echo "$document" | field trajectory_id)
echo "$job $model"
call models_content "$model" -o model.safetensors
call models_content "$model" -G -d format=onnx -o model.onnx
call trajectories_content "$run" -G -d format=csv -o trajectory.csv
call jobs_archive "$job" -o archive.zip
context=$(tail -n 20 "$file" | sed 's/.*/[&]/' | paste -sd, -)
told=$(call models_forecast "$model" --json "{\"context\": [$context], \"horizon\": 10}")
echo "forecast of $(echo "$told" | grep -oE '"times":\[[^]]*' | tr , '\n' | wc -l) rows"
call datasets_delete "$dataset" -G -d cascade=true -X DELETE
echo done
