// Real senders in JavaScript: the CloudEvents SDK, standardwebhooks, and Node's own fetch.
//
// Usage: node senders.js URL TOKEN SECRET TASK
// Prints one line of JSON for each delivery: its name, the status, and whether the reply had a body.

const { randomUUID } = require("node:crypto");
const { CloudEvent, HTTP, emitterFor, httpTransport } = require("cloudevents");
const { Webhook } = require("standardwebhooks");

const [url, token, secret, task] = process.argv.slice(2);
const bearer = { authorization: `Bearer ${token}` };
const request = { task_id: Number(task) };

function event(changes = {}) {
  return new CloudEvent({ type: "oms.task.failed", source: "/sdk/node", data: request, ...changes });
}

async function send(name, headers, body) {
  const reply = await fetch(url, { method: "POST", headers, body });
  console.log(JSON.stringify({ name, status: reply.status, body: (await reply.text()).length > 0 }));
}

async function sendMessage(name, message) {
  await send(name, { ...bearer, ...message.headers }, message.body);
}

async function sendSigned(name, document, prefix = "webhook", key = secret) {
  const id = randomUUID();
  const body = JSON.stringify(document);
  const now = new Date();
  await send(name, {
    "content-type": "application/json",
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: String(Math.floor(now.getTime() / 1000)),
    [`${prefix}-signature`]: new Webhook(key).sign(id, now, body),
  }, body);
}

// The SDK's own emitter sends by Node's http module. It tells the body and the headers of the reply, but no status.
async function emit() {
  const reply = await emitterFor(httpTransport(url))(event(), { headers: bearer });
  const problem = "content-type" in reply.headers;
  console.log(JSON.stringify({ name: "cloudevents: emitter", status: problem ? 400 : 204, body: reply.body !== "" }));
}

async function main() {
  await sendMessage("cloudevents: binary", HTTP.binary(event()));
  await sendMessage("cloudevents: structured", HTTP.structured(event()));
  // In binary mode the SDK does not encode such a subject, and fetch refuses to send it.
  await sendMessage("cloudevents: structured, Chinese", HTTP.structured(event({ subject: "任务" })));
  await sendMessage("cloudevents: structured, bytes", HTTP.structured(event({
    data: undefined,
    data_base64: Buffer.from(JSON.stringify(request)).toString("base64"),
  })));
  await send("cloudevents: batch", { ...bearer, "content-type": "application/cloudevents-batch+json" },
    JSON.stringify([event()]));
  await sendMessage("cloudevents: another type", HTTP.structured(event({ type: "com.example.other" })));
  await emit();
  await sendSigned("standardwebhooks: bare request", request);
  await sendSigned("standardwebhooks: structured CloudEvent", event().toJSON());
  await sendSigned("standardwebhooks: envelope", {
    type: "oms.task.failed", timestamp: new Date().toISOString(), data: request,
  });
  await sendSigned("standardwebhooks: svix names", request, "svix");
  await sendSigned("standardwebhooks: another secret", request, "webhook", `whsec_${btoa("a secret of somebody else's")}`);
  await send("fetch: direct", { ...bearer, "content-type": "application/json" }, JSON.stringify(request));
  await send("fetch: not JSON", { ...bearer, "content-type": "application/json" }, "{");
  await send("fetch: direct again", { ...bearer, "content-type": "application/json" }, JSON.stringify(request));
  await send("fetch: no token", { "content-type": "application/json" }, JSON.stringify(request));
}

main();
