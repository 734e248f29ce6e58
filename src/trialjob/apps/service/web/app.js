// Which view of the page is shown; every experiment, and who has done what.
"use strict";

// Every experiment

const SHOWN = 100; // at once
const STATES = ["running", "ending", "finished", "failed", "stopped", "moved", "unreadable"];

async function list() {
  const place = make("div");
  const bar = make("div", { class: "actions" });
  const count = make("p", { class: "soft", role: "status" });
  main.replaceChildren(make("h1", {}, "Experiments"), count, bar, place);
  const chosen = new Set();
  const compare = make("button", { type: "button", disabled: true, onclick: () => { location.hash = `#/compare/${[...chosen].map(encodeURIComponent).join("/")}`; } }, "Compare");
  const tick = (name) => make("input", { type: "checkbox", id: `c-${name}`, checked: chosen.has(name), "aria-label": `Compare ${name}`, onchange: (event) => {
    chosen[event.target.checked ? "add" : "delete"](name);
    compare.disabled = chosen.size < 2;
  } });
  const columns = [
    { title: "Compare", cell: (row) => tick(row.name) },
    { title: "Name", cell: (row) => make("a", { id: `e-${row.name}`, href: `#/e/${encodeURIComponent(row.name)}` }, row.name) },
    { title: "State", cell: (row) => (row.state === "unreadable" ? make("span", { class: "wrong" }, state(row.state), `: ${row.detail}`) : state(row.state)) },
    { title: "Best", number: true, cell: (row) => (row.metric === undefined ? "" : `${brief(row.metric)} ${number(row.best)}`) },
    { title: "Trials", number: true, cell: (row) => (row.trials === undefined ? "" : `${row.ended} of ${row.max_trials}`) },
    { title: "Running", number: true, cell: (row) => number(row.running) },
    { title: "Spent", number: true, cell: (row) => dollars(row.dollars) },
    { title: "Committed", number: true, cell: (row) => dollars(row.committed_dollars) },
    { title: "Changed", cell: (row) => (row.updated_at ? ago(row.updated_at) : "") },
  ];
  bar.append(compare, make("span", { class: "soft" }, "two or more, by the boxes in front"));
  let page = 0;
  const containing = make("input", { id: "containing", type: "search", autocomplete: "off", oninput: attempt(() => turn(-page)) });
  const which = make("select", { id: "which", onchange: attempt(() => turn(-page)) }, make("option", { value: "" }, "all"), ...STATES.map((each) => make("option", { value: each }, each)));
  const back = make("button", { type: "button", onclick: attempt(() => turn(-1)) }, "← back");
  const on = make("button", { type: "button", onclick: attempt(() => turn(1)) }, "on →");
  const filter = make("div", { class: "actions" }, labelled("containing", "Name contains", containing), labelled("which", "State", which), back, on);
  count.after(filter);

  async function turn(pages) {
    page = Math.max(0, page + pages);
    await fill();
  }

  async function fill() {
    const asked = { order: "newest", skip: page * SHOWN, limit: SHOWN, containing: containing.value, ...(which.value ? { state: which.value } : {}) };
    const query = String(new URLSearchParams(asked));
    newest = query;
    const { items, total, running } = await read(`/v1/experiments?${query}`);
    if (query !== newest) return; // something else is looked for by now
    if (!items.length && page) {
      await turn(-1);
      return;
    }
    const all = !containing.value && !which.value;
    bar.hidden = items.length + chosen.size < 2;
    filter.hidden = all && total < 2;
    back.hidden = on.hidden = total <= SHOWN;
    back.disabled = !page;
    on.disabled = (page + 1) * SHOWN >= total;
    count.hidden = all && !total;
    const where = total > SHOWN ? `, page ${page + 1} of ${Math.ceil(total / SHOWN)}, what changed last first` : "";
    write(count, `${total} ${all ? "in all" : "found"}, ${running} running${where}`);
    const none = all ? nothingYet() : [make("p", {}, "None is like that.")];
    inPlace(place, ...(items.length ? [grid(columns, items, "Experiments")] : none), ...await budgets());
  }

  let newest = "";
  await every(4000, fill);
}

// What is to be done where there is nothing yet.
function nothingYet() {
  const command = make("code", {}, `trialjob run sweep.yaml --store ${location.origin}`);
  if (alone()) return [make("p", {}, "No experiment yet. ", make("a", { id: "first", href: "#/new" }, "Start one here"), ", or from a terminal: ", make("code", {}, "trialjob run sweep.yaml"), ". ", make("code", {}, "trialjob init train.py"), " writes a first spec for a script.")];
  if (may.start()) return [make("p", {}, "No experiment yet. ", make("a", { id: "first", href: "#/new" }, "Start one here"), ", or from a terminal, after ", make("code", {}, `trialjob login ${location.origin}`), ": ", command, ".")];
  return [make("p", {}, "No experiment yet. Start one with a token of the role submit: ", command, ".")];
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
    inPlace(place, items.length ? grid(columns, items, "Audit log") : make("p", {}, "Nothing was changed or refused on that day."));
  });
  day.addEventListener("change", look);
  main.replaceChildren(make("h1", {}, "Audit log"), make("label", { for: "day" }, "Day, the newest first, 500 at most"), day, place);
  await look();
}

// Which view

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
  const [, where = "", name = "", ...others] = location.hash.replace(/^#/, "").split("/");
  const shown = name ? [name, ...others].map(decodeURIComponent).join(", ") : { new: "New experiment", audit: "Audit log", team: "Team" }[where];
  document.title = shown ? `${brief(clean(shown))} – trialjob` : "trialjob";
  main.replaceChildren(make("p", { class: "soft" }, "Loading …"));
  try {
    await greet();
    if (where === "e") await one(decodeURIComponent(name));
    else if (where === "compare") await compareAll([name, ...others].map(decodeURIComponent));
    else if (where === "new") await create();
    else if (where === "team" && may.manage()) await team();
    else if (where === "audit" && may.audit()) await audit();
    else await list();
  } catch (error) {
    if (error.status === 401) askForToken();
    else main.replaceChildren(make("h1", {}, "Nothing to show"));
    if (error.status !== 401 || localStorage.getItem(KEY)) say(error.message);
  }
}

window.addEventListener("hashchange", () => {
  main.focus({ preventScroll: true }); // what was focused is gone
  view();
});
view();
