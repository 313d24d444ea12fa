// A cursor over plots, for pointers and for arrow keys: the values under it in a small box.
import { shownTime } from "./times.js";

function bindPlot(figure) {
  const area = figure.querySelector(".plot-area");
  const told = JSON.parse(figure.dataset.plot);
  const line = figure.querySelector(".cursor");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-live", "polite");
  area.append(tip);
  let index = -1;

  const show = (at) => {
    index = Math.max(0, Math.min(told.times.length - 1, at));
    const share = told.times.length > 1 ? (index + (told.bars ? 0.5 : 0)) / (told.times.length - (told.bars ? 0 : 1)) : 0.5;
    line.setAttribute("x1", share * 600);
    line.setAttribute("x2", share * 600);
    line.removeAttribute("visibility");
    const head = document.createElement("div");
    head.textContent = shownTime(new Date(told.times[index] * 1000), "point");
    const rows = told.series.map((series, number) => {
      const row = document.createElement("div");
      const key = document.createElement("i");
      key.className = `s${series.colour}`;
      const name = document.createElement("span");
      name.textContent = series.name;
      const value = document.createElement("b");
      value.textContent = series.shown[index];
      row.append(key, name, value);
      row.dataset.number = number;
      return row;
    });
    tip.replaceChildren(head, ...rows);
    tip.hidden = false;
    if (share > 0.5) {
      tip.style.right = `calc(${(1 - share) * 100}% + 10px)`;
      tip.style.left = "";
    } else {
      tip.style.left = `calc(${share * 100}% + 10px)`;
      tip.style.right = "";
    }
  };
  const hide = () => {
    tip.hidden = true;
    line.setAttribute("visibility", "hidden");
  };
  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    show(told.bars ? Math.floor(share * told.times.length) : Math.round(share * (told.times.length - 1)));
  });
  area.addEventListener("pointerleave", hide);
  area.addEventListener("blur", hide);
  area.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(index < 0 ? told.times.length - 1 : index + step);
  });
}

export function bindPlots(place) {
  for (const figure of place.querySelectorAll("[data-plot]")) bindPlot(figure);
}
