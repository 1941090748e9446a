"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const { classes, confusion, pairs, errors, sprites, seeds } = page;
  const state = { method: page.first, cell: null };
  const make = (tag, attributes = {}, text) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const find = id => document.getElementById(id);
  const isChosen = (i, j) => state.cell !== null && state.cell[0] === i && state.cell[1] === j;
  const choose = (i, j) => {
    state.cell = isChosen(i, j) ? null : [i, j];
    mark();
    drawErrors();
  };

  function drawMatrix() {
    const counts = confusion[state.method];
    const dense = classes.length > 20;
    const table = make("table", { class: dense ? "confusion dense" : "confusion", role: "grid", "aria-label": `Confusion matrix of ${state.method}` });
    const head = make("thead"), top = make("tr");
    top.append(make("td"), ...classes.map(name => make("th", { scope: "col", title: name }, name)));
    head.append(top);
    const body = make("tbody");
    const most = Math.max(1, ...counts.flatMap((row, i) => row.filter((_, j) => i !== j)));
    counts.forEach((row, i) => {
      const line = make("tr");
      line.append(make("th", { scope: "row", title: classes[i] }, classes[i]));
      const total = row.reduce((a, b) => a + b, 0) || 1;
      row.forEach((count, j) => {
        const words = `true ${classes[i]}, predicted ${classes[j]}: ${count}`;
        const cell = make("td", { title: words, "aria-label": words, tabindex: -1, "data-at": `${i},${j}` }, count && !dense ? count : "");
        if (i === j) {
          cell.style.background = `rgba(86, 180, 233, ${0.12 + 0.6 * count / total})`;
        } else if (count) {
          cell.style.background = `rgba(230, 159, 0, ${0.25 + 0.75 * count / most})`;
          cell.className = "cell";
          cell.addEventListener("click", () => choose(i, j));
        } else {
          cell.style.background = "#f6f7f9";
        }
        line.append(cell);
      });
      body.append(line);
    });
    table.append(head, body);
    // Roving tabindex: only the cell visited last can be reached with the tab key.
    const [firstWrong] = table.getElementsByClassName("cell");
    (firstWrong ?? body.querySelector("td")).tabIndex = 0;
    table.addEventListener("keydown", walk);
    find("matrix").replaceChildren(table);
  }

  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  function walk(event) {
    if (!event.target.dataset.at) return;
    const [i, j] = event.target.dataset.at.split(",").map(Number);
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.target.click();
    }
    if (!STEPS[event.key]) return;
    event.preventDefault();
    const [down, right] = STEPS[event.key];
    const next = find("matrix").querySelector(`[data-at="${i + down},${j + right}"]`);
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function drawPairs() {
    const list = make("ol", { class: "pairs" });
    list.append(...pairs[state.method].map(([i, j, count]) => {
      const item = make("li");
      const words = `${classes[i]} predicted as ${classes[j]}, ${count} ${count === 1 ? "time" : "times"}`;
      const button = make("button", { type: "button", "data-pair": `${i},${j}`, "aria-label": words });
      button.append(make("span", {}, `${classes[i]} → ${classes[j]}`), make("b", {}, count));
      button.addEventListener("click", () => choose(i, j));
      item.append(button);
      return item;
    }));
    const title = make("h3", {}, pairs[state.method].length ? "Most confused (true → predicted)" : "No confusions");
    find("pairs").replaceChildren(title, list);
  }

  function mark() {
    for (const cell of find("matrix").querySelectorAll("td[data-at]")) {
      const chosen = isChosen(...cell.dataset.at.split(",").map(Number));
      cell.classList.toggle("chosen", chosen);
      cell.setAttribute("aria-selected", String(chosen));
    }
    for (const button of find("pairs").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(isChosen(...button.dataset.pair.split(",").map(Number))));
    }
  }

  function drawErrors() {
    const wanted = errors.map((error, index) => ({ ...error, index })).filter(error => {
      const predicted = error.predicted[state.method];
      if (!state.cell) return predicted.some(label => label !== error.true);
      return error.true === state.cell[0] && predicted.includes(state.cell[1]);
    });
    const note = find("errors-note");
    const isLimited = page.n_errors > errors.length;
    if (!wanted.length) {
      note.textContent = isLimited
        ? `None of these is among the ${errors.length} images that the most methods got wrong.`
        : `${state.method} classified every test image correctly.`;
      find("thumbs").replaceChildren();
      if (!state.cell) return;
    } else {
      note.textContent = `${wanted.length} ${wanted.length === 1 ? "image" : "images"} misclassified by ${state.method} with ` +
        (seeds.length > 1 ? "at least one seed" : "the only seed") +
        (state.cell ? `, true ${classes[state.cell[0]]}, predicted ${classes[state.cell[1]]}` : "") +
        ". Below each: its true class and the predicted class" + (seeds.length > 1 ? " for each seed" : "") + "." +
        (isLimited ? ` Of ${page.n_errors} images that at least one method misclassified, the ${errors.length} with the most errors are shown.` : "");
    }
    if (state.cell) {
      const clear = make("button", { type: "button", class: "clear" }, "show all");
      clear.addEventListener("click", () => { choose(...state.cell); find("thumbs").focus(); });
      note.append(" ", clear);
    }
    find("thumbs").replaceChildren(...wanted.map(error => {
      const figure = make("figure", { class: "thumb", title: `sample ${error.sample}` });
      const picture = make("i", { role: "img", "aria-label": `image of class ${classes[error.true]}` });
      const zoom = Math.max(1, Math.floor(56 / Math.max(sprites.width, sprites.height)));
      const width = sprites.width * zoom, height = sprites.height * zoom;
      const column = error.index % sprites.columns, row = Math.floor(error.index / sprites.columns);
      Object.assign(picture.style, {
        width: `${width}px`, height: `${height}px`,
        backgroundSize: `${width * sprites.columns}px ${height * sprites.rows}px`,
        backgroundPosition: `${-column * width}px ${-row * height}px`,
      });
      const caption = make("figcaption");
      caption.append(make("b", {}, classes[error.true]), " → ");
      const predicted = error.predicted[state.method];
      const short = new Set(predicted).size === 1 ? predicted.slice(0, 1) : predicted;
      short.forEach((label, i) => {
        if (i) caption.append(" ");
        caption.append(make(label === error.true ? "span" : "em", {}, classes[label]));
      });
      figure.append(picture, caption);
      return figure;
    }));
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
  }

  // One shared rule: in each picture's own style, the data URI would be parsed hundreds of times.
  if (sprites) document.head.append(make("style", {}, `#thumbs i { background-image: url(${sprites.uri}); }`));
  find("method-picker").addEventListener("click", event => {
    if (event.target.dataset.method) { state.method = event.target.dataset.method; state.cell = null; draw(); }
  });
  draw();
})();
