// The page of `trialjob serve`. Rule: what comes from an experiment becomes text nodes and never markup.
"use strict";

const KEY = "trialjob-token";
const LOG_PARTS = 20; // pieces of a log on the page, the newest; each has at most a megabyte
const main = document.getElementById("main");
const notice = document.getElementById("notice");
let leave = () => {}; // ends what the present view has going on

const given = /(?:^#|&)token=([^&]+)/.exec(location.hash);
if (given) {
  localStorage.setItem(KEY, given[1]);
  history.replaceState(null, "", location.pathname + (location.hash.replace(given[0], "") || "#/"));
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map((child) =>
    child instanceof Node ? child : document.createTextNode(String(child))));
  return element;
}

function say(text) {
  notice.textContent = text;
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
  const told = await answer.json().catch(() => ({ detail: `${path} answered ${answer.status}` }));
  const problems = (told.problems || []).map((each) => `${each.field}: ${each.message}${each.remedy ? ` → ${each.remedy}` : ""}`);
  const error = new Error(problems.length ? problems.join("\n") : told.detail);
  error.status = answer.status;
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

function ago(moment) {
  const seconds = Math.max(0, (Date.now() - Date.parse(moment)) / 1000);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return "now";
}

function grid(columns, rows, caption) {
  const kind = (column) => (column.number ? { class: "number" } : {});
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, make("table", {},
    make("thead", {}, make("tr", {}, ...columns.map((column) => make("th", { scope: "col", ...kind(column) }, column.title)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...columns.map((column) => make("td", kind(column), column.cell(row))))))));
}

// Who asks: one user alone, somebody of a tenant, or an admin

let me = { role: "admin", tenant: "" };
const alone = () => me.id === "alone";
const may = {
  start: () => alone() || (Boolean(me.tenant) && me.role !== "read"),
  change: () => me.role !== "read",
  audit: () => !alone() && ["manage", "admin"].includes(me.role),
};

async function greet() {
  me = await read("/v1/me");
  document.getElementById("who").textContent = alone() ? "" : `${me.tenant || "all tenants"} (${me.role})`;
  document.getElementById("new").hidden = !may.start();
  document.getElementById("acts").hidden = !may.audit();
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

async function budgets() {
  if (alone()) return [];
  const { items } = await read("/v1/tenants");
  const columns = [
    { title: "Tenant", cell: (row) => row.name },
    { title: "A month", number: true, cell: (row) => money(row.budget) },
    { title: "Spent", number: true, cell: (row) => money(row.spent) },
    { title: "Held", number: true, cell: (row) => money(row.held) },
    { title: "Free", number: true, cell: (row) => money(row.free) },
    { title: "Jobs", number: true, cell: (row) => `${row.jobs} of ${row.max_concurrent}` },
    { title: "Allowed", cell: (row) => row.allow.join(", ") || "nothing" },
  ];
  const none = make("p", {}, "No tenant yet. Add one with ", make("code", {}, "trialjob tenant add NAME --budget 500/month"), ".");
  return [make("h2", {}, items.length === 1 ? `Budget of ${items[0].month}` : "Budgets"), items.length ? grid(columns, items, "Budgets") : none];
}

const state = (word) => make("span", { class: word }, word);

// Every experiment

async function everything() {
  const items = [];
  for (let after = ""; ; ) {
    const page = await read(`/v1/experiments?limit=500&after=${encodeURIComponent(after)}`);
    items.push(...page.items);
    if (!page.next) return items;
    after = page.next;
  }
}

async function list() {
  const place = make("div");
  main.replaceChildren(make("h1", {}, "Experiments"), place);
  const columns = [
    { title: "Name", cell: (row) => make("a", { href: `#/e/${encodeURIComponent(row.name)}` }, row.name) },
    { title: "State", cell: (row) => state(row.state) },
    { title: "Best", number: true, cell: (row) => (row.state === "unreadable" ? row.detail : `${row.metric} ${number(row.best)}`) },
    { title: "Trials", number: true, cell: (row) => (row.trials === undefined ? "" : `${row.ended} of ${row.max_trials}`) },
    { title: "Running", number: true, cell: (row) => number(row.running) },
    { title: "Changed", cell: (row) => (row.updated_at ? ago(row.updated_at) : "") },
  ];
  await every(4000, async () => {
    const items = await everything();
    items.sort((a, b) => String(b.updated_at || "").localeCompare(String(a.updated_at || "")));
    const none = may.start() ? ["No experiment yet. ", make("a", { href: "#/new" }, "Start one here"), "."] : ["No experiment yet."];
    place.replaceChildren(items.length ? grid(columns, items, "Experiments") : make("p", {}, ...none), ...await budgets());
  });
}

// One experiment

async function one(name) {
  const cards = make("div", { class: "cards" });
  const trouble = make("p", { class: "failed" });
  const trials = make("div");
  const log = make("div");
  const report = make("div");
  const limit = make("input", { type: "number", min: "1", id: "limit" });
  const buttons = {
    stop: make("button", { class: "danger", onclick: attempt(async () => {
      if (confirm(`Stop ${name}? Its running jobs are ended; results are kept.`)) { await post(`${experiment(name)}/stop`); await look(); }
    }) }, "Stop"),
    resume: make("button", { onclick: attempt(async () => { await post(`${experiment(name)}/resume`); await look(); }) }, "Resume here"),
    report: make("button", { onclick: attempt(async () => {
      const { path } = await (await post(`${experiment(name)}/report-tickets`)).json();
      report.replaceChildren(make("h2", {}, "Report"), make("iframe", { src: path, title: `Report of ${name}`, sandbox: "allow-scripts allow-downloads allow-popups" }));
    }) }, "Show the report"),
  };
  const raise = make("form", { class: "actions", onsubmit: attempt(async () => {
    await ask(`${experiment(name)}/limits`, { method: "PATCH", body: { max_trials: Number(limit.value) } });
    limit.value = "";
    await look();
  }) }, make("div", {}, make("label", { for: "limit" }, "max_trials"), limit), make("button", {}, "Change the limit"));
  main.replaceChildren(make("h1", {}, name), trouble, cards, make("div", { class: "actions" }, ...Object.values(buttons)), raise,
    make("h2", {}, "Trials"), trials, log, report);

  async function look() {
    const told = await read(experiment(name));
    const results = await read(`${experiment(name)}/results`);
    const best = told.best;
    trouble.textContent = [told.trouble, told.detail].filter(Boolean).join("; ");
    const facts = [
      ["State", told.state + (told.reason ? ` (${told.reason})` : "")],
      ["Best", best ? `${number(best.score)} (trial ${best.trial})` : "–"],
      ["Trials", `${results.trials.length} of ${told.max_trials}`],
      ["Dollars", told.costs.dollars === null ? "unknown" : `$${told.costs.dollars.toFixed(2)}`],
      ["Run by", told.run_by || "no process"],
      ["Changed", ago(told.updated_at)],
    ];
    cards.replaceChildren(...facts.map(([title, fact]) => make("div", { class: "card" }, make("span", {}, title), make("strong", {}, fact))));
    const over = ["finished", "failed", "stopped", "moved"].includes(told.state);
    buttons.stop.hidden = over || !may.change();
    raise.hidden = !may.change();
    buttons.resume.hidden = !may.change() || told.state === "moved" || (!over && Boolean(told.run_by));
    trials.replaceChildren(table(results.trials));
    return told;
  }

  function table(rows) {
    if (!rows.length) return make("p", { class: "soft" }, "None has been started yet.");
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.config)))];
    return grid([
      { title: "Trial", number: true, cell: (row) => make("button", { onclick: attempt(() => show(row.trial)), "aria-label": `Log of trial ${row.trial}` }, row.trial) },
      { title: "State", cell: (row) => state(row.status) },
      { title: "Score", number: true, cell: (row) => number(row.score) },
      ...names.map((each) => ({ title: each, cell: (row) => (each in row.config ? number(row.config[each]) : "") })),
    ], [...rows].reverse(), "Trials");
  }

  let shown = new AbortController();
  async function show(trial) {
    shown.abort();
    shown = new AbortController();
    const lines = make("pre", { tabindex: "0", role: "log", "aria-label": `Log of trial ${trial}` });
    const status = make("p", { class: "soft" }, "Live: new lines come as they are printed.");
    log.replaceChildren(make("h2", {}, `Log of trial ${trial}`), status, lines);
    listen(`${experiment(name)}/trials/${trial}/logs`, "", shown.signal, (events) => {
      const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40; // who reads further up is left there
      for (const { kind, data } of events) {
        if (kind === "end") status.textContent = `Attempt ${JSON.parse(data).attempt} has ended.`;
        else lines.append(JSON.parse(data).lines.map((line) => line.text + "\n").join(""));
      }
      while (lines.childNodes.length > LOG_PARTS) lines.firstChild.remove();
      if (atEnd) lines.scrollTop = lines.scrollHeight;
      return events.some(({ kind }) => kind === "end");
    });
  }

  const told = await look();
  const stopped = new AbortController();
  leave = () => { stopped.abort(); shown.abort(); };
  listen(`${experiment(name)}/events`, told.version, stopped.signal, async () => { await look(); });
}

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

// A new one

async function create() {
  const spec = make("textarea", { id: "spec", spellcheck: "false", required: true });
  const folder = make("input", { id: "folder", size: "50", placeholder: "/home/me/project" });
  const plan = make("div");
  let key = crypto.randomUUID(); // pressing the button twice starts it once
  spec.addEventListener("input", () => { key = crypto.randomUUID(); plan.replaceChildren(); });
  spec.addEventListener("dragover", (event) => event.preventDefault());
  spec.addEventListener("drop", async (event) => {
    event.preventDefault();
    const file = event.dataTransfer.files[0];
    if (!file) return;
    spec.value = await file.text();
    spec.dispatchEvent(new Event("input"));
  });
  const body = () => ({ spec: spec.value, folder: folder.value || null });
  const archive = make("input", { id: "archive", type: "file", accept: ".tar.gz,.tgz" });
  archive.addEventListener("change", () => { key = crypto.randomUUID(); plan.replaceChildren(); spec.required = !archive.files.length; });
  const sent = () => archive.files[0];
  const start = async (accept) => {
    const headers = { "idempotency-key": key };
    const answer = sent() ? await ask("/v1/archives", { method: "POST", headers, body: sent() })
      : await ask("/v1/experiments", { method: "POST", headers, body: { ...body(), accept_uncapped: accept } });
    location.hash = `#/e/${encodeURIComponent((await answer.json()).name)}`;
  };
  main.replaceChildren(make("h1", {}, "New experiment"), make("form", { onsubmit: attempt(async () => {
    const told = await (sent() ? await post("/v1/archives/plan", sent()) : await post("/v1/plan", body())).json();
    plan.replaceChildren(make("h2", {}, "Plan"), ...room(told.tenant), make("pre", { tabindex: "0" }, JSON.stringify(told, null, 2)),
      make("button", { type: "button", class: "primary", onclick: attempt(async () => {
        try { await start(false); } catch (error) {
          if (error.status !== 409 || !/max_cost/.test(error.message) || !confirm(`${error.message}\n\nStart it all the same?`)) throw error;
          await start(true);
        }
      }) }, "Start it"));
  }) },
  ...(alone() ? [make("label", { for: "folder" }, "Folder that its paths are meant from"), folder]
    : [make("label", { for: "archive" }, "Spec and code, as a .tar.gz with the spec at its top"), archive]),
  make("label", { for: "spec" }, alone() ? "Spec (paste it, or drop a file)" : "Or a spec that needs no code (paste it, or drop a file)"), spec,
  make("div", { class: "actions" }, make("button", { class: "primary" }, "Show the plan"))), plan);
}

// What the budget has for it: what is free, and why it would be refused now.
function room(tenant) {
  if (!tenant) return [];
  const free = `${money(tenant.free)} of ${money(tenant.budget)} are free in ${tenant.month}, and ${Math.max(0, tenant.max_concurrent - tenant.jobs)} of ${tenant.max_concurrent} jobs.`;
  return [make("p", {}, free), ...tenant.refusals.map((why) => make("p", { class: "failed" }, `It would be refused: ${why}`))];
}

// Who has done what

async function audit() {
  const day = make("input", { type: "date", id: "day", value: new Date().toISOString().slice(0, 10) });
  const place = make("div");
  const columns = [
    { title: "At (UTC)", cell: (row) => row.at },
    { title: "Token", cell: (row) => row.who || "none" },
    { title: "Tenant", cell: (row) => row.tenant },
    { title: "What", cell: (row) => row.what },
    { title: "From", cell: (row) => row.origin },
    { title: "Outcome", cell: (row) => row.outcome },
  ];
  const look = attempt(async () => {
    const { items } = await read(`/v1/audit?last=500&day=${encodeURIComponent(day.value)}`);
    place.replaceChildren(items.length ? grid(columns, items, "Audit log") : make("p", {}, "Nothing was changed or refused on that day."));
  });
  day.addEventListener("change", look);
  main.replaceChildren(make("h1", {}, "Audit log"), make("label", { for: "day" }, "Day, the newest first, 500 at most"), day, place);
  await look();
}

// Which view

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function every(milliseconds, work) {
  let going = true;
  leave = () => { going = false; };
  await work();
  (async () => {
    for (;;) {
      await pause(milliseconds);
      if (!going) return;
      if (!document.hidden) await work().then(() => say(""), (error) => say(error.message));
    }
  })();
}

async function view() {
  leave();
  leave = () => {};
  say("");
  const [, where = "", name = ""] = location.hash.replace(/^#/, "").split("/");
  document.title = name ? `${decodeURIComponent(name)} – trialjob` : "trialjob";
  main.replaceChildren(make("p", { class: "soft" }, "Loading …"));
  try {
    await greet();
    if (where === "e") await one(decodeURIComponent(name));
    else if (where === "new") await create();
    else if (where === "audit" && may.audit()) await audit();
    else await list();
  } catch (error) {
    if (error.status === 401) askForToken();
    else main.replaceChildren(make("h1", {}, "Nothing to show"));
    if (error.status !== 401 || localStorage.getItem(KEY)) say(error.message);
  }
}

window.addEventListener("hashchange", view);
view();
