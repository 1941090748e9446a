// Teaching: answers are corrected, and the lessons since are undone, compared and promoted. What is
// shown of them is the state of the server, which other pages and programs change, too.

const LOOK_EVERY = 5000; // milliseconds
const MOST_PICTURES = 8; // of a lesson
const soFar = document.getElementById("so-far"), lessons = document.getElementById("lessons");
const compared = document.getElementById("compared");
const teachingStatus = document.getElementById("teaching-status");
const stepButtons = Object.fromEntries(
  ["compare", "promote", "restore"].map(name => [name, document.getElementById(name)]),
);
let state = null, isLost = false; // whether the server could not be asked when it was last

async function atServer(path, options = {}, query = {}) {
  let response;
  const address = `v1/teach${path}?${new URLSearchParams({model: facts.model, ...query})}`;
  try {
    response = await fetch(address, {method: "POST", ...options});
  } catch {
    throw new Refusal(say("unreachable"));
  }
  const answer = await response.json();
  if (!response.ok) throw new Refusal(answer.detail);
  return answer;
}

function nameOf(label) {
  const place = facts.labels.indexOf(label);
  return place < 0 ? String(label) : facts.classes[place];
}

function sentences(words) {
  return words.map(each => make("p", "", each));
}

function saySo(text, hasFailed = false) {
  teachingStatus.textContent = text;
  teachingStatus.classList.toggle("failed", hasFailed);
}

// The section of the page, made anew where the state is another one.
async function showState(now) {
  if (JSON.stringify(now) === JSON.stringify(state)) return;
  state = now;
  if (state.version !== facts.version) await renew();
  const n = state.lessons.length;
  const since = n === 0 ? say("no_lessons") : n === 1 ? say("one_lesson") : say("lessons", {n});
  soFar.textContent = `${say("version_serves", state)} ${since}`;
  lessons.replaceChildren(...state.lessons.map(lessonItem));
  stepButtons.restore.hidden = n > 0 || !state.has_parent;
  stepButtons.restore.textContent = say("restore", state);
  compared.replaceChildren(...sentences(state.comparison?.words ?? []));
  letPress(true);
}

function letPress(can) {
  document.querySelectorAll("#teaching button").forEach(button => { button.disabled = !can; });
  if (!state?.lessons.length) stepButtons.compare.disabled = stepButtons.promote.disabled = true;
}

function lessonItem({number, at, labels, has_pictures}) {
  const item = make("li"), names = labels.map(nameOf).join(", ");
  if (has_pictures) {
    const pictures = make("div", "pictures");
    for (const place of labels.slice(0, MOST_PICTURES).keys()) {
      const picture = make("img");
      picture.alt = "";
      picture.src = `page/lessons/${number}/${place}.png?${new URLSearchParams({model: facts.model})}`;
      pictures.append(picture);
    }
    item.append(pictures);
  }
  const text = make("div", "names", say("lesson", {names}));
  text.append(make("div", "soft", new Date(at).toLocaleString()));
  const undo = make("button", "plain", say("undo"));
  undo.type = "button";
  undo.setAttribute("aria-label", say("undo_lesson", {number, names}));
  undo.addEventListener("click", () => doStep("/undo", "undone", {number}));
  item.append(text, undo);
  return item;
}

// Do what changes the state; the focus stays near if the button goes.
async function doStep(path, done, query = {}) {
  saySo(say("working"));
  letPress(false);
  try {
    const answer = await atServer(path, {}, query);
    await showState(answer.status);
    saySo(answer.promotion ? answer.promotion.words.join(" ") : say(done));
  } catch (error) {
    saySo(failure(error, say("teaching")), true);
    await look();
  }
  letPress(true);
  document.getElementById("teaching-title").focus({preventScroll: true});
}

async function look() {
  try {
    await showState(await atServer("", {method: "GET"}));
    if (isLost) saySo("");
    isLost = false;
  } catch (error) {
    if (!isLost) saySo(failure(error, say("teaching")), true);
    isLost = true;
  }
}

stepButtons.compare.addEventListener("click", () => doStep("/compare", "was_compared"));
stepButtons.promote.addEventListener("click", () => doStep("/promote"));
stepButtons.restore.addEventListener("click", () => doStep("/restore"));
document.addEventListener("visibilitychange", () => document.hidden || look());
setInterval(() => document.hidden || look(), LOOK_EVERY);
look();
