// The report's figures of an experiment that runs. A frame without an origin draws them, so that plotly needs no
// looser policy here and reads no token; this fetches for it what is in view, and no more often than the server makes it.
"use strict";

const FIGURES = ["history", "curves", "front", "parallel", "slots"]; // the report has the others
const RESTS = 4; // a figure is not fetched again before so many times as long as it took

// What draws figures that `fetched` gives: its element, and `changed`, which is given the newest version.
function figureFrame(title, figures, fetched, signal) {
  const frame = make("iframe", { class: "figures", title, sandbox: "allow-scripts allow-downloads", src: "figures.html" });
  const shown = new Map(figures.map(({ id }) => [id, { version: -1, asking: false, after: 0 }]));
  let newest = 0;
  let inView = [];
  const send = (message) => frame.contentWindow && frame.contentWindow.postMessage(message, "*"); // it has no origin to name

  async function update(id) {
    const state = shown.get(id);
    if (!state || state.asking || signal.aborted || document.hidden || !inView.includes(id) || state.version >= newest) return;
    if (Date.now() < state.after) return;
    state.asking = true;
    const began = Date.now();
    let wait = 0;
    try {
      const { figure, version, newerIn } = await fetched(id);
      state.version = version;
      wait = newerIn * 1000;
      send({ figure });
    } catch (error) {
      if (signal.aborted) return;
      wait = 5000;
      if (error.status && error.status < 500 && error.status !== 429) state.version = Infinity; // it is not asked for again
    } finally {
      state.asking = false;
    }
    wait = Math.max(wait, 1000, RESTS * (Date.now() - began));
    state.after = Date.now() + wait;
    setTimeout(() => update(id), wait + 20);
  }

  const all = () => inView.forEach(update);
  window.addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || !event.data) return;
    const { ready, height, inView: ids } = event.data;
    if (ready) send({ figures });
    if (Number.isFinite(height)) frame.style.height = `${Math.min(height, 50000)}px`;
    if (Array.isArray(ids)) {
      inView = ids;
      all();
    }
  }, { signal });
  document.addEventListener("visibilitychange", all, { signal });
  return { element: frame, changed: (version) => { newest = Math.max(newest, version); all(); } };
}

// Those of one experiment; words in their place where the server has nothing to draw with.
function liveFigures(name, signal) {
  const element = make("div", {}, make("p", { class: "soft" }, "Loading the figures …"));
  let newest = 0;
  let frame = null;

  async function fetched(id) {
    const answer = await ask(`${experiment(name)}/figures/${id}`, { signal });
    const version = Number(/\d+/.exec(answer.headers.get("etag"))[0]);
    return { figure: await answer.json(), version, newerIn: Number(answer.headers.get("retry-after") || 0) };
  }

  async function begin() {
    const { items } = await read(`${experiment(name)}/figures`);
    await ask("figures.html", { method: "HEAD", signal });
    frame = figureFrame(`Figures of ${name}`, FIGURES.flatMap((id) => items.filter((each) => each.id === id)), fetched, signal);
    element.replaceChildren(frame.element);
    frame.changed(newest);
  }

  begin().catch((error) => {
    if (signal.aborted) return;
    const why = error.status === 409 ? ["the server has no plotly. Install it there with ", make("code", {}, "pip install 'trialjob[report]'")] : [error.message];
    element.replaceChildren(make("p", { class: "soft" }, "There are no figures: ", ...why, "."));
  });
  return { element, changed: (version) => { newest = Math.max(newest, version); if (frame) frame.changed(newest); } };
}
