"use strict";
// The page holds the errors of the first method as markup; this shows those of another, or a part.
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const { classes, confusion, pairs, errors, counts } = page;
  const state = { method: page.first, cell: null };
  const MOST_PRINTED = 21, isAlone = Object.keys(confusion).length === 1;
  const find = id => document.getElementById(id);
  const make = (tag, attributes = {}, text) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const nameOf = label => label < 0 ? "no class" : classes[label];
  const placeOf = cell => cell.dataset.at.split(",").map(Number);
  const isChosen = (i, j) => state.cell !== null && state.cell[0] === i && state.cell[1] === j;
  const choose = (i, j) => {
    state.cell = isChosen(i, j) ? null : [i, j];
    mark();
    drawErrors();
  };
  const table = find("matrix").querySelector("table");
  const cells = [...table.querySelectorAll("td[data-at]")];
  const figures = [...find("thumbs").children];

  function drawMatrix() {
    const counted = confusion[state.method];
    const most = Math.max(1, ...counted.flatMap((row, i) => row.filter((_, j) => i !== j)));
    const totals = counted.map(row => row.reduce((a, b) => a + b, 0) || 1);
    table.setAttribute("aria-label", `Confusion matrix of ${state.method}`);
    for (const cell of cells) {
      const [i, j] = placeOf(cell), count = counted[i][j];
      const words = `label ${classes[i]}, prediction ${classes[j]}: ${count}`;
      cell.title = words;
      cell.setAttribute("aria-label", words);
      cell.textContent = count && classes.length <= 20 ? count : "";
      cell.className = !count ? "" : i === j ? "right" : "cell";
      cell.style.setProperty("--share", `${100 * count / (i === j ? totals[i] : most)}%`);
      cell.tabIndex = -1;
    }
    // Roving tabindex: only the cell visited last can be reached with the tab key.
    (cells.find(cell => cell.className === "cell") ?? cells[0]).tabIndex = 0;
  }

  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  function walk(event) {
    if (!event.target.dataset.at) return;
    const [i, j] = placeOf(event.target);
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.target.click();
    }
    if (!STEPS[event.key]) return;
    event.preventDefault();
    const [down, right] = STEPS[event.key];
    const next = table.querySelector(`[data-at="${i + down},${j + right}"]`);
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function drawPairs() {
    const of = pairs[state.method];
    find("pairs").querySelector("h3").textContent = of.length ? "Most confused (label → prediction)" : "No confusions";
    find("pairs").querySelector("ol").replaceChildren(...of.map(([i, j, count]) => {
      const item = make("li");
      const words = `${classes[i]} answered as ${classes[j]}, ${count} ${count === 1 ? "time" : "times"}`;
      const button = make("button", { type: "button", "data-pair": `${i},${j}`, "aria-label": words });
      button.append(make("span", {}, `${classes[i]} → ${classes[j]}`), make("b", {}, count));
      item.append(button);
      return item;
    }));
  }

  function mark() {
    for (const cell of cells) {
      const chosen = isChosen(...placeOf(cell));
      cell.classList.toggle("chosen", chosen);
      cell.setAttribute("aria-selected", String(chosen));
    }
    for (const button of find("pairs").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(isChosen(...button.dataset.pair.split(",").map(Number))));
    }
  }

  function describe(error) {
    const answers = error.predicted[state.method], words = [make("b", {}, nameOf(error.true)), " → "];
    answers.forEach(([label, times], k) => {
      if (k) words.push(", ");
      words.push(make(label === error.true ? "span" : "em", {}, nameOf(label)));
      if (times > 1 && answers.length > 1) words.push(` ×${times}`);
    });
    return words;
  }

  function drawErrors() {
    let n_shown = 0;
    errors.forEach((error, k) => {
      const answers = error.predicted[state.method];
      const isShown = state.cell
        ? error.true === state.cell[0] && answers.some(([label]) => label === state.cell[1])
        : answers.some(([label]) => label !== error.true);
      figures[k].hidden = !isShown;
      if (!isShown) return;
      figures[k].classList.toggle("beyond", ++n_shown > MOST_PRINTED);
      figures[k].querySelector(".said").replaceChildren(...describe(error));
    });
    const note = find("errors-note"), isLimited = page.n_errors > errors.length;
    note.textContent = counts[state.method];
    if (state.cell) {
      const [i, j] = state.cell, times = confusion[state.method][i][j];
      note.textContent = `${state.method}: ${times} ${times === 1 ? "prediction" : "predictions"} of ${classes[j]} for ` +
        `${n_shown} ${page.noun}${n_shown === 1 ? "" : "s"} labeled ${classes[i]}.`;
    }
    if (isLimited) {
      const whose = isAlone ? "it" : "any method";
      note.textContent += ` Of ${page.n_errors} ${page.noun}s that ${whose} misclassified, the page holds the ` +
        `${errors.length} with the most errors.`;
    }
    if (state.cell) {
      const clear = make("button", { type: "button", class: "clear" }, "show all");
      clear.addEventListener("click", () => {
        choose(...state.cell);
        const method = find("method-picker").querySelector('[aria-pressed="true"]');
        (isAlone ? cells.find(cell => cell.tabIndex === 0) : method).focus();
      });
      note.append(" ", clear);
    }
    document.dispatchEvent(new Event("gallery"));
  }

  function drawClasses() {
    find("classes-method").textContent = state.method;
    [...document.querySelectorAll("#classes tbody tr")].forEach((line, k) => {
      const row = page.classRows[state.method][k];
      ["precision", "recall", "f1"].forEach((figure, at) => {
        const cell = line.children[1 + at];
        cell.children[0].textContent = row[figure][0];
        cell.children[1].textContent = row[figure][1];
      });
    });
  }

  function draw() {
    for (const button of find("method-picker").children) {
      button.setAttribute("aria-pressed", String(button.dataset.method === state.method));
    }
    find("errors-method").textContent = `Errors of ${state.method}:`;
    drawMatrix();
    drawPairs();
    mark();
    drawErrors();
    drawClasses();
  }

  table.addEventListener("keydown", walk);
  table.addEventListener("click", event => { if (event.target.classList.contains("cell")) choose(...placeOf(event.target)); });
  find("pairs").addEventListener("click", event => {
    const button = event.target.closest("button");
    if (button) choose(...button.dataset.pair.split(",").map(Number));
  });
  find("method-picker").addEventListener("click", event => {
    if (event.target.dataset.method) { state.method = event.target.dataset.method; state.cell = null; draw(); }
  });
  draw();
})();
