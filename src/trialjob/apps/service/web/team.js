// Tenants and tokens, for admins.
"use strict";

const ROLES = { read: "look", submit: "start and stop", manage: "also remove, and read who did what" };

async function team() {
  const made = make("div");
  const tenants = make("div");
  const tokens = make("div");
  const tenantForm = make("div");
  const tokenForm = make("div");
  const all = make("input", { type: "checkbox", id: "all", onchange: attempt(() => fill()) });
  main.replaceChildren(make("h1", {}, "Team"), make("h2", {}, "Tenants"), tenants, tenantForm,
    make("h2", {}, "Tokens"), make("p", {}, all, " ", make("label", { for: "all", class: "beside" }, "Also those that open nothing any more")), tokens, made, tokenForm);

  async function fill() {
    const [{ items: groups }, { items: known }] = await Promise.all([read("/v1/tenants"), read("/v1/tokens")]);
    const rights = [...new Set(groups.flatMap((row) => row.allow))].sort();
    inPlace(tenants, groups.length ? tenantTable(groups, (row) => changes(row, rights)) : make("p", {}, "None yet."));
    const shown = known.filter((row) => all.checked || row.state === "valid");
    inPlace(tokens, tokenTable(shown, revoke));
    if (!tenantForm.children.length) changes(null, rights);
    askFor(groups.map((row) => row.name));
  }

  // A form for a new tenant, or for one that there is.
  function changes(row, rights) {
    const name = make("input", { id: "tenant", required: true, maxlength: "16", pattern: "[a-z][a-z0-9]*", autocomplete: "off", title: "small letters and digits, a letter first" });
    const budget = make("input", { id: "budget", type: "number", min: "0", step: "0.01", required: true, value: row ? row.budget : "" });
    const jobs = make("input", { id: "jobs", type: "number", min: "1", required: true, value: row ? row.max_concurrent : 8 });
    const boxes = rights.map((right, place) => [right, make("input", { type: "checkbox", id: `right-${place}`, checked: Boolean(row) && row.allow.includes(right) })]);
    const title = make("h3", { tabindex: "-1" }, row ? `Change ${row.name}` : "Add a tenant");
    tenantForm.replaceChildren(make("form", { onsubmit: attempt(async () => {
      const body = { budget: Number(budget.value), max_concurrent: Number(jobs.value), allow: boxes.filter(([, box]) => box.checked).map(([right]) => right) };
      if (row) await ask(`/v1/tenants/${encodeURIComponent(row.name)}`, { method: "PATCH", body });
      else await post("/v1/tenants", { ...body, name: name.value });
      tenantForm.replaceChildren();
      await fill();
      tenantForm.querySelector("h3").focus();
    }) }, title, make("div", { class: "actions" }, ...(row ? [] : [labelled("tenant", "Name", name)]),
      labelled("budget", "Dollars a month", budget), labelled("jobs", "Jobs at once", jobs)),
    make("fieldset", {}, make("legend", {}, "Its specs may ask for"), ...boxes.map(([right, box]) => make("p", {}, box, " ", make("label", { for: box.id, class: "beside" }, right))),
      make("p", { class: "soft" }, "What no tenant may yet is allowed where the store is: ", make("code", {}, "trialjob tenant set NAME --allow FIELD=PATTERN"), ".")),
    make("div", { class: "actions" }, make("button", { class: "primary" }, row ? "Change it" : "Add it"),
      row && make("button", { type: "button", onclick: () => changes(null, rights) }, "Leave it"))));
    if (row) title.focus();
  }

  function askFor(names) {
    if (tokenForm.dataset.names === names.join()) return; // what is written in it stays
    tokenForm.dataset.names = names.join();
    if (!names.length) {
      tokenForm.replaceChildren();
      return;
    }
    const tenant = make("select", { id: "of" }, ...names.map((name) => make("option", {}, name)));
    const role = make("select", { id: "role" }, ...Object.entries(ROLES).map(([word, what]) => make("option", { value: word, selected: word === "submit" }, `${word}: ${what}`)));
    const expires = make("input", { id: "expires", value: "90d", size: "6", required: true });
    const note = make("input", { id: "note", maxlength: "200" });
    tokenForm.replaceChildren(make("form", { onsubmit: attempt(async () => {
      const answer = await (await post("/v1/tokens", { tenant: tenant.value, role: role.value, expires: expires.value, note: note.value })).json();
      note.value = "";
      once(answer);
      await fill();
    }) }, make("h3", {}, "Let a user in"), make("div", { class: "actions" }, labelled("of", "Tenant", tenant), labelled("role", "Role", role),
      labelled("expires", "Good for", expires), labelled("note", "Whose it is, or what for", note), make("button", { class: "primary" }, "Make a token")),
    make("p", { class: "soft" }, "An admin's is made where the store is: ", make("code", {}, "trialjob token create --role admin"), ".")));
  }

  // What is shown here is not seen again.
  function once({ token, id, tenant, role }) {
    const text = make("input", { id: "made", readonly: true, value: token, size: "60", onfocus: () => text.select() });
    made.replaceChildren(make("div", { class: "card" }, labelled("made", `Token ${id}, of ${tenant} (${role}): copy it now, it is not shown again`, text),
      make("div", { class: "actions" },
        navigator.clipboard && make("button", { type: "button", onclick: attempt(() => navigator.clipboard.writeText(token)) }, "Copy"),
        make("button", { type: "button", onclick: () => made.replaceChildren() }, "Done")),
      make("p", { class: "soft" }, "It is for ", make("code", {}, `trialjob login ${location.origin}`), ", or for this page.")));
    text.focus();
  }

  const revoke = (row) => attempt(async () => {
    const whose = row.id === me.id ? "your own" : `${row.tenant || "an admin"}'s`;
    if (!confirm(clean(`Revoke ${whose} token ${row.id}${row.note ? ` (${row.note})` : ""}? It opens nothing any more, and cannot be given back.`))) return;
    await ask(`/v1/tokens/${row.id}`, { method: "DELETE" });
    await fill();
    tokens.firstChild.focus();
  });

  await fill();
}

// What is pressed stands near the name, where a phone shows it.
const tenantTable = (rows, change) => grid([
  BUDGET[0],
  { title: "Change", cell: (row) => make("button", { type: "button", id: `change-${row.name}`, "aria-label": `Change ${row.name}`, onclick: () => change(row) }, "Change") },
  ...BUDGET.slice(1),
], rows, "Tenants");

const tokenTable = (rows, revoke) => grid([
  { title: "Token", cell: (row) => make("code", {}, row.id) },
  { title: "Revoke", cell: (row) => (row.state === "valid" ? make("button", { type: "button", id: `revoke-${row.id}`, class: "danger", "aria-label": `Revoke token ${row.id}`, onclick: revoke(row) }, "Revoke") : "") },
  { title: "Tenant", cell: (row) => row.tenant || "all" },
  { title: "Role", cell: (row) => row.role },
  { title: "Note", cell: (row) => make("span", { class: "cell" }, brief(row.note)) },
  { title: "Until", cell: (row) => (row.state === "revoked" ? "revoked" : row.expires_at === null ? "no end" : `${row.state === "expired" ? "expired " : ""}${row.expires_at.slice(0, 10)}`) },
], rows, "Tokens");
