// What the page shows is sent to the server that the page came from, and nowhere else.

// Formats that the server reads by itself; what else a browser can show is sent as PNG.
const READ_THERE = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"];

async function ask(source, width, height, {file = null, kept = false} = {}) {
  const body = READ_THERE.includes(file?.type) ? file : await asPng(source, width, height);
  const query = new URLSearchParams({model: facts.model});
  const subset = chosenSubset();
  if (subset >= 0) query.set("subset", facts.subsets[subset].name);
  // Frames of a film and halves of drawings are no samples of what the model is for.
  if (!kept) query.set("watch", "false");
  if (kept && facts.pictures) query.set("neighbors", NEIGHBORS);
  let response;
  try {
    response = await fetch(`v1/predict?${query}`, {
      method: "POST", headers: {"Content-Type": body.type}, body, signal: AbortSignal.timeout(60_000),
    });
  } catch {
    throw new Refusal(say("unreachable"));
  }
  const answer = await response.json();
  if (!response.ok) throw new Refusal(answer.detail);
  const known = JSON.stringify(facts.labels);
  if (JSON.stringify(answer.model.classes) !== known) await renew();
  return {...asOutputs(answer), sent: body};
}

// Take over what the page says of the model, which was replaced since the page was opened.
async function renew() {
  const response = await fetch(`./?${new URLSearchParams({model: facts.model})}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const found = JSON.parse(page.getElementById("facts")?.textContent ?? "null");
  const names = subsets => JSON.stringify(subsets?.map(({name}) => name));
  if (names(found?.subsets) !== names(facts.subsets)) {
    throw new Refusal(say("other_classes"));
  }
  Object.assign(facts, found);
  document.querySelector("dl").replaceWith(page.querySelector("dl"));
}

async function asPng(source, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  return canvas.convertToBlob({type: "image/png"});
}

// The answer as the outputs of a graph, which the page shows.
function asOutputs({predictions: [said], model, watch}) {
  if (JSON.stringify(model.classes) !== JSON.stringify(facts.labels)) {
    throw new Refusal(say("other_classes"));
  }
  showWatch(watch);
  const outputs = {neighbors: said.neighbors, withdrawn: watch?.withdrawn, label: [model.classes.indexOf(said.label)], accepted: [!said.abstained], novel: [said.novel]};
  for (const name of ["scores", "margins", "probabilities"]) {
    if (said[name] !== null) outputs[name] = said[name].map(value => value ?? -Infinity);
  }
  if (said.subset !== null) {
    outputs.subset_index = [facts.subsets.findIndex(({name}) => name === said.subset)];
  }
  return outputs;
}

// The server has the model: there is nothing to wait for.
const ready = Promise.resolve();
announce(say("ready"));
document.getElementById("model")?.addEventListener("change", event => {
  location.search = new URLSearchParams({model: event.target.value});
});
globalThis.penultimate = {ready}; // for tests
