# fish completion for holdfast(1)
set -l verbs status leases registrations devices watch hold why escapes gate
complete -c holdfast -f
complete -c holdfast -l socket -r -F -d 'Socket of holdfastd'
complete -c holdfast -l version -d 'Print the version'
complete -c holdfast -s h -l help -d 'Print help'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a status -d 'Is it running, and what does it hold'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a leases -d 'List the leases, by file'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a registrations -d 'List what RDMA adapters have registered'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a devices -d 'Try what each RDMA adapter can do'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a watch -d 'Follow events as they happen'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a hold -d 'Hold the layout of a file'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a escapes -d 'List breaks of leased bytes that nothing refused'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a why -d 'Say what is leased of a file, and by whom'
complete -c holdfast -n "not __fish_seen_subcommand_from $verbs" -a gate -d 'Look at the gate in the kernel, or end it'
complete -c holdfast -n "__fish_seen_subcommand_from $verbs" -l json -d 'Print JSON'
complete -c holdfast -n '__fish_seen_subcommand_from watch' -l denials -d 'Only what was refused'
complete -c holdfast -n '__fish_seen_subcommand_from hold why' -F
complete -c holdfast -n '__fish_seen_subcommand_from hold' -l range -x -d 'Bytes to hold, OFF:LEN'
complete -c holdfast -n '__fish_seen_subcommand_from hold' -l settle -d 'Settle the layout first'
complete -c holdfast -n '__fish_seen_subcommand_from hold' -l label -x -d 'What it is for'
complete -c holdfast -n '__fish_seen_subcommand_from gate; and not __fish_seen_subcommand_from detach' -a 'status detach'
complete -c holdfast -n '__fish_seen_subcommand_from detach' -s y -l yes -d 'Do not ask'
complete -c holdfast -n '__fish_seen_subcommand_from devices' -a '(ls /sys/class/infiniband 2>/dev/null)'
