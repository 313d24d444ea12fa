// Boxes and points drawn over a picture, in the picture's own pixels.
const SVG = "http://www.w3.org/2000/svg";
const POINTS = ["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"];

function shape(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

// faces: [{x, y, width, height, tag, points: [[x, y]], mesh: [[x, y]], key}]
export function drawFaces(svg, size, faces) {
  svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  svg.replaceChildren();
  const scale = size.width / (svg.clientWidth || size.width);
  for (const face of faces) {
    const group = shape("g", { "data-face": face.key }, svg);
    const box = { x: face.x, y: face.y, width: face.width, height: face.height, rx: 3 * scale };
    shape("rect", { class: "edge", ...box }, group);
    shape("rect", { class: "box", ...box }, group);
    for (const [x, y] of face.mesh ?? []) shape("circle", { class: "mesh", cx: x, cy: y, r: 1.3 * scale }, group);
    for (const [x, y] of face.points ?? []) shape("circle", { cx: x, cy: y, r: 2.6 * scale }, group);
    if (!face.tag) continue;
    const width = (face.tag.length * 7.4 + 10) * scale;
    const top = face.y > 19 * scale ? face.y - 19 * scale : face.y;
    shape("rect", { class: "tag", x: face.x, y: top, width, height: 18 * scale, rx: 4 * scale }, group);
    const text = shape("text", { x: face.x + 5 * scale, y: top + 13 * scale }, group);
    text.style.fontSize = `${12 * scale}px`;
    text.textContent = face.tag;
  }
}

export function light(places, key) {
  for (const place of places) {
    for (const each of place.querySelectorAll("[data-face]")) {
      each.classList.toggle("is-lit", each.dataset.face === key);
    }
  }
}

// A detection as door one tells it.
export function faceOf(found) {
  const { x1, y1, x2, y2 } = found.bbox;
  const five = found.landmarks ? POINTS.map((name) => [found.landmarks[name].x, found.landmarks[name].y]) : [];
  const mesh = found.attributes?.landmarks ?? [];
  return {
    key: String(found.index),
    x: x1,
    y: y1,
    width: x2 - x1,
    height: y2 - y1,
    tag: found.person?.name ?? found.person?.person_id ?? `${found.index + 1} · ${Math.round(found.confidence * 100)}%`,
    points: mesh.length ? [] : five,
    mesh,
  };
}

// What is told of a face, as pairs to read.
export function tellFace(found) {
  const pairs = [["confidence", found.confidence.toFixed(3)]];
  if (found.person) {
    pairs.unshift(["person", `${found.person.name ?? found.person.person_id} (${Math.round(found.person.score * 100)} %)`]);
  }
  if (found.bbox.x1 !== undefined) {
    pairs.push(["size", `${Math.round(found.bbox.x2 - found.bbox.x1)} × ${Math.round(found.bbox.y2 - found.bbox.y1)}`]);
  }
  for (const [name, value] of Object.entries(found.attributes ?? {})) {
    if (name === "landmarks") pairs.push([name, value ? `${value.length} points` : "–"]);
    else if (name === "pose") pairs.push([name, value ? `${value.yaw}° ${value.pitch}° ${value.roll}°` : "–"]);
    else if (typeof value === "boolean") pairs.push([name, value ? "yes" : "no"]);
    else pairs.push([name, value === null ? "–" : String(value)]);
  }
  return pairs;
}

export function cropInto(canvas, source, box) {
  const side = Math.max(box.width, box.height) * 1.25;
  const left = box.x + box.width / 2 - side / 2;
  const top = box.y + box.height / 2 - side / 2;
  canvas.width = canvas.height = 128;
  canvas.getContext("2d").drawImage(source, left, top, side, side, 0, 0, 128, 128);
}

export function faceCard(found, source) {
  const card = document.createElement("div");
  card.className = "face";
  card.dataset.face = String(found.index);
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Face ${found.index + 1}`);
  const face = faceOf(found);
  try {
    cropInto(canvas, source, face);
  } catch {
    // A format that the browser does not show: the words remain.
  }
  const list = document.createElement("dl");
  for (const [name, value] of tellFace(found)) {
    const key = document.createElement("dt");
    const told = document.createElement("dd");
    key.textContent = name;
    told.textContent = value;
    list.append(key, told);
  }
  card.append(canvas, list);
  return card;
}
