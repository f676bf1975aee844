// One JSON line in for each question, one out for each answer: what a library from npm says of a delivery.
import { createInterface } from "node:readline";

import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const LIBRARIES = { standardwebhooks: Standard, svix: Svix };

for await (const line of createInterface({ input: process.stdin })) {
  const { library, secret, headers, body } = JSON.parse(line);
  const bytes = Buffer.from(body, "base64");
  try {
    const payload = new LIBRARIES[library](secret).verify(bytes, headers);
    console.log(JSON.stringify({ verified: true, payload }));
  } catch (error) {
    console.log(JSON.stringify({ verified: false, error: String(error.message) }));
  }
}
