# bash completion for holdfast(1)
_holdfast() {
  local cur prev verb='' sub='' word i
  cur=${COMP_WORDS[COMP_CWORD]}
  prev=${COMP_WORDS[COMP_CWORD-1]}
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ ( $verb = hold || $verb = recall ) && $word = -- ]]; then
      # From here on it is the other program's command line.
      if declare -F _command_offset >/dev/null; then _command_offset $((i + 1)); else mapfile -t COMPREPLY < <(compgen -c -- "$cur"); fi
      return
    fi
    case $word in
      --socket|--range|--label|--soak|--certify|--verify|--html|--config|--seed|--route|--source|--wait|--on-timeout|--since|--until|--file|--breaker|--kind|--last|--journal|--seal|--except-user|--except-program) ((i++)) ;;
      -*) ;;
      *) if [[ -z $verb ]]; then verb=$word; elif [[ -z $sub ]]; then sub=$word; fi ;;
    esac
  done
  case $prev in
    --certify|--verify|--html|--config) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --file|--journal) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --since|--until) mapfile -t COMPREPLY < <(compgen -W 'today yesterday now -1h -1d' -- "$cur"); return ;;
    --kind) mapfile -t COMPREPLY < <(compgen -W 'denial escape registration registration_ended lease lease_ended recall window recall_ended fence configuration daemon drift lost' -- "$cur"); return ;;
    --breaker|--last) return ;;
    --socket) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --on-timeout) mapfile -t COMPREPLY < <(compgen -W 'deny fence kill' -- "$cur"); return ;;
    --seal) mapfile -t COMPREPLY < <(compgen -W 'truncate punch zero shift unshare reflink dedupe exchange attributes verity direct-write loop unknown all' -- "$cur"); return ;;
    --except-user) mapfile -t COMPREPLY < <(compgen -u -- "$cur"); return ;;
    --except-program) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --range|--label|--soak|--seed|--wait) return ;;
    --route) mapfile -t COMPREPLY < <(compgen -W 'user root early reopen io_uring io_uring-worker compat mount-ns user-ns overlay holder' -- "$cur"); return ;;
    --source) mapfile -t COMPREPLY < <(compgen -W "$(holdfast sources --json 2>/dev/null | sed -n 's/^ *"id": "\(.*\)",/\1/p')" -- "$cur"); return ;;
  esac
  local words
  case $verb in
    '') words='status leases registrations devices watch hold why escapes history sources probe qualify recall guard unguard config reload gate --socket --version --help' ;;
    status|leases|registrations|devices) words='--json --help' ;;
    watch) words='--denials --json --help' ;;
    hold) words='--range --settle --label --persist --forget --json --help --' ;;
    escapes) words='--json --help' ;;
    history) words='--since --until --file --breaker --kind --last --follow --journal --json --help' ;;
    why) words='--json --help' ;;
    recall) words='--wait --on-timeout --json --help --' ;;
    guard) words='--seal --except-user --except-program --json --help' ;;
    unguard|reload) words='--json --help' ;;
    config) if [[ -z $sub ]]; then words='check --help'; else words='--json --help'; fi ;;
    sources) words='--kernel-check --json --help' ;;
    probe) words='--soak --seed --route --source --leased-only --keep --json --help' ;;
    qualify) words='--fix --undo --yes --soak --certify --verify --html --no-probe --all-routes --config --json --help' ;;
    gate)
      case $sub in
        '') words='status detach --help' ;;
        status) words='--json --help' ;;
        detach) words='--yes --json --help' ;;
      esac ;;
  esac
  if [[ $verb = hold || $verb = why || $verb = recall || $verb = guard || $verb = unguard || $verb = probe || $verb = qualify ]] && [[ $cur != -* ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  fi
}
complete -F _holdfast holdfast
