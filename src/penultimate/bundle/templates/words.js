// What the page says, and facts of its model, as Python wrote them.

const facts = JSON.parse(document.getElementById("facts").textContent);

function say(key, values = {}) {
  return facts.words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function decimal(value) {
  return value.toFixed(2).replace("-", "−");
}

function percent(value) {
  const rounded = Math.round(100 * value);
  if (rounded === 100 && value < 1) return "over 99";
  return rounded === 0 && value > 0 ? "under 1" : String(rounded);
}

function reasonOf(error) {
  return String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 300);
}
