/* Draws the figures when they come into view, and lists the trials. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const store = {
    get(key) { try { return sessionStorage.getItem(data.name + key); } catch { return null; } },
    set(key, value) { try { sessionStorage.setItem(data.name + key, value); } catch { /* not kept, then */ } },
  };

  // Figures

  const chosen = (figure) => {
    const select = document.getElementById(figure.id + "-choice");
    return figure.variants[select ? select.selectedIndex : 0][1];
  };

  function draw(figure) {
    figure.drawn = true;
    drawFigure(document.getElementById(figure.id), chosen(figure));
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const figure = data.figures.find((each) => each.id === entry.target.id);
      if (entry.isIntersecting && !figure.drawn) draw(figure);
    }
  }, { rootMargin: "300px" });

  for (const figure of data.figures) {
    const select = document.getElementById(figure.id + "-choice");
    if (select) {
      const before = Number(store.get(figure.id));
      if (before < select.length) select.selectedIndex = before;
      select.addEventListener("change", () => { store.set(figure.id, select.selectedIndex); draw(figure); });
    }
    seen.observe(document.getElementById(figure.id));
  }
  const redraw = (all) => { for (const figure of data.figures) if (all || figure.drawn) draw(figure); };
  inTheDark.addEventListener("change", () => redraw(false));
  addEventListener("beforeprint", () => redraw(true));

  // The table

  const PAGE = 100;
  const { columns, rows, best } = data.table;
  const table = document.querySelector("#trials table");
  const filter = document.getElementById("filter");
  const status = document.getElementById("status");
  let order = Number(store.get("order") ?? columns.findIndex((each) => each.key === "score"));
  let down = (store.get("down") ?? String(data.table.down)) === "true";
  let page = 0;

  const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 6, useGrouping: false });
  const shown = (value) => value === null ? "–" : typeof value === "object" ? Object.keys(value).join(" ") : typeof value === "number"
    ? (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3) ? value.toExponential(4).replace(/\.?0+e/, "e") : number.format(value))
    : String(value);

  const lasted = (value) => {
    if (value === null) return "–";
    const whole = Math.round(value);
    const [size, big, part, small] = whole >= 3600 ? [3600, "h", 60, "m"] : [60, "m", 1, "s"];
    return whole < 60 ? `${whole}s` : `${Math.floor(whole / size)}${big} ${String(Math.floor(whole % size / part)).padStart(2, "0")}${small}`;
  };
  const priced = (value) => value === null ? "–" : `$${value.toFixed(value < 1 ? 4 : 2)}`;

  function compare(a, b) {
    const x = a[order], y = b[order];
    if (x === null || y === null) return (x === null) - (y === null) || a[0] - b[0];
    const by = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return (down ? -by : by) || a[0] - b[0];
  }

  function list() {
    const wanted = filter.value.toLowerCase();
    const found = rows.filter((row) => (!status.value || row[1] === status.value)
      && (!wanted || row.some((value) => value !== null && shown(value).toLowerCase().includes(wanted))));
    found.sort(compare);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const body = document.createElement("tbody");
    for (const row of found.slice(page * PAGE, (page + 1) * PAGE)) {
      const line = body.insertRow();
      if (row[0] === best) line.className = "best";
      if (row[1] === "failed" || row[1] === "metrics unavailable") line.className += " bad";
      row.forEach((value, place) => {
        const cell = line.insertCell();
        const text = columns[place].key === "seconds" ? lasted(value) : columns[place].key.startsWith("dollars") ? priced(value) : shown(value);
        if (columns[place].key === "reason" && value !== null) {
          // Two lines of it; a click or Enter shows the rest.
          const words = document.createElement("div");
          words.className = "words";
          words.textContent = words.title = text;
          words.tabIndex = 0;
          words.setAttribute("role", "button");
          const toggle = () => words.classList.toggle("words");
          words.addEventListener("click", toggle);
          words.addEventListener("keydown", (event) => { if (event.key === "Enter") toggle(); });
          cell.append(words);
        } else if (columns[place].key === "links" && value !== null) {
          for (const [name, address] of Object.entries(value)) {
            const link = document.createElement("a");
            if (/^https?:/.test(address)) link.href = address; // what a backend names may be anything
            link.textContent = name;
            link.rel = "noopener";
            cell.append(link, " ");
          }
        } else cell.textContent = text;
        cell.className = columns[place].number ? "number" : "text";
        if (place === 1) cell.className = "status";
        if (columns[place].key === "more") cell.classList.add("more");
      });
    }
    table.tBodies[0].replaceWith(body);
    [...table.tHead.rows[0].cells].forEach((cell, place) => {
      cell.setAttribute("aria-sort", place !== order ? "none" : down ? "descending" : "ascending");
      cell.querySelector("span").textContent = place !== order ? "" : down ? " ▼" : " ▲";
    });
    document.getElementById("where").textContent =
      `${found.length} of ${rows.length} trials, page ${page + 1} of ${pages}`;
    document.getElementById("back").disabled = page === 0;
    document.getElementById("on").disabled = page === pages - 1;
  }

  const head = table.createTHead().insertRow();
  columns.forEach((column, place) => {
    const cell = document.createElement("th");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.name;
    button.append(document.createElement("span"));
    button.addEventListener("click", () => {
      down = place === order ? !down : column.key === "score" ? data.table.down : false;
      order = place;
      page = 0;
      store.set("order", order);
      store.set("down", down);
      list();
    });
    cell.scope = "col";
    if (column.number) cell.className = "number";
    if (column.key === "more") cell.classList.add("more");
    cell.append(button);
    head.append(cell);
  });
  for (const name of new Set(rows.map((row) => row[1]))) status.add(new Option(name, name));
  filter.addEventListener("input", () => { page = 0; list(); });
  status.addEventListener("change", () => { page = 0; list(); });
  document.getElementById("back").addEventListener("click", () => { page -= 1; list(); });
  document.getElementById("on").addEventListener("click", () => { page += 1; list(); });
  const more = document.getElementById("more");
  const reveal = () => table.classList.toggle("all", more.checked);
  if (columns.every((column) => column.key !== "more")) more.closest("label").hidden = true;
  more.checked = store.get("more") === "true";
  more.addEventListener("change", () => { store.set("more", more.checked); reveal(); });
  reveal();
  if (order < 0 || order >= columns.length) order = 0;
  list();
})();
