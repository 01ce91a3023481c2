// The status page: fetches status.json every two seconds, and draws it. Everything is
// set as text, never as markup: names of tables come from outside.
"use strict";

const PERIOD = 2000, LONGEST_PERIOD = 15000, TIMEOUT = 5000; // milliseconds
const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100, TOP = 5, BOTTOM = 95; // of a plot, whose width is the number of slots
const LINES = ["first", "second", "third"];

const byId = (id) => document.getElementById(id);

/** Sets a text if it changed, so that screen readers do not repeat it. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function html(name, className = "", text = "", ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// ---- Numbers and times in words

const UNITS = [[86400, "d", [3600, "h"]], [3600, "h", [60, "min"]], [60, "min", [1, "s"]]]; // of times, in seconds
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

function number(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  return value >= 10 || value === 0 ? whole.format(value) : fine.format(value);
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds > 0 && seconds < 0.9995) return `${seconds < 0.01 ? fine.format(seconds * 1000) : whole.format(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${Number.isInteger(seconds) ? seconds : seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const [unit, large, small] = UNITS.find(([each]) => seconds >= each);
  const inSmall = Math.round(seconds / small[0]), ratio = unit / small[0];
  const rest = inSmall % ratio;
  return `${Math.floor(inSmall / ratio)} ${large}${rest ? ` ${rest} ${small[1]}` : ""}`;
}

/** A duration in whole seconds, and from 90 s on in whole minutes. */
const about = (seconds) => duration(seconds < 90 ? Math.round(seconds) : Math.round(seconds / 60) * 60);

/** The local time of day and its zone; with the date if it is not today. */
function clock(epoch, zone = "short") {
  const moment = new Date(epoch * 1000);
  const time = moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: zone || undefined });
  return moment.toDateString() === new Date().toDateString() ? time : `${moment.toLocaleDateString("en-CA")} ${time}`;
}

const times = (count) => (count === 1 ? "once" : `${number(count)} times`);

// ---- Charts

const perSecond = (of) => (status) => status.series[of].map((value, slot) => {
  const isLast = slot === status.slots - 1;
  if (value === null || (isLast && status.last_slot_seconds < status.step_seconds / 2)) return null;
  return value / (isLast ? status.last_slot_seconds : status.step_seconds);
});
const plain = (of) => (status) => status.series[of];
const perBatch = (of) => (status) =>
  status.series[of].map((value, slot) => (status.series.batches[slot] ? value / status.series.batches[slot] : null));

// `joined`: measured from time to time; a value holds until the next one.
// `now`: the values of this moment where a tile shows them, too.
const CHARTS = [
  {
    title: "Throughput", unit: "changes per second", format: number,
    now: (status) => [status.changes_per_second], lines: [["all changes", perSecond("changes")]],
  },
  {
    title: "Lag", unit: "age of changes when acknowledged", format: duration,
    now: (status) => [status.lag_seconds],
    lines: [["oldest", plain("lag_max")], ["median", plain("lag_p50")]],
  },
  {
    title: "Backlog", unit: "messages in the queue", inMemory: "messages in memory", format: number, joined: true,
    now: ({ backlog }) => [backlog?.waiting ?? null, backlog?.in_flight ?? null],
    lines: [["waiting", plain("waiting")], ["in flight", plain("in_flight")]],
  },
  {
    title: "Batch size", unit: "mean per batch", format: number,
    lines: [["changes", perBatch("changes")], ["messages", perBatch("messages")]],
  },
  {
    title: "Not applied", unit: "changes per second", format: number,
    lines: [["coalesced", perSecond("coalesced")], ["stale", perSecond("stale")], ["parked", perSecond("parked")]],
  },
  {
    title: "Response times", unit: "mean per call", format: duration,
    lines: [["MongoDB, per batch", plain("bulk_seconds")], ["SQS, per delete", plain("delete_seconds")]],
    linesInMemory: 1,
  },
];

/** A chart of a process that holds messages in memory. */
const withoutQueue = ({ unit, inMemory = unit, lines, linesInMemory = lines.length, ...rest }) =>
  ({ ...rest, unit: inMemory, lines: lines.slice(0, linesInMemory) });

/** The upper end of an axis that fits all values; half of it is a round figure, too. */
function ceiling(highest, format) {
  if (!(highest > 0)) return 1;
  const [unit] = (format === duration && UNITS.find(([each]) => highest > each)) || [10 ** Math.floor(Math.log10(highest))];
  const factor = [1, 2, 4, 6, 10, 20, 40, 60].find((each) => highest <= each * unit * 1.0001);
  return (factor ?? Math.ceil(highest / unit)) * unit;
}

/** The known values as paths: the line, the area below it, and dots for single values. */
function paths(values, top, joined) {
  const runs = [];
  let isOpen = false;
  values.forEach((value, slot) => {
    if (value !== null) {
      if (!isOpen) runs.push([]);
      runs.at(-1).push([slot + 0.5, (BOTTOM - (BOTTOM - TOP) * Math.min(value / top, 1)).toFixed(2)]);
    }
    isOpen = value !== null || (joined && runs.length > 0);
  });
  const drawn = (run) => `M${run.map((point) => point.join(" ")).join("L")}`;
  const long = runs.filter((run) => run.length > 1);
  return {
    line: long.map(drawn).join(""),
    area: long.map((run) => `${drawn(run)}L${run.at(-1)[0]} ${BOTTOM}L${run[0][0]} ${BOTTOM}Z`).join(""),
    dots: runs.filter((run) => run.length === 1).map((run) => `${drawn(run)}h.01`).join(""),
  };
}

class Chart {
  constructor(description, slots) {
    this.description = description;
    this.legend = html("ul", "legend");
    this.values = description.lines.map(([name], index) => {
      const shown = html("b", "", "–");
      const sample = svg("svg", { viewBox: "0 0 16 8", "aria-hidden": "true" },
        svg("line", { class: LINES[index], x1: 1, x2: 15, y1: 4, y2: 4 }));
      this.legend.append(html("li", "", "", sample, document.createTextNode(name), shown));
      return shown;
    });
    this.area = svg("path", { class: "area" });
    this.lines = description.lines.map((_, index) => svg("path", { class: LINES[index] }));
    this.dots = description.lines.map((_, index) => svg("path", { class: `${LINES[index]} dots` }));
    this.outages = svg("g");
    this.cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    const grid = [TOP, (TOP + BOTTOM) / 2, BOTTOM].map((y) => svg("line", { class: "grid", x1: 0, x2: slots, y1: y, y2: y }));
    this.svg = svg("svg", { viewBox: `0 0 ${slots} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      this.outages, ...grid, this.area, ...[...this.lines, ...this.dots].reverse(), this.cursor);
    this.top = html("span", "top");
    this.half = html("span", "half");
    this.plot = html("div", "plot", "", this.svg, this.top, this.half, html("span", "zero", "0"));
    const heading = html("h3", "", description.title, html("span", "", description.unit));
    const ends = html("div", "ends", "", html("span", "", "15 min ago"), html("span", "", "now"));
    this.element = html("div", "chart", "", heading, this.legend, this.plot, ends);
  }

  update(status) {
    const { lines, format, joined, title } = this.description;
    this.data = lines.map(([, of]) => of(status));
    this.now = this.description.now?.(status) ?? [];
    const known = this.data.map((values) => values.filter((value) => value !== null));
    const top = ceiling(Math.max(0, ...known.flat()), format);
    this.data.forEach((values, index) => {
      const { line, area, dots } = paths(values, top, joined);
      this.lines[index].setAttribute("d", line);
      this.dots[index].setAttribute("d", dots);
      if (index === 0) this.area.setAttribute("d", area);
    });
    const isEmpty = !known.flat().length;
    say(this.top, isEmpty ? "" : format(top));
    say(this.half, isEmpty ? "" : format(top / 2));
    this.outages.replaceChildren(...outages(status).map(([x, width]) => svg("rect", { x, width, y: 0, height: HEIGHT })));
    const told = lines.map(([name], index) => known[index].length
      ? `${name}: now ${format(this.latest()[index])}, lowest ${format(Math.min(...known[index]))}, highest ${format(Math.max(...known[index]))}`
      : `${name}: not known`);
    this.svg.setAttribute("aria-label", `${title} in the last 15 minutes. ${told.join(". ")}.`);
  }

  /** The values of a slot; if it has none yet, the last ones known shortly before. */
  at(slot) {
    const back = this.description.joined ? slot : slot === this.data[0].length - 1 ? 1 : 0;
    return this.data.map((values) => {
      for (let each = slot; each >= Math.max(0, slot - back); each -= 1) if (values[each] !== null) return values[each];
      return null;
    });
  }

  /** The values of this moment: those of the tiles; else those of the last slot. */
  latest() {
    return this.at(this.data[0].length - 1).map((value, index) => (index < this.now.length ? this.now[index] : value));
  }

  look(slot, isNow) {
    (isNow ? this.latest() : this.at(slot)).forEach((value, index) => say(this.values[index], this.description.format(value)));
    this.cursor.setAttribute("x1", slot + 0.5);
    this.cursor.setAttribute("x2", slot + 0.5);
    this.cursor.setAttribute("visibility", isNow ? "hidden" : "visible");
  }
}

/** Where in a plot the writer waited: start and width, in slots. */
function outages(status) {
  const end = status.now + status.step_seconds - status.last_slot_seconds;
  const place = (time) => Math.min(status.slots, Math.max(0, status.slots - (end - time) / status.step_seconds));
  return status.outages.map(({ since, until }) => {
    const begin = place(since);
    return [begin.toFixed(2), Math.max(0.5, place(until ?? status.now) - begin).toFixed(2)];
  });
}

// ---- The parts of the page

let latest = null, charts = [], chosen = null, failedSince = null;

function showState(status) {
  const { kind, title, words, since, eta } = status.state;
  byId("state").dataset.kind = kind;
  say(byId("title"), title);
  say(byId("words"), words);
  let when = "";
  if (since !== null) when = `since ${clock(since)} (${duration(Math.max(0, Math.round(status.now - since)))})`;
  if (eta !== null) when = `done in about ${about(eta)}, at ${clock(status.now + eta)}`;
  say(byId("since"), when);
  document.title = `${title} · Replicator`;
  const { program, version, commit, pool_size: pool } = status.writer;
  say(byId("writer"), `${program} ${version}${commit && ` (commit ${commit})`} · ${pool} MongoDB connections · running for ${duration(Math.round(status.now - status.started))}`);
}

function showTiles(status) {
  const { backlog } = status;
  const ago = backlog ? `${duration(Math.max(0, Math.round(status.now - backlog.at)))} ago` : "";
  const asked = status.has_queue ? (ago ? `read ${ago}` : "the queue has not been read yet") : ago && `in memory, ${ago}`;
  const letters = status.has_queue ? asked : ago && `in MongoDB, ${ago}`;
  const inHand = `${number(status.in_hand)} messages in flight`;
  const tiles = [
    ["Lag", duration(status.lag_seconds), "", status.lag_seconds === null ? "no changes right now" : "of the oldest change right now"],
    ["Throughput", number(status.changes_per_second), "changes/s", inHand],
    ["Backlog", number(backlog?.waiting), "messages", backlog ? `${number(backlog.in_flight)} in flight, ${asked}` : asked],
    ["Dead letters", number(backlog?.dead_letters), "", backlog?.dead_letters ? "the command below lists them" : letters],
  ];
  const list = byId("tiles");
  if (!list.children.length) {
    list.append(...tiles.map(([name]) => html("div", "", "", html("dt", "", name), html("dd", "value"), html("dd", "hint"))));
  }
  tiles.forEach(([name, value, unit, hint], index) => {
    const [, shown, below] = list.children[index].children;
    shown.replaceChildren(value, ...(unit && value !== "–" ? [html("small", "", ` ${unit}`)] : []));
    say(below, hint);
    list.children[index].classList.toggle("alert", name === "Dead letters" && backlog?.dead_letters > 0);
  });
}

function showCharts(status) {
  if (!charts.length) {
    charts = CHARTS.map((each) => new Chart(status.has_queue ? each : withoutQueue(each), status.slots));
    byId("charts").append(...charts.map((each) => each.element));
    const range = byId("moment");
    range.max = status.slots - 1;
    range.value = range.max;
    range.addEventListener("input", () => look(Number(range.value)));
    for (const { plot, svg: drawn } of charts) {
      plot.addEventListener("pointermove", (event) => {
        const { left, width } = drawn.getBoundingClientRect();
        look(Math.max(0, Math.min(latest.slots - 1, Math.floor(((event.clientX - left) / width) * latest.slots))));
      });
      plot.addEventListener("pointerleave", () => look(latest.slots - 1));
    }
  }
  for (const each of charts) each.update(status);
  byId("outage-key").hidden = !status.outages.length;
  say(byId("parts"), `waiting for ${status.parts.join(" or ")}`);
  look(chosen ?? status.slots - 1);
}

/** Shows the figures of a slot in all charts. The last slot always means now. */
function look(slot) {
  const isNow = slot === latest.slots - 1;
  chosen = isNow ? null : slot;
  for (const each of charts) each.look(slot, isNow);
  const ago = (latest.slots - 1 - slot) * latest.step_seconds;
  const text = isNow ? "now" : `${clock(latest.now - ago)}, ${duration(ago)} ago`;
  byId("moment").value = slot;
  byId("moment").setAttribute("aria-valuetext", text);
  say(byId("moment-time"), text);
}

const NAMES = { "": "could not be read", null: "all other tables" };

function showTables(status) {
  const rows = status.tables.map((row) => {
    const name = html("th", row.table ? "" : "unnamed", row.table || NAMES[row.table]);
    name.scope = "row";
    name.setAttribute("role", "rowheader");
    const values = ["applied", "stale", "older_stream", "coalesced", "parked"].map((key) => number(row[key]));
    const cells = [...values, duration(row.lag_seconds)].map((text) => html("td", "", text));
    for (const cell of cells) cell.setAttribute("role", "cell");
    cells[2].classList.toggle("alert", row.older_stream > 0);
    cells[4].classList.toggle("alert", row.parked > 0);
    const line = html("tr", "", "", name, ...cells);
    line.setAttribute("role", "row");
    return line;
  });
  byId("tables").tBodies[0].replaceChildren(...rows);
  byId("tables").hidden = !rows.length;
  byId("no-tables").hidden = rows.length > 0;
}

/** A command as a shell takes it: with the queues, if there are any, because nothing here knows the name of the stack. */
function command(text, { queue_url: queue, dead_letter_queue_url: dead }) {
  const queues = queue ? ` --queue-url ${queue} --dead-letter-queue-url ${dead}` : "";
  return text ? [html("p", "command", "", html("code", "", `${text}${queues}`))] : [];
}

function showTroubles(status) {
  const items = status.troubles.map((each) => {
    const when = each.count === 1 || clock(each.first) === clock(each.last) ? clock(each.last) : `${clock(each.first, "")} – ${clock(each.last)}`;
    const of = each.table ? ` of table ${each.table}` : "";
    const where = { "dead letter": `dead letter ${each.cause}${of}`, changes: each.table ? `table ${each.table}` : each.cause }[each.kind] ?? (each.words || each.cause);
    return html("li", "", "",
      html("p", "when", when, html("br"), document.createTextNode(each.kind === "changes" ? `${number(each.count)} changes` : times(each.count))),
      html("div", "what", "", html("h3", "", each.meaning), html("p", "do", each.do), ...command(each.command, status.writer), html("p", "detail", where)));
  });
  byId("troubles").replaceChildren(...items);
  byId("no-troubles").hidden = items.length > 0;
}

function show(status) {
  latest = status;
  failedSince = null;
  document.body.classList.remove("old");
  showState(status);
  showTiles(status);
  showCharts(status);
  showTables(status);
  showTroubles(status);
  byId("listing").replaceChildren(...command(status.has_queue ? "replicator dlq list" : "replicator dlq list --mongodb", status.writer));
  say(byId("whose"), status.has_queue
    ? "Figures of this writer since its start. Backlog and dead letters are those of the queues, which all writers share."
    : "Figures of this process since its start. Dead letters are those in MongoDB.");
  say(byId("updated"), `As of ${clock(status.now)}.`);
}

function showUnreachable() {
  failedSince ??= Date.now() / 1000;
  document.body.classList.add("old");
  byId("state").dataset.kind = "unreachable";
  say(byId("title"), "Not reachable");
  say(byId("since"), `since ${clock(failedSince)} (${duration(Math.round(Date.now() / 1000 - failedSince))})`);
  say(byId("words"), `The writer has stopped, or the network is down. ${latest ? `The figures are from ${clock(latest.now)}.` : ""}`);
  document.title = "Not reachable · Replicator";
}

// ---- Asking

let timer = 0, period = PERIOD;

async function poll() {
  clearTimeout(timer);
  let status = null;
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    if (answer.ok) status = await answer.json();
  } catch {
    // Shown below.
  }
  period = status ? PERIOD : Math.min(period * 1.5, LONGEST_PERIOD);
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(poll, period);
  if (status) show(status);
  else showUnreachable();
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
poll();
