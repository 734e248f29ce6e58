/* Draws what the page around it sends: which figures there are, and each again as it changes. It says which are in
   view and how tall it is, and asks for nothing itself. What a reader has zoomed, hidden or picked out is left so. */
(() => {
  const main = document.querySelector("main");
  const figures = new Map();
  const inView = new Set();
  const waiting = new Set(); // drawn when the reader lets go
  let held = false;
  const tell = (message) => parent.postMessage(message, "*");

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function add({ id, title }) {
    const words = element("p", { id: `${id}-words` });
    const choice = document.createTextNode("");
    const select = element("select", {});
    const label = element("label", {}, choice, select);
    const place = element("div", { class: "plot waits", id });
    const section = element("section", { id: `${id}-section` }, element("h2", { id: `${id}-title` }, title), words, label,
      element("figure", { "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-words` }, place));
    const figure = { id, words, choice, select, label, place, variants: [] };
    label.hidden = true;
    select.addEventListener("change", () => draw(figure));
    figures.set(id, figure);
    main.append(section);
    seen.observe(section);
  }

  function take({ id, words, choice, variants }) {
    const figure = figures.get(id);
    if (!figure) return;
    const names = variants.map(([name]) => name);
    if (JSON.stringify(names) !== JSON.stringify([...figure.select.options].map((option) => option.value))) {
      const before = figure.select.value;
      figure.select.replaceChildren(...names.map((name) => new Option(name)));
      figure.select.selectedIndex = Math.max(0, names.indexOf(before));
    }
    figure.words.textContent = words;
    figure.choice.data = `${choice} `;
    figure.label.hidden = names.length < 2;
    figure.variants = variants;
    figure.place.classList.remove("waits");
    draw(figure);
  }

  function draw(figure) {
    if (held) {
      waiting.add(figure);
      return;
    }
    const [name, told] = figure.variants[figure.select.selectedIndex] || ["", null];
    figure.place.hidden = !told;
    if (!told) return;
    const { data, layout } = structuredClone(told);
    data.forEach((trace, number) => { trace.uid = (trace.name || `${number}`).split(":")[0]; });
    carry((figure.place.data || [])[0], data[0]);
    drawFigure(figure.place, { data, layout: { ...layout, uirevision: name || figure.id } });
  }

  // Axes of parallel coordinates stay where they are, and what is picked out on them.
  function carry(before, trace) {
    if (before?.type !== "parcoords" || trace?.type !== "parcoords") return;
    const names = before.dimensions.map((each) => each.label);
    const place = (each) => (names.includes(each.label) ? names.indexOf(each.label) : names.length);
    trace.dimensions.sort((a, b) => place(a) - place(b));
    for (const each of trace.dimensions) {
      const picked = before.dimensions[names.indexOf(each.label)]?.constraintrange;
      if (picked) each.constraintrange = structuredClone(picked);
    }
  }

  // A redraw would break off a drag.
  const letGo = () => setTimeout(() => {
    held = false;
    for (const figure of waiting) draw(figure);
    waiting.clear();
  }, 100);
  addEventListener("pointerdown", () => { held = true; }, true);
  for (const kind of ["pointerup", "pointercancel", "blur"]) addEventListener(kind, letGo, true);

  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const id = target.id.replace(/-section$/, "");
      if (isIntersecting) inView.add(id); else inView.delete(id);
    }
    tell({ inView: [...inView] });
  });
  new ResizeObserver(() => tell({ height: Math.ceil(document.documentElement.getBoundingClientRect().height) }))
    .observe(document.documentElement);
  inTheDark.addEventListener("change", () => { for (const figure of figures.values()) draw(figure); });
  addEventListener("message", (event) => {
    if (event.source !== parent) return;
    for (const each of event.data.figures || []) if (!figures.has(each.id)) add(each);
    if (event.data.figure) take(event.data.figure);
  });
  tell({ ready: true });
})();
