/** Times as people read them. */

/** Return seconds as `4.20` below a minute, `1:04.2` above, `1:00:04` above an hour; `places` are decimals. */
export function clock(seconds, places = 1) {
  const unit = 10 ** places;
  const total = Math.round(Math.max(0, seconds) * unit) / unit;
  if (total < 60) return total.toFixed(places);
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  const rest = (total % 60).toFixed(places).padStart(places ? places + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Return a length in words: `5.0 seconds`, `1 minute 4 seconds`, `10 minutes`. */
export function spoken(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} seconds`;
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 3600), "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"],
  ];
  return parts
    .filter(([count]) => count)
    .map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`)
    .join(" ");
}
