"use strict";
// Draws the report from the data in the page. Everything that comes from the machine goes in as text, never as markup.
(() => {
  const { report, history } = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const list = (value) => (Array.isArray(value) ? value : []);

  /** An element: its tag, its attributes, its children (text or elements). */
  const make = (tag, attributes = {}, ...children) => {
    const svg = ["svg", "rect", "line", "text", "path", "title", "g"].includes(tag);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  };

  const marks = { pass: ["✓", "pass"], fail: ["✗", "fail"], risk: ["!", "risk"], "not applicable": ["–", "none"] };
  const mark = (verdict) => {
    const [sign, style] = marks[verdict] || ["?", "none"];
    return make("span", { class: `mark ${style}` }, `${sign} ${verdict}`);
  };
  const bytes = (count) => {
    if (count === null || count === undefined) return "";
    if (count >= 2 ** 63) return "any size";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (count >= 1024 && unit < 4) (count /= 1024), unit++;
    return `${Number(count.toPrecision(3))} ${units[unit]}`;
  };
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

  /**
   * A table that is sorted by the buttons of its heading and filtered by what is typed above it.
   * @param columns {name, text(row) or number(row), cell(row)?}: what it is sorted and filtered by; what is shown instead
   */
  const table = (place, label, columns, rows, none) => {
    if (!rows.length) return place.append(make("p", { class: "note" }, none));
    const input = make("input", { type: "search", id: `${place.id}-filter`, autocomplete: "off" });
    const count = make("span", { class: "count", role: "status" });
    const body = make("tbody");
    const heads = columns.map((column) => {
      const button = make("button", { type: "button" }, column.name);
      const head = make("th", { scope: "col", ...(column.number ? { class: "number" } : {}) }, button);
      button.addEventListener("click", () => {
        const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", order);
        draw();
      });
      return head;
    });
    const key = (column, row) => (column.number ? column.number(row) : column.text(row));
    const drawn = rows.map((row) => {
      const cells = columns.map((column) => make("td", column.number ? { class: "number" } : {}, column.cell ? column.cell(row) : String(key(column, row))));
      return { row, element: make("tr", {}, ...cells), text: columns.map((column) => key(column, row)).join(" ").toLowerCase() };
    });
    const draw = () => {
      const sorted = heads.findIndex((head) => head.hasAttribute("aria-sort"));
      const order = [...drawn];
      if (sorted >= 0) {
        const down = heads[sorted].getAttribute("aria-sort") === "descending" ? -1 : 1;
        const value = (one) => key(columns[sorted], one.row);
        order.sort((a, b) => down * (columns[sorted].number ? value(a) - value(b) : String(value(a)).localeCompare(String(value(b)))));
      }
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const shown = order.filter((one) => words.every((word) => one.text.includes(word)));
      body.replaceChildren(...shown.map((one) => one.element));
      count.textContent = `${shown.length} of ${plural(rows.length, "row")}`;
    };
    input.addEventListener("input", draw);
    draw();
    place.append(
      make("div", { class: "filter" }, make("label", { for: input.id }, `Filter ${label}`), input, count),
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
        make("table", { "aria-label": label }, make("thead", {}, make("tr", {}, ...heads)), body)));
  };

  const drawVerdict = () => {
    const proved = report.proof.asked && !report.proof.error;
    const word = report.qualified ? (proved ? "✓ Qualified" : "✓ No fault found, nothing proved") : "✗ Not qualified";
    at("word").textContent = word;
    at("verdict").classList.add(report.qualified ? "pass" : "fail");
    at("title").textContent = `${report.mount} on ${report.host}, Linux ${report.kernel}`;
    const { pass, risk, fail, not_applicable: none } = report.counts;
    at("summary").textContent = `${fail} failed, ${plural(risk, "risk")}, ${pass} passed, ${none} not applicable; checked ${report.time}`;
    document.title = `${word.slice(2)}: ${report.mount} on ${report.host}`;
    at("made").textContent = `Made by holdfast qualify ${report.holdfast} at ${report.time}. Everything shown is in this file; holdfast(7) explains the words.`;
  };

  const drawFaults = () => {
    const place = at("faults-list");
    const bad = report.findings.filter((finding) => finding.verdict === "fail" || finding.verdict === "risk").sort((a, b) => a.verdict.localeCompare(b.verdict));
    if (!bad.length) place.append(make("p", { class: "note" }, "None."));
    for (const finding of bad)
      place.append(make("div", { class: `fault ${finding.verdict}` },
        make("h3", {}, mark(finding.verdict), ` ${finding.id}: ${finding.verdict === "fail" ? "not so" : "not sure"}: ${finding.what}`),
        make("ul", {}, ...finding.evidence.map((line) => make("li", {}, line))),
        ...finding.mends.map((mend) => make("code", { class: "mend" }, mend)),
        finding.fixable ? make("p", { class: "note" }, "holdfast qualify --fix does this.") : ""));
  };

  const drawChecks = () =>
    table(at("checks-table"), "checks", [
      { name: "Area", text: (row) => row.area },
      { name: "Check", text: (row) => row.id.slice(row.area.length + 1) },
      { name: "Verdict", text: (row) => row.verdict, cell: (row) => mark(row.verdict) },
      { name: "What", text: (row) => row.what },
      { name: "Evidence", text: (row) => row.evidence.join("; ") },
    ], report.findings, "No check was made.");

  const drawSources = () => {
    const proof = report.proof;
    at("proof").textContent = !proof.asked ? "Nothing was tried (--no-probe)." : proof.error ? `It could not be tried: ${proof.error}` :
      `${plural(proof.trials, "trial")} on scratch files under a lease in ${Math.round(proof.seconds)} s: ${plural(proof.open, "open source")}, ` +
      `${plural(proof.unnamed, "unnamed refusal")}, ${plural(proof.differences, "difference")} from the catalogue.` +
      (proof.soak_s ? ` Soak of ${proof.soak_s} s: ${plural(proof.rdma_writes, "remote write")}, ${proof.rdma_lost} lost.` : "");
    const outcomes = ["refused", "harmless", "cannot run", "no route", "breaks", "differs"];
    table(at("sources-table"), "break sources", [
      { name: "Source", text: (row) => row.source, cell: (row) => make("span", { title: row.description }, row.source) },
      { name: "Here", text: (row) => (!row.here ? "not here" : row.concerns ? "yes" : "other files") },
      { name: "Catalogue says", text: (row) => row.verdict },
      ...outcomes.map((word) => ({
        name: word[0].toUpperCase() + word.slice(1),
        number: (row) => row.outcomes[word] || 0,
        cell: (row) => {
          const count = row.outcomes[word] || 0;
          return count ? make("span", word === "differs" || word === "breaks" ? { class: "hot" } : {}, String(count)) : "";
        },
      })),
      { name: "What it does", text: (row) => row.description + (row.reason ? ` (${row.reason})` : "") },
    ], list(report.matrix), "The catalogue is not in this report.");
  };

  const who = (breaker) => (breaker ? `${breaker.executable || breaker.comm || "?"} [${breaker.pid ?? "?"}], user ${breaker.user || breaker.uid}` : "unknown");

  const drawTimeline = () => {
    const all = [...list(history.denials).map((event) => ({ ...event, kind: "denial" })), ...list(history.escapes).map((event) => ({ ...event, kind: "escape" }))];
    const events = all.filter((event) => event.time).sort((a, b) => a.time.localeCompare(b.time));
    const place = at("timeline-chart");
    place.append(make("p", { class: "note" }, "From the journal, without what the probe did to its own scratch files." +
      (history.older ? ` There are older ones: holdfast history --file ${report.mount} --no-probe shows all.` : "") +
      (history.trouble ? ` It could not be read, so this is what holdfastd remembers: ${history.trouble}` : "")));
    if (events.length) {
      const wide = 1000, lanes = { denial: 60, escape: 110 }, left = 70, first = Date.parse(events[0].time), last = Date.parse(events.at(-1).time);
      const x = (time) => left + ((Date.parse(time) - first) / Math.max(last - first, 1)) * (wide - left - 20);
      const count = { denial: events.filter((event) => event.kind === "denial").length, escape: events.filter((event) => event.kind === "escape").length };
      const chart = make("svg", { viewBox: `0 0 ${wide} 150`, role: "img", "aria-label": `${plural(count.denial, "denial")} and ${plural(count.escape, "escape")} from ${events[0].time} to ${events.at(-1).time}; the table below has each` });
      for (const [kind, y] of Object.entries(lanes))
        chart.append(make("line", { class: "axis", x1: left, x2: wide - 20, y1: y, y2: y }), make("text", { x: 0, y: y + 4 }, `${kind}s`));
      for (const event of events) {
        const y = lanes[event.kind], middle = x(event.time);
        const shape = event.kind === "denial" ? make("rect", { class: "denial", x: middle - 2, y: y - 14, width: 4, height: 28 })
          : make("path", { class: "escape", d: `M${middle} ${y - 12}l9 12l-9 12l-9 -12z` });
        shape.append(make("title", {}, `${event.time} ${event.operation || event.choke_point || ""} of ${event.path || "an unnamed file"} by ${who(event.breaker)}`));
        chart.append(shape);
      }
      chart.append(make("text", { x: left, y: 145 }, events[0].time), make("text", { x: wide - 20, y: 145, "text-anchor": "end" }, events.at(-1).time));
      place.append(chart);
    }
    table(at("timeline-table"), "denials and escapes", [
      { name: "Time", text: (row) => row.time },
      { name: "What", text: (row) => row.kind, cell: (row) => make("span", { class: `mark ${row.kind === "escape" ? "fail" : "none"}` }, row.kind === "escape" ? "✗ escape" : "denial") },
      { name: "Operation", text: (row) => row.operation || row.choke_point || "" },
      { name: "File", text: (row) => row.path || "" },
      { name: "By whom", text: (row) => who(row.breaker) },
      { name: "Command", text: (row) => list(row.breaker && row.breaker.command_line).join(" ") },
      { name: "Against", text: (row) => (row.seal ? `seal ${row.seal}` : list(row.leases).map((lease) => `${lease.comm} [${lease.pid}]`).join(", ")) },
    ], events, "Nobody has tried to break a layout.");
  };

  const drawFiles = () => {
    const place = at("files-list");
    const states = new Map(list(report.files).map((file) => [file.path, file]));
    const registrations = new Map(list(history.registrations).map((one) => [one.id, one]));
    const legend = [["", "registration"], ["process", "hold of a process"], ["static", "hold of the administrator"], ["bad", "not protected"]];
    if (!list(history.leases).length) return place.append(make("p", { class: "note" }, "No file is leased."));
    place.append(make("ul", { class: "legend" }, ...legend.map(([style, name]) => make("li", {}, make("i", style ? { class: style } : {}), name))));
    for (const file of history.leases) {
      const state = states.get(file.path);
      const ends = [...list(file.protected), ...list(file.leases).flatMap((lease) => list(lease.asked))].map((extent) => extent.end ?? 0);
      const size = Math.max(state ? state.size_bytes : 0, ...ends, 4096);
      const track = (extents, style, label) => {
        const bar = make("div", { class: "track", role: "img", "aria-label": label });
        for (const extent of extents) {
          const end = extent.end ?? size;
          const piece = make("i", { ...(style ? { class: style } : {}), title: `${bytes(extent.first)} to ${extent.end === null ? "the end" : bytes(end)}` });
          piece.style.left = `${(extent.first / size) * 100}%`;
          piece.style.width = `${((end - extent.first) / size) * 100}%`;
          bar.append(piece);
        }
        return bar;
      };
      const words = (extents) => extents.map((extent) => `${bytes(extent.first)} to ${extent.end === null ? "the end" : bytes(extent.end)}`).join(", ");
      place.append(make("h3", {}, `${file.path || "a file without a name"} (${file.filesystem}${file.dax ? ", DAX" : ""}, ${bytes(size)})`));
      for (const lease of list(file.leases)) {
        const holder = lease.holder || {}, registration = registrations.get(lease.id);
        const name = `${lease.kind === "static" ? "administrator" : `${holder.comm} [${holder.pid}]`}${registration ? ` on ${registration.device}, ${registration.plan}` : ""}${holder.label ? `: ${holder.label}` : ""}`;
        const style = lease.state === "unprotected" ? "bad" : lease.kind === "registration" ? "" : lease.kind;
        const lane = track(list(lease.asked), style, `${lease.kind} of ${name}: ${words(list(lease.asked)) || "nothing"}`);
        for (const extent of list(lease.unprotected)) lane.append(...track([extent], "bad", "").childNodes);
        place.append(make("div", { class: "lane" }, make("span", { class: "who" }, name), lane));
      }
      if (file.leases_of_others) place.append(make("p", { class: "note" }, `${plural(file.leases_of_others, "lease")} of others`));
    }
  };

  const drawAdapters = () => {
    const plan = (one) => (one.plan ? one.plan : "not tried") + (one.reason ? `: ${one.reason}` : "");
    table(at("adapters-table"), "adapters", [
      { name: "Adapter", text: (row) => row.name },
      { name: "Driver", text: (row) => row.driver || "" },
      { name: "Transport", text: (row) => row.transport || "" },
      { name: "Link", text: (row) => row.link || "" },
      { name: "ODP", text: (row) => (row.odp ? "yes" : "no") },
      { name: "Fence", text: (row) => (row.fence === null ? "not tried" : row.fence ? "yes" : "no") },
      { name: "Largest region", number: (row) => row.region_bytes, cell: (row) => bytes(row.region_bytes) },
      { name: "To write", text: (row) => plan(row.writer) },
      { name: "To read", text: (row) => plan(row.reader) },
    ], list(report.adapters), "This machine has no RDMA adapter.");
  };

  const drawMachine = () => {
    for (const [section, keys] of Object.entries(report.subject)) {
      const entries = Object.entries(keys).flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value === "" ? "none" : String(value))]);
      at("machine-list").append(make("h3", {}, section), entries.length ? make("dl", {}, ...entries) : make("p", { class: "note" }, "none"));
    }
  };

  drawVerdict();
  drawFaults();
  drawChecks();
  drawSources();
  drawTimeline();
  drawFiles();
  drawAdapters();
  drawMachine();
})();
