// A view: its title, what can be chosen in it, its figure and its note.

import { brushed } from "./brush.js";
import { element, labelled, selection } from "./dom.js";

// One figure is drawn at a time, in the order of the page, and what the reader does goes between two.
let drawing = Promise.resolve();

function inTurn(draw) {
  const turn = drawing.then(() => new Promise((resolve) => setTimeout(resolve))).then(draw);
  drawing = turn.catch(() => {}); // what goes wrong in one view does not keep the next from its turn
  return turn;
}

export class Panel {
  // `source.figure(view, options)` gives the view, `source.ready()` waits for what draws it; `onMark` hears of a click
  // on a trial.
  constructor(view, source, onMark) {
    this.view = view;
    this.source = source;
    this.onMark = onMark;
    this.options = {};
    this.isVisible = false;
    this.isStale = true;
    this.boxes = [];
    this.choices = element("div", { class: "bar" });
    this.figure = element("div", { class: "figure" });
    this.note = element("p", { class: "note", role: "status" });
    const title = element("h2", { id: `title-${view.name}` }, view.title);
    this.root = element(
      "section",
      { class: `panel ${view.name}`, "data-view": view.name, "aria-labelledby": `title-${view.name}` },
      element("div", { class: "head" }, title, this.choices),
      element("div", { class: "scroll" }, this.figure),
      this.note,
    );
  }

  // Fetches and draws, if there is news and anyone to see it.
  async refresh() {
    if (!this.isVisible || !this.isStale || this.isBusy) return;
    this.isBusy = true;
    this.isStale = false;
    try {
      const marked = this.marked ? { marked: this.marked.id } : {};
      // The library is large, and keeps the page busy while it loads: only now, when the table is there.
      const [answer] = await Promise.all([this.source.figure(this.view.name, { ...this.options, ...marked }), this.source.ready()]);
      if (answer.error) await inTurn(() => this.show({ data: [], layout: {}, choices: [], hint: "", note: answer.error }));
      else await inTurn(() => this.show(answer));
    } catch (error) {
      this.note.textContent = `Not up to date: ${error.message}`;
      this.isStale = true;
    }
    this.isBusy = false;
    if (this.isStale && this.again) {
      this.again = false;
      await this.refresh();
    }
  }

  invalidate() {
    this.isStale = true;
    this.again = true;
    return this.refresh();
  }

  show(answer) {
    this.answer = answer;
    this.note.textContent = [answer.hint, answer.note].filter(Boolean).join(" ");
    const key = JSON.stringify(answer.choices);
    if (key !== this.choicesKey) this.drawChoices(answer.choices);
    this.choicesKey = key;
    this.draw();
  }

  drawChoices(choices) {
    const controls = choices
      .filter((choice) => choice.options.length > 1)
      .map((choice) => {
        const onChange = (value) => {
          this.options = { ...this.options, [choice.name]: value };
          this.invalidate();
        };
        const control = selection(choice.label, choice.options, choice.value, onChange);
        control.dataset.choice = choice.name.split(" ")[0];
        return labelled(choice.label, control);
      });
    const focused = this.choices.contains(document.activeElement) ? document.activeElement.dataset.choice : null;
    this.choices.replaceChildren(...controls);
    if (focused) this.choices.querySelector(`[data-choice="${focused}"]`)?.focus();
  }

  mark(trial) {
    const isOther = trial?.id !== this.marked?.id;
    this.marked = trial;
    if (isOther && trial && this.answer?.is_sample && !this.holds(trial)) this.invalidate();
    else this.redraw();
  }

  // Draws again what has been fetched, if it is to be drawn in another way.
  redraw() {
    if (this.answer && this.isVisible) inTurn(() => this.draw());
  }

  holds(trial) {
    return this.answer.data.some((trace) => trace.customdata?.includes(trial.id));
  }

  draw() {
    const { data, layout } = this.answer;
    const isEmpty = data.length === 0 || !window.Plotly;
    this.figure.hidden = isEmpty;
    if (isEmpty) return;
    this.figure.style.height = `${this.answer.height}px`;
    this.figure.style.minWidth = `${this.answer.min_width}px`;
    const colors = themeColors();
    const looks = [this.answer, this.boxes, this.marked?.id, colors.text];
    if (looks.every((look, index) => look === this.looks?.[index])) return;
    this.looks = looks;
    const traces = data.map((trace) => drawable(trace, colors));
    const marks = this.marked ? data.flatMap((trace) => markOf(trace, this.marked, colors)) : [];
    this.root.dataset.marked = marks.length > 0 ? this.marked.id : "";
    const shown = [...brushed(traces, this.boxes, colors.grid), ...marks];
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
    const selections = this.boxes.map((box) => ({ type: "rect", xref: "x", yref: "y", ...box })); // Plotly forgets them
    window.Plotly.react(this.figure, shown, { ...themed(layout, colors, this.root.clientWidth), selections }, config);
    if (!this.isListening) this.listen();
    this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
  }

  listen() {
    this.isListening = true;
    this.figure.on("plotly_click", (event) => {
      const id = event.points?.[0]?.customdata;
      if (typeof id === "string") this.onMark(id);
    });
    const select = () => {
      const boxes = (this.figure.layout.selections ?? []).map(({ x0, x1, y0, y1 }) => ({ x0, x1, y0, y1 }));
      if (JSON.stringify(boxes) === JSON.stringify(this.boxes)) return;
      this.boxes = boxes;
      this.redraw(); // in turn: not while Plotly is at it
    };
    for (const event of ["plotly_selected", "plotly_deselect", "plotly_relayout"]) this.figure.on(event, select);
  }
}

// The points of the marked trial in a trace, ringed.
function markOf(trace, trial, colors) {
  if (!Array.isArray(trace.customdata) || !Array.isArray(trace.x)) return [];
  const [x, y] = [[], []];
  let last = -1;
  trace.customdata.forEach((id, index) => {
    if (id !== trial.id) return;
    if (last >= 0 && index !== last + 1) {
      x.push(null);
      y.push(null);
    }
    x.push(trace.x[index]);
    y.push(trace.y[index]);
    last = index;
  });
  if (x.length === 0) return [];
  const isLine = (trace.mode ?? "").includes("lines");
  return [
    {
      type: "scatter",
      mode: isLine ? "lines+markers" : "markers",
      x,
      y,
      xaxis: trace.xaxis,
      yaxis: trace.yaxis,
      line: { color: colors.text, width: 3 },
      marker: { symbol: "circle-open", size: isLine ? 6 : 15, color: colors.text, line: { width: 3, color: colors.text } },
      unselected: { marker: { opacity: 1 } },
      showlegend: false,
      hoverinfo: "skip",
    },
  ];
}

function drawable(trace, colors) {
  const made = { ...trace };
  if (trace.type === "scattergl" && !document.createElement("canvas").getContext("webgl")) made.type = "scatter";
  for (const name of ["error_x", "error_y"]) {
    if (trace[name]) made[name] = { ...trace[name], color: colors.quiet };
  }
  return made;
}

function themeColors() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  return { text: color("--text"), quiet: color("--quiet"), grid: color("--line") };
}

function themed(layout, colors, width) {
  const made = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colors.text, size: 12 },
    margin: { l: 60, r: 20, t: 20, b: 50 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colors.quiet, activecolor: colors.text },
    uirevision: "kept", // zoom survives updates
    ...layout,
  };
  if (width < 500) made.margin = { ...made.margin, l: Math.min(made.margin.l, 90), r: 10 };
  for (const name of Object.keys(made)) {
    if (!/^[xy]axis/.test(name)) continue;
    made[name] = { automargin: true, gridcolor: colors.grid, zerolinecolor: colors.grid, linecolor: colors.grid, ...made[name] };
  }
  return made;
}
