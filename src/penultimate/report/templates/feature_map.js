"use strict";
(() => {
  const map = JSON.parse(document.getElementById("map-data").textContent);
  const { views, classes, colors, samples, names, predicted, sprites } = map;
  // Misclassified images are in the gallery, larger and with the sides of the file.
  const { errors, noun } = JSON.parse(document.getElementById("page-data").textContent);
  const figures = document.getElementById("thumbs").children;
  const large = new Map(errors.map((error, k) => [error.sample, figures[k].querySelector("img")]));
  const section = document.getElementById("map");
  const find = selector => section.querySelector(selector);
  const [canvas, ring, card, key] = ["canvas", ".ring", ".card", ".key"].map(find);
  const picture = card.querySelector("i"), photo = card.querySelector("img");
  // Samples that are no images have no sprites: their card holds words alone.
  const zoom = sprites ? Math.max(1, Math.floor(96 / Math.max(sprites.width, sprites.height))) : 1;
  const width = sprites ? sprites.width * zoom : 0, height = sprites ? sprites.height * zoom : 0;
  if (sprites) {
    Object.assign(picture.style, {
      width: `${width}px`, height: `${height}px`, backgroundImage: `url(${sprites.uri})`,
      backgroundSize: `${width * sprites.columns}px ${height * sprites.rows}px`,
    });
  }
  const state = { view: views[0], chosen: null, at: null };
  const MARGIN = 18, REACH = 14;
  // The markers of Matplotlib's "os^DvP*X", around the origin.
  const SHAPES = [
    "M3 0A3 3 0 1 1 -3 0A3 3 0 1 1 3 0Z", "M-2.7 -2.7H2.7V2.7H-2.7Z", "M0 -3.4L3.3 2.6H-3.3Z",
    "M0 -3.6L3.6 0L0 3.6L-3.6 0Z", "M0 3.4L3.3 -2.6H-3.3Z",
    "M-1.2 -3.4H1.2V-1.2H3.4V1.2H1.2V3.4H-1.2V1.2H-3.4V-1.2H-1.2Z",
    "M0 -3.9L1.1 -1.2L3.8 -1.1L1.6 .6L2.4 3.3L0 1.7L-2.4 3.3L-1.6 .6L-3.8 -1.1L-1.1 -1.2Z",
    "M0 -1.5L1.8 -3.3L3.3 -1.8L1.5 0L3.3 1.8L1.8 3.3L0 1.5L-1.8 3.3L-3.3 1.8L-1.5 0L-3.3 -1.8L-1.8 -3.3Z",
  ];
  const paths = SHAPES.map(shape => new Path2D(shape));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const color = label => (dark.matches ? map.dark_colors : colors)[label % colors.length];
  const shape = label => (label + Math.floor(label / colors.length)) % SHAPES.length;
  const make = (tag, attributes = {}, text = "") => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    return node;
  };

  // The dots of the current view, in canvas pixels.
  let dots = [];
  function place() {
    const width = canvas.clientWidth, height = Math.round(Math.min(520, Math.max(300, 0.7 * width)));
    const ratio = window.devicePixelRatio || 1;
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    canvas.style.height = `${height}px`;
    state.scale = ([x, y]) => [MARGIN + x / 1000 * (width - 2 * MARGIN), MARGIN + y / 1000 * (height - 2 * MARGIN)];
    const members = new Set(state.view.members);
    const shown = map.true.flatMap((label, index) => members.has(label) ? [index] : []);
    dots = shown.map((index, k) => {
      const [x, y] = state.scale(state.view.points[k]);
      return { index, x, y, label: map.true[index], wrong: map.true[index] !== predicted[index] };
    });
    draw();
  }

  function draw() {
    const style = getComputedStyle(canvas), ratio = window.devicePixelRatio || 1;
    const ink = style.getPropertyValue("--ink"), paper = style.getPropertyValue("--paper");
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.lineWidth = 1;
    const isFaint = label => state.chosen !== null && label !== state.chosen;
    // Misclassified and chosen dots are drawn last, on top of the others.
    const rank = dot => 2 * !isFaint(dot.label) + dot.wrong;
    for (const dot of [...dots].sort((a, b) => rank(a) - rank(b))) {
      context.setTransform(ratio, 0, 0, ratio, dot.x * ratio, dot.y * ratio);
      context.globalAlpha = isFaint(dot.label) ? 0.1 : dot.wrong ? 1 : 0.6;
      context.fillStyle = color(dot.label);
      context.fill(paths[shape(dot.label)]);
      if (dot.wrong) {
        context.strokeStyle = ink;
        context.stroke(paths[shape(dot.label)]);
      }
    }
    Object.assign(context, { globalAlpha: 1, textAlign: "center", textBaseline: "middle", lineJoin: "round" });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = `bold ${state.view.members.length > 20 ? 13 : 16}px ${style.fontFamily}`;
    for (const [label, point] of Object.entries(state.view.places)) {
      if (isFaint(Number(label))) continue;
      const [x, y] = state.scale(point);
      Object.assign(context, { lineWidth: 4.5, strokeStyle: paper, fillStyle: color(label) });
      context.strokeText(state.view.names[label], x, y);
      context.fillText(state.view.names[label], x, y);
    }
  }

  function show(dot) {
    state.at = dot;
    ring.hidden = card.hidden = !dot;
    if (!dot) return;
    Object.assign(ring.style, { left: `${dot.x}px`, top: `${dot.y}px` });
    if (sprites) {
      const column = dot.index % sprites.columns, row = Math.floor(dot.index / sprites.columns);
      picture.style.backgroundPosition = `${-column * width}px ${-row * height}px`;
    }
    const source = large.get(samples[dot.index]);
    picture.hidden = !sprites || Boolean(source);
    photo.hidden = !source;
    if (source) Object.assign(photo, { src: source.src, className: source.className });
    const guess = make(dot.wrong ? "em" : "b", {}, classes[predicted[dot.index]]);
    card.querySelector("span").replaceChildren(
      "label ", make("b", {}, classes[dot.label]), ", prediction ", guess,
      make("br"), make("small", { class: "soft" }, names[dot.index]));
    const right = canvas.clientWidth - card.offsetWidth, below = canvas.clientHeight - card.offsetHeight;
    const left = dot.x + 14 > right ? dot.x - 14 - card.offsetWidth : dot.x + 14;
    Object.assign(card.style, {
      left: `${Math.max(0, Math.min(left, right))}px`, top: `${Math.max(0, Math.min(dot.y - 30, below))}px`,
    });
  }

  function choose(label) {
    state.chosen = label === state.chosen ? null : label;
    for (const button of key.children) button.setAttribute("aria-pressed", String(Number(button.dataset.label) === state.chosen));
    draw();
  }

  function look(view) {
    state.view = view;
    state.chosen = null;
    key.replaceChildren(...view.members.map(label => {
      const button = make("button", { type: "button", "data-label": label, "aria-pressed": "false" });
      const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const mark = document.createElementNS("http://www.w3.org/2000/svg", "path");
      icon.setAttribute("viewBox", "-5 -5 10 10");
      icon.setAttribute("aria-hidden", "true");
      mark.setAttribute("d", SHAPES[shape(label)]);
      mark.setAttribute("fill", color(label));
      icon.append(mark);
      button.append(icon, classes[label]);
      button.addEventListener("click", () => choose(label));
      return button;
    }));
    document.getElementById("map-key").textContent = view.key;
    for (const [picker, field] of [["#map-projection", "projection"], ["#map-subset", "subset"]]) {
      for (const button of find(picker).children) button.setAttribute("aria-pressed", String(button.textContent === (view[field] ?? "all classes")));
    }
    show(null);
    place();
  }

  function addPicker(id, field) {
    const names = [...new Set(views.map(view => view[field]))], other = field === "subset" ? "projection" : "subset";
    find(id).append(...names.map(name => {
      const button = make("button", { type: "button" }, name ?? "all classes");
      // A subset of two classes has no LDA: fall back to the first projection that it has.
      const fits = views.filter(view => view[field] === name);
      button.addEventListener("click", () => look(fits.find(view => view[other] === state.view[other]) ?? fits[0]));
      return button;
    }));
    find(id).style.display = names.length > 1 ? "" : "none";
  }

  const nearest = (x, y, among) => among.reduce((best, dot) => {
    const distance = Math.hypot(dot.x - x, dot.y - y);
    return distance < best.distance ? { dot, distance } : best;
  }, { dot: null, distance: Infinity });
  const under = event => {
    const { dot, distance } = nearest(event.offsetX, event.offsetY, dots);
    return distance < REACH ? dot : null;
  };
  const middle = () => nearest(canvas.clientWidth / 2, canvas.clientHeight / 2, dots).dot;
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("pointermove", event => show(under(event)));
  canvas.addEventListener("pointerleave", () => show(null));
  canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) show(middle()); });
  canvas.addEventListener("blur", () => show(null));
  canvas.addEventListener("click", event => choose(under(event)?.label ?? null));
  canvas.addEventListener("keydown", event => {
    if (event.key === "Escape") { show(null); choose(null); }
    if (event.key === "Enter" && state.at) choose(state.at.label);
    if (!STEPS[event.key]) return;
    event.preventDefault();
    const [right, down] = STEPS[event.key], at = state.at;
    if (!at) return show(middle());
    // The nearest dot within 45 degrees of the direction of the arrow key.
    const ahead = dots.filter(dot => {
      const along = (dot.x - at.x) * right + (dot.y - at.y) * down;
      return along > 0 && along >= Math.abs((dot.x - at.x) * down) + Math.abs((dot.y - at.y) * right);
    });
    show(nearest(at.x, at.y, ahead).dot ?? at);
  });

  document.getElementById("map-note").textContent =
    `Each dot is a test ${noun}${samples.length < map.n_test ? ` (${samples.length} of ${map.n_test}, drawn at random)` : ""}, placed by ${noun === "image" ? `the features of the network of seed ${map.seed}` : "its features"}. ` +
    "The projection is fitted on development features (for a subset, on its classes only) and applied to the test set; both axes are logarithmic outwards from the center. " +
    `Outlined dots are misclassified by ${map.method}. Point at a dot to see its ${noun === "image" ? "image" : "name"}; select a class to highlight it.`;
  addPicker("#map-projection", "projection");
  addPicker("#map-subset", "subset");
  dark.addEventListener("change", () => look(state.view));
  new ResizeObserver(place).observe(canvas.parentElement);
  look(views[0]);
})();
