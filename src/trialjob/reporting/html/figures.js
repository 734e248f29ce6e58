/* Draws a figure in the reader's colours. */
"use strict";
const inTheDark = matchMedia("(prefers-color-scheme: dark)");

const colours = () => inTheDark.matches
  ? { front: "#e4e8ee", line: "#2c343f", card: "#1b2129", dim: "#9aa5b4", scale: [[0, "#46515f"], [0.5, "#4f8fdc"], [1, "#ffb057"]] }
  : { front: "#1c2430", line: "#dfe3e8", card: "#ffffff", dim: "#5b6675", scale: [[0, "#c3cbd6"], [0.5, "#4f8ad0"], [1, "#8a2c02"]] };

function dressed(layout) {
  const { front, line, card, dim } = colours();
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true, exponentformat: "power" };
  const result = {
    margin: { l: 60, r: 16, t: 16, b: 48 }, height: 420, showlegend: false,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    ...layout,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: dim, activecolor: front },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: front, size: 12 },
    hoverlabel: { bgcolor: card, bordercolor: line, font: { color: front }, align: "left" },
  };
  for (const key of ["xaxis", "yaxis"]) {
    result[key] = { ...axis, ...layout[key] };
    if (result[key].range === null) delete result[key].range; // plotly looks into it for what was zoomed
  }
  if (layout.scene) {
    const side = { gridcolor: line, color: front, backgroundcolor: "rgba(0,0,0,0)", zerolinecolor: line };
    result.scene = { ...layout.scene };
    for (const key of ["xaxis", "yaxis", "zaxis"]) result.scene[key] = { ...side, ...layout.scene[key] };
  }
  return structuredClone(result);
}

const cut = (text, most) => text.length > most ? `${text.slice(0, Math.max(3, most - 1))}…` : text;

/* Cuts the names beside bars to a part of the figure's width, and those over parallel axes to the room between two. */
function fit(data, layout, width) {
  if (layout.yaxis.ticktext) layout.yaxis.ticktext = layout.yaxis.ticktext.map((text) => cut(text, Math.floor(width / 25)));
  for (const { dimensions } of data)
    for (const each of dimensions ?? []) {
      const most = Math.floor((width - layout.margin.l - layout.margin.r) / Math.max(1, dimensions.length - 1) / 7);
      each.label = cut(each.label, most);
      if (each.ticktext) each.ticktext = each.ticktext.map((text) => cut(text, most));
    }
}

function drawFigure(place, { data, layout }) {
  const shown = structuredClone(data), around = dressed(layout);
  fit(shown, around, place.clientWidth || 1000);
  for (const { line, marker } of shown)
    for (const part of [line, marker]) if (part?.colorscale) part.colorscale = colours().scale;
  return Plotly.react(place, shown, around, { responsive: true, displaylogo: false, displayModeBar: "hover" });
}

