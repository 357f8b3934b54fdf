// The thread that trains, so that the page stays free: told to start, pause or resume, it reports.

import { EVERY, trainer } from "./trainer.js";

const SHARE = 40; // ms of work between two looks at the messages
let run = null;
let going = false;
let updates = 0;

function work() {
  if (!going) return;
  const until = performance.now() + SHARE;
  do {
    const done = run.update();
    if (done % EVERY === 0) self.postMessage({ ...run.report(), written: done % (4 * EVERY) === 0 ? run.write() : null });
    if (done >= updates) going = false;
  } while (going && performance.now() < until);
  if (going) setTimeout(work);
}

self.onmessage = ({ data }) => {
  if (data.text) {
    run = trainer(data.text, data.settings);
    updates = data.settings.updates;
  }
  const before = going;
  going = data.go;
  if (going && !before) work();
};
