// One experiment, as it goes on: what it has come to, its figures, its trials, and the log of one of them.
"use strict";

const LOG_PARTS = 20; // pieces of a log on the page, the newest; each has at most a megabyte
const TRIALS = 100; // on the page at once
const LOOK = 10000; // between two looks at what no record tells of: who runs it, and why nobody does
const OVER = ["finished", "failed", "stopped", "moved"];

async function one(name) {
  const stopped = new AbortController();
  leave = () => stopped.abort();
  const row = await read(experiment(name));
  const cards = make("div", { class: "cards" });
  const ended = make("p", { role: "status" });
  const trouble = make("p", { class: "failed", role: "status" });
  const figures = liveFigures(name, stopped.signal);
  const trial = oneTrial(name, stopped.signal);
  const trials = trialTable(name, trial.show);
  if (stopped.signal.aborted) return; // another view is shown by now
  const steer = steering(name, () => refresh());
  main.replaceChildren(make("h1", {}, name), trouble, ended, cards, steer.element, figures.element,
    make("h2", {}, "Trials"), trials.element, trial.element, steer.report);

  let over = OVER.includes(row.state);
  async function look() {
    const now = await read(experiment(name));
    over = OVER.includes(now.state);
    show(now);
    await trials.look(now);
  }

  function show(now) {
    write(trouble, now.trouble);
    write(ended, now.detail);
    ended.className = now.state === "failed" ? "failed" : "soft"; // that it ended by its limits or its rule is no fault
    const facts = [
      ["State", now.state + (now.reason ? ` (${now.reason})` : "")],
      ["Best", now.best ? `${number(now.best.score)} (trial ${now.best.trial})` : "–"],
      ["Trials", `${Object.values(now.counts).reduce((a, b) => a + b, 0)} of ${now.max_trials}`],
      ["Spent", now.costs.dollars === null ? "unknown" : dollars(now.costs.dollars)],
      ["Committed", now.costs.dollars === null ? "unknown" : dollars(now.costs.committed_dollars)],
      ["Run by", now.run_by || "no process"],
      ["Changed", ago(now.updated_at)],
    ];
    facts.forEach(([title, fact], place) => {
      const live = title === "Changed" ? {} : { "aria-live": "polite", "aria-atomic": "true" };
      if (!cards.children[place]) cards.append(make("div", { class: "card", ...live }, make("span", {}, title), make("strong")));
      write(cards.children[place].lastChild, fact);
    });
    steer.show(now);
    figures.changed(now.version);
  }

  const refresh = paced(look, stopped.signal);
  show(row);
  await trials.look(row);
  (async () => {
    while (!stopped.signal.aborted) {
      await pause(LOOK);
      if (!over && !document.hidden) refresh();
    }
  })();
  listen(`${experiment(name)}/events`, row.version, stopped.signal, (events) => {
    figures.changed(Number(events.at(-1).id));
    refresh();
  });
}

// Does `work` at once, and again when it was asked for meanwhile, with pauses that grow with what it takes.
function paced(work, signal) {
  let going = false;
  let again = false;
  return async () => {
    again = true;
    if (going) return;
    going = true;
    while (again && !signal.aborted) {
      again = false;
      const began = Date.now();
      await work().catch((error) => say(error.message));
      await pause(Math.max(250, 4 * (Date.now() - began)));
    }
    going = false;
  };
}

// What can be done with it

function steering(name, done) {
  const report = make("div");
  const fields = {
    max_trials: make("input", { type: "number", min: "1", id: "max_trials" }),
    max_cost: make("input", { type: "number", min: "0.01", step: "0.01", id: "max_cost" }),
  };
  const cost = make("p", { class: "soft", id: "cost", role: "status" });
  const asked = () => Object.fromEntries(Object.entries(fields).filter(([, field]) => field.value).map(([key, field]) => [key, Number(field.value)]));
  const labels = { max_trials: "max_trials, all in all", max_cost: "max_cost, in dollars" };
  const act = (work) => attempt(async () => { await work(); done(); });
  const buttons = {
    stop: make("button", { class: "danger", onclick: act(async () => {
      if (confirm(`Stop ${name}? Its running jobs are ended; results are kept.`)) await post(`${experiment(name)}/stop`);
    }) }, "Stop"),
    resume: make("button", { "aria-describedby": "cost", onclick: act(() => post(`${experiment(name)}/resume`)) }, "Resume here"),
    report: make("button", { onclick: attempt(async () => {
      const { path } = await (await post(`${experiment(name)}/report-tickets`)).json();
      const title = make("h2", { tabindex: "-1" }, "Report");
      report.replaceChildren(title, make("iframe", { src: path, title: `Report of ${name}`, sandbox: "allow-scripts allow-downloads allow-popups" }));
      report.scrollIntoView();
      title.focus({ preventScroll: true });
    }) }, "Show the report"),
  };
  const change = make("button", { "aria-describedby": "cost" }, "Change the limits");
  const raise = make("form", { class: "actions", onsubmit: act(async () => {
    await ask(`${experiment(name)}/limits`, { method: "PATCH", body: asked() });
    for (const field of Object.values(fields)) field.value = "";
    known = "";
  }) }, ...Object.entries(fields).map(([key, field]) => labelled(key, labels[key], field)), change);
  let known = "";

  // What it will cost, said before it is asked for: as it is, or with the limits that are written down.
  async function tell(version) {
    change.disabled = !Object.keys(asked()).length;
    const body = asked();
    const key = JSON.stringify([version, body]);
    if (key === known) return;
    known = key;
    const answer = await read(`${experiment(name)}/limits/cost?${new URLSearchParams(body)}`);
    if (key === known) cost.replaceChildren(...costs(answer, Object.keys(body).length > 0));
  }
  let seen = 0;
  const later = () => tell(seen).catch((error) => write(cost, error.message));
  for (const field of Object.values(fields)) field.addEventListener("input", later);
  const show = (now) => {
    const over = OVER.includes(now.state);
    buttons.stop.hidden = over || !may.change();
    raise.hidden = !may.change();
    seen = now.version;
    if (may.change()) later();
    buttons.resume.hidden = !may.change() || now.state === "moved" || (!over && Boolean(now.run_by));
  };
  return { element: make("div", {}, make("div", { class: "actions" }, ...Object.values(buttons)), raise, cost), report, show };
}

// What limits would cost, in words.
function costs(answer, other) {
  const begin = other ? "With these limits" : "As it is";
  const trials = `${answer.trials} ${answer.trials === 1 ? "trial" : "trials"}`;
  const said = !answer.trials ? `${begin}, no further trial may run.`
    : answer.more === null ? `${begin}, ${trials} may still run; their jobs have no price here.`
    : !answer.at_most ? `${begin}, ${trials} may still run; they cost nothing.`
    : `${begin}, ${trials} may still run, for ${money(answer.more)} at most: ${money(answer.at_most)} in all, of which ${money(answer.committed)} are committed.`;
  return [said, ...(answer.tenant ? [` ${money(answer.tenant.free)} of ${money(answer.tenant.budget)} are free in ${answer.tenant.month}.`,
    ...answer.tenant.refusals.map((why) => make("span", { class: "failed refusal" }, `It would be refused: ${why}`))] : [])];
}

// Its trials, a hundred at once

function trialTable(name, show) {
  const place = make("div");
  const where = make("span", { class: "soft", role: "status" });
  const order = make("select", { id: "order" }, ...[["newest", "newest first"], ["best", "best first"], ["oldest", "oldest first"]].map(([value, text]) => make("option", { value }, text)));
  const status = make("select", { id: "status" }, make("option", { value: "" }, "all"));
  const back = make("button", { type: "button", onclick: attempt(() => turn(-1)) }, "← back");
  const on = make("button", { type: "button", onclick: attempt(() => turn(1)) }, "on →");
  let page = 0;
  let before = "";
  for (const each of [order, status]) each.addEventListener("change", attempt(() => turn(-page)));

  async function turn(pages) {
    page += pages;
    await fill();
  }

  async function look(now) {
    const states = ["", ...Object.keys(now.counts)];
    if (states.join() !== [...status.options].map((option) => option.value).join()) {
      const chosen = status.value;
      status.replaceChildren(...states.map((each) => make("option", { value: each, selected: each === chosen }, each.replaceAll("_", " ") || "all")));
    }
    await fill();
  }

  async function fill() {
    const asked = new URLSearchParams({ order: order.value, skip: page * TRIALS, limit: TRIALS, ...(status.value ? { status: status.value } : {}) });
    const text = await (await ask(`${experiment(name)}/trials?${asked}`)).text();
    if (text === before) return;
    before = text;
    const { items, total } = JSON.parse(text);
    const pages = Math.max(1, Math.ceil(total / TRIALS));
    if (page >= pages) {
      page = pages - 1;
      await fill();
      return;
    }
    write(where, `${total} ${total === 1 ? "trial" : "trials"}, page ${page + 1} of ${pages}`);
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
    const none = total || status.value ? "None." : "None has been started yet.";
    inPlace(place, items.length ? rows(items) : make("p", { class: "soft" }, none));
  }

  function rows(items) {
    const names = [...new Set(items.flatMap((row) => Object.keys(row.config)))];
    const having = (column, any) => (items.some(any) ? [column] : []);
    return grid([
      { title: "Trial", number: true, cell: (row) => make("button", { id: `trial-${row.trial}`, onclick: attempt(() => show(row)), "aria-label": `Trial ${row.trial}: its log` }, row.trial) },
      { title: "State", cell: (row) => state(row.status) },
      { title: "Score", number: true, cell: (row) => number(row.score) },
      ...names.map((each) => ({ title: each, cell: (row) => (each in row.config ? number(row.config[each]) : "") })),
      ...having({ title: "Dollars", number: true, cell: (row) => dollars(row.dollars) }, (row) => row.dollars),
      ...having({ title: "Look", cell: (row) => make("span", {}, ...links(row, true)) }, (row) => row.links),
      ...having({ title: "Why", cell: (row) => make("span", { class: "why", title: row.reason }, brief(row.reason)) }, (row) => row.reason),
    ], items, "Trials");
  }

  const bar = make("div", { class: "actions" }, make("div", {}, make("label", { for: "order" }, "Order"), order), make("div", {}, make("label", { for: "status" }, "State"), status), back, on, where);
  return { element: make("div", {}, bar, place), look };
}

// Where a person can look at a trial's newest job: its console and its logs. Other addresses become no links.
function links(row, inTable = false) {
  return Object.entries(row.links || {}).filter(([, address]) => /^https?:\/\//.test(address)).flatMap(([what, address]) =>
    [make("a", { id: inTable && `${what}-${row.trial}`, href: address, target: "_blank", rel: "noopener noreferrer", "aria-label": `${what} of trial ${row.trial}` }, what), " "]);
}

// One trial: what it was given, where to look at it, and its log as it grows

function oneTrial(name, signal) {
  const element = make("div");
  let shown = new AbortController();
  signal.addEventListener("abort", () => shown.abort());

  function show(row) {
    const lines = make("pre", { tabindex: "0", role: "log", "aria-label": `Log of trial ${row.trial}` });
    const status = make("p", { class: "soft", role: "status" });
    const attempts = make("select", { id: "attempt", onchange: () => follow(Number(attempts.value)) },
      ...Array.from({ length: row.attempts }, (_, place) => make("option", { value: place + 1, selected: place + 1 === row.attempts }, place + 1)));
    const title = make("h2", { tabindex: "-1" }, `Trial ${row.trial}`);
    const config = Object.entries(row.config).flatMap(([key, value]) => [make("dt", {}, brief(key)), make("dd", {}, brief(number(value), 2000))]);
    const why = row.reason ? [make("dt", {}, "why"), make("dd", { class: "log" }, brief(row.reason, 2000))] : [];
    element.replaceChildren(title, make("p", {}, state(row.status)), make("dl", {}, ...config, ...why), make("p", {}, ...links(row)),
      ...(row.attempts > 1 ? [make("label", { for: "attempt" }, "Attempt"), attempts] : []), status, lines);
    title.focus();

    function follow(attempt) {
      shown.abort();
      shown = new AbortController();
      lines.replaceChildren();
      status.textContent = row.attempts ? "Live: new lines come as they are printed." : "It has not been started yet, and has no log.";
      if (row.attempts) listen(`${experiment(name)}/trials/${row.trial}/logs?attempt=${attempt}`, "", shown.signal, heard);
    }

    function heard(events) {
      const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40; // who reads further up is left there
      for (const { kind, data } of events) {
        if (kind === "end") status.textContent = `Attempt ${JSON.parse(data).attempt} has ended.`;
        else lines.append(JSON.parse(data).lines.map((line) => cleanLog(line.text) + "\n").join(""));
      }
      while (lines.childNodes.length > LOG_PARTS) lines.firstChild.remove();
      if (atEnd) lines.scrollTop = lines.scrollHeight;
      return events.some(({ kind }) => kind === "end");
    }

    follow(row.attempts);
  }
  return { element, show };
}
