# The page docs/break-sources.md from the reports of the probe, read as one list, and the catalogue ($sources).
def kinds: ["xfs-dax", "xfs-dax-plain", "ext4-dax", "tmpfs", "hugetlbfs", "xfs", "ext4"];
def cell: gsub("\\|"; "\\|");
def row: "| " + (map(tostring | cell) | join(" | ")) + " |";
def rule: "|" + (map("---") | join("|")) + "|";
def table($head): ([$head | row], [$head | rule], map(row)) | .[];
def version: (.kernel | capture("^(?<v>[0-9]+\\.[0-9]+)").v);

# What came of some trials, in a few words: one word where all routes agree.
def outcome:
  map(select(.result != "no such route")) as $all
  | if ($all | length) == 0 then "–"
    else [$all[] | if .changed then "breaks" elif .result == "refused" then "refused" elif .result == "denied otherwise" then .error else .result end]
      | unique | join(", ")
    end;
def both: (map(select(.leased)) | outcome) + " · " + (map(select(.leased | not)) | outcome);

. as $reports
| ([$reports[].kernel] | unique) as $kernels
| (reduce $reports[].trials[] as $t ([]; if index($t.action) then . else . + [$t.action] end)) as $actions
| "Measured on \($date), on \($kernels | map("Linux " + .) | join(", ")), x86-64, in QEMU: \([$reports[].tried] | add) trials. "
  + "**\([$reports[].open] | add) open sources, \([$reports[].unnamed] | add) refusals without a complete name, \([$reports[].differences] | add) differences from the catalogue.**",
"",
"## The catalogue",
"D FS-DAX, S tmpfs and memfd, H hugetlbfs, P page cache.",
"",
([$sources[0].sources[] | [.id, .description, .kinds, .verdict, (.reason // .hook // ""), (.choke_points | map("`" + . + "`") | join(" ")), .administrator]]
  | table(["source", "what it does", "breaks", "verdict", "why, or the hook", "choke points", "what an administrator can do"])),
"",
"## What was measured",
"Under a lease · without one, over all routes. *refused*: `ETXTBSY`, to the holder `EDEADLK`. *breaks*: other blocks or pages are behind the range afterwards. –: no such operation there.",
( $kernels[] as $kernel
  | "", "### Linux \($kernel)", "",
    ( [$reports[] | select(.kernel == $kernel)] as $mine
      | (kinds | map(select(. as $k | any($mine[]; .kind == $k)))) as $here
      | [ $actions[] as $action
          | ([$mine[].trials[] | select(.action == $action)]) as $trials
          | select($trials | length > 0)
          | [$trials[0].source, "\($action): \($trials[0].call)"] + [ $here[] as $k | [$mine[] | select(.kind == $k) | .trials[] | select(.action == $action)] | both ] ]
      | table(["source", "action"] + $here) ) ),
"",
"## Where it was seen",
"The choke points through which the tripwire saw an action, on any kernel and filesystem.",
"",
( [ $actions[] as $action
    | ([$reports[].trials[] | select(.action == $action)]) as $trials
    | ([$trials[].choke_points[]] | unique) as $points
    | select($points | length > 0)
    | [$trials[0].source, $action, ($points | map("`" + . + "`") | join(" "))] ]
  | table(["source", "action", "choke points"]) ),
"",
"## Differences",
( [ $reports[] | . as $r | .trials[] | select(.differences != [])
    | "* \($r.kernel), \($r.kind): \(.action) by \(.route), \(if .leased then "leased" else "without a lease" end): \(.differences | join("; "))" ]
  | if length == 0 then "None." else .[] end )
