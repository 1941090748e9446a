// "Is this wrong?": below an answer, the right class is chosen or named, and taught with one click.

const NEW_CLASS = "new";
let nForms = 0;

function base64Of(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}

// A label as the server takes it. What is no number there is sent as it is, and refused in words.
function typed(text) {
  const number = Number(text);
  const isNumber = text.trim() !== "" && Number.isFinite(number);
  if (facts.class_type === "int" && isNumber && Number.isSafeInteger(number)) return number;
  return facts.class_type === "float" && isNumber ? number : text;
}

function correction(part, sent) {
  const details = make("details", "correct"), form = make("form", "picker");
  const choice = make("select"), name = make("input"), result = make("div", "correction");
  const choose = make("label", "", say("it_is")), call = make("label", "", say("class_name"));
  const group = make("select"), within = make("label", "", say("in_subset"));
  const button = make("button", "first", say("teach"));
  const isNew = () => choice.value === NEW_CLASS;
  result.hidden = call.hidden = within.hidden = true;
  name.id = `name-${++nForms}`;
  name.maxLength = 200;
  name.autocomplete = "off";
  choose.append(choice);
  call.append(name);
  within.append(group);
  group.append(...facts.subsets.map(({name}) => new Option(name)));
  form.append(choose, call, within, button);
  details.append(make("summary", "", say("is_wrong")), form, make("p", "note", say("teach_stores")));
  details.addEventListener("toggle", () => details.open && fill(choice));
  choice.addEventListener("change", () => {
    call.hidden = !isNew();
    within.hidden = !isNew() || !facts.subsets.length;
    if (isNew()) name.focus();
  });
  form.addEventListener("submit", async event => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    show(result, [say("teaching_it")]);
    try {
      const label = isNew() ? typed(name.value) : choice.known?.[choice.value];
      if (label === undefined) throw new Refusal(say("choose_first"));
      const lesson = {images: [await base64Of(sent)], labels: [label]};
      if (!within.hidden) lesson.subset = group.value;
      const headers = {"Content-Type": "application/json"};
      const answer = await atServer("", {body: JSON.stringify(lesson), headers});
      const {after: [now], words} = answer.lesson;
      show(result, [say("now_says", {label: nameOf(now)}), ...words]);
      details.open = false;
      details.firstElementChild.focus();
      await showState(answer.status);
    } catch (error) {
      show(result, [failure(error, say("teaching"))], true);
    } finally {
      button.disabled = false;
    }
  });
  part.append(details, result);
  return result;
}

// The classes of now, also those that were taught meanwhile.
function fill(choice) {
  const classes = state?.classes ?? facts.labels;
  const before = choice.value;
  const options = classes.map((label, place) => new Option(nameOf(label), place));
  if (facts.class_type !== "bool") options.push(new Option(say("new_class"), NEW_CLASS));
  choice.replaceChildren(new Option(say("choose_class"), ""), ...options);
  choice.known = classes;
  choice.value = before;
}

function show(result, words, hasFailed = false) {
  result.replaceChildren(...sentences(words));
  result.classList.toggle("failed", hasFailed);
  result.hidden = false;
  announce(words[0]);
}

below.push(async (part, {sent}) => {
  const result = correction(part, sent);
  if (!state?.lessons.length) return;
  const headers = {"Content-Type": sent.type}, subset = facts.subsets[chosenSubset()]?.name;
  try {
    const query = subset === undefined ? {} : {subset};
    const {taught: [label]} = await atServer("/predict", {body: sent, headers}, query);
    if (result.hidden) {
      result.replaceChildren(...sentences([say("taught_says", {label: nameOf(label)})]));
      result.hidden = false;
    }
  } catch { /* The answer itself is there; the next step of teaching says what is wrong. */ }
});
