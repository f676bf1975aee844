// A receiver as an integrator writes it on Node: answer 200 at once, work later. One ledger line per POST worked on.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const ledger = process.argv[2];

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const event = JSON.parse(Buffer.concat(parts).toString());
    response.writeHead(200, { "X-Powered-By": "Express", "Content-Type": "text/plain; charset=utf-8" });
    response.end("OK");
    setTimeout(() => {
      const line = [process.hrtime.bigint(), request.url, request.headers["webhook-id"], event.Session.Id];
      appendFileSync(ledger, line.slice(0, 3).join(" ") + "\n");
    }, 100);
  });
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
