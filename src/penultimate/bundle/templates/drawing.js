// A sheet to draw on, with a pointer or with the arrow keys. Its answer follows each stroke.

const sheet = document.getElementById("sheet"), cursor = document.getElementById("cursor");
const ink = sheet.getContext("2d", {willReadFrequently: true});
const thickness = document.getElementById("pen"), drawn = document.getElementById("drawn");
const KEYS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const pen = {x: sheet.width / 2, y: sheet.height / 2, down: false};
let isBlank = true, nDrawings = 0, changes = 0;

function paperColors() {
  const isDark = document.getElementById("on-black").getAttribute("aria-pressed") === "true";
  return isDark ? ["#000", "#fff"] : ["#fff", "#000"];
}

function clearSheet() {
  ink.fillStyle = paperColors()[0];
  ink.fillRect(0, 0, sheet.width, sheet.height);
  isBlank = true;
  changes++;
  drawn.replaceChildren(make("p", "note", say("nothing_drawn")));
}

function lineTo(x, y) {
  ink.strokeStyle = paperColors()[1];
  ink.lineWidth = Number(thickness.value);
  ink.lineCap = ink.lineJoin = "round";
  ink.beginPath();
  ink.moveTo(pen.x, pen.y);
  ink.lineTo(x, y);
  ink.stroke();
  isBlank = false;
  changes++;
}

function move(x, y) {
  x = Math.max(0, Math.min(sheet.width, x));
  y = Math.max(0, Math.min(sheet.height, y));
  if (pen.down) lineTo(x, y);
  [pen.x, pen.y] = [x, y];
  cursor.style.left = `${100 * x / sheet.width}%`;
  cursor.style.top = `${100 * y / sheet.height}%`;
  cursor.classList.toggle("down", pen.down);
}

// Answer what is on the sheet, and once more if it has changed meanwhile.
let isAnswering = false;
async function answerDrawing() {
  if (isAnswering || isBlank) return;
  isAnswering = true;
  try {
    await ready;
    for (let seen = -1; seen !== changes && !isBlank;) {
      seen = changes;
      const outputs = await ask(sheet, sheet.width, sheet.height);
      if (isBlank) break;
      const answer = readAnswer(outputs);
      drawn.replaceChildren(showAndAdd(answer, outputs));
      announce(say("answered", {name: say("drawing"), answer: inWords(answer)}));
    }
  } catch (error) {
    drawn.replaceChildren(make("p", "because", failure(error, say("drawing"))));
  } finally {
    isAnswering = false;
  }
}

function placeOf(event) {
  const box = sheet.getBoundingClientRect();
  return [
    (event.clientX - box.left) * sheet.width / box.width,
    (event.clientY - box.top) * sheet.height / box.height,
  ];
}

sheet.addEventListener("pointerdown", event => {
  if (event.button !== 0) return;
  sheet.setPointerCapture(event.pointerId);
  pen.down = false;
  move(...placeOf(event));
  pen.down = true;
  move(pen.x, pen.y); // a dot
});
sheet.addEventListener("pointermove", event => {
  if (!sheet.hasPointerCapture(event.pointerId)) return;
  for (const each of event.getCoalescedEvents?.() ?? [event]) move(...placeOf(each));
});
for (const end of ["pointerup", "pointercancel"]) {
  sheet.addEventListener(end, event => {
    if (!sheet.hasPointerCapture(event.pointerId)) return;
    pen.down = false;
    move(pen.x, pen.y);
    answerDrawing();
  });
}

sheet.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = sheet.width / 100 * (event.shiftKey ? 10 : 1);
  if (event.key in KEYS) {
    const [dx, dy] = KEYS[event.key];
    move(pen.x + step * dx, pen.y + step * dy);
  } else if (event.key === " ") {
    pen.down = !pen.down;
    move(pen.x, pen.y);
    if (!pen.down) answerDrawing();
  } else if (event.key === "Delete" || event.key === "Backspace") {
    clearSheet();
  } else {
    return;
  }
  event.preventDefault();
});
sheet.addEventListener("blur", () => {
  if (!pen.down) return;
  pen.down = false;
  move(pen.x, pen.y);
  answerDrawing();
});

for (const name of ["on-white", "on-black"]) {
  document.getElementById(name).addEventListener("click", event => {
    for (const each of ["on-white", "on-black"]) {
      document.getElementById(each).setAttribute("aria-pressed", each === event.currentTarget.id);
    }
    clearSheet();
  });
}
document.getElementById("clear").addEventListener("click", clearSheet);
document.getElementById("keep").addEventListener("click", async () => {
  if (isBlank) return announce(say("nothing_drawn"));
  const name = say("my_drawing", {n: ++nDrawings});
  try {
    await ready;
    await keep(sheet, sheet.width, sheet.height, name);
    clearSheet();
  } catch (error) {
    complain(error, name);
  }
});
panel("drawing", {opened: () => sheet.focus()});
clearSheet();
move(pen.x, pen.y);
