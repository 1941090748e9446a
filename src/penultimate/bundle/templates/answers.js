// An answer in words and bars.

const SHOWN = 5, FOLDED = 3; // classes with a bar; more than so many others are folded

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// What a page adds below an answer that stays: functions of the part with the answer, and of what
// the model was asked and has said.
const below = [];

// What the page shows of the outputs for one image.
function readAnswer(outputs) {
  const {kind} = facts;
  const label = Number(outputs.label[0]);
  const subset = "subset_index" in outputs ? facts.subsets[Number(outputs.subset_index[0])] : null;
  const members = subset ? subset.members : facts.classes.map((_, index) => index);
  const values = members.map(index => ({
    index, name: facts.classes[index], value: outputs[kind][index],
  }));
  values.sort((a, b) => (b.index === label) - (a.index === label) || b.value - a.value);
  return {
    kind, values, label: facts.classes[label],
    sure: "accepted" in outputs ? Boolean(outputs.accepted[0]) : true,
    novel: Boolean(outputs.novel?.[0]),
    examples: facts.examples[label],
    withdrawn: Boolean(outputs.withdrawn),
    subset: subset?.name,
    probability: outputs.probabilities?.[label],
  };
}

function inWords(answer) {
  if (answer.novel) return say("none_perhaps", answer);
  return answer.sure ? answer.label : say("perhaps", answer);
}

function showAnswer(answer) {
  const part = make("div", "answer");
  const isClear = answer.sure && !answer.novel;
  const said = answer.novel ? say("none_of_these") : answer.sure ? answer.label : say("not_sure");
  part.append(make("h3", isClear ? "said" : "said unsure", said));
  if (!isClear) part.append(make("p", "because", say(answer.novel ? "none_because" : "unsure_because", answer)));
  if (answer.withdrawn) part.append(make("p", "because withdrawn", say("withdrawn_short")));
  const details = [];
  if (answer.subset) details.push(say("of_subset", answer));
  if (answer.probability !== undefined) {
    details.push(say("probability", {percent: percent(answer.probability)}));
  }
  if (details.length) part.append(make("p", "soft", details.join(" · ")));
  const n = answer.values.length < SHOWN + FOLDED ? answer.values.length : SHOWN;
  part.append(bars(answer, answer.values.slice(0, n)));
  if (n < answer.values.length) {
    const others = make("details");
    others.append(make("summary", "", say("more_classes", {n: answer.values.length - n})));
    others.append(bars(answer, answer.values.slice(n)));
    part.append(others);
  }
  if (answer.examples) part.append(examplesOf(answer));
  return part;
}

function showAndAdd(answer, outputs) {
  const part = showAnswer(answer);
  for (const add of below) add(part, outputs);
  return part;
}

// Images of the class from its training: what it looks like, not why this image was put there.
function examplesOf({label, examples}) {
  const figure = make("figure", "examples"), strip = make("img");
  strip.src = examples;
  strip.alt = "";
  figure.append(make("figcaption", "", say("examples", {label})), strip);
  return figure;
}

function bars({kind, values}, shown) {
  const all = values.map(({value}) => value);
  const low = Math.min(0, ...all), high = Math.max(kind === "probabilities" ? 1 : 0, ...all);
  const share = value => 100 * (value - low) / (high - low || 1);
  const table = make("table", "bars");
  table.append(make("caption", "hidden", facts.words.values_of[kind]));
  const head = table.createTHead().insertRow();
  head.className = "hidden";
  for (const text of [say("class"), "", facts.words.value[kind]]) {
    const cell = make(text ? "th" : "td", "", text);
    if (text) cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const {name, value} of shown) {
    const row = body.insertRow();
    const title = make("th", "", name);
    title.scope = "row";
    const track = make("td", "track"), bar = make("i", value < 0 ? "bar behind" : "bar");
    bar.style.left = `${share(Math.min(0, value))}%`;
    bar.style.width = `${share(Math.max(0, value)) - share(Math.min(0, value))}%`;
    const zero = make("i", "zero");
    zero.style.left = `${share(0)}%`;
    track.append(bar, zero);
    const text = kind === "probabilities" ? `${percent(value)} %` : decimal(value);
    row.append(title, track, make("td", "value", text));
  }
  return table;
}
