# docs/performance.md from the results of bench/run.
def short: . as $n | if . >= 100 then round else . * 100 | round / 100 end | tostring;
def three: . * 1000 | round / 1000 | tostring;
"# Performance: what was measured\n",
"Written by `./dev bench --write`, not by hand (\($machine)). Each ratio is the median of pairs that were measured one after the other in one run, the range",
"is from the lower to the upper quartile. Times of the lab are counts of instructions, one a nanosecond, whatever the machine does beside it (--icount",
"of `lab/run`). The processor there is emulated in software, in which a short program in the kernel weighs more against what it is added to than on a real machine: ratios are an upper",
"bound for most of what is measured, and their targets are those of a real machine. The guest's clock also runs on while everything there waits.",
"Times of calls (io, refusal, scale) are the caller's processor time: what a listener of fanotify or fapolicyd does while the caller waits is not in them.\n",
. as $results |
"## The targets", "",
"| what | target | measured | | shown by |", "|---|---|---|---|---|",
($targets[] | . as $target
  | [$results[] | select(.benchmark == $target.from and (if $target.matching then .case | test($target.matching) else $target.cases == null or (.case | IN($target.cases[])) end))] as $of
  | (($target.cases // []) - ($of | map(.case))) as $missing
  | (if has("met") then .met elif $of == [] then null elif any($of[]; .met == false) then false elif $missing == [] then all($of[]; .met) else null end) as $met
  | "| \(.what) | \(.target) | " + (if .said then .said elif $of == [] then "not measured"
      else ($of | map("\(.case): \(.ratio | three)")) + ($missing | map("\(.): not measured")) | join("; ") end) + " | "
    + (if $met then "met" elif $met == false then "**missed**: \(.reason // "see below")" elif .said then (.reason // "") else "" end) + " | `\(.command)` |"),
"",
(group_by(.benchmark)[] | "## \(.[0].benchmark)", "", "Measured on \(map(.date) | unique | join(", ")), compiled by `./dev build --preset \(map(.preset) | unique | join(" or "))`.", "",
  "| case | where | baseline | measured | ratio | range | pairs | target |", "|---|---|---|---|---|---|---|---|",
  (.[] | "| \(.case) | \(.kernel) | \(.baseline | short) \(.unit) | \(.measured | short) \(.unit) | \(.ratio | three) | \(.ratio_low | three) to \(.ratio_high | three) | \(.pairs) | " +
     (if .target == null then "" elif .met then "\(.target), met" else "**\(.target), missed**" end) + " |"), "",
  ({"registration": [["registration", "What the lease adds to a registration, by size"]], "io": [["calls", "What calls cost in each state"]],
    "scale": [["scale", "What calls take, by number of leases"], ["memory", "Memory, by number of leases"], ["restart", "A start of the daemon, by number of leases"]],
    "lease": [["callback", "From a refusal to its holder, and into the journal"]]}[.[0].benchmark] // [] | .[]
   | select(.[0] | IN($pictures[])) | "![\(.[1])](performance/\(.[0]).svg)", "")),
(($names - ($results | map(.benchmark)))[] | "## \(.)", "", "Not measured: `./dev bench \(.) --write`.", "")
