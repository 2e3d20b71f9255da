// Formats numbers and times with their units.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

export const count = (number) => whole.format(number);

export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? '' : 's'}`;

/** Formats a rate in requests per second. A rate below 1/s is written per minute: 3/min, not 0.05/s. */
export function rate(perSecond) {
  if (perSecond === 0) return '0/s';
  if (perSecond < 1) return `${three.format(Math.round(perSecond * 600) / 10)}/min`;
  return `${perSecond < 100 ? three.format(perSecond) : whole.format(perSecond)}/s`;
}

export function milliseconds(time) {
  if (time === null || time === undefined) return '–';
  if (time >= 30_000) return '> 30 s';
  if (time >= 1_000) return `${three.format(time / 1_000)} s`;
  return `${time < 10 ? three.format(Math.round(time * 10) / 10) : whole.format(time)} ms`;
}

/** Formats a share between 0 and 1. A small share is never rounded to 0 %, and a large one never to 100 %. */
export function percent(share) {
  if (share > 0 && share < 0.001) return '< 0.1 %';
  if (share > 0.999 && share < 1) return '> 99.9 %';
  return `${share < 0.1 ? three.format(Math.round(share * 1_000) / 10) : whole.format(share * 100)} %`;
}

export function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, unit] = [number, 0];
  while (value >= 1_024 && unit < units.length - 1) [value, unit] = [value / 1_024, unit + 1];
  return `${value < 100 ? three.format(value) : whole.format(value)} ${units[unit]}`;
}

/** Formats a duration in seconds in its largest unit, rounded down. */
export function span(seconds) {
  for (const [length, word] of [[86_400, 'day'], [3_600, 'hour'], [60, 'minute']]) {
    if (seconds >= length) return plural(Math.floor(seconds / length), word);
  }
  return plural(Math.max(0, Math.floor(seconds)), 'second');
}

/** Returns the seconds between two RFC 3339 times. */
export const between = (then, now) => (Date.parse(now) - Date.parse(then)) / 1_000;

export function ago(then, now) {
  const seconds = between(then, now);
  return seconds < 2 ? 'just now' : `${span(seconds)} ago`;
}

/** Formats a time in the reader's time zone. */
export const clock = (date) => date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

export const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
