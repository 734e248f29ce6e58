// A new experiment: its spec, what it would take and cost, and its start once nothing speaks against it.
"use strict";

async function create() {
  const spec = make("textarea", { id: "spec", spellcheck: "false", required: true });
  const folder = make("input", { id: "folder", size: "50", placeholder: "/home/me/project" });
  const archive = make("input", { id: "archive", type: "file", accept: ".tar.gz,.tgz" });
  const epochs = make("input", { id: "epochs", type: "number", min: "0.000001", step: "any" });
  const seconds = make("input", { id: "seconds", size: "8", placeholder: "90s" });
  const account = make("input", { id: "account", type: "checkbox" });
  const status = make("p", { class: "soft", role: "status" });
  const show = make("button", { class: "primary" }, "Show the plan");
  const place = make("div");
  const sent = () => archive.files[0];
  const asked = () => Object.fromEntries(Object.entries({ epochs: Number(epochs.value), epoch_seconds: seconds.value.trim() }).filter(([, value]) => value));
  const source = () => ({ spec: spec.value, folder: folder.value || null });
  let key = crypto.randomUUID(); // pressing the button twice starts it once

  const form = make("form", { onsubmit: attempt(plan), oninput: () => {
    key = crypto.randomUUID();
    spec.required = !sent();
    place.replaceChildren(); // what was planned is not what would be started
  } },
  ...(alone() ? [make("label", { for: "folder" }, "Folder that its paths are meant from"), folder]
    : [make("label", { for: "archive" }, "Spec and code, as a .tar.gz with the spec at its top"), archive]),
  make("label", { for: "spec" }, alone() ? "Spec (paste it, or drop a file)" : "Or a spec that needs no code (paste it, or drop a file)"), spec,
  make("div", { class: "actions" },
    labelled("epochs", "Epochs of a whole trial, if you know", epochs), labelled("seconds", "One epoch takes", seconds),
    ...(alone() ? [make("div", {}, account, " ", make("label", { for: "account", class: "beside" }, "Ask AWS for quotas and prices"))] : []), show), status);
  spec.addEventListener("dragover", (event) => event.preventDefault());
  spec.addEventListener("drop", async (event) => {
    event.preventDefault();
    const file = event.dataTransfer.files[0];
    if (!file) return;
    spec.value = await file.text();
    spec.dispatchEvent(new Event("input", { bubbles: true }));
  });
  main.replaceChildren(make("h1", {}, "New experiment"), form, place);

  async function plan() {
    show.disabled = true;
    write(status, "Planning …");
    const begun = key;
    try {
      const answer = await (sent() ? await post(`/v1/archives/plan?${new URLSearchParams(asked())}`, sent())
        : await post("/v1/plan", { ...source(), ...asked(), ...(account.checked ? { account: true } : {}) })).json();
      if (begun === key) shown(...planned(answer), ...(answer.tenant?.refusals.length ? [] : [startButton()]));
    } catch (error) {
      if (!error.problems) throw error;
      if (begun === key) shown(make("h2", {}, "It cannot be started"), problems(error.problems));
    } finally {
      show.disabled = false;
      write(status, "");
    }
  }

  function shown(title, ...parts) {
    place.replaceChildren(title, ...parts);
    title.tabIndex = -1;
    title.focus();
  }

  const startButton = () => make("button", { type: "button", id: "start", class: "primary", onclick: attempt(async () => {
    try { await start(false); } catch (error) {
      if (error.status !== 409 || !/max_cost/.test(error.message) || !confirm(clean(`${error.message}\n\nStart it all the same?`))) throw error;
      await start(true);
    }
  }) }, "Start it");

  async function start(accept) {
    const headers = { "idempotency-key": key };
    const answer = sent() ? await ask("/v1/archives", { method: "POST", headers, body: sent() })
      : await ask("/v1/experiments", { method: "POST", headers, body: { ...source(), accept_uncapped: accept } });
    location.hash = `#/e/${encodeURIComponent((await answer.json()).name)}`;
  }
}

// A plan as a person reads it: the title first.
function planned(plan) {
  const written = plan.variants.find((each) => each.written) || plan.variants[0];
  const unit = `${plan.resource}s`;
  const here = (text) => text.replace(/ \(--[^)]*\)/, "").replace(/^--.*/, "as written above"); // options are of a terminal
  const each = plan.epoch_seconds === null ? "how long one takes is not known" : `${span(plan.epoch_seconds)} each (${here(plan.epoch_seconds_from)})`;
  const count = plan.epochs === null ? "as many as the script makes" : `${number(plan.epochs)} (${here(plan.epochs_from)})`;
  const price = plan.price_per_hour === null ? "not known" : `${money(plan.price_per_hour)} an hour (${plan.price_source})`;
  const facts = { Search: plan.search, Stopping: plan.stopping, Machines: plan.machine, Metrics: plan.metrics,
    [`A whole trial's ${unit}`]: `${count}; ${each}`, Price: price, Request: here(plan.request),
    ...(plan.settings.length ? { Settings: `${plan.settings.join(", ")}, from the user's own file` } : {}) };
  return [make("h2", {}, `Plan of ${plan.name}`), ...room(plan.tenant),
    grid([
      { title: "", cell: (row) => make("strong", { class: "head" }, row[0]) },
      ...["Best guess", "At worst", "Range"].map((title, place) => ({ title, number: true, cell: (row) => row[place + 1] })),
    ], figuresOf(plan, written, unit), "What it would take"),
    ...(plan.price_per_hour === 0 || written.worst.capped ? [] : [make("p", { class: "failed" }, "Nothing bounds what it costs: limits.max_cost does.")]),
    ...(written.estimate ? [] : [make("p", { class: "soft" }, `How long it takes is not known: write above how many ${unit} a trial makes, and how long one takes.`)]),
    ...(plan.doubts.length ? [make("h3", {}, "Doubtful"), problems(plan.doubts)] : []),
    ...(plan.advice.length ? [make("h3", {}, "Advice"), make("ul", {}, ...plan.advice.map((text) => make("li", {}, text)))] : []),
    ...(plan.account.length ? [make("h3", {}, "The account"), checks(plan.account)] : []),
    make("h3", {}, "How"), make("dl", {}, ...Object.entries(facts).flatMap(([name, fact]) => [make("dt", {}, name), make("dd", {}, fact)])),
    ...(plan.variants.length > 1 && written.estimate ? [make("h3", {}, "Other ways to run it"), ways(plan.variants)] : []),
    ...(plan.not_asked.length ? [make("p", { class: "soft" }, `Not asked: ${plan.not_asked.map(here).join("; ")}.`)] : [])];
}

function figuresOf(plan, { estimate, worst }, unit) {
  const cells = ({ low, guess, high }, said, most) => [said(guess), most, said(low) === said(high) ? said(low) : `${said(low)} to ${said(high)}`];
  const guessed = (name, said, most = "–") => (estimate && estimate[name] ? cells(estimate[name], said, most) : ["?", most, "?"]);
  const whole = (value) => Math.round(value).toLocaleString("en");
  const hours = (value) => value.toFixed(1);
  const most = worst.dollars === null ? "?" : money(worst.dollars);
  return [
    ["Time", ...guessed("time", span)],
    ["Trials", ...guessed("trials", whole, whole(plan.max_trials))],
    ["… to the end", ...guessed("completed", whole, whole(plan.max_trials))],
    ["Jobs", ...guessed("jobs", whole, whole(worst.jobs))],
    [unit[0].toUpperCase() + unit.slice(1), ...guessed("epochs", whole)],
    ...(plan.price_per_hour === 0 ? [] : [
      ["Machine hours", ...guessed("instance_hours", hours, hours(worst.instance_hours))],
      ["Dollars", ...guessed("dollars", money, most)],
      ...(worst.dollars_with_retries === worst.dollars ? [] : [["… if the service fails jobs", "–", money(worst.dollars_with_retries), "–"]]),
    ]),
  ];
}

function ways(variants) {
  return grid([
    { title: "Way", cell: (row) => row.name },
    { title: "Time", number: true, cell: (row) => (row.estimate ? span(row.estimate.time.guess) : "?") },
    { title: "Dollars", number: true, cell: (row) => dollars(row.estimate?.dollars?.guess) },
    { title: "How", cell: (row) => (row.written ? "as written" : row.how) },
  ], variants, "Other ways to run it");
}

// By field, as a list, which a phone has room for.
const problems = (items) => listed(items.map(({ field, message, remedy }) => [make("code", {}, field || "the spec"), message, remedy]));
const checks = (items) => listed(items.map(({ name, ok, detail, remedy }) =>
  [make("strong", { class: ok === false && "failed" }, `${name}: ${{ true: "as it should be", false: "wrong", null: "not known" }[ok]}`), detail, remedy]));
const listed = (items) => make("ul", {}, ...items.map(([head, text, remedy]) => make("li", { class: "refusal" }, head, ` ${text}`, remedy && `\n→ ${remedy}`)));

// What the budget has for it: what is free, and why it would be refused now.
function room(tenant) {
  if (!tenant) return [];
  const free = `${money(tenant.free)} of ${money(tenant.budget)} are free in ${tenant.month}, and ${Math.max(0, tenant.max_concurrent - tenant.jobs)} of ${tenant.max_concurrent} jobs.`;
  return [make("p", {}, free), ...tenant.refusals.map((why) => make("p", { class: "failed refusal" }, `It would be refused: ${why}`))];
}
