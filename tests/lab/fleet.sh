#!/usr/bin/env bash
# Two nodes, each with a gate, a holdfastd and a Prometheus agent of its own, and one Prometheus that has the figures of both and can tell them apart; by the files of examples/fleet.
# In the lab: fleet.sh (any kernel, --fs tmpfs, --no-rdma). A node is a namespace of hosts' names, mounts and networks: it has its own pins.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tests/lab/lib.sh
. "$here/lib.sh"

examples=$here/../../examples/fleet
central=192.0.2.1
within_bound() { for _ in {1..600}; do if "$@" >/dev/null 2>&1; then return 0; fi; sleep 0.1; done; "$@"; }
asked() { curl -sS --max-time 10 "http://127.0.0.1:9090/api/v1/query" --data-urlencode "query=$1" | jq -e "$2"; }

mkdir -p /tmp/etc
printf '[metrics]\nlisten = "127.0.0.1:9739"\n' >/tmp/etc/holdfast.toml
ip link add fleet type bridge
ip address add $central/24 dev fleet
ip link set fleet up
ip link set lo up

# node NAME ADDRESS: what runs in its namespaces
node() {
  hostname "$1"
  mount -t bpf -o mode=700 bpf /sys/fs/bpf
  mount -t tmpfs -o mode=755 run /run
  mount -t tmpfs files /mnt/hf
  ip link set lo up
  dd if=/dev/zero of=/mnt/hf/file bs=1M count=1 status=none
  sed "s/NODE/$1/; s/CENTRAL/$central/" "$examples/node.yml" >"/tmp/$1.yml"
  prometheus --enable-feature=agent --config.file="/tmp/$1.yml" --storage.agent.path="/tmp/agent-$1" --web.listen-address=127.0.0.1:9090 >"/tmp/agent-$1.log" 2>&1 &
  holdfastd --config /tmp/etc --state-dir "/tmp/state-$1" &
  until holdfast status >/dev/null 2>&1; do kill -0 $! || return 1; done
  holdfast hold /mnt/hf/file &
  until [ "$(holdfast leases --json | jq '.files | length')" = 1 ]; do kill -0 $! || return 1; done
  for ((i = 0; i < $2; i++)); do truncate -s 0 /mnt/hf/file 2>/dev/null && echo "truncate was not refused"; done
  echo "node $1 is up"
  wait
}
start_node() { # NAME ADDRESS REFUSALS
  start "$1" unshare --uts --net --mount --propagation private bash -c "$(declare -f node); central=$central examples=$examples; echo in; read -r _; node $1 $3"
  hear "$1" '^in$'
  local pid=${pid_of[$1]}
  ip link add "veth-$1" type veth peer name eth0 netns "$pid"
  ip link set "veth-$1" master fleet up
  nsenter -t "$pid" -n ip address add "$2/24" dev eth0
  nsenter -t "$pid" -n ip link set eth0 up
  tell "$1" go
  hear "$1" "^node $1 is up"
}

section "two nodes and a Prometheus"
sed "s,/usr/share/holdfast,$here/../../packaging/prometheus," "$examples/central.yml" >/tmp/central.yml
check "its configuration is one" promtool check config /tmp/central.yml
start central prometheus --web.enable-remote-write-receiver --config.file=/tmp/central.yml --storage.tsdb.path=/tmp/central --web.listen-address=0.0.0.0:9090
check "it listens" within_bound curl -sSf http://127.0.0.1:9090/-/ready
start_node node-a 192.0.2.11 2
start_node node-b 192.0.2.12 5
check "both are there" within_bound asked 'count(holdfast_gate_up == 1)' '.data.result[0].value[1] == "2"'
check "each with its own figures" within_bound asked 'sum by (instance) (holdfast_denials_total)' '[.data.result[] | {(.metric.instance): .value[1]}] | add == {"node-a": "2", "node-b": "5"}'
check "and its own name" within_bound asked 'holdfast_node_info' '[.data.result[].metric.node] | sort == ["node-a", "node-b"]'
check "a sum over the fleet" within_bound asked 'sum(holdfast_leases)' '.data.result[0].value[1] == "2"'
check "joined to the machine" within_bound asked 'holdfast_denials_total * on (instance) group_left (node, boot) holdfast_node_info' '.data.result[0].metric.boot | length == 36'
check "the alert rules are loaded" within_bound bash -c "curl -sS http://127.0.0.1:9090/api/v1/rules | jq -e '.data.groups[0].rules | length > 3'"

section "two journals in one stream"
both() { for node in node-a node-b; do holdfast history --json --kind denial --journal "/tmp/state-$node/journal.db"; done; }
told_apart() { both | jq -s -e '[.[].node] | group_by(.) | map({(.[0]): length}) | add == {"node-a": 2, "node-b": 5}'; }
check "the nodes are told apart" within_bound told_apart
conclude
