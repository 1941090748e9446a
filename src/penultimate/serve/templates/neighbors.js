// Because it looks like these: the nearest support vectors of the class, as pictures.

const NEIGHBORS = 4;

below.push((part, {neighbors, novel}) => {
  if (!neighbors?.length || novel?.[0]) return;
  const figure = make("figure", "examples neighbors"), row = make("div", "row");
  neighbors.forEach(({label, picture}, place) => {
    const image = make("img");
    image.src = picture;
    image.alt = say("neighbor", {label, number: place + 1});
    image.width = image.height = 64;
    row.append(image);
  });
  figure.append(make("figcaption", "", say("neighbors")), row);
  // Examples of the class say less than these.
  const examples = part.querySelector(".examples");
  if (examples) examples.replaceWith(figure);
  else part.append(figure);
});
