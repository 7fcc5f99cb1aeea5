# shellcheck shell=bash
# Programs that run beside a script, heard and told line by line: every wait is for a line of theirs, with a bound. Sourced by the demo and the lab's tests.

declare -A pid_of=() ear_of=() mouth_of=() log_of=()
hear_bound_s=${hear_bound_s:-120}
program_dir=$(mktemp -d /tmp/lab-programs-XXXXXX)

# start NAME COMMAND...: its output (and error output) is for hear, its input for tell.
start() {
  local name=$1 in out ear mouth
  shift
  in=$program_dir/$name.in out=$program_dir/$name.out
  rm -f "$in" "$out"
  mkfifo "$in" "$out"
  "$@" <"$in" >"$out" 2>&1 &
  pid_of[$name]=$!
  exec {mouth}<>"$in" {ear}<"$out"
  mouth_of[$name]=$mouth ear_of[$name]=$ear
  log_of[$name]=$program_dir/$name.log
  : >"${log_of[$name]}"
}

# hear NAME PATTERN: reads on to the line that matches the regular expression, and leaves it in $heard. False when it ends or takes too long.
hear() {
  local name=$1 pattern=$2 until=$((SECONDS + hear_bound_s))
  while [ $SECONDS -lt $until ] && IFS= read -r -t $((until - SECONDS)) -u "${ear_of[$name]}" heard; do
    printf '%s\n' "$heard" >>"${log_of[$name]}"
    [[ $heard =~ $pattern ]] && return 0
  done
  printf 'nothing like "%s" from %s, which said:\n' "$pattern" "$name" >&2
  sed 's/^/  | /' "${log_of[$name]}" >&2
  heard=''
  return 1
}

tell() { printf '%s\n' "$2" >&"${mouth_of[$1]}"; }

# ended NAME: waits for its end, leaves what it still said in the log, and returns its status.
ended() {
  local name=$1 status=0 reading=0 line ear=${ear_of[$1]} mouth=${mouth_of[$1]}
  while [ $reading = 0 ]; do
    IFS= read -r -t "$hear_bound_s" -u "$ear" line || reading=$?
    [ -z "$line" ] || printf '%s\n' "$line" >>"${log_of[$name]}"
  done
  # Its output is still open after all that time: it does not want to end.
  if [ $reading -gt 128 ]; then kill -KILL "${pid_of[$name]}" 2>/dev/null || :; fi
  wait "${pid_of[$name]}" || status=$?
  exec {ear}<&- {mouth}>&-
  unset "pid_of[$name]" "ear_of[$name]" "mouth_of[$name]"
  return "$status"
}

# stop NAME [SIGNAL]: ends it.
stop() {
  kill "-${2:-TERM}" "${pid_of[$1]}" 2>/dev/null || :
  ended "$1" 2>/dev/null || :
}

# drain NAME: what it has said by now goes to its log. A program that nobody reads waits when the pipe is full.
drain() {
  local line ear=${ear_of[$1]}
  while IFS= read -r -t 0 -u "$ear" && IFS= read -r -t 1 -u "$ear" line; do printf '%s\n' "$line" >>"${log_of[$1]}"; done
}

# number NAME LINE: the value of a number in a line of JSON, without a program.
number() { [[ $2 =~ \"$1\":\ ?([0-9]+) ]] && echo "${BASH_REMATCH[1]}"; }
