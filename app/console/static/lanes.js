// One lane for each face: when it is seen, and a click to go there.
const SVG = "http://www.w3.org/2000/svg";
export const MOST_LANES = 60;

export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function made(name, className, text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

// The spans of one track: a masked face may be hidden several times.
function lane(spans, number, { duration, seek, withFaces }) {
  const [track] = spans;
  const row = made("div", "lane");
  const name = made("div", "lane-name");
  if (withFaces) {
    const canvas = document.createElement("canvas");
    canvas.dataset.track = track.track_id;
    canvas.setAttribute("aria-hidden", "true");
    name.append(canvas);
  }
  const text = made("span", "", track.person_id ?? `Face ${number + 1}`);
  name.append(text);
  const bar = made("button", "lane-bar");
  bar.type = "button";
  const times = spans.map((span) => `from ${clock(span.appears_at)} to ${clock(span.disappears_at)}`).join(", ");
  bar.setAttribute("aria-label", `${text.textContent}, ${times}: go there`);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1000 36");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const span of spans) {
    const rect = document.createElementNS(SVG, "rect");
    const begin = (span.appears_at / duration) * 1000;
    const end = (span.disappears_at / duration) * 1000;
    rect.setAttribute("class", track.person_id ? "seen" : "span");
    rect.setAttribute("x", begin);
    rect.setAttribute("y", 8);
    rect.setAttribute("width", Math.max(end - begin, 4));
    rect.setAttribute("height", 20);
    svg.append(rect);
  }
  bar.append(svg);
  bar.addEventListener("click", (event) => {
    const box = bar.getBoundingClientRect();
    const clicked = event.detail ? ((event.clientX - box.left) / box.width) * duration : track.appears_at;
    const isInside = spans.some((span) => clicked >= span.appears_at && clicked <= span.disappears_at);
    seek(isInside ? clicked : track.appears_at);
  });
  row.append(name, bar);
  return row;
}

export function fillLanes(holder, tracks, options) {
  const lanes = [...grouped(tracks).values()];
  const now = made("div", "lane-track");
  now.append(made("span", "lane-now"));
  holder.replaceChildren(...lanes.slice(0, MOST_LANES).map((spans, number) => lane(spans, number, options)), now);
  if (lanes.length > MOST_LANES) holder.append(made("p", "muted", `and ${lanes.length - MOST_LANES} more`));
}

function grouped(tracks) {
  const found = new Map();
  for (const track of tracks) found.set(track.track_id, [...(found.get(track.track_id) ?? []), track]);
  return found;
}

export function moveLine(holder, part) {
  const line = holder.querySelector(".lane-now");
  if (line) line.style.left = `${Math.min(100, part * 100)}%`;
}
