/** The model in a thread of its own, so that the page stays alive while it computes. */

import { Classifier } from "./classify.js";
import { Stream } from "./stream.js";

/** Live sound that waits for longer than this is given up: what is shown must be about now. */
const MOST_WAITING_SECONDS = 5;

let classifier = null;
const running = new Map();
/** The stream that is open, and whether it is being scored. */
let live = null;

const tasks = {
  async load(_, tell) {
    classifier = await Classifier.load(undefined, (bytes, all) => tell({ bytes, all }));
    return classifier.card;
  },
  async classify({ waveform }, tell, signal) {
    return classifier.classify(waveform, { topK: 0, signal, onsegment: (done, all) => tell({ done, all }) });
  },
  /** Answers when the stream is closed; until then it tells of frames. */
  async listen(_, tell, signal) {
    const stream = { blocks: new Stream(classifier), tell, isBusy: false, done: null };
    live = stream;
    return new Promise((resolve, reject) => {
      stream.done = { resolve, reject };
      signal.addEventListener("abort", () => {
        if (live === stream) live = null;
        resolve(null);
      });
    });
  },
};

addEventListener("message", async ({ data: { id, task, given } }) => {
  if (task === "stop") running.get(given)?.abort();
  else if (task === "block") await score(given);
  else await answer(id, task, given);
});

async function answer(id, task, given) {
  const ender = new AbortController();
  running.set(id, ender);
  try {
    postMessage({ id, answer: await tasks[task](given, (progress) => postMessage({ id, progress }), ender.signal) });
  } catch (error) {
    postMessage({ id, error: { name: error.name, message: error.message } });
  } finally {
    running.delete(id);
  }
}

async function score(block) {
  const stream = live;
  if (!stream) return;
  if (stream.blocks.waitingSeconds > MOST_WAITING_SECONDS) {
    stream.blocks = new Stream(classifier);
    stream.tell({ lost: true });
  }
  stream.blocks.push(block);
  if (stream.isBusy) return;
  stream.isBusy = true;
  try {
    for (;;) {
      const { blocks } = stream;
      const frames = await blocks.next();
      if (blocks !== stream.blocks) continue; // given up meanwhile: its frames are of another beginning
      if (!frames) break;
      if (live === stream) stream.tell({ frames });
      await new Promise((resolve) => setTimeout(resolve)); // blocks that came meanwhile, or the end
    }
  } catch (error) {
    stream.done.reject(error);
  } finally {
    stream.isBusy = false;
  }
}
