// Times are written in UTC by the server and shown in the viewer's zone here.
const day = { month: "short", day: "numeric" };
const clock = { hour: "2-digit", minute: "2-digit" };
const forms = {
  full: new Intl.DateTimeFormat(undefined, { ...day, ...clock }),
  old: new Intl.DateTimeFormat(undefined, { ...day, year: "numeric", ...clock }),
  exact: new Intl.DateTimeFormat(undefined, { ...day, ...clock, second: "2-digit" }),
  time: new Intl.DateTimeFormat(undefined, { ...clock, hourCycle: "h23" }),
  day: new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" }),
  point: new Intl.DateTimeFormat(undefined, { weekday: "short", ...clock }),
};
const title = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const steps = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

export function shownTime(moment, form) {
  const isOld = ["full", "exact"].includes(form) && moment.getFullYear() !== new Date().getFullYear();
  const parts = forms[isOld ? "old" : form].formatToParts(moment);
  // A narrow column may part day and clock, and nothing else.
  const clock = parts.findIndex((part) => part.type === "hour");
  return parts.map(({ value }, place) => (place === clock - 1 ? value : value.replaceAll(" ", "\u00a0"))).join("");
}

function ago(moment) {
  const seconds = (moment - Date.now()) / 1000;
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return seconds > 0 ? "in a moment" : "just now";
}

export function showTimes(place) {
  for (const element of place.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    element.textContent = element.dataset.form === "ago" ? ago(moment) : shownTime(moment, element.dataset.form);
    element.title = title.format(moment);
  }
}
