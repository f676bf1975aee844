// A receiver in Node (18 or newer) with Express: verifies every delivery, drops duplicates, does the work once.
//
//     npm install express@5 standardwebhooks@1
//     WEBHOOK_SECRET=whsec_… node express.mjs
//
// PORT (9000) is where it listens, SEEN (seen-webhooks.txt) which deliveries it remembers.

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import express from "express";
import { Webhook } from "standardwebhooks";

const { WEBHOOK_SECRET, PORT = "9000", SEEN = "seen-webhooks.txt" } = process.env;
const webhook = new Webhook(WEBHOOK_SECRET);

// What you do about an event. Throwing leaves it undone: a redelivery will then not count as a duplicate.
async function work(event) {
  console.log(`did the work of ${event.Event}: ${JSON.stringify(event.Session ?? event)}`);
}

// The same id comes again only when somebody asks for a redelivery. With a database, note it in a table with a unique
// key, in the transaction of the work: both happen then, or neither.
const seen = new Set(existsSync(SEEN) ? readFileSync(SEEN, "utf8").split("\n") : []);
const underWay = new Map();

function once(id, event) {
  if (seen.has(id)) {
    console.log(`a duplicate: ${id}`);
    return undefined;
  }
  if (!underWay.has(id)) {
    const done = work(event).then(() => {
      appendFileSync(SEEN, `${id}\n`);
      seen.add(id);
    });
    underWay.set(id, done.finally(() => underWay.delete(id)));
  }
  return underWay.get(id);
}

const app = express();

// express.raw, not express.json: JSON that was decoded and encoded again has another signature.
app.post("/webhooks", express.raw({ type: () => true, limit: "1mb" }), async (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body, request.headers);
  } catch (error) {
    console.warn(`refused: ${error.message}`);
    return response.status(401).end();
  }
  await once(request.get("webhook-id"), event);
  return response.status(204).end();
});

const server = app.listen(Number(PORT), "127.0.0.1", (error) => {
  if (error) throw error;
  console.error(`listening on http://127.0.0.1:${server.address().port}`);
});
