/** What is saved as a file: sound as it is, and events in the forms of `earmark.inference.formats`. */

const CSV_COLUMNS = [
  "file",
  "model",
  "model_version",
  "calibrated",
  "seconds",
  "label",
  "id",
  "onset",
  "offset",
  "score",
  "notes",
  "parameters",
];

/**
 * @typedef {object} EventsResult  as `/v1/events` answers
 * @property {string} file, model, model_version
 * @property {{label: string, id: string, onset: number, offset: number, score: number}[]} events
 */

/** What a form is called at its end, its type, and its text. */
export const FORMS = {
  json: { suffix: ".events.json", type: "application/json", write: (result) => `${JSON.stringify(result, null, 2)}\n` },
  csv: { suffix: ".events.csv", type: "text/csv", write: writeCsv },
  audacity: { suffix: ".labels.txt", type: "text/plain", write: writeAudacity },
};

/** Let the browser save bytes under a name. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Let the browser save a result. @param {EventsResult} result @param {keyof FORMS} name */
export function download(result, name) {
  const { suffix, type, write } = FORMS[name];
  save(new Blob([write(result)], { type }), result.file.replace(/\.[^.]*$/, "") + suffix);
}

function writeCsv(result) {
  const { file, model, model_version: version, calibrated, seconds } = result;
  const how = [result.notes.join(" | "), JSON.stringify(result.parameters)];
  const rows = result.events.map(({ label, id, onset, offset, score }) => [
    file,
    model,
    version,
    calibrated,
    seconds,
    label,
    id,
    onset,
    offset,
    score,
    ...how,
  ]);
  return [CSV_COLUMNS, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

function cell(value) {
  const text = String(value).replaceAll("\r", "\\r");
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function writeAudacity({ events }) {
  const line = ({ label, onset, offset, score }) =>
    `${onset.toFixed(6)}\t${offset.toFixed(6)}\t${label.replace(/\s/g, " ")} ${score.toFixed(2)}\n`;
  return events.map(line).join("");
}
