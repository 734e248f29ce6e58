// Experiments side by side, as `trialjob compare` has them.
"use strict";

async function compareAll(names) {
  const place = make("div");
  main.replaceChildren(make("h1", {}, "Compared"), place);
  const asked = new URLSearchParams(names.map((name) => ["name", name]));
  let before = "";
  await every(4000, async () => {
    const text = await (await ask(`/v1/compare?${asked}`)).text();
    if (text === before) return;
    before = text;
    const { experiments, outcome, differing } = JSON.parse(text);
    const table = (lines, caption) => grid([{ title: "", cell: (line) => make("strong", { class: "cell" }, brief(line.head)) }, ...experiments.map((name, number) => ({
      title: make("a", { id: `${name} of ${caption}`.replaceAll(" ", "-"), href: `#/e/${encodeURIComponent(name)}` }, name), cell: (line) => make("span", { class: "cell" }, brief(line.cells[number])) }))], lines, caption);
    const same = make("p", {}, "Their specs are the same.");
    inPlace(place, table(outcome, "What came out"), make("h2", {}, "What differs in their specs"),
      differing.length ? table(differing, "What differs in their specs") : same);
  });
}
