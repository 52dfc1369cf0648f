// A view: its title, what can be chosen in it, its figure and its note.

import { element, labelled, selection } from "./dom.js";

export class Panel {
  // `source.figure(view, options)` gives the view; `onMark` hears of a click on a trial.
  constructor(view, source, onMark) {
    this.view = view;
    this.source = source;
    this.onMark = onMark;
    this.options = {};
    this.isVisible = false;
    this.isStale = true;
    this.choices = element("div", { class: "bar" });
    this.figure = element("div", { class: "figure" });
    this.note = element("p", { class: "note", role: "status" });
    const title = element("h2", { id: `title-${view.name}` }, view.title);
    this.root = element(
      "section",
      { class: `panel ${view.name}`, "data-view": view.name, "aria-labelledby": `title-${view.name}` },
      element("div", { class: "head" }, title, this.choices),
      this.figure,
      this.note,
    );
  }

  // Fetches and draws, if there is news and anyone to see it.
  async refresh() {
    if (!this.isVisible || !this.isStale || this.isBusy) return;
    this.isBusy = true;
    this.isStale = false;
    try {
      const answer = await this.source.figure(this.view.name, this.options);
      if (answer.error) this.show({ data: [], layout: {}, choices: [], note: answer.error });
      else this.show(answer);
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
    this.note.textContent = answer.note;
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
    this.marked = trial;
    if (this.answer && this.isVisible) this.draw();
  }

  draw() {
    const { data, layout } = this.answer;
    const isEmpty = data.length === 0 || !window.Plotly;
    this.figure.hidden = isEmpty;
    if (isEmpty) return;
    const colors = themeColors();
    const traces = data.map((trace) => markedCoordinates(withWhiskers(trace, colors), this.marked, colors));
    const marks = this.marked ? data.flatMap((trace) => markOf(trace, this.marked, colors)) : [];
    const isMarked = marks.length > 0 || (this.marked && traces.some((trace) => trace.type === "parcoords"));
    this.root.dataset.marked = isMarked ? this.marked.id : "";
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
    window.Plotly.react(this.figure, [...traces, ...marks], themed(layout, colors, this.root.clientWidth), config);
    if (!this.isListening) {
      this.isListening = true;
      this.figure.on("plotly_click", (event) => {
        const id = event.points?.[0]?.customdata;
        if (typeof id === "string") this.onMark(id);
      });
    }
    this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
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
      line: { color: colors.text, width: 4 },
      marker: { symbol: "circle-open", size: isLine ? 6 : 15, color: colors.text, line: { width: 3, color: colors.text } },
      showlegend: false,
      hoverinfo: "skip",
    },
  ];
}

function withWhiskers(trace, colors) {
  const made = { ...trace };
  for (const name of ["error_x", "error_y"]) {
    if (trace[name]) made[name] = { ...trace[name], color: colors.quiet };
  }
  return made;
}

// Parallel coordinates: all but the marked trial step back.
function markedCoordinates(trace, trial, colors) {
  if (trace.type !== "parcoords") return trace;
  const themedTrace = {
    ...trace,
    labelfont: { color: colors.text, size: 12 },
    tickfont: { color: colors.text, size: 11 },
    rangefont: { color: "rgba(0,0,0,0)" },
  };
  themedTrace.unselected = { line: { color: colors.grid, opacity: 0.25 } };
  if (!trial) return themedTrace;
  const [first, ...others] = trace.dimensions;
  const range = [trial.number - 0.5, trial.number + 0.5];
  return { ...themedTrace, dimensions: [{ ...first, constraintrange: range }, ...others] };
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
