#!/usr/bin/env bash
# The shells' own completion offers every verb and every option that --help has, and the words that stand for a value. completion.sh HOLDFAST FOLDER
set -euo pipefail
holdfast=$1 folder=$2
PATH=$(dirname "$holdfast"):$PATH
status=0 looked=0
complain() { echo "$*" >&2; status=1; }
options_of() { "$holdfast" "$@" --help | sed -nE 's/^  (-[a-z],)?(--[a-z-]+).*/\2/p; s/^  -[a-z],(--[a-z-]+).*/\1/p' | sort -u; }
verbs_of() { "$holdfast" "$@" --help | awk '/^Verbs:/ {on = 1; next} /^$/ {on = 0} on {print $1}'; }

# shellcheck disable=SC2317 # called by offers
in_bash() { # WORD...: what is offered for the last one
  bash --norc -c 'source "$1"; shift; COMP_WORDS=(holdfast "$@"); COMP_CWORD=$#; _holdfast; printf "%s\n" "${COMPREPLY[@]}"' - "$folder/bash" "$@" 2>/dev/null
}
# shellcheck disable=SC2317
in_fish() { # the same
  local words="holdfast" word
  for word; do words+=" $word"; done
  fish --no-config -c "source $folder/fish; complete -C '$words'" | cut -f 1
}
# shellcheck disable=SC2317
in_zsh() { # a terminal of its own, in which the words and a tab are typed
  python3 "$(dirname "$0")/completion_zsh.py" "$folder/zsh" "$@"
}
offers() { # SHELL WANTED WORD...
  local shell=$1 wanted=$2 offered
  shift 2
  offered=$("in_$shell" "$@")
  for word in $wanted; do
    looked=$((looked + 1))
    grep -qxF -- "$word" <<<"$offered" || complain "$shell does not offer $word after: holdfast $*, but: $(tr '\n' ' ' <<<"$offered")"
  done
}

verbs=$(verbs_of)
[ -n "$verbs" ] || complain "no verbs"
shells=bash
for shell in fish zsh; do if command -v $shell >/dev/null; then shells+=" $shell"; else echo "left out: no $shell here"; fi; done
for shell in $shells; do
  offers "$shell" "$verbs" ''
  for verb in $verbs; do
    [ "$shell" != zsh ] || [ "$verb" = history ] || [ "$verb" = gate ] || [ "$verb" = recall ] || continue # a terminal for each takes time
    inner=$(verbs_of "$verb")
    if [ -n "$inner" ]; then
      offers "$shell" "$inner" "$verb" ''
      for each in $inner; do offers "$shell" "$(options_of "$verb" "$each")" "$verb" "$each" --; done
    else
      offers "$shell" "$(options_of "$verb")" "$verb" --
    fi
  done
  offers "$shell" 'deny fence kill' recall --on-timeout ''
  offers "$shell" 'denial escape drift' history --kind ''
  offers "$shell" 'truncate direct-write all' guard --seal ''
done
echo "$looked words looked for, in: $shells"
[ $looked -gt 200 ] || complain "too few"
exit $status
