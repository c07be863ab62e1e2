"use strict";
/* Draws the figures that are in the page as JSON, all over one axis of time, in the colors of the page. */

const plots = [...document.querySelectorAll(".plot")];
const timed = plots.filter((plot) => plot.dataset.axis === "time");
let sharing = false;

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/* What a layout has of the page: colors, and room for as many rows of names as the width asks for. */
function dressed(layout, plot, data) {
  const narrow = plot.clientWidth < 560;
  const named = data.filter((trace) => trace.name && trace.showlegend !== false);
  const longest = Math.max(0, ...named.map((trace) => trace.name.length));
  const column = Math.min(longest * 6.6 + 52, plot.clientWidth);
  const across = Math.max(1, Math.floor((plot.clientWidth - 60) / column));
  const rows = named.length > 1 || plot.dataset.axis !== "time" ? Math.ceil(named.length / across) : 0;
  const above = rows * 20 + 14;
  const left = Math.max(narrow ? 46 : 62, Number(plot.dataset.left) * 7.2 + 12);
  const annotations = (layout.annotations || []).map((one) => ({ ...one, bgcolor: color("--card"), font: { size: narrow ? 9 : 11, color: color("--soft") } }));
  const axis = { gridcolor: color("--grid"), linecolor: color("--line"), zerolinecolor: color("--line") };
  const hover = { bgcolor: color("--card"), bordercolor: color("--line"), font: { color: color("--ink") } };
  return {
    ...layout,
    annotations,
    height: Number(plot.dataset.height) + above + 28,
    margin: plot.dataset.axis === "time" ? { l: left, r: narrow ? 8 : 16, t: above, b: 28 } : { l: 8, r: 8, t: above, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: color("--ink"), size: 12 },
    hoverlabel: { ...hover, namelength: -1 },
    hovermode: layout.hovermode || "x unified",
    legend: { orientation: "h", x: 0, y: 1, xanchor: "left", yanchor: "bottom", font: { size: 11.5 } },
    showlegend: rows > 0,
    dragmode: "zoom",
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function draw(plot) {
  const figure = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
  const options = { responsive: false, displaylogo: false, displayModeBar: false, scrollZoom: false };
  // Texts beside the points of a lane would lie over one another.
  if (plot.dataset.axis === "time" && plot.clientWidth < 560)
    for (const trace of figure.data) trace.mode = (trace.mode || "").replace("+text", "");
  const layout = dressed(figure.layout, plot, figure.data);
  const now = plot.layout && plot.layout.xaxis && plot.layout.xaxis.range;
  if (now && plot.dataset.axis === "time") layout.xaxis = { ...layout.xaxis, range: [...now], autorange: false };
  return Plotly.react(plot, figure.data, layout, options);
}

/* Zooming into one is zooming into all. */
function share(from, change) {
  if (sharing) return;
  const range = change["xaxis.range"] || (("xaxis.range[0]" in change) && [change["xaxis.range[0]"], change["xaxis.range[1]"]]);
  const whole = change["xaxis.autorange"];
  if (!range && !whole) return;
  sharing = true;
  const update = { "xaxis.range": range || JSON.parse(from.dataset.range), "xaxis.autorange": false };
  Promise.all(timed.map((plot) => Plotly.relayout(plot, update))).finally(() => { sharing = false; });
}

function filter() {
  const log = document.getElementById("log");
  if (!log) return;
  const host = document.getElementById("host"), text = document.getElementById("text");
  const show = () => {
    const wanted = text.value.toLowerCase();
    for (const row of log.tBodies[0].rows)
      row.hidden = (host.value !== "*" && row.dataset.host !== host.value) || !row.textContent.toLowerCase().includes(wanted);
  };
  host.addEventListener("change", show);
  text.addEventListener("input", show);
}

async function begin() {
  for (const plot of plots) await draw(plot);
  for (const plot of timed) plot.on("plotly_relayout", (change) => share(plot, change));
  filter();
  const again = () => plots.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let width = innerWidth, waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(again, 120);
  });
  document.documentElement.dataset.drawn = String(plots.length);
}

begin();
