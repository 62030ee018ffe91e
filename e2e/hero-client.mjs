// What the client of Microsoft's hero samples asks for, and does with the
// answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AzureCommunicationTokenCredential, createIdentifierFromRawId } from "@azure/communication-common";

const { ACCESS_TOKEN, SERVICE, TEAMS_TOKEN } = process.env;

async function call(method, path, headers) {
  const response = await fetch(`${SERVICE}/${path}`, { method, headers: { authorization: `Bearer ${ACCESS_TOKEN}`, ...headers } });
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text) };
}

const notFound = ({ status, body }) => {
  assert.equal(status, 404);
  assert.deepEqual(Object.keys(body).sort(), ["code", "message"]);
  assert.equal(body.code, 404);
};

test("before the user has an identity there is nothing", async () => {
  notFound(await call("GET", "user"));
  notFound(await call("GET", "token"));
});

test("joining a call", async () => {
  const created = await call("POST", "user");
  assert.equal(created.status, 201);
  assert.deepEqual(Object.keys(created.body), ["acsUserIdentity"]);
  assert.deepEqual(await call("POST", "user"), { status: 200, body: created.body });
  assert.deepEqual(await call("GET", "user"), { status: 200, body: created.body });

  const { status, body } = await call("GET", "token");
  assert.equal(status, 201);
  assert.equal(body.user.id, created.body.acsUserIdentity);
  assert.equal(createIdentifierFromRawId(body.user.id).kind, "communicationUser");
  const credential = new AzureCommunicationTokenCredential(body.token);
  assert.deepEqual(await credential.getToken(), { token: body.token, expiresOnTimestamp: Date.parse(body.expiresOn) });
});

test("joining a meeting as a Teams user", async () => {
  const { status, body } = await call("GET", "token/teams", { "teams-user-aad-token": TEAMS_TOKEN });
  assert.equal(status, 201);
  const { expiresOnTimestamp } = await new AzureCommunicationTokenCredential(body.token).getToken();
  assert.equal(expiresOnTimestamp, Date.parse(body.expiresOn));
});

test("erasing the user", async () => {
  assert.deepEqual(await call("DELETE", "user"), { status: 204, body: "" });
  notFound(await call("GET", "user"));
});
