// The page: which searches, the leaderboard, the views, the facts; and how it stays up to date.

import { details } from "./details.js";
import { element, numberText, selection } from "./dom.js";
import { Panel } from "./panel.js";
import { Table } from "./table.js";

const POLL = 3000; // milliseconds after the last answer

// `source` gives searches(), search(key, after), trial(key, id), figure(keys, view, options), isLive.
export class Page {
  constructor(root, source) {
    this.source = source;
    this.copies = new Map();
    this.key = null;
    this.overlaid = new Set();
    this.marked = null;
    this.picker = element("span", { class: "bar" });
    this.summary = element("p", { class: "summary", role: "status", "aria-live": "polite" });
    this.problem = element("p", { class: "problem", role: "alert", hidden: true });
    this.table = new Table((id) => this.mark(id));
    this.details = element("div", { class: "details", hidden: true });
    this.facts = element("dl", { class: "facts" });
    this.views = element("div", { class: "views" });
    this.content = element(
      "div",
      {},
      section("Leaderboard", this.table.root, this.details),
      this.views,
      section("Facts", this.facts),
    );
    const reload = element("button", { type: "button", onclick: () => this.update() }, "Reload");
    const head = element("header", {}, element("h1", {}, "Tuning"), this.picker, source.isLive ? reload : null);
    root.replaceChildren(head, this.summary, this.problem, element("main", {}, this.content));
  }

  async start() {
    await this.update();
    if (!this.source.isLive) return;
    const again = async () => {
      if (!document.hidden) await this.update();
      setTimeout(again, POLL);
    };
    setTimeout(again, POLL);
  }

  // Brings everything up to date; a call while one is under way waits for the next turn.
  async update() {
    if (this.isUpdating) return;
    this.isUpdating = true;
    try {
      await this.updateSearches();
      if (this.key !== null) await this.updateSearch();
    } catch (error) {
      this.showProblem(`TensorBoard does not answer: ${error.message}`);
    }
    this.isUpdating = false;
  }

  async updateSearches() {
    const answer = await this.source.searches();
    const state = JSON.stringify(answer);
    if (state === this.state) return;
    this.state = state;
    this.listed = answer.searches;
    this.hasPlotly = answer.plotly;
    if (!this.listed.some((one) => one.key === this.key)) {
      this.key = (this.listed.find((one) => !one.problem) ?? this.listed[0])?.key ?? null;
    }
    if (this.key === null) {
      const where = answer.logdirs.join(", ") || "the log directory";
      this.showProblem(`There is no search of kt_suite under ${where}.`);
      this.content.hidden = true;
    }
    this.drawPicker();
    await this.drawPanels(answer.views);
  }

  drawPicker() {
    const options = this.listed.map((one) => [one.key, one.problem ? `${one.key} (not readable)` : one.key]);
    const controls = [];
    if (options.length > 0) controls.push(selection("Search", options, this.key, (key) => this.show(key)));
    const others = this.listed.filter((one) => one.key !== this.key && !one.problem);
    if (others.length > 0) {
      const boxes = others.map((one) => {
        const onchange = (event) => {
          if (event.target.checked) this.overlaid.add(one.key);
          else this.overlaid.delete(one.key);
          this.panels.find((panel) => panel.view.name === "history")?.invalidate();
        };
        const box = element("input", { type: "checkbox", checked: this.overlaid.has(one.key), onchange });
        return element("label", {}, box, one.key);
      });
      controls.push(element("details", { class: "overlay" }, element("summary", {}, "Compare with"), ...boxes));
    }
    this.picker.replaceChildren(...controls);
  }

  async drawPanels(views) {
    if (this.panels) return;
    const figure = (view, options) => {
      const others = view === "history" ? [...this.overlaid].filter((key) => key !== this.key) : [];
      return this.source.figure([this.key, ...others], view, options);
    };
    const load = () =>
      this.source.plotly().catch((error) => {
        this.plotly = null; // to be tried again
        throw error;
      });
    const ready = () => (this.plotly ??= load());
    this.panels = views.map((view) => new Panel(view, { figure, ready }, (id) => this.mark(id)));
    this.views.replaceChildren(...this.panels.map((panel) => panel.root));
    if (!this.hasPlotly) {
      const text = "Plotly is not installed where TensorBoard runs: pip install plotly, then start TensorBoard again.";
      this.views.replaceChildren(element("p", { class: "problem", role: "alert" }, text));
      return;
    }
    const watcher = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          const panel = this.panels.find((one) => one.root === entry.target);
          panel.isVisible = entry.isIntersecting;
          if (panel.isVisible && this.shown) {
            panel.mark(this.markedTrial());
            panel.refresh();
          }
        }
      },
      { rootMargin: "300px" },
    );
    for (const panel of this.panels) watcher.observe(panel.root);
  }

  show(key) {
    this.key = key;
    this.overlaid.delete(key);
    this.marked = null;
    this.details.hidden = true;
    for (const panel of this.panels) panel.mark(null);
    this.drawPicker();
    this.shown = null;
    this.isUpdating = false;
    return this.update();
  }

  async updateSearch() {
    const key = this.key;
    const before = this.copies.get(key);
    let answer = await this.source.search(key, before?.event ?? -1);
    if (!answer.error && before && answer.id !== before.id) {
      this.copies.delete(key);
      answer = await this.source.search(key, -1);
    }
    if (key !== this.key) return;
    this.content.hidden = Boolean(answer.error);
    if (answer.error) {
      this.showProblem(answer.error);
      this.summary.textContent = "";
      return;
    }
    this.problem.hidden = true;
    const state = `${answer.id} ${answer.event} ${answer.report} ${JSON.stringify(answer.facts)}`;
    if (state === this.shown) return;
    this.shown = state;
    const copy = merged(this.copies.get(key), answer);
    this.copies.set(key, copy);
    this.table.update(copy);
    this.drawSummary(copy);
    this.facts.replaceChildren(...copy.facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
    await Promise.all(this.panels.map((panel) => panel.invalidate()));
  }

  drawSummary(copy) {
    const counts = new Map();
    for (const trial of copy.trials) counts.set(trial.status, (counts.get(trial.status) ?? 0) + 1);
    const parts = [`${copy.trials.length} trials`];
    parts.push(...[...counts].map(([status, count]) => `${count} ${status.toLowerCase()}`));
    const best = this.table.trials.find((trial) => trial.rank === 1);
    if (best) parts.push(`best ${copy.objective} ${numberText(best.score)} in trial ${best.id}`);
    this.summary.textContent = parts.join(" · ");
  }

  markedTrial() {
    return this.copies.get(this.key)?.trials.find((trial) => trial.id === this.marked) ?? null;
  }

  mark(id) {
    this.marked = id;
    this.table.mark(id);
    const trial = this.markedTrial();
    for (const panel of this.panels) panel.mark(trial);
    this.drawDetails(trial);
  }

  async drawDetails(trial) {
    this.details.hidden = trial === null;
    if (trial === null) return;
    const stored = await this.source.trial(this.key, trial.id);
    if (this.marked !== trial.id) return;
    const close = element("button", { type: "button", onclick: () => this.mark(null) }, "Close");
    this.details.replaceChildren(element("div", { class: "head" }, element("h3", {}, `Trial ${trial.id}`), close), ...details(stored));
  }

  showProblem(text) {
    this.problem.textContent = text;
    this.problem.hidden = false;
  }

  redraw() {
    for (const panel of this.panels ?? []) panel.redraw();
  }
}

function section(title, ...children) {
  const id = `title-${title.toLowerCase()}`;
  return element("section", { class: "panel wide", "aria-labelledby": id }, element("h2", { id }, title), ...children);
}

function merged(before, answer) {
  const trials = new Map((before?.trials ?? []).map((trial) => [trial.number, trial]));
  for (const row of answer.rows) {
    const trial = Object.fromEntries(answer.columns.map((name, index) => [name, row[index]]));
    trials.set(trial.number, trial);
  }
  return { ...answer, rows: null, trials: [...trials.values()].sort((a, b) => a.number - b.number) };
}

