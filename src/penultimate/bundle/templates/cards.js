// The list of answers, the latest first.

const MOST_CARDS = 100;
const THUMBNAIL = 320; // pixels of its longer side

const list = document.getElementById("cards"), status = document.getElementById("status");
const answers = document.getElementById("answers");

function announce(text) {
  status.textContent = text;
}

function chosenSubset() {
  return Number(document.getElementById("subset")?.value ?? -1);
}

function thumbnailOf(source, width, height) {
  const factor = Math.min(1, THUMBNAIL / Math.max(width, height));
  const canvas = make("canvas", Math.max(width, height) < 160 ? "thumbnail coarse" : "thumbnail");
  canvas.width = Math.max(1, Math.round(factor * width));
  canvas.height = Math.max(1, Math.round(factor * height));
  canvas.setAttribute("aria-hidden", "true"); // its name is beside it
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function addCard(card) {
  list.prepend(card);
  while (list.children.length > MOST_CARDS) list.lastElementChild.remove();
  answers.classList.remove("empty");
}

// Classify an image, a canvas or a frame, and keep the answer. An image may have its file.
async function keep(source, width, height, name, file = null) {
  const thumbnail = thumbnailOf(source, width, height);
  const outputs = await ask(source, width, height, {file, kept: true});
  const answer = readAnswer(outputs);
  const card = make("li", "card"), right = make("div");
  right.append(make("p", "file", `${name} · ${say("pixels", {width, height})}`), showAndAdd(answer, outputs));
  card.append(thumbnail, right);
  addCard(card);
  announce(say("answered", {name, answer: inWords(answer)}));
}

function failure(error, name) {
  return error instanceof Refusal ? error.message : say("failed", {name, reason: reasonOf(error)});
}

function complain(error, name) {
  const text = failure(error, name);
  addCard(make("li", "card refused", text));
  announce(text);
}

document.getElementById("remove-all").addEventListener("click", () => {
  list.replaceChildren();
  answers.classList.add("empty");
  document.getElementById("choose").focus();
});
