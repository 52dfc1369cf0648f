// The page in a file of its own: all answers stand in the file.

import { Page } from "./page.js";

function start() {
  const stored = JSON.parse(document.getElementById("stored").textContent);
  const source = {
    isLive: false,
    searches: async () => stored.searches,
    search: async () => stored.search,
    trial: async (key, id) => stored.trials[id] ?? {},
    figure: async (keys, view, { marked, ...options }) => {
      const [value] = Object.values(options);
      return stored.figures[view][value ?? ""] ?? stored.figures[view][""];
    },
    plotly: async () => {},
  };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const page = new Page(document.getElementById("page"), source);
  const follow = () => {
    document.documentElement.dataset.theme = dark.matches ? "dark" : "light";
    page.redraw();
  };
  dark.addEventListener("change", follow);
  follow();
  page.start();
}

start();
