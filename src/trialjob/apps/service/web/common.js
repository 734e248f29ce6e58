// What every view of the page of `trialjob serve` is made with.
// Rule: what comes from an experiment becomes text nodes and never markup, and steers no line that it is in.
"use strict";

const KEY = "trialjob-token";
const main = document.getElementById("main");
const notice = document.getElementById("notice");
let leave = () => {}; // ends what the present view has going on

const given = /(?:^#|&)token=([^&]+)/.exec(location.hash);
if (given) {
  localStorage.setItem(KEY, given[1]);
  history.replaceState(null, "", location.pathname + (location.hash.replace(given[0], "") || "#/"));
}

// A text with all that is not seen, such as marks for the direction of writing, shown as �; as the command line has it.
const clean = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, (each) => (each === "\n" || each === "\t" ? each : "\ufffd"));

// The same of lines of a log, without colours; what a progress bar wrote over is a line by itself.
const cleanLog = (text) => clean(text.replace(/\x1b\[[0-9;:]*m/g, "").replace(/\r+$/, "").replaceAll("\r", "\n"));

// The same in a table, where a megabyte in one cell would leave no other to be found.
const brief = (text, most = 200) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

const write = (element, text) => {
  if (element.textContent !== clean(text)) element.textContent = clean(text); // what is the same is not read out again
};

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : ["title", "aria-label"].includes(name) ? clean(value) : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map((child) =>
    child instanceof Node ? child : document.createTextNode(clean(child))));
  return element;
}

function say(text) {
  notice.textContent = clean(text);
  notice.hidden = !text;
}

async function ask(path, options = {}) {
  const headers = { authorization: `Bearer ${localStorage.getItem(KEY) || ""}`, ...options.headers };
  if (options.body instanceof Blob) {
    headers["content-type"] = "application/gzip";
  } else if (options.body !== undefined) {
    headers["content-type"] = "application/json";
    options = { ...options, body: JSON.stringify(options.body) };
  }
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ detail: `${path} answered ${answer.status}` }));
  const problems = (problem.problems || []).map((each) => `${each.field}: ${each.message}${each.remedy ? ` → ${each.remedy}` : ""}`);
  const error = new Error(problems.length ? problems.join("\n") : problem.detail);
  error.status = answer.status;
  error.problems = problem.problems;
  throw error;
}

const read = async (path) => (await ask(path)).json();
const post = (path, body) => ask(path, { method: "POST", body });
const experiment = (name) => `/v1/experiments/${encodeURIComponent(name)}`;

function attempt(work) {
  return async (event) => {
    if (event) event.preventDefault();
    say("");
    try {
      await work();
    } catch (error) {
      say(error.message);
    }
  };
}

function number(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)).toString() : String(value);
}

// Seconds in words, as the command line has them.
function span(seconds) {
  if (seconds < 60) return `${seconds < 10 ? Number(seconds.toPrecision(2)) : Math.round(seconds)}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
  return `${Math.floor(minutes / 1440)}d ${Math.round((minutes % 1440) / 60)}h`;
}

const labelled = (id, label, input) => make("div", {}, make("label", { for: id }, label), input);

function ago(moment) {
  const seconds = Math.max(0, (Date.now() - Date.parse(moment)) / 1000);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return "now";
}

function grid(columns, rows, caption) {
  const kind = (column) => (column.number ? { class: "number" } : {});
  const cut = (content) => (typeof content === "string" ? brief(content) : content);
  return make("div", { class: "scroll", id: `grid ${caption}`.replaceAll(" ", "-"), tabindex: "0", role: "region", "aria-label": caption }, make("table", {},
    make("thead", {}, make("tr", {}, ...columns.map((column) => (column.title ? make("th", { scope: "col", ...kind(column) }, cut(column.title)) : make("td"))))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...columns.map((column) => make("td", kind(column), cut(column.cell(row)))))))));
}

// Puts `elements` where others were, without taking the keyboard or the place from who is in them: what can be
// focused in them has an id that stays.
function inPlace(place, ...elements) {
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  const left = new Map([...place.querySelectorAll(".scroll")].map((each) => [each.id, each.scrollLeft]));
  place.replaceChildren(...elements);
  for (const each of place.querySelectorAll(".scroll")) each.scrollLeft = left.get(each.id) || 0;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

// The caller: one user alone, a user of a tenant, or an admin

let me = { role: "admin", tenant: "" };
const alone = () => me.id === "alone";
const may = {
  start: () => alone() || (Boolean(me.tenant) && me.role !== "read"),
  change: () => me.role !== "read",
  manage: () => !alone() && me.role === "admin",
  audit: () => !alone() && ["manage", "admin"].includes(me.role),
};

async function greet() {
  me = await read("/v1/me");
  write(document.getElementById("who"), alone() ? "" : `${me.tenant || "all tenants"} (${me.role})`);
  document.getElementById("new").hidden = !may.start();
  document.getElementById("acts").hidden = !may.audit();
  document.getElementById("people").hidden = !may.manage();
}

function askForToken() {
  const token = make("input", { id: "token", type: "password", autocomplete: "off", required: true, size: "50" });
  main.replaceChildren(make("h1", {}, "Who are you?"), make("form", { onsubmit: (event) => {
    event.preventDefault();
    localStorage.setItem(KEY, token.value.trim());
    view();
  } }, make("label", { for: "token" }, "Your token"), token,
  make("div", { class: "actions" }, make("button", { class: "primary" }, "Come in"))),
  make("p", { class: "soft" }, "An admin makes one with ", make("code", {}, "trialjob token create TENANT --role submit"), "."));
  token.focus();
}

const money = (dollars) => `$${dollars.toFixed(2)}`;
const dollars = (value) => (value === null || value === undefined ? "–" : money(value));

const BUDGET = [
  { title: "Tenant", cell: (row) => row.name },
  { title: "A month", number: true, cell: (row) => money(row.budget) },
  { title: "Spent", number: true, cell: (row) => money(row.spent) },
  { title: "Held", number: true, cell: (row) => money(row.held) },
  { title: "Free", number: true, cell: (row) => money(row.free) },
  { title: "Jobs", number: true, cell: (row) => `${row.jobs} of ${row.max_concurrent}` },
  { title: "Allowed", cell: (row) => row.allow.join(", ") || "nothing" },
];

async function budgets() {
  if (alone()) return [];
  const { items } = await read("/v1/tenants");
  const none = make("p", {}, "No tenant yet. ", make("a", { id: "add-tenant", href: "#/team" }, "Add one"), ".");
  return [make("h2", {}, items.length === 1 ? `Budget of ${items[0].month}` : "Budgets"), items.length ? grid(BUDGET, items, "Budgets") : none];
}

const state = (word) => make("span", { class: word }, word);

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Server-sent events by fetch, as EventSource sends no token. `heard` is given those that came at once, and
// says whether they were the last; a line that breaks is opened again behind what was heard.
async function listen(path, last, signal, heard) {
  while (!signal.aborted) {
    try {
      const answer = await ask(path, { signal, headers: last === "" ? {} : { "last-event-id": last } });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        const parts = (rest + value).split("\n\n");
        rest = parts.pop();
        const events = parts.map(eventOf).filter(({ id }) => id);
        if (!events.length) continue;
        last = events.at(-1).id;
        if (await heard(events)) return;
        say("");
      }
    } catch (error) {
      if (signal.aborted) return;
      say(error.status && error.status < 500 && error.status !== 429 ? error.message : `The server does not answer (${error.message}); trying again.`);
      if (error.status && error.status < 500 && error.status !== 429) return;
    }
    if (!signal.aborted) await pause(2000);
  }
}

function eventOf(part) {
  const field = (name) => (new RegExp(`^${name}: (.*)$`, "m").exec(part) || [])[1] || "";
  return { kind: field("event"), id: field("id"), data: field("data") };
}
