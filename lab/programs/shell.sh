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

# Leaves in $clock_s seconds that have really passed. With --icount the guest's own clock leaps from timer to timer while all waits for the host,
# as for its files: minutes in an instant. Its RTC stays the host's.
look_at_clock() {
  if [ "${LAB_ICOUNT:-0}" = 1 ]; then read -r clock_s </sys/class/rtc/rtc0/since_epoch; else clock_s=$SECONDS; fi
}

# line_of NAME UNTIL: leaves its next line in $line. Status 1: it has ended, with $line unfinished; more than 128: no line by then.
line_of() {
  local status part
  line=''
  look_at_clock
  while [ "$clock_s" -lt "$2" ]; do
    status=0
    IFS= read -r -t $(($2 - clock_s)) -u "${ear_of[$1]}" part || status=$?
    line+=$part
    [ $status -gt 128 ] || return $status
    look_at_clock
  done
  return 142
}

# hear NAME PATTERN: reads on to the line that matches the regular expression, and leaves it in $heard. False when it ends or takes too long.
hear() {
  local name=$1 pattern=$2 until clock_s line
  look_at_clock
  until=$((clock_s + hear_bound_s))
  while line_of "$name" $until; do
    heard=$line
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
  local name=$1 status=0 reading=0 clock_s line ear=${ear_of[$1]} mouth=${mouth_of[$1]}
  while [ $reading = 0 ]; do
    look_at_clock
    line_of "$name" $((clock_s + hear_bound_s)) || reading=$?
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

# all_said [ended]: what each of them said last, and whether it still runs: for a script that goes wrong. With "ended" only those that run no more,
# since what is shown here is heard by nobody else.
all_said() {
  local name now
  for name in "${!pid_of[@]}"; do
    now=running
    kill -0 "${pid_of[$name]}" 2>/dev/null || now=ended
    [ "${1:-$now}" = $now ] || continue
    drain "$name"
    printf '%s (pid %s, %s) said last:\n' "$name" "${pid_of[$name]}" $now
    tail -n 8 "${log_of[$name]}" | sed 's/^/  | /'
  done
}

# number NAME LINE: the value of a number in a line of JSON, without a program.
number() { [[ $2 =~ \"$1\":\ ?([0-9]+) ]] && echo "${BASH_REMATCH[1]}"; }
